//! Minimal filtering in two directions, F(4 × 4, 3 × 3).
//!
//! The output is divided into tiles of 4 × 4, each of which depends on 6 × 6 inputs. At 36 points
//! the transformed tiles `(C, tiles)` are multiplied by the transformed kernels `(D, C)`, and the
//! products are transformed back: 36 multiply-adds for each tile, channel and kernel, where the
//! direct sum takes 144. See [`super::tile_transforms`].
//!
//! The transforms are sums and differences of neighbouring numbers, so the error of an output is
//! relative to the largest numbers of its tile, not to the output itself. It grows with the number
//! of channels, as that of any sum in one order. Tests keep it below `(24 + 2 C) ε` of the layer's
//! largest `Σ |x| |k|`; relative to the largest output it may be more, for instance where kernels
//! that sum to 0 are applied to a bright background. A simulation in NumPy with 8, 32 and 128
//! channels of uniform numbers gave 0.7, 1.2 and 1.8 · 10⁻⁶. An infinity or NaN in the input
//! spreads to all outputs of the tiles that read it.
//!
//! A [block](super::tile_rows) of tile rows is transformed, multiplied and transformed back at a
//! time. Neither blocks nor threads nor levels change a bit.

use std::ops::Range;

use fearless_simd::{Simd, SimdBase, SimdFloat, SimdFrom};

use crate::Element;
use crate::correlate::geometry::Geometry;
use crate::correlate::layout::{Added, MOST_LANES, add_row};
use crate::correlate::task::{Bias, Sections, Task, Weights};
use crate::element::kernels::per_element;
use crate::microkernel::{Grid, Offset, Product, multiply};
use crate::packing::{for_each_block, packed_len};
use crate::simd::{Kernel, SimdRegisters};
use crate::vector::{Whole, load, load_partial, store};

use super::tile_rows::{TileRows, Tiling};
use super::tile_transforms::{self, INPUTS, OUTPUTS, POINTS, outputs};

/// How many kernels are packed together. Their products are transformed back before those of the
/// next ones are computed.
const CHUNK: usize = 16;

/// The sections of the scratch memory: the packed kernels, a block's tiles and their products, at
/// all points; its strips and lines; and a block of kernels before the transform.
fn sections(layer: &Geometry, tiling: Tiling) -> Sections<6> {
    let [strips, lines] = tiling.sections();
    // The distance between points is not a power of two, since cache lines at such distances evict
    // each other.
    Sections([
        POINTS * (packed_len(layer.kernels, layer.channels) + MOST_LANES),
        POINTS * (layer.channels * tiling.tiles + MOST_LANES),
        POINTS * (layer.kernels.min(CHUNK) * tiling.tiles + MOST_LANES),
        strips,
        lines,
        packed_len(1, layer.taps()),
    ])
}

fn tiling(layer: &Geometry, n: usize) -> Tiling {
    Tiling::of(layer, n, layer.channels + layer.kernels.min(CHUNK))
}

/// The numbers and indices of scratch memory for one part of `n` samples.
pub(crate) fn room(layer: &Geometry, n: usize) -> [usize; 2] {
    [sections(layer, tiling(layer, n)).len(), layer.channels]
}

/// A correlation, tile by tile, on one thread.
pub(crate) struct F4Tiles<'a, T>(pub(crate) Task<'a, T>);

per_element!(f32: F4Tiles);

impl<T: Element> Kernel for F4Tiles<'_, T> {
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

impl<T: Element> F4Tiles<'_, T> {
    #[inline(always)]
    fn run_with<S: Simd, V: SimdFloat<S, Element = T>>(self, simd: S) {
        let Task { layer, samples, planes, input, weights, bias, output, numbers, indices, .. } =
            self.0;
        let tiling = tiling(&layer, samples);
        let [packed, inputs, products, strips, lines, block] =
            sections(&layer, tiling).carve(numbers);
        let [panel, inputs_stride, products_stride] =
            [packed.len(), inputs.len(), products.len()].map(|points| points / POINTS);
        let taps = &mut indices[..layer.channels];
        for (c, tap) in taps.iter_mut().enumerate() {
            *tap = c * tiling.tiles;
        }
        pack_transformed(simd, &layer, planes.clone(), weights, block, (&mut *packed, panel));
        strips.fill(T::ZERO);
        for rows in TileRows::blocks(&layer, tiling, samples) {
            for c in 0..layer.channels {
                let points = (&mut inputs[c * tiling.tiles..], inputs_stride);
                rows.transform_inputs::<S, V, T>(simd, (input, c), strips, lines, points);
            }
            for first in (0..planes.len()).step_by(CHUNK) {
                let chunk = first..planes.len().min(first + CHUNK);
                multiply_points::<S, V, T>(
                    simd,
                    (&rows, chunk.len()),
                    (&packed[first * layer.channels..], panel),
                    (inputs, inputs_stride),
                    (products, products_stride),
                    taps,
                );
                for d in chunk {
                    let points = (&products[(d - first) * tiling.tiles..], products_stride);
                    outputs::<S, V>(simd, points, rows.tiles(), (lines, tiling.line()));
                    write_rows(simd, &rows, lines, bias, (d, &planes), output);
                }
            }
        }
    }
}

