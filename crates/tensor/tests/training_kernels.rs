//! The kernels of layers and optimizers beyond the notebook's against plain loops, on
//! every SIMD level; and the levels against each other, bit by bit.
//!
//! One test function: the level is a property of the process.

use tensor::activation::{Activation, Elu, Gelu, HardSwish, LeakyRelu, Relu, Silu, Softplus};
use tensor::image::{self, Spline};
use tensor::optimize::{Adam, Descent, Lion, Momentum, RmsProp};
use tensor::random::{drop_out, philox};
use tensor::simd::{Level, set_level};
use tensor::{Element, map, normalize, reference};

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

fn maps<T: Element>() -> Vec<Vec<T>> {
    let x: Vec<T> = numbers(2001, 1, 12.0).into_iter().chain(numbers(2000, 2, 1e-3)).collect();
    let wide = || x.iter().map(|x| x.to_f64());
    let mut all = Vec::new();
    let functions: [(fn(&mut [T]), fn(f64) -> f64, &str); 6] = [
        (|x| Gelu.apply(x), reference::gelu, "gelu"),
        (|x| Silu.apply(x), reference::silu, "silu"),
        (|x| Softplus.apply(x), reference::softplus, "softplus"),
        (|x| HardSwish.apply(x), reference::hard_swish, "hard swish"),
        (|x| Elu { alpha: 1.0 }.apply(x), |x| reference::elu(x, 1.0), "elu"),
        (|x| Elu { alpha: 0.25 }.apply(x), |x| reference::elu(x, 0.25), "elu of ¼"),
    ];
    for (f, expected, what) in functions {
        let mut y = x.clone();
        f(&mut y);
        assert_close(&y, wide().map(expected), 2.0, what);
        // And relative to themselves where they are small.
        for (x, y) in wide().zip(&y) {
            let bound = (5.0 + x * x) * T::EPSILON.to_f64() * expected(x).abs();
            let close = (y.to_f64() - expected(x)).abs() <= bound.max(1e-37);
            assert!(close, "{what} of {x}: expected {}, got {y}", expected(x));
        }
        all.push(y);
    }
    let density = |x: f64| libm::exp(-0.5 * x * x) / (2.0 * std::f64::consts::PI).sqrt();
    let probability = |x: f64| 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
    let mut g = vec![T::ONE; x.len()];
    Gelu.multiply_derivative(&mut g, &x);
    assert_close(&g, wide().map(|x| probability(x) + x * density(x)), 4.0, "gelu gradient");
    all.push(g);
    let mut g = vec![T::ONE; x.len()];
    Silu.multiply_derivative(&mut g, &x);
    let derivative = |x: f64| {
        let s = reference::sigmoid(x);
        s * (1.0 + x * (1.0 - s))
    };
    assert_close(&g, wide().map(derivative), 8.0, "silu gradient");
    all.push(g);
    let mut g = vec![T::ONE; x.len()];
    Softplus.multiply_derivative(&mut g, &x);
    assert_close(&g, wide().map(reference::sigmoid), 2.0, "softplus gradient");
    all.push(g);
    let mut g = vec![T::ONE; x.len()];
    HardSwish.multiply_derivative(&mut g, &x);
    let derivative = |x: f64| match x {
        ..=-3.0 => 0.0,
        3.0.. => 1.0,
        _ => x / 3.0 + 0.5,
    };
    assert_close(&g, wide().map(derivative), 2.0, "hard swish gradient");
    all.push(g);
    let (mut y, mut g) = (x.clone(), vec![T::ONE; x.len()]);
    Elu { alpha: 0.25 }.apply(&mut y);
    Elu { alpha: 0.25 }.multiply_derivative(&mut g, &y);
    let derivative = |x: f64| if x > 0.0 { 1.0 } else { 0.25 * libm::exp(x) };
    assert_close(&g, wide().map(derivative), 4.0, "elu gradient");
    all.push(g);
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
    let slope = T::from_f64(0.25);
    let leaky = |x: T| if x > T::ZERO { x } else { x * slope };
    let (mut y, mut g) = (x.clone(), x.clone());
    LeakyRelu { slope: 0.25 }.apply(&mut y);
    LeakyRelu { slope: 0.25 }.multiply_derivative(&mut g, &x);
    assert!(y == g && y == x.iter().map(|&x| leaky(x)).collect::<Vec<_>>());
    all.push(y);
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
    all
}

