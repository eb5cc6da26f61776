//! The readable twins: each operation as its formula, in plain loops.
//!
//! They are neither fast nor parallel; the fast operations are tested against them.

use crate::image::Spline;
use crate::optimize::{Adam, Descent, Lion, Momentum, RmsProp};
use crate::random::philox;
use crate::{Bias, Correlation, Element, Pooling, Windows};

/// One plane of a correlation: valid where `pad` is `[0, 0]`, full where it is
/// `[KH−1, KW−1]`. `x (H, W)`, `k (KH, KW)`.
pub fn correlate_plane<T: Element>(
    x: &[T],
    [h, w]: [usize; 2],
    k: &[T],
    [kh, kw]: [usize; 2],
    pad: [usize; 2],
) -> Vec<T> {
    let mut output = Vec::new();
    for y in 0..h + 2 * pad[0] + 1 - kh {
        for x0 in 0..w + 2 * pad[1] + 1 - kw {
            let mut sum = T::ZERO;
            for ky in 0..kh {
                for kx in 0..kw {
                    let (row, column) = (y + ky, x0 + kx);
                    if (pad[0]..pad[0] + h).contains(&row) && (pad[1]..pad[1] + w).contains(&column)
                    {
                        let at = (row - pad[0]) * w + column - pad[1];
                        sum = x[at].mul_add(k[ky * kw + kx], sum);
                    }
                }
            }
            output.push(sum);
        }
    }
    output
}

/// Calls `f(output, input, kernel)` with the flat indices of each multiply-add of one sample; for
/// each output in the order channel, kernel row, kernel column.
pub fn for_each_multiply_add(layer: &Correlation, mut f: impl FnMut(usize, usize, usize)) {
    let [channels, height, width] = layer.input_shape().axes().unwrap_or_default();
    let [kernels, group_channels, kh, kw] = layer.kernels_shape().axes().unwrap_or_default();
    let [_, oh, ow] = layer.output_shape().axes().unwrap_or_default();
    let ([sh, sw], [[top, _], [left, _]]) = (layer.stride(), layer.padding());
    let [dh, dw] = layer.dilation();
    debug_assert_eq!(channels, group_channels * layer.groups());
    for d in 0..kernels {
        let group = d / (kernels / layer.groups());
        for oy in 0..oh {
            for ox in 0..ow {
                for c in 0..group_channels {
                    for ky in 0..kh {
                        for kx in 0..kw {
                            let (y, x) = (oy * sh + ky * dh, ox * sw + kx * dw);
                            if y < top || x < left || y - top >= height || x - left >= width {
                                continue;
                            }
                            let channel = group * group_channels + c;
                            f(
                                (d * oh + oy) * ow + ox,
                                (channel * height + y - top) * width + x - left,
                                ((d * group_channels + c) * kh + ky) * kw + kx,
                            );
                        }
                    }
                }
            }
        }
    }
}

/// The twin of [`Correlation::forward`].
pub fn forward<T: Element>(
    layer: &Correlation,
    input: &[T],
    kernels: &[T],
    bias: Bias<'_, T>,
    output: &mut [T],
) {
    let (inputs, outputs) = (layer.input_shape().len(), layer.output_shape().len());
    let plane = outputs / layer.kernels_shape().dims()[0];
    for (x, y) in input.chunks_exact(inputs).zip(output.chunks_exact_mut(outputs)) {
        y.fill(T::ZERO);
        for_each_multiply_add(layer, |o, i, k| y[o] = x[i].mul_add(kernels[k], y[o]));
        for (o, y) in y.iter_mut().enumerate() {
            match bias {
                Bias::None => {}
                Bias::PerChannel(bias) => *y += bias[o / plane],
                Bias::Untied(bias) => *y += bias[o],
            }
        }
    }
}

/// The twin of [`Correlation::input_gradient`].
pub fn input_gradient<T: Element>(
    layer: &Correlation,
    output_gradient: &[T],
    kernels: &[T],
    input_gradient: &mut [T],
) {
    let (inputs, outputs) = (layer.input_shape().len(), layer.output_shape().len());
    let samples = output_gradient.chunks_exact(outputs);
    for (g, x) in samples.zip(input_gradient.chunks_exact_mut(inputs)) {
        x.fill(T::ZERO);
        for_each_multiply_add(layer, |o, i, k| x[i] = g[o].mul_add(kernels[k], x[i]));
    }
}

