use std::fmt::Debug;

use tensor::{Correlation, Element, Pooling, Scratch, Shape, map};

use crate::operation::Operation;

/// One step of a network: a function of its input and its parameters, with its gradient.
///
/// A layer is built for one input shape and holds no numbers. Whatever a pass reads or writes is
/// lent to it, so one layer serves many threads by `&`. All slices hold whole samples, one after
/// another; their lengths tell how many.
pub trait Layer<T: Element>: Debug + Send + Sync {
    /// The shape of one input sample.
    fn input_shape(&self) -> Shape;

    /// The shape of one output sample.
    fn output_shape(&self) -> Shape;

    /// The parameters, in the order of the layer's slice.
    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// Computes `output` from `input`. Every element of `output` must be written: it may hold
    /// numbers of other samples.
    fn forward(&self, parameters: &[T], input: &[T], output: &mut [T], context: Context<'_, T>);

    /// Computes the gradients of the loss with respect to the parameters, summed over the samples,
    /// and with respect to the input if it is asked for. Both are overwritten.
    fn backward(
        &self,
        parameters: &[T],
        pass: Pass<'_, T>,
        gradients: &mut [T],
        input_gradient: Option<&mut [T]>,
        context: Context<'_, T>,
    );

    /// The backward pass, then a step of gradient descent,
    /// `parameters ← parameters − rate · gradients`, with the same bits as if they were done
    /// separately.
    ///
    /// `gradients` is working memory; its contents afterwards are unspecified.
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

    /// What the layer updates in training without the optimizer, such as running statistics, in the
    /// order of [`Context::buffers`]. A buffer with a constant role starts at that constant, any
    /// other at 0.
    fn buffers(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// How many numbers a forward pass in training measures: the length of
    /// [`Context::batch_statistics`].
    fn batch_statistics(&self) -> usize {
        0
    }

    /// How many numbers of each sample a mean and a variance are measured over in training, the
    /// fewest if the layer has several such means; `None` if it measures none. A single number,
    /// over all samples together, has no variance.
    fn normalized_over(&self) -> Option<usize> {
        None
    }

    /// Moves the buffers towards the statistics of a step: the mean over its shards, weighted by
    /// their numbers of samples.
    fn update_buffers(&self, _buffers: &mut [T], _batch_statistics: &[T]) {}

    /// Sets the buffers to the mean of the shards' statistics: the limit of
    /// [`Layer::update_buffers`] under constant parameters.
    fn set_buffers(&self, _buffers: &mut [T], _batch_statistics: &[T]) {}

    /// How many numbers for each sample the forward pass hands to the backward pass, besides the
    /// output: the length of [`Context::memory`] for one sample.
    fn memory(&self) -> usize {
        0
    }

    /// How many numbers and indices of scratch memory a pass over at most `samples` samples takes
    /// on `threads` threads, forward or backward; [`Scratch::make_room`] allocates them.
    /// `usize::MAX` if the count overflows.
    fn scratch(&self, _samples: usize, _threads: usize) -> [usize; 2] {
        [0; 2]
    }

    /// Whether [`Layer::backward`] reads [`Pass::output`]. If not, the next layer may work in place
    /// and overwrite it.
    fn needs_output(&self) -> bool {
        true
    }

    /// Whether the output holds the same numbers as the input. Then the layer may work in place
    /// even if the one before it needs its output.
    fn keeps_values(&self) -> bool {
        false
    }

    /// What the layer computes in inference, if it is one of the operations that exports know.
    fn operation(&self) -> Option<Operation<'_, T>> {
        None
    }

    /// The correlation that the layer computes, if it is one; it tells which algorithm runs.
    fn correlation(&self) -> Option<&Correlation> {
        match self.operation() {
            Some(Operation::Correlation(correlation, _)) => Some(correlation),
            _ => None,
        }
    }

    /// The correlation of which the layer computes the adjoint, if it is a transposed convolution:
    /// it maps the layer's output to its input.
    fn adjoint_of(&self) -> Option<&Correlation> {
        match self.operation() {
            Some(Operation::Adjoint(correlation, _)) => Some(correlation),
            _ => None,
        }
    }

    /// The windows that the layer takes the maximum or the mean of, if it pools.
    fn pooling(&self) -> Option<&Pooling> {
        match self.operation() {
            Some(Operation::Max(pooling) | Operation::Mean(pooling)) => Some(pooling),
            _ => None,
        }
    }

    /// The layer as one that can work in place, if it can: it then gets no memory of its own if the
    /// layer before it does not need its output.
    fn in_place(&self) -> Option<&dyn InPlace<T>> {
        None
    }
}

/// Scratch memory, counted as in [`Layer::scratch`], with room for either.
pub(crate) fn larger(a: [usize; 2], b: [usize; 2]) -> [usize; 2] {
    [a[0].max(b[0]), a[1].max(b[1])]
}

/// A layer without parameters that can overwrite its input with its output, and the gradient of its
/// output with that of its input.
pub trait InPlace<T: Element> {
    /// Turns the input into the output.
    fn forward_in_place(&self, data: &mut [T], mode: Mode);

