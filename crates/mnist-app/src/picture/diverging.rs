//! Colours for signed numbers, alike on both sides of 0.

use std::fmt;

use tensor::Element;

use super::{Colour, byte};
use crate::passes::{minus, short};

/// Colours from the largest negative number to 0, then to the largest positive one: `RdBu` of
/// `ColorBrewer` (Cynthia Brewer, Mark Harrower and others), which those see too who are blind to
/// some colours.
const ANCHORS: [Colour; 11] = [
    [0x05, 0x30, 0x61],
    [0x21, 0x66, 0xac],
    [0x43, 0x93, 0xc3],
    [0x92, 0xc5, 0xde],
    [0xd1, 0xe5, 0xf0],
    [0xf7, 0xf7, 0xf7],
    [0xfd, 0xdb, 0xc7],
    [0xf4, 0xa5, 0x82],
    [0xd6, 0x60, 0x4d],
    [0xb2, 0x18, 0x2b],
    [0x67, 0x00, 0x1f],
];

/// What is not finite.
const NOT_FINITE: Colour = [0xff, 0xd7, 0x00];

/// The range of colours: from minus the largest absolute value to plus that. Prints as
/// `−0.52 to 0.52`, for a caption.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    largest: f64,
}

impl Scale {
    /// For these numbers, of which those are left out that are not finite.
    pub(crate) fn of<T: Element>(numbers: &[T]) -> Self {
        let sizes = numbers.iter().map(|number| number.to_f64().abs());
        Self { largest: sizes.filter(|size| size.is_finite()).fold(0.0, f64::max) }
    }

    /// From −1 to 1: which part of the largest absolute value a number is. NaN if it is not finite.
    pub(crate) fn part(self, number: f64) -> f64 {
        match number.is_finite() {
            true if self.largest == 0.0 => 0.0,
            true => (number / self.largest).clamp(-1.0, 1.0),
            false => f64::NAN,
        }
    }

    /// The colour of a number.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10")]
    pub(crate) fn colour(self, number: f64) -> Colour {
        let part = self.part(number);
        if part.is_nan() {
            return NOT_FINITE;
        }
        let last = ANCHORS.len() - 1;
        let place = (part + 1.0) / 2.0 * last as f64;
        let below = (place as usize).min(last - 1);
        let share = place - below as f64;
        let mix = |channel: usize| {
            let [a, b] = [below, below + 1].map(|at| f64::from(ANCHORS[at][channel]));
            byte(a + share * (b - a))
        };
        [0, 1, 2].map(mix)
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "−{0} to {0}", minus(&short(self.largest)))
    }
}

#[cfg(test)]
mod tests {
    use super::{ANCHORS, NOT_FINITE, Scale};

    #[test]
    fn zero_is_in_the_middle_whatever_the_numbers_are() {
        let scale = Scale::of(&[1.0, 0.25, -2.0, f64::INFINITY]);
        assert_eq!(scale.to_string(), "−2.000 to 2.000");
        assert_eq!(scale.colour(0.0), ANCHORS[5]);
        assert_eq!(scale.colour(-2.0), ANCHORS[0]);
        assert_eq!(scale.colour(2.0), ANCHORS[10]);
        assert_eq!(scale.colour(7.0), ANCHORS[10]);
        assert_eq!(scale.colour(0.4), ANCHORS[6]);
        assert_eq!(scale.colour(f64::NAN), NOT_FINITE);
        assert_eq!(Scale::of::<f32>(&[]).colour(0.0), ANCHORS[5]);
    }
}
