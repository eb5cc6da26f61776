//! The gradient of the kernels as a sum of outer products: for each output position, the input
//! numbers under all taps times the output gradients of all kernels.
//!
//! The kernels lie side by side in the lanes, so nothing is summed across lanes and no position is
//! wasted; the sum of each element runs through samples, rows and columns in order, whatever the
//! vector's width. This takes a transposed copy of the output gradient, and enough kernels to fill
//! a vector.

use std::ops::Range;

use fearless_simd::{Simd, SimdFloat};

use crate::correlate::geometry::Geometry;
use crate::correlate::layout::{Padded, transpose, wide};
use crate::correlate::task::{KernelTask, Sections};
use crate::element::kernels::per_element;
use crate::simd::{Kernel, SimdRegisters};
use crate::threads;
use crate::vector::{fused, load, store, views};
use crate::{Element, Scratch};

/// Length of a band's transposed output gradients: 32 KiB of `f32`, which stay in the first-level
/// or second-level cache, since every tile of taps reads them again.
const BAND: usize = 8_192;

/// How many kernels are summed together: two wide vectors.
const fn block<T>() -> usize {
    2 * wide::<T>()
}

/// How many samples' output gradients make a band.
fn samples_of_a_band<T>(layer: &Geometry) -> usize {
    (BAND / (layer.out_plane() * block::<T>())).max(1)
}

/// The sections of the scratch memory: padded copies of a band's inputs, and its transposed output
/// gradients.
fn sections<T>(layer: &Geometry) -> Sections<2> {
    let padded = Padded::without_phases(layer);
    let copy = if padded.is_input() { 0 } else { layer.channels * padded.channel() };
    Sections([samples_of_a_band::<T>(layer) * copy, BAND])
}

/// The numbers and indices of scratch memory for this many kernels in this many parts.
pub(crate) fn room<T>(layer: &Geometry, kernels: usize, parts: usize) -> [usize; 2] {
    let numbers = parts.saturating_mul(sections::<T>(layer).len());
    [numbers.saturating_add(kernels * layer.taps()), layer.taps()]
}

/// The gradient of the first `kernels` kernels, which fill wide vectors.
pub(crate) fn sum<T: Element>(
    layer: &Geometry,
    kernels: usize,
    operands: [&[T]; 2],
    gradient: &mut [T],
    (scratch, parts): (&mut Scratch<T>, usize),
) {
    let taps = layer.taps();
    let (numbers, offsets) = scratch.take(room::<T>(layer, kernels, parts));
    let (sums, numbers) = numbers.split_at_mut(gradient.len());
    let shape = [layer.channels, layer.kernel_height, layer.kernel_width];
    Padded::without_phases(layer).taps(shape, offsets);
    sums.fill(T::ZERO);
    // Every part has full vectors; parts that share a block each transpose its gradients.
    let together = [block::<T>(), layer.kernel_width];
    let task = KernelTask::new(layer, 0..kernels, together, operands, sums, (numbers, offsets));
    threads::run_divided(task, parts, |task| OuterProducts::launch(OuterProducts(task)));
    let blocks = sums.chunks(block::<T>() * taps);
    for (sums, gradient) in blocks.zip(gradient.chunks_mut(block::<T>() * taps)) {
        let kernels = sums.len() / taps;
        for (d, gradient) in gradient.chunks_exact_mut(taps).enumerate() {
            let column = sums[d..].iter().step_by(kernels);
            gradient.iter_mut().zip(column).for_each(|(gradient, &sum)| *gradient = sum);
        }
    }
}

/// The sums for some kernels and some taps, computed on one thread: block of kernels by block,
/// `(taps, kernels)` each.
pub(crate) struct OuterProducts<'a, T>(KernelTask<'a, T>);

per_element!(OuterProducts);

impl<T: Element> Kernel for OuterProducts<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let KernelTask { layer, kernels, sums, numbers, .. } = self.0;
        let taps = &self.0.offsets[self.0.taps];
        let padded = Padded::without_phases(&layer);
        let (input_len, output_len) = (layer.input_shape().len(), layer.output_shape().len());
        let (plane, block) = (layer.out_plane(), block::<T>());
        let samples = samples_of_a_band::<T>(&layer);
        let [copies, transposed] = sections::<T>(&layer).carve(numbers);
        copies.fill(T::ZERO);
        let inputs = self.0.input.chunks(samples * input_len);
        let gradients = self.0.output_gradient.chunks(samples * output_len);
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
            // All positions of several samples, or some positions of one.
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
    /// Columns of a kernel whose taps fall on neighbouring numbers of the input.
    neighbours: usize,
    positions: Range<usize>,
    /// Space for the output gradients with the kernels innermost, `(samples, positions, kernels)`.
    transposed: &'a mut [T],
    /// The samples' inputs, in the layout of the taps.
    inputs: &'a [T],
    /// Distances in the input: from one sample to the next, and from one output row and column to
    /// the next.
    strides: [usize; 3],
}

impl<T: Element> Band<'_, T> {
    /// Adds the band's outer products to `sums (taps, kernels)`, for `KV` vectors of kernels.
    /// `gradients` begin at the first of these kernels; their strides are those of samples and
    /// kernels.
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
                    // With one vector per position, reading addresses would take longer than the
                    // multiplication.
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

    /// Adds the products of the first `R · K` taps, `K` of which at a time fall on neighbouring
    /// numbers; returns how many taps that were. Compiled as a separate function.
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
                // Up to the end of the row, or of the band.
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