    /// Turns the gradient of the output into that of the input, given the output.
    fn backward_in_place(&self, output: &[T], gradient: &mut [T], mode: Mode);
}

/// What the backward pass is lent from the forward pass.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a, T> {
    /// The layer's input.
    pub input: &'a [T],
    /// The layer's output.
    pub output: &'a [T],
    /// The gradient of the loss with respect to the output.
    pub output_gradient: &'a [T],
}

/// What a pass works with besides its operands.
#[derive(Debug)]
pub struct Context<'a, T> {
    /// Memory for intermediate results.
    pub scratch: &'a mut Scratch<T>,
    /// What the pass is for.
    pub mode: Mode,
    /// The buffers, as [`Layer::buffers`] says.
    pub buffers: &'a [T],
    /// What the forward pass measures, and the backward pass reads: see
    /// [`Layer::batch_statistics`].
    pub batch_statistics: &'a mut [T],
    /// What the forward pass hands to the backward pass, for all samples: see [`Layer::memory`].
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
    /// A step of training: a backward pass will follow.
    Training(Draw),
    /// The output is the network's answer: nothing is dropped, and running statistics are
    /// constants, also in a backward pass.
    Inference,
}

impl Mode {
    /// Training, with the random numbers of the first step of seed 0.
    pub fn training() -> Self {
        Self::Training(Draw::default())
    }

    /// The mode for the layer at `index` of those that the pass goes through.
    pub(crate) fn of_layer(self, index: usize) -> Self {
        match self {
            // Layers inside other layers are numbered too, up to a thousand in each; in very deep
            // nestings the numbers repeat.
            Self::Training(draw) => {
                let layer = draw.layer.wrapping_mul(1000).wrapping_add(index as u64 + 1);
                Self::Training(Draw { layer, ..draw })
            }
            Self::Inference => self,
        }
    }
}

/// The place of a pass in the training run, which random numbers are a function of, whatever the
/// thread and the shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    /// The seed of the experiment.
    pub seed: u64,
    /// How many steps came before.
    pub step: u64,
    /// The index in the step of the pass's first sample.
    pub first_sample: u64,
    /// The layer's number; 0 for the network.
    pub layer: u64,
}

/// A named array of a layer's parameters, or of its buffers.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// `"weight"` or `"bias"`; in a network `"3.weight"`. For a buffer, `"running_mean"` for
    /// instance.
    pub name: String,
    /// The axes, as in PyTorch.
    pub shape: Shape,
    /// How it is initialised.
    pub role: Role,
}

impl Parameter {
    /// An array with this name and shape, initialised by its role.
    pub fn new(name: impl Into<String>, shape: impl Into<Shape>, role: Role) -> Self {
        Self { name: name.into(), shape: shape.into(), role }
    }
}

/// The numbers that an array holds before it is initialised or learned.
pub(crate) fn start_values<T: Element>(array: &Parameter) -> impl Iterator<Item = T> + use<T> {
    let value = T::from_f64(array.role.constant().unwrap_or(0.0));
    std::iter::repeat_n(value, array.shape.len())
}

/// How a parameter is initialised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    /// A factor; the fans are the numbers of inputs and outputs that it connects.
    Weight {
        /// Inputs of each output.
        fan_in: usize,
        /// Outputs of each input.
        fan_out: usize,
    },
    /// An offset.
    Bias,
    /// An array that starts at one constant value.
    Constant(f64),
    /// A variance: it starts at 1 and is never negative.
    Variance,
}

impl Role {
    /// The constant that it starts at, if there is one.
    pub(crate) fn constant(self) -> Option<f64> {
        match self {
            Self::Constant(value) => Some(value),
            Self::Variance => Some(1.0),
            Self::Weight { .. } | Self::Bias => None,
        }
    }

    /// What is expected instead, if an array of this role must not contain the number.
    pub(crate) fn refuse(self, value: f64) -> Option<&'static str> {
        if !value.is_finite() {
            return Some("finite numbers");
        }
        (self == Self::Variance && value < 0.0).then_some("no variance below 0")
    }
}
