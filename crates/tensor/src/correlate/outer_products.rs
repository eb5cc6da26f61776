//! The gradient of the kernels as a sum of outer products: for each output position, the
//! numbers of the input below all taps times the output gradients of all kernels.
//!
//! The kernels lie side by side in the registers' lanes, so nothing is summed across
//! lanes, no position is computed in vain, and an element's sum runs through samples,
//! rows and columns in order, whatever the vector's width. It wants a transposed copy of
//! the output gradient, and kernels enough to fill a vector.

use std::ops::Range;

use fearless_simd::{Simd, SimdFloat};

use crate::element::kernels::per_element;
use crate::simd::{Kernel, Tiles};
use crate::threads::{self, Divide};
use crate::vector::{fused, load, store, views};
use crate::{Element, Scratch};

use super::Correlation;
use super::padded::Padded;

/// Numbers of a band's transposed output gradients: 32 KiB of `f32`, a part of the first or
/// second cache, since every tile of taps reads them again.
const BAND: usize = 8_192;

/// Kernels that are worked on together: two wide vectors.
const fn block<T>() -> usize {
    128 / size_of::<T>()
}

impl Correlation {
    /// How many of the kernels, from the first on, fill wide vectors, so that their gradient
    /// is summed as outer products: a property of the layer and the element, as the order
    /// of the sum is.
    pub(super) fn kernels_in_vectors<T: Element>(&self) -> usize {
        let wide = 64 / size_of::<T>();
        if self.groups == 1 { self.kernels / wide * wide } else { 0 }
    }

    /// [`Correlation::kernel_gradient`] of the first `kernels` kernels, which
    /// [fill wide vectors](Self::kernels_in_vectors).
    pub(super) fn add_outer_products<T: Element>(
        &self,
        kernels: usize,
        input: &[T],
        output_gradient: &[T],
        kernel_gradient: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let n = input.len() / self.input_shape().len();
        let parts = self.parts_of(kernels, n, scratch.threads());
        let room = self.outer_products_room::<T>(kernels, n, scratch.threads());
        let (numbers, taps) = scratch.take(room);
        let count = kernel_gradient.len();
        let (sums, numbers) = numbers.split_at_mut(count);
        let shape = [self.channels, self.kernel_height, self.kernel_width];
        Padded::without_phases(self).taps(shape, taps);
        sums.fill(T::ZERO);
        let operation = OuterProducts {
            layer: *self,
            kernels: 0..kernels,
            taps,
            input,
            output_gradient,
            sums,
            numbers,
        };
        threads::run_divided(operation, parts, OuterProducts::launch);
        let taps = self.taps();
        let blocks = sums.chunks(block::<T>() * taps);
        for (sums, gradient) in blocks.zip(kernel_gradient.chunks_mut(block::<T>() * taps)) {
            let kernels = sums.len() / taps;
            for (d, gradient) in gradient.chunks_exact_mut(taps).enumerate() {
                let column = sums[d..].iter().step_by(kernels);
                gradient.iter_mut().zip(column).for_each(|(gradient, &sum)| *gradient = sum);
            }
        }
    }
}

impl Correlation {
    /// The scratch memory of [`Correlation::add_outer_products`] of `n` samples.
    pub(super) fn outer_products_room<T: Element>(
        &self,
        kernels: usize,
        n: usize,
        threads: usize,
    ) -> [usize; 2] {
        if kernels == 0 {
            return [0; 2];
        }
        let parts = self.parts_of(kernels, n, threads);
        let sums = kernels * self.taps();
        [parts.saturating_mul(Memory::of::<T>(self).len()).saturating_add(sums), self.taps()]
    }
}

/// Some samples whose output gradients are a band, and what they need of the scratch
/// memory.
struct Memory {
    samples: usize,
    /// Padded copies of their inputs.
    copies: usize,
    transposed: usize,
}

