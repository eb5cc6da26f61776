//! Each fast operation against its readable twin in `tensor::reference`, on every SIMD
//! level, with outputs and scratch memory full of NaN beforehand; and the levels against
//! each other, bit by bit.
//!
//! The level is a property of the process, so the tests wait for each other.

mod filtering;

use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use tensor::simd::{Level, set_level};
use tensor::{
    Arithmetic, Bias, Correlation, Element, KernelArithmetic, Plan, Schedule, Scratch, Sweep, map,
    matrix, reference,
};

use filtering::filtering;

/// Numbers in (-1, 1) that no pattern of the operation can cancel.
fn numbers<T: Element>(len: usize, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        T::from_f64((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    };
    (0..len).map(|_| next()).collect()
}

fn nan<T: Element>(len: usize) -> Vec<T> {
    vec![T::from_f64(f64::NAN); len]
}

fn dirty<T: Element>() -> Scratch<T> {
    let mut scratch = Scratch::parallel();
    scratch.numbers(1 << 16).fill(T::from_f64(f64::NAN));
    scratch
}

/// Asserts that sums of so many terms, each of numbers in (-1, 1), agree.
#[track_caller]
fn assert_close<T: Element>(found: &[T], expected: &[T], terms: usize, what: &str) {
    assert_eq!(found.len(), expected.len());
    let bound = 4.0 * (terms as f64 + 2.0) * T::EPSILON.to_f64();
    for (at, (f, e)) in found.iter().zip(expected).enumerate() {
        let difference = (f.to_f64() - e.to_f64()).abs();
        assert!(difference <= bound, "{what} [{at}]: expected {e}, got {f}");
    }
}

#[track_caller]
fn assert_same<T: Element + Debug>(results: &[(Level, Vec<Vec<T>>)]) {
    let bits = |numbers: &[T]| {
        let mut bytes = Vec::new();
        T::extend_le_bytes(numbers, &mut bytes);
        bytes
    };
    let (first, rest) = results.split_first().expect("at least one level");
    for (level, outputs) in rest {
        for (number, (output, expected)) in outputs.iter().zip(&first.1).enumerate() {
            let same = bits(output) == bits(expected);
            assert!(same, "output {number} differs between {level} and {}", first.0);
        }
    }
}

fn on_each_level<T: Element>(mut run: impl FnMut() -> Vec<Vec<T>>) {
    let run = |level| {
        set_level(level).expect("an available level");
        (level, run())
    };
    assert_same(&Level::available().map(run).collect::<Vec<_>>());
}

#[derive(Clone, Debug)]
struct Case {
    n: usize,
    layer: Correlation,
}

/// Any layer; a third of them without dilation.
fn case() -> impl Strategy<Value = Case> {
    let sizes = (1..4usize, 1..=5usize, 1..=19usize, 1..=40usize, 1..=19usize);
    let kernel = (1..=5usize, 1..=6usize, 1..=3usize, 1..=3usize, 1..=3usize);
    let rest = (0..4usize, 0..4usize, dilation(), dilation());
    (sizes, kernel, rest).prop_filter_map("the kernel fits", |(sizes, kernel, rest)| {
        let ((n, c, h, w, d), (kh, kw, sh, sw, groups)) = (sizes, kernel);
        let (pad_h, pad_w, down, across) = rest;
        let padding = [[pad_h, pad_h / 2], [pad_w / 2, pad_w]];
        let (stride, dilation) = ([sh, sw], [down, across]);
        let sweep = Sweep { padding, stride, dilation, groups };
        let input = [c * groups, h, w];
        let layer = Correlation::with_sweep(input, d * groups, [kh, kw], sweep).ok()?;
        Some(Case { n, layer })
    })
}

fn dilation() -> impl Strategy<Value = usize> {
    prop_oneof![2 => Just(1), 1 => 2..=6usize]
}

/// The plain layers that most networks consist of: widths around each vector's.
fn plain() -> impl Strategy<Value = Case> {
    let kernels = prop_oneof![4 => 1..=17usize, 1 => Just(16), 1 => Just(32), 1 => Just(48)];
    let sizes = (1..4usize, 1..=3usize, 3..=7usize, 8..=37usize, kernels, 1..=5usize, 1..=5usize);
    sizes.prop_filter_map("the kernel fits", |(n, c, h, w, d, kh, kw)| {
        Some(Case { n, layer: Correlation::new([c, h, w], d, [kh, kw]).ok()? })
    })
}

/// Layers whose rows are multiplied by vectors in two halves, an odd number of them or of
/// kernels among them.
fn halved() -> impl Strategy<Value = Case> {
    let widths = prop_oneof![Just(8usize), Just(24), Just(40)];
    let kernels = prop_oneof![4 => 1..=9usize, 1 => Just(16)];
    let sizes = (1..=5usize, 1..=3usize, 1..=7usize, widths, kernels, 1..=5usize, 1..=5usize);
    sizes.prop_filter_map("the kernel fits", |(n, c, h, w, d, kh, kw)| {
        let layer = Correlation::new([c, h + kh - 1, w + kw - 1], d, [kh, kw]).ok()?;
        Some(Case { n, layer })
    })
}

/// Layers of planes so small that a sample is in each lane, if there are as many: more samples
/// than lanes and fewer, on each level.
fn side_by_side() -> impl Strategy<Value = Case> {
    let sizes = (7..=35usize, 1..=4usize, 1..=9usize, 1..=11usize, 4..=24usize);
    let rest = (1..=5usize, 1..=5usize, 1..=2usize, 1..=2usize, 0..=2usize, 0..=2usize, 1..=2usize);
    let (kh, kw, sh, sw, pad_h, pad_w, groups) = rest;
    let rest = (kh, kw, sh, sw, pad_h, pad_w, groups, 1..=2usize);
    (sizes, rest).prop_filter_map("samples gain", |((n, c, h, w, d), rest)| {
        let (kh, kw, sh, sw, pad_h, pad_w, groups, dilation) = rest;
        let padding = [[pad_h, pad_h / 2], [pad_w / 2, pad_w]];
        let sweep = Sweep { padding, stride: [sh, sw], dilation: [dilation; 2], groups };
        let input = [c * groups, h, w];
        let layer = Correlation::with_sweep(input, d * groups, [kh, kw], sweep).ok()?;
        let method = plan::<f32>(&layer).forward;
        matches!(method.schedule, Schedule::BatchInLanes { .. }).then_some(Case { n, layer })
    })
}

/// The bits of a sample's outputs and of its input's gradient do not depend on those beside it.
fn alone<T: Element>(Case { n, layer }: &Case) {
    let [inputs, outputs] = [layer.input_shape().len(), layer.output_shape().len()];
    let x = numbers::<T>(n * inputs, 1);
    let k = numbers::<T>(layer.kernels_shape().len(), 2);
    let g = numbers::<T>(n * outputs, 3);
    let b = numbers::<T>(outputs, 4);
    let both = |x: &[T], g: &[T]| {
        let (mut y, mut dx) = (nan(g.len()), nan(x.len()));
        layer.forward(x, &k, Bias::Untied(&b), &mut y, &mut dirty());
        layer.input_gradient(g, &k, &mut dx, &mut dirty());
        [y, dx]
    };
    let [y, dx] = both(&x, &g);
    let samples = x.chunks_exact(inputs).zip(g.chunks_exact(outputs));
    let results = y.chunks_exact(outputs).zip(dx.chunks_exact(inputs));
    for ((x, g), (y, dx)) in samples.zip(results) {
        assert!(both(x, g) == [y, dx], "{layer:?}");
    }
}

/// Layers that are computed tile by tile: prime numbers of channels and kernels, planes
/// that no tile divides, all paddings.
fn tiled() -> impl Strategy<Value = Case> {
    // 17, 18, 25 and 26 leave nine or ten rows, which are packed as six and the rest.
    let channels = prop_oneof![Just(17usize), Just(18), Just(23), Just(25), Just(32)];
    let kernels = prop_oneof![Just(16usize), Just(17), Just(19), Just(26), Just(37)];
    let sizes = (1..=3usize, channels, 5..=13usize, 5..=37usize, kernels);
    let padding = (0..=3usize, 0..=3usize, 0..=3usize, 0..=3usize);
    (sizes, padding).prop_filter_map("tiles gain", |(sizes, padding)| {
        planned(Arithmetic::Tiles, sizes, padding)
    })
}

/// Layers whose gradient of the kernels is computed tile by tile: some that fill vectors of
/// kernels and some that do not, more than are worked on together, all paddings.
fn tiled_gradient() -> impl Strategy<Value = Case> {
    let kernels = prop_oneof![Just(16usize), Just(23), Just(32), Just(45), Just(64), Just(70)];
    let sizes = (1..=5usize, 8..=35usize, 3..=13usize, 3..=37usize, kernels);
    let padding = (0..=2usize, 0..=2usize, 0..=2usize, 0..=2usize);
    (sizes, padding).prop_filter_map("tiles gain", |((n, c, h, w, d), padding)| {
        let layer = filtered((c, h, w, d), padding)?;
        let tiles = plan::<f32>(&layer).kernel_gradient == KernelArithmetic::Tiles;
        tiles.then_some(Case { n, layer })
    })
}

/// Layers that are computed in columns of four: few channels, planes that no strip of four
/// rows and no vector divides, all paddings.
fn columns() -> impl Strategy<Value = Case> {
    let kernels = prop_oneof![4 => 3..=19usize, 1 => Just(33usize), 1 => Just(64)];
    let sizes = (1..=3usize, 2..=18usize, 4..=15usize, 8..=37usize, kernels);
    let padding = (0..=2usize, 0..=2usize, 0..=2usize, 0..=2usize);
    (sizes, padding).prop_filter_map("columns gain", |(sizes, padding)| {
        planned(Arithmetic::Columns, sizes, padding)
    })
}

type Sizes = (usize, usize, usize, usize, usize);
type Padding = (usize, usize, usize, usize);

/// How 16 samples are computed.
fn plan<T: Element>(layer: &Correlation) -> Plan {
    layer.plan::<T>(Level::best(), 16)
}

/// A layer with kernels of 3 × 3, if it exists and is computed so.
fn planned(arithmetic: Arithmetic, (n, c, h, w, d): Sizes, padding: Padding) -> Option<Case> {
    let layer = filtered((c, h, w, d), padding)?;
    (plan::<f32>(&layer).forward.arithmetic == arithmetic).then_some(Case { n, layer })
}

fn filtered((c, h, w, d): (usize, usize, usize, usize), padding: Padding) -> Option<Correlation> {
    let (top, bottom, left, right) = padding;
    let layer = Correlation::new([c, h, w], d, [3, 3]).ok()?;
    layer.with_padding([top, bottom], [left, right]).ok()
}

fn correlation<T: Element>(Case { n, layer }: &Case) {
    let n = *n;
    let outputs = layer.output_shape().len();
    let [kernels, channels, height, width] = layer.kernels_shape().axes().expect("four axes");
    let plane = outputs / kernels;
    // What an output, an element of the input and one of a kernel are sums of.
    let terms = [channels, kernels / layer.groups()].map(|depth| depth * height * width);
    let x = numbers::<T>(n * layer.input_shape().len(), 1);
    let k = numbers::<T>(layer.kernels_shape().len(), 2);
    let g = numbers::<T>(n * outputs, 3);
    let b = numbers::<T>(outputs, 4);
    let biases = [Bias::None, Bias::PerChannel(&b[..outputs / plane]), Bias::Untied(&b[..])];
    on_each_level(|| {
        let mut results = Vec::new();
        for bias in biases {
            let (mut found, mut expected) = (nan(g.len()), nan(g.len()));
            layer.forward(&x, &k, bias, &mut found, &mut dirty());
            reference::forward(layer, &x, &k, bias, &mut expected);
            assert_close(&found, &expected, terms[0], "forward");
            results.push(found);
        }
        let (mut found, mut expected) = (nan(x.len()), nan(x.len()));
        layer.input_gradient(&g, &k, &mut found, &mut dirty());
        reference::input_gradient(layer, &g, &k, &mut expected);
        assert_close(&found, &expected, terms[1], "input gradient");
        results.push(found);
        let (mut found, mut expected) = (nan(k.len()), nan(k.len()));
        layer.kernel_gradient(&x, &g, &mut found, &mut dirty());
        reference::kernel_gradient(layer, &x, &g, &mut expected);
        assert_close(&found, &expected, n * plane, "kernel gradient");
        results.push(found);
        results
    });
}

/// The bits of the gradients on several numbers of threads, of a layer with work enough
/// to be cut.
fn threads<T: Element>(Case { n, layer }: &Case) {
    let x = numbers::<T>(n * layer.input_shape().len(), 1);
    let k = numbers::<T>(layer.kernels_shape().len(), 2);
    let g = numbers::<T>(n * layer.output_shape().len(), 3);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool of threads").install(|| {
            let (mut dx, mut dk) = (nan(x.len()), nan(k.len()));
            layer.input_gradient(&g, &k, &mut dx, &mut dirty());
            layer.kernel_gradient(&x, &g, &mut dk, &mut dirty());
            [dx, dk]
        })
    };
    let one = on(1);
    for count in [2, 3, 7] {
        assert!(on(count) == one, "{count} threads: {layer:?}");
    }
}

