//! The kernels of activations, normalisation, optimizers, dropout and images against their
//! readable twins in `tensor::reference`, on every SIMD level, with outputs full of NaN beforehand;
//! and the levels against each other, bit by bit.
//!
//! One test function: the level is a property of the process.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use tensor::activation::{
    Activation, DerivedFrom, Elu, Gelu, HardSwish, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh,
};
use tensor::image::{self, Spline};
use tensor::optimize::{Adam, Descent, Lion, Momentum, RmsProp};
use tensor::random::drop_out;
use tensor::simd::{Level, set_level};
use tensor::{Element, map, matrix, normalize, reference};

fn numbers<T: Element>(len: usize, seed: u64, scale: f64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        T::from_f64(scale * ((state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0))
    };
    (0..len).map(|_| next()).collect()
}

/// Asserts that the difference is at most `bound` units of the last place of 1, or of
/// the expected number if that is larger.
#[track_caller]
fn assert_close<T: Element>(
    found: &[T],
    expected: impl Iterator<Item = f64>,
    bound: f64,
    what: &str,
) {
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let unit = T::EPSILON.to_f64() * expected.abs().max(1.0);
        let difference = (found.to_f64() - expected).abs() / unit;
        assert!(
            difference <= bound,
            "{what} [{at}]: expected {expected}, got {found}: {difference}"
        );
    }
}

fn nan<T: Element>(len: usize) -> Vec<T> {
    vec![T::from_f64(f64::NAN); len]
}

fn wide<T: Element>(numbers: &[T]) -> Vec<f64> {
    numbers.iter().map(|x| x.to_f64()).collect()
}

/// A function and its derivative at numbers of all sizes. What `exact` says is close in units of
/// the last place of 1, the function's value also in its own.
fn activation<T: Element, A: Activation>(
    f: A,
    twin: impl Fn(f64) -> [f64; 2],
    units: f64,
    seed: u64,
) -> Vec<Vec<T>> {
    let what = format!("{f:?}");
    let x: Vec<T> = numbers(201, seed, 12.0).into_iter().chain(numbers(200, seed, 1e-3)).collect();
    let (mut y, mut g) = (x.clone(), vec![T::ONE; x.len()]);
    f.apply(&mut y);
    assert_close(&y, wide(&x).into_iter().map(|x| twin(x)[0]), 2.0, &what);
    for (x, y) in wide(&x).into_iter().zip(&y) {
        let [exact, _] = twin(x);
        let bound = (5.0 + x * x) * T::EPSILON.to_f64() * exact.abs();
        let close = (y.to_f64() - exact).abs() <= bound.max(1e-37);
        assert!(close, "{what} of {x}: expected {exact}, got {y}");
    }
    let known = if A::DERIVED_FROM == DerivedFrom::Input { &x } else { &y };
    f.multiply_derivative(&mut g, known);
    f.apply::<T>(&mut []);
    f.multiply_derivative::<T>(&mut [], &[]);
    assert_close(&g, wide(&x).into_iter().map(|x| twin(x)[1]), units, &format!("{what}'"));
    vec![y, g]
}

fn activations<T: Element>(seed: u64) -> Vec<Vec<T>> {
    let mut all = activation::<T, _>(Sigmoid, reference::sigmoid, 4.0, seed);
    all.extend(activation::<T, _>(Tanh, reference::tanh, 4.0, seed));
    all.extend(activation::<T, _>(Relu, reference::relu, 0.0, seed));
    let slope = 0.25;
    all.extend(activation::<T, _>(
        LeakyRelu { slope },
        |x| reference::leaky_relu(x, slope),
        0.0,
        seed,
    ));
    all.extend(activation::<T, _>(Gelu, reference::gelu, 4.0, seed));
    all.extend(activation::<T, _>(Silu, reference::silu, 8.0, seed));
    for alpha in [1.0, 0.25] {
        all.extend(activation::<T, _>(Elu { alpha }, |x| reference::elu(x, alpha), 4.0, seed));
    }
    all.extend(activation::<T, _>(Softplus, reference::softplus, 2.0, seed));
    all.extend(activation::<T, _>(HardSwish, reference::hard_swish, 2.0, seed));
    all
}

