//# standardize
/// `(x − mean) / deviation` of each channel.
fn standardize(numbers: &mut [f32], plane: usize, mean: &[f32], deviation: &[f32]) {
    for (channel, numbers) in numbers.chunks_exact_mut(plane).enumerate() {
        for x in numbers {
            *x = (*x - mean[channel]) / deviation[channel];
        }
    }
}

//# batch_norm multiply_add
/// `scale (x − mean) + shift` of each channel.
fn batch_norm(numbers: &mut [f32], plane: usize, mean: &[f32], scale: &[f32], shift: &[f32]) {
    for (c, numbers) in numbers.chunks_exact_mut(plane).enumerate() {
        for x in numbers {
            *x = multiply_add(*x - mean[c], scale[c], shift[c]);
        }
    }
}

//# group_norm sums square_root multiply_add
struct GroupNorm {
    groups: usize,
    channels: usize,
    epsilon: f32,
}

/// `weight (x − mean) / √(variance + ε) + bias` with the mean and the variance of each group of
/// channels.
fn group_norm(numbers: &mut [f32], weight: &[f32], bias: &[f32], size: &GroupNorm) {
    let (len, plane) = (numbers.len() / size.groups, numbers.len() / size.channels);
    let share = 1.0 / len as f32;
    let rows = Rows { count: 1, len, pitch: 0 };
    for (group, numbers) in numbers.chunks_exact_mut(len).enumerate() {
        let rounded = sums(numbers, rows, 0.0)[0] * share;
        // What the rounding of the mean left.
        let [left, squares] = sums(numbers, rows, rounded);
        let mean = rounded + left * share;
        let squares = squares - left * left * share;
        let squares = if squares < 0.0 { 0.0 } else { squares };
        let inverse = 1.0 / square_root(squares * share + size.epsilon);
        for (c, numbers) in numbers.chunks_exact_mut(plane).enumerate() {
            let c = group * (size.channels / size.groups) + c;
            for x in numbers {
                *x = multiply_add(*x - mean, inverse * weight[c], bias[c]);
            }
        }
    }
}

//# windows
struct Windows {
    height: usize,
    width: usize,
    window_height: usize,
    window_width: usize,
    stride_y: usize,
    stride_x: usize,
    top: usize,
    bottom: usize,
    left: usize,
    right: usize,
    out_height: usize,
    out_width: usize,
}

/// The first row or column in a window, the one after the last, and how many there are with those
/// of the padding.
fn window(index: usize, stride: usize, size: usize, padding: [usize; 2], len: usize) -> [usize; 3] {
    let [before, after] = padding;
    let (start, end) = (index * stride, index * stride + size);
    let padded = end.min(before + len + after) - start;
    [start.saturating_sub(before), len.min(end - before), padded]
}

impl Windows {
    fn rows(&self, y: usize) -> [usize; 3] {
        window(y, self.stride_y, self.window_height, [self.top, self.bottom], self.height)
    }

    fn columns(&self, x: usize) -> [usize; 3] {
        window(x, self.stride_x, self.window_width, [self.left, self.right], self.width)
    }
}

//# max_pool windows
/// The largest number of each window.
fn max_pool(input: &[f32], output: &mut [f32], size: &Windows) {
    let inputs = input.chunks_exact(size.height * size.width);
    let outputs = output.chunks_exact_mut(size.out_height * size.out_width);
    for (input, output) in inputs.zip(outputs) {
        for (at, largest) in output.iter_mut().enumerate() {
            let [top, bottom, _] = size.rows(at / size.out_width);
            let [left, right, _] = size.columns(at % size.out_width);
            *largest = input[top * size.width + left];
            for y in top..bottom {
                for &x in &input[y * size.width + left..y * size.width + right] {
                    if x > *largest || x.is_nan() {
                        *largest = x;
                    }
                }
            }
        }
    }
}

//# mean_pool windows
/// The mean of each window, with or without the padding, which counts as zeros.
fn mean_pool(input: &[f32], output: &mut [f32], count_padding: bool, size: &Windows) {
    let inputs = input.chunks_exact(size.height * size.width);
    let outputs = output.chunks_exact_mut(size.out_height * size.out_width);
    for (input, output) in inputs.zip(outputs) {
        for (at, mean) in output.iter_mut().enumerate() {
            let [top, bottom, rows] = size.rows(at / size.out_width);
            let [left, right, columns] = size.columns(at % size.out_width);
            let mut sum = 0.0;
            for y in top..bottom {
                for &x in &input[y * size.width + left..y * size.width + right] {
                    sum += x;
                }
            }
            let inside = (bottom - top) * (right - left);
            let count = if count_padding { rows * columns } else { inside };
            *mean = sum * (1.0 / count as f32);
        }
    }
}

//# mean_pool_large windows sums
/// The mean of each window of many numbers.
fn mean_pool_large(input: &[f32], output: &mut [f32], count_padding: bool, size: &Windows) {
    let inputs = input.chunks_exact(size.height * size.width);
    let outputs = output.chunks_exact_mut(size.out_height * size.out_width);
    for (input, output) in inputs.zip(outputs) {
        for (at, mean) in output.iter_mut().enumerate() {
            let [top, bottom, rows] = size.rows(at / size.out_width);
            let [left, right, columns] = size.columns(at % size.out_width);
            let (height, width) = (bottom - top, right - left);
            // Whole rows of the plane are one.
            let lines = if width == size.width {
                Rows { count: 1, len: height * width, pitch: 0 }
            } else {
                Rows { count: height, len: width, pitch: size.width }
            };
            let sum = 0.0 + sums(&input[top * size.width + left..], lines, 0.0)[0];
            let count = if count_padding { rows * columns } else { height * width };
            *mean = sum * (1.0 / count as f32);
        }
    }
}

//# dense multiply_add sum_of_lanes
/// `weights · input + bias`. Sixteen sums take turns, and are added at the end.
fn dense(input: &[f32], weights: &[f32], bias: &[f32], output: &mut [f32]) {
    for (o, (output, weights)) in
        output.iter_mut().zip(weights.chunks_exact(input.len())).enumerate()
    {
        let mut lanes = [0.0; 16];
        let mut add = |numbers: &[f32], weights: &[f32]| {
            for lane in 0..16 {
                lanes[lane] = multiply_add(numbers[lane], weights[lane], lanes[lane]);
            }
        };
        let whole = input.len() / 16 * 16;
        for at in (0..whole).step_by(16) {
            add(&input[at..at + 16], &weights[at..at + 16]);
        }
        if whole < input.len() {
            let mut rest = [[0.0; 16]; 2];
            rest[0][..input.len() - whole].copy_from_slice(&input[whole..]);
            rest[1][..input.len() - whole].copy_from_slice(&weights[whole..]);
            add(&rest[0], &rest[1]);
        }
        *output = sum_of_lanes(lanes) + bias[o];
    }
}

//# copy
fn copy(input: &[f32], output: &mut [f32]) {
    output.copy_from_slice(input);
}

//# add
/// The sum with what went around a block.
fn add(numbers: &mut [f32], around: &[f32]) {
    for (number, &x) in numbers.iter_mut().zip(around) {
        *number += x;
    }
}
