//! The gradient of kernels of 3 × 3 from four rows of the output gradient at a time, by
//! minimal filtering in one direction: the adjoint of [`super::columns`].
//!
//! Six input rows and four rows of the output gradient are transformed to six rows each.
//! At each of the six points, the products of a kernel's row with a channel's at three
//! places are summed over all columns, rows and samples, and the six sums transformed to
//! the three weights of a kernel's column at the end: 18 multiply-adds where the sum as
//! it is written takes 36.

use std::ops::Range;

use fearless_simd::{Simd, SimdBase, SimdFloat, SimdFrom};

use crate::element::kernels::per_element;
use crate::simd::{Kernel, Tiles};
use crate::threads::{self, Divide};
use crate::vector::{fused, load, sum_lanes, views};
use crate::{Element, Scratch};

use super::Correlation;
use super::columns::Plane;
use super::tile_transforms::{INPUTS, OUTPUTS, transform_weight_gradients};

/// Lanes of a vector: lines end with a multiple of it, and have as much behind them.
const LANES: usize = 16;

/// Numbers of a chunk: 384 KiB of `f32`, a part of the second-level cache.
const CHUNK: usize = 98_304;

impl Correlation {
    /// In the measure of [`super::columns`]: the transforms of a column of four take as long
    /// as 25 multiply-adds for each channel and 32 for each kernel, and the sums across lanes
    /// at the end of a chunk are the more the shorter it is. Of the direct sums, outer
    /// products are somewhat faster than that measure but transpose, as long as 7 for
    /// each kernel, and the dot products of few kernels take half as long again.
    pub(super) fn gains_by_columns_gradient<T: Element>(&self) -> bool {
        let memory = Memory::of(self, usize::MAX);
        let columns = self.out_height.div_ceil(OUTPUTS) * memory.pitch;
        let (c, d) = (self.channels, self.kernels);
        let channels = c.next_multiple_of(self.channels_of_a_tile());
        let kernels = d.next_multiple_of(self.kernels_of_a_tile());
        let positions = memory.strips * memory.pitch;
        let products = 18 * channels * kernels * (positions + 128) / positions;
        let in_vectors = self.kernels_in_vectors::<T>();
        let direct = in_vectors * (8 * c + 7) + (d - in_vectors) * 14 * c;
        4 * self.out_plane() * direct >= 5 * columns * (products + 25 * c + 32 * d)
    }

    /// [`Correlation::kernel_gradient`] from four rows at a time.
    pub(super) fn kernel_gradient_by_columns<T: Element>(
        &self,
        input: &[T],
        output_gradient: &[T],
        kernel_gradient: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let n = input.len() / self.input_shape().len();
        let parts = threads::parts(self.work(n), scratch.threads());
        let (numbers, _) = scratch.take(self.columns_gradient_room(n, scratch.threads()));
        let operation = ColumnsGradient {
            layer: *self,
            kernels: 0..self.kernels,
            input,
            output_gradient,
            kernel_gradient,
            numbers,
        };
        threads::run_divided(operation, parts, ColumnsGradient::launch);
    }

    /// The scratch memory of [`Correlation::kernel_gradient_by_columns`] of `n` samples.
    pub(super) fn columns_gradient_room(&self, n: usize, threads: usize) -> [usize; 2] {
        let parts = threads::parts(self.work(n), threads);
        threads::rooms(parts, [Memory::of(self, n).len(self), 0])
    }

    /// Channels whose sums are in registers together: two or three, of which fewer than
    /// one in three is computed in vain.
    fn channels_of_a_tile(&self) -> usize {
        if self.channels.next_multiple_of(3) <= self.channels.next_multiple_of(2) { 3 } else { 2 }
    }

    /// And kernels.
    fn kernels_of_a_tile(&self) -> usize {
        if self.channels_of_a_tile() == 3 { 3 } else { 4 }
    }
}

/// How the strips of four rows of all samples are cut into chunks: a part of the
/// arithmetic, as the order of a sum is, so it depends on the layer's sizes alone.
#[derive(Clone, Copy)]
struct Memory {
    /// Strips of a chunk.
    strips: usize,
    /// From a strip to the next on a line.
    pitch: usize,
    /// From one point's line to the next.
    line: usize,
}

impl Memory {
    #[inline(always)]
    fn of(layer: &Correlation, n: usize) -> Self {
        let pitch = layer.width + layer.pad_width[0] + layer.pad_width[1];
        let all = n.saturating_mul(layer.out_height.div_ceil(OUTPUTS));
        let strips = CHUNK / (INPUTS * (layer.channels + 4) * pitch);
        let strips = strips.clamp(1, all.max(1));
        Self { strips, pitch, line: (strips * pitch).next_multiple_of(LANES) + LANES }
    }