fn products<T: Element>([n, i, o]: [usize; 3]) {
    let x = numbers::<T>(n * i, 5);
    let w = numbers::<T>(o * i, 6);
    let g = numbers::<T>(n * o, 7);
    let b = numbers::<T>(o, 8);
    on_each_level(|| {
        let mut y = nan(n * o);
        matrix::multiply_transposed(&x, &w, Some(&b), &mut y, [n, i, o], &Scratch::parallel());
        let mut expected =
            reference::matrix_product([n, i, o], |n, k| x[n * i + k], |k, o| w[o * i + k]);
        expected.iter_mut().enumerate().for_each(|(at, y)| *y += b[at % o]);
        assert_close(&y, &expected, i, "X Wᵀ + b");

        let mut dx = nan(n * i);
        matrix::multiply_matrix(&g, &w, &mut dx, [n, o, i], &mut dirty());
        let expected =
            reference::matrix_product([n, o, i], |n, k| g[n * o + k], |k, j| w[k * i + j]);
        assert_close(&dx, &expected, o, "G W");

        let mut dw = nan(o * i);
        matrix::multiply_from_transposed(&g, &x, &mut dw, [n, o, i], &mut dirty());
        let expected =
            reference::matrix_product([o, n, i], |o_, k| g[k * o + o_], |k, j| x[k * i + j]);
        assert_close(&dw, &expected, n, "Gᵀ X");

        // The fused step has the bits of gradient, product and descent one by one.
        let rate = T::from_f64(0.01);
        let (g, x) = (&g[..o], &x[..i]);
        let mut fused = (w.clone(), nan(i));
        matrix::rank_one_step(&mut fused.0, g, x, rate, Some(&mut fused.1));
        let mut single = (w.clone(), nan(i), nan(o * i));
        matrix::multiply_matrix(g, &w, &mut single.1, [1, o, i], &mut dirty());
        matrix::multiply_from_transposed(g, x, &mut single.2, [1, o, i], &mut dirty());
        map::add_scaled(&mut single.0, -rate, &single.2);
        assert!(fused == (single.0, single.1), "rank-one step");
        vec![y, dx, dw, fused.0, fused.1]
    });
}

