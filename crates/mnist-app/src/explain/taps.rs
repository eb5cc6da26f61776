//! Which numbers meet in a correlation: what the kernel lies on for one output, what reaches one
//! input on the way back, what a weight is multiplied with.

use tensor::{Correlation, Pooling};

/// The pairs of numbers that one plane adds to a sum, row by row.
pub(super) struct Taps {
    /// The channel, or the kernel, whose plane it is.
    pub(super) plane: usize,
    pub(super) columns: usize,
    /// The place of the left number, none beyond the edges, and that of the right one.
    pub(super) pairs: Vec<(Option<usize>, usize)>,
}

/// `(C, H, W)`, `(D, C / groups, KH, KW)` and `(D, OH, OW)`.
type Sizes = ([usize; 3], [usize; 4], [usize; 3]);

fn sizes(geometry: &Correlation) -> Sizes {
    (
        geometry.input_shape().axes().unwrap_or_default(),
        geometry.kernels_shape().axes().unwrap_or_default(),
        geometry.output_shape().axes().unwrap_or_default(),
    )
}

/// The input's place `back` rows or columns before `at`, counted in the padded input.
fn inside(at: usize, padding: usize, len: usize) -> Option<usize> {
    at.checked_sub(padding).filter(|&at| at < len)
}

/// For the output `[d, y, x]` the input under the kernel, and the kernel; a plane for each channel.
pub(super) fn forward(geometry: &Correlation, [d, y, x]: [usize; 3]) -> Vec<Taps> {
    let ([_, h, w], [kernels, channels, kh, kw], _) = sizes(geometry);
    let ([sh, sw], [dh, dw]) = (geometry.stride(), geometry.dilation());
    let [[top, _], [left, _]] = geometry.padding();
    let first = d / (kernels / geometry.groups()) * channels;
    let of_channel = |c: usize| {
        let pair = |tap: usize| {
            let (ky, kx) = (tap / kw, tap % kw);
            let row = inside(y * sh + ky * dh, top, h);
            let column = inside(x * sw + kx * dw, left, w);
            let at = row.zip(column).map(|(row, column)| ((first + c) * h + row) * w + column);
            (at, (d * channels + c) * kh * kw + tap)
        };
        Taps { plane: first + c, columns: kw, pairs: (0..kh * kw).map(pair).collect() }
    };
    (0..channels).map(of_channel).collect()
}

/// For the input `[c, y, x]` the outputs that see it, and the kernel rotated by 180°; a plane for
/// each kernel.
pub(super) fn adjoint(geometry: &Correlation, [c, y, x]: [usize; 3]) -> Vec<Taps> {
    let (_, [kernels, channels, kh, kw], [_, oh, ow]) = sizes(geometry);
    let ([sh, sw], [dh, dw]) = (geometry.stride(), geometry.dilation());
    let [[top, _], [left, _]] = geometry.padding();
    let in_group = kernels / geometry.groups();
    let first = c / channels * in_group;
    // The output whose kernel element at `back` lies on the input, if there is one.
    let output = |at: usize, back: usize, stride: usize, len: usize| {
        let from = at.checked_sub(back)?;
        (from.is_multiple_of(stride) && from / stride < len).then_some(from / stride)
    };
    let of_kernel = |d: usize| {
        let pair = |rotated: usize| {
            let tap = kh * kw - 1 - rotated;
            let row = output(y + top, tap / kw * dh, sh, oh);
            let column = output(x + left, tap % kw * dw, sw, ow);
            let at = row.zip(column).map(|(row, column)| (d * oh + row) * ow + column);
            (at, (d * channels + c % channels) * kh * kw + tap)
        };
        Taps { plane: d, columns: kw, pairs: (0..kh * kw).map(pair).collect() }
    };
    (first..first + in_group).map(of_kernel).collect()
}

/// For the weight at `place` what it is multiplied with, and the outputs that this goes into.
pub(super) fn weight(geometry: &Correlation, place: usize) -> Taps {
    let ([_, h, w], [kernels, channels, kh, kw], [_, oh, ow]) = sizes(geometry);
    let ([sh, sw], [dh, dw]) = (geometry.stride(), geometry.dilation());
    let [[top, _], [left, _]] = geometry.padding();
    let [d, c, ky, kx] = split(place, [kernels, channels, kh, kw]);
    let channel = d / (kernels / geometry.groups()) * channels + c;
    let pair = |at: usize| {
        let row = inside(at / ow * sh + ky * dh, top, h);
        let column = inside(at % ow * sw + kx * dw, left, w);
        let input = row.zip(column).map(|(row, column)| (channel * h + row) * w + column);
        (input, d * oh * ow + at)
    };
    Taps { plane: channel, columns: ow, pairs: (0..oh * ow).map(pair).collect() }
}

/// The inputs in the window of the output `[c, y, x]`, row by row, none beyond the edges; with its
/// number of columns, and with how many numbers a mean divides by.
pub(super) fn window(pooling: &Pooling, [c, y, x]: [usize; 3]) -> (Taps, usize) {
    let [_, h, w] = pooling.input_shape().axes().unwrap_or_default();
    let windows = pooling.windows();
    let ([kh, kw], [sh, sw]) = (windows.size, windows.stride);
    let [[top, bottom], [left, right]] = windows.padding;
    let pair = |tap: usize| {
        let row = inside(y * sh + tap / kw, top, h);
        let column = inside(x * sw + tap % kw, left, w);
        (row.zip(column).map(|(row, column)| (c * h + row) * w + column), tap)
    };
    let pairs: Vec<_> = (0..kh * kw).map(pair).collect();
    let within = |at: usize, [before, after]: [usize; 2], len: usize, size: usize| {
        (at + size).min(len + before + after) - at
    };
    let counted = if windows.count_padding {
        within(y * sh, [top, bottom], h, kh) * within(x * sw, [left, right], w, kw)
    } else {
        pairs.iter().filter(|(input, _)| input.is_some()).count()
    };
    (Taps { plane: c, columns: kw, pairs }, counted)
}

/// The outputs whose windows hold the input `[c, y, x]`.
pub(super) fn windows_of(pooling: &Pooling, [c, y, x]: [usize; 3]) -> Vec<[usize; 3]> {
    let [_, oh, ow] = pooling.output_shape().axes().unwrap_or_default();
    let windows = pooling.windows();
    let along = |axis: usize, at: usize, len: usize| -> Vec<usize> {
        let ([before, _], stride) = (windows.padding[axis], windows.stride[axis]);
        let (at, size) = (at + before, windows.size[axis]);
        (0..len).filter(|&to| (to * stride..to * stride + size).contains(&at)).collect()
    };
    let columns = along(1, x, ow);
    let rows = along(0, y, oh).into_iter();
    rows.flat_map(|row| columns.iter().map(move |&column| [c, row, column])).collect()
}

/// The indices of a place in an array with these axes.
pub(super) fn split<const N: usize>(mut place: usize, axes: [usize; N]) -> [usize; N] {
    let mut indices = [0; N];
    for axis in (0..N).rev() {
        (indices[axis], place) = (place % axes[axis], place / axes[axis]);
    }
    indices
}
