use crate::{Element, Shape, ShapeError};

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
    /// What was asked for.
    pub(super) stride: [usize; 2],
    /// The stride that passes walk with: no more than lets only the first place of the kernel
    /// lie within the input. Larger ones are the same, and scratch memory grows with it.
    pub(super) step: [usize; 2],
    /// Rows and columns of the input from one of the kernel's to the next.
    pub(super) dilation: [usize; 2],
    /// Rows above and below.
    pub(super) pad_height: [usize; 2],
    /// Columns to the left and to the right.
    pub(super) pad_width: [usize; 2],
    pub(super) groups: usize,
    pub(super) out_height: usize,
    pub(super) out_width: usize,
}

/// How the kernels of a [`Correlation`] are moved over the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Zero rows above and below the input, and zero columns to its left and right.
    pub padding: [[usize; 2]; 2],
    /// Rows and columns from one output to the next.
    pub stride: [usize; 2],
    /// Rows and columns of the input from one row and column of the kernel to the next.
    pub dilation: [usize; 2],
    /// Into how many groups that do not see each other channels and kernels are cut.
    pub groups: usize,
}

impl Default for Sweep {
    /// Stride 1, no dilation, no padding, one group.
    fn default() -> Self {
        Self { padding: [[0; 2]; 2], stride: [1; 2], dilation: [1; 2], groups: 1 }
    }
}

impl Correlation {
    /// `kernels` kernels of height and width `kernel` over inputs of shape
    /// `(C, H, W)`: stride 1, no dilation, no padding, one group.
    ///
    /// # Errors
    /// As [`Correlation::with_sweep`].
    pub fn new(input: [usize; 3], kernels: usize, kernel: [usize; 2]) -> Result<Self, ShapeError> {
        Self::with_sweep(input, kernels, kernel, Sweep::default())
    }

    /// [`Correlation::new`] with zero rows above and below the input and zero columns to
    /// its left and right: the kernel may be larger than the input that they surround.
    ///
    /// # Errors
    /// As [`Correlation::with_sweep`].
    pub fn padded(
        input: [usize; 3],
        kernels: usize,
        kernel: [usize; 2],
        padding: [[usize; 2]; 2],
    ) -> Result<Self, ShapeError> {
        Self::with_sweep(input, kernels, kernel, Sweep { padding, ..Sweep::default() })
    }

    /// `kernels` kernels of height and width `kernel` that are moved over inputs of shape
    /// `(C, H, W)` as `sweep` says.
    ///
    /// # Errors
    /// If a size, stride or dilation is 0, the kernel, spread by its dilation, is larger than the
    /// padded input, channels or kernels cannot be cut into so many groups, or padded input,
    /// kernels or output have more than [`Shape::MOST_NUMBERS`] numbers.
    pub fn with_sweep(
        [channels, height, width]: [usize; 3],
        kernels: usize,
        [kernel_height, kernel_width]: [usize; 2],
        sweep: Sweep,
    ) -> Result<Self, ShapeError> {
        let Sweep { padding: [pad_height, pad_width], stride, dilation, groups } = sweep;
        Self {
            channels,
            height,
            width,
            kernels,
            kernel_height,
            kernel_width,
            stride,
            step: stride,
            dilation,
            pad_height,
            pad_width,
            groups,
            out_height: 0,
            out_width: 0,
        }
        .checked()
    }

    /// One plane with as much padding as lets the kernel touch the input everywhere.
    pub(crate) fn new_full(
        [height, width]: [usize; 2],
        [kernel_height, kernel_width]: [usize; 2],
    ) -> Result<Self, ShapeError> {
        let padding = [[kernel_height - 1; 2], [kernel_width - 1; 2]];
        Self::padded([1, height, width], 1, [kernel_height, kernel_width], padding)
    }

    /// The same with every `stride`-th output row and column only.
    ///
    /// # Errors
    /// As [`Correlation::with_sweep`].
    pub fn with_stride(self, stride: [usize; 2]) -> Result<Self, ShapeError> {
        Self { stride, ..self }.checked()
    }

