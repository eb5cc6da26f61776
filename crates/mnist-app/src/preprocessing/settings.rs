//! What may be chosen for the preprocessing of pictures.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How a picture of another shape comes to the size of the inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Height and width are scaled alone: proportions may change.
    #[default]
    Resize,
    /// Scaled until it covers the size; what stands over is cut off evenly.
    Crop,
    /// Scaled until it is within the size; the rest is filled evenly with its border's colour.
    Pad,
}

/// The channels of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// One channel.
    Grey,
    /// Red, green and blue.
    Rgb,
}

impl Colour {
    /// How many channels these are.
    pub fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

/// Whether light and dark change places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Invert {
    /// They do not.
    #[default]
    Never,
    /// In every picture.
    Always,
    /// In each picture whose border is light, so that its ground becomes dark.
    Auto,
}

impl Serialize for Invert {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Never => serializer.serialize_bool(false),
            Self::Always => serializer.serialize_bool(true),
            Self::Auto => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for Invert {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Invert;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or \"auto\"")
            }

            fn visit_bool<E: de::Error>(self, inverts: bool) -> Result<Invert, E> {
                Ok(if inverts { Invert::Always } else { Invert::Never })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Invert, E> {
                match text {
                    "auto" => Ok(Invert::Auto),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// What pictures show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// Anything.
    #[default]
    Picture,
    /// A digit each, which is brought to the form of MNIST's.
    Digit,
}

/// How bytes become numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// From 0 to 1.
    #[default]
    Unit,
    /// Of the training pictures each channel gets mean 0 and standard deviation 1.
    Standard,
}

/// What becomes of a file that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Broken {
    /// The run is refused.
    #[default]
    Error,
    /// It is left out, which is told.
    Skip,
}

/// The colour behind transparent pixels: red, green and blue. As text `#ffffff`, or `white` or
/// `black`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Background(pub [u8; 3]);

impl Default for Background {
    fn default() -> Self {
        Self([u8::MAX; 3])
    }
}

impl Background {
    const EXPECTED: &str = "\"white\", \"black\", or a colour as \"#ff8000\"";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "white" => return Some(Self([u8::MAX; 3])),
            "black" => return Some(Self([0; 3])),
            _ => {}
        }
        let digits = text.strip_prefix('#').filter(|digits| {
            digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })?;
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        Some(Self([byte(0)?, byte(2)?, byte(4)?]))
    }
}

impl Serialize for Background {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [red, green, blue] = self.0;
        match self.0 {
            [u8::MAX, u8::MAX, u8::MAX] => serializer.serialize_str("white"),
            [0, 0, 0] => serializer.serialize_str("black"),
            _ => serializer.serialize_str(&format!("#{red:02x}{green:02x}{blue:02x}")),
        }
    }
}

impl<'de> Deserialize<'de> for Background {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let expected = &Self::EXPECTED;
        Self::parse(&text)
            .ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&text), expected))
    }
}

#[cfg(test)]
mod tests {
    use super::{Background, Invert};

    #[test]
    fn colours_are_names_or_six_digits() {
        for (text, expected) in [
            ("\"white\"", Some([255; 3])),
            ("\"black\"", Some([0; 3])),
            ("\"#FF8000\"", Some([255, 128, 0])),
            ("\"#ff80\"", None),
            ("\"ff8000\"", None),
            ("\"#ff80é\"", None),
            ("\"red\"", None),
        ] {
            let found: Option<Background> = serde_json::from_str(text).ok();
            assert_eq!(found, expected.map(Background), "{text}");
        }
        for colour in [[255; 3], [0; 3], [1, 20, 255]].map(Background) {
            let text = serde_json::to_string(&colour).unwrap();
            assert_eq!(serde_json::from_str::<Background>(&text).unwrap(), colour);
        }
    }

    #[test]
    fn inversion_is_a_truth_value_or_auto() {
        for invert in [Invert::Never, Invert::Always, Invert::Auto] {
            let text = serde_json::to_string(&invert).unwrap();
            assert_eq!(serde_json::from_str::<Invert>(&text).unwrap(), invert);
        }
        assert!(serde_json::from_str::<Invert>("\"yes\"").is_err());
    }
}