    fn len(&self, layer: &Correlation) -> usize {
        let lines = layer.channels + layer.kernels_of_a_tile();
        let sums = layer.kernels * layer.channels * 3;
        // A cache line's numbers are one part's.
        (INPUTS * (lines * self.line + sums)).next_multiple_of(LANES)
    }
}

/// The gradients of some kernels on one thread.
pub struct ColumnsGradient<'a, T> {
    layer: Correlation,
    kernels: Range<usize>,
    input: &'a [T],
    output_gradient: &'a [T],
    kernel_gradient: &'a mut [T],
    numbers: &'a mut [T],
}

impl<T: Element> Divide for ColumnsGradient<'_, T> {
    fn divide(self, left: usize, parts: usize) -> Result<(Self, Self), Self> {
        let Self { layer, input, output_gradient, .. } = self;
        let Range { start, end } = self.kernels;
        let unit = layer.kernels_of_a_tile();
        let Some(cut) = threads::cut(end - start, left, parts, unit) else { return Err(self) };
        let gradient = self.kernel_gradient.split_at_mut(cut * layer.taps());
        let numbers = self.numbers.split_at_mut(self.numbers.len() * left / parts);
        let part = |kernels, kernel_gradient, numbers| ColumnsGradient {
            layer,
            kernels,
            input,
            output_gradient,
            kernel_gradient,
            numbers,
        };
        Ok((
            part(start..start + cut, gradient.0, numbers.0),
            part(start + cut..end, gradient.1, numbers.1),
        ))
    }
}

per_element!(f32: ColumnsGradient);

impl<T: Element> Kernel for ColumnsGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { layer, kernels, input, output_gradient, kernel_gradient, numbers } = self;
        let (inputs, outputs) = (layer.input_shape().len(), layer.output_shape().len());
        let n = input.len() / inputs;
        let memory = Memory::of(&layer, n);
        let (plane, out_plane) = (layer.height * layer.width, layer.out_plane());
        let (channels, line) = (layer.channels, memory.line);
        let (rows, rest) = numbers.split_at_mut(channels * INPUTS * line);
        let (gradients, rest) = rest.split_at_mut(layer.kernels_of_a_tile() * INPUTS * line);
        let sums = &mut rest[..kernels.len() * channels * 3 * INPUTS];
        rows.fill(T::ZERO);
        gradients.fill(T::ZERO);
        sums.fill(T::ZERO);

        let (pitch, down) = (memory.pitch, layer.out_height.div_ceil(OUTPUTS));
        let all = n * down;
        for first in (0..all).step_by(memory.strips) {
            let strips = Strips { range: first..all.min(first + memory.strips), down, pitch };
            let positions = strips.range.len() * pitch;
            for c in 0..channels {
                let planes = Planes {
                    numbers: &input[c * plane..],
                    stride: inputs,
                    shape: [layer.height, layer.width],
                    padding: [layer.pad_height[0], layer.pad_width[0]],
                };
                let to = &mut rows[c * INPUTS * line..][..INPUTS * line];
                strips.transform::<S, T, INPUTS>(simd, &planes, (to, line));
            }
            let mut d = 0;
            while d < kernels.len() {
                let used = layer.kernels_of_a_tile().min(kernels.len() - d);
                for m in 0..used {
                    let planes = Planes {
                        numbers: &output_gradient[(kernels.start + d + m) * out_plane..],
                        stride: outputs,
                        shape: [layer.out_height, layer.out_width],
                        padding: [0, 0],
                    };
                    let to = &mut gradients[m * INPUTS * line..][..INPUTS * line];
                    strips.transform::<S, T, OUTPUTS>(simd, &planes, (to, line));
                    // What a longer chunk left behind.
                    for to in to.chunks_exact_mut(line) {
                        to[positions..positions.next_multiple_of(LANES)].fill(T::ZERO);
                    }
                }
                let sums = &mut sums[d * channels * 3 * INPUTS..];
                let chunk = Chunk { rows, gradients, line, channels, used, positions };
                if !S::LARGE {
                    chunk.add::<S, T::Wide<S>, 2, 1>(simd, sums);
                } else if layer.channels_of_a_tile() == 3 {
                    chunk.add::<S, T::Wide<S>, 3, 3>(simd, sums);
                } else {
                    chunk.add::<S, T::Wide<S>, 4, 2>(simd, sums);
                }
                d += used;
            }
        }

        // `(kernels, channels, columns, points)` to `(kernels, channels, rows, columns)`.
        let (sums, _) = sums.as_chunks::<INPUTS>();
        for (gradient, sums) in kernel_gradient.chunks_exact_mut(9).zip(sums.chunks_exact(3)) {
            // A column in each lane.
            let mut points = [T::Slim::<S>::simd_from(simd, T::ZERO); INPUTS];
            for i in 0..INPUTS {
                for x in 0..3 {
                    points[i].as_mut_slice()[x] = sums[x][i];
                }
            }
            let rows = transform_weight_gradients(simd, points);
            for y in 0..3 {
                gradient[3 * y..][..3].copy_from_slice(&rows[y].as_slice()[..3]);
            }
        }
    }
}

