use std::fmt::Debug;

use tensor::{Correlation, Element, Scratch, Shape, map};

/// One step of a network: a function of its input and its parameters, and the gradient
/// of that function.
///
/// A layer is built for one input shape and holds no numbers. Whatever a pass reads or
/// writes is lent to it, so one layer serves many threads by `&`. All slices hold whole
/// samples, one after another; how many, their lengths tell.
pub trait Layer<T: Element>: Debug + Send + Sync {
    /// The shape of one input sample.
    fn input_shape(&self) -> Shape;

    /// The shape of one output sample.
    fn output_shape(&self) -> Shape;

    /// The parameters in the order in which they lie in the layer's slice.
    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// Computes `output` from `input`; every element of `output` is written, since what it holds
    /// before are numbers of other samples.
    fn forward(&self, parameters: &[T], input: &[T], output: &mut [T], context: Context<'_, T>);

    /// Computes the gradients of the loss: of the parameters, summed over the samples,
    /// and of the input if it is asked for. Both are overwritten.
    fn backward(
        &self,
        parameters: &[T],
        pass: Pass<'_, T>,
        gradients: &mut [T],
        input_gradient: Option<&mut [T]>,
        context: Context<'_, T>,
    );

    /// The backward pass followed by a step of gradient descent,
    /// `parameters ← parameters − rate · gradients`, to the same bits.
    ///
    /// `gradients` is memory for the purpose; what it holds afterwards is not said.
    fn backward_and_step(
        &self,
        parameters: &mut [T],
        rate: T,
        pass: Pass<'_, T>,
        gradients: &mut [T],
        input_gradient: Option<&mut [T]>,
        context: Context<'_, T>,
    ) {
        self.backward(parameters, pass, gradients, input_gradient, context);
        map::add_scaled(parameters, -rate, gradients);
    }

    /// What the layer updates while it learns and nobody optimises, such as running
    /// statistics, in the order in which they lie in [`Context::buffers`]. A role that is a
    /// constant is what it starts with, any other 0.
    fn buffers(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// How many numbers a forward pass measures: the length of [`Context::batch_statistics`].
    fn batch_statistics(&self) -> usize {
        0
    }

    /// Over how many numbers of each sample the layer measures a mean and a variance in
    /// training, the fewest if there are several such numbers: none if it measures nothing. Of
    /// a single number, all samples together, there is no variance.
    fn normalized_over(&self) -> Option<usize> {
        None
    }

    /// Moves the buffers towards what a step measured: the mean of what its shards
    /// observed, weighted by their numbers of samples.
    fn update_buffers(&self, _buffers: &mut [T], _batch_statistics: &[T]) {}

    /// Sets the buffers to the mean of what shards observed: what [`Layer::update_buffers`] would
    /// come to with the same parameters for ever.
    fn set_buffers(&self, _buffers: &mut [T], _batch_statistics: &[T]) {}

    /// How many numbers for each sample a forward pass leaves to the backward pass beside
    /// the output: the length of [`Context::memory`] for one sample.
    fn memory(&self) -> usize {
        0
    }

    /// How many numbers and indices of scratch memory a pass over at most `samples` samples
    /// takes on `threads` threads, forward or backward: what [`Scratch::make_room`] makes room
    /// for. `usize::MAX` if it cannot be counted.
    fn scratch(&self, _samples: usize, _threads: usize) -> [usize; 2] {
        [0; 2]
    }

    /// Whether [`Layer::backward`] reads [`Pass::output`]. If not, a layer that works in
    /// place may follow in the same memory.
    fn needs_output(&self) -> bool {
        true
    }

    /// Whether the output holds the input's numbers: then the layer may work in place
    /// even behind one that needs its output.
    fn keeps_values(&self) -> bool {
        false
    }

    /// The correlation that the layer computes, if it is one; it says how.
    fn correlation(&self) -> Option<&Correlation> {
        None
    }

    /// The layer as one that works in place, if it can: then it is given no memory of
    /// its own behind a layer that does not need its output.
    fn in_place(&self) -> Option<&dyn InPlace<T>> {
        None
    }
}

/// Scratch memory, as [`Layer::scratch`] counts it, that has room for either.
pub(crate) fn larger(a: [usize; 2], b: [usize; 2]) -> [usize; 2] {
    [a[0].max(b[0]), a[1].max(b[1])]
}

/// A layer without parameters whose output can take the place of its input, and the
/// gradient of its input the place of the gradient of its output.
pub trait InPlace<T: Element> {
    /// Turns the input into the output.
    fn forward_in_place(&self, data: &mut [T], mode: Mode);

    /// Turns the gradient of the output into that of the input, given the output.
    fn backward_in_place(&self, output: &[T], gradient: &mut [T], mode: Mode);
}

/// What the forward pass met and left, lent to the backward pass.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a, T> {
    /// The layer's input.
    pub input: &'a [T],
    /// The layer's output.
    pub output: &'a [T],
    /// The gradient of the loss with respect to the output.
    pub output_gradient: &'a [T],
}

/// What a pass works with beside its operands.
#[derive(Debug)]
pub struct Context<'a, T> {
    /// Memory for intermediate results.
    pub scratch: &'a mut Scratch<T>,
    /// What the pass is for.
    pub mode: Mode,
    /// The buffers, as [`Layer::buffers`] says.
    pub buffers: &'a [T],
    /// What the forward pass measures, lent to the backward pass again; as
    /// [`Layer::batch_statistics`] says.
    pub batch_statistics: &'a mut [T],
    /// What the forward pass leaves to the backward pass, for all samples; as
    /// [`Layer::memory`] says.
    pub memory: &'a mut [T],
}

