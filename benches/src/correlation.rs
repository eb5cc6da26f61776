use std::fmt;

use layers::random::{Purpose, Stream};
use tensor::{Bias, Buffer, Correlation, Scratch, reference};

use crate::measure::largest_difference;

/// The sizes of a correlation: `(N, C, H, W) ⋆ (D, C, K, K)`.
///
/// Prints as `1x1x28x28*6x1x3x3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// `N`.
    pub batch: usize,
    /// `C, H, W`.
    pub input: [usize; 3],
    /// `D`.
    pub kernels: usize,
    /// `K`.
    pub side: usize,
}

impl LayerShape {
    /// The notebook's layer, the two of LeNet, one of a residual network, and the first layer of a
    /// network for photographs.
    pub const ALL: [Self; 5] = [
        Self { batch: 1, input: [1, 28, 28], kernels: 6, side: 3 },
        Self { batch: 64, input: [1, 28, 28], kernels: 8, side: 5 },
        Self { batch: 64, input: [8, 12, 12], kernels: 16, side: 5 },
        Self { batch: 32, input: [32, 28, 28], kernels: 32, side: 3 },
        Self { batch: 1, input: [3, 224, 224], kernels: 64, side: 3 },
    ];

    /// Multiply-adds of each of the three passes.
    pub fn multiply_adds(&self) -> usize {
        self.batch * self.geometry().multiply_adds()
    }

    /// The geometry of one sample.
    ///
    /// # Panics
    /// If the kernel is larger than the input.
    pub fn geometry(&self) -> Correlation {
        Correlation::new(self.input, self.kernels, [self.side; 2])
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

impl fmt::Display for LayerShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, input: [c, h, w], kernels, side } = self;
        write!(f, "{batch}x{c}x{h}x{w}*{kernels}x{c}x{side}x{side}")
    }
}

/// One of the three things that a convolutional layer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The output.
    Forward,
    /// The gradient of the input.
    InputGradient,
    /// The gradient of the kernels.
    KernelGradient,
}

impl Pass {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Forward, Self::InputGradient, Self::KernelGradient];

    /// The pass in the names of workloads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::InputGradient => "input-gradient",
            Self::KernelGradient => "kernel-gradient",
        }
    }
}

/// Two operands of one pass, and memory for its result.
#[derive(Clone, Debug)]
pub struct Operands {
    geometry: Correlation,
    pass: Pass,
    first: Buffer<f32>,
    second: Buffer<f32>,
    result: Buffer<f32>,
}

impl Operands {
    /// Operands with numbers between −1 and 1, always the same ones.
    pub fn new(shape: LayerShape, pass: Pass) -> Self {
        let geometry = shape.geometry();
        let numbers = |seed, len| {
            let mut stream = Stream::new(seed, Purpose::Initialization, 0);
            let mut numbers = Buffer::zeros(len);
            numbers.fill_with(|| (2.0 * stream.uniform() - 1.0) as f32);
            numbers
        };
        let inputs = shape.batch * geometry.input_shape().len();
        let outputs = shape.batch * geometry.output_shape().len();
        let kernels = geometry.kernels_shape().len();
        let (first, second, result) = match pass {
            Pass::Forward => (numbers(1, inputs), numbers(2, kernels), outputs),
            Pass::InputGradient => (numbers(3, outputs), numbers(2, kernels), inputs),
            Pass::KernelGradient => (numbers(1, inputs), numbers(3, outputs), kernels),
        };
        let mut operands = Self { geometry, pass, first, second, result: Buffer::zeros(result) };
        operands.result.fill(f32::NAN);
        operands
    }

    /// Computes the result.
    pub fn run(&mut self, scratch: &mut Scratch<f32>) -> &[f32] {
        let Self { geometry, first, second, result, .. } = self;
        match self.pass {
            Pass::Forward => geometry.forward(first, second, Bias::None, result, scratch),
            Pass::InputGradient => geometry.input_gradient(first, second, result, scratch),
            Pass::KernelGradient => geometry.kernel_gradient(first, second, result, scratch),
        }
        result
    }

    /// Computes the result with the readable twin.
    pub fn reference(&self) -> Vec<f32> {
        let Self { geometry, first, second, .. } = self;
        let mut result = vec![f32::NAN; self.result.len()];
        match self.pass {
            Pass::Forward => {
                reference::forward(geometry, first, second, Bias::None, &mut result);
            }
            Pass::InputGradient => {
                reference::input_gradient(geometry, first, second, &mut result);
            }
            Pass::KernelGradient => {
                reference::kernel_gradient(geometry, first, second, &mut result);
            }
        }
        result
    }

    /// The operands, in the order in which the pass takes them.
    pub fn operands(&self) -> [&[f32]; 2] {
        [&self.first, &self.second]
    }
}

/// Runs the operands once; an error if the result differs from `expected` by more than the rounding
/// of single precision explains.
pub fn check(
    operands: &mut Operands,
    scratch: &mut Scratch<f32>,
    expected: &[f32],
) -> Result<(), String> {
    let difference = largest_difference(operands.run(scratch), expected);
    // The longest sum has 50,000 terms; rounding errors grow with the square root of that.
    if difference <= 2e-5 { Ok(()) } else { Err(format!("differs by {difference:.1e}")) }
}
