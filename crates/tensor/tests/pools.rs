//! Pooling against its readable twins, on every SIMD level, with outputs full of NaN
//! beforehand; and the levels against each other, bit by bit.
//!
//! One test function: the level is a property of the process.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use tensor::activation::{Activation, Relu};
use tensor::simd::{Level, set_level};
use tensor::{Element, Pooling, Windows, reference};

/// Few different numbers, so that windows have several largest ones.
fn numbers<T: Element>(len: usize, seed: u64, values: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        T::from_f64((state >> 11 & 0xFFFF_FFFF) as f64 % values as f64 - 3.0)
    };
    (0..len).map(|_| next()).collect()
}

fn pooling() -> impl Strategy<Value = (Pooling, usize)> {
    let sizes = (1..=3usize, 1..=5usize, 2..=9usize, 2..=41usize);
    let window =
        prop_oneof![Just(([2, 2], [2, 2])), ([1..=4usize, 1..=4usize], [1..=3usize, 1..=3usize]),];
    let edges = prop_oneof![
        1 => Just(([[0; 2]; 2], false)),
        1 => ([[0..=2usize, 0..=2usize], [0..=2usize, 0..=2usize]], any::<bool>()),
    ];
    let all = (sizes, window, edges, any::<bool>());
    all.prop_filter_map("the window fits", |(sizes, (size, stride), edges, count_padding)| {
        let ((n, c, h, w), (padding, ceil_mode)) = (sizes, edges);
        let windows = Windows { size, stride, padding, ceil_mode, count_padding };
        Some((Pooling::with_windows([c, h, w], windows).ok()?, n))
    })
}

fn agrees<T: Element>(pooling: &Pooling, n: usize) {
    let (inputs, outputs) = (pooling.input_shape().len(), pooling.output_shape().len());
    let x = numbers::<T>(n * inputs, 1, 7);
    let g = numbers::<T>(n * outputs, 2, 1000);
    let nan = T::from_f64(f64::NAN);
    let mut expected =
        [vec![nan; g.len()], vec![nan; x.len()], vec![nan; g.len()], vec![nan; x.len()]];
    for sample in 0..n {
        let (i, o) =
            (sample * inputs..(sample + 1) * inputs, sample * outputs..(sample + 1) * outputs);
        let [y, dx, mean, mean_dx] = &mut expected;
        reference::max_pool(pooling, &x[i.clone()], &mut y[o.clone()]);
        reference::max_pool_gradient(pooling, &x[i.clone()], &g[o.clone()], &mut dx[i.clone()]);
        reference::mean_pool(pooling, &x[i.clone()], &mut mean[o.clone()]);
        reference::mean_pool_gradient(pooling, &g[o.clone()], &mut mean_dx[i]);
    }
    let mut first: Option<[Vec<T>; 4]> = None;
    for level in Level::available() {
        set_level(level).expect("an available level");
        let mut found = expected.clone().map(|numbers| vec![nan; numbers.len()]);
        let [y, dx, mean, mean_dx] = &mut found;
        pooling.max(&x, y);
        pooling.max_gradient(&x, &g, dx);
        pooling.mean(&x, mean);
        pooling.mean_gradient(&g, mean_dx);
        assert_eq!(found[..2], expected[..2], "maximum on {level}");
        for (found, expected) in found[2..].iter().flatten().zip(expected[2..].iter().flatten()) {
            let difference = (*found - *expected).abs();
            let bound = T::from_f64(16.0) * T::EPSILON * (T::ONE + expected.abs());
            assert!(difference <= bound * T::from_f64(100.0), "{found} {expected}");
        }
        match &first {
            None => first = Some(found),
            Some(first) => assert!(*first == found, "means on {level}"),
        }
    }
}