fn normalization<T: Element>(plane: usize) -> Vec<Vec<T>> {
    const SAMPLES: usize = 5;
    const CHANNELS: usize = 3;
    const EPSILON: f64 = 0.125;
    let shape = [CHANNELS, plane];
    let (count, channel) = ((SAMPLES * plane) as f64, |at: usize| at / plane % CHANNELS);
    let [x, g] = [3, 4].map(|seed| numbers::<T>(SAMPLES * CHANNELS * plane, seed, 1.0));
    let [weight, bias, shift] = [5, 6, 7].map(|seed| numbers::<T>(CHANNELS, seed, 1.0));
    let wide = |x: &[T]| x.iter().map(|x| x.to_f64()).collect::<Vec<_>>();
    let sums = |numbers: &[f64]| {
        let mut sums = [0.0; CHANNELS];
        numbers.iter().enumerate().for_each(|(at, number)| sums[channel(at)] += number);
        sums
    };
    let times = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<_>>();
    let means = sums(&wide(&x)).map(|sum| sum / count);
    let centred: Vec<_> =
        wide(&x).iter().enumerate().map(|(at, x)| x - means[channel(at)]).collect();
    let squares = sums(&times(&centred, &centred));
    let inverses = squares.map(|sum| 1.0 / (sum / count + EPSILON).sqrt());
    let affine = |at: usize, scale: f64, shift: T| centred[at] * scale + shift.to_f64();

    let mut all = vec![vec![T::ONE; CHANNELS]; 5];
    let [mean, variance, inverse, weight_gradient, bias_gradient] = &mut all[..] else { panic!() };
    let mut y = x.clone();
    let parameters = [&weight[..], &bias];
    let measured = [&mut mean[..], variance, inverse];
    normalize::forward(&x, shape, T::from_f64(EPSILON), parameters, false, measured, &mut y);
    assert_close(mean, means.into_iter(), 8.0, "mean");
    let unbiased = squares.map(|sum| sum / (count - 1.0));
    assert_close(variance, unbiased.into_iter(), 8.0, "variance");
    assert_close(inverse, inverses.into_iter(), 8.0, "inverse");
    let expected = |at| {
        let c = channel(at);
        affine(at, weight[c].to_f64() * inverses[c], bias[c])
    };
    assert_close(&y, (0..x.len()).map(expected), 16.0, "normalized");

    let mut scaled = g.clone();
    normalize::scale(&x, shape, [mean, &weight, &shift], false, &mut scaled);
    let expected = |at| affine(at, weight[channel(at)].to_f64(), shift[channel(at)]);
    assert_close(&scaled, (0..x.len()).map(expected), 16.0, "scaled");

    let mut x_gradient = x.clone();
    let constants = [&weight[..], &bias, mean, inverse];
    let gradients = [&mut weight_gradient[..], bias_gradient];
    normalize::backward((&x, &g), shape, constants, false, gradients, Some(&mut x_gradient));
    let (products, totals) = (sums(&times(&wide(&g), &centred)), sums(&wide(&g)));
    let expected = (0..CHANNELS).map(|c| products[c] * inverses[c]);
    assert_close(weight_gradient, expected, 32.0, "weight's gradient");
    assert_close(bias_gradient, totals.into_iter(), 32.0, "bias's gradient");
    let expected = |at: usize| {
        let c = channel(at);
        let spread = centred[at] * inverses[c] * inverses[c] * products[c];
        weight[c].to_f64() * inverses[c] * (g[at].to_f64() - (totals[c] + spread) / count)
    };
    assert_close(&x_gradient, (0..x.len()).map(expected), 32.0, "input's gradient");
    // Without the gradient of the input, the others are the same.
    let mut others = [vec![T::ONE; CHANNELS], vec![T::ONE; CHANNELS]];
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
    let mut rectified = [x.clone(), g.clone(), x.clone()];
    let [y_rectified, scaled_rectified, x_rectified] = &mut rectified;
    let [a, b, c] = &mut [vec![T::ONE; CHANNELS], vec![T::ONE; CHANNELS], vec![T::ONE; CHANNELS]];
    let measured = [&mut a[..], b, c];
    normalize::forward(&x, shape, T::from_f64(EPSILON), parameters, true, measured, y_rectified);
    assert_eq!(*y_rectified, alone(&y));
    normalize::scale(&x, shape, [&all[0], &weight, &shift], true, scaled_rectified);
    assert_eq!(*scaled_rectified, alone(&scaled));
    let mut passed = g.clone();
    Relu.multiply_derivative(&mut passed, y_rectified);
    let mut expected = x.clone();
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

fn optimizers<T: Element>(len: usize) -> Vec<Vec<T>> {
    let of = T::from_f64;
    let start = numbers::<T>(len, 10, 1.0);
    let g = numbers::<T>(len, 11, 1.0);
    let (m, v) = (numbers::<T>(len, 12, 1.0), numbers::<T>(len, 13, 1.0));
    let v: Vec<_> = v.iter().map(|v| v.abs()).collect();
    let each = |f: &dyn Fn(f64, f64, f64, f64) -> f64| {
        let all = start.iter().zip(&g).zip(m.iter().zip(&v));
        let wide = all.map(|((w, g), (m, v))| [w, g, m, v].map(|x| x.to_f64()));
        wide.map(|[w, g, m, v]| f(w, g, m, v)).collect::<Vec<_>>().into_iter()
    };
    let mut w = start.clone();
    Descent { rate: of(0.5), weight_decay: of(0.25) }.step(&mut w, &g);
    assert_close(&w, each(&|w, g, _, _| w - 0.5 * (g + 0.25 * w)), 2.0, "descent");
    let mut all = vec![w];
    for nesterov in [false, true] {
        let (mut w, mut velocity) = (start.clone(), m.clone());
        let (rate, weight_decay, momentum) = (of(0.5), of(0.25), of(0.75));
        let step = Momentum { rate, weight_decay, momentum, nesterov };
        step.step(&mut w, &g, &mut velocity);
        let next = |w: f64, g: f64, m: f64| 0.75 * m + g + 0.25 * w;
        assert_close(&velocity, each(&|w, g, m, _| next(w, g, m)), 2.0, "velocity");
        let direction = |w, g, m| {
            if nesterov { g + 0.25 * w + 0.75 * next(w, g, m) } else { next(w, g, m) }
        };
        assert_close(&w, each(&|w, g, m, _| w - 0.5 * direction(w, g, m)), 4.0, "momentum");
        all.extend([w, velocity]);
    }
    let step = Adam {
        rate: of(0.5),
        rest1: of(0.25),
        beta2: of(0.5),
        rest2: of(0.5),
        root_scale: of(2.0),
        epsilon: of(0.125),
        weight_decay: of(0.25),
        shrink: of(0.75),
    };
    let (mut w, mut mean, mut square) = (start.clone(), m.clone(), v.clone());
    step.step(&mut w, &g, &mut mean, &mut square);
    let slope = |w: f64, g: f64| g + 0.25 * 0.75 * w;
    let next_mean = |w, g, m: f64| m + 0.25 * (slope(w, g) - m);
    let next_square = |w, g, v: f64| 0.5 * v + 0.5 * slope(w, g) * slope(w, g);
    assert_close(&mean, each(&|w, g, m, _| next_mean(w, g, m)), 4.0, "mean");
    assert_close(&square, each(&|w, g, _, v| next_square(w, g, v)), 4.0, "square");
    let next = |w: f64, g, m, v| {
        0.75 * w - 0.5 * next_mean(w, g, m) / (2.0 * next_square(w, g, v).sqrt() + 0.125)
    };
    assert_close(&w, each(&next), 8.0, "adam");
    let mut average = m.clone();
    map::lerp(&mut average, of(0.25), &g);
    assert_close(&average, each(&|_, g, m, _| m + 0.25 * (g - m)), 2.0, "average");
    all.extend([w, mean, square, average]);
    let [start, g, m, v] = [&start[..], &g[..], &m[..], &v[..]];
    all.extend(rms_prop([start, g, m, v], &each));
    all.extend(lion([start, g, m], &each));
    all
}

/// A formula of parameters, gradients and what is remembered, for each of them.
type Each<'a> = dyn Fn(&dyn Fn(f64, f64, f64, f64) -> f64) -> std::vec::IntoIter<f64> + 'a;

fn rms_prop<T: Element>([start, g, m, v]: [&[T]; 4], each: &Each<'_>) -> Vec<Vec<T>> {
    let of = T::from_f64;
    let step = RmsProp {
        rate: of(0.5),
        alpha: of(0.75),
        rest: of(0.25),
        epsilon: of(0.125),
        weight_decay: of(0.25),
        momentum: of(0.75),
    };
    let slope = |w: f64, g: f64| g + 0.25 * w;
    let next_square = |w, g, v: f64| 0.75 * v + 0.25 * slope(w, g) * slope(w, g);
    let direction = |w, g, v| slope(w, g) / (next_square(w, g, v).sqrt() + 0.125);
    let (mut w, mut square) = (start.to_vec(), v.to_vec());
    step.step(&mut w, g, &mut [], &mut square);
    assert_close(&square, each(&|w, g, _, v| next_square(w, g, v)), 4.0, "square");
    assert_close(&w, each(&|w, g, _, v| w - 0.5 * direction(w, g, v)), 8.0, "rms_prop");
    let (mut moved, mut velocity, mut square) = (start.to_vec(), m.to_vec(), v.to_vec());
    step.step(&mut moved, g, &mut velocity, &mut square);
    let next = |w, g, m: f64, v| 0.75 * m + direction(w, g, v);
    assert_close(&velocity, each(&next), 8.0, "velocity");
    assert_close(&moved, each(&|w, g, m, v| w - 0.5 * next(w, g, m, v)), 8.0, "with momentum");
    vec![w, moved, velocity, square]
}

fn lion<T: Element>([start, g, m]: [&[T]; 3], each: &Each<'_>) -> Vec<Vec<T>> {
    let of = T::from_f64;
    let step = Lion { rate: of(0.5), rest1: of(0.25), rest2: of(0.125), shrink: of(0.75) };
    let (mut w, mut mean) = (start.to_vec(), m.to_vec());
    step.step(&mut w, g, &mut mean);
    assert_close(&mean, each(&|_, g, m, _| m + 0.125 * (g - m)), 2.0, "mean of lion");
    let direction = |g: f64, m: f64| (m + 0.25 * (g - m)).signum();
    assert_close(&w, each(&|w, g, m, _| 0.75 * w - 0.5 * direction(g, m)), 2.0, "lion");
    // No gradient and no mean of any: the parameter stays. A NaN stays one.
    let (mut still, mut mean) = (vec![T::ONE; 2], vec![T::ZERO; 2]);
    let nan = [T::ZERO, T::from_f64(f64::NAN)];
    Lion { shrink: T::ONE, ..step }.step(&mut still, &nan, &mut mean);
    assert!(still[0] == T::ONE && still[1].to_f64().is_nan() && mean[1].to_f64().is_nan());
    vec![w, mean]
}

/// Every byte, and places inside the plane, between its edge and the zeros around it, and
/// outside.
fn images<T: Element>() {
    let bytes: Vec<_> = (0..=255).collect();
    let mut found = numbers::<T>(256, 15, 1.0);
    image::u8_to_unit(&bytes, &mut found);
    let widened = |number: f32| T::from_f64(f64::from(number));
    let expected = bytes.iter().map(|&byte| widened(f32::from(byte) / 255.0));
    assert_eq!(found, expected.collect::<Vec<_>>());
    for size in [[2, 2], [5, 7], [1, 9], [8, 1]] {
        let plane: Vec<_> = (0..size[0] * size[1]).map(|at| (at * 37 % 256) as u8).collect();
        let places = [16, 17].map(|seed| {
            let mut places: Vec<f32> = numbers(75, seed, 12.0);
            places[..9].copy_from_slice(&[-1.0, 0.0, 1.0, 9e9, -9e9, 0.5, 7.0, 8.0, 9.0]);
            places
        });
        let [ys, xs] = &places;
        for count in [1, 16, 75] {
            let mut found = numbers::<T>(count, 18, 1.0);
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
        for (axis, found) in [ys, xs].iter().enumerate() {
            let [by_y, by_x, start] = matrix[axis];
            for (index, &found) in found.iter().enumerate() {
                let straight = by_y * 3.0 + by_x * (5 + index) as f32 + start;
                let expected = splines.get(index).map_or(straight, |spline| {
                    let nodes = nodes[spline.first..].iter().zip(spline.weights);
                    nodes.fold(straight, |sum, (node, weight)| sum + weight * node[axis])
                });
                assert_eq!(found, expected);
            }
        }
    }
    let plane = [0, 100, 200, 40];
    for (place, brightness) in [
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
        assert_eq!(reference::grid_sample(&plane, [2, 2], place), brightness / 255.0, "{place:?}");
    }
}

fn dropping<T: Element>(len: usize) -> Vec<T> {
    let (counter, key, limit) = ([3, u32::MAX, 5], [0x9E37_79B9, 7], 3 << 30);
    let scale = T::from_f64(4.0);
    let start = numbers::<T>(len, 14, 1.0);
    let mut dropped = start.clone();
    drop_out(&mut dropped, counter, key, limit, scale);
    let expected = start.iter().enumerate().map(|(at, &number)| {
        let words = philox([(at / 4) as u32, counter[0], counter[1], counter[2]], key);
        if words[at % 4] < limit { T::ZERO } else { number * scale }
    });
    assert_eq!(dropped, expected.collect::<Vec<_>>(), "{len} numbers");
    dropped
}

fn all<T: Element>() -> Vec<Vec<T>> {
    let sizes = [1, 7, 8, 9, 15, 16, 17, 31, 33, 49, 64, 100];
    images::<T>();
    let mut all = maps::<T>();
    for size in sizes {
        all.extend(normalization::<T>(size));
        all.extend(optimizers::<T>(size));
        all.push(dropping::<T>(3 * size));
    }
    all
}

fn levels_agree<T: Element>() {
    let bits = |numbers: Vec<Vec<T>>| {
        let mut bytes = Vec::new();
        numbers.iter().for_each(|numbers| T::extend_le_bytes(numbers, &mut bytes));
        bytes
    };
    let results: Vec<_> = Level::available()
        .map(|level| {
            set_level(level).expect("an available level");
            (level, bits(all::<T>()))
        })
        .collect();
    for (level, result) in &results[1..] {
        assert!(*result == results[0].1, "{level} differs from {}", results[0].0);
    }
}

#[test]
fn kernels_agree_with_plain_loops_on_every_level() {
    levels_agree::<f32>();
    levels_agree::<f64>();
}
