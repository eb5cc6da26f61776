//! Correlation with kernels of 3 × 3, four output rows at a time, by minimal filtering in
//! one direction.
//!
//! A column of four outputs depends on six inputs of each of the three columns that its
//! kernel touches. Six transformed rows are made of six input rows; at each of the six
//! points, the sum over channels and kernel columns is the direct one, and the six sums are
//! transformed back in registers: 18 multiply-adds for a channel, a kernel and four outputs
//! where the sum as it is written takes 36. Tiles of 4 × 4 (see [`super::winograd`]) take 9,
//! but pass through memory twice, which only many channels and kernels pay for.
//!
//! Rows are not cut into tiles, and lanes are columns, so nothing is shuffled. Errors are
//! relative to the largest numbers of a column, as they are for tiles, and smaller.

use std::ops::Range;

use fearless_simd::{Simd, SimdBase, SimdFloat, SimdFrom};

use crate::Element;
use crate::element::kernels::per_element;
use crate::simd::{Kernel, Tiles};
use crate::threads::Divide;
use crate::vector::{fused, load, store, views};

use super::filtering::{Operands, Weights};
use super::tile_transforms::{
    INPUTS, OUTPUTS, transform_inputs, transform_output_gradients, transform_outputs,
    transform_weights,
};
use super::{Bias, Correlation};

/// Kernels of which the scratch memory has room for whole blocks.
const MOST: usize = 4;

/// Numbers of a transformed kernel.
const TRANSFORMED: usize = 3 * INPUTS;

impl Correlation {
    /// Whether rows hold a vector, and there are so few channels or kernels that tiles of
    /// 4 × 4 are no better.
    pub(super) fn fits_columns<T: Element>(&self) -> bool {
        let few = self.channels.min(self.kernels) < 16;
        self.may_be_filtered::<T>() && few && self.width.min(self.out_width) >= 8
    }

    /// A column of four outputs takes 18 multiply-adds for each channel and kernel, and its
    /// transforms take as long as 40 for each channel and 24 for each kernel; an output of
    /// the direct sum takes 9, and as long as 5 more for each kernel to be written. Rows
    /// that only vectors of 256 bits fit are read half as long again. Columns must gain a
    /// quarter, since the model is that rough. It was fitted to layers with 1 to 32 channels
    /// and 2 to 64 kernels and planes of 8 × 8 to 222 × 222.
    pub(super) fn gains_by_columns(&self) -> bool {
        let columns = self.out_height.div_ceil(OUTPUTS) * self.out_width;
        let (c, d) = (self.channels, self.kernels);
        let products = if self.out_width < 16 { 27 } else { 18 } * c * d.next_multiple_of(4);
        4 * self.out_plane() * (9 * c + 5) * d >= 5 * columns * (products + 40 * c + 24 * d)
    }
}

/// Sizes of the parts of the scratch memory.
struct Memory {
    packed: usize,
    /// From one transformed row to the next.
    pitch: usize,
    rows: usize,
}

impl Memory {
    #[inline(always)]
    fn of(layer: &Correlation) -> Self {
        let pitch = (layer.width + layer.pad_width[0] + layer.pad_width[1]).next_multiple_of(16);
        Self {
            packed: layer.kernels.next_multiple_of(MOST) * layer.channels * TRANSFORMED,
            pitch,
            rows: layer.channels * INPUTS * pitch,
        }
    }

    fn len(&self) -> usize {
        // A cache line's numbers are one part's.
        (self.packed + self.rows).next_multiple_of(16)
    }
}

/// A correlation four rows at a time on one thread.
pub struct Columns<'a, T>(pub(super) Operands<'a, T>);

impl<T: Element> Divide for Columns<'_, T> {
    fn divide(self, left: usize, parts: usize) -> Result<(Self, Self), Self> {
        let Some(cut) = self.0.cut(left, parts, MOST) else { return Err(self) };
        let (first, second) = self.0.split(cut, left, parts);
        Ok((Self(first), Self(second)))
    }
}

per_element!(f32: Columns);

