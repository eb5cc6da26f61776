//! Cost models of the algorithms for a correlation, in multiply-adds.
//!
//! They are fitted to measured times: any other work counts as the multiply-adds that take as long.
//! The choice affects rounding, so the models depend on geometry and element alone.

use super::geometry::Geometry;
use super::layout::{MOST_LANES, Padded, Phase, narrow};
use super::winograd::strips::{self, Chunks};
use super::winograd::tile_rows::tiles_of;
use super::winograd::tile_transforms::{OUTPUTS, POINTS};

/// Weights of a kernel of 3 × 3.
const TAPS: usize = 9;

/// Whether minimal filtering saves enough: a fifth of the cost at least, since the models are
/// rough.
pub(super) fn gains(direct: usize, filtered: usize) -> bool {
    4 * direct >= 5 * filtered
}

/// Whether `in_vain` multiply-adds, which are wasted on a single sample, take longer than
/// transposing `copied` numbers to put samples in lanes.
pub(super) fn gains_in_lanes(in_vain: usize, copied: usize) -> bool {
    const COPY: usize = 16;
    in_vain >= COPY * copied
}

/// How many positions are computed for a row of `len` outputs with vectors of 256 bits; vectors of
/// 512 bits are not used where they would waste more. `usize::MAX` if the row is shorter than a
/// vector.
#[inline(always)]
pub(super) fn of_a_row<T>(len: usize) -> usize {
    if len < narrow::<T>() { usize::MAX } else { len.next_multiple_of(narrow::<T>()) }
}

/// How many positions of an output plane each weight is multiplied with for a single sample, wasted
/// ones included: row by row, or along one line of all rows.
pub(super) fn positions<T>(layer: &Geometry) -> usize {
    let rows = layer.out_height.saturating_mul(of_a_row::<T>(layer.out_width));
    rows.min(Padded::of(layer).line(layer).next_multiple_of(narrow::<T>()))
}

/// How many positions of a phase each weight is multiplied with for a single sample, row by row of
/// the output gradient.
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

/// The direct sum, with each weight multiplied at `positions` positions.
pub(super) fn direct(layer: &Geometry, positions: usize) -> usize {
    TAPS * positions * layer.channels * layer.kernels
}

/// Tiles of 4 × 4, each of 36 multiply-adds for a channel and a kernel. Transforms of a tile cost
/// 12 · 36 for each channel and for each kernel; the transform of a kernel costs 48 for each
/// channel and sample, with 16 samples in a shard.
///
/// Fitted to layers with 8 to 256 channels and kernels and planes of 3 × 3 to 224 × 224.
pub(super) fn tiles(layer: &Geometry) -> usize {
    const TRANSFORMS: usize = 12;
    const KERNEL: usize = 48;
    let (c, d) = (layer.channels, layer.kernels);
    POINTS * tiles_of(layer) * (c * d + TRANSFORMS * (c + d)) + KERNEL * c * d
}

/// The direct sum, in the units of [`columns`]: writing an output costs 5.
pub(super) fn direct_beside_columns(layer: &Geometry) -> usize {
    const WRITTEN: usize = 5;
    layer.out_plane() * (TAPS * layer.channels + WRITTEN) * layer.kernels
}

/// Columns of four outputs, each of 18 multiply-adds for a channel and a kernel, which cost 27
/// where rows fit vectors of 256 bits only. Transforms cost 40 for each channel and 24 for each
/// kernel.
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

/// The gradient of the kernels from tiles, in the units of [`tiles`]: transforms of a tile cost 20
/// · 36 for each channel and 8 · 36 for each kernel, and the final transform of the sums 2 · 36 for
/// each channel and kernel for every 16 samples.
///
/// Fitted to layers with 8 to 128 channels and kernels and planes of 3 × 3 to 56 × 56.
pub(super) fn gradient_tiles(layer: &Geometry) -> usize {
    const CHANNEL: usize = 20;
    const KERNEL: usize = 8;
    const SUMS: usize = 2;
    let (c, d) = (layer.channels, layer.kernels.next_multiple_of(MOST_LANES));
    POINTS * (tiles_of(layer) * (c * d + CHANNEL * c + KERNEL * d) + SUMS * c * d)
}

/// The direct gradient of the kernels in the units of [`gradient_columns`], `outer` kernels as
/// outer products: these are somewhat faster than a unit each, but need a transposition that costs
/// 7 for each kernel; dot products of few kernels cost half as much again.
pub(super) fn gradient_beside_columns(layer: &Geometry, outer: usize) -> usize {
    const OUTER: usize = 8;
    const TRANSPOSED: usize = 7;
    const DOTS: usize = 14;
    let (c, dots) = (layer.channels, layer.kernels - outer);
    layer.out_plane() * (outer * (OUTER * c + TRANSPOSED) + dots * DOTS * c)
}

/// The gradient of the kernels from columns, in the units of [`columns`]: transforms cost 25 for
/// each channel and 32 for each kernel. The sums across lanes at the end of a chunk cost more the
/// shorter it is.
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
