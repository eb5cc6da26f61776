use crate::simd::{Level, level};
use crate::{Element, Scratch, Shape, ShapeError};

use super::geometry::{Geometry, Sweep};
use super::not_finite;
use super::plan::{Choice, Plan};
use super::run::{self, Direction};
use super::task::Bias;

/// The correlation of a convolutional layer: its sizes for one sample,
/// `(C, H, W) ⋆ (D, C/groups, KH, KW) → (D, OH, OW)`, and how it is computed.
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
    geometry: Geometry,
    /// For `f32` and `f64`.
    choices: [Choice; 2],
}

impl Correlation {
    fn of(geometry: Geometry) -> Self {
        Self { geometry, choices: [Choice::of::<f32>(&geometry), Choice::of::<f64>(&geometry)] }
    }

    /// `kernels` kernels of height and width `kernel` over inputs of shape
    /// `(C, H, W)`: stride 1, no dilation, no padding, one group.
    ///
    /// # Errors
    /// As [`Correlation::with_sweep`].
    pub fn new(input: [usize; 3], kernels: usize, kernel: [usize; 2]) -> Result<Self, ShapeError> {
        Self::with_sweep(input, kernels, kernel, Sweep::default())
    }

    /// [`Correlation::new`] with zero rows above and below the input and zero columns to its left
    /// and right. The kernel may be larger than the input without them.
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

    /// `kernels` kernels of height and width `kernel`, moved over inputs of shape `(C, H, W)` as
    /// `sweep` says.
    ///
    /// # Errors
    /// If a size, stride or dilation is 0; if the dilated kernel is larger than the padded input;
    /// if the numbers of channels and kernels are not multiples of the number of groups; if padded
    /// input, kernels or output have more than [`Shape::MOST_NUMBERS`] numbers.
    pub fn with_sweep(
        input: [usize; 3],
        kernels: usize,
        kernel: [usize; 2],
        sweep: Sweep,
    ) -> Result<Self, ShapeError> {
        Ok(Self::of(Geometry::new(input, kernels, kernel, sweep)?))
    }