impl<T: Element> Kernel for Columns<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let layer = self.0.layer;
        let (width, wide) = (layer.out_width, T::Wide::<S>::LEN);
        let fewest = width.next_multiple_of(wide) <= width.next_multiple_of(T::Narrow::<S>::LEN);
        if !S::LARGE {
            self.run_with::<S, T::Narrow<S>, 2, 2>(simd);
        } else if layer.width.min(width) >= wide && fewest {
            self.run_with::<S, T::Wide<S>, 4, 1>(simd);
        } else {
            self.run_with::<S, T::Narrow<S>, 4, 1>(simd);
        }
    }
}

impl<T: Element> Columns<'_, T> {
    /// How many numbers and indices it works in.
    pub(super) fn memory(layer: &Correlation) -> [usize; 2] {
        [Memory::of(layer).len(), 3 * layer.channels]
    }

    /// With `M` kernels and `P` vectors of columns at a time.
    #[inline(always)]
    fn run_with<S: Simd, V: SimdFloat<S, Element = T>, const M: usize, const P: usize>(
        self,
        simd: S,
    ) {
        let Operands { layer, kernels, input, weights, bias, output, numbers, taps } = self.0;
        let memory = Memory::of(&layer);
        let (rows, rest) = numbers.split_at_mut(memory.rows);
        let packed = &mut rest[..memory.packed];
        pack_transformed::<S, T, M>(simd, &layer, kernels.clone(), weights, packed);
        rows.fill(T::ZERO);
        let taps = &mut taps[..3 * layer.channels];
        for (index, tap) in taps.iter_mut().enumerate() {
            *tap = index / 3 * INPUTS * memory.pitch + index % 3;
        }
        let (plane, out_plane) = (layer.height * layer.width, layer.out_plane());
        let inputs = input.chunks_exact(layer.channels * plane);
        let outputs = output.chunks_exact_mut(kernels.len() * out_plane);
        for (input, output) in inputs.zip(outputs) {
            for y in (0..layer.out_height).step_by(OUTPUTS) {
                for (c, numbers) in input.chunks_exact(plane).enumerate() {
                    let (height, width) = (layer.height, layer.width);
                    let plane = Plane { numbers, above: layer.pad_height[0], height, width };
                    let at = c * INPUTS * memory.pitch + layer.pad_width[0];
                    plane.transform::<S, V, INPUTS>(simd, y, (rows, memory.pitch, at));
                }
                let strip = Strip { layer: &layer, rows, pitch: memory.pitch, taps, y };
                for first in (0..kernels.len()).step_by(M) {
                    let used = M.min(kernels.len() - first);
                    let part = Part {
                        packed: &packed[first * layer.channels * TRANSFORMED..],
                        bias: bias.part(kernels.start + first, used, out_plane),
                        used,
                        output: &mut output[first * out_plane..],
                    };
                    strip.run::<S, V, M, P>(simd, part);
                }
            }
        }
    }
}

/// A plane of numbers, of which strips of rows are transformed.
pub(super) struct Plane<'a, T> {
    pub(super) numbers: &'a [T],
    /// Rows of zeros above it.
    pub(super) above: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl<T: Element> Plane<'_, T> {
    /// Transforms the `R` rows from `y` on, counted with those above, zeros where there are none, to six, which are
    /// written to `to` from `at` on, `line` apart: rows of an input if they are six, of an
    /// output gradient if they are four. Rows are no shorter than a vector.
    #[inline(always)]
    pub(super) fn transform<S: Simd, V: SimdFloat<S, Element = T>, const R: usize>(
        &self,
        simd: S,
        y: usize,
        (to, line, at): (&mut [T], usize, usize),
    ) {
        let zero = V::simd_from(simd, T::ZERO);
        let last = self.width - V::LEN;
        let mut x = 0;
        loop {
            let mut d = [zero; R];
            for i in 0..R {
                let row = y + i;
                if row >= self.above && row - self.above < self.height {
                    d[i] = load(simd, self.numbers, (row - self.above) * self.width + x);
                }
            }
            let points = if R == INPUTS {
                transform_inputs(simd, [d[0], d[1], d[2], d[3], d[R - 2], d[R - 1]])
            } else {
                transform_output_gradients(simd, [d[0], d[1], d[2], d[3]])
            };
            for i in 0..INPUTS {
                store(points[i], to, i * line + at + x);
            }
            if x == last {
                return;
            }
            x = last.min(x + V::LEN);
        }
    }
}