impl Memory {
    #[inline(always)]
    fn of<T: Element>(layer: &Correlation) -> Self {
        let samples = (BAND / (layer.out_plane() * block::<T>())).max(1);
        let padded = Padded::without_phases(layer);
        let copy = if padded.is_input() { 0 } else { layer.channels * padded.channel() };
        Self { samples, copies: samples * copy, transposed: BAND }
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.copies + self.transposed
    }
}

/// The sums for some kernels and some taps on one thread.
pub struct OuterProducts<'a, T> {
    layer: Correlation,
    kernels: Range<usize>,
    /// Where the taps meet the output at the origin.
    taps: &'a [usize],
    input: &'a [T],
    output_gradient: &'a [T],
    /// Block of kernels by block, each `(taps, kernels)`.
    sums: &'a mut [T],
    numbers: &'a mut [T],
}

impl<T: Element> Divide for OuterProducts<'_, T> {
    /// By kernels as far as there are blocks of them, then by rows of taps, so that every
    /// part has full vectors; each of these transposes the gradients for itself.
    fn divide(self, left: usize, parts: usize) -> Result<(Self, Self), Self> {
        let Self { layer, input, output_gradient, .. } = self;
        let Range { start, end } = self.kernels;
        let (kernels, taps) = (end - start, self.taps.len());
        let by_kernels = kernels > block::<T>();
        let cut = if by_kernels {
            threads::cut(kernels, left, parts, block::<T>())
        } else {
            threads::cut(taps, left, parts, layer.kernel_width)
        };
        let Some(cut) = cut else { return Err(self) };
        let sums = self.sums.split_at_mut(cut * if by_kernels { taps } else { kernels });
        let numbers = self.numbers.split_at_mut(self.numbers.len() * left / parts);
        let part = |kernels, taps, sums, numbers| OuterProducts {
            layer,
            kernels,
            taps,
            input,
            output_gradient,
            sums,
            numbers,
        };
        if by_kernels {
            let middle = start + cut;
            let first = part(start..middle, self.taps, sums.0, numbers.0);
            return Ok((first, part(middle..end, self.taps, sums.1, numbers.1)));
        }
        let taps = self.taps.split_at(cut);
        let first = part(start..end, taps.0, sums.0, numbers.0);
        Ok((first, part(start..end, taps.1, sums.1, numbers.1)))
    }
}

per_element!(OuterProducts);

impl<T: Element> Kernel for OuterProducts<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { layer, kernels, taps, sums, .. } = self;
        let padded = Padded::without_phases(&layer);
        let (input_len, output_len) = (layer.input_shape().len(), layer.output_shape().len());
        let (plane, block) = (layer.out_plane(), block::<T>());
        let memory = Memory::of::<T>(&layer);
        let (copies, transposed) = self.numbers.split_at_mut(memory.copies);
        copies.fill(T::ZERO);
        let inputs = self.input.chunks(memory.samples * input_len);
        let gradients = self.output_gradient.chunks(memory.samples * output_len);
        for (inputs, gradients) in inputs.zip(gradients) {
            let samples = inputs.len() / input_len;
            let (mut numbers, mut stride) = (inputs, input_len);
            if !padded.is_input() {
                stride = layer.channels * padded.channel();
                let samples = inputs.chunks_exact(input_len);
                for (input, copy) in samples.zip(copies.chunks_exact_mut(stride)) {
                    padded.copy(simd, input, copy);
                }
                numbers = &*copies;
            }
            // All positions of some samples, or some of one.
            let size = (BAND / (samples * block)).min(plane);
            for first in (0..plane).step_by(size) {
                let positions = first..plane.min(first + size);
                let blocks = sums.chunks_mut(block * taps.len());
                for (index, sums) in blocks.enumerate() {
                    let count = sums.len() / taps.len();
                    let band = Band {
                        samples,
                        width: layer.out_width,
                        neighbours: if layer.dilation[1] == 1 { layer.kernel_width } else { 1 },
                        positions: positions.clone(),
                        transposed: &mut *transposed,
                        inputs: numbers,
                        strides: [stride, padded.columns * layer.step[0], layer.step[1]],
                    };
                    let kernel = kernels.start + index * block;
                    let gradients = (&gradients[kernel * plane..], [output_len, plane]);
                    if count == block {
                        band.add::<S, T::Wide<S>, 2>(simd, gradients, taps, sums);
                    } else {
                        band.add::<S, T::Wide<S>, 1>(simd, gradients, taps, sums);
                    }
                }
            }
        }
    }
}