    /// The same with kernels whose rows and columns meet every `dilation`-th of the input's.
    ///
    /// # Errors
    /// As [`Correlation::with_sweep`].
    pub fn with_dilation(self, dilation: [usize; 2]) -> Result<Self, ShapeError> {
        Self { dilation, ..self }.checked()
    }

    /// The same with `height` zero rows above and below the input, and `width` zero
    /// columns to its left and right.
    ///
    /// # Errors
    /// As [`Correlation::with_sweep`].
    pub fn with_padding(self, height: [usize; 2], width: [usize; 2]) -> Result<Self, ShapeError> {
        Self { pad_height: height, pad_width: width, ..self }.checked()
    }

    /// The same with channels and kernels cut into `groups` that do not see each other.
    ///
    /// # Errors
    /// As [`Correlation::with_sweep`].
    pub fn with_groups(self, groups: usize) -> Result<Self, ShapeError> {
        Self { groups, ..self }.checked()
    }

    fn checked(self) -> Result<Self, ShapeError> {
        let Self { groups, stride, dilation, .. } = self;
        if self.input_shape().is_empty()
            || [self.kernels, self.kernel_height, self.kernel_width].contains(&0)
        {
            let kernels = [self.kernels, self.channels, self.kernel_height, self.kernel_width];
            let found =
                format!("input {} and kernels {}", self.input_shape(), Shape::from(kernels));
            return Err(ShapeError::new("correlation", "sizes of at least 1", found));
        }
        for (what, steps) in [("correlation stride", stride), ("correlation dilation", dilation)] {
            if steps.contains(&0) {
                return Err(ShapeError::new(what, "at least (1, 1)", Shape::from(steps)));
            }
        }
        if groups == 0
            || !self.channels.is_multiple_of(groups)
            || !self.kernels.is_multiple_of(groups)
        {
            let expected =
                format!("a divisor of {} channels and {} kernels", self.channels, self.kernels);
            return Err(ShapeError::new("correlation groups", expected, groups));
        }
        let padded = |size: usize, [before, after]: [usize; 2]| {
            size.saturating_add(before).saturating_add(after)
        };
        let height = padded(self.height, self.pad_height);
        let width = padded(self.width, self.pad_width);
        let extent = self.extent();
        let (Some(down), Some(across)) =
            (height.checked_sub(extent[0]), width.checked_sub(extent[1]))
        else {
            let expected = format!("a kernel no larger than the input's ({height}, {width})");
            return Err(ShapeError::new("correlation", expected, Shape::from(extent)));
        };
        let layer = Self {
            step: [stride[0].min(down + 1), stride[1].min(across + 1)],
            out_height: down / stride[0] + 1,
            out_width: across / stride[1] + 1,
            ..self
        };
        let shapes = [
            Shape::from([self.channels, height, width]),
            layer.kernels_shape(),
            layer.output_shape(),
        ];
        if shapes.iter().any(|shape| shape.checked_len().is_none()) {
            let expected = format!(
                "at most {} numbers in padded input, kernels and output",
                Shape::MOST_NUMBERS
            );
            let [input, kernels, output] = shapes;
            let found = format!("{input}, {kernels} and {output}");
            return Err(ShapeError::new("correlation", expected, found));
        }
        Ok(layer)
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

    /// Rows and columns of the input from one of the kernel's to the next.
    pub fn dilation(&self) -> [usize; 2] {
        self.dilation
    }

    /// Rows and columns of the input from the kernel's first to its last, both included.
    fn extent(&self) -> [usize; 2] {
        let [down, across] = self.dilation;
        [(self.kernel_height - 1, down), (self.kernel_width - 1, across)]
            .map(|(gaps, dilation)| gaps.saturating_mul(dilation).saturating_add(1))
    }

    /// Rows and columns of the kernel from one to the next that meets the same phase of the
    /// stride, and rows and columns of the phase between what they meet there.
    pub(super) fn phase_steps(&self) -> [[usize; 2]; 2] {
        let of = |axis: usize| {
            let [step, dilation] = [self.step[axis], self.dilation[axis]];
            let (mut divisor, mut rest) = (step, dilation);
            while rest > 0 {
                (divisor, rest) = (rest, divisor % rest);
            }
            [step / divisor, dilation / divisor]
        };
        let [[down, rows], [across, columns]] = [of(0), of(1)];
        [[down, across], [rows, columns]]
    }

    /// Rows and columns of the stride's phases that the kernel reaches, each known by the
    /// first of the kernel's rows and columns that meets it.
    pub(super) fn phases(&self) -> [usize; 2] {
        let [[down, across], _] = self.phase_steps();
        [down.min(self.kernel_height), across.min(self.kernel_width)]
    }

    /// How many numbers and indices of scratch memory the forward pass of at most `samples`
    /// samples and its two gradients take on `threads` threads, whichever takes most.
    pub fn scratch<T: Element>(&self, samples: usize, threads: usize) -> [usize; 2] {
        // Fewer samples may take more than more do, since they are cut into blocks another way;
        // of very many all blocks are full.
        let counts = (1..=samples.min(Self::FILL_BLOCKS)).chain([samples]);
        counts.fold([0; 2], |[numbers, indices], n| {
            let rooms = [
                self.forward_room::<T>(n, threads),
                self.input_gradient_room::<T>(n, threads),
                self.kernel_gradient_room::<T>(n, threads),
            ];
            rooms
                .iter()
                .fold([numbers, indices], |most, room| [most[0].max(room[0]), most[1].max(room[1])])
        })
    }

    /// Samples that fill every block.
    const FILL_BLOCKS: usize = 1_000;

    /// Multiply-adds of `n` samples' forward pass.
    pub(super) fn work(&self, n: usize) -> usize {
        n.saturating_mul(self.multiply_adds())
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
    use super::{Correlation, Sweep};

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
            text(layer.with_dilation([4, 5])),
            "correlation: expected a kernel no larger than the input's (9, 9), got (9, 11)"
        );
        assert_eq!(
            text(layer.with_dilation([0, 1])),
            "correlation dilation: expected at least (1, 1), got (0, 1)"
        );
        let many = layer.with_dilation([usize::MAX; 2]);
        assert!(text(many).starts_with("correlation: expected a kernel no larger than"));
    }