fn ends_of_activations<T: Element>() {
    let ends = |f: fn(&mut [T])| {
        let mut y =
            [f64::NEG_INFINITY, -1e30, -0.0, 1e30, f64::INFINITY, f64::NAN].map(T::from_f64);
        f(&mut y);
        assert!(y[5].to_f64().is_nan());
        [y[0], y[1], y[2], y[3], y[4]].map(T::to_f64)
    };
    let large = T::from_f64(1e30).to_f64();
    let ln_2 = T::from_f64(std::f64::consts::LN_2).to_f64();
    assert_eq!(ends(|x| Softplus.apply(x)), [0.0, 0.0, ln_2, large, f64::INFINITY]);
    assert_eq!(ends(|x| HardSwish.apply(x)), [0.0, 0.0, 0.0, large, f64::INFINITY]);
    assert_eq!(ends(|x| Elu { alpha: 1.0 }.apply(x)), [-1.0, -1.0, 0.0, large, f64::INFINITY]);
    for x in [f64::NAN, f64::INFINITY] {
        let mut y = [T::from_f64(x); 3];
        Gelu.apply(&mut y[..1]);
        Silu.apply(&mut y[1..2]);
        LeakyRelu { slope: 0.25 }.apply(&mut y[2..]);
        assert!(
            y.iter()
                .all(|y| y.to_f64().to_bits() == x.to_bits() || x.is_nan() && y.to_f64().is_nan())
        );
    }
}

fn simple_maps<T: Element>(len: usize, seed: u64) -> Vec<Vec<T>> {
    let [y, x] = [1, 2].map(|more| numbers::<T>(len, seed + more, 1.0));
    let a = T::from_f64(-0.3);
    let [mut sum, mut scaled, mut mean] = [y.clone(), y.clone(), y.clone()];
    map::add(&mut sum, &x);
    map::add_scaled(&mut scaled, a, &x);
    map::lerp(&mut mean, a, &x);
    let mut expected = [y.clone(), y.clone(), y.clone()];
    reference::add_scaled(&mut expected[0], T::ONE, &x);
    reference::add_scaled(&mut expected[1], a, &x);
    reference::lerp(&mut expected[2], a, &x);
    let found = [sum, scaled, mean];
    assert_eq!(found, expected);
    let mut powers = y.clone();
    map::exp(&mut powers);
    assert_close(&powers, wide(&y).into_iter().map(reference::exp), 2.0, "exp");
    found.into_iter().chain([powers]).collect()
}

fn rank_one_step<T: Element>(len: usize, seed: u64) -> Vec<Vec<T>> {
    for outputs in [1, 3, 4, 9] {
        let (w, rate) = (numbers::<T>(outputs * len, seed, 1.0), T::from_f64(0.1));
        let (g, x) = (numbers::<T>(outputs, seed + 1, 1.0), numbers::<T>(len, seed + 2, 1.0));
        let (mut found, mut y) = (w.clone(), nan(len));
        matrix::rank_one_step(&mut found, &g, &x, rate, Some(&mut y));
        assert_eq!([&y, &found], reference::rank_one_step(&w, &g, &x, rate).each_ref());
        let mut without = w.clone();
        matrix::rank_one_step(&mut without, &g, &x, rate, None);
        assert_eq!(without, found);
    }
    Vec::new()
}

