/// Which windows planes are cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Rows and columns of a window.
    pub size: [usize; 2],
    /// Rows and columns from one window to the next.
    pub stride: [usize; 2],
    /// Rows above and below a plane, and columns to its left and right, that windows reach into:
    /// at most half of a window. No number there is the largest.
    pub padding: [[usize; 2]; 2],
    /// Whether rows and columns that fill no window have one, unless it would begin in the
    /// padding behind them.
    pub ceil_mode: bool,
    /// Whether the padding counts for the mean, as zeros; what is beyond it never does.
    pub count_padding: bool,
}

impl Windows {
    /// Of `size` rows and columns, `stride` apart; without padding, none that is not full.
    pub fn new(size: [usize; 2], stride: [usize; 2]) -> Self {
        Self { size, stride, padding: [[0; 2]; 2], ceil_mode: false, count_padding: true }
    }

    /// How many there are along an axis of `len` rows or columns; none if the windows are larger.
    pub(crate) fn along(&self, axis: usize, len: usize) -> Option<usize> {
        let [before, after] = self.padding[axis];
        let (size, stride) = (self.size[axis], self.stride[axis]);
        let beyond = if self.ceil_mode { stride - 1 } else { 0 };
        let padded = len.checked_add(before)?.checked_add(after)?;
        let count = padded.saturating_add(beyond).checked_sub(size)? / stride + 1;
        let begins_behind = self.ceil_mode && (count - 1).saturating_mul(stride) >= len + before;
        Some(if begins_behind { count - 1 } else { count })
    }
}
