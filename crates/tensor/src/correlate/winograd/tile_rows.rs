//! Rows of tiles, transformed a block at a time, so that the intermediate results stay in the
//! first-level and second-level caches. A tile's numbers do not depend on its block.

use std::iter;
use std::ops::Range;

use fearless_simd::{Simd, SimdFloat};

use crate::Element;
use crate::correlate::geometry::Geometry;
use crate::correlate::layout::{Added, MOST_LANES, add_row};

use super::tile_transforms::{INPUTS, OUTPUTS, POINTS, Rows, columns, rows};

/// The most numbers of a block's transformed tiles and their products: 640 KiB of `f32`, which
/// leave space for some of the kernels in a second-level cache of 1 MiB.
const BLOCK: usize = 163_840;

/// Tile rows of an output plane, and tiles of a row.
fn tiles(layer: &Geometry) -> [usize; 2] {
    [layer.out_height.div_ceil(OUTPUTS), layer.out_width.div_ceil(OUTPUTS)]
}

/// Tiles of an output plane.
pub(crate) fn tiles_of(layer: &Geometry) -> usize {
    tiles(layer).iter().product()
}

/// How the tile rows of all samples are divided into blocks.
#[derive(Clone, Copy)]
pub(crate) struct Tiling {
    /// Tile rows of a sample, and tiles of a row.
    pub(crate) down: usize,
    pub(crate) across: usize,
    /// Tile rows of a block.
    pub(crate) rows: usize,
    /// Tiles of a block, padded to whole vectors.
    pub(crate) tiles: usize,
}

impl Tiling {
    /// Blocks small enough for the tiles of `planes` planes to stay in the caches.
    pub(crate) fn of(layer: &Geometry, n: usize, planes: usize) -> Self {
        let [down, across] = tiles(layer);
        let tiles = BLOCK / (POINTS * planes);
        let most = (tiles.max(2 * MOST_LANES) / across).clamp(1, n.saturating_mul(down).max(1));
        // Among the larger blocks, the one whose last vector is fullest.
        let waste = |rows: usize| {
            let tiles = rows * across;
            (tiles.next_multiple_of(MOST_LANES) - tiles) * 1024 / tiles
        };
        let rows = (most.div_ceil(2)..=most).rev().min_by_key(|&rows| waste(rows)).unwrap_or(1);
        Self { down, across, rows, tiles: (rows * across).next_multiple_of(MOST_LANES) }
    }

    /// The distance between neighbouring rows of a strip.
    fn strip(&self) -> usize {
        (OUTPUTS * (self.across + 1)).next_multiple_of(MOST_LANES)
    }

    /// The distance between neighbouring lines of the tiles' rows.
    pub(crate) fn line(&self) -> usize {
        OUTPUTS * self.tiles + 2 * MOST_LANES
    }

    /// Lengths of the strips and of the lines of a block of inputs.
    pub(crate) fn sections(&self) -> [usize; 2] {
        let strips = (self.rows * INPUTS * self.strip()).next_multiple_of(MOST_LANES);
        [strips, 2 * INPUTS * self.line()]
    }
}

/// One block of tile rows, counted through all samples.
pub(crate) struct TileRows<'a> {
    pub(crate) layer: &'a Geometry,
    pub(crate) tiling: Tiling,
    pub(crate) block: Range<usize>,
}

impl<'a> TileRows<'a> {
    /// The blocks of `n` samples, in order.
    #[inline(always)]
    pub(crate) fn blocks(
        layer: &'a Geometry,
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
    pub(crate) fn tiles(&self) -> usize {
        self.block.len() * self.tiling.across
    }

    /// The transformed tiles of channel `c`: point `p` of tile `t` at `p · stride + t`. `strips`
    /// must be zero before the first block.
    #[inline(always)]
    pub(crate) fn transform_inputs<S: Simd, V: SimdFloat<S, Element = T>, T: Element>(
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

    /// Copies the six input rows that each tile row depends on between the zeros on the left and
    /// right of the strips.
    #[inline(always)]
    fn fill_strips<S: Simd, T: Element>(&self, simd: S, input: &[T], c: usize, strips: &mut [T]) {
        let Self { layer, tiling, .. } = self;
        let (plane, width) = (layer.plane(), layer.width);
        let strips = strips.chunks_exact_mut(INPUTS * tiling.strip());
        for (strip, (sample, tile_row)) in strips.zip(self.each()) {
            let start = (sample * layer.channels + c) * plane;
            let input = &input[start..start + plane];
            for (i, strip) in strip.chunks_exact_mut(tiling.strip()).enumerate() {
                let to = &mut strip[layer.pad_width[0]..][..width];
                match (tile_row * OUTPUTS + i).checked_sub(layer.pad_height[0]) {
                    Some(y) if y < layer.height => {
                        let from = &input[y * width..][..width];
                        add_row(simd, from, Added::Nothing, to);
                    }
                    _ => to.fill(T::ZERO),
                }
            }
        }
    }

    /// For each tile row of the block, its sample and its index in the sample.
    #[inline(always)]
    pub(crate) fn each(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let down = self.tiling.down;
        let next = (self.block.start / down, self.block.start % down);
        let rows = iter::successors(Some(next), move |&(sample, row)| {
            Some(if row + 1 == down { (sample + 1, 0) } else { (sample, row + 1) })
        });
        rows.take(self.block.len())
    }
}