fn normalization<T: Element>(plane: usize, seed: u64) -> Vec<Vec<T>> {
    const SAMPLES: usize = 5;
    const CHANNELS: usize = 3;
    const EPSILON: f64 = 0.125;
    let shape = [CHANNELS, plane];
    let [x, g] = [3, 4].map(|more| numbers::<T>(SAMPLES * CHANNELS * plane, seed + more, 1.0));
    let [weight, bias, shift] = [5, 6, 7].map(|more| numbers::<T>(CHANNELS, seed + more, 1.0));
    let statistics = reference::channel_statistics(&wide(&x), shape, EPSILON);
    let statistic = |index: usize| statistics.iter().map(move |all| all[index]);
    let constants = |f: &dyn Fn(usize) -> [f64; 3]| (0..CHANNELS).map(f).collect::<Vec<_>>();

    let mut all = vec![nan::<T>(CHANNELS); 5];
    let [mean, variance, inverse, weight_gradient, bias_gradient] = &mut all[..] else { panic!() };
    let mut y = nan(x.len());
    let parameters = [&weight[..], &bias];
    let measured = [&mut mean[..], variance, inverse];
    normalize::forward(&x, shape, T::from_f64(EPSILON), parameters, false, measured, &mut y);
    assert_close(mean, statistic(0), 8.0, "mean");
    assert_close(variance, statistic(1), 8.0, "variance");
    assert_close(inverse, statistic(2), 8.0, "inverse");
    let of = |c: usize| {
        let [mean, _, inverse] = statistics[c];
        [mean, weight[c].to_f64() * inverse, bias[c].to_f64()]
    };
    let expected = reference::scale_channels(&wide(&x), plane, &constants(&of));
    assert_close(&y, expected.into_iter(), 16.0, "normalized");

    let mut scaled = nan(x.len());
    normalize::scale(&x, shape, [mean, &weight, &shift], false, &mut scaled);
    let of = |c: usize| [statistics[c][0], weight[c].to_f64(), shift[c].to_f64()];
    let expected = reference::scale_channels(&wide(&x), plane, &constants(&of));
    assert_close(&scaled, expected.into_iter(), 16.0, "scaled");

    let mut x_gradient = nan(x.len());
    let all_constants = [&weight[..], &bias, mean, inverse];
    let gradients = [&mut weight_gradient[..], bias_gradient];
    normalize::backward((&x, &g), shape, all_constants, false, gradients, Some(&mut x_gradient));
    let of = |c: usize| [weight[c].to_f64(), statistics[c][0], statistics[c][2]];
    let expected = reference::normalize_backward([&wide(&x), &wide(&g)], plane, &constants(&of));
    let [of_weight, of_bias, of_x] = expected.map(Vec::into_iter);
    assert_close(weight_gradient, of_weight, 32.0, "weight's gradient");
    assert_close(bias_gradient, of_bias, 32.0, "bias's gradient");
    assert_close(&x_gradient, of_x, 32.0, "input's gradient");
    // Without the gradient of the input, the others are the same.
    let mut others = [nan::<T>(CHANNELS), nan::<T>(CHANNELS)];
    let [weight_only, bias_only] = &mut others;
    let constants = [&weight[..], &bias, &all[0], &all[2]];
    normalize::backward((&x, &g), shape, constants, false, [weight_only, bias_only], None);
    assert_eq!(others[..], all[3..]);
    // A rectifier behind it gives the bits of one that runs alone.
    let alone = |y: &[T]| {
        let mut rectified = y.to_vec();
        Relu.apply(&mut rectified);
        rectified
    };
    let mut rectified = [nan(x.len()), nan(x.len()), nan(x.len())];
    let [y_rectified, scaled_rectified, x_rectified] = &mut rectified;
    let [a, b, c] = &mut [nan::<T>(CHANNELS), nan::<T>(CHANNELS), nan::<T>(CHANNELS)];
    let measured = [&mut a[..], b, c];
    normalize::forward(&x, shape, T::from_f64(EPSILON), parameters, true, measured, y_rectified);
    assert_eq!(*y_rectified, alone(&y));
    normalize::scale(&x, shape, [&all[0], &weight, &shift], true, scaled_rectified);
    assert_eq!(*scaled_rectified, alone(&scaled));
    let mut passed = g.clone();
    Relu.multiply_derivative(&mut passed, y_rectified);
    let mut expected = nan(x.len());
    let [of_weight, of_bias] = [a, b];
    normalize::backward(
        (&x, &passed),
        shape,
        constants,
        false,
        [of_weight, of_bias],
        Some(&mut expected),
    );
    let [weight_rectified, bias_rectified] = &mut others;
    let gradients = [&mut weight_rectified[..], bias_rectified];
    normalize::backward((&x, &g), shape, constants, true, gradients, Some(x_rectified));
    assert_eq!((&*x_rectified, &others[0], &others[1]), (&expected, &*of_weight, &*of_bias));
    all.extend([y, scaled, x_gradient]);
    all
}

