//! The phases of the stride, which the gradient of the input is computed by.

use crate::correlate::geometry::Geometry;

/// The inputs that one phase of the stride reaches, as if it were a layer of its own
/// with stride 1: rows `y·SH + py` and columns `x·SW + px` of the padded input, and the
/// kernel's rows and columns that meet them. Row `py` is the one that the first of these
/// kernel rows meets; without dilation it has its number.
#[derive(Clone, Copy)]
pub(crate) struct Phase {
    /// The kernel's first row and column that meet the phase.
    pub(crate) row: usize,
    pub(crate) column: usize,
    /// Rows and columns of the kernel from one that does to the next.
    pub(crate) step: [usize; 2],
    /// Rows and columns of the phase between what they meet.
    pub(crate) dilation: [usize; 2],
    pub(crate) kernel_height: usize,
    pub(crate) kernel_width: usize,
    /// Columns that a line of the partial sums has, gaps included.
    pub(crate) pitch: usize,
    /// Rows.
    pub(crate) height: usize,
    /// Numbers of a position: samples that lie side by side.
    pub(crate) lanes: usize,
}

impl Phase {
    /// All of them for one sample, the largest first.
    pub(crate) fn each(layer: &Geometry) -> impl Iterator<Item = Self> {
        let [down, across] = layer.phases();
        (0..down * across).map(move |phase| Self::of(layer, 1, [phase / across, phase % across]))
    }

    /// One of the [`Geometry::phases`].
    #[inline(always)]
    pub(crate) fn of(layer: &Geometry, lanes: usize, [row, column]: [usize; 2]) -> Self {
        let [step, dilation] = layer.phase_steps();
        let kernel_height = (layer.kernel_height - row).div_ceil(step[0]);
        let kernel_width = (layer.kernel_width - column).div_ceil(step[1]);
        let pitch = layer.out_width + (kernel_width - 1) * dilation[1];
        let height = layer.out_height + (kernel_height - 1) * dilation[0];
        Self { row, column, step, dilation, kernel_height, kernel_width, pitch, height, lanes }
    }

    /// The first of the kernel's rows that reach row `y`, and the one after the last: the same
    /// one if none does, which only happens with dilation.
    #[inline(always)]
    pub(crate) fn kernel_rows(&self, layer: &Geometry, y: usize) -> (usize, usize) {
        let above = (y + 1).saturating_sub(layer.out_height);
        // Asked for each row: two divisions take longer than all else here.
        let (lowest, end) = match self.dilation {
            [1, _] => (above, y + 1),
            [dilation, _] => (above.div_ceil(dilation), y / dilation + 1),
        };
        (lowest, self.kernel_height.min(end))
    }
}