    /// One plane with so much padding that the kernel may overlap the input in a single element.
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
        self.swept(Sweep { stride, ..self.geometry.sweep() })
    }

    /// The same with dilated kernels: their rows and columns apply to every `dilation`-th of the
    /// input's.
    ///
    /// # Errors
    /// As [`Correlation::with_sweep`].
    pub fn with_dilation(self, dilation: [usize; 2]) -> Result<Self, ShapeError> {
        self.swept(Sweep { dilation, ..self.geometry.sweep() })
    }

    /// The same with `height` zero rows above and below the input, and `width` zero
    /// columns to its left and right.
    ///
    /// # Errors
    /// As [`Correlation::with_sweep`].
    pub fn with_padding(self, height: [usize; 2], width: [usize; 2]) -> Result<Self, ShapeError> {
        self.swept(Sweep { padding: [height, width], ..self.geometry.sweep() })
    }

    /// The same with channels and kernels divided into `groups`, each kernel seeing the channels of
    /// its own group only.
    ///
    /// # Errors
    /// As [`Correlation::with_sweep`].
    pub fn with_groups(self, groups: usize) -> Result<Self, ShapeError> {
        self.swept(Sweep { groups, ..self.geometry.sweep() })
    }

    fn swept(self, sweep: Sweep) -> Result<Self, ShapeError> {
        Ok(Self::of(self.geometry.swept(sweep)?))
    }

    /// `(C, H, W)`.
    pub fn input_shape(&self) -> Shape {
        self.geometry.input_shape()
    }

    /// `(D, C/groups, KH, KW)`.
    pub fn kernels_shape(&self) -> Shape {
        self.geometry.kernels_shape()
    }

    /// `(D, OH, OW)`.
    pub fn output_shape(&self) -> Shape {
        self.geometry.output_shape()
    }

    /// The distance between neighbouring outputs in rows and columns of the input.
    pub fn stride(&self) -> [usize; 2] {
        self.geometry.stride
    }

    /// The distance between neighbouring kernel elements in rows and columns of the input.
    pub fn dilation(&self) -> [usize; 2] {
        self.geometry.dilation
    }

    /// Zero rows above and below, zero columns left and right.
    pub fn padding(&self) -> [[usize; 2]; 2] {
        self.geometry.sweep().padding
    }

    /// The number of groups of channels and kernels.
    pub fn groups(&self) -> usize {
        self.geometry.groups
    }

    /// Multiply-adds of one sample's forward pass; each gradient has as many.
    pub fn multiply_adds(&self) -> usize {
        self.geometry.multiply_adds(1)
    }

    /// How a batch of `samples` samples is computed at `level`.
    pub fn plan<T: Element>(&self, level: Level, samples: usize) -> Plan {
        let (choice, layer) = (self.choice::<T>(), &self.geometry);
        Plan {
            forward: choice.forward::<T>(layer, level, samples),
            input_gradient: choice.input_gradient::<T>(layer, level, samples),
            kernel_gradient: choice.kernel_gradient,
        }
    }

    fn choice<T: Element>(&self) -> &Choice {
        &self.choices[usize::from(size_of::<T>() == size_of::<f64>())]
    }

    /// How many numbers and indices of scratch memory the forward pass over at most `samples`
    /// samples and its two gradients take on `threads` threads, whichever takes most.
    pub fn scratch<T: Element>(&self, samples: usize, threads: usize) -> [usize; 2] {
        /// This many samples fill every block.
        const FILL_BLOCKS: usize = 1_000;
        let layer = &self.geometry;
        // A smaller batch may take more memory than a larger one, since it is divided into other
        // blocks; in a very large one all blocks are full.
        (1..=samples.min(FILL_BLOCKS)).chain([samples]).fold([0; 2], |most, n| {
            let plan = self.plan::<T>(level(), n);
            [
                Direction::Forward.room::<T>(layer, plan.forward, n, threads),
                Direction::InputGradient.room::<T>(layer, plan.input_gradient, n, threads),
                run::kernel_gradient_room::<T>(layer, plan.kernel_gradient, n, threads),
            ]
            .into_iter()
            .fold(most, run::larger)
        })
    }

    /// `Y_d = B_d + Σ_c X_c ⋆valid K_dc` for each sample.
    ///
    /// # Shapes
    /// `input (N, C, H, W)`, `kernels (D, C/groups, KH, KW)`, `output (N, D, OH, OW)`; the lengths
    /// of the slices determine `N`.
    ///
    /// # Panics
    /// If the length of a slice is not that of its shape.
    #[track_caller]
    pub fn forward<T: Element>(
        &self,
        input: &[T],
        kernels: &[T],
        bias: Bias<'_, T>,
        output: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let n = batch("input", input.len(), self.input_shape());
        assert_eq!(output.len(), n * self.output_shape().len(), "output: length");
        assert_eq!(kernels.len(), self.kernels_shape().len(), "kernels: length");
        match bias {
            Bias::None => {}
            Bias::PerChannel(bias) => {
                assert_eq!(bias.len(), self.geometry.kernels, "bias: length");
            }
            Bias::Untied(bias) => {
                assert_eq!(bias.len(), self.output_shape().len(), "bias: length");
            }
        }
        let method = self.choice::<T>().forward::<T>(&self.geometry, level(), n);
        let operands = (input, kernels, bias, output);
        Direction::Forward.run(&self.geometry, method, n, operands, scratch);
    }

    /// `∂E/∂X_c = Σ_d ∂E/∂Y_d *full K_dc` for each sample: a full **convolution**, the adjoint of
    /// the forward pass. (A full cross-correlation, which is sometimes written here, is wrong for
    /// every kernel that is not symmetric under rotation by 180°.)
    ///
    /// # Shapes
    /// `output_gradient (N, D, OH, OW)`, `kernels (D, C/groups, KH, KW)`,
    /// `input_gradient (N, C, H, W)`, overwritten.
    ///
    /// # Panics
    /// If the length of a slice is not that of its shape.
    #[track_caller]
    pub fn input_gradient<T: Element>(
        &self,
        output_gradient: &[T],
        kernels: &[T],
        input_gradient: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let n = batch("output gradient", output_gradient.len(), self.output_shape());
        assert_eq!(input_gradient.len(), n * self.input_shape().len(), "input gradient: length");
        assert_eq!(kernels.len(), self.kernels_shape().len(), "kernels: length");
        let method = self.choice::<T>().input_gradient::<T>(&self.geometry, level(), n);
        let operands = (output_gradient, kernels, Bias::None, input_gradient);
        Direction::InputGradient.run(&self.geometry, method, n, operands, scratch);
    }

    /// `∂E/∂K_dc = X_c ⋆valid ∂E/∂Y_d`, summed over the samples; 0 if there are none. A number that
    /// is not finite affects only the kernel elements that it is multiplied for.
    ///
    /// It is a sum of `n = N · OH · OW` products in one order; without minimal filtering its error
    /// is at most `n ε / 2 · Σ |x g|`. Divide very large batches and add the parts' gradients, as a
    /// trainer does with shards.
    ///
    /// # Shapes
    /// `input (N, C, H, W)`, `output_gradient (N, D, OH, OW)`,
    /// `kernel_gradient (D, C/groups, KH, KW)`, overwritten.
    ///
    /// # Panics
    /// If the length of a slice is not that of its shape.
    #[track_caller]
    pub fn kernel_gradient<T: Element>(
        &self,
        input: &[T],
        output_gradient: &[T],
        kernel_gradient: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let n = batch("input", input.len(), self.input_shape());
        let outputs = n * self.output_shape().len();
        assert_eq!(output_gradient.len(), outputs, "output gradient: length");
        assert_eq!(kernel_gradient.len(), self.kernels_shape().len(), "kernel gradient: length");
        if n == 0 {
            kernel_gradient.fill(T::ZERO);
            return;
        }
        let arithmetic = self.choice::<T>().kernel_gradient;
        let operands = [input, output_gradient];
        run::kernel_gradient(&self.geometry, arithmetic, operands, kernel_gradient, scratch);
        not_finite::sum_again(&self.geometry, operands, kernel_gradient);
    }
}

/// How many samples of shape `per_sample` `numbers` numbers are.
///
/// # Panics
/// If that is not a whole number.
#[track_caller]
fn batch(what: &str, numbers: usize, per_sample: Shape) -> usize {
    let whole = numbers.is_multiple_of(per_sample.len());
    assert!(whole, "{what}: expected a multiple of {per_sample}, got {numbers} numbers");
    numbers / per_sample.len()
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
        // A depthwise layer may have more channels than a dense layer of its sizes could.
        let sweep = Sweep { groups: 1 << 14, ..plain };
        assert!(Correlation::with_sweep([1 << 14, 3, 3], 1 << 14, [3, 3], sweep).is_ok());
    }
}