/// The twin of [`Correlation::kernel_gradient`].
pub fn kernel_gradient<T: Element>(
    layer: &Correlation,
    input: &[T],
    output_gradient: &[T],
    kernel_gradient: &mut [T],
) {
    let (inputs, outputs) = (layer.input_shape().len(), layer.output_shape().len());
    kernel_gradient.fill(T::ZERO);
    for (x, g) in input.chunks_exact(inputs).zip(output_gradient.chunks_exact(outputs)) {
        for_each_multiply_add(layer, |o, i, k| {
            kernel_gradient[k] = x[i].mul_add(g[o], kernel_gradient[k]);
        });
    }
}

/// `c[i][j] = Σ_k a(i, k) · b(k, j)`, with the operands given as functions of their indices: the
/// twin of the products in [`crate::matrix`], with the same bits as those that transpose nothing or
/// their first operand.
/// their first operand.
pub fn matrix_product<T: Element>(
    [rows, inner, columns]: [usize; 3],
    a: impl Fn(usize, usize) -> T,
    b: impl Fn(usize, usize) -> T,
) -> Vec<T> {
    let element = |i, j| (0..inner).fold(T::ZERO, |sum, k| a(i, k).mul_add(b(k, j), sum));
    (0..rows * columns).map(|at| element(at / columns, at % columns)).collect()
}

/// `Σ_k a_k b_k` in the lanes of 512 bits, 16 of `f32`: lane `l` adds the products at `l`,
/// `l + 16`, `l + 32`, … one after another, with zeros after the end; then the upper half of the
/// lanes is added to the lower half until one lane is left.
pub fn dot<T: Element>(a: &[T], b: &[T]) -> T {
    let mut sums = vec![T::ZERO; 64 / size_of::<T>()];
    let at = |x: &[T], k| if k < x.len() { x[k] } else { T::ZERO };
    for start in (0..a.len()).step_by(sums.len()) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum = at(a, start + lane).mul_add(at(b, start + lane), *sum);
        }
    }
    while sums.len() > 1 {
        let upper = sums.split_off(sums.len() / 2);
        sums.iter_mut().zip(upper).for_each(|(sum, x)| *sum += x);
    }
    sums[0]
}

/// The twin of [`crate::matrix::multiply_transposed`] without a bias, with the same bits: [`dot`]
/// of each row of `a (N, I)` with each row of `b (O, I)`.
pub fn transposed_product<T: Element>(a: &[T], b: &[T], [n, i, o]: [usize; 3]) -> Vec<T> {
    let outputs = (0..n * o).map(|at| (at / o * i, at % o * i));
    outputs.map(|(row, column)| dot(&a[row..][..i], &b[column..][..i])).collect()
}

/// Calls `f(output, window, count)` for each output of one sample, with the flat indices of the
/// numbers in its window in row-major order, and how many positions count in its mean.
pub fn for_each_window(pooling: &Pooling, mut f: impl FnMut(usize, &[usize], usize)) {
    let [_, height, width] = pooling.input_shape().axes().unwrap_or_default();
    let [channels, oh, ow] = pooling.output_shape().axes().unwrap_or_default();
    let Windows { size: [kh, kw], stride: [sh, sw], padding, .. } = pooling.windows();
    let [[top, bottom], [left, right]] = padding;
    for output in 0..channels * oh * ow {
        let (c, oy, ox) = (output / (oh * ow), output / ow % oh, output % ow);
        let (mut window, mut padded) = (Vec::new(), 0);
        for (y, x) in (0..kh * kw).map(|k| (oy * sh + k / kw, ox * sw + k % kw)) {
            if y < top + height + bottom && x < left + width + right {
                padded += 1;
            }
            if (top..top + height).contains(&y) && (left..left + width).contains(&x) {
                window.push((c * height + y - top) * width + x - left);
            }
        }
        let count = if pooling.windows().count_padding { padded } else { window.len() };
        f(output, &window, count);
    }
}

/// The twin of [`Pooling::max`] on one sample, for numbers that are not NaN; if negative numbers
/// are replaced by 0, the twin of [`Pooling::rectified_max`].
pub fn max_pool<T: Element>(pooling: &Pooling, input: &[T], output: &mut [T]) {
    for_each_window(pooling, |o, window, _| output[o] = input[first_largest(input, window)]);
}

/// The twin of [`Pooling::max_gradient`] on one sample, for numbers that are not NaN.
/// ([`Pooling::rectified_max_gradient`] passes nothing where the maximum is negative.)
pub fn max_pool_gradient<T: Element>(
    pooling: &Pooling,
    input: &[T],
    output_gradient: &[T],
    input_gradient: &mut [T],
) {
    input_gradient.fill(T::ZERO);
    for_each_window(pooling, |o, window, _| {
        input_gradient[first_largest(input, window)] += output_gradient[o];
    });
}