/// Writes the transformed kernels as [`multiply`] reads them, point by point.
#[inline(always)]
fn pack_transformed<S: Simd, T: Element>(
    simd: S,
    layer: &Geometry,
    kernels: Range<usize>,
    all: Weights<'_, T>,
    block: &mut [T],
    (packed, panel): (&mut [T], usize),
) {
    // Chunk by chunk, in the order of the multiplication.
    for chunk in kernels.clone().step_by(CHUNK) {
        for_each_block(simd, CHUNK.min(kernels.end - chunk), |first, size| {
            let first = chunk + first;
            let used = first..kernels.end.min(first + size);
            let block = &mut block[..9 * layer.channels * size];
            all.pack(simd, layer, used, block);
            let packed = &mut packed[(first - kernels.start) * layer.channels..];
            transform_block(simd, block, size, (packed, panel));
        });
    }
}

/// Transforms the weights `(channels, 9, size)` of a block of kernels, with a kernel in each lane.
/// Compiled as a separate function.
#[inline(always)]
fn transform_block<S: Simd, T: Element>(
    simd: S,
    block: &[T],
    size: usize,
    (packed, panel): (&mut [T], usize),
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let lanes = T::Narrow::<S>::LEN;
            for (c, kernels) in block.chunks_exact(9 * size).enumerate() {
                for lane in (0..size).step_by(lanes) {
                    let used = lanes.min(size - lane);
                    let mut taps = [T::Narrow::<S>::simd_from(simd, T::ZERO); 9];
                    for tap in 0..9 {
                        let at = tap * size + lane;
                        taps[tap] = if used == lanes {
                            load(simd, kernels, at)
                        } else {
                            load_partial(simd, kernels, at, used)
                        };
                    }
                    let points = tile_transforms::weights(simd, taps);
                    for point in 0..POINTS {
                        let at = point * panel + c * size + lane;
                        let vector = points[point / INPUTS][point % INPUTS];
                        if used == lanes {
                            store(vector, packed, at);
                        } else {
                            packed[at..at + used].copy_from_slice(&vector.as_slice()[..used]);
                        }
                    }
                }
            }
        },
    );
}

/// Multiplies at all points, for some kernels.
#[inline(always)]
fn multiply_points<S: Simd, V: SimdFloat<S, Element = T>, T: Element>(
    simd: S,
    (rows, kernels): (&TileRows<'_>, usize),
    (packed, panel): (&[T], usize),
    (inputs, inputs_stride): (&[T], usize),
    (products, products_stride): (&mut [T], usize),
    taps: &[usize],
) {
    for point in 0..POINTS {
        let product = Product {
            rows: kernels,
            packed: &packed[point * panel..],
            input: &inputs[point * inputs_stride..][..inputs_stride],
            taps,
            packed_taps: [0, taps.len()],
            continues: false,
            grid: Grid::line(rows.tiles().next_multiple_of(V::LEN)),
            output_stride: rows.tiling.tiles,
            offset: Offset::None,
        };
        multiply::<S, _, Whole<V>>(simd, &product, &mut products[point * products_stride..]);
    }
}

/// Writes the outputs of one of a part's `kernels`; `lines` holds four lines for each tile row.
#[inline(always)]
fn write_rows<S: Simd, T: Element>(
    simd: S,
    rows: &TileRows<'_>,
    lines: &[T],
    bias: Bias<'_, T>,
    (kernel, kernels): (usize, &Range<usize>),
    output: &mut [T],
) {
    let TileRows { layer, tiling, .. } = rows;
    let (width, d) = (layer.out_width, kernels.start + kernel);
    for (index, (sample, tile_row)) in rows.each().enumerate() {
        let plane = (sample * kernels.len() + kernel) * layer.out_height;
        let first = tile_row * OUTPUTS;
        for y in first..layer.out_height.min(first + OUTPUTS) {
            let at = (y - first) * tiling.line() + index * OUTPUTS * tiling.across;
            let added = match bias {
                Bias::None => Added::Same(T::ZERO),
                _ => bias.of_row(d, (d * layer.out_height + y) * width, width),
            };
            let to = &mut output[(plane + y) * width..][..width];
            add_row(simd, &lines[at..at + width], added, to);
        }
    }
}
