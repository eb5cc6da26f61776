//! Correlation with kernels of 3 × 3 by Winograd's minimal filtering.
//!
//! The output is cut into tiles of 4 × 4, each of which depends on 6 × 6 inputs. At 36
//! points the transformed tiles `(C, tiles)` are multiplied by the transformed kernels
//! `(D, C)`, and the products transformed back: 36 multiply-adds for each tile, channel
//! and kernel where the sum as it is written takes 144. See [`super::tile_transforms`].
//!
//! The transforms are sums and differences of neighbouring numbers, so the error of an
//! output is one relative to the largest numbers of its tile, not to itself. A test holds
//! it below 24 ε, 3 · 10⁻⁶, of the layer's largest `Σ |x| |k|`; of the largest output it may be
//! more, where kernels that sum to 0 leave little of a bright ground. A simulation in NumPy with 8, 32 and 128 channels
//! of uniform numbers gave 0.7, 1.2 and 1.8 · 10⁻⁶. An infinity or NaN in the input
//! spreads over all outputs of the tiles that see it.
//!
//! A block of tile rows is transformed, multiplied and transformed back at a time, so
//! that what lies between stays in the near caches. Tiles do not depend on the block that
//! they are in: neither blocks nor threads nor levels change a bit.

use std::iter;
use std::ops::Range;

use fearless_simd::{Simd, SimdBase, SimdFloat, SimdFrom};

use crate::Element;
use crate::element::kernels::per_element;
use crate::microkernel::{Grid, Offset, Product, multiply};
use crate::packing::{for_each_block, packed_len};
use crate::simd::{Kernel, Tiles};
use crate::threads::Divide;
use crate::vector::{Whole, load, load_partial, store};

use super::filtering::{Operands, Weights};
use super::tile_transforms::{self, INPUTS, OUTPUTS, POINTS, Rows, columns, outputs, rows};
use super::{Bias, Correlation};

/// Lanes of the widest vector: lines of tiles are padded to a multiple of it.
const LANES: usize = 16;

/// Numbers of transformed tiles and of their products that a block may have: 640 KiB of
/// `f32`, beside which some of the kernels find place in a second-level cache of 1 MiB.
const BLOCK: usize = 163_840;

/// Kernels that are packed together, and whose products are transformed back before those
/// of the next ones are computed.
const CHUNK: usize = 16;

impl Correlation {
    /// A tile takes 36 multiply-adds for each channel and kernel, and its transforms take as
    /// long as 12 · 36 for each channel and for each kernel; to transform a kernel takes as long
    /// as 48 for each channel and sample, of which a shard has 16; the direct sum takes 9 at each
    /// of its `positions`. Tiles must gain a quarter, since the model is that rough. It was
    /// fitted to layers with 8 to 256 channels and kernels and planes of 3 × 3 to 224 × 224.
    pub(super) fn gains_by_tiles(&self, positions: usize) -> bool {
        let tiles = self.tiles().iter().product::<usize>();
        let (products, sum) = (self.channels * self.kernels, self.channels + self.kernels);
        let tiled = POINTS * tiles * (products + 12 * sum) + 48 * products;
        4 * 9 * positions * products >= 5 * tiled
    }

    /// Tile rows of an output plane, and tiles of a row.
    pub(super) fn tiles(&self) -> [usize; 2] {
        [self.out_height.div_ceil(OUTPUTS), self.out_width.div_ceil(OUTPUTS)]
    }
}

/// How the tile rows of all samples are cut into blocks.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    /// Tile rows of a sample, and tiles of a row.
    pub(super) down: usize,
    pub(super) across: usize,
    /// Tile rows of a block.
    pub(super) rows: usize,
    /// Tiles of a block, padded to whole vectors.
    pub(super) tiles: usize,
}

impl Tiling {
    /// With the tiles of so many planes in memory.
    pub(super) fn of(layer: &Correlation, n: usize, planes: usize) -> Self {
        let [down, across] = layer.tiles();
        let tiles = BLOCK / (POINTS * planes);
        let most = (tiles.max(2 * LANES) / across).clamp(1, n.saturating_mul(down).max(1));
        // Of the larger blocks the one whose last vector is fullest.
        let waste = |rows: usize| {
            let tiles = rows * across;
            (tiles.next_multiple_of(LANES) - tiles) * 1024 / tiles
        };
        let rows = (most.div_ceil(2)..=most).rev().min_by_key(|&rows| waste(rows)).unwrap_or(1);
        Self { down, across, rows, tiles: (rows * across).next_multiple_of(LANES) }
    }

