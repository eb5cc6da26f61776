//! What the ways of computing a correlation cost, in multiply-adds.
//!
//! The models are fitted to measured times: what is no multiply-add counts as those that take as
//! long. They decide what is rounded, so they depend on geometry and element alone.

use super::geometry::Geometry;
use super::layout::{MOST_LANES, Padded, Phase, narrow};
use super::winograd::strips::{self, Chunks};
use super::winograd::tile_rows::tiles_of;
use super::winograd::tile_transforms::{OUTPUTS, POINTS};

/// Weights of a kernel of 3 × 3.
const TAPS: usize = 9;

/// Whether minimal filtering gains enough: a quarter, since the models are that rough.
pub(super) fn gains(direct: usize, filtered: usize) -> bool {
    4 * direct >= 5 * filtered
}

/// Whether the multiply-adds that a sample alone computes `in_vain` take longer than to transpose
/// `copied` numbers, as lanes of samples want them.
pub(super) fn gains_in_lanes(in_vain: usize, copied: usize) -> bool {
    const COPY: usize = 16;
    in_vain >= COPY * copied
}

/// Positions that a row of `len` outputs is computed at, in vectors of 256 bits: those of 512 are
/// not used where they waste more. No number of them if it is shorter than a vector.
#[inline(always)]
pub(super) fn of_a_row<T>(len: usize) -> usize {
    if len < narrow::<T>() { usize::MAX } else { len.next_multiple_of(narrow::<T>()) }
}

/// Positions of an output plane that each weight is multiplied with for a sample alone, those in
/// vain included: row by row, or along one line of all rows.
pub(super) fn positions<T>(layer: &Geometry) -> usize {
    let rows = layer.out_height.saturating_mul(of_a_row::<T>(layer.out_width));
    rows.min(Padded::of(layer).line(layer).next_multiple_of(narrow::<T>()))
}

/// Positions of a phase that each weight is multiplied with for a sample alone, row by row of the
/// output's gradient.
pub(super) fn positions_by_rows<T>(layer: &Geometry, phase: &Phase) -> usize {
    let rows = phase.kernel_height * layer.out_height;
    rows * phase.kernel_width * of_a_row::<T>(layer.out_width)
}

/// The same along one line of all rows that the same rows of the kernel reach.
pub(super) fn positions_by_lines<T>(layer: &Geometry, phase: &Phase) -> usize {
    let (mut y, mut sum) = (0, 0);
    while y < phase.height {
        let (lowest, end) = phase.kernel_rows(layer, y);
        let same = |&y: &usize| phase.kernel_rows(layer, y) == (lowest, end);
        let rows = (y..phase.height).take_while(same).count();
        sum += (end - lowest) * (rows * phase.pitch).next_multiple_of(narrow::<T>());
        y += rows;
    }
    sum * phase.kernel_width
}

/// The sum as it is written, each weight multiplied at so many positions.
pub(super) fn direct(layer: &Geometry, positions: usize) -> usize {
    TAPS * positions * layer.channels * layer.kernels
}

/// Tiles of 4 × 4, each of 36 multiply-adds for a channel and a kernel. Its transforms take as long
/// as 12 · 36 for each channel and for each kernel; to transform a kernel takes as long as 48 for
/// each channel and sample, of which a shard has 16.
///
/// Fitted to layers with 8 to 256 channels and kernels and planes of 3 × 3 to 224 × 224.
pub(super) fn tiles(layer: &Geometry) -> usize {
    const TRANSFORMS: usize = 12;
    const KERNEL: usize = 48;
    let (c, d) = (layer.channels, layer.kernels);
    POINTS * tiles_of(layer) * (c * d + TRANSFORMS * (c + d)) + KERNEL * c * d
}

/// The sum as it is written, in the measure of [`columns`]: to write an output takes as long as 5.
pub(super) fn direct_beside_columns(layer: &Geometry) -> usize {
    const WRITTEN: usize = 5;
    layer.out_plane() * (TAPS * layer.channels + WRITTEN) * layer.kernels
}

/// Columns of four outputs, each of 18 multiply-adds for a channel and a kernel, as long as 27 where
/// rows fit vectors of 256 bits only. Its transforms take as long as 40 for each channel and 24 for
/// each kernel.
///
/// Fitted to layers with 1 to 32 channels and 2 to 64 kernels and planes of 8 × 8 to 222 × 222.
pub(super) fn columns(layer: &Geometry) -> usize {
    const CHANNEL: usize = 40;
    const KERNEL: usize = 24;
    let (c, d) = (layer.channels, layer.kernels);
    let products = if layer.out_width < MOST_LANES { 27 } else { 18 };
    let columns = layer.out_height.div_ceil(OUTPUTS) * layer.out_width;
    columns * (products * c * d.next_multiple_of(strips::KERNELS) + CHANNEL * c + KERNEL * d)
}

/// The gradient of the kernels from tiles, in the measure of [`tiles`]: the transforms of a tile
/// take as long as 20 · 36 for each channel and 8 · 36 for each kernel, and what is done once with
/// the sums of a channel and a kernel as long as 2 · 36 for each of 16 samples.
///
/// Fitted to layers with 8 to 128 channels and kernels and planes of 3 × 3 to 56 × 56.
pub(super) fn gradient_tiles(layer: &Geometry) -> usize {
    const CHANNEL: usize = 20;
    const KERNEL: usize = 8;
    const SUMS: usize = 2;
    let (c, d) = (layer.channels, layer.kernels.next_multiple_of(MOST_LANES));
    POINTS * (tiles_of(layer) * (c * d + CHANNEL * c + KERNEL * d) + SUMS * c * d)
}

/// The gradient of the kernels as it is written in the measure of [`gradient_columns`], `outer`
/// kernels as outer products: they are somewhat faster than that measure but transpose, as long as 7
/// for each kernel; the dot products of few kernels take half as long again.
pub(super) fn gradient_beside_columns(layer: &Geometry, outer: usize) -> usize {
    const OUTER: usize = 8;
    const TRANSPOSED: usize = 7;
    const DOTS: usize = 14;
    let (c, dots) = (layer.channels, layer.kernels - outer);
    layer.out_plane() * (outer * (OUTER * c + TRANSPOSED) + dots * DOTS * c)
}

/// The gradient of the kernels from columns, in the measure of [`columns`]: the transforms take as
/// long as 25 for each channel and 32 for each kernel, and the sums across lanes at the end of a
/// chunk are the more the shorter it is.
pub(super) fn gradient_columns(layer: &Geometry) -> usize {
    const CHANNEL: usize = 25;
    const KERNEL: usize = 32;
    const SUMS: usize = 128;
    let (c, d) = (layer.channels, layer.kernels);
    let chunks = Chunks::of(layer, usize::MAX);
    let [kernels, channels] = strips::tile(layer);
    let positions = chunks.strips * chunks.pitch;
    let products = c.next_multiple_of(channels) * d.next_multiple_of(kernels);
    let products = 18 * products * (positions + SUMS) / positions;
    let columns = layer.out_height.div_ceil(OUTPUTS) * chunks.pitch;
    columns * (products + CHANNEL * c + KERNEL * d)
}
