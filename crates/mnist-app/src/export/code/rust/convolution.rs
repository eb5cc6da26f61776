//# pad
struct Pad {
    height: usize,
    width: usize,
    top: usize,
    left: usize,
    padded_height: usize,
    padded_width: usize,
}

/// Planes with zeros around them.
fn pad(input: &[f32], output: &mut [f32], size: &Pad) {
    output.fill(0.0);
    let padded = size.padded_height * size.padded_width;
    let inputs = input.chunks_exact(size.height * size.width);
    for (input, output) in inputs.zip(output.chunks_exact_mut(padded)) {
        for (y, row) in input.chunks_exact(size.width).enumerate() {
            let start = (size.top + y) * size.padded_width + size.left;
            output[start..start + size.width].copy_from_slice(row);
        }
    }
}

//# correlate add_products
struct Correlation {
    groups: usize,
    /// Channels and kernels of a group.
    channels: usize,
    kernels: usize,
    height: usize,
    width: usize,
    kernel_height: usize,
    kernel_width: usize,
    stride_y: usize,
    stride_x: usize,
    dilation_y: usize,
    dilation_x: usize,
    /// Rows of zeros above the input, and columns to its left.
    top: usize,
    left: usize,
    out_height: usize,
    out_width: usize,
}

/// A convolution as it is written: `output[d][y][x]` is the sum of `input[c][y + ky][x + kx]` times
/// `weights[c][ky][kx][d]` over channels, kernel rows and kernel columns, in this order. The sums of
/// all kernels of a group grow side by side, in `sums`.
fn correlate(
    input: &[f32],
    weights: &[f32],
    output: &mut [f32],
    sums: &mut [f32],
    size: &Correlation,
) {
    let (kernel, plane) =
        (size.kernel_height * size.kernel_width, size.out_height * size.out_width);
    let taps = size.channels * kernel;
    for group in 0..size.groups {
        let weights = &weights[group * taps * size.kernels..][..taps * size.kernels];
        for at in 0..plane {
            let (y, x) = (at / size.out_width * size.stride_y, at % size.out_width * size.stride_x);
            sums.fill(0.0);
            for (tap, weights) in weights.chunks_exact(size.kernels).enumerate() {
                let c = group * size.channels + tap / kernel;
                let (ky, kx) = (tap % kernel / size.kernel_width, tap % size.kernel_width);
                let (y, x) = (y + ky * size.dilation_y, x + kx * size.dilation_x);
                let is_inside = (size.top..size.top + size.height).contains(&y)
                    && (size.left..size.left + size.width).contains(&x);
                let number = if is_inside {
                    input[(c * size.height + y - size.top) * size.width + x - size.left]
                } else {
                    0.0
                };
                add_products(weights, number, sums);
            }
            for (d, &sum) in sums.iter().enumerate() {
                output[(group * size.kernels + d) * plane + at] = sum;
            }
        }
    }
}

//# winograd multiply_add
// Winograd's minimal filtering: four neighbouring outputs of a kernel of three weights take six
// products instead of twelve, between six numbers made of the inputs and six made of the weights.

/// `[even + p · odd, even − p · odd]`.
fn at_points(even: f32, odd: f32, p: f32) -> [f32; 2] {
    [multiply_add(odd, p, even), multiply_add(odd, -p, even)]
}

fn transform_weights(g: [f32; 3]) -> [f32; 6] {
    let [a, b] = at_points(multiply_add(g[2], 0.5, g[0]), g[1], ROOT_HALF);
    let [c, d] = at_points(multiply_add(g[2], 2.0, g[0]), g[1], ROOT_TWO);
    [g[0], a * (-2.0 / 3.0), b * (-2.0 / 3.0), c * (1.0 / 6.0), d * (1.0 / 6.0), g[2]]
}

fn transform_inputs(d: [f32; 6]) -> [f32; 6] {
    let inner = [multiply_add(d[2], -2.0, d[4]), multiply_add(d[1], -2.0, d[3])];
    let outer = [multiply_add(d[2], -0.5, d[4]), multiply_add(d[1], -0.5, d[3])];
    let [p1, p2] = at_points(inner[0], inner[1], ROOT_HALF);
    let [p3, p4] = at_points(outer[0], outer[1], ROOT_TWO);
    let first = multiply_add(d[2], -2.5, d[0] + d[4]);
    let last = multiply_add(d[3], -2.5, d[1] + d[5]);
    [first, p1, p2, p3, p4, last]
}