    /// Numbers from a row of a strip to the next.
    fn strip(&self) -> usize {
        (OUTPUTS * (self.across + 1)).next_multiple_of(LANES)
    }

    /// Numbers from a line of tiles' rows to the next.
    fn line(&self) -> usize {
        OUTPUTS * self.tiles + 2 * LANES
    }

    /// Numbers of the strips, and of the lines, of a block of inputs.
    pub(super) fn memory(&self) -> [usize; 2] {
        let strips = (self.rows * INPUTS * self.strip()).next_multiple_of(LANES);
        [strips, 2 * INPUTS * self.line()]
    }
}

/// Sizes of the parts of the scratch memory.
struct Memory {
    /// One point of the packed kernels, and of a block's tiles and of their products. Not a
    /// power of two, since cache lines at such distances drive each other out of the cache.
    panel: usize,
    inputs: usize,
    products: usize,
    strips: usize,
    lines: usize,
    /// A block of kernels before they are transformed.
    block: usize,
}

impl Memory {
    #[inline(always)]
    fn of(layer: &Correlation, tiling: Tiling) -> Self {
        let [strips, lines] = tiling.memory();
        Self {
            panel: packed_len(layer.kernels, layer.channels) + LANES,
            inputs: layer.channels * tiling.tiles + LANES,
            products: layer.kernels.min(CHUNK) * tiling.tiles + LANES,
            strips,
            lines,
            block: packed_len(1, layer.taps()),
        }
    }

    fn len(&self) -> usize {
        let lines = self.strips + self.lines + self.block;
        let points = POINTS * (self.panel + self.inputs + self.products);
        // A cache line's numbers are one part's.
        (points + lines).next_multiple_of(LANES)
    }
}

/// A correlation tile by tile on one thread.
pub struct Winograd<'a, T> {
    operands: Operands<'a, T>,
    tiling: Tiling,
}

impl<'a, T: Element> Winograd<'a, T> {
    pub(super) fn new(operands: Operands<'a, T>) -> Self {
        Self { tiling: Self::tiling(&operands.layer, operands.samples()), operands }
    }

    /// How many numbers and indices it works in with `n` samples.
    pub(super) fn memory(layer: &Correlation, n: usize) -> [usize; 2] {
        [Memory::of(layer, Self::tiling(layer, n)).len(), layer.channels]
    }

    fn tiling(layer: &Correlation, n: usize) -> Tiling {
        Tiling::of(layer, n, layer.channels + layer.kernels.min(CHUNK))
    }
}

impl<T: Element> Divide for Winograd<'_, T> {
    fn divide(self, left: usize, parts: usize) -> Result<(Self, Self), Self> {
        let Some(cut) = self.operands.cut(left, parts, 8) else { return Err(self) };
        let (first, second) = self.operands.split(cut, left, parts);
        let part = |operands| Self { operands, tiling: self.tiling };
        Ok((part(first), part(second)))
    }
}

per_element!(f32: Winograd);

impl<T: Element> Kernel for Winograd<'_, T> {
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

