//! Minimal filtering in one direction, F(4, 3) down the columns, four output rows at a time.
//!
//! A column of four outputs depends on six inputs in each of the three columns under its kernel.
//! Six input rows are transformed to six rows, one for each point; at each point the sum over
//! channels and kernel columns is a direct one, and the six sums are transformed back in registers.
//! That takes 18 multiply-adds for a channel, a kernel and four outputs, where the direct sum takes
//! 36. Tiles of 4 × 4 (see [`super::f4_2d`]) take 9, but pass through memory twice, which pays only
//! with many channels and kernels.
//!
//! Rows are not divided into tiles and lanes are columns, so nothing is shuffled. Errors are
//! relative to the largest numbers of a column, as for tiles, and smaller.

use std::ops::Range;

use fearless_simd::{Simd, SimdBase, SimdFloat, SimdFrom};

use crate::Element;
use crate::correlate::geometry::Geometry;
use crate::correlate::layout::MOST_LANES;
use crate::correlate::plan::VectorLayout;
use crate::correlate::task::{Bias, Sections, Task, Weights};
use crate::element::kernels::per_element;
use crate::simd::{Kernel, SimdRegisters};
use crate::vector::{fused, load, store, views};

use super::strips::{KERNELS, Plane};
use super::tile_transforms::{INPUTS, OUTPUTS, transform_outputs, transform_weights};

/// Length of a transformed kernel.
const TRANSFORMED: usize = 3 * INPUTS;

/// The distance between neighbouring transformed rows.
fn pitch(layer: &Geometry) -> usize {
    (layer.width + layer.pad_width[0] + layer.pad_width[1]).next_multiple_of(MOST_LANES)
}

/// The sections of the scratch memory: a strip's transformed rows, and the transformed kernels.
fn sections(layer: &Geometry) -> Sections<2> {
    let kernels = layer.kernels.next_multiple_of(KERNELS);
    Sections([layer.channels * INPUTS * pitch(layer), kernels * layer.channels * TRANSFORMED])
}

/// The numbers and indices of scratch memory for one part.
pub(crate) fn room(layer: &Geometry) -> [usize; 2] {
    [sections(layer).len(), 3 * layer.channels]
}

/// A correlation, four rows at a time, on one thread.
pub(crate) struct F4Columns<'a, T>(pub(crate) Task<'a, T>);

per_element!(f32: F4Columns);

impl<T: Element> Kernel for F4Columns<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if !S::LARGE {
            self.run_with::<S, T::Narrow<S>, 2, 2>(simd);
        } else if self.0.schedule.layout() == VectorLayout::WideRows {
            self.run_with::<S, T::Wide<S>, KERNELS, 1>(simd);
        } else {
            self.run_with::<S, T::Narrow<S>, KERNELS, 1>(simd);
        }
    }
}

impl<T: Element> F4Columns<'_, T> {
    /// Computes `M` kernels and `P` vectors of columns at a time.
    #[inline(always)]
    fn run_with<S: Simd, V: SimdFloat<S, Element = T>, const M: usize, const P: usize>(
        self,
        simd: S,
    ) {
        let Task { layer, planes, input, weights, bias, output, numbers, indices, .. } = self.0;
        let pitch = pitch(&layer);
        let [rows, packed] = sections(&layer).carve(numbers);
        pack_transformed::<S, T, M>(simd, &layer, planes.clone(), weights, packed);
        rows.fill(T::ZERO);
        let taps = &mut indices[..3 * layer.channels];
        for (index, tap) in taps.iter_mut().enumerate() {
            *tap = index / 3 * INPUTS * pitch + index % 3;
        }
        let (plane, out_plane) = (layer.plane(), layer.out_plane());
        let inputs = input.chunks_exact(layer.channels * plane);
        let outputs = output.chunks_exact_mut(planes.len() * out_plane);
        for (input, output) in inputs.zip(outputs) {
            for y in (0..layer.out_height).step_by(OUTPUTS) {
                for (c, numbers) in input.chunks_exact(plane).enumerate() {
                    let (height, width) = (layer.height, layer.width);
                    let plane = Plane { numbers, above: layer.pad_height[0], height, width };
                    let at = c * INPUTS * pitch + layer.pad_width[0];
                    plane.transform::<S, V, INPUTS>(simd, y, (rows, pitch, at));
                }
                let strip = Strip { layer: &layer, rows, pitch, taps, y };
                for first in (0..planes.len()).step_by(M) {
                    let used = M.min(planes.len() - first);
                    let kernels = planes.start + first..planes.start + first + used;
                    let block = Block {
                        packed: &packed[first * layer.channels * TRANSFORMED..],
                        bias: bias.of(kernels, out_plane),
                        used,
                        output: &mut output[first * out_plane..],
                    };
                    strip.run::<S, V, M, P>(simd, block);
                }
            }
        }
    }
}

