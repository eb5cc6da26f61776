//! Settings written as a name, `"adam"`, or as a table with a type, `{ type = "adam", … }`.
//!
//! The code that serde derives for such a table sets it aside until the type is known. The values
//! lose their place in the text, and keys that a variant without settings does not know are dropped
//! silently. Here the variant reads the rest of the table itself as soon as the type is known; at
//! once if the type comes first.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use serde_json::Value;

/// Reads `T`, an enum with serde's derived form, from a name or a table: the type is the variant,
/// and the other keys are its fields.
pub(crate) fn name_or_table<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(NameOrTable(PhantomData))
}

struct NameOrTable<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NameOrTable<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, or a table with the key type")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<T, E> {
        let settings = MapDeserializer::new(std::iter::empty::<((), ())>());
        T::deserialize(Typed { name: Some(name.to_owned()), settings })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<T, A::Error> {
        let Some(mut key) = table.next_key::<String>()? else {
            return Err(de::Error::missing_field("type"));
        };
        if key == "type" {
            return T::deserialize(Typed { name: None, settings: table });
        }
        let (mut name, mut settings) = (None, Vec::new());
        loop {
            if key == "type" {
                name = Some(table.next_value()?);
            } else {
                settings.push((key, table.next_value::<Value>()?));
            }
            match table.next_key()? {
                Some(next) => key = next,
                None => break,
            }
        }
        let name = Some(name.ok_or_else(|| de::Error::missing_field("type"))?);
        let settings = MapDeserializer::<_, serde_json::Error>::new(settings.into_iter());
        T::deserialize(Typed { name, settings }).map_err(de::Error::custom)
    }
}

/// A variant's name and its settings; without a name, the next value is the name.
struct Typed<A> {
    name: Option<String>,
    settings: A,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Typed<A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Typed<A> {
    type Error = A::Error;
    type Variant = Settings<A>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        mut self,
        seed: V,
    ) -> Result<(V::Value, Settings<A>), A::Error> {
        let variant = match self.name {
            Some(name) => seed.deserialize(IntoDeserializer::<A::Error>::into_deserializer(name)),
            None => self.settings.next_value_seed(seed),
        };
        Ok((variant?, Settings(self.settings)))
    }
}

/// The keys of a table besides its type.
struct Settings<A>(A);

impl<'de, A: MapAccess<'de>> Settings<A> {
    /// Refuses any key.
    fn none(mut self) -> Result<(), A::Error> {
        match self.0.next_key::<String>()? {
            Some(key) => Err(de::Error::unknown_field(&key, &[])),
            None => Ok(()),
        }
    }
}

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Settings<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.none()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.deserialize_any(visitor)
    }
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Settings<A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        MapAccessDeserializer::new(self.0).deserialize_any(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.none()?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A whole number, a pair of items `I`, or one of the names that `named` knows.
pub(crate) fn number_or_pair<'de, D, I, T>(
    deserializer: D,
    expected: &'static str,
    named: fn(&str) -> Option<T>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    I: Deserialize<'de>,
    T: From<usize> + From<[I; 2]>,
{
    deserializer.deserialize_any(NumberOrPair { expected, named, item: PhantomData })
}

struct NumberOrPair<I, T> {
    expected: &'static str,
    named: fn(&str) -> Option<T>,
    item: PhantomData<I>,
}

impl<'de, I, T> Visitor<'de> for NumberOrPair<I, T>
where
    I: Deserialize<'de>,
    T: From<usize> + From<[I; 2]>,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_u64<E: de::Error>(self, side: u64) -> Result<T, E> {
        let fits = usize::try_from(side).map(T::from);
        fits.map_err(|_| E::invalid_value(de::Unexpected::Unsigned(side), &self))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<T, E> {
        (self.named)(name).ok_or_else(|| E::invalid_value(de::Unexpected::Str(name), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        let mut sides = Vec::new();
        while let Some(side) = seq.next_element()? {
            sides.push(side);
        }
        let pair = <[I; 2]>::try_from(sides).map(T::from);
        pair.map_err(|_| de::Error::invalid_value(de::Unexpected::Seq, &self))
    }
}

/// Checks settings made by a program by the rules for their text.
///
/// # Panics
/// If a setting breaks them.
#[track_caller]
pub(crate) fn require_settings<S: Serialize + DeserializeOwned>(what: &str, settings: &S) {
    let read = serde_json::to_value(settings).and_then(serde_json::from_value::<S>);
    if let Err(error) = read {
        panic!("{what}: {error}");
    }
}

/// A number of at least 0 and less than 1.
pub(crate) fn fraction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    bounded(deserializer, "a number from 0 to less than 1", |x| (0.0..1.0).contains(&x))
}

/// A finite number of at least 0.
pub(crate) fn not_negative<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    bounded(deserializer, "a finite number of at least 0", |x| x >= 0.0 && x.is_finite())
}

/// A finite number, where the key is present.
pub(crate) fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    bounded(deserializer, "a finite number", f64::is_finite).map(Some)
}

/// A number for which `fits` holds.
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