impl<T: Element> Winograd<'_, T> {
    #[inline(always)]
    fn run_with<S: Simd, V: SimdFloat<S, Element = T>>(self, simd: S) {
        let Self { operands, tiling } = self;
        let n = operands.samples();
        let Operands { layer, kernels, input, weights, bias, output, numbers, taps } = operands;
        let memory = Memory::of(&layer, tiling);
        let (packed, rest) = numbers.split_at_mut(POINTS * memory.panel);
        let (inputs, rest) = rest.split_at_mut(POINTS * memory.inputs);
        let (products, rest) = rest.split_at_mut(POINTS * memory.products);
        let (strips, rest) = rest.split_at_mut(memory.strips);
        let (lines, rest) = rest.split_at_mut(memory.lines);
        let block = &mut rest[..memory.block];
        let taps = &mut taps[..layer.channels];
        for (c, tap) in taps.iter_mut().enumerate() {
            *tap = c * tiling.tiles;
        }
        let panels = (&mut *packed, memory.panel);
        pack_transformed(simd, &layer, kernels.clone(), weights, block, panels);
        strips.fill(T::ZERO);
        for pass in Pass::each(&layer, tiling, n) {
            for c in 0..layer.channels {
                let points = (&mut inputs[c * tiling.tiles..], memory.inputs);
                pass.transform_inputs::<S, V, T>(simd, (input, c), strips, lines, points);
            }
            for first in (0..kernels.len()).step_by(CHUNK) {
                let chunk = first..kernels.len().min(first + CHUNK);
                pass.multiply_points::<S, V, T>(
                    simd,
                    chunk.len(),
                    (&packed[first * layer.channels..], memory.panel),
                    (inputs, memory.inputs),
                    (products, memory.products),
                    taps,
                );
                for d in chunk {
                    let points = (&products[(d - first) * tiling.tiles..], memory.products);
                    outputs::<S, V>(simd, points, pass.tiles(), (lines, tiling.line()));
                    let kernel = Place { kernel: d, kernels: kernels.clone() };
                    pass.write_rows(simd, lines, bias, kernel, output);
                }
            }
        }
    }
}

/// Writes the transformed kernels as [`multiply`] reads them, point by point.
#[inline(always)]
fn pack_transformed<S: Simd, T: Element>(
    simd: S,
    layer: &Correlation,
    kernels: Range<usize>,
    all: Weights<'_, T>,
    block: &mut [T],
    (packed, panel): (&mut [T], usize),
) {
    // Chunk by chunk, as they are multiplied.
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

/// Transforms the weights `(channels, 9, size)` of a block of kernels, a kernel in each
/// lane. A function of its own for the compiler.
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

/// Which kernel an output plane belongs to, of those that a part computes.
struct Place {
    kernel: usize,
    kernels: Range<usize>,
}

/// One block of tile rows, counted through all samples.
pub(super) struct Pass<'a> {
    pub(super) layer: &'a Correlation,
    pub(super) tiling: Tiling,
    pub(super) block: Range<usize>,
}

impl<'a> Pass<'a> {
    /// Those of `n` samples, in order.
    #[inline(always)]
    pub(super) fn each(
        layer: &'a Correlation,
        tiling: Tiling,
        n: usize,
    ) -> impl Iterator<Item = Self> {
        let all = n * tiling.down;
        let blocks = (0..all).step_by(tiling.rows);
        blocks.map(move |first| {
            let block = first..all.min(first + tiling.rows);
            Self { layer, tiling, block }
        })
    }

    #[inline(always)]
    pub(super) fn tiles(&self) -> usize {
        self.block.len() * self.tiling.across
    }

    /// The transformed tiles of channel `c`: point `p` of tile `t` at `p · stride + t`.
    /// `strips` had zeros in it before the first block.
    #[inline(always)]
    pub(super) fn transform_inputs<S: Simd, V: SimdFloat<S, Element = T>, T: Element>(
        &self,
        simd: S,
        (input, c): (&[T], usize),
        strips: &mut [T],
        lines: &mut [T],
        points: (&mut [T], usize),
    ) {
        let Self { tiling, block, .. } = self;
        self.fill_strips(simd, input, c, strips);
        let rows_of_strips = Rows { pitch: tiling.strip(), count: block.len() };
        let across = tiling.across;
        columns::<S, V>(simd, (strips, rows_of_strips), across, (lines, tiling.line()));
        rows::<S, V>(simd, (lines, tiling.line()), self.tiles(), points);
    }

