//! A deserializer of TOML whose errors know their place in the text.

use std::vec;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::complaint::{Complaint, Step};

/// Deserializes a `T` from the table of a whole text.
pub(super) fn read<'de, T: de::Deserialize<'de>>(
    table: &'de Spanned<DeTable<'de>>,
) -> Result<T, Complaint> {
    T::deserialize(Whole(table.get_ref()))
}

/// The table of a whole text.
struct Whole<'de>(&'de DeTable<'de>);

impl<'de> Deserializer<'de> for Whole<'de> {
    type Error = Complaint;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        visit_table(self.0, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

/// The value of a key.
struct Value<'de>(&'de Spanned<DeValue<'de>>);

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Complaint;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self.0.get_ref() {
            DeValue::String(text) => visitor.visit_str(text),
            DeValue::Boolean(value) => visitor.visit_bool(*value),
            DeValue::Integer(digits) => {
                let value = i64::from_str_radix(digits.as_str(), digits.radix())
                    .map_err(|_| Complaint::expected("a whole number that 64 bits can hold"))?;
                match u64::try_from(value) {
                    Ok(value) => visitor.visit_u64(value),
                    Err(_) => visitor.visit_i64(value),
                }
            }
            DeValue::Float(digits) => {
                let value: f64 = digits.as_str().parse().unwrap_or(f64::INFINITY);
                if value.is_infinite() && !digits.as_str().ends_with("inf") {
                    return Err(Complaint::expected("a number that 64 bits can hold"));
                }
                visitor.visit_f64(value)
            }
            DeValue::Array(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            DeValue::Table(table) => visit_table(table, visitor),
            DeValue::Datetime(_) => {
                Err(de::Error::invalid_type(Unexpected::Other("a date"), &visitor))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        visitor.visit_newtype_struct(self)
    }

    /// From a table only: serde would take a list as well.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        match self.0.get_ref() {
            DeValue::Table(table) => visit_table(table, visitor),
            _ => Err(Complaint::expected("a table")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Complaint> {
        match self.0.get_ref() {
            DeValue::String(name) => visitor.visit_enum(Name(name)),
            _ => Err(Complaint::choice(names, None)),
        }
    }

    /// From a name only: serde would take a number as an index.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        match self.0.get_ref() {
            DeValue::String(name) => visitor.visit_str(name),
            _ => Err(Complaint::expected("a name in quotes")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map ignored_any
    }
}

/// The name of one of several choices.
struct Name<'de>(&'de str);

impl<'de> EnumAccess<'de> for Name<'de> {
    type Error = Complaint;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Complaint> {
        let name: de::value::StrDeserializer<'_, Complaint> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Name<'de> {
    type Error = Complaint;

    fn unit_variant(self) -> Result<(), Complaint> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Complaint> {
        Err(Complaint::expected("a table"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Complaint> {
        Err(Complaint::expected("a table"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Complaint> {
        Err(Complaint::expected("a table"))
    }
}

type Entry<'de> = (&'de Spanned<DeString<'de>>, &'de Spanned<DeValue<'de>>);

fn visit_table<'de, V: Visitor<'de>>(
    table: &'de DeTable<'de>,
    visitor: V,
) -> Result<V::Value, Complaint> {
    let mut entries: Vec<Entry<'de>> = table.iter().collect();
    // `type` comes first, as it decides which other keys there are; these come in the order of the
    // text.
    entries.sort_by_key(|(key, _)| (key.get_ref() != "type", key.span().start));
    let entries = Entries { entries: entries.into_iter(), current: None };
    visitor.visit_map(entries).map_err(|mut complaint| {
        complaint.of_table(|name| {
            let (key, _) = table.iter().find(|(key, _)| key.get_ref() == name)?;
            Some(key.span())
        });
        complaint
    })
}

struct Entries<'de> {
    entries: vec::IntoIter<Entry<'de>>,
    /// The one whose key has been read.
    current: Option<Entry<'de>>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Complaint;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Complaint> {
        self.current = self.entries.next();
        let Some((key, _)) = self.current else { return Ok(None) };
        let name: de::value::StrDeserializer<'_, Complaint> =
            key.get_ref().as_ref().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Complaint> {
        let (key, value) = self.current.take().expect("a value is asked for after its key");
        let read = seed.deserialize(Value(value));
        read.map_err(|complaint| {
            let step = Step::Key { name: key.get_ref().to_string(), kind: kind(value) };
            complaint.below(step, value.span())
        })
    }
}

struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Spanned<DeValue<'de>>>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Complaint;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Complaint> {
        let Some((place, value)) = self.0.next() else { return Ok(None) };
        let read = seed.deserialize(Value(value)).map(Some);
        read.map_err(|complaint| {
            complaint.below(Step::Item { place, kind: kind(value) }, value.span())
        })
    }
}

/// The `type` of a table.
fn kind(value: &Spanned<DeValue<'_>>) -> Option<String> {
    let DeValue::Table(table) = value.get_ref() else { return None };
    match table.get("type")?.get_ref() {
        DeValue::String(name) => Some(name.to_string()),
        _ => None,
    }
}
