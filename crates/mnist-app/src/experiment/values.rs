//! What the keys of an experiment may be set to.

use std::path::PathBuf;

use layers::TrainerConfig;
use serde::de::{self, Unexpected};
use serde::{Deserialize, Deserializer};

use crate::dataset::Classes;

/// What a learning rate may be.
pub(crate) const LEARNING_RATE: &str = "a finite number, not negative";

/// Whether a number is a learning rate.
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
    optional(deserializer, TrainerConfig::check_clip_norm)
}

/// What a target accuracy may be.
pub(crate) const ACCURACY: &str = "a fraction from 0 to 1, such as 0.85 for 85 %";

/// Whether a number is a target accuracy.
pub(crate) fn is_accuracy(fraction: f64) -> bool {
    (0.0..=1.0).contains(&fraction)
}

pub(super) fn accuracy<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    optional(deserializer, |x| if is_accuracy(x) { Ok(()) } else { Err(ACCURACY) })
}

/// What a part of the data may be.
const SHARE: &str = "a fraction above 0 and below 1, such as 0.2 for a fifth";

pub(super) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    optional(deserializer, |x| if 0.0 < x && x < 1.0 { Ok(()) } else { Err(SHARE) })
}

pub(super) fn average<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    optional(deserializer, TrainerConfig::check_average)
}

fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
    check: impl Fn(f64) -> Result<(), &'static str>,
) -> Result<Option<f64>, D::Error> {
    let found = f64::deserialize(deserializer)?;
    match check(found) {
        Ok(()) => Ok(Some(found)),
        Err(expected) => Err(de::Error::invalid_value(Unexpected::Float(found), &expected)),
    }
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

pub(super) fn sha256<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() == 64 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(Some(text));
    }
    Err(de::Error::invalid_value(
        Unexpected::Str(&text),
        &"64 digits of a SHA-256, 0 to 9 and a to f",
    ))
}

/// The largest side of an input picture.
const MOST_PIXELS: usize = 4096;

pub(super) fn size<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<[usize; 2]>, D::Error> {
    let sides = Vec::<usize>::deserialize(deserializer)?;
    let fits = |side: &usize| (1..=MOST_PIXELS).contains(side);
    match *sides.as_slice() {
        [height, width] if sides.iter().all(fits) => Ok(Some([height, width])),
        _ => {
            let found = format!("{sides:?}");
            let expected = "[height, width], each from 1 to 4096 pixels";
            Err(de::Error::invalid_value(Unexpected::Other(&found), &expected))
        }
    }
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
    Classes::named(&names).map_err(de::Error::custom)?;
    Ok(Some(names))
}

pub(super) fn in_name(c: char) -> bool {
    c.is_alphanumeric() || "-_.".contains(c)
}
