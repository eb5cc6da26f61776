//! Sums in a fixed order.

use crate::Element;
use crate::Scratch;
use crate::matrix::multiply_vector;

/// `Σ a_i b_i` with 16 lanes of 32 bits (or 8 of 64), added by halves.
///
/// # Panics
/// If the slices differ in length.
#[track_caller]
pub fn dot<T: Element>(a: &[T], b: &[T]) -> T {
    let mut sum = [T::ZERO];
    multiply_vector(a, b, None, &mut sum, &Scratch::sequential());
    sum[0]
}

/// The sum of the numbers in `f64`, in order.
pub fn sum<T: Element>(x: &[T]) -> f64 {
    x.iter().map(|x| x.to_f64()).sum()
}

/// The place of the largest number; the first of several; NaN is never it.
///
/// # Panics
/// If `x` is empty.
pub fn argmax<T: Element>(x: &[T]) -> usize {
    assert!(!x.is_empty(), "argmax: expected at least one number");
    let mut best = 0;
    for (place, &value) in x.iter().enumerate() {
        if value > x[best] || x[best] != x[best] {
            best = place;
        }
    }
    best
}