/// A step in the element's precision beside its twin in double precision, parameter by parameter.
struct Steps<T> {
    w: Vec<T>,
    g: Vec<T>,
    m: Vec<T>,
    v: Vec<T>,
}

impl<T: Element> Steps<T> {
    /// `[w, m, v]` after `step`, in units of the last place close to what `twin` makes of
    /// `g` and `[w, m, v]`.
    fn run(
        &self,
        what: &str,
        step: impl Fn([&mut [T]; 3], &[T]),
        twin: impl Fn(f64, [f64; 3]) -> [f64; 3],
    ) -> [Vec<T>; 3] {
        let mut found = [self.w.clone(), self.m.clone(), self.v.clone()];
        step(found.each_mut().map(|numbers| &mut numbers[..]), &self.g);
        let before = [&self.w, &self.m, &self.v];
        let at = |i: usize| twin(self.g[i].to_f64(), before.map(|numbers| numbers[i].to_f64()));
        for (number, found) in found.iter().enumerate() {
            assert_close(found, (0..found.len()).map(|i| at(i)[number]), 8.0, what);
        }
        found
    }
}

fn optimizers<T: Element>(len: usize, seed: u64) -> Vec<Vec<T>> {
    fn both<T: Element, const N: usize>(numbers: [f64; N]) -> ([T; N], [f64; N]) {
        (numbers.map(T::from_f64), numbers)
    }
    let [w, g, m, v] = [10, 11, 12, 13].map(|more| numbers::<T>(len, seed + more, 1.0));
    let steps = Steps { w, g, m, v: v.into_iter().map(T::abs).collect() };
    // Halves and the like are the same in both precisions.
    let (t, d) = both::<T, 2>([0.5, 0.25]);
    let descent = Descent { rate: t[0], weight_decay: t[1] };
    let exact = Descent { rate: d[0], weight_decay: d[1] };
    let mut all = Vec::from(steps.run(
        "descent",
        |[w, _, _], g| descent.step(w, g),
        |g, [w, m, v]| [reference::descent(exact, g, w), m, v],
    ));
    for nesterov in [false, true] {
        fn of<T>([rate, weight_decay, momentum]: [T; 3], nesterov: bool) -> Momentum<T> {
            Momentum { rate, weight_decay, momentum, nesterov }
        }
        let (t, d) = both::<T, 3>([0.5, 0.25, 0.75]);
        all.extend(steps.run(
            "momentum",
            |[w, m, _], g| of(t, nesterov).step(w, g, m),
            |g, [w, m, v]| {
                let [w, m] = reference::momentum(of(d, nesterov), g, [w, m]);
                [w, m, v]
            },
        ));
    }
    fn adam<T>(numbers: [T; 8]) -> Adam<T> {
        let [rate, rest1, beta2, rest2, root_scale, epsilon, weight_decay, shrink] = numbers;
        Adam { rate, rest1, beta2, rest2, root_scale, epsilon, weight_decay, shrink }
    }
    let (t, d) = both::<T, 8>([0.5, 0.25, 0.5, 0.5, 2.0, 0.125, 0.25, 0.75]);
    let (step, exact) = (adam(t), adam(d));
    all.extend(steps.run(
        "adam",
        |[w, m, v], g| step.step(w, g, m, v),
        |g, state| reference::adam(exact, g, state),
    ));
    fn rms_prop<T>([rate, alpha, rest, epsilon, weight_decay, momentum]: [T; 6]) -> RmsProp<T> {
        RmsProp { rate, alpha, rest, epsilon, weight_decay, momentum }
    }
    let (t, d) = both::<T, 6>([0.5, 0.75, 0.25, 0.125, 0.25, 0.75]);
    let (step, exact) = (rms_prop(t), rms_prop(d));
    all.extend(steps.run(
        "rms_prop",
        |[w, m, v], g| step.step(w, g, m, v),
        |g, state| reference::rms_prop(exact, g, state),
    ));
    all.extend(steps.run(
        "rms_prop without momentum",
        |[w, _, v], g| step.step(w, g, &mut [], v),
        |g, [w, m, v]| {
            let [w, _, v] = reference::rms_prop(exact, g, [w, 0.0, v]);
            [w, m, v]
        },
    ));
    fn lion<T>([rate, rest1, rest2, shrink]: [T; 4]) -> Lion<T> {
        Lion { rate, rest1, rest2, shrink }
    }
    let (t, d) = both::<T, 4>([0.5, 0.25, 0.125, 0.75]);
    let (step, exact) = (lion(t), lion(d));
    all.extend(steps.run(
        "lion",
        |[w, m, _], g| step.step(w, g, m),
        |g, [w, m, v]| {
            let [w, m] = reference::lion(exact, g, [w, m]);
            [w, m, v]
        },
    ));
    // No gradient and no mean of any: the parameter stays. A NaN stays one.
    let (mut still, mut mean) = (vec![T::ONE; 2], vec![T::ZERO; 2]);
    let nan = [T::ZERO, T::from_f64(f64::NAN)];
    Lion { shrink: T::ONE, ..step }.step(&mut still, &nan, &mut mean);
    assert!(still[0] == T::ONE && still[1].to_f64().is_nan() && mean[1].to_f64().is_nan());
    all
}

