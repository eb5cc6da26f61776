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

use crate::microkernel::{fused, load, store, views};
use crate::simd::{Kernel, Registers};
use crate::threads::{self, Divide};
use crate::{Element, Scratch};

use super::tile_transforms::{
    INPUTS, OUTPUTS, transform_inputs, transform_output_gradients, transform_outputs,
    transform_weights,
};
use super::winograd::Weights;
use super::{Bias, Correlation};

/// Kernels of which the scratch memory has room for whole blocks.
const MOST: usize = 4;

/// Numbers of a transformed kernel.
const TRANSFORMED: usize = 3 * INPUTS;

impl Correlation {
    /// Whether the correlation is computed four rows at a time: a property of the layer and
    /// the element, as rounding is.
    pub(super) fn uses_columns<T: Element>(&self) -> bool {
        self.fits_columns::<T>() && !self.uses_tiles::<T>() && self.gains_by_columns()
    }

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
    fn gains_by_columns(&self) -> bool {
        let columns = self.out_height.div_ceil(OUTPUTS) * self.out_width;
        let (c, d) = (self.channels, self.kernels);
        let products = if self.out_width < 16 { 27 } else { 18 } * c * d.next_multiple_of(4);
        4 * self.out_plane() * (9 * c + 5) * d >= 5 * columns * (products + 40 * c + 24 * d)
    }

    /// [`Correlation::forward`] four rows at a time.
    pub(super) fn forward_by_columns<T: Element>(
        &self,
        input: &[T],
        weights: Weights<'_, T>,
        bias: Bias<'_, T>,
        output: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let n = input.len() / self.input_shape().len();
        let parts = threads::parts(n * self.multiply_adds(), scratch.threads());
        let (numbers, taps) =
            scratch.take(parts * Memory::of(self).len(), parts * 3 * self.channels);
        let (layer, kernels) = (*self, 0..self.kernels);
        let operation = Columns { layer, kernels, input, weights, bias, output, numbers, taps };
        threads::run_divided(operation, parts, T::correlate_by_columns);
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
        self.packed + self.rows + 16
    }
}

/// A correlation four rows at a time on one thread.
pub struct Columns<'a, T> {
    layer: Correlation,
    /// All of them if there are several samples.
    kernels: Range<usize>,
    input: &'a [T],
    weights: Weights<'a, T>,
    bias: Bias<'a, T>,
    output: &'a mut [T],
    numbers: &'a mut [T],
    taps: &'a mut [usize],
}

impl<T: Element> Divide for Columns<'_, T> {
    /// By samples if there are several, else by kernels.
    fn divide(self, left: usize, parts: usize) -> Result<(Self, Self), Self> {
        let Self { layer, weights, bias, .. } = self;
        let n = self.input.len() / layer.input_shape().len();
        let count = if n > 1 { n } else { self.kernels.len() };
        let Some(cut) = threads::cut(count, left, parts, if n > 1 { 1 } else { MOST }) else {
            return Err(self);
        };
        let numbers = self.numbers.split_at_mut(self.numbers.len() * left / parts);
        let taps = self.taps.split_at_mut(self.taps.len() * left / parts);
        let (input, kernels, outputs) = if n > 1 {
            let input = self.input.split_at(cut * layer.input_shape().len());
            (input, (self.kernels.clone(), self.kernels), cut * layer.output_shape().len())
        } else {
            let middle = self.kernels.start + cut;
            let kernels = (self.kernels.start..middle, middle..self.kernels.end);
            ((self.input, self.input), kernels, cut * layer.out_plane())
        };
        let output = self.output.split_at_mut(outputs);
        let part = |kernels, input, output, numbers, taps| Columns {
            layer,
            kernels,
            input,
            weights,
            bias,
            output,
            numbers,
            taps,
        };
        Ok((
            part(kernels.0, input.0, output.0, numbers.0, taps.0),
            part(kernels.1, input.1, output.1, numbers.1, taps.1),
        ))
    }
}

impl<T: Element> Kernel for Columns<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (width, wide) = (self.layer.out_width, T::Wide::<S>::LEN);
        let fewest = width.next_multiple_of(wide) <= width.next_multiple_of(T::Narrow::<S>::LEN);
        if Registers::of(simd) != Registers::Many {
            self.run_with::<S, T::Narrow<S>, 2, 2>(simd);
        } else if self.layer.width.min(width) >= wide && fewest {
            self.run_with::<S, T::Wide<S>, 4, 1>(simd);
        } else {
            self.run_with::<S, T::Narrow<S>, 4, 1>(simd);
        }
    }
}

impl<T: Element> Columns<'_, T> {
    /// With `M` kernels and `P` vectors of columns at a time.
    #[inline(always)]
    fn run_with<S: Simd, V: SimdFloat<S, Element = T>, const M: usize, const P: usize>(
        self,
        simd: S,
    ) {
        let Self { layer, kernels, input, weights, bias, output, numbers, taps } = self;
        let memory = Memory::of(&layer);
        // Vectors that end with a cache line's end are read and written in half the time.
        let aligned = numbers.as_ptr().align_offset(64).min(16);
        let (rows, rest) = numbers[aligned..].split_at_mut(memory.rows);
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
                    let plane = Plane { numbers, height: layer.height, width: layer.width };
                    let first = y.wrapping_sub(layer.pad_height[0]);
                    let at = c * INPUTS * memory.pitch + layer.pad_width[0];
                    plane.transform::<S, V, INPUTS>(simd, first, (rows, memory.pitch, at));
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
    pub(super) height: usize,
    pub(super) width: usize,
}

impl<T: Element> Plane<'_, T> {
    /// Transforms the `R` rows from `y` on, zeros where there are none, to six, which are
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
                let row = y.wrapping_add(i);
                if row < self.height {
                    d[i] = load(simd, self.numbers, row * self.width + x);
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
    for (index, packed) in packed.chunks_exact_mut(block).enumerate() {
        packed.fill(T::ZERO);
        let first = kernels.start + index * M;
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
                let to = &mut part.output[m * plane + first..];
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
