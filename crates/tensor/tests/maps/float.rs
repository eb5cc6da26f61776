//! Floating-point numbers as places on a line of neighbours.

use tensor::Element;

pub trait Float: Element {
    /// Bits of the mantissa without the hidden one, and the least exponent of a normal
    /// number.
    const MANTISSA: i32;
    const LEAST_EXPONENT: i32;
    const LARGEST: f64;

    /// Places on the line: neighbours differ by one, 0 and -0 share place 0.
    fn place(self) -> i64;
    /// The number at a place; beyond ±∞ lies NaN.
    fn at(place: i64) -> Self;
    fn bits(self) -> u64;
}

macro_rules! float {
    ($t:ty, $int:ty, $uint:ty, $least:literal) => {
        impl Float for $t {
            const MANTISSA: i32 = <$t>::MANTISSA_DIGITS as i32 - 1;
            const LEAST_EXPONENT: i32 = $least;
            const LARGEST: f64 = <$t>::MAX as f64;

            fn place(self) -> i64 {
                let bits = self.to_bits() as $int;
                i64::from(if bits < 0 { <$int>::MIN.wrapping_sub(bits) } else { bits })
            }
            fn at(place: i64) -> Self {
                Self::from_bits(place.unsigned_abs() as $uint).copysign(if place < 0 {
                    -1.0
                } else {
                    1.0
                })
            }
            fn bits(self) -> u64 {
                u64::from(self.to_bits())
            }
        }
    };
}

float!(f32, i32, u32, -126);
float!(f64, i64, u64, -1022);

/// How far `found` is from `exact + rest`, in units of the last place of a `T` of that
/// size: the distance between neighbours there, and at the bottom that of denormals.
///
/// Beyond the largest number the unit is a step on the line that ends with infinity.
pub fn error_in_ulps<T: Float>(found: T, exact: f64, rest: f64) -> f64 {
    let nearest = T::from_f64(exact);
    if nearest.to_f64().is_nan() || found.to_f64().is_nan() {
        return if found.to_f64().is_nan() == exact.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if found == nearest && exact.abs() > T::LARGEST {
        return 0.0;
    }
    if !found.is_finite() || !nearest.is_finite() {
        return (found.place() - nearest.place()).abs() as f64;
    }
    let exponent = if exact == 0.0 { T::LEAST_EXPONENT } else { libm::ilogb(exact) };
    // Divided in two steps: the distance between denormals is not a normal number.
    let exponent = exponent.max(T::LEAST_EXPONENT);
    let difference = (found.to_f64() - exact) - rest;
    libm::ldexp(libm::ldexp(difference, -exponent), T::MANTISSA).abs()
}