fn transform_outputs(m: [f32; 6]) -> [f32; 4] {
    let (even, odd) = (m[1] + m[2], m[1] - m[2]);
    let (outer_even, outer_odd) = (m[3] + m[4], m[3] - m[4]);
    [
        m[0] + even + outer_even,
        multiply_add(outer_odd, ROOT_TWO, odd * ROOT_HALF),
        multiply_add(outer_even, 2.0, even * 0.5),
        multiply_add(outer_odd, 2.0 * ROOT_TWO, multiply_add(odd, ROOT_TWO / 4.0, m[5])),
    ]
}

#[allow(clippy::approx_constant)]
const ROOT_TWO: f32 = 1.414_213_5;
#[allow(clippy::approx_constant)]
const ROOT_HALF: f32 = 0.707_106_77;

struct Filter {
    channels: usize,
    kernels: usize,
    /// Of the padded input: whole tiles, and two rows and columns more.
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
    /// Whether kernels are turned by 180°, and lie channel by channel: a transposed convolution.
    is_adjoint: bool,
}

/// The 3 × 3 weights of kernel `d` for channel `c`.
fn kernel(weights: &[f32], [d, c]: [usize; 2], size: &Filter) -> [f32; 9] {
    let at = if size.is_adjoint { c * size.kernels + d } else { d * size.channels + c };
    let mut kernel = [0.0; 9];
    kernel.copy_from_slice(&weights[9 * at..9 * at + 9]);
    if size.is_adjoint {
        kernel.reverse();
    }
    kernel
}

//# correlate_columns winograd add_products
/// A convolution with 3 × 3 kernels, four output rows at a time. `work` holds six transformed rows
/// of each channel, and the sums of six rows of outputs.
fn correlate_columns(
    input: &[f32],
    weights: &[f32],
    output: &mut [f32],
    work: &mut [f32],
    size: &Filter,
) {
    let (width, plane) = (size.width, size.out_height * size.out_width);
    let (rows, sums) = work.split_at_mut(size.channels * 6 * width);
    for y in (0..size.out_height).step_by(4) {
        let inputs = input.chunks_exact(size.height * width);
        for (input, rows) in inputs.zip(rows.chunks_exact_mut(6 * width)) {
            for x in 0..width {
                let column = [0, 1, 2, 3, 4, 5].map(|i| input[(y + i) * width + x]);
                for (i, number) in transform_inputs(column).iter().enumerate() {
                    rows[i * width + x] = *number;
                }
            }
        }
        for (d, output) in output.chunks_exact_mut(plane).enumerate() {
            sums.fill(0.0);
            for (c, rows) in rows.chunks_exact(6 * width).enumerate() {
                let kernel = kernel(weights, [d, c], size);
                for kx in 0..3 {
                    let weights = transform_weights([kernel[kx], kernel[3 + kx], kernel[6 + kx]]);
                    for (i, sums) in sums.chunks_exact_mut(size.out_width).enumerate() {
                        add_products(&rows[i * width + kx..], weights[i], sums);
                    }
                }
            }
            for x in 0..size.out_width {
                let column = [0, 1, 2, 3, 4, 5].map(|i| sums[i * size.out_width + x]);
                let column = transform_outputs(column);
                for (y, number) in (y..size.out_height).zip(column) {
                    output[y * size.out_width + x] = number;
                }
            }
        }
    }
}

