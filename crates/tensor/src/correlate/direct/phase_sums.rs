//! What each column of the kernel contributes to the gradient of the input in one phase of the
//! stride: a broadcast product with the rows of the output gradient.

use std::ops::Range;

use fearless_simd::{Simd, SimdBase};

use crate::Element;
use crate::correlate::geometry::Geometry;
use crate::correlate::layout::{MOST_LANES, Phase, spread};
use crate::correlate::plan::VectorLayout;
use crate::microkernel::{Grid, Offset, Product};
use crate::packing::{LARGEST_BLOCK, for_each_block};
use crate::simd::SimdRegisters;

use super::blocks::Blocks;
use super::multiply_in;

/// Packs a phase's weights: rows by `(kx, c)`, taps by `(ky, d)` in descending order of `ky`.
#[inline(always)]
pub(crate) fn pack_phase<S: Simd, T: Element>(
    simd: S,
    layer: &Geometry,
    phase: Phase,
    weights: &[T],
    channels: Range<usize>,
    packed: &mut [T],
) {
    let [down, across] = phase.step;
    let kernels = layer.kernels / layer.groups;
    let count = channels.len();
    let (rows, taps) = (count * phase.kernel_width, kernels * phase.kernel_height);
    for_each_block(
        simd,
        rows,
        #[inline(always)]
        |first, size| {
            // Where each row's weights start in a kernel. If a block is larger than the number of
            // rows left, the missing rows repeat the last one.
            let mut starts = [0; LARGEST_BLOCK];
            for m in 0..size {
                let row = (first + m).min(rows - 1);
                let (kx, c) = (row / count, channels.start + row % count);
                let (y, x) = (c * layer.kernel_height + phase.row, kx * across + phase.column);
                starts[m] = y * layer.kernel_width + x;
            }
            let panel = &mut packed[first * taps..][..size * taps];
            let step = down * layer.kernel_width;
            let shape = [kernels, layer.taps(), phase.kernel_height, step];
            match size {
                8 => pack_block::<T, 8>(weights, shape, starts, panel),
                6 => pack_block::<T, 6>(weights, shape, starts, panel),
                4 => pack_block::<T, 4>(weights, shape, starts, panel),
                2 => pack_block::<T, 2>(weights, shape, starts, panel),
                _ => pack_block::<T, 1>(weights, shape, starts, panel),
            }
        },
    );
}

/// A block of `M` rows, kernel by kernel, since a kernel's weights are contiguous.
#[inline(always)]
fn pack_block<T: Element, const M: usize>(
    weights: &[T],
    [kernels, taps, height, step]: [usize; 4],
    starts: [usize; LARGEST_BLOCK],
    panel: &mut [T],
) {
    let (columns, _) = panel.as_chunks_mut::<M>();
    for (d, weights) in weights.chunks_exact(taps).take(kernels).enumerate() {
        for j in 0..height {
            let weights = &weights[(height - 1 - j) * step..];
            let column = &mut columns[j * kernels + d];
            for m in 0..M {
                column[m] = weights[starts[m]];
            }
        }
    }
}

/// One phase of one group, for some samples.
pub(crate) struct PhaseSums<'a, T> {
    pub(crate) layer: &'a Geometry,
    pub(crate) phase: Phase,
    /// Channels by columns of the kernel.
    pub(crate) rows: usize,
    pub(crate) packed: &'a [T],
    pub(crate) blocks: &'a Blocks,
}

/// The output gradients in the layout that [`PhaseSums`] reads.
pub(crate) struct Source<'a, T> {
    gradients: &'a [T],
    /// The distance between neighbouring rows.
    pitch: usize,
    taps: &'a [usize],
    samples: usize,
    layout: VectorLayout,
}

impl<T: Element> PhaseSums<'_, T> {
    /// Uses the output gradients as they lie, or copies them to `lines`.
    #[inline(always)]
    pub(crate) fn source<'b, S: Simd>(
        &self,
        _: S,
        output: &'b [T],
        lines: &'b mut [T],
        taps: &'b mut [usize],
    ) -> Source<'b, T> {
        let Self { layer, phase, .. } = *self;
        let kernels = layer.kernels / layer.groups;
        let width = layer.out_width * phase.lanes;
        let layout = VectorLayout::of_phase::<T>(layer, &phase, S::LARGE);
        let out_plane = layer.out_height * width;
        let (gradients, pitch, stride) = if layout != VectorLayout::Line {
            (output, width, out_plane)
        } else {
            let stride = layer.out_height * phase.pitch + MOST_LANES;
            spread(output, [layer.out_height, width], [stride, phase.pitch], lines);
            (&*lines, phase.pitch, stride)
        };
        let taps = &mut taps[..kernels * phase.kernel_height];
        for (tap, slot) in taps.iter_mut().enumerate() {
            *slot = tap / kernels * phase.dilation[0] * pitch + tap % kernels * stride;
        }
        let samples = output.len() / (kernels * out_plane);
        Source { gradients, pitch, taps, samples, layout }
    }

    /// Writes the partial sums of some rows of the phase from `y` on; returns the row after the
    /// last.
    #[inline(always)]
    pub(crate) fn write<S: Simd>(
        &self,
        simd: S,
        source: &Source<'_, T>,
        y: usize,
        sums: &mut [T],
    ) -> usize {
        let Self { layer, phase, blocks, .. } = *self;
        let Source { pitch, taps, samples, layout, .. } = *source;
        let (kernels, width) = (layer.kernels / layer.groups, layer.out_width * phase.lanes);
        let line_pitch = phase.pitch * phase.lanes;
        let range = phase.kernel_rows(layer, y);
        let last = phase.height.min(y + blocks.rows);
        let mut end = y + 1;
        while samples == 1 && end < last && phase.kernel_rows(layer, end) == range {
            end += 1;
        }
        let (lowest, highest) = range;
        let grid = if samples > 1 {
            // The same row of all samples.
            let input_pitch = kernels * layer.out_plane();
            Grid { rows: samples, len: width, input_pitch, output_pitch: blocks.line }
        } else if layout != VectorLayout::Line {
            Grid { rows: end - y, len: width, input_pitch: width, output_pitch: line_pitch }
        } else {
            Grid::line(((end - y) * line_pitch).next_multiple_of(T::Wide::<S>::LEN))
        };
        let first = (phase.kernel_height - highest) * kernels;
        let used = (highest - lowest) * kernels;
        if used == 0 {
            sums.fill(T::ZERO);
            return end;
        }
        let product = Product {
            rows: self.rows,
            packed: self.packed,
            input: &source.gradients[(y - (highest - 1) * phase.dilation[0]) * pitch..],
            taps: &taps[..used],
            packed_taps: [first, taps.len()],
            continues: false,
            grid,
            output_stride: blocks.samples * blocks.line,
            offset: Offset::None,
        };
        let sums = &mut sums[line_pitch - width..];
        multiply_in(simd, layout, &product, sums);
        end
    }
}