/// Writes the transformed kernels: `M` of them by `M`, and of these channel by channel and
/// column by column, six numbers for each kernel; zeros where there are fewer.
#[inline(always)]
fn pack_transformed<S: Simd, T: Element, const M: usize>(
    simd: S,
    layer: &Correlation,
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
    layer: &'a Correlation,
    /// The transformed rows, `(channels, points, columns)`.
    rows: &'a [T],
    pitch: usize,
    /// Where the columns of the kernels meet the rows' first output.
    taps: &'a [usize],
    y: usize,
}

/// What there is of a block of kernels.
struct Part<'a, T> {
    packed: &'a [T],
    used: usize,
    bias: Bias<'a, T>,
    /// From the first kernel's plane on.
    output: &'a mut [T],
}

impl<T: Element> Strip<'_, T> {
    /// The outputs of `M` kernels. A function of its own for the compiler.
    #[inline(always)]
    fn run<S: Simd, V: SimdFloat<S, Element = T>, const M: usize, const P: usize>(
        &self,
        simd: S,
        mut part: Part<'_, T>,
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
                    self.columns::<S, V, M, P>(simd, starts, &mut part);
                }
            },
        );
    }

    /// The vectors from `starts` on, summed, transformed back and written: all six sums at
    /// once of one vector, or three and three of several, which share what is read.
    #[inline(always)]
    fn columns<S: Simd, V: SimdFloat<S, Element = T>, const M: usize, const P: usize>(
        &self,
        simd: S,
        starts: [usize; P],
        part: &mut Part<'_, T>,
    ) {
        let mut outputs = [[V::simd_from(simd, T::ZERO); OUTPUTS]; M];
        if P == 1 {
            let sums: [[[V; INPUTS]; P]; M] = self.sums(simd, part.packed, starts, 0);
            for m in 0..M {
                outputs[m] = transform_outputs(simd, sums[m][0]);
            }
            self.write(simd, outputs, starts[0], part);
        } else {
            let a: [[[V; 3]; P]; M] = self.sums(simd, part.packed, starts, 0);
            let b: [[[V; 3]; P]; M] = self.sums(simd, part.packed, starts, 3);
            for p in 0..P {
                for m in 0..M {
                    let ([a0, a1, a2], [b0, b1, b2]) = (a[m][p], b[m][p]);
                    outputs[m] = transform_outputs(simd, [a0, a1, a2, b0, b1, b2]);
                }
                self.write(simd, outputs, starts[p], part);
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
        part: &mut Part<'_, T>,
    ) {
        let (width, plane) = (self.layer.out_width, self.layer.out_plane());
        let rows = OUTPUTS.min(self.layer.out_height - self.y);
        let first = self.y * width + x;
        match part.bias {
            Bias::None => {}
            Bias::PerKernel(bias) => {
                for m in 0..M {
                    let bias = V::simd_from(simd, bias[m.min(part.used - 1)]);
                    for i in 0..OUTPUTS {
                        outputs[m][i] += bias;
                    }
                }
            }
            Bias::Untied(bias) => {
                for m in 0..M {
                    for i in 0..OUTPUTS {
                        if m < part.used && i < rows {
                            outputs[m][i] +=
                                load::<S, V>(simd, bias, m * plane + first + i * width);
                        }
                    }
                }
            }
        }
        // Without conditions the outputs stay in registers until they are written.
        if part.used == M && rows == OUTPUTS {
            for m in 0..M {
                let to = &mut part.output[m * plane + first..][..(OUTPUTS - 1) * width + V::LEN];
                for i in 0..OUTPUTS {
                    store(outputs[m][i], to, i * width);
                }
            }
            return;
        }
        for m in 0..M {
            for i in 0..OUTPUTS {
                if m < part.used && i < rows {
                    store(outputs[m][i], part.output, m * plane + first + i * width);
                }
            }
        }
    }
}
