//! The gradient of 3 × 3 kernels from tiles of the output gradient: the adjoint of
//! [`super::f4_2d`].
//!
//! Tiles of 6 × 6 inputs and the 4 × 4 output gradients that depend on them are transformed to 36
//! points each. At each point, the products of all channels with all kernels are summed over the
//! tiles of all samples as outer products, with kernels in the lanes; at the end the sums are
//! transformed to the nine weights. That takes 36 multiply-adds for each tile, channel and kernel,
//! where the direct sum takes 144.
//!
//! A sum runs through samples, tile rows and tiles in order: neither blocks nor threads nor levels
//! change a bit.

use std::ops::Range;

use fearless_simd::{Simd, SimdBase, SimdFloat, SimdFrom};

use crate::correlate::geometry::Geometry;
use crate::correlate::layout::{MOST_LANES, transpose};
use crate::correlate::task::{KernelTask, Sections};
use crate::element::kernels::per_element;
use crate::simd::{Kernel, SimdRegisters};
use crate::threads;
use crate::vector::{fused, load, store, views};
use crate::{Element, Scratch};

use super::tile_rows::{TileRows, Tiling};
use super::tile_transforms::{INPUTS, OUTPUTS, POINTS, output_gradients, weight_gradients};

/// How many kernels' tiles are multiplied together: two vectors of them.
const TOGETHER: usize = 2 * MOST_LANES;

/// The sections of the scratch memory: a block's tiles of all channels, and of some kernels, at all
/// points; its strips and lines; and the output gradients of a tile row.
fn sections(layer: &Geometry, tiling: Tiling) -> Sections<5> {
    let [strips, lines] = tiling.sections();
    // The distance between points is not a power of two, since cache lines at such distances evict
    // each other.
    Sections([
        POINTS * (layer.channels * tiling.tiles + MOST_LANES),
        POINTS * (TOGETHER * tiling.tiles + MOST_LANES),
        strips,
        lines,
        OUTPUTS * layer.out_width * MOST_LANES,
    ])
}

fn tiling(layer: &Geometry, n: usize) -> Tiling {
    Tiling::of(layer, n, layer.channels.max(TOGETHER))
}

/// The number of kernels, rounded up to whole vectors.
fn lanes_of(layer: &Geometry) -> usize {
    layer.kernels.next_multiple_of(MOST_LANES)
}

/// Length of the sums at all points.
fn sums_of(layer: &Geometry) -> usize {
    layer.channels * POINTS * lanes_of(layer)
}

/// The numbers and indices of scratch memory for `n` samples in this many parts.
pub(crate) fn room(layer: &Geometry, n: usize, parts: usize) -> [usize; 2] {
    let part = sections(layer, tiling(layer, n)).len();
    [parts.saturating_mul(part).saturating_add(sums_of(layer)), 0]
}

/// The gradient of all kernels.
pub(crate) fn sum<T: Element>(
    layer: &Geometry,
    operands: [&[T]; 2],
    gradient: &mut [T],
    (scratch, parts): (&mut Scratch<T>, usize),
) {
    let (taps, lanes) = (layer.taps(), lanes_of(layer));
    let samples = operands[0].len() / layer.input_shape().len();
    let (numbers, _) = scratch.take(room(layer, samples, parts));
    let (sums, numbers) = numbers.split_at_mut(sums_of(layer));
    // Divided by channels: the transform of their tiles takes longer than that of the kernels'
    // tiles, which every part repeats.
    let together = [layer.kernels, 9];
    let task = KernelTask::new(layer, 0..layer.kernels, together, operands, sums, (numbers, &[]));
    threads::run_divided(task, parts, |task| F4TilesGradient::launch(F4TilesGradient(task)));
    for (c, sums) in sums.chunks_exact(POINTS * lanes).enumerate() {
        for (block, kernels) in gradient.chunks_mut(MOST_LANES * taps).enumerate() {
            for tap in 0..9 {
                let weights = kernels[9 * c + tap..].iter_mut().step_by(taps);
                let sums = &sums[tap * lanes + block * MOST_LANES..];
                weights.zip(sums).for_each(|(weight, &sum)| *weight = sum);
            }
        }
    }
}

/// The sums for some channels, computed on one thread: `(channels, points, kernels)`, and at the
/// end nine weights instead of the points.
pub(crate) struct F4TilesGradient<'a, T>(KernelTask<'a, T>);

per_element!(f32: F4TilesGradient);

