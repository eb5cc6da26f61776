//! How much of the gradient of the input is computed together, and the scratch memory for it.

use crate::correlate::geometry::Geometry;
use crate::correlate::layout::{MOST_LANES, Phase, wide};
use crate::correlate::plan::VectorLayout;
use crate::correlate::task::Sections;
use crate::packing::{LARGEST_BLOCK, packed_len};

/// How much of it there is.
#[derive(Clone, Copy)]
pub(crate) struct Blocks {
    /// Samples: several where rows are so short that the same row of one sample does not fill a tile.
    pub(crate) samples: usize,
    /// Rows of the phase.
    pub(crate) rows: usize,
    /// Numbers of these rows as a line of partial sums, with a margin before it.
    pub(crate) line: usize,
    /// Channels of a group.
    pub(crate) channels: usize,
    /// The packed weights of these for one phase.
    pub(crate) panel: usize,
}

impl Blocks {
    /// Bytes of partial sums, which are added up while they are in the first-level cache.
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

    /// In how many blocks so many channels of a group are computed.
    #[inline(always)]
    pub(crate) fn count(&self, channels: usize) -> usize {
        channels.div_ceil(self.channels)
    }

    /// Numbers of the packed weights for so many channels of each group.
    #[inline(always)]
    pub(crate) fn packed(&self, layer: &Geometry, channels: usize) -> usize {
        let [down, across] = layer.phases();
        self.count(channels) * layer.groups * down * across * self.panel
    }

    /// One group's output gradients as lines; its input gradients, of samples in lanes; its partial
    /// sums; and the rows of one channel of the phase's input gradient.
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