fn first_largest<T: Element>(input: &[T], window: &[usize]) -> usize {
    window.iter().fold(window[0], |best, &at| if input[at] > input[best] { at } else { best })
}

/// The twin of [`Pooling::mean`] on one sample.
pub fn mean_pool<T: Element>(pooling: &Pooling, input: &[T], output: &mut [T]) {
    for_each_window(pooling, |o, window, count| {
        let sum: T = window.iter().map(|&at| input[at]).sum();
        output[o] = sum / T::from_f64(count as f64);
    });
}

/// The twin of [`Pooling::mean_gradient`] on one sample.
pub fn mean_pool_gradient<T: Element>(
    pooling: &Pooling,
    output_gradient: &[T],
    input_gradient: &mut [T],
) {
    input_gradient.fill(T::ZERO);
    for_each_window(pooling, |o, window, count| {
        let share = output_gradient[o] / T::from_f64(count as f64);
        window.iter().for_each(|&at| input_gradient[at] += share);
    });
}

/// The twin of all sums over many numbers, here over rows: means, variances, gradients of biases.
///
/// With the lanes of 512 bits, the vectors of a row are taken in blocks of 64. Those of a block are
/// dealt to four sums in turn, numbers after the last whole vector go to the last sum, and the four
/// are added in pairs. Then all blocks are added by [`tree`], and the lanes by halves.
pub fn sum<T: Element>(rows: &[&[T]]) -> T {
    let lanes = 64 / size_of::<T>();
    let mut blocks = Vec::new();
    for block in rows.iter().flat_map(|row| row.chunks(64 * lanes)) {
        let mut dealt = vec![vec![T::ZERO; lanes]; 4];
        for (place, vector) in block.chunks(lanes).enumerate() {
            let sum = &mut dealt[if vector.len() == lanes { place % 4 } else { 3 }];
            sum.iter_mut().zip(vector).for_each(|(sum, &x)| *sum += x);
        }
        blocks.push(dealt);
    }
    let lane = |i| {
        let block = |dealt: &Vec<Vec<T>>| (dealt[0][i] + dealt[1][i]) + (dealt[2][i] + dealt[3][i]);
        tree(&blocks.iter().map(block).collect::<Vec<_>>())
    };
    let mut sums: Vec<T> = (0..lanes).map(lane).collect();
    while sums.len() > 1 {
        let upper = sums.split_off(sums.len() / 2);
        sums.iter_mut().zip(upper).for_each(|(sum, x)| *sum += x);
    }
    sums[0]
}

/// `((0 + 1) + (2 + 3)) + …`: the largest power of two first, recursively by halves. The twin of
/// [`crate::reduce::sum_pairwise`] and [`crate::reduce::sum`].
pub fn tree<T: Element>(parts: &[T]) -> T {
    match parts {
        [] => T::ZERO,
        [part] => *part,
        _ => {
            let (first, rest) = parts.split_at(parts.len().next_power_of_two() / 2);
            tree(first) + tree(rest)
        }
    }
}

/// `exp x` in double precision.
pub fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// The value and the derivative of an activation at `x`, in double precision: the twins of
/// [`crate::activation`].
pub type ActivationAt = [f64; 2];

/// `1 / (1 + exp −x)`.
pub fn sigmoid(x: f64) -> ActivationAt {
    // Avoids the cancellation in 1 − 1 / (1 + exp −x) for small results.
    let z = libm::exp(-x.abs());
    let [small, large] = [z / (1.0 + z), 1.0 / (1.0 + z)];
    [if x < 0.0 { small } else { large }, small * large]
}

/// `tanh x`.
pub fn tanh(x: f64) -> ActivationAt {
    let y = libm::tanh(x);
    [y, 1.0 - y * y]
}

/// `max(x, 0)`.
pub fn relu(x: f64) -> ActivationAt {
    leaky_relu(x, 0.0)
}

/// `x` where it is positive, else `slope x`.
pub fn leaky_relu(x: f64, slope: f64) -> ActivationAt {
    if x > 0.0 { [x, 1.0] } else { [slope * x, slope] }
}

/// `x Φ(x)`.
pub fn gelu(x: f64) -> ActivationAt {
    let probability = 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
    let density = libm::exp(-0.5 * x * x) / (2.0 * std::f64::consts::PI).sqrt();
    [x * probability, probability + x * density]
}

/// `x / (1 + exp −x)`.
pub fn silu(x: f64) -> ActivationAt {
    let [s, derivative] = sigmoid(x);
    [x * s, s + x * derivative]
}

