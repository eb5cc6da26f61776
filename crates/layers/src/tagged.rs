//! Settings written as a name, `"adam"`, or as a table with a type, `{ type = "adam", … }`.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

/// Reads `T`, whose own form is a table with the key `type`, from either of both.
pub(crate) fn name_or_table<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct NameOrTable<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for NameOrTable<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a name, or a table with the key `type`")
        }

        fn visit_str<E: de::Error>(self, name: &str) -> Result<T, E> {
            T::deserialize(MapDeserializer::new(std::iter::once(("type", name))))
        }

        fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(table))
        }
    }

    deserializer.deserialize_any(NameOrTable(PhantomData))
}

/// A number from 0 to less than 1.
pub(crate) fn fraction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    bounded(deserializer, "a number from 0 to less than 1", |x| (0.0..1.0).contains(&x))
}

/// A number that is not negative.
pub(crate) fn not_negative<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    bounded(deserializer, "a finite number of at least 0", |x| x >= 0.0 && x.is_finite())
}

/// A number that `fits`.
pub(crate) fn bounded<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
    fits: impl Fn(f64) -> bool,
) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if fits(value) {
        return Ok(value);
    }
    Err(de::Error::invalid_value(de::Unexpected::Float(value), &expected))
}
