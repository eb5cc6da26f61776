use std::fmt;

/// The sizes of a tensor's axes, outermost first; at most four axes.
///
/// ```
/// use tensor::Shape;
///
/// let shape = Shape::from([6, 26, 26]);
/// assert_eq!(shape.len(), 4056);
/// assert_eq!(shape.to_string(), "(6, 26, 26)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [usize; Self::MAX_RANK],
    rank: usize,
}

impl Shape {
    /// The largest number of axes: batch, channels, height, width.
    pub const MAX_RANK: usize = 4;

    /// The shape with these axes.
    ///
    /// # Panics
    /// If `dims.len() > 4`.
    #[track_caller]
    pub fn new(dims: &[usize]) -> Self {
        assert!(dims.len() <= Self::MAX_RANK, "a shape has at most 4 axes, got {}", dims.len());
        let mut all = [1; Self::MAX_RANK];
        all[..dims.len()].copy_from_slice(dims);
        Self { dims: all, rank: dims.len() }
    }

    /// The axes' sizes.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank]
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The most numbers of one array. A larger size is a mistake or comes from a damaged file, and
    /// would end in a failed allocation.
    pub const MOST_NUMBERS: usize = 1 << 28;

    /// The number of elements: the product of the axes' sizes, or `usize::MAX` if that is
    /// larger.
    pub fn len(&self) -> usize {
        self.dims.iter().fold(1, |len: usize, &size| len.saturating_mul(size))
    }

    /// [`Shape::len`], if it is at most [`Shape::MOST_NUMBERS`].
    pub fn checked_len(&self) -> Option<usize> {
        Some(self.len()).filter(|&len| len <= Self::MOST_NUMBERS)
    }

    /// Whether some axis has size 0.
    pub fn is_empty(&self) -> bool {
        self.dims.contains(&0)
    }

    /// The sizes as an array, if there are exactly `R` axes.
    ///
    /// ```
    /// let [c, h, w] = tensor::Shape::from([1, 28, 28]).axes().unwrap();
    /// assert_eq!((c, h, w), (1, 28, 28));
    /// ```
    pub fn axes<const R: usize>(&self) -> Option<[usize; R]> {
        self.dims().try_into().ok()
    }
}

impl<const R: usize> From<[usize; R]> for Shape {
    fn from(dims: [usize; R]) -> Self {
        const { assert!(R <= Self::MAX_RANK, "a shape has at most 4 axes") };
        Self::new(&dims)
    }
}

impl From<usize> for Shape {
    fn from(len: usize) -> Self {
        Self::new(&[len])
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (axis, size) in self.dims().iter().enumerate() {
            if axis > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{size}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::Shape;

    #[test]
    fn length_rank_and_axes() {
        let shape = Shape::from([2, 3, 5]);
        assert_eq!((shape.len(), shape.rank()), (30, 3));
        assert_eq!(shape.axes::<3>(), Some([2, 3, 5]));
        assert_eq!(shape.axes::<2>(), None);
        assert_eq!(Shape::from([]).len(), 1);
        for dims in [[4, 0], [0, usize::MAX]] {
            assert!(Shape::from(dims).is_empty());
            assert_eq!(Shape::from(dims).len(), 0);
        }
        let huge = Shape::from([1 << 40, 1 << 40, 0x10]);
        assert_eq!((huge.len(), huge.checked_len()), (usize::MAX, None));
        assert_eq!(Shape::from([1 << 14, 1 << 14]).checked_len(), Some(1 << 28));
    }

    #[test]
    #[should_panic = "a shape has at most 4 axes, got 5"]
    fn rank_five_is_refused() {
        Shape::new(&[1; 5]);
    }
}
