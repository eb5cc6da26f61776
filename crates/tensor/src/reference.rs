//! The readable twins: each operation as its formula, in plain loops.
//!
//! Not fast, not parallel; what the fast operations are tested against.

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

/// Calls `f(output, input, kernel)` with the flat indices of each multiply-add of one
/// sample, for each output in the order channel, kernel row, kernel column.
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
                Bias::PerKernel(bias) => *y += bias[o / plane],
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

/// `c[i][j] = Σ_k a(i, k) · b(k, j)`, the operands given as functions of their indices:
/// the twin of the products in [`crate::matrix`], to the bit of those that transpose nothing or
/// their first operand.
pub fn matrix_product<T: Element>(
    [rows, inner, columns]: [usize; 3],
    a: impl Fn(usize, usize) -> T,
    b: impl Fn(usize, usize) -> T,
) -> Vec<T> {
    let element = |i, j| (0..inner).fold(T::ZERO, |sum, k| a(i, k).mul_add(b(k, j), sum));
    (0..rows * columns).map(|at| element(at / columns, at % columns)).collect()
}

/// `Σ_k a_k b_k` in lanes of 512 bits, 16 of `f32`: lane `l` takes the products at `l`, `l + 16`,
/// `l + 32`, … one after another, zeros where the numbers end; then the upper half of the
/// lanes is added to the lower one until one is left.
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

/// The twin of [`crate::matrix::multiply_transposed`] without a bias, to the bit: [`dot`] of each
/// row of `a (N, I)` with each of `b (O, I)`.
pub fn transposed_product<T: Element>(a: &[T], b: &[T], [n, i, o]: [usize; 3]) -> Vec<T> {
    let outputs = (0..n * o).map(|at| (at / o * i, at % o * i));
    outputs.map(|(row, column)| dot(&a[row..][..i], &b[column..][..i])).collect()
}

/// Calls `f(output, window, count)` for each output of one sample, with the flat indices of the
/// numbers in its window, row by row, and how many places count for its mean.
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

/// The twin of [`Pooling::max`] on one sample, for numbers that are not NaN.
pub fn max_pool<T: Element>(pooling: &Pooling, input: &[T], output: &mut [T]) {
    for_each_window(pooling, |o, window, _| output[o] = input[first_largest(input, window)]);
}

/// The twin of [`Pooling::max_gradient`] on one sample.
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

/// The twin of all sums over many numbers, of rows of numbers here: means, variances,
/// gradients of biases.
///
/// With lanes of 512 bits, the vectors of a row are taken in blocks of 64; those of a block are
/// dealt to four sums, what is no whole vector to the last, and these added in pairs. Then all
/// blocks are added by [`tree`], and the lanes by halves.
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

/// `((0 + 1) + (2 + 3)) + …`: the largest power of two first, each by halves. The twin of
/// [`crate::reduce::sum_parts`] and [`crate::reduce::sum`].
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

/// `1 / (1 + exp −x)` in double precision.
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

/// `x Φ(x)` in double precision.
pub fn gelu(x: f64) -> f64 {
    0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// `x / (1 + exp −x)` in double precision.
pub fn silu(x: f64) -> f64 {
    x * sigmoid(x)
}

/// `x` where it is positive, else `alpha (exp x − 1)`, in double precision.
pub fn elu(x: f64, alpha: f64) -> f64 {
    if x > 0.0 { x } else { alpha * libm::expm1(x) }
}

/// `ln(1 + exp x)` in double precision.
pub fn softplus(x: f64) -> f64 {
    libm::fmax(x, 0.0) + libm::log1p(libm::exp(-x.abs()))
}

/// `x · min(max(x + 3, 0), 6) / 6` in double precision.
pub fn hard_swish(x: f64) -> f64 {
    x * (x + 3.0).clamp(0.0, 6.0) / 6.0
}

/// `tanh x` in double precision.
pub fn tanh(x: f64) -> f64 {
    libm::tanh(x)
}

/// The twin of [`crate::image::grid_sample`]: the brightness of a plane of bytes at a position
/// `[y, x]` between pixels; 0 outside.
pub fn grid_sample(plane: &[u8], [height, width]: [usize; 2], [y, x]: [f32; 2]) -> f32 {
    // From one pixel outside on, all is 0; so the whole part below is never negative.
    let (y, x) = (y.clamp(-1.0, height as f32) + 1.0, x.clamp(-1.0, width as f32) + 1.0);
    let (below, right) = (y as i32 as usize, x as i32 as usize);
    let (dy, dx) = (y - below as f32, x - right as f32);
    let pixel = |y: usize, x: usize| {
        // Counted from one pixel outside on.
        let inside = (1..=height).contains(&y) && (1..=width).contains(&x);
        if inside { f32::from(plane[(y - 1) * width + (x - 1)]) } else { 0.0 }
    };
    let upper = (1.0 - dx) * pixel(below, right) + dx * pixel(below, right + 1);
    let lower = (1.0 - dx) * pixel(below + 1, right) + dx * pixel(below + 1, right + 1);
    ((1.0 - dy) * upper + dy * lower) / 255.0
}