/// Writes the transformed kernels in blocks of `M`; in each block, channel by channel and column by
/// column, six numbers for each kernel, and zeros for missing kernels.
#[inline(always)]
fn pack_transformed<S: Simd, T: Element, const M: usize>(
    simd: S,
    layer: &Geometry,
    kernels: Range<usize>,
    weights: Weights<'_, T>,
    packed: &mut [T],
) {
    let block = layer.channels * TRANSFORMED * M;
    for (first, packed) in kernels.clone().step_by(M).zip(packed.chunks_exact_mut(block)) {
        packed.fill(T::ZERO);
        for (m, d) in (first..kernels.end).take(M).enumerate() {
            for c in 0..layer.channels {
                let kernel = weights.kernel(layer, d, c);
                // A column in each lane.
                let mut rows = [T::Slim::<S>::simd_from(simd, T::ZERO); 3];
                for tap in 0..9 {
                    rows[tap / 3].as_mut_slice()[tap % 3] = kernel[tap];
                }
                let points = transform_weights(simd, rows);
                for x in 0..3 {
                    let to = &mut packed[((3 * c + x) * M + m) * INPUTS..][..INPUTS];
                    for i in 0..INPUTS {
                        to[i] = points[i].as_slice()[x];
                    }
                }
            }
        }
    }
}

/// Four output rows of a sample.
struct Strip<'a, T> {
    layer: &'a Geometry,
    /// The transformed rows, `(channels, points, columns)`.
    rows: &'a [T],
    pitch: usize,
    /// Where the columns of the kernels fall for the first output of the rows.
    taps: &'a [usize],
    y: usize,
}

/// A block of kernels: what is the same for all its columns.
struct Block<'a, T> {
    packed: &'a [T],
    used: usize,
    bias: Bias<'a, T>,
    /// The outputs from the first kernel's plane on.
    output: &'a mut [T],
}

