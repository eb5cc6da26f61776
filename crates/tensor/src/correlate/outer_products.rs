//! The gradient of the kernels as a sum of outer products: for each output position, the
//! numbers of the input below all taps times the output gradients of all kernels.
//!
//! The kernels lie side by side in the registers' lanes, so nothing is summed across
//! lanes, no position is computed in vain, and an element's sum runs through samples,
//! rows and columns in order, whatever the vector's width. It wants a transposed copy of
//! the output gradient, and kernels enough to fill a vector.

use std::ops::Range;

use fearless_simd::{Simd, SimdBase, SimdFloat};

use crate::Element;
use crate::microkernel::{fused, load, store};
use crate::simd::Registers;

use super::Correlation;

impl Correlation {
    /// Whether the kernels' gradient is summed as outer products: a property of the
    /// layer and the element, as the order of the sum is.
    pub(super) fn sums_outer_products<T: Element>(&self) -> bool {
        let wide = 64 / size_of::<T>();
        self.groups == 1 && self.kernels.is_multiple_of(wide)
    }
}

/// Some samples' inputs, as the taps apply to them.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a, T> {
    pub(super) numbers: &'a [T],
    /// From one sample to the next, and from one row to the next.
    pub(super) strides: [usize; 2],
    pub(super) taps: &'a [usize],
}

/// Positions whose transposed output gradients stay in the near caches: 256 KiB of
/// `f32`, shared by the kernels.
const BAND: usize = 65_536;

/// Adds to `sums (taps, kernels)` the outer products of all positions of the samples of
/// `gradients (N, D, OH, OW)`, for some kernels. `transposed` is memory for as many
/// numbers as those kernels' gradients.
#[inline(always)]
pub(super) fn add<S: Simd, T: Element>(
    simd: S,
    (layer, kernels): (&Correlation, Range<usize>),
    inputs: Inputs<'_, T>,
    gradients: &[T],
    transposed: &mut [T],
    sums: &mut [T],
) {
    let (count, width, plane) = (kernels.len(), layer.out_width, layer.out_plane());
    let wide = count.is_multiple_of(T::Wide::<S>::LEN);
    // All rows of some samples, or some rows of one.
    let rows = (BAND / (width * count)).clamp(1, layer.out_height);
    let samples = (BAND / (plane * count)).max(1);
    for (index, gradients) in gradients.chunks(samples * layer.kernels * plane).enumerate() {
        let samples_here = gradients.len() / (layer.kernels * plane);
        for y in (0..layer.out_height).step_by(rows) {
            let rows = rows.min(layer.out_height - y);
            let size = rows * width;
            let lines = &mut transposed[..samples_here * size * count];
            for (sample, lines) in lines.chunks_exact_mut(size * count).enumerate() {
                let first = (sample * layer.kernels + kernels.start) * plane + y * width;
                let from = (&gradients[first..], plane);
                if wide {
                    transpose::<S, T::Wide<S>>(simd, from, [count, size], lines);
                } else {
                    transpose::<S, T::Narrow<S>>(simd, from, [count, size], lines);
                }
            }
            let start = index * samples * inputs.strides[0] + y * inputs.strides[1];
            let inputs = Inputs { numbers: &inputs.numbers[start..], ..inputs };
            let shape = [rows, width, count];
            let gradients = Gradients { numbers: lines, samples: samples_here, shape };
            if wide {
                gradients.add_all::<S, T::Wide<S>>(simd, inputs, sums);
            } else {
                gradients.add_all::<S, T::Narrow<S>>(simd, inputs, sums);
            }
        }
    }
}

/// Output gradients with the kernels innermost, `(N, OH, OW, kernels)`.
#[derive(Clone, Copy)]
struct Gradients<'a, T> {
    numbers: &'a [T],
    samples: usize,
    shape: [usize; 3],
}

