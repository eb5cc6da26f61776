use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::size::Size;
use crate::tagged::number_or_pair;

/// The padding around the input of a convolution or a pooling: `"valid"`, `"same"`, a number, one
/// for rows and one for columns, `[1, 2]`, or one before and one after for each of them,
/// `[[1, 2], [0, 3]]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// None.
    #[default]
    Valid,
    /// As much as makes the output as high and as wide as the input or, with a stride, as the input
    /// divided by it, rounded up. If that is odd, the larger half is at the bottom and at the
    /// right, as in PyTorch and TensorFlow.
    Same,
    /// This many rows above and below, and columns left and right.
    Zeros(usize, usize),
    /// Rows above and below, and columns to the left and to the right.
    Around([usize; 2], [usize; 2]),
}

impl Padding {
    pub(crate) fn is_valid(&self) -> bool {
        *self == Self::Valid
    }

    /// The padding before and after `size` rows (axis 0) or columns (axis 1), for a kernel that
    /// spans `kernel` of them.
    pub(crate) fn around(
        self,
        axis: usize,
        size: usize,
        kernel: usize,
        stride: usize,
    ) -> [usize; 2] {
        match self {
            Self::Valid => [0; 2],
            Self::Zeros(rows, columns) => [[rows, columns][axis]; 2],
            Self::Around(rows, columns) => [rows, columns][axis],
            Self::Same => {
                let last = size.saturating_sub(1) / stride.max(1) * stride;
                let total = kernel.saturating_sub(size - last);
                [total / 2, total - total / 2]
            }
        }
    }
}

impl Serialize for Padding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Valid => serializer.serialize_str("valid"),
            Self::Same => serializer.serialize_str("same"),
            Self::Zeros(rows, columns) if rows == columns => rows.serialize(serializer),
            Self::Zeros(rows, columns) => [rows, columns].serialize(serializer),
            Self::Around(rows, columns) => [rows, columns].serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Padding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "\"valid\", \"same\", a whole number, [rows, columns], or \
                        [[above, below], [left, right]]";
        number_or_pair::<D, Side, Self>(deserializer, expected, |name| match name {
            "valid" => Some(Self::Valid),
            "same" => Some(Self::Same),
            _ => None,
        })
    }
}

/// The padding of one axis: the same on both sides, or before and after.
struct Side(Size);

impl From<usize> for Side {
    fn from(both: usize) -> Self {
        Self(both.into())
    }
}

impl From<[usize; 2]> for Side {
    fn from(pair: [usize; 2]) -> Self {
        Self(pair.into())
    }
}

impl<'de> Deserialize<'de> for Side {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        number_or_pair(deserializer, "a whole number, or [before, after]", |_| None)
    }
}

impl From<[Side; 2]> for Padding {
    fn from([rows, columns]: [Side; 2]) -> Self {
        Self::from([rows.0, columns.0])
    }
}

impl From<usize> for Padding {
    fn from(side: usize) -> Self {
        Self::Zeros(side, side)
    }
}

impl From<[Size; 2]> for Padding {
    fn from(sides: [Size; 2]) -> Self {
        match sides {
            [Size::Square(rows), Size::Square(columns)] => Self::Zeros(rows, columns),
            [rows, columns] => Self::Around(rows.pair(), columns.pair()),
        }
    }
}

/// The padding in a layer's summary, after a comma; empty if there is none.
impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid => Ok(()),
            Self::Same => f.write_str(", same"),
            Self::Zeros(rows, columns) => write!(f, ", padding {rows}×{columns}"),
            Self::Around(rows, columns) => write!(f, ", padding {rows:?}×{columns:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Padding;

    #[test]
    fn text() {
        for (padding, text) in [
            (Padding::Valid, r#""valid""#),
            (Padding::Same, r#""same""#),
            (Padding::Zeros(2, 2), "2"),
            (Padding::Zeros(1, 2), "[1,2]"),
            (Padding::Around([1, 2], [0, 3]), "[[1,2],[0,3]]"),
        ] {
            assert_eq!(serde_json::to_string(&padding).unwrap(), text);
            assert_eq!(serde_json::from_str::<Padding>(text).unwrap(), padding);
        }
        let mixed: Padding = serde_json::from_str("[1, [0, 3]]").unwrap();
        assert_eq!(mixed, Padding::Around([1, 1], [0, 3]));
        let error = serde_json::from_str::<Padding>("[[1, 2], [3]]").unwrap_err().to_string();
        assert!(error.contains("expected a whole number, or [before, after]"), "{error}");
        let error = serde_json::from_str::<Padding>(r#""full""#).unwrap_err().to_string();
        assert!(error.contains("expected \"valid\", \"same\", a whole number"), "{error}");
    }

    #[test]
    fn same_keeps_the_size_and_has_its_larger_half_last() {
        assert_eq!(Padding::Same.around(0, 7, 3, 1), [1, 1]);
        assert_eq!(Padding::Same.around(1, 7, 4, 1), [1, 2]);
        assert_eq!(Padding::Same.around(1, 28, 3, 2), [0, 1]);
    }
}
