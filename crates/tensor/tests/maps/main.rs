//! The element-wise maps: how far from the exact values, monotone, within their range,
//! exact at the ends, and the same bits on every SIMD level, at every place of a slice
//! and for every length of it.
//!
//! One test function: the level is a property of the process. `--nocapture` shows the
//! largest errors.

#[path = "../it/fixtures.rs"]
mod fixtures;
mod float;
mod places;
mod sweep;

use tensor::activation::{Activation, Sigmoid, Tanh};
use tensor::map;
use tensor::simd::{Level, set_level};

use float::Float;

/// A map and what is known of it.
#[derive(Clone, Copy)]
struct Map<T> {
    name: &'static str,
    apply: fn(&mut [T]),
    exact: fn(f64) -> f64,
    /// The least and the largest value, taken on at -∞ and ∞.
    range: [f64; 2],
}

fn maps<T: Float>() -> [Map<T>; 3] {
    /// Without the cancellation of 1 − 1/(1 + e⁻ˣ) where the result is small.
    fn sigmoid(x: f64) -> f64 {
        let z = libm::exp(-x.abs());
        if x < 0.0 { z / (1.0 + z) } else { 1.0 / (1.0 + z) }
    }
    [
        Map { name: "exp", apply: map::exp, exact: libm::exp, range: [0.0, f64::INFINITY] },
        Map { name: "tanh", apply: |x| Tanh.apply(x), exact: libm::tanh, range: [-1.0, 1.0] },
        Map { name: "sigmoid", apply: |x| Sigmoid.apply(x), exact: sigmoid, range: [0.0, 1.0] },
    ]
}

impl<T: Float> Map<T> {
    fn of(&self, x: T) -> T {
        let mut one = [x];
        (self.apply)(&mut one);
        one[0]
    }

    fn of_all(&self, x: &[T]) -> Vec<T> {
        let mut all = x.to_vec();
        (self.apply)(&mut all);
        all
    }
}

/// Runs `test` on each level that the processor has.
fn on_each_level(mut test: impl FnMut(Level)) {
    for level in Level::available() {
        set_level(level).expect("an available level");
        test(level);
    }
}

#[test]
fn maps_keep_their_promises_on_every_level() {
    sweep::errors_over_the_whole_range();
    sweep::errors_of_double_precision();
    on_each_level(|level| {
        sweep::special_values::<f32>(level);
        sweep::special_values::<f64>(level);
        sweep::monotone::<f32>(level, 1 << 16);
        sweep::monotone::<f64>(level, 1 << 13);
        places::place_and_length_change_no_bit::<f32>(level);
        places::place_and_length_change_no_bit::<f64>(level);
        places::simple_maps_are_their_formulas::<f32>(level);
        places::simple_maps_are_their_formulas::<f64>(level);
    });
}