fn run<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(S::Value))
where
    S::Value: Debug,
{
    let config = Config { cases, rng_seed: RngSeed::Fixed(1), ..Config::default() };
    TestRunner::new(config)
        .run(strategy, |value| {
            test(value);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// The level is one for all tests.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static LEVEL: Mutex<()> = Mutex::new(());
    let guard = LEVEL.lock().unwrap_or_else(PoisonError::into_inner);
    set_level(Level::best()).expect("an available level");
    guard
}

#[test]
fn layers_in_bands_of_rows() {
    let _one = one_at_a_time();
    // Planes so large that they are worked on in bands of rows.
    let layer = Correlation::new([2, 60, 70], 32, [3, 2]).expect("a kernel that fits");
    correlation::<f32>(&Case { n: 2, layer });
    correlation::<f64>(&Case { n: 1, layer });
}

#[test]
fn kernels_larger_than_the_planes() {
    let _one = one_at_a_time();
    // Kernels larger than the planes that their padding surrounds.
    for (input, kernel) in [([2, 4, 3], [5, 5]), ([3, 1, 1], [7, 5]), ([1, 2, 40], [5, 3])] {
        let [rows, columns] = kernel.map(|size| [size / 2; 2]);
        let layer = Correlation::padded(input, 16, kernel, [rows, columns]).expect("padding");
        correlation::<f32>(&Case { n: 3, layer });
        correlation::<f64>(&Case { n: 3, layer });
    }
}

#[test]
fn kernels_spread_by_a_dilation_and_padding_beyond_them() {
    let _one = one_at_a_time();
    // Rows of the input between those that a kernel of few outputs meets, and padding that no
    // output sees anything but.
    for (input, kernel, dilation, stride) in
        [([2, 9, 11], [3, 3], [4, 5], [1, 1]), ([3, 13, 30], [2, 3], [6, 4], [4, 6])]
    {
        let sweep = Sweep { padding: [[0, 5], [7, 3]], stride, dilation, groups: 1 };
        let layer = Correlation::with_sweep(input, 19, kernel, sweep).expect("it fits");
        for n in [1, 3, 20] {
            correlation::<f32>(&Case { n, layer });
            correlation::<f64>(&Case { n, layer });
            alone::<f32>(&Case { n, layer });
        }
    }
}

#[test]
fn layers_that_want_more_memory_with_fewer_lanes() {
    let _one = one_at_a_time();
    // Fewer lanes may want more memory than more: rows of partial sums fit another way.
    for (input, kernels, kernel, columns) in
        [([4, 1, 6], 1, [5, 4], [2, 2]), ([11, 3, 1], 1, [5, 2], [1, 1])]
    {
        let layer = Correlation::padded(input, kernels, kernel, [[2, 2], columns]);
        let case = Case { n: 17, layer: layer.expect("padding") };
        correlation::<f32>(&case);
        correlation::<f64>(&case);
    }
}

#[test]
fn threads_change_no_bit() {
    let _one = one_at_a_time();
    for (n, input, kernels, size) in [
        (9, [8, 12, 12], 16, [5, 5]),
        (2, [5, 30, 34], 48, [3, 3]),
        (1, [3, 70, 66], 64, [3, 3]),
        (2, [3, 40, 40], 6, [3, 5]),
        (3, [4, 20, 21], 24, [3, 3]),
        (3, [2, 20, 21], 45, [5, 3]),
        (70, [16, 5, 5], 40, [5, 5]),
    ] {
        let case = Case { n, layer: Correlation::new(input, kernels, size).expect("it fits") };
        threads::<f32>(&case);
        threads::<f64>(&case);
    }
}

#[test]
fn plain_layers() {
    let _one = one_at_a_time();
    run(300, &plain(), |case| correlation::<f32>(&case));
    run(100, &plain(), |case| correlation::<f64>(&case));
}

#[test]
fn rows_in_halves() {
    let _one = one_at_a_time();
    run(100, &halved(), |case| correlation::<f32>(&case));
    run(30, &halved(), |case| correlation::<f64>(&case));
}

#[test]
fn samples_side_by_side() {
    let _one = one_at_a_time();
    // Samples side by side, and more channels than are laid so together.
    for (n, input, kernels, groups) in [(35, [19, 9, 9], 12, 1), (17, [38, 9, 8], 30, 2)] {
        let layer = Correlation::padded(input, kernels, [5, 5], [[2, 2], [2, 1]]);
        let layer = layer.and_then(|layer| layer.with_stride([2, 2])?.with_groups(groups));
        let layer = layer.expect("it fits");
        let plan = layer.plan::<f32>(Level::best(), n);
        for method in [plan.forward, plan.input_gradient] {
            assert!(matches!(method.schedule, Schedule::BatchInLanes { .. }), "{method:?}");
        }
        correlation::<f32>(&Case { n, layer });
        alone::<f32>(&Case { n, layer });
        correlation::<f64>(&Case { n, layer });
        alone::<f64>(&Case { n, layer });
    }
    run(60, &side_by_side(), |case| {
        correlation::<f32>(&case);
        alone::<f32>(&case);
    });
    run(30, &side_by_side(), |case| {
        correlation::<f64>(&case);
        alone::<f64>(&case);
    });
}

#[test]
fn layers_of_all_kinds() {
    let _one = one_at_a_time();
    run(300, &case(), |case| correlation::<f32>(&case));
    run(100, &case(), |case| correlation::<f64>(&case));
}

#[test]
fn layers_by_tiles() {
    let _one = one_at_a_time();
    run(16, &tiled(), |case| {
        correlation::<f32>(&case);
        filtering(&case);
    });
    let layer = Correlation::new([256, 14, 14], 16, [3, 3]).expect("a kernel that fits");
    assert_eq!(plan::<f32>(&layer).forward.arithmetic, Arithmetic::Tiles);
    assert_eq!(plan::<f64>(&layer).forward.arithmetic, Arithmetic::Direct);
    filtering(&Case { n: 1, layer });
}

#[test]
fn gradients_by_tiles() {
    let _one = one_at_a_time();
    run(16, &tiled_gradient(), |case| {
        correlation::<f32>(&case);
        filtering(&case);
    });
    // Of several blocks, and channels for several threads.
    let layer = Correlation::new([40, 24, 22], 80, [3, 3]).expect("a kernel that fits");
    assert_eq!(plan::<f32>(&layer).kernel_gradient, KernelArithmetic::Tiles);
    let direct = KernelArithmetic::Direct { outer: 80, dots: 0 };
    assert_eq!(plan::<f64>(&layer).kernel_gradient, direct);
    filtering(&Case { n: 9, layer });
}

#[test]
fn layers_by_columns() {
    let _one = one_at_a_time();
    run(48, &columns(), |case| {
        correlation::<f32>(&case);
        filtering(&case);
    });
    // Of several chunks, and with work enough for several threads.
    for (n, input, kernels) in [(1, [3, 224, 226], 16), (9, [3, 34, 42], 23), (5, [7, 40, 70], 8)] {
        let layer = Correlation::new(input, kernels, [3, 3]).expect("a kernel that fits");
        assert_eq!(plan::<f32>(&layer).forward.arithmetic, Arithmetic::Columns);
        assert_eq!(plan::<f64>(&layer).forward.arithmetic, Arithmetic::Direct);
        filtering(&Case { n, layer });
    }
}

#[test]
fn matrix_products() {
    let _one = one_at_a_time();
    let sizes = [1..=9usize, 1..=40usize, 1..=19usize];
    run(200, &sizes, products::<f32>);
    run(100, &sizes, products::<f64>);
}