/// Some positions of some samples.
struct Band<'a, T> {
    samples: usize,
    /// Columns of an output plane.
    width: usize,
    /// Columns of a kernel whose taps meet neighbouring numbers of the input.
    neighbours: usize,
    positions: Range<usize>,
    /// Memory for the output gradients with the kernels innermost,
    /// `(samples, positions, kernels)`.
    transposed: &'a mut [T],
    /// The samples' inputs, as the taps apply to them.
    inputs: &'a [T],
    /// Of the input, from one sample to the next, and from one output's row and column to the
    /// next one's.
    strides: [usize; 3],
}

impl<T: Element> Band<'_, T> {
    /// Adds to `sums (taps, kernels)` the band's outer products, for `KV` vectors of
    /// kernels. `gradients` start at the first of these; their strides are a sample's
    /// and a kernel's.
    #[inline(always)]
    fn add<S: Simd, V: SimdFloat<S, Element = T>, const KV: usize>(
        self,
        simd: S,
        (gradients, [stride, plane]): (&[T], [usize; 2]),
        taps: &[usize],
        sums: &mut [T],
    ) {
        let (count, size) = (KV * V::LEN, self.positions.len());
        let transposed = &mut self.transposed[..self.samples * size * count];
        for (sample, to) in transposed.chunks_exact_mut(size * count).enumerate() {
            let from = &gradients[sample * stride + self.positions.start..];
            transpose::<S, V>(simd, (from, plane), [count, size], (to, count));
        }
        let mut first = 0;
        while first < taps.len() {
            let rest = &taps[first..];
            let sums = &mut sums[first * count..];
            first += if S::LARGE && const { KV == 2 } {
                match rest.len() {
                    9.. => self.add_tile::<S, V, KV, 9, 1>(simd, rest, sums),
                    _ => self.add_tile::<S, V, KV, 3, 1>(simd, rest, sums),
                }
            } else if S::LARGE {
                match (self.neighbours, rest.len()) {
                    // One vector a position: reads of addresses would take longer than it.
                    (5, 15..) => self.add_tile::<S, V, KV, 3, 5>(simd, rest, sums),
                    (_, 12..) => self.add_tile::<S, V, KV, 12, 1>(simd, rest, sums),
                    _ => self.add_tile::<S, V, KV, 4, 1>(simd, rest, sums),
                }
            } else if S::MEDIUM && const { KV == 1 } {
                self.add_tile::<S, V, KV, 6, 1>(simd, rest, sums)
            } else {
                self.add_tile::<S, V, KV, 2, 1>(simd, rest, sums)
            };
        }
    }

    /// Adds for the first `R · K` taps, `K` of which at a time meet neighbouring numbers;
    /// returns how many of them there were. A function of its own for the compiler.
    #[inline(always)]
    fn add_tile<
        S: Simd,
        V: SimdFloat<S, Element = T>,
        const KV: usize,
        const R: usize,
        const K: usize,
    >(
        &self,
        simd: S,
        taps: &[usize],
        sums: &mut [T],
    ) -> usize {
        simd.vectorize(
            #[inline(always)]
            || {
                let used = (R * K).min(taps.len());
                let mut runs = [0; R];
                let mut tile = [[[V::simd_from(simd, T::ZERO); KV]; K]; R];
                for r in 0..R {
                    runs[r] = taps[(r * K).min(used - 1)];
                    for k in 0..K {
                        let tap = (r * K + k).min(used - 1);
                        for v in 0..KV {
                            tile[r][k][v] = load(simd, sums, (tap * KV + v) * V::LEN);
                        }
                    }
                }
                let tile = self.tile(simd, runs, tile);
                for r in 0..R {
                    for k in 0..K {
                        let tap = r * K + k;
                        if tap < used {
                            for v in 0..KV {
                                store(tile[r][k][v], sums, (tap * KV + v) * V::LEN);
                            }
                        }
                    }
                }
                used
            },
        )
    }

    #[inline(always)]
    fn tile<
        S: Simd,
        V: SimdFloat<S, Element = T>,
        const KV: usize,
        const R: usize,
        const K: usize,
    >(
        &self,
        simd: S,
        runs: [usize; R],
        mut tile: [[[V; KV]; K]; R],
    ) -> [[[V; KV]; K]; R] {
        let views = views(self.inputs, runs);
        let Range { start, end } = self.positions;
        let mut gradients = &*self.transposed;
        for sample in 0..self.samples {
            let (mut position, mut x) = (start, start % self.width);
            let [sample_stride, row_stride, step] = self.strides;
            let mut row_start = sample * sample_stride + start / self.width * row_stride;
            while position < end {
                // To the end of a row, or of the band.
                let columns = (self.width - x).min(end - position);
                let mut at = row_start + x * step;
                let (row, rest) = gradients.split_at(columns * KV * V::LEN);
                for gradient in row.chunks_exact(KV * V::LEN) {
                    let mut g = [V::simd_from(simd, T::ZERO); KV];
                    for v in 0..KV {
                        g[v] = load(simd, gradient, v * V::LEN);
                    }
                    for r in 0..R {
                        let numbers = &views[r][at..][..K];
                        for k in 0..K {
                            let factor = V::simd_from(simd, numbers[k]);
                            for v in 0..KV {
                                tile[r][k][v] = fused(simd, g[v], factor, tile[r][k][v]);
                            }
                        }
                    }
                    at += step;
                }
                gradients = rest;
                position += columns;
                row_start += row_stride;
                x = 0;
            }
        }
        tile
    }
}