//# correlate_tiles winograd add_products
/// A convolution with 3 × 3 kernels, in tiles of 4 × 4 outputs, some rows of tiles at a time. Tiles
/// and kernels are transformed to 36 numbers each; their products are summed over the channels.
/// `work` holds a channel's kernels, its tiles, and the sums of all kernels for each tile.
fn correlate_tiles(
    input: &[f32],
    weights: &[f32],
    output: &mut [f32],
    work: &mut [f32],
    tile_rows: usize,
    size: &Filter,
) {
    let (across, kernels) = (size.out_width.div_ceil(4), size.kernels);
    let (plane, out_plane) = (size.height * size.width, size.out_height * size.out_width);
    let (factors, work) = work.split_at_mut(36 * kernels);
    for first in (0..size.out_height).step_by(4 * tile_rows) {
        let end = size.out_height.min(first + 4 * tile_rows);
        let tiles = (end - first).div_ceil(4) * across;
        let (points, sums) = work.split_at_mut(36 * tiles);
        let sums = &mut sums[..36 * tiles * kernels];
        sums.fill(0.0);
        for (c, input) in input.chunks_exact(plane).enumerate() {
            for tile in 0..tiles {
                let start = (first + tile / across * 4) * size.width + tile % across * 4;
                let columns = [0, 1, 2, 3, 4, 5].map(|x| {
                    transform_inputs([0, 1, 2, 3, 4, 5].map(|y| input[start + y * size.width + x]))
                });
                for i in 0..6 {
                    let row = transform_inputs(columns.map(|column| column[i]));
                    for (j, number) in row.iter().enumerate() {
                        points[(i * 6 + j) * tiles + tile] = *number;
                    }
                }
            }
            for d in 0..kernels {
                let kernel = kernel(weights, [d, c], size);
                let columns =
                    [0, 1, 2].map(|x| transform_weights([0, 3, 6].map(|row| kernel[row + x])));
                for i in 0..6 {
                    let row = transform_weights(columns.map(|column| column[i]));
                    for (j, weight) in row.iter().enumerate() {
                        factors[(i * 6 + j) * kernels + d] = *weight;
                    }
                }
            }
            for (at, sums) in sums.chunks_exact_mut(kernels).enumerate() {
                add_products(&factors[at / tiles * kernels..][..kernels], points[at], sums);
            }
        }
        for (d, output) in output.chunks_exact_mut(out_plane).enumerate() {
            for tile in 0..tiles {
                let rows = [0, 1, 2, 3, 4, 5].map(|i| {
                    let points = [0, 1, 2, 3, 4, 5].map(|j| (i * 6 + j) * tiles + tile);
                    transform_outputs(points.map(|point| sums[point * kernels + d]))
                });
                let (top, left) = (first + tile / across * 4, tile % across * 4);
                for (x, j) in (left..size.out_width).zip(0..4) {
                    let column = transform_outputs(rows.map(|row| row[j]));
                    for (y, number) in (top..end).zip(column) {
                        output[y * size.out_width + x] = number;
                    }
                }
            }
        }
    }
}

//# correlate_adjoint multiply_add
struct Adjoint {
    /// Channels of the input and of the output in a group.
    channels: usize,
    out_channels: usize,
    height: usize,
    width: usize,
    kernel_height: usize,
    kernel_width: usize,
    stride_y: usize,
    stride_x: usize,
    dilation_y: usize,
    dilation_x: usize,
    /// Rows and columns of the output that are left out.
    top: usize,
    left: usize,
    out_height: usize,
    out_width: usize,
}

/// A transposed convolution: each number of the input adds a kernel to the output. For each column
/// of the kernel the products are summed over its rows from the last to the first, and over the
/// channels; then the columns' sums are added.
fn correlate_adjoint(input: &[f32], weights: &[f32], output: &mut [f32], size: &Adjoint) {
    let kernel = size.kernel_height * size.kernel_width;
    let outputs = output.chunks_exact_mut(size.out_height * size.out_width);
    for (channel, output) in outputs.enumerate() {
        let (group, d) = (channel / size.out_channels, channel % size.out_channels);
        for (at, total) in output.iter_mut().enumerate() {
            let (y, x) = (at / size.out_width + size.top, at % size.out_width + size.left);
            *total = 0.0;
            for kx in 0..size.kernel_width {
                let Some(column) = before(x, kx * size.dilation_x, size.stride_x, size.width)
                else {
                    continue;
                };
                let mut sum = 0.0;
                for ky in (0..size.kernel_height).rev() {
                    let row = before(y, ky * size.dilation_y, size.stride_y, size.height);
                    let Some(row) = row else { continue };
                    for c in group * size.channels..(group + 1) * size.channels {
                        let number = input[(c * size.height + row) * size.width + column];
                        let weight = (c * size.out_channels + d) * kernel;
                        let weight = weights[weight + ky * size.kernel_width + kx];
                        sum = multiply_add(number, weight, sum);
                    }
                }
                *total += sum;
            }
        }
    }
}

/// The row or column of the input whose kernel reaches `place` by `distance`.
fn before(place: usize, distance: usize, stride: usize, len: usize) -> Option<usize> {
    let from = place.checked_sub(distance)?;
    (from % stride == 0 && from / stride < len).then_some(from / stride)
}

//# add_bias
/// Adds a number to each plane.
fn add_bias(numbers: &mut [f32], plane: usize, bias: &[f32]) {
    for (numbers, &bias) in numbers.chunks_exact_mut(plane).zip(bias) {
        for x in numbers {
            *x += bias;
        }
    }
}
