//! The phases of the stride, in which the gradient of the input is computed.

use crate::correlate::geometry::Geometry;

/// The inputs of one phase of the stride, as a layer of its own with stride 1: rows `y·SH + py` and
/// columns `x·SW + px` of the padded input, and the kernel's rows and columns that fall on them.
/// Row `py` is the one under the first of these kernel rows; without dilation it has the same
/// index.
#[derive(Clone, Copy)]
pub(crate) struct Phase {
    /// The kernel's first row and column that fall on the phase.
    pub(crate) row: usize,
    pub(crate) column: usize,
    /// The distance between such rows and columns of the kernel.
    pub(crate) step: [usize; 2],
    /// The distance between the rows and columns of the phase that they fall on.
    pub(crate) dilation: [usize; 2],
    pub(crate) kernel_height: usize,
    pub(crate) kernel_width: usize,
    /// Columns of a line of partial sums, gaps included.
    pub(crate) pitch: usize,
    /// Rows of the phase.
    pub(crate) height: usize,
    /// Numbers at each position: samples that lie side by side.
    pub(crate) lanes: usize,
}

impl Phase {
    /// All phases for one sample, the largest first.
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

    /// The first kernel row that reaches row `y`, and the one after the last; equal if none does,
    /// which happens with dilation only.
    #[inline(always)]
    pub(crate) fn kernel_rows(&self, layer: &Geometry, y: usize) -> (usize, usize) {
        let above = (y + 1).saturating_sub(layer.out_height);
        // This runs for each row, and two divisions would take longer than everything else here.
        let (lowest, end) = match self.dilation {
            [1, _] => (above, y + 1),
            [dilation, _] => (above.div_ceil(dilation), y / dilation + 1),
        };
        (lowest, self.kernel_height.min(end))
    }
}
