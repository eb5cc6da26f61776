use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::tagged::number_or_pair;

/// Height and width, or a number for rows and one for columns; written as one number if they are
/// equal.
///
/// Settings take either form, `stride(2)` or `stride([2, 1])`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Size {
    /// Both the same.
    Square(usize),
    /// Height and width, rows and columns.
    Rectangle([usize; 2]),
}

impl Size {
    pub(crate) fn pair(self) -> [usize; 2] {
        match self {
            Self::Square(side) => [side; 2],
            Self::Rectangle(pair) => pair,
        }
    }
}

impl From<usize> for Size {
    fn from(side: usize) -> Self {
        Self::Square(side)
    }
}

impl From<[usize; 2]> for Size {
    fn from(pair: [usize; 2]) -> Self {
        Self::Rectangle(pair)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [height, width] = self.pair();
        write!(f, "{height}×{width}")
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        number_or_pair(deserializer, "a whole number, or [height, width]", |_| None)
    }
}