impl<T: Element> Strip<'_, T> {
    /// The outputs of `M` kernels. Compiled as a separate function.
    #[inline(always)]
    fn run<S: Simd, V: SimdFloat<S, Element = T>, const M: usize, const P: usize>(
        &self,
        simd: S,
        mut block: Block<'_, T>,
    ) {
        simd.vectorize(
            #[inline(always)]
            || {
                let width = self.layer.out_width;
                for x in (0..width).step_by(P * V::LEN) {
                    // The last vectors end with the row.
                    let mut starts = [x; P];
                    for p in 0..P {
                        starts[p] = (x + p * V::LEN).min(width - V::LEN);
                    }
                    self.columns::<S, V, M, P>(simd, starts, &mut block);
                }
            },
        );
    }

    /// Computes the vectors from `starts` on: sums them, transforms them back and writes them. A
    /// single vector has all six sums at once; several vectors have three at a time and share what
    /// is read.
    #[inline(always)]
    fn columns<S: Simd, V: SimdFloat<S, Element = T>, const M: usize, const P: usize>(
        &self,
        simd: S,
        starts: [usize; P],
        block: &mut Block<'_, T>,
    ) {
        let mut outputs = [[V::simd_from(simd, T::ZERO); OUTPUTS]; M];
        if P == 1 {
            let sums: [[[V; INPUTS]; P]; M] = self.sums(simd, block.packed, starts, 0);
            for m in 0..M {
                outputs[m] = transform_outputs(simd, sums[m][0]);
            }
            self.write(simd, outputs, starts[0], block);
        } else {
            let a: [[[V; 3]; P]; M] = self.sums(simd, block.packed, starts, 0);
            let b: [[[V; 3]; P]; M] = self.sums(simd, block.packed, starts, 3);
            for p in 0..P {
                for m in 0..M {
                    let ([a0, a1, a2], [b0, b1, b2]) = (a[m][p], b[m][p]);
                    outputs[m] = transform_outputs(simd, [a0, a1, a2, b0, b1, b2]);
                }
                self.write(simd, outputs, starts[p], block);
            }
        }
    }

    /// The sums at the `I` points from `first` on.
    #[inline(always)]
    fn sums<S, V, const M: usize, const P: usize, const I: usize>(
        &self,
        simd: S,
        packed: &[T],
        starts: [usize; P],
        first: usize,
    ) -> [[[V; I]; P]; M]
    where
        S: Simd,
        V: SimdFloat<S, Element = T>,
    {
        let zero = V::simd_from(simd, T::ZERO);
        let mut sums = [[[zero; I]; P]; M];
        let (weights, _) = packed.as_chunks::<INPUTS>();
        let (weights, _) = weights.as_chunks::<M>();
        let mut lines = [0; I];
        for i in 0..I {
            lines[i] = (first + i) * self.pitch;
        }
        let rows = views(self.rows, lines);
        for (&tap, weights) in self.taps.iter().zip(weights) {
            for i in 0..I {
                let mut row = [zero; P];
                for p in 0..P {
                    row[p] = load(simd, rows[i], tap + starts[p]);
                }
                for m in 0..M {
                    let weight = V::simd_from(simd, weights[m][first + i]);
                    for p in 0..P {
                        sums[m][p][i] = fused(simd, row[p], weight, sums[m][p][i]);
                    }
                }
            }
        }
        sums
    }

    /// Adds the bias and writes the outputs of the columns from `x` on.
    #[inline(always)]
    fn write<S: Simd, V: SimdFloat<S, Element = T>, const M: usize>(
        &self,
        simd: S,
        mut outputs: [[V; OUTPUTS]; M],
        x: usize,
        block: &mut Block<'_, T>,
    ) {
        let (width, plane) = (self.layer.out_width, self.layer.out_plane());
        let rows = OUTPUTS.min(self.layer.out_height - self.y);
        let first = self.y * width + x;
        match block.bias {
            Bias::None => {}
            Bias::PerChannel(bias) => {
                for m in 0..M {
                    let bias = V::simd_from(simd, bias[m.min(block.used - 1)]);
                    for i in 0..OUTPUTS {
                        outputs[m][i] += bias;
                    }
                }
            }
            Bias::Untied(bias) => {
                for m in 0..M {
                    for i in 0..OUTPUTS {
                        if m < block.used && i < rows {
                            outputs[m][i] +=
                                load::<S, V>(simd, bias, m * plane + first + i * width);
                        }
                    }
                }
            }
        }
        // Without conditions the outputs stay in registers until they are written.
        if block.used == M && rows == OUTPUTS {
            for m in 0..M {
                let to = &mut block.output[m * plane + first..][..(OUTPUTS - 1) * width + V::LEN];
                for i in 0..OUTPUTS {
                    store(outputs[m][i], to, i * width);
                }
            }
            return;
        }
        for m in 0..M {
            for i in 0..OUTPUTS {
                if m < block.used && i < rows {
                    store(outputs[m][i], block.output, m * plane + first + i * width);
                }
            }
        }
    }
}