/// Strips of four output rows, counted through all samples.
struct Strips {
    range: Range<usize>,
    /// Strips of a sample.
    down: usize,
    /// From a strip to the next on a line.
    pitch: usize,
}

/// One plane of each sample.
struct Planes<'a, T> {
    /// From the first sample's plane on.
    numbers: &'a [T],
    /// From one sample to the next.
    stride: usize,
    shape: [usize; 2],
    /// Zeros above and on the left.
    padding: [usize; 2],
}

impl Strips {
    /// Writes six lines of the `R` rows that each strip has in `planes`.
    #[inline(always)]
    fn transform<S: Simd, T: Element, const R: usize>(
        &self,
        simd: S,
        planes: &Planes<'_, T>,
        (to, line): (&mut [T], usize),
    ) {
        let [height, width] = planes.shape;
        for strip in self.range.clone() {
            let numbers = &planes.numbers[strip / self.down * planes.stride..][..height * width];
            let y = strip % self.down * OUTPUTS;
            let at = (strip - self.range.start) * self.pitch + planes.padding[1];
            let plane = Plane { numbers, above: planes.padding[0], height, width };
            if S::LARGE && width >= T::Wide::<S>::LEN {
                plane.transform::<S, T::Wide<S>, R>(simd, y, (to, line, at));
            } else {
                plane.transform::<S, T::Narrow<S>, R>(simd, y, (to, line, at));
            }
        }
    }
}

/// The transformed rows of some strips, those of the output gradient of a few kernels.
struct Chunk<'a, T> {
    /// `(channels, points, line)`.
    rows: &'a [T],
    /// `(kernels, points, line)`.
    gradients: &'a [T],
    line: usize,
    channels: usize,
    used: usize,
    positions: usize,
}

impl<T: Element> Chunk<'_, T> {
    /// Adds to `sums (kernels, channels, columns, points)`, `M` kernels by `C` channels at a
    /// time. A function of its own for the compiler.
    #[inline(always)]
    fn add<S: Simd, V: SimdFloat<S, Element = T>, const M: usize, const C: usize>(
        &self,
        simd: S,
        sums: &mut [T],
    ) {
        simd.vectorize(
            #[inline(always)]
            || {
                for d in (0..self.used).step_by(M) {
                    for c in (0..self.channels).step_by(C) {
                        for point in 0..INPUTS {
                            let tile: [[[V; 3]; C]; M] = self.tile(simd, d, c, point);
                            for m in 0..M.min(self.used - d) {
                                for channel in 0..C.min(self.channels - c) {
                                    for x in 0..3 {
                                        let at = (d + m) * self.channels + c + channel;
                                        sums[(at * 3 + x) * INPUTS + point] +=
                                            sum_lanes(tile[m][channel][x]);
                                    }
                                }
                            }
                        }
                    }
                }
            },
        );
    }

    #[inline(always)]
    fn tile<S: Simd, V: SimdFloat<S, Element = T>, const M: usize, const C: usize>(
        &self,
        simd: S,
        d: usize,
        c: usize,
        point: usize,
    ) -> [[[V; 3]; C]; M] {
        let zero = V::simd_from(simd, T::ZERO);
        let mut sums = [[[zero; 3]; C]; M];
        let (mut a, mut b) = ([0; M], [0; C]);
        for m in 0..M {
            a[m] = ((d + m).min(self.used - 1) * INPUTS + point) * self.line;
        }
        for channel in 0..C {
            b[channel] = ((c + channel).min(self.channels - 1) * INPUTS + point) * self.line;
        }
        let (a, b) = (views(self.gradients, a), views(self.rows, b));
        for at in (0..self.positions).step_by(V::LEN) {
            let mut factors = [zero; M];
            for m in 0..M {
                factors[m] = load(simd, a[m], at);
            }
            for channel in 0..C {
                let rows = &b[channel][at..at + V::LEN + 2];
                for x in 0..3 {
                    let row = load(simd, rows, x);
                    for m in 0..M {
                        sums[m][channel][x] = fused(simd, row, factors[m], sums[m][channel][x]);
                    }
                }
            }
        }
        sums
    }
}