/// Every byte, and positions inside the plane, between its edge and the zeros around it, and
/// outside.
fn images<T: Element>() {
    let bytes: Vec<_> = (0..=255).collect();
    let mut found = nan::<T>(256);
    image::u8_to_unit(&bytes, &mut found);
    let widened = |number: f32| T::from_f64(f64::from(number));
    let expected = bytes.iter().map(|&byte| widened(reference::u8_to_unit(byte)));
    assert_eq!(found, expected.collect::<Vec<_>>());
    for size in [[2, 2], [5, 7], [1, 9], [8, 1]] {
        let plane: Vec<_> = (0..size[0] * size[1]).map(|at| (at * 37 % 256) as u8).collect();
        let positions = [16, 17].map(|seed| {
            let mut positions: Vec<f32> = numbers(75, seed, 12.0);
            positions[..9].copy_from_slice(&[-1.0, 0.0, 1.0, 9e9, -9e9, 0.5, 7.0, 8.0, 9.0]);
            positions
        });
        let [ys, xs] = &positions;
        for count in [1, 16, 75] {
            let mut found = nan::<T>(count);
            image::grid_sample(&plane, size, [&ys[..count], &xs[..count]], &mut found);
            let at = ys.iter().zip(xs).map(|(&y, &x)| reference::grid_sample(&plane, size, [y, x]));
            assert_eq!(found, at.take(count).map(widened).collect::<Vec<_>>());
        }
    }
    let matrix = [[0.75, -0.25, 1.0], [0.5, 1.25, -2.0]];
    let nodes = [16, 17].map(|seed| numbers::<f32>(9, seed, 1.0));
    let nodes: Vec<_> = (0..9).map(|node| [nodes[0][node], nodes[1][node]]).collect();
    let weights = numbers::<f32>(80, 18, 1.0);
    let splines: Vec<_> = (0..20)
        .map(|x| Spline { first: x / 4, weights: [0, 1, 2, 3].map(|node| weights[4 * x + node]) })
        .collect();
    for splines in [&splines[..], &[]] {
        let [mut ys, mut xs] = [[f32::NAN; 20]; 2];
        image::affine_grid(&matrix, [3, 5], (&nodes, splines), [&mut ys, &mut xs]);
        for (index, found) in ys.into_iter().zip(xs).enumerate() {
            let spline = splines.get(index).copied();
            let expected = reference::affine_grid(&matrix, [3, 5 + index], (&nodes, spline));
            assert_eq!(<[f32; 2]>::from(found), expected);
        }
    }
    let plane = [0, 100, 200, 40];
    for (position, brightness) in [
        ([0.0, 1.0], 100.0),
        ([1.0, 0.0], 200.0),
        ([0.5, 0.5], 85.0),
        ([-0.5, 1.0], 50.0),
        ([1.0, 1.25], 30.0),
        ([-1.0, 0.0], 0.0),
        ([9e9, 0.0], 0.0),
        ([0.0, 2.0], 0.0),
        ([0.0, -7.0], 0.0),
    ] {
        assert_eq!(
            reference::grid_sample(&plane, [2, 2], position),
            brightness / 255.0,
            "{position:?}"
        );
    }
}

