use crate::{Shape, ShapeError};

/// The sizes of a layer's correlation, for one sample:
/// `(C, H, W) ⋆ (D, C/groups, KH, KW) → (D, OH, OW)`.
///
/// ```
/// use tensor::Correlation;
///
/// let layer = Correlation::new([1, 28, 28], 6, [3, 3])?;
/// assert_eq!(layer.output_shape().to_string(), "(6, 26, 26)");
/// let strided = layer.with_stride([2, 2])?.with_padding([1, 1], [1, 1])?;
/// assert_eq!(strided.output_shape().to_string(), "(6, 14, 14)");
/// # Ok::<(), tensor::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correlation {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) kernels: usize,
    pub(super) kernel_height: usize,
    pub(super) kernel_width: usize,
    pub(super) stride: [usize; 2],
    /// Rows above and below.
    pub(super) pad_height: [usize; 2],
    /// Columns to the left and to the right.
    pub(super) pad_width: [usize; 2],
    pub(super) groups: usize,
    pub(super) out_height: usize,
    pub(super) out_width: usize,
}

impl Correlation {
    /// `kernels` kernels of height and width `kernel` over inputs of shape
    /// `(C, H, W)`: stride 1, no padding, one group.
    ///
    /// # Errors
    /// If a size is 0 or the kernel is larger than the input.
    pub fn new(input: [usize; 3], kernels: usize, kernel: [usize; 2]) -> Result<Self, ShapeError> {
        Self::padded(input, kernels, kernel, [[0; 2]; 2])
    }

    /// [`Correlation::new`] with zero rows above and below the input and zero columns to
    /// its left and right: the kernel may be larger than the input that they surround.
    ///
    /// # Errors
    /// If a size is 0, the padding is as large as the kernel (outputs would see nothing
    /// but zeros), or the kernel is larger than the padded input.
    pub fn padded(
        [channels, height, width]: [usize; 3],
        kernels: usize,
        [kernel_height, kernel_width]: [usize; 2],
        [rows, columns]: [[usize; 2]; 2],
    ) -> Result<Self, ShapeError> {
        let valid = Self {
            channels,
            height,
            width,
            kernels,
            kernel_height,
            kernel_width,
            stride: [1, 1],
            pad_height: [0, 0],
            pad_width: [0, 0],
            groups: 1,
            out_height: 0,
            out_width: 0,
        };
        if valid.input_shape().is_empty() || valid.kernels_shape().is_empty() {
            let found =
                format!("input {} and kernels {}", valid.input_shape(), valid.kernels_shape());
            return Err(ShapeError::new("correlation", "sizes of at least 1", found));
        }
        valid.with_padding(rows, columns)
    }

    /// One plane with as much padding as lets the kernel touch the input everywhere.
    pub(crate) fn new_full(
        [height, width]: [usize; 2],
        [kernel_height, kernel_width]: [usize; 2],
    ) -> Result<Self, ShapeError> {
        Self {
            channels: 1,
            height,
            width,
            kernels: 1,
            kernel_height,
            kernel_width,
            stride: [1, 1],
            pad_height: [kernel_height - 1; 2],
            pad_width: [kernel_width - 1; 2],
            groups: 1,
            out_height: 0,
            out_width: 0,
        }
        .checked()
    }

    /// The same with every `stride`-th output row and column only.
    ///
    /// # Errors
    /// If a stride is 0.
    pub fn with_stride(self, stride: [usize; 2]) -> Result<Self, ShapeError> {
        if stride.contains(&0) {
            let found = Shape::from(stride);
            return Err(ShapeError::new("correlation stride", "at least (1, 1)", found));
        }
        Self { stride, ..self }.checked()
    }

    /// The same with `height` zero rows above and below the input, and `width` zero
    /// columns to its left and right.
    ///
    /// # Errors
    /// If the padding is as large as the kernel (outputs would see nothing but zeros), or
    /// the kernel larger than the padded input.
    pub fn with_padding(self, height: [usize; 2], width: [usize; 2]) -> Result<Self, ShapeError> {
        let most = [self.kernel_height - 1, self.kernel_width - 1];
        if height.iter().any(|&pad| pad > most[0]) || width.iter().any(|&pad| pad > most[1]) {
            let expected = format!("at most {} rows and {} columns", most[0], most[1]);
            let found = format!("{height:?} rows and {width:?} columns");
            return Err(ShapeError::new("correlation padding", expected, found));
        }
        Self { pad_height: height, pad_width: width, ..self }.checked()
    }

