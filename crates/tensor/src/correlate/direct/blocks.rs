//! The block sizes of the gradient of the input, and the scratch memory for a block.

use crate::correlate::geometry::Geometry;
use crate::correlate::layout::{MOST_LANES, Phase, wide};
use crate::correlate::plan::VectorLayout;
use crate::correlate::task::Sections;
use crate::packing::{LARGEST_BLOCK, packed_len};

/// What is computed together.
#[derive(Clone, Copy)]
pub(crate) struct Blocks {
    /// Samples: several if rows are so short that the same row of one sample does not fill a tile.
    pub(crate) samples: usize,
    /// Rows of the phase.
    pub(crate) rows: usize,
    /// Length of a line of partial sums for these rows, with a margin before it.
    pub(crate) line: usize,
    /// Channels of a group.
    pub(crate) channels: usize,
    /// Length of the packed weights of these channels for one phase.
    pub(crate) panel: usize,
}

impl Blocks {
    /// Bytes of the partial sums of a block, which stay in the first-level cache until they are
    /// added.
    const SUMS: usize = 16_384;

    #[inline(always)]
    pub(crate) fn of<T>(layer: &Geometry, lanes: usize, in_lanes: bool) -> Self {
        let (kernels, mut channels) = (layer.kernels / layer.groups, layer.channels / layer.groups);
        if in_lanes {
            let phase = Phase::of(layer, MOST_LANES, [0, 0]);
            let sums = phase.kernel_width * phase.pitch * phase.lanes * size_of::<T>();
            channels = channels.min((Self::SUMS / sums + 1).next_multiple_of(LARGEST_BLOCK));
        }
        // The first phase is the largest.
        let phase = Phase::of(layer, lanes, [0, 0]);
        let is_short = lanes == 1
            && layer.out_width <= wide::<T>()
            && VectorLayout::of_phase::<T>(layer, &phase, false) != VectorLayout::Line;
        let samples = if is_short && layer.groups == 1 && layer.step == [1, 1] { 4 } else { 1 };
        let pitch = phase.pitch * lanes;
        let rows = Self::SUMS / (samples * channels * phase.kernel_width * pitch * size_of::<T>());
        let rows = rows.clamp(1, phase.height);
        let line = (phase.pitch - layer.out_width) * lanes + rows * pitch + MOST_LANES;
        let panel = packed_len(channels * phase.kernel_width, kernels * phase.kernel_height);
        Self { samples, rows, line: line.next_multiple_of(MOST_LANES), channels, panel }
    }

    /// How many blocks `channels` channels of a group make.
    #[inline(always)]
    pub(crate) fn count(&self, channels: usize) -> usize {
        channels.div_ceil(self.channels)
    }

    /// Length of the packed weights for `channels` channels of each group.
    #[inline(always)]
    pub(crate) fn packed(&self, layer: &Geometry, channels: usize) -> usize {
        let [down, across] = layer.phases();
        self.count(channels) * layer.groups * down * across * self.panel
    }

    /// The sections of the scratch memory: one group's output gradients as lines; its input
    /// gradients, if samples are in lanes; its partial sums; and the rows of one channel of the
    /// phase's input gradient.
    #[inline(always)]
    pub(crate) fn sections(&self, layer: &Geometry, lanes: usize) -> Sections<4> {
        let phase = Phase::of(layer, lanes, [0, 0]);
        let pitch = phase.pitch * lanes;
        Sections([
            layer.kernels / layer.groups * (layer.out_height * pitch + MOST_LANES),
            if lanes > 1 { self.channels * layer.plane() * lanes } else { 0 },
            self.samples * self.channels * phase.kernel_width * self.line,
            if lanes > 1 { 0 } else { self.rows * pitch },
        ])
    }
}