impl<T: Element> Gradients<'_, T> {
    #[inline(always)]
    fn add_all<S: Simd, V: SimdFloat<S, Element = T>>(
        self,
        simd: S,
        inputs: Inputs<'_, T>,
        sums: &mut [T],
    ) {
        let vectors = self.shape[2] / V::LEN;
        let mut vector = 0;
        while vector < vectors {
            let lane = vector * V::LEN;
            vector += match (Registers::of(simd), vectors - vector) {
                (Registers::Many, 2..) => self.add_block::<S, V, 2, 9>(simd, inputs, lane, sums),
                (Registers::Many, _) => self.add_block::<S, V, 1, 12>(simd, inputs, lane, sums),
                (Registers::Some, _) => self.add_block::<S, V, 1, 6>(simd, inputs, lane, sums),
                (Registers::Few, _) => self.add_block::<S, V, 1, 2>(simd, inputs, lane, sums),
            };
        }
    }

    /// All taps of `DV` vectors of kernels from `lane` on, `Q` taps at a time; returns
    /// `DV`. A function of its own for the compiler.
    #[inline(always)]
    fn add_block<S: Simd, V: SimdFloat<S, Element = T>, const DV: usize, const Q: usize>(
        self,
        simd: S,
        inputs: Inputs<'_, T>,
        lane: usize,
        sums: &mut [T],
    ) -> usize {
        let count = self.shape[2];
        simd.vectorize(
            #[inline(always)]
            || {
                let mut first = 0;
                while first < inputs.taps.len() {
                    let used = Q.min(inputs.taps.len() - first);
                    let mut taps = [0; Q];
                    let mut tile = [[V::simd_from(simd, T::ZERO); DV]; Q];
                    for q in 0..Q {
                        let tap = first + q.min(used - 1);
                        taps[q] = inputs.taps[tap];
                        for v in 0..DV {
                            tile[q][v] = load(simd, sums, tap * count + lane + v * V::LEN);
                        }
                    }
                    let tile = self.add_tile(simd, inputs, taps, lane, tile);
                    for q in 0..Q {
                        if q < used {
                            for v in 0..DV {
                                store(tile[q][v], sums, (first + q) * count + lane + v * V::LEN);
                            }
                        }
                    }
                    first += used;
                }
            },
        );
        DV
    }

    #[inline(always)]
    fn add_tile<S: Simd, V: SimdFloat<S, Element = T>, const DV: usize, const Q: usize>(
        self,
        simd: S,
        inputs: Inputs<'_, T>,
        taps: [usize; Q],
        lane: usize,
        mut tile: [[V; DV]; Q],
    ) -> [[V; DV]; Q] {
        let [rows, columns, count] = self.shape;
        for row in 0..self.samples * rows {
            let (sample, y) = (row / rows, row % rows);
            let start = sample * inputs.strides[0] + y * inputs.strides[1];
            let mut x = [inputs.numbers; Q];
            for q in 0..Q {
                x[q] = &inputs.numbers[start + taps[q]..][..columns];
            }
            let gradients = &self.numbers[row * columns * count + lane..];
            for column in 0..columns {
                let mut g = [V::simd_from(simd, T::ZERO); DV];
                for v in 0..DV {
                    g[v] = load(simd, gradients, column * count + v * V::LEN);
                }
                for q in 0..Q {
                    let factor = V::simd_from(simd, x[q][column]);
                    for v in 0..DV {
                        tile[q][v] = fused(simd, g[v], factor, tile[q][v]);
                    }
                }
            }
        }
        tile
    }
}

/// `to (columns, rows)` from `from (rows, columns)`, whose rows are `pitch` apart; `rows`
/// is a multiple of the lanes.
///
/// A square of vectors is transposed by interleaving its first half with its second,
/// once for each bit of an index: each time the bits of (row, column) rotate by one.
#[inline(always)]
pub(super) fn transpose<S: Simd, V: SimdFloat<S, Element: Element>>(
    simd: S,
    (from, pitch): (&[V::Element], usize),
    [rows, columns]: [usize; 2],
    to: &mut [V::Element],
) {
    let lanes = V::LEN;
    let whole = columns / lanes * lanes;
    for row in (0..rows).step_by(lanes) {
        for column in (0..whole).step_by(lanes) {
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
                store(square[i], to, (column + i) * rows + row);
            }
        }
        for column in whole..columns {
            for i in row..row + lanes {
                to[column * rows + i] = from[i * pitch + column];
            }
        }
    }
}