    /// The products of all points for some kernels.
    #[inline(always)]
    fn multiply_points<S: Simd, V: SimdFloat<S, Element = T>, T: Element>(
        &self,
        simd: S,
        kernels: usize,
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
                grid: Grid::line(self.tiles().next_multiple_of(V::LEN)),
                output_stride: self.tiling.tiles,
                offset: Offset::None,
            };
            multiply::<S, _, Whole<V>>(simd, &product, &mut products[point * products_stride..]);
        }
    }

    /// Copies the six input rows that each tile row depends on, between the zeros that
    /// the strips have left and right.
    #[inline(always)]
    fn fill_strips<S: Simd, T: Element>(&self, simd: S, input: &[T], c: usize, strips: &mut [T]) {
        let Self { layer, tiling, .. } = self;
        let (plane, width) = (layer.height * layer.width, layer.width);
        let strips = strips.chunks_exact_mut(INPUTS * tiling.strip());
        for (strip, (sample, tile_row)) in strips.zip(self.places()) {
            let start = (sample * layer.channels + c) * plane;
            let input = &input[start..start + plane];
            for (i, strip) in strip.chunks_exact_mut(tiling.strip()).enumerate() {
                let to = &mut strip[layer.pad_width[0]..][..width];
                match (tile_row * OUTPUTS + i).checked_sub(layer.pad_height[0]) {
                    Some(y) if y < layer.height => {
                        let from = &input[y * width..][..width];
                        add_row(simd, from, Added::Same(T::ZERO), to);
                    }
                    _ => to.fill(T::ZERO),
                }
            }
        }
    }

    /// Of each tile row of the block, its sample and which of the sample's tile rows it is.
    #[inline(always)]
    pub(super) fn places(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let down = self.tiling.down;
        let next = (self.block.start / down, self.block.start % down);
        let places = iter::successors(Some(next), move |&(sample, row)| {
            Some(if row + 1 == down { (sample + 1, 0) } else { (sample, row + 1) })
        });
        places.take(self.block.len())
    }

    /// Writes the outputs of a kernel, of which `lines` holds four for each tile row.
    #[inline(always)]
    fn write_rows<S: Simd, T: Element>(
        &self,
        simd: S,
        lines: &[T],
        bias: Bias<'_, T>,
        Place { kernel, kernels }: Place,
        output: &mut [T],
    ) {
        let Self { layer, tiling, .. } = self;
        let (width, d) = (layer.out_width, kernels.start + kernel);
        for (index, (sample, tile_row)) in self.places().enumerate() {
            let plane = (sample * kernels.len() + kernel) * layer.out_height;
            let first = tile_row * OUTPUTS;
            for y in first..layer.out_height.min(first + OUTPUTS) {
                let at = (y - first) * tiling.line() + index * OUTPUTS * tiling.across;
                let added = match bias {
                    Bias::None => Added::Same(T::ZERO),
                    Bias::PerKernel(bias) => Added::Same(bias[d]),
                    Bias::Untied(bias) => {
                        Added::Each(&bias[(d * layer.out_height + y) * width..][..width])
                    }
                };
                let to = &mut output[(plane + y) * width..][..width];
                add_row(simd, &lines[at..at + width], added, to);
            }
        }
    }
}

/// What is added to the numbers of a row.
#[derive(Clone, Copy)]
enum Added<'a, T> {
    Same(T),
    Each(&'a [T]),
}

/// `to = from + added`, with the widest vectors that a row holds; rows are too short for
/// a call that copies memory.
#[inline(always)]
fn add_row<S: Simd, T: Element>(simd: S, from: &[T], added: Added<'_, T>, to: &mut [T]) {
    if S::LARGE && to.len() >= T::Wide::<S>::LEN {
        add_row_with::<S, T::Wide<S>>(simd, from, added, to);
    } else if to.len() >= T::Narrow::<S>::LEN {
        add_row_with::<S, T::Narrow<S>>(simd, from, added, to);
    } else if to.len() >= T::Slim::<S>::LEN {
        add_row_with::<S, T::Slim<S>>(simd, from, added, to);
    } else {
        for (index, (to, &from)) in to.iter_mut().zip(from).enumerate() {
            *to = from
                + match added {
                    Added::Same(offset) => offset,
                    Added::Each(offsets) => offsets[index],
                };
        }
    }
}

#[inline(always)]
fn add_row_with<S: Simd, V: SimdFloat<S, Element: Element>>(
    simd: S,
    from: &[V::Element],
    added: Added<'_, V::Element>,
    to: &mut [V::Element],
) {
    let last = to.len() - V::LEN;
    let mut x = 0;
    loop {
        let offset = match added {
            Added::Same(offset) => V::simd_from(simd, offset),
            Added::Each(offsets) => load(simd, offsets, x),
        };
        store(load::<S, V>(simd, from, x) + offset, to, x);
        if x == last {
            return;
        }
        x = last.min(x + V::LEN);
    }
}
