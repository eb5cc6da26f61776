//! The gradient of the kernels as dot products of the input and the output gradient, with positions
//! in the lanes.

use std::ops::Range;

use fearless_simd::{Simd, SimdFrom};

use crate::correlate::geometry::Geometry;
use crate::correlate::layout::{MOST_LANES, Padded, fits_wide, narrow, spread, wide};
use crate::correlate::task::{KernelTask, Sections};
use crate::element::kernels::per_element;
use crate::microkernel::{Views, dots};
use crate::simd::{Kernel, SimdRegisters};
use crate::threads;
use crate::vector::{Halves, Lanes, Whole};
use crate::{Element, Scratch};

/// How many samples are summed in registers before their sum is added to the gradient. It
/// determines the order of summation, so it depends on the layer's sizes alone.
fn samples_of_a_chunk(layer: &Geometry, n: usize) -> usize {
    /// A chunk has this many numbers, so that it stays in the second-level cache: 512 KiB of `f32`.
    const CHUNK: usize = 131_072;
    let [input, lines] = of_a_sample(layer);
    (CHUNK / (input + lines)).clamp(1, n.max(1))
}

/// Lengths of a sample's padded input, and of its output gradient as lines.
fn of_a_sample(layer: &Geometry) -> [usize; 2] {
    let padded = Padded::of(layer);
    [layer.channels * padded.channel(), layer.kernels * (padded.line(layer) + MOST_LANES)]
}

/// The sections of the scratch memory: a chunk's inputs and lines.
fn sections(layer: &Geometry, n: usize) -> Sections<2> {
    let samples = samples_of_a_chunk(layer, n);
    let [input, lines] = of_a_sample(layer);
    Sections([samples * input + MOST_LANES, samples * lines])
}

/// The numbers and indices of scratch memory for `n` samples in this many parts.
pub(crate) fn room(layer: &Geometry, n: usize, parts: usize) -> [usize; 2] {
    [parts.saturating_mul(sections(layer, n).len()), layer.taps()]
}

/// The gradient of the last `dots` kernels.
pub(crate) fn sum<T: Element>(
    layer: &Geometry,
    dots: usize,
    operands: [&[T]; 2],
    gradient: &mut [T],
    (scratch, parts): (&mut Scratch<T>, usize),
) {
    let samples = operands[0].len() / layer.input_shape().len();
    let (numbers, offsets) = scratch.take(room(layer, samples, parts));
    let channels = layer.channels / layer.groups;
    Padded::of(layer).taps([channels, layer.kernel_height, layer.kernel_width], offsets);
    let together = match layer.groups {
        1 => [2, layer.taps()],
        groups => [layer.kernels / groups, layer.taps()],
    };
    let kernels = layer.kernels - dots..layer.kernels;
    let task = KernelTask::new(layer, kernels, together, operands, gradient, (numbers, offsets));
    threads::run_divided(task, parts, |task| DotProducts::launch(DotProducts(task)));
}

/// The gradients of some kernels, computed on one thread.
pub(crate) struct DotProducts<'a, T>(KernelTask<'a, T>);

/// A chunk of samples as the tiles read it.
struct Chunk<'a, T> {
    inputs: &'a [T],
    input_stride: usize,
    gradients: &'a [T],
    gradient_stride: usize,
    /// The distance between the output gradients of neighbouring kernels.
    plane: usize,
    samples: usize,
    /// Rows of a plane, their length, and their pitches in the input and the gradient.
    rows: usize,
    len: usize,
    pitch: [usize; 2],
}

per_element!(DotProducts);

impl<T: Element> Kernel for DotProducts<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let KernelTask { layer, samples: n, kernels, sums, offsets, numbers, .. } = self.0;
        let padded = Padded::of(&layer);
        let whole_rows = layer.out_width.is_multiple_of(narrow::<T>());
        let line = padded.line(&layer).next_multiple_of(wide::<T>());
        let (input_len, output_len) = (layer.input_shape().len(), layer.output_shape().len());
        let [copies, lines] = sections(&layer, n).carve(numbers);
        let padded_len = layer.channels * padded.channel();
        let is_copied = !whole_rows || !padded.is_input();
        if is_copied {
            copies.fill(T::ZERO);
        }
        let samples = samples_of_a_chunk(&layer, n);
        let inputs = self.0.input.chunks(samples * input_len);
        let gradients = self.0.output_gradient.chunks(samples * output_len);
        for (index, (inputs, gradients)) in inputs.zip(gradients).enumerate() {
            let mut chunk = Chunk {
                inputs,
                input_stride: input_len,
                gradients,
                gradient_stride: output_len,
                plane: layer.out_plane(),
                samples: inputs.len() / input_len,
                rows: layer.out_height,
                len: layer.out_width,
                pitch: [padded.columns, layer.out_width],
            };
            if is_copied {
                let samples = inputs.chunks_exact(input_len);
                for (input, copy) in samples.zip(copies.chunks_exact_mut(padded_len)) {
                    padded.copy(simd, input, copy);
                }
                copies[chunk.samples * padded_len..][..MOST_LANES].fill(T::ZERO);
                chunk.inputs = copies;
                chunk.input_stride = padded_len;
            }
            if !whole_rows {
                let shape = [layer.out_height, layer.out_width];
                spread(gradients, shape, [line, padded.columns], lines);
                chunk.gradients = lines;
                chunk.gradient_stride = layer.kernels * line;
                chunk.plane = line;
                (chunk.rows, chunk.len, chunk.pitch) = (1, line, [line; 2]);
            }
            let (first, target) = (index == 0, &mut *sums);
            let range = (&layer, kernels.clone());
            // Written like this, the compiler knows that narrow vectors end with the rows.
            if !whole_rows || fits_wide::<T>(layer.out_width) {
                gradients_of::<S, T, Whole<T::Wide<S>>>(
                    simd, range, &chunk, offsets, first, target,
                );
            } else if S::LARGE {
                gradients_of::<S, T, Halves<T>>(simd, range, &chunk, offsets, first, target);
            } else {
                gradients_of::<S, T, Whole<T::Narrow<S>>>(
                    simd, range, &chunk, offsets, first, target,
                );
            }
        }
    }
}