/// `x` where it is positive, else `alpha (exp x − 1)`.
pub fn elu(x: f64, alpha: f64) -> ActivationAt {
    if x > 0.0 { [x, 1.0] } else { [alpha * libm::expm1(x), alpha * libm::exp(x)] }
}

/// `ln(1 + exp x)`.
pub fn softplus(x: f64) -> ActivationAt {
    [libm::fmax(x, 0.0) + libm::log1p(libm::exp(-x.abs())), sigmoid(x)[0]]
}

/// `x · min(max(x + 3, 0), 6) / 6`.
pub fn hard_swish(x: f64) -> ActivationAt {
    match x {
        ..=-3.0 => [0.0, 0.0],
        3.0.. => [x, 1.0],
        _ => [x * (x + 3.0) / 6.0, x / 3.0 + 0.5],
    }
}

/// The twin of [`crate::map::add_scaled`], with the same bits, and with `a = 1` of
/// [`crate::map::add`].
pub fn add_scaled<T: Element>(y: &mut [T], a: T, x: &[T]) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y = x.mul_add(a, *y));
}

/// The twin of [`crate::map::lerp`], with the same bits.
pub fn lerp<T: Element>(y: &mut [T], a: T, x: &[T]) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y = (x - *y).mul_add(a, *y));
}

/// The twin of [`crate::matrix::rank_one_step`], with the same bits: `y` and `W`.
pub fn rank_one_step<T: Element>(w: &[T], g: &[T], x: &[T], rate: T) -> [Vec<T>; 2] {
    let len = x.len();
    let y = matrix_product([1, g.len(), len], |_, o| g[o], |o, i| w[o * len + i]);
    let gradient = |at: usize| g[at / len] * x[at % len];
    [y, w.iter().enumerate().map(|(at, &w)| gradient(at).mul_add(-rate, w)).collect()]
}

/// The numbers of each channel of samples `(C, P)`.
fn channels(x: &[f64], [channels, plane]: [usize; 2]) -> Vec<Vec<f64>> {
    let of = |c| x.chunks_exact(plane).skip(c).step_by(channels).flatten().copied().collect();
    (0..channels).map(of).collect()
}

/// The twin of what [`crate::normalize::forward`] measures, in double precision: mean, unbiased
/// variance and `1 / √(variance + ε)` of each channel of samples `(C, P)`.
pub fn channel_statistics(x: &[f64], shape: [usize; 2], epsilon: f64) -> Vec<[f64; 3]> {
    let of = |x: Vec<f64>| {
        let (count, mean) = (x.len() as f64, tree(&x) / x.len() as f64);
        let squares: Vec<_> = x.iter().map(|x| (x - mean) * (x - mean)).collect();
        let sum = tree(&squares);
        [mean, sum / (count - 1.0), 1.0 / (sum / count + epsilon).sqrt()]
    };
    channels(x, shape).into_iter().map(of).collect()
}

/// The twin of [`crate::normalize::scale`], and of the outputs of [`crate::normalize::forward`], in
/// double precision: `scale_c (x − mean_c) + shift_c`, with the constants `[mean, scale, shift]` of
/// each channel.
pub fn scale_channels(x: &[f64], plane: usize, constants: &[[f64; 3]]) -> Vec<f64> {
    let of = |(at, x): (usize, &f64)| {
        let [mean, scale, shift] = constants[at / plane % constants.len()];
        scale * (x - mean) + shift
    };
    x.iter().enumerate().map(of).collect()
}

/// The twin of [`crate::normalize::backward`] in double precision: the gradients of weight, bias
/// and `x`, with the constants `[weight, mean, inverse]` of each channel.
pub fn normalize_backward(
    [x, g]: [&[f64]; 2],
    plane: usize,
    constants: &[[f64; 3]],
) -> [Vec<f64>; 3] {
    let shape = [constants.len(), plane];
    let count = (x.len() / constants.len()) as f64;
    let centred = constants.iter().map(|&[_, mean, inverse]| [mean, inverse, 0.0]);
    let normalized = scale_channels(x, plane, &centred.collect::<Vec<_>>());
    let products: Vec<_> = normalized.iter().zip(g).map(|(x, g)| x * g).collect();
    let sums = |x: &[f64]| channels(x, shape).iter().map(|x| tree(x)).collect::<Vec<_>>();
    let (weight, bias) = (sums(&products), sums(g));
    let of = |(at, g): (usize, &f64)| {
        let c = at / plane % constants.len();
        let [scale, _, inverse] = constants[c];
        scale * inverse * (g - (bias[c] + normalized[at] * weight[c]) / count)
    };
    let x = g.iter().enumerate().map(of).collect();
    [weight, bias, x]
}