impl<T: Element> Kernel for F4TilesGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if S::LARGE {
            self.run_with::<S, T::Wide<S>>(simd);
        } else {
            self.run_with::<S, T::Narrow<S>>(simd);
        }
    }
}

impl<T: Element> F4TilesGradient<'_, T> {
    /// Runs with tiles of the input in the lanes of `V`.
    #[inline(always)]
    fn run_with<S: Simd, V: SimdFloat<S, Element = T>>(self, simd: S) {
        let KernelTask { layer, samples, taps, input, output_gradient, sums, numbers, .. } = self.0;
        let tiling = tiling(&layer, samples);
        let channels = taps.start / 9..taps.end / 9;
        let [inputs, gradients, strips, lines, transposed] =
            sections(&layer, tiling).carve(numbers);
        let [inputs_stride, gradients_stride] =
            [inputs.len(), gradients.len()].map(|points| points / POINTS);
        strips.fill(T::ZERO);
        sums.fill(T::ZERO);
        for rows in TileRows::blocks(&layer, tiling, samples) {
            for (index, c) in channels.clone().enumerate() {
                let points = (&mut inputs[index * tiling.tiles..], inputs_stride);
                rows.transform_inputs::<S, V, T>(simd, (input, c), strips, lines, points);
            }
            for first in (0..layer.kernels).step_by(TOGETHER) {
                let end = layer.kernels.min(first + TOGETHER);
                for (vector, start) in (first..end).step_by(MOST_LANES).enumerate() {
                    let kernels = start..end.min(start + MOST_LANES);
                    let points = &mut gradients[vector * tiling.tiles * MOST_LANES..];
                    let (from, to) = ((output_gradient, kernels), (points, gradients_stride));
                    transform_gradients(simd, &rows, from, transposed, to);
                }
                let block = Block {
                    channels: channels.len(),
                    tiles: [rows.tiles(), tiling.tiles],
                    kernels: lanes_of(&layer),
                };
                for point in 0..POINTS {
                    let inputs = &inputs[point * inputs_stride..][..inputs_stride];
                    let gradients = &gradients[point * gradients_stride..][..gradients_stride];
                    let sums = &mut sums[point * block.kernels + first..];
                    if end - first > MOST_LANES {
                        block.add_products::<S, T, 2>(simd, inputs, gradients, sums);
                    } else {
                        block.add_products::<S, T, 1>(simd, inputs, gradients, sums);
                    }
                }
            }
        }
        transform_sums(simd, lanes_of(&layer), sums);
    }
}

/// Transforms the tiles of the output gradients of up to [`MOST_LANES`] kernels: point `p` of
/// tile `t` is the vector at `p · stride + t · MOST_LANES`.
#[inline(always)]
fn transform_gradients<S: Simd, T: Element>(
    simd: S,
    rows: &TileRows<'_>,
    (gradient, kernels): (&[T], Range<usize>),
    transposed: &mut [T],
    (points, stride): (&mut [T], usize),
) {
    let TileRows { layer, tiling, .. } = rows;
    let (width, plane) = (layer.out_width, layer.out_plane());
    for (index, (sample, tile_row)) in rows.each().enumerate() {
        let tile = index * tiling.across;
        let y = tile_row * OUTPUTS;
        let height = OUTPUTS.min(layer.out_height - y);
        let from = &gradient[(sample * layer.kernels + kernels.start) * plane + y * width..];
        let columns = height * width;
        if kernels.len() == MOST_LANES {
            let to = (&mut *transposed, MOST_LANES);
            transpose::<S, T::Wide<S>>(simd, (from, plane), [MOST_LANES, columns], to);
        } else {
            transposed.fill(T::ZERO);
            for k in 0..kernels.len() {
                let to = transposed[k..].iter_mut().step_by(MOST_LANES);
                let column = &from[k * plane..][..columns];
                to.zip(column).for_each(|(to, &number)| *to = number);
            }
        }
        transform_row(
            simd,
            transposed,
            [height, width],
            (&mut points[tile * MOST_LANES..], stride),
        );
    }
}

