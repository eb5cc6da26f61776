//! Slices of every length, and the maps that are formulas of a few operations.

use tensor::activation::{Activation, Relu, Sigmoid, Tanh};
use tensor::map;
use tensor::simd::Level;

use crate::float::Float;
use crate::maps;

/// Numbers of many sizes and both signs; a prime count, so that no lane meets one twice.
fn mixed<T: Float>() -> Vec<T> {
    let mut all: Vec<_> = [0.0, -0.0, 1e-40, -1e-40, f64::INFINITY, -f64::INFINITY, f64::NAN]
        .map(T::from_f64)
        .to_vec();
    for step in 0..12 {
        let x = 0.37 * f64::from(step + 1) * 1.7_f64.powi(step - 5);
        all.extend([T::from_f64(x), T::from_f64(-1.3 * x), T::from_f64(x * 1e-3)]);
    }
    assert_eq!(all.len(), 43);
    all
}

/// The same, none of them infinite or NaN.
fn finite<T: Float>() -> Vec<T> {
    mixed::<T>().into_iter().filter(|x| x.is_finite()).collect()
}

/// Each value at each place of slices of 1 to 40 numbers, with all sorts of neighbours.
pub fn place_and_length_change_no_bit<T: Float>(level: Level) {
    let x = mixed::<T>();
    for map in maps::<T>() {
        let single: Vec<_> = x.iter().map(|&x| map.of(x)).collect();
        for len in 1..=40 {
            for start in 0..x.len() {
                let from: Vec<_> = (0..len).map(|at| x[(start + at) % x.len()]).collect();
                for (at, y) in map.of_all(&from).into_iter().enumerate() {
                    let expected = single[(start + at) % x.len()];
                    let same = y.bits() == expected.bits()
                        || y.to_f64().is_nan() && expected.to_f64().is_nan();
                    let what = format!("{} of {:?} on {level}", map.name, from[at]);
                    assert!(same, "{what}, place {at} of {len}: expected {expected}, got {y}");
                }
            }
        }
    }
}

/// A map of two operands beside its formula.
type Pair<T> = (&'static str, fn(&mut [T], &[T]), fn(T, T) -> T);

pub fn simple_maps_are_their_formulas<T: Float>(level: Level) {
    let pairs: [Pair<T>; 5] = [
        ("sigmoid_gradient", |g, y| Sigmoid.multiply_derivative(g, y), |g, y| y * (T::ONE - y) * g),
        (
            "tanh_gradient",
            |g, y| Tanh.multiply_derivative(g, y),
            |g, y| (-y).mul_add(y, T::ONE) * g,
        ),
        (
            "relu_gradient",
            |g, y| Relu.multiply_derivative(g, y),
            |g, y| if y > T::ZERO { g } else { T::ZERO },
        ),
        ("add", map::add, |y, x| y + x),
        (
            "add_scaled",
            |y, x| map::add_scaled(y, T::from_f64(-0.3), x),
            |y, x| T::from_f64(-0.3).mul_add(x, y),
        ),
    ];
    let x = finite::<T>();
    for len in 0..=40 {
        let a = &x[..len.min(x.len())];
        let b: Vec<_> = x.iter().rev().copied().cycle().skip(len).take(a.len()).collect();
        for (name, apply, formula) in pairs {
            let mut found = a.to_vec();
            apply(&mut found, &b);
            for (at, y) in found.into_iter().enumerate() {
                let expected = formula(a[at], b[at]);
                let what = format!("{name} of {:?} and {:?} on {level}", a[at], b[at]);
                assert!(y.bits() == expected.bits(), "{what}: expected {expected}, got {y}");
            }
        }
        let mut found = a.to_vec();
        Relu.apply(&mut found);
        for (&x, y) in a.iter().zip(found) {
            let expected = if x > T::ZERO { x } else { T::ZERO };
            assert!(y.bits() == expected.bits(), "relu of {x:?} on {level}: got {y}");
        }
    }
    let mut ends = [f64::NAN, f64::INFINITY, -f64::INFINITY].map(T::from_f64);
    Relu.apply(&mut ends);
    assert!(ends[0].to_f64().is_nan(), "relu of NaN on {level}: got {}", ends[0]);
    assert_eq!(ends[1..], [f64::INFINITY, 0.0].map(T::from_f64), "relu of ±∞ on {level}");
}