fn dropping<T: Element>(len: usize, seed: u64) -> Vec<T> {
    let (counter, key, limit) = ([3, u32::MAX, 5], [0x9E37_79B9, 7], 3 << 30);
    let scale = T::from_f64(4.0);
    let mut dropped = numbers::<T>(len, seed, 1.0);
    let mut expected = dropped.clone();
    drop_out(&mut dropped, counter, key, limit, scale);
    reference::drop_out(&mut expected, counter, key, limit, scale);
    assert_eq!(dropped, expected, "{len} numbers");
    dropped
}

fn all<T: Element>(len: usize, seed: u64) -> Vec<Vec<T>> {
    let mut all = activations::<T>(seed);
    all.extend(simple_maps::<T>(len, seed));
    all.extend(rank_one_step::<T>(len, seed));
    all.extend(normalization::<T>(len, seed));
    all.extend(optimizers::<T>(len, seed));
    all.push(dropping::<T>(3 * len, seed));
    all
}

fn levels_agree<T: Element>(len: usize, seed: u64) {
    let bits = |numbers: Vec<Vec<T>>| {
        let mut bytes = Vec::new();
        numbers.iter().for_each(|numbers| T::extend_le_bytes(numbers, &mut bytes));
        bytes
    };
    let mut first = None;
    for level in Level::available() {
        set_level(level).expect("an available level");
        let found = bits(all::<T>(len, seed));
        let (expected, of) = first.get_or_insert_with(|| (found.clone(), level));
        assert!(found == *expected, "{level} differs from {of}");
    }
}

#[test]
fn kernels_agree_with_their_twins_on_every_level() {
    for level in Level::available() {
        set_level(level).expect("an available level");
        ends_of_activations::<f32>();
        ends_of_activations::<f64>();
        images::<f32>();
        images::<f64>();
    }
    let config = Config { cases: 60, rng_seed: RngSeed::Fixed(1), ..Config::default() };
    // Around the width of each vector, and any other.
    const EDGES: [usize; 12] = [1, 7, 8, 9, 15, 16, 17, 31, 33, 49, 64, 100];
    let len = prop_oneof![proptest::sample::select(&EDGES[..]), 1..=100_usize];
    TestRunner::new(config)
        .run(&(len, 1..1_u64 << 32), |(len, seed)| {
            levels_agree::<f32>(len, seed);
            levels_agree::<f64>(len, seed);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}