/// One row of tiles, from `rows` rows of vectors. Compiled as a separate function.
#[inline(always)]
fn transform_row<S: Simd, T: Element>(
    simd: S,
    transposed: &[T],
    [rows, width]: [usize; 2],
    (points, stride): (&mut [T], usize),
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let zero = T::Wide::<S>::simd_from(simd, T::ZERO);
            for (tile, x) in (0..width).step_by(OUTPUTS).enumerate() {
                let mut e = [[zero; OUTPUTS]; OUTPUTS];
                for i in 0..OUTPUTS {
                    for j in 0..OUTPUTS {
                        if i < rows && x + j < width {
                            e[i][j] = load(simd, transposed, (i * width + x + j) * MOST_LANES);
                        }
                    }
                }
                let e = output_gradients(simd, e);
                for point in 0..POINTS {
                    let vector = e[point / INPUTS][point % INPUTS];
                    store(vector, points, point * stride + tile * MOST_LANES);
                }
            }
        },
    );
}

/// Transforms `(channels, points, kernels)` to `(channels, weights, kernels)` in place.
#[inline(always)]
fn transform_sums<S: Simd, T: Element>(simd: S, kernels: usize, sums: &mut [T]) {
    simd.vectorize(
        #[inline(always)]
        || {
            let zero = T::Wide::<S>::simd_from(simd, T::ZERO);
            for sums in sums.chunks_exact_mut(POINTS * kernels) {
                for d in (0..kernels).step_by(T::Wide::<S>::LEN) {
                    let mut m = [[zero; INPUTS]; INPUTS];
                    for point in 0..POINTS {
                        m[point / INPUTS][point % INPUTS] = load(simd, sums, point * kernels + d);
                    }
                    let weights = weight_gradients(simd, m);
                    for tap in 0..9 {
                        store(weights[tap % 3][tap / 3], sums, tap * kernels + d);
                    }
                }
            }
        },
    );
}

/// The transformed tiles of a block at one point.
#[derive(Clone, Copy)]
struct Block {
    channels: usize,
    /// How many tiles there are, and how many a channel and a vector of kernels have room for.
    tiles: [usize; 2],
    kernels: usize,
}

impl Block {
    /// Adds to `sums` the products of `inputs (channels, tiles)` with
    /// `gradients (KV, tiles, MOST_LANES)`.
    #[inline(always)]
    fn add_products<S: Simd, T: Element, const KV: usize>(
        &self,
        simd: S,
        inputs: &[T],
        gradients: &[T],
        sums: &mut [T],
    ) {
        let mut c = 0;
        while c < self.channels {
            let operands = (inputs, gradients);
            c += if !S::LARGE {
                self.add_tile::<S, T, KV, 2>(simd, c, operands, sums)
            } else if const { KV == 2 } || self.channels - c <= 8 {
                self.add_tile::<S, T, KV, 8>(simd, c, operands, sums)
            } else {
                self.add_tile::<S, T, KV, 12>(simd, c, operands, sums)
            };
        }
    }

    /// Adds for `Q` channels from `c` on; returns `Q`. Compiled as a separate function.
    #[inline(always)]
    fn add_tile<S: Simd, T: Element, const KV: usize, const Q: usize>(
        &self,
        simd: S,
        c: usize,
        (inputs, gradients): (&[T], &[T]),
        sums: &mut [T],
    ) -> usize {
        simd.vectorize(
            #[inline(always)]
            || {
                let used = Q.min(self.channels - c);
                let (mut starts, mut vectors) = ([0; Q], [0; KV]);
                let mut tile = [[T::Wide::<S>::simd_from(simd, T::ZERO); KV]; Q];
                for v in 0..KV {
                    vectors[v] = v * self.tiles[1] * MOST_LANES;
                }
                for q in 0..Q {
                    let channel = c + q.min(used - 1);
                    starts[q] = channel * self.tiles[1];
                    for v in 0..KV {
                        let at = channel * POINTS * self.kernels + v * MOST_LANES;
                        tile[q][v] = load(simd, sums, at);
                    }
                }
                let (inputs, gradients) = (views(inputs, starts), views(gradients, vectors));
                for t in 0..self.tiles[0] {
                    let mut g = [tile[0][0]; KV];
                    for v in 0..KV {
                        g[v] = load(simd, gradients[v], t * MOST_LANES);
                    }
                    for q in 0..Q {
                        let factor = T::Wide::<S>::simd_from(simd, inputs[q][t]);
                        for v in 0..KV {
                            tile[q][v] = fused(simd, g[v], factor, tile[q][v]);
                        }
                    }
                }
                for q in 0..Q {
                    if q < used {
                        for v in 0..KV {
                            let at = (c + q) * POINTS * self.kernels + v * MOST_LANES;
                            store(tile[q][v], sums, at);
                        }
                    }
                }
                Q
            },
        )
    }
}