impl<'a, T> Context<'a, T> {
    /// The context of a layer that has no buffers and measures nothing.
    pub fn new(scratch: &'a mut Scratch<T>, mode: Mode) -> Self {
        Self { scratch, mode, buffers: &[], batch_statistics: &mut [], memory: &mut [] }
    }
}

/// What a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A gradient will be wanted.
    Training(Draw),
    /// Only the output is wanted.
    Inference,
}

impl Mode {
    /// Training with what the first step of seed 0 draws.
    pub fn training() -> Self {
        Self::Training(Draw::default())
    }

    /// The same for the layer at `index` of those that the pass goes through.
    pub(crate) fn of_layer(self, index: usize) -> Self {
        match self {
            // Layers inside of layers have numbers of their own, up to a thousand each; of very
            // many inside of each other the numbers come round.
            Self::Training(draw) => {
                let layer = draw.layer.wrapping_mul(1000).wrapping_add(index as u64 + 1);
                Self::Training(Draw { layer, ..draw })
            }
            Self::Inference => self,
        }
    }
}

/// Where a pass stands in the training run: what random numbers are drawn from. The same
/// place gives the same numbers, on whatever thread and in whatever shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    /// The experiment's.
    pub seed: u64,
    /// How many steps came before.
    pub step: u64,
    /// The place of the pass's first sample in the step.
    pub first_sample: u64,
    /// The layer's number; 0 for the network.
    pub layer: u64,
}

/// A named array of a layer's parameters, or of its buffers.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// `"weight"` or `"bias"`; in the network, `"3.weight"`. Of the buffers, such as
    /// `"running_mean"`.
    pub name: String,
    /// The axes, as in PyTorch.
    pub shape: Shape,
    /// How it is initialised.
    pub role: Role,
}

impl Parameter {
    /// An array of this name and shape, initialised as its role says.
    pub fn new(name: impl Into<String>, shape: impl Into<Shape>, role: Role) -> Self {
        Self { name: name.into(), shape: shape.into(), role }
    }
}

/// The numbers that an array starts with before it is initialised or learned.
pub(crate) fn start_values<T: Element>(array: &Parameter) -> impl Iterator<Item = T> + use<T> {
    let value = T::from_f64(array.role.constant().unwrap_or(0.0));
    std::iter::repeat_n(value, array.shape.len())
}

/// What a parameter is, as far as its initialisation asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    /// A factor, with the numbers of inputs and outputs that it connects.
    Weight {
        /// Inputs of each output.
        fan_in: usize,
        /// Outputs of each input.
        fan_out: usize,
    },
    /// An offset.
    Bias,
    /// Anything that starts with one value.
    Constant(f64),
    /// A variance: it starts with 1 and is never below 0.
    Variance,
}

impl Role {
    /// What it starts with, if that is always the same.
    pub(crate) fn constant(self) -> Option<f64> {
        match self {
            Self::Constant(value) => Some(value),
            Self::Variance => Some(1.0),
            Self::Weight { .. } | Self::Bias => None,
        }
    }

    /// What is wrong with a number that has it, if anything.
    pub(crate) fn refuse(self, value: f64) -> Option<&'static str> {
        if !value.is_finite() {
            return Some("finite numbers");
        }
        (self == Self::Variance && value < 0.0).then_some("no variance below 0")
    }
}
