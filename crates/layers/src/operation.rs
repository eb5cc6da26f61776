use tensor::{Correlation, Element, Pooling};

use crate::builtin::Bias;
use crate::layer::Layer;

/// What a layer computes in inference, for whoever writes it down in another language or format.
///
/// Shapes are [`Layer::input_shape`] and [`Layer::output_shape`]; the arrays that are named here are
/// among [`Layer::parameters`] and [`Layer::buffers`].
#[derive(Clone, Debug)]
pub enum Operation<'a, T: Element> {
    /// A correlation with `weight`, plus `bias`.
    Correlation(&'a Correlation, Bias),
    /// The adjoint of a correlation with `weight`, which maps the layer's output to its input, plus
    /// `bias`: a transposed convolution.
    Adjoint(&'a Correlation, Bias),
    /// The largest number of each window.
    Max(&'a Pooling),
    /// The mean of each window. If the output has one axis, the window is the whole plane.
    Mean(&'a Pooling),
    /// `weight (x − running_mean) / √(running_var + ε) + bias` of each channel.
    BatchNorm {
        /// ε.
        epsilon: f64,
    },
    /// `weight (x − mean) / √(variance + ε) + bias` with a weight and a bias for each channel, and
    /// the mean and the biased variance of each group of channels. With one group it is a layer
    /// normalisation.
    GroupNorm {
        /// How many groups there are.
        groups: usize,
        /// ε.
        epsilon: f64,
    },
    /// `weight x + bias`.
    Dense,
    /// A function of each number.
    Function(Function),
    /// `exp x_i / Σ_j exp x_j`.
    Softmax,
    /// The same numbers, perhaps under another shape.
    Same,
    /// `x + f(x)`, where `f` are these layers, one after another. Their arrays are those of the
    /// block, in this order, each with the index of its layer before its name.
    Residual(Vec<&'a dyn Layer<T>>),
}

/// A function of one number: the activations, by their names in [`tensor::activation`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Function {
    Sigmoid,
    Tanh,
    Relu,
    LeakyRelu { slope: f64 },
    Gelu,
    Silu,
    Elu { alpha: f64 },
    Softplus,
    HardSwish,
}