/// The rectifier and the pooling in one pass against one after the other, to the bit, with
/// a few numbers that are not finite.
fn rectified_agrees<T: Element>(pooling: &Pooling, n: usize) {
    let (inputs, outputs) = (pooling.input_shape().len(), pooling.output_shape().len());
    let mut x = numbers::<T>(n * inputs, 3, 7);
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0].map(T::from_f64);
    for (at, &value) in odd.iter().enumerate().skip(n % 3) {
        let place = (17 * at + inputs) % x.len();
        x[place] = value;
    }
    let g = numbers::<T>(n * outputs, 4, 1000);
    let nan = T::from_f64(f64::NAN);
    let bits = |numbers: &[T]| {
        let mut bytes = Vec::new();
        T::extend_le_bytes(numbers, &mut bytes);
        bytes
    };
    for level in Level::available() {
        set_level(level).expect("an available level");
        let mut rectified = x.clone();
        Relu.apply(&mut rectified);
        let [mut expected, mut found] = [(); 2].map(|()| (vec![nan; g.len()], vec![nan; x.len()]));
        pooling.max(&rectified, &mut expected.0);
        pooling.max_gradient(&rectified, &g, &mut expected.1);
        Relu.multiply_derivative(&mut expected.1, &rectified);
        pooling.rectified_max(&x, &mut found.0);
        pooling.rectified_max_gradient(&x, &g, &mut found.1);
        assert_eq!(bits(&found.0), bits(&expected.0), "rectified maximum on {level}");
        assert_eq!(bits(&found.1), bits(&expected.1), "its gradient on {level}");
    }
}

#[test]
fn windows_that_would_begin_behind_the_input_are_left_out() {
    for (len, size, stride, before, after, floor, ceil) in [
        (5, 2, 2, 0, 0, 2, 3),
        (4, 2, 2, 0, 0, 2, 2),
        // The third would begin in the padding after the fourth number.
        (4, 3, 2, 1, 1, 2, 3),
        (3, 2, 3, 1, 1, 2, 2),
        (5, 2, 3, 1, 1, 2, 2),
        (1, 1, 3, 0, 0, 1, 1),
        (2, 3, 2, 0, 0, 0, 1),
    ] {
        let of = |ceil_mode| {
            let padding = [[before, after], [0; 2]];
            let windows = Windows { padding, ceil_mode, ..Windows::new([size, 1], [stride, 1]) };
            let pooling = Pooling::with_windows([1, len, 1], windows);
            pooling.map_or(0, |pooling| pooling.output_shape().dims()[1])
        };
        let what = format!("{len} in windows of {size}, {stride} apart, {before} and {after}");
        assert_eq!([of(false), of(true)], [floor, ceil], "{what}");
    }
    let half = Windows { padding: [[0, 2], [0; 2]], ..Windows::new([3, 3], [1, 1]) };
    let error = Pooling::with_windows([1, 9, 9], half).expect_err("too much padding").to_string();
    assert_eq!(
        error,
        "pooling padding: expected at most half of the window, 1 rows and 1 columns on each side, \
         got 0 above, 2 below, 0 left and 0 right"
    );
    let of = |size: usize| {
        let padding = [[size / 2; 2]; 2];
        let windows = Windows { padding, ceil_mode: true, ..Windows::new([size; 2], [1; 2]) };
        Pooling::with_windows([1, 3, 3], windows)
    };
    assert!(of(usize::MAX).is_err());
    let large = of(1 << 62).expect("as much padding as that");
    let mut output = [f64::NAN; 16];
    large.max(&[1.0, 2.0, 3.0, 4.0, 9.0, 5.0, 6.0, 7.0, 8.0], &mut output);
    assert_eq!(output, [9.0; 16]);
    large.mean(&[0.0; 9], &mut output);
    assert_eq!(output, [0.0; 16]);
}

#[test]
fn pooling_agrees_with_its_twins_on_every_level() {
    let config = Config { cases: 400, rng_seed: RngSeed::Fixed(1), ..Config::default() };
    TestRunner::new(config)
        .run(&pooling(), |(pooling, n)| {
            agrees::<f32>(&pooling, n);
            agrees::<f64>(&pooling, n);
            rectified_agrees::<f32>(&pooling, n);
            rectified_agrees::<f64>(&pooling, n);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    for level in Level::available() {
        set_level(level).expect("an available level");
        a_nan_is_passed_on();
    }
}

fn a_nan_is_passed_on() {
    for width in [2, 8, 20] {
        let pooling = Pooling::new([1, 2, width], [2, 2], [2, 2]).expect("fits");
        for place in 0..2 * width {
            let mut x = vec![1.0_f32; 2 * width];
            x[place] = f32::NAN;
            let mut y = vec![0.0; width / 2];
            pooling.max(&x, &mut y);
            let nan: Vec<_> = y.iter().map(|y| y.is_nan()).collect();
            let expected: Vec<_> = (0..width / 2).map(|x| x == place % width / 2).collect();
            assert_eq!(nan, expected, "NaN at {place} of width {width}");
        }
    }
}