    /// The same with channels and kernels cut into `groups` that do not see each other.
    ///
    /// # Errors
    /// If the channels or the kernels cannot be cut so.
    pub fn with_groups(self, groups: usize) -> Result<Self, ShapeError> {
        if groups == 0
            || !self.channels.is_multiple_of(groups)
            || !self.kernels.is_multiple_of(groups)
        {
            let expected =
                format!("a divisor of {} channels and {} kernels", self.channels, self.kernels);
            return Err(ShapeError::new("correlation groups", expected, groups));
        }
        Ok(Self { groups, ..self })
    }

    fn checked(self) -> Result<Self, ShapeError> {
        let height = self.height + self.pad_height[0] + self.pad_height[1];
        let width = self.width + self.pad_width[0] + self.pad_width[1];
        if self.kernel_height > height || self.kernel_width > width {
            let expected = format!("a kernel no larger than the input's ({height}, {width})");
            let found = Shape::from([self.kernel_height, self.kernel_width]);
            return Err(ShapeError::new("correlation", expected, found));
        }
        Ok(Self {
            out_height: (height - self.kernel_height) / self.stride[0] + 1,
            out_width: (width - self.kernel_width) / self.stride[1] + 1,
            ..self
        })
    }

    /// `(C, H, W)`.
    pub fn input_shape(&self) -> Shape {
        Shape::from([self.channels, self.height, self.width])
    }

    /// `(D, C/groups, KH, KW)`.
    pub fn kernels_shape(&self) -> Shape {
        let channels = self.channels / self.groups;
        Shape::from([self.kernels, channels, self.kernel_height, self.kernel_width])
    }

    /// `(D, OH, OW)`.
    pub fn output_shape(&self) -> Shape {
        Shape::from([self.kernels, self.out_height, self.out_width])
    }

    /// Rows and columns from one output to the next.
    pub fn stride(&self) -> [usize; 2] {
        self.stride
    }

    /// Zero rows above and below, zero columns left and right.
    pub fn padding(&self) -> [[usize; 2]; 2] {
        [self.pad_height, self.pad_width]
    }

    /// Into how many groups channels and kernels are cut.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Multiply-adds of one sample's forward pass; each gradient has as many.
    pub fn multiply_adds(&self) -> usize {
        self.output_shape().len() * self.taps()
    }

    /// Weights of one kernel.
    pub(super) fn taps(&self) -> usize {
        self.channels / self.groups * self.kernel_height * self.kernel_width
    }

    /// Elements of one output plane.
    pub(super) fn out_plane(&self) -> usize {
        self.out_height * self.out_width
    }

    /// How many samples `numbers` holds, each `per_sample` long.
    ///
    /// # Panics
    /// If it does not hold whole samples.
    #[track_caller]
    pub(super) fn batch(&self, what: &str, numbers: usize, per_sample: Shape) -> usize {
        let whole = numbers.is_multiple_of(per_sample.len());
        assert!(whole, "{what}: expected a multiple of {per_sample}, got {numbers} numbers");
        numbers / per_sample.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Correlation;

    #[test]
    fn a_kernel_may_be_larger_than_the_input_that_padding_surrounds() {
        let same = Correlation::padded([1, 4, 3], 2, [5, 5], [[2, 2], [2, 2]]).unwrap();
        assert_eq!(same.output_shape().dims(), [2, 4, 3]);
        let error = Correlation::padded([1, 4, 3], 2, [5, 5], [[2, 2], [1, 0]]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "correlation: expected a kernel no larger than the input's (8, 4), got (5, 5)"
        );
    }

    #[test]
    fn errors_name_operation_expected_and_found() {
        let text = |result: Result<_, crate::ShapeError>| result.unwrap_err().to_string();
        assert_eq!(
            text(Correlation::new([1, 4, 5], 2, [5, 3])),
            "correlation: expected a kernel no larger than the input's (4, 5), got (5, 3)"
        );
        assert_eq!(
            text(Correlation::new([0, 4, 5], 2, [3, 3])),
            "correlation: expected sizes of at least 1, \
             got input (0, 4, 5) and kernels (2, 0, 3, 3)"
        );
        let layer = Correlation::new([3, 9, 9], 4, [3, 3]).unwrap();
        assert_eq!(
            text(layer.with_groups(3)),
            "correlation groups: expected a divisor of 3 channels and 4 kernels, got 3"
        );
        assert_eq!(
            text(layer.with_padding([3, 0], [0, 0])),
            "correlation padding: expected at most 2 rows and 2 columns, \
             got [3, 0] rows and [0, 0] columns"
        );
    }
}
