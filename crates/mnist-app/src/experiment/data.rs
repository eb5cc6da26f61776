//! What an experiment says of its data: `data = "DIR"`, or the table `[data]`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::values;
use crate::preprocessing::{Background, Broken, Colour, Fit, Form, Invert, Normalize, Style};

/// Where the data of an experiment are, and the form of their pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataKeys {
    /// The folder of the images, or their file, as for `--data`; MNIST if absent.
    pub path: Option<PathBuf>,
    /// The form of the pictures.
    pub form: Form,
}

/// The table as it is written.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a Path>,
    #[serde(flatten)]
    form: Form,
}

/// The table as it is read: one structure, since serde's `flatten` knows no foreign keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, deserialize_with = "values::path")]
    path: Option<PathBuf>,
    #[serde(default, deserialize_with = "values::size")]
    size: Option<[usize; 2]>,
    #[serde(default)]
    fit: Option<Fit>,
    #[serde(default)]
    colour: Option<Colour>,
    #[serde(default)]
    background: Option<Background>,
    #[serde(default)]
    invert: Option<Invert>,
    #[serde(default)]
    transpose: Option<bool>,
    #[serde(default)]
    style: Option<Style>,
    #[serde(default)]
    normalize: Option<Normalize>,
    #[serde(default)]
    broken: Option<Broken>,
    #[serde(default, deserialize_with = "values::share")]
    test: Option<f64>,
    #[serde(default, deserialize_with = "values::share")]
    validation: Option<f64>,
}

impl Table {
    fn keys(self) -> DataKeys {
        let Self { path, size, fit, colour, background, invert, transpose, .. } = self;
        let Self { style, normalize, broken, test, validation, .. } = self;
        let form = Form {
            size,
            fit,
            colour,
            background,
            invert,
            transpose,
            style,
            normalize,
            broken,
            test,
            validation,
        };
        DataKeys { path, form }
    }
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
        Written { path: self.path(), form: self.form }.serialize(serializer)
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
        if table.fit.is_some() && table.size.is_none() {
            return Err(de::Error::custom("fit: expected size = [height, width] beside it"));
        }
        if table.background.is_some() && table.style == Some(Style::Digit) {
            return Err(de::Error::custom(
                "background: expected none beside style = \"digit\", which takes the one on which \
                 the ink is seen",
            ));
        }
        let shares = [table.test, table.validation].map(Option::unwrap_or_default);
        if shares.iter().sum::<f64>() >= 1.0 {
            let [test, validation] = shares;
            return Err(de::Error::custom(format!(
                "test: expected a share that leaves some to learn from, found test = {test} and \
                 validation = {validation}, {} together",
                test + validation
            )));
        }
        Ok(table.keys())
    }
}
