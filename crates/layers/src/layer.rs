use std::fmt::Debug;

use tensor::{Element, Scratch, Shape, map};

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

    /// Computes `output` from `input`; every element of `output` is written.
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

    /// The layer as one that works in place, if it can: then it is given no memory of
    /// its own behind a layer that does not need its output.
    fn in_place(&self) -> Option<&dyn InPlace<T>> {
        None
    }
}

/// A layer without parameters whose output can take the place of its input, and the
/// gradient of its input the place of the gradient of its output.
pub trait InPlace<T: Element> {
    /// Turns the input into the output.
    fn forward_in_place(&self, data: &mut [T]);

    /// Turns the gradient of the output into that of the input, given the output.
    fn backward_in_place(&self, output: &[T], gradient: &mut [T]);
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
}

/// What a forward pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A gradient will be wanted.
    Training,
    /// Only the output is wanted.
    Inference,
}

/// A named array of a layer's parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// `"weight"` or `"bias"`; in the network, `"3.weight"`.
    pub name: String,
    /// The axes, as in PyTorch.
    pub shape: Shape,
    /// How it is initialised.
    pub role: Role,
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
}