/// `to (columns, rows)` from `from (rows, columns)`, each with its pitch.
///
/// A square of vectors is transposed by interleaving its first half with its second,
/// once for each bit of an index: each time the bits of (row, column) rotate by one.
///
/// A function of its own for the compiler, shared by all that transpose.
#[inline(always)]
pub(super) fn transpose<S: Simd, V: SimdFloat<S, Element: Element>>(
    simd: S,
    (from, pitch): (&[V::Element], usize),
    [rows, columns]: [usize; 2],
    (to, to_pitch): (&mut [V::Element], usize),
) {
    transpose_to::<S, V>(
        simd,
        (from, pitch),
        [rows, columns],
        to,
        #[inline(always)]
        |column| column * to_pitch,
    );
}

/// [`transpose`] with the place of each column.
#[inline(always)]
pub(super) fn transpose_to<S: Simd, V: SimdFloat<S, Element: Element>>(
    simd: S,
    (from, pitch): (&[V::Element], usize),
    [rows, columns]: [usize; 2],
    to: &mut [V::Element],
    place: impl Fn(usize) -> usize,
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let lanes = V::LEN;
            if rows < lanes || columns < lanes {
                for column in 0..columns {
                    for row in 0..rows {
                        to[place(column) + row] = from[row * pitch + column];
                    }
                }
                return;
            }
            // The last squares end with the rows and the columns, over a part of those before.
            for row in (0..rows).step_by(lanes) {
                let row = row.min(rows - lanes);
                for column in (0..columns).step_by(lanes) {
                    let column = column.min(columns - lanes);
                    let mut square = [V::simd_from(simd, V::Element::ZERO); 16];
                    for i in 0..lanes {
                        square[i] = load(simd, from, (row + i) * pitch + column);
                    }
                    let mut bit = 1;
                    while bit < lanes {
                        let before = square;
                        for i in 0..lanes / 2 {
                            (square[2 * i], square[2 * i + 1]) =
                                before[i].interleave(before[i + lanes / 2]);
                        }
                        bit *= 2;
                    }
                    for i in 0..lanes {
                        store(square[i], to, place(column + i) + row);
                    }
                }
            }
        },
    );
}
