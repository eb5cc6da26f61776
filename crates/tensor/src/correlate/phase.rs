//! The phases of the stride, which the gradient of the input is computed by.

use super::Correlation;
use crate::Element;
use crate::simd::Level;

impl Correlation {
    /// How [`Correlation::input_gradient`] of `samples` is computed at `level`: by minimal
    /// filtering as a correlation with turned kernels, channels and kernels exchanged, where
    /// that is less work than its own direct sum, named as by [`Correlation::forward_plan`];
    /// else as the sum is written, as `"samples"`, as `"rows"` of the output's gradient, or as
    /// a `"line"` of all of them with zeros in between.
    pub fn input_gradient_plan<T: Element>(&self, level: Level, samples: usize) -> &'static str {
        if let Some((_, filtering)) = self.input_filtering::<T>() {
            return filtering.name();
        }
        if self.gains_by_samples_backward::<T>(samples) && samples >= level.lanes::<T>() {
            return "samples";
        }
        // The first phase is the largest.
        if Phase::of(self, 1, [0, 0]).along_rows::<T>(self) { "rows" } else { "line" }
    }
}

/// The inputs that one phase of the stride reaches, as if it were a layer of its own
/// with stride 1: rows `y·SH + py` and columns `x·SW + px` of the padded input, and the
/// kernel's rows and columns that meet them. Row `py` is the one that the first of these
/// kernel rows meets; without dilation it has its number.
#[derive(Clone, Copy)]
pub(super) struct Phase {
    /// The kernel's first row and column that meet the phase.
    pub(super) row: usize,
    pub(super) column: usize,
    /// Rows and columns of the kernel from one that does to the next.
    pub(super) step: [usize; 2],
    /// Rows and columns of the phase between what they meet.
    pub(super) dilation: [usize; 2],
    pub(super) kernel_height: usize,
    pub(super) kernel_width: usize,
    /// Columns that a line of the partial sums has, gaps included.
    pub(super) pitch: usize,
    /// Rows.
    pub(super) height: usize,
    /// Numbers of a position: samples that lie side by side.
    pub(super) lanes: usize,
}

impl Phase {
    /// One of the [`Correlation::phases`].
    #[inline(always)]
    pub(super) fn of(layer: &Correlation, lanes: usize, [row, column]: [usize; 2]) -> Self {
        let [step, dilation] = layer.phase_steps();
        let kernel_height = (layer.kernel_height - row).div_ceil(step[0]);
        let kernel_width = (layer.kernel_width - column).div_ceil(step[1]);
        let pitch = layer.out_width + (kernel_width - 1) * dilation[1];
        let height = layer.out_height + (kernel_height - 1) * dilation[0];
        Self { row, column, step, dilation, kernel_height, kernel_width, pitch, height, lanes }
    }

    /// Whether vectors run along the rows of the output gradient, overlapping at their
    /// ends, and not along the line of all rows with gaps between them: whichever has
    /// fewer positions. The rows need no copy.
    #[inline(always)]
    pub(super) fn along_rows<T>(&self, layer: &Correlation) -> bool {
        let (narrow, width) = (32 / size_of::<T>(), layer.out_width * self.lanes);
        width >= narrow && width.next_multiple_of(narrow) <= self.pitch * self.lanes
    }

    /// Positions that are multiplied for a channel, a kernel and one of its columns.
    pub(super) fn positions<T>(&self, layer: &Correlation) -> usize {
        let narrow = 32 / size_of::<T>();
        if self.along_rows::<T>(layer) {
            let used = self.kernel_height * layer.out_height;
            return used * layer.out_width.next_multiple_of(narrow);
        }
        let lines = |rows: usize| (rows * self.pitch).next_multiple_of(narrow);
        let mut y = 0;
        let mut sum = 0;
        while y < self.height {
            let (lowest, highest) = self.kernel_rows(layer, y);
            let same =
                (y..self.height).take_while(|&y| self.kernel_rows(layer, y) == (lowest, highest));
            let rows = same.count();
            sum += (highest - lowest) * lines(rows);
            y += rows;
        }
        sum
    }

    /// The first of the kernel's rows that reach row `y`, and the one after the last: the same
    /// one if none does, which only happens with dilation.
    #[inline(always)]
    pub(super) fn kernel_rows(&self, layer: &Correlation, y: usize) -> (usize, usize) {
        let above = (y + 1).saturating_sub(layer.out_height);
        // Asked for each row: two divisions take longer than all else here.
        let (lowest, end) = match self.dilation {
            [1, _] => (above, y + 1),
            [dilation, _] => (above.div_ceil(dilation), y / dilation + 1),
        };
        (lowest, self.kernel_height.min(end))
    }
}
