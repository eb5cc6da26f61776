//! What the keys of an experiment may be set to.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::de::{self, Unexpected};
use serde::{Deserialize, Deserializer};

/// A label of an IDX file is a byte.
const MOST_CLASSES: usize = 256;

/// What a learning rate is.
pub(crate) const LEARNING_RATE: &str = "a finite number, not negative";

/// Whether a rate can be one.
pub(crate) fn is_learning_rate(rate: f64) -> bool {
    rate.is_finite() && rate >= 0.0
}

pub(super) fn learning_rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let rate = f64::deserialize(deserializer)?;
    if is_learning_rate(rate) {
        return Ok(rate);
    }
    Err(de::Error::invalid_value(Unexpected::Float(rate), &LEARNING_RATE))
}

pub(super) fn clip_norm<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    optional(deserializer, "a finite number above 0", |x| x > 0.0 && x.is_finite())
}

/// What a target is.
pub(crate) const ACCURACY: &str = "a fraction from 0 to 1, such as 0.85 for 85 %";

/// Whether a fraction can be one.
pub(crate) fn is_accuracy(fraction: f64) -> bool {
    (0.0..=1.0).contains(&fraction)
}

pub(super) fn accuracy<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    optional(deserializer, ACCURACY, is_accuracy)
}

pub(super) fn average<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    optional(deserializer, "a number from 0 to less than 1", |x| (0.0..1.0).contains(&x))
}

fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &str,
    fits: impl Fn(f64) -> bool,
) -> Result<Option<f64>, D::Error> {
    let found = f64::deserialize(deserializer)?;
    if fits(found) {
        return Ok(Some(found));
    }
    Err(de::Error::invalid_value(Unexpected::Float(found), &expected))
}

pub(super) fn path<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    if path.as_os_str().is_empty() {
        return Err(de::Error::invalid_value(Unexpected::Str(""), &"path string"));
    }
    Ok(Some(path))
}

pub(super) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name.chars().all(in_name) && !name.starts_with('.') {
        return Ok(name);
    }
    let expected = &"letters, digits, '-', '_' and '.', the first of them no '.'";
    Err(de::Error::invalid_value(Unexpected::Str(&name), expected))
}

pub(super) fn classes<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let refuse = |expected: &str, found: &str| {
        Err(de::Error::custom(format!("expected {expected}, found {found}")))
    };
    if names.is_empty() || names.len() > MOST_CLASSES {
        let expected = format!("from 1 to {MOST_CLASSES} names");
        return refuse(&expected, &names.len().to_string());
    }
    if let Some(name) = names.iter().find(|name| name.is_empty() || name.contains(char::is_control))
    {
        let expected = "names with at least one character and no control characters";
        return refuse(expected, &format!("{name:?}"));
    }
    let mut seen = HashSet::new();
    if let Some(name) = names.iter().find(|name| !seen.insert(name.as_str())) {
        return refuse("each name once", &format!("{name:?} twice"));
    }
    Ok(Some(names))
}

pub(super) fn in_name(c: char) -> bool {
    c.is_alphanumeric() || "-_.".contains(c)
}