/// The kernels' gradients from one chunk, in tiles of kernels by taps. A vector with several pieces
/// serves as many kernels.
#[inline(always)]
fn gradients_of<S: Simd, T: Element, L: Lanes<S, T>>(
    simd: S,
    (layer, kernels): (&Geometry, Range<usize>),
    chunk: &Chunk<'_, T>,
    taps: &[usize],
    first_chunk: bool,
    target: &mut [T],
) {
    let per_group = layer.kernels / layer.groups;
    let group_channels = layer.channels / layer.groups * Padded::of(layer).channel();
    let mut d = kernels.start;
    while d < kernels.end {
        let group = d / per_group;
        let rest = kernels.end.min((group + 1) * per_group) - d;
        let at = (d, group * group_channels);
        let target = &mut target[(d - kernels.start) * taps.len()..][..rest * taps.len()];
        let of_five = taps.len().is_multiple_of(5);
        let vectors = rest / L::PIECES;
        let kernels = if vectors < 2 {
            match of_five {
                true => block::<S, T, L, 1, 5>(simd, chunk, at, taps, first_chunk, target),
                false => block::<S, T, L, 1, 3>(simd, chunk, at, taps, first_chunk, target),
            }
        } else if S::LARGE && vectors >= 8 && !of_five {
            block::<S, T, L, 8, 3>(simd, chunk, at, taps, first_chunk, target)
        } else if S::LARGE && vectors >= 4 && of_five {
            block::<S, T, L, 4, 5>(simd, chunk, at, taps, first_chunk, target)
        } else if of_five {
            block::<S, T, L, 2, 5>(simd, chunk, at, taps, first_chunk, target)
        } else if (S::LARGE || S::MEDIUM) && vectors >= 4 {
            block::<S, T, L, 4, 3>(simd, chunk, at, taps, first_chunk, target)
        } else {
            block::<S, T, L, 2, 3>(simd, chunk, at, taps, first_chunk, target)
        };
        d += kernels.min(rest);
    }
}

/// All taps of `M` vectors of kernels, `Q` taps at a time, if that many kernels are left; returns
/// how many there were.
///
/// Compiled as a separate function.
#[inline(always)]
fn block<S: Simd, T: Element, L: Lanes<S, T>, const M: usize, const Q: usize>(
    simd: S,
    chunk: &Chunk<'_, T>,
    start: (usize, usize),
    taps: &[usize],
    first_chunk: bool,
    target: &mut [T],
) -> usize {
    simd.vectorize(
        #[inline(always)]
        || {
            let kernels = (target.len() / taps.len()).min(M * L::PIECES);
            let mut first = 0;
            while first < taps.len() {
                let used = Q.min(taps.len() - first);
                let mut tile_taps = [0; Q];
                for q in 0..Q {
                    tile_taps[q] = taps[first + q.min(used - 1)];
                }
                let sums: [[L::Vector; Q]; M] =
                    tile::<S, T, L, M, Q>(simd, chunk, start, kernels, tile_taps);
                for m in 0..M {
                    for q in 0..Q {
                        let sums = L::sums(sums[m][q]);
                        for piece in 0..L::PIECES {
                            let (kernel, sum) = (m * L::PIECES + piece, sums[piece]);
                            if q < used && kernel < kernels {
                                let gradient = &mut target[kernel * taps.len() + first + q];
                                *gradient = if first_chunk { sum } else { *gradient + sum };
                            }
                        }
                    }
                }
                first += used;
            }
        },
    );
    M * L::PIECES
}

/// The sums over a chunk for `M` vectors of kernels from `kernel` on and `Q` taps. If the last of
/// `kernels` has no partner in its vector, it appears there twice.
#[inline(always)]
fn tile<S: Simd, T: Element, L: Lanes<S, T>, const M: usize, const Q: usize>(
    simd: S,
    chunk: &Chunk<'_, T>,
    (kernel, input): (usize, usize),
    kernels: usize,
    taps: [usize; Q],
) -> [[L::Vector; Q]; M] {
    let mut sums = [[L::Vector::simd_from(simd, T::ZERO); Q]; M];
    for sample in 0..chunk.samples {
        let mut a = [[0; 2]; M];
        for m in 0..M {
            for piece in 0..2 {
                let kernel = kernel + (m * L::PIECES + piece % L::PIECES).min(kernels - 1);
                a[m][piece] = sample * chunk.gradient_stride + kernel * chunk.plane;
            }
        }
        let mut b = [[0; 2]; Q];
        for q in 0..Q {
            b[q] = [sample * chunk.input_stride + input + taps[q]; 2];
        }
        let a = Views { numbers: chunk.gradients, starts: a, pitch: chunk.pitch[1] };
        let b = Views { numbers: chunk.inputs, starts: b, pitch: chunk.pitch[0] };
        sums = dots::<S, T, L, M, Q>(simd, sums, a, b, [chunk.rows, chunk.len]);
    }
    sums
}