    #[test]
    fn sizes_beyond_all_bounds_are_errors_and_strides_are_not() {
        const HUGE: usize = usize::MAX;
        let plain = Sweep::default();
        for (input, kernels, kernel, sweep) in [
            ([1, 4, 4], 1, [HUGE, 1], plain),
            ([1, 4, 4], 1, [HUGE, 2], Sweep { padding: [[HUGE - 1; 2], [0; 2]], ..plain }),
            ([1, 4, 4], 1, [HUGE, HUGE], Sweep { padding: [[HUGE - 1; 2]; 2], ..plain }),
            ([1, 4, 4], 1, [1 << 33; 2], Sweep { padding: [[1 << 32; 2]; 2], ..plain }),
            ([1, 4, 4], 1, [3, 3], Sweep { padding: [[HUGE; 2]; 2], ..plain }),
            ([1, 4, 4], HUGE, [3, 3], plain),
            ([HUGE, HUGE, HUGE], HUGE, [1, 1], plain),
            ([1 << 32, 1, 1], 1 << 32, [1, 1], plain),
            ([1, 1 << 14, 1 << 14], 2, [1, 1], plain),
            ([1, 4, 4], 1, [3, 3], Sweep { groups: HUGE, ..plain }),
            ([1, 4, 4], 1, [3, 3], Sweep { stride: [HUGE, 0], ..plain }),
        ] {
            let layer = Correlation::with_sweep(input, kernels, kernel, sweep);
            assert!(layer.is_err(), "{input:?}, {kernels} of {kernel:?}, {sweep:?}");
        }
        for stride in [3, 1 << 31, HUGE] {
            let sweep = Sweep { stride: [stride; 2], ..plain };
            let layer = Correlation::with_sweep([1, 5, 4], 2, [3, 3], sweep).unwrap();
            assert_eq!(
                (layer.output_shape().dims(), layer.stride()),
                (&[2, 1, 1][..], [stride; 2])
            );
        }
        // A depthwise layer may have more channels than a dense one of its sizes could.
        let sweep = Sweep { groups: 1 << 14, ..plain };
        assert!(Correlation::with_sweep([1 << 14, 3, 3], 1 << 14, [3, 3], sweep).is_ok());
    }
}
