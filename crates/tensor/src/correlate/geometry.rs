//! The sizes of a correlation, checked once.

use crate::{Shape, ShapeError};

/// The sizes of a correlation, for one sample: `(C, H, W) ⋆ (D, C/groups, KH, KW) → (D, OH, OW)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) kernels: usize,
    pub(super) kernel_height: usize,
    pub(super) kernel_width: usize,
    /// The stride as requested.
    pub(super) stride: [usize; 2],
    /// The stride as computed with: limited, since beyond the input's size only the first position
    /// of the kernel lies inside the input and larger strides are equivalent, while scratch memory
    /// grows with the stride.
    pub(super) step: [usize; 2],
    /// The distance between neighbouring kernel elements in rows and columns of the input.
    pub(super) dilation: [usize; 2],
    /// Padding above and below.
    pub(super) pad_height: [usize; 2],
    /// Padding on the left and on the right.
    pub(super) pad_width: [usize; 2],
    pub(super) groups: usize,
    pub(super) out_height: usize,
    pub(super) out_width: usize,
}

/// How the kernels of a correlation are moved over the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Zero rows above and below the input, and zero columns to its left and right.
    pub padding: [[usize; 2]; 2],
    /// The distance between neighbouring outputs in rows and columns of the input.
    pub stride: [usize; 2],
    /// The distance between neighbouring kernel elements in rows and columns of the input.
    pub dilation: [usize; 2],
    /// The number of groups of channels and kernels; each kernel sees its own group only.
    pub groups: usize,
}

impl Default for Sweep {
    /// Stride 1, no dilation, no padding, one group.
    fn default() -> Self {
        Self { padding: [[0; 2]; 2], stride: [1; 2], dilation: [1; 2], groups: 1 }
    }
}

impl Geometry {
    /// `kernels` kernels of height and width `kernel`, moved over inputs of shape `(C, H, W)` as
    /// `sweep` says.
    ///
    /// # Errors
    /// As `Correlation::with_sweep`.
    pub(super) fn new(
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

    /// The same with another sweep.
    pub(super) fn swept(self, sweep: Sweep) -> Result<Self, ShapeError> {
        let kernel = [self.kernel_height, self.kernel_width];
        Self::new([self.channels, self.height, self.width], self.kernels, kernel, sweep)
    }

    /// How the kernels are moved.
    pub(super) fn sweep(&self) -> Sweep {
        let Self { stride, dilation, groups, .. } = *self;
        Sweep { padding: [self.pad_height, self.pad_width], stride, dilation, groups }
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
    pub(super) fn input_shape(&self) -> Shape {
        Shape::from([self.channels, self.height, self.width])
    }

    /// `(D, C/groups, KH, KW)`.
    pub(super) fn kernels_shape(&self) -> Shape {
        let channels = self.channels / self.groups;
        Shape::from([self.kernels, channels, self.kernel_height, self.kernel_width])
    }

    /// `(D, OH, OW)`.
    pub(super) fn output_shape(&self) -> Shape {
        Shape::from([self.kernels, self.out_height, self.out_width])
    }

    /// Height and width of the dilated kernel.
    fn extent(&self) -> [usize; 2] {
        let [down, across] = self.dilation;
        [(self.kernel_height - 1, down), (self.kernel_width - 1, across)]
            .map(|(gaps, dilation)| gaps.saturating_mul(dilation).saturating_add(1))
    }

    /// The distance between neighbouring kernel elements that fall on the same phase of the stride,
    /// in rows and columns of the kernel, and the distance between the rows and columns of the
    /// phase that they fall on.
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

    /// Rows and columns of the stride's phases that the kernel reaches, each identified by the
    /// first kernel row and column that falls on it.
    pub(super) fn phases(&self) -> [usize; 2] {
        let [[down, across], _] = self.phase_steps();
        [down.min(self.kernel_height), across.min(self.kernel_width)]
    }

    /// The correlation of the output gradient that gives the input gradient: with the kernels
    /// rotated by 180°, and with as much zero padding as a full correlation, less the padding of
    /// the input. It does not exist if an output sees [only padding](Self::sees_padding_alone), or
    /// with a stride or a dilation.
    pub(super) fn adjoint(&self) -> Self {
        let around =
            |padding: [usize; 2], size: usize| padding.map(|pad| (size - 1).saturating_sub(pad));
        Self {
            channels: self.kernels,
            kernels: self.channels,
            height: self.out_height,
            width: self.out_width,
            out_height: self.height,
            out_width: self.width,
            pad_height: around(self.pad_height, self.kernel_height),
            pad_width: around(self.pad_width, self.kernel_width),
            ..*self
        }
    }

    /// Whether some outputs see only padding.
    pub(super) fn sees_padding_alone(&self) -> bool {
        let beyond = |padding: [usize; 2], size: usize| padding.iter().any(|&pad| pad >= size);
        beyond(self.pad_height, self.kernel_height) || beyond(self.pad_width, self.kernel_width)
    }

    /// Multiply-adds of the forward pass of `n` samples; each gradient has as many.
    pub(super) fn multiply_adds(&self, n: usize) -> usize {
        n.saturating_mul(self.kernels * self.out_plane() * self.taps())
    }

    /// Elements of one kernel plane.
    pub(super) fn taps(&self) -> usize {
        self.channels / self.groups * self.kernel_height * self.kernel_width
    }

    /// Elements of one input plane.
    pub(super) fn plane(&self) -> usize {
        self.height * self.width
    }

    /// Elements of one output plane.
    pub(super) fn out_plane(&self) -> usize {
        self.out_height * self.out_width
    }
}
