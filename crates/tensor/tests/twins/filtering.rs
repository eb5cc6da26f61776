//! How exact minimal filtering is, and that neither threads nor company change a bit of it.

use tensor::simd::Level;
use tensor::{Arithmetic, Bias, Correlation, KernelArithmetic, Scratch, reference};

use crate::{Case, dirty, filtered, nan, numbers};

/// By minimal filtering, the error against sums in double precision is at most `(24 + 2 m) ε`
/// times the largest sum of magnitudes, where `m` products are added up at a point: not of the
/// largest output, from which all may cancel.
#[track_caller]
fn assert_filtered(found: &[f32], exact: &[f64], magnitudes: &[f64], m: usize, what: &str) {
    let largest = magnitudes.iter().copied().fold(0.0, f64::max);
    let unit = f64::from(f32::EPSILON) * largest;
    let bound = (24 + 2 * m) as f64;
    for (found, exact) in found.iter().zip(exact) {
        let error = (f64::from(*found) - exact).abs() / unit;
        assert!(error <= bound, "{what}: {found} for {exact}, {error} ε of {largest}");
    }
}

/// How many products the three operations of `n` samples add up at a point.
fn products_at_a_point(layer: &Correlation, n: usize) -> [usize; 3] {
    let [kernels, channels, ..] = layer.kernels_shape().axes::<4>().expect("four axes");
    let [_, height, width] = layer.output_shape().axes::<3>().expect("three axes");
    let plan = layer.plan::<f32>(Level::best(), 16);
    let of_outputs = plan.forward.arithmetic == Arithmetic::Tiles;
    let of_inputs = plan.input_gradient.arithmetic == Arithmetic::Tiles;
    let of_kernels = plan.kernel_gradient == KernelArithmetic::Tiles;
    let columns = |tiled: bool, depth| if tiled { depth } else { 3 * depth };
    let across = if of_kernels { width.div_ceil(4) } else { width };
    let positions = n * height.div_ceil(4) * across;
    [columns(of_outputs, channels), columns(of_inputs, kernels), positions]
}

/// [`assert_filtered`] for the three operations.
fn filtering_is_exact_enough(layer: &Correlation, [x, k, g]: [&[f32]; 3]) {
    let wide = |numbers: &[f32]| numbers.iter().copied().map(f64::from).collect::<Vec<_>>();
    let (mut y, mut dx, mut dk) = (nan(g.len()), nan(x.len()), nan(k.len()));
    layer.forward(x, k, Bias::None, &mut y, &mut dirty());
    layer.input_gradient(g, k, &mut dx, &mut dirty());
    layer.kernel_gradient(x, g, &mut dk, &mut dirty());
    let exact = |[x, k, g]: [Vec<f64>; 3]| {
        let (mut y, mut dx, mut dk) = (nan(g.len()), nan(x.len()), nan(k.len()));
        reference::forward(layer, &x, &k, Bias::None, &mut y);
        reference::input_gradient(layer, &g, &k, &mut dx);
        reference::kernel_gradient(layer, &x, &g, &mut dk);
        [y, dx, dk]
    };
    let numbers = [x, k, g].map(wide);
    let magnitudes = numbers.clone().map(|all| all.into_iter().map(f64::abs).collect());
    let (exact, magnitudes) = (exact(numbers), exact(magnitudes));
    let products = products_at_a_point(layer, x.len() / layer.input_shape().len());
    for (place, found) in [y, dx, dk].iter().enumerate() {
        let what = format!("{} of {layer:?}", ["output", "input", "kernels"][place]);
        assert_filtered(found, &exact[place], &magnitudes[place], products[place], &what);
    }
}

/// What is worst for minimal filtering: signs that make the largest of transformed numbers and
/// cancel in the sum, and the same rounding error again and again.
#[test]
fn filtering_is_exact_enough_for_what_is_worst_for_it() {
    for (c, d, side, n) in [(1, 16, 12, 1), (16, 16, 28, 4), (64, 16, 16, 1), (256, 16, 12, 1)] {
        let layer = filtered((c, side, side, d), (1, 1, 1, 1)).expect("it fits");
        let sign = |at: usize| [1.0_f32, -1.0, -1.0, 1.0, 1.0, -1.0][at % 6];
        let plane = side * side;
        let signs: Vec<_> =
            (0..n * c * plane).map(|at| sign(at % plane / side) * sign(at % side)).collect();
        let chessboard: Vec<_> =
            (0..c * d * 9).map(|at| if at % 9 % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let g = vec![1.0; n * d * plane];
        filtering_is_exact_enough(&layer, [&signs, &chessboard, &g]);
        let [x, k, g] = [n * c * plane, c * d * 9, n * d * plane].map(|len| vec![0.7; len]);
        filtering_is_exact_enough(&layer, [&x, &k, &g]);
    }
}

/// Minimal filtering is as exact as it should be, of kernels that sum to 0 on a bright ground
/// too, and neither threads nor the sample's place in a batch nor what the memory held change a
/// bit.
pub(crate) fn filtering(Case { n, layer }: &Case) {
    let n = *n;
    let x = numbers::<f32>(n * layer.input_shape().len(), 1);
    let k = numbers::<f32>(layer.kernels_shape().len(), 2);
    let g = numbers::<f32>(n * layer.output_shape().len(), 3);
    filtering_is_exact_enough(layer, [&x, &k, &g]);
    let bright = x.iter().map(|x| 1.0 + 0.01 * x).collect::<Vec<_>>();
    let mut edges = k.clone();
    for kernel in edges.chunks_exact_mut(9) {
        let mean = kernel.iter().sum::<f32>() / 9.0;
        kernel.iter_mut().for_each(|k| *k -= mean);
    }
    filtering_is_exact_enough(layer, [&bright, &edges, &g]);
    let (mut y, mut dx, mut dk) = (nan(g.len()), nan(x.len()), nan(k.len()));
    layer.forward(&x, &k, Bias::None, &mut y, &mut dirty());
    layer.input_gradient(&g, &k, &mut dx, &mut dirty());
    layer.kernel_gradient(&x, &g, &mut dk, &mut dirty());
    let samples = x.chunks_exact(layer.input_shape().len());
    for (index, x) in samples.enumerate() {
        let outputs = layer.output_shape().len();
        let mut alone = nan(outputs);
        layer.forward(x, &k, Bias::None, &mut alone, &mut Scratch::sequential());
        assert!(alone == y[index * outputs..][..outputs], "sample {index} alone, {layer:?}");
    }
    for threads in [2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (mut other_y, mut other_dx) = (nan::<f32>(g.len()), nan::<f32>(x.len()));
        let mut other_dk = nan(k.len());
        pool.install(|| {
            layer.forward(&x, &k, Bias::None, &mut other_y, &mut dirty());
            layer.input_gradient(&g, &k, &mut other_dx, &mut dirty());
            layer.kernel_gradient(&x, &g, &mut other_dk, &mut dirty());
        });
        assert!(other_y == y && other_dx == dx && other_dk == dk, "{threads} threads, {layer:?}");
    }
}
