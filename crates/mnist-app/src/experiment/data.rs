//! What an experiment says of its data: `data = "DIR"`, or the table `[data]`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::values;
use crate::preprocessing::{Background, Colour, Fit, Form, Invert};

/// Where the data of an experiment are, and the form of their pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataKeys {
    /// The folder of the images, as for `--data`; MNIST if absent.
    pub path: Option<PathBuf>,
    /// The form of the pictures.
    pub form: Form,
}

/// The table, as text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, deserialize_with = "values::path", skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
    #[serde(default, deserialize_with = "values::size", skip_serializing_if = "Option::is_none")]
    size: Option<[usize; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fit: Option<Fit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    colour: Option<Colour>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    background: Option<Background>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invert: Option<Invert>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transpose: Option<bool>,
}

impl DataKeys {
    /// The folder of the images.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What of it decides numbers: not where the data are, as these have digests. None if nothing.
    pub(super) fn identity(&self) -> Option<Self> {
        let identity = Self { path: None, ..self.clone() };
        (identity != Self::default()).then_some(identity)
    }
}

impl Serialize for DataKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let (Some(path), true) = (&self.path, self.form.is_open()) {
            return path.serialize(serializer);
        }
        let Form { size, fit, colour, background, invert, transpose } = self.form;
        let path = self.path.clone();
        Table { path, size, fit, colour, background, invert, transpose }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DataKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PathOrTable)
    }
}

/// By hand, since serde's untagged enums lose the place of an error.
struct PathOrTable;

impl<'de> Visitor<'de> for PathOrTable {
    type Value = DataKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path in quotes or a table [data]")
    }

    fn visit_str<E: de::Error>(self, path: &str) -> Result<DataKeys, E> {
        if path.is_empty() {
            return Err(E::invalid_value(Unexpected::Str(""), &"path string"));
        }
        Ok(DataKeys { path: Some(path.into()), form: Form::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DataKeys, A::Error> {
        let table = Table::deserialize(MapAccessDeserializer::new(map))?;
        let Table { path, size, fit, colour, background, invert, transpose } = table;
        if fit.is_some() && size.is_none() {
            return Err(de::Error::custom("fit: expected size = [height, width] beside it"));
        }
        Ok(DataKeys { path, form: Form { size, fit, colour, background, invert, transpose } })
    }
}
