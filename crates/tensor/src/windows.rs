/// The windows that planes are divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Rows and columns of a window.
    pub size: [usize; 2],
    /// Rows and columns from one window to the next.
    pub stride: [usize; 2],
    /// Padding above and below a plane and to its left and right, which windows reach into: at most
    /// half of a window. The padding is never a maximum.
    pub padding: [[usize; 2]; 2],
    /// Whether the last rows and columns have a window even if they do not fill it, unless it would
    /// begin in the padding beyond them.
    pub ceil_mode: bool,
    /// Whether the padding counts in the mean, as zeros; numbers beyond it never do.
    pub count_padding: bool,
}

impl Windows {
    /// Windows of `size` rows and columns, `stride` apart; no padding, and full windows only.
    pub fn new(size: [usize; 2], stride: [usize; 2]) -> Self {
        Self { size, stride, padding: [[0; 2]; 2], ceil_mode: false, count_padding: true }
    }

    /// How many windows there are along an axis of `len` rows or columns; `None` if a window is
    /// larger.
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