/// The twin of [`Descent::step`] on one parameter, in double precision.
pub fn descent(Descent { rate, weight_decay }: Descent<f64>, g: f64, w: f64) -> f64 {
    w - rate * (g + weight_decay * w)
}

/// The twin of [`Momentum::step`] on one parameter, in double precision: `[w, v]`.
pub fn momentum(step: Momentum<f64>, g: f64, [w, v]: [f64; 2]) -> [f64; 2] {
    let g = g + step.weight_decay * w;
    let v = step.momentum * v + g;
    let direction = if step.nesterov { g + step.momentum * v } else { v };
    [w - step.rate * direction, v]
}

/// The twin of [`Adam::step`] on one parameter, in double precision: `[w, m, v]`.
pub fn adam(step: Adam<f64>, g: f64, [w, m, v]: [f64; 3]) -> [f64; 3] {
    let w = step.shrink * w;
    let g = g + step.weight_decay * w;
    let m = m + step.rest1 * (g - m);
    let v = step.beta2 * v + step.rest2 * g * g;
    [w - step.rate * m / (v.sqrt() * step.root_scale + step.epsilon), m, v]
}

/// The twin of [`RmsProp::step`] on one parameter, in double precision: `[w, m, v]`.
pub fn rms_prop(step: RmsProp<f64>, g: f64, [w, m, v]: [f64; 3]) -> [f64; 3] {
    let g = g + step.weight_decay * w;
    let v = step.alpha * v + step.rest * g * g;
    let m = step.momentum * m + g / (v.sqrt() + step.epsilon);
    [w - step.rate * m, m, v]
}

/// The twin of [`Lion::step`] on one parameter, in double precision: `[w, m]`.
pub fn lion(step: Lion<f64>, g: f64, [w, m]: [f64; 2]) -> [f64; 2] {
    let direction = m + step.rest1 * (g - m);
    let sign = if direction == 0.0 { direction } else { direction.signum() };
    [step.shrink * w - step.rate * sign, m + step.rest2 * (g - m)]
}

/// The twin of [`crate::random::drop_out`], with the same bits.
pub fn drop_out<T: Element>(x: &mut [T], counter: [u32; 3], key: [u32; 2], limit: u32, scale: T) {
    for (at, x) in x.iter_mut().enumerate() {
        let words = philox([(at / 4) as u32, counter[0], counter[1], counter[2]], key);
        *x = if words[at % 4] < limit { T::ZERO } else { *x * scale };
    }
}

/// The twin of [`crate::image::u8_to_unit`] on one byte, with the same bits.
pub fn u8_to_unit(byte: u8) -> f32 {
    f32::from(byte) / 255.0
}

/// The twin of [`crate::image::affine_grid`] on one pixel `[y, x]`, with the same bits.
pub fn affine_grid(
    matrix: &[[f32; 3]; 2],
    [y, x]: [usize; 2],
    (nodes, spline): (&[[f32; 2]], Option<Spline>),
) -> [f32; 2] {
    [0, 1].map(|axis| {
        let [by_y, by_x, start] = matrix[axis];
        let straight = by_y * y as f32 + by_x * x as f32 + start;
        spline.map_or(straight, |Spline { first, weights }| {
            let nodes = nodes[first..].iter().zip(weights);
            nodes.fold(straight, |sum, (node, weight)| sum + weight * node[axis])
        })
    })
}

/// The twin of [`crate::image::grid_sample`]: the brightness of a plane of bytes at a position
/// `[y, x]` between pixels; 0 outside.
pub fn grid_sample(plane: &[u8], [height, width]: [usize; 2], [y, x]: [f32; 2]) -> f32 {
    // One pixel outside and beyond, everything is 0; so the integer part below is never negative.
    let (y, x) = (y.clamp(-1.0, height as f32) + 1.0, x.clamp(-1.0, width as f32) + 1.0);
    let (below, right) = (y as i32 as usize, x as i32 as usize);
    let (dy, dx) = (y - below as f32, x - right as f32);
    let pixel = |y: usize, x: usize| {
        // Counted from one pixel outside.
        let inside = (1..=height).contains(&y) && (1..=width).contains(&x);
        if inside { f32::from(plane[(y - 1) * width + (x - 1)]) } else { 0.0 }
    };
    let upper = (1.0 - dx) * pixel(below, right) + dx * pixel(below, right + 1);
    let lower = (1.0 - dx) * pixel(below + 1, right) + dx * pixel(below + 1, right + 1);
    ((1.0 - dy) * upper + dy * lower) / 255.0
}
