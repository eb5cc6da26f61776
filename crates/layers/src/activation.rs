use serde::{Deserialize, Serialize};
use tensor::{Element, Shape, ShapeError, map};

use crate::layer::{Context, InPlace, Layer, Mode, Pass};
use crate::spec::Buildable;
use crate::tagged::not_negative;

/// `y = 1 / (1 + exp −x)`, element by element; any shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sigmoid;

/// `y = tanh x`, element by element; any shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tanh;

/// `y = max(x, 0)`, element by element; any shape. Its derivative at 0 is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relu;

/// `y = x` where `x > 0`, else `slope · x`, element by element; any shape. The slope is
/// 0.01 if nothing is said; its derivative at 0 is the slope.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeakyRelu {
    #[serde(default = "slope", deserialize_with = "not_negative")]
    slope: f64,
}

fn slope() -> f64 {
    0.01
}

impl LeakyRelu {
    /// With this slope where the input is negative.
    ///
    /// # Panics
    /// If the slope is negative or not finite.
    #[track_caller]
    pub fn new(slope: f64) -> Self {
        let fits = slope >= 0.0 && slope.is_finite();
        assert!(fits, "LeakyRelu: expected a finite slope of at least 0, got {slope}");
        Self { slope }
    }
}

impl Default for LeakyRelu {
    fn default() -> Self {
        Self { slope: slope() }
    }
}

/// `y = x Φ(x)` with Φ the distribution of a standard normal variable, element by
/// element; any shape. The exact function (Hendrycks and Gimpel, 2016), PyTorch's
/// default, not its approximation by a tanh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gelu;

/// `y = x / (1 + exp −x)`, element by element; any shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silu;

/// `y = x` where `x > 0`, else `alpha (exp x − 1)`, element by element; any shape (Clevert et
/// al., 2016). Alpha is 1 if nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elu {
    #[serde(default = "alpha", deserialize_with = "not_negative")]
    alpha: f64,
}

fn alpha() -> f64 {
    1.0
}

impl Elu {
    /// With this limit, its sign turned, where the input goes to −∞.
    ///
    /// # Panics
    /// If alpha is negative or not finite.
    #[track_caller]
    pub fn new(alpha: f64) -> Self {
        let fits = alpha >= 0.0 && alpha.is_finite();
        assert!(fits, "Elu: expected a finite alpha of at least 0, got {alpha}");
        Self { alpha }
    }
}

impl Default for Elu {
    fn default() -> Self {
        Self { alpha: alpha() }
    }
}

/// `y = ln(1 + exp x)`, element by element; any shape. Exact however large `x` is; PyTorch's
/// gives `x` from 20 on, which is 2·10⁻⁹ less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Softplus;

/// `y = x · min(max(x + 3, 0), 6) / 6`, element by element; any shape (Howard et al., 2019).
/// Its derivative at −3 is 0, at 3 it is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardSwish;

/// What a derivative is computed from.
#[derive(PartialEq, Eq)]
enum Known {
    /// The argument: the input must survive, so the layer has memory of its own.
    Input,
    /// The value: the layer can work in place.
    Output,
}

/// A function of one number.
trait Function: Copy + std::fmt::Debug + Send + Sync + 'static {
    const KNOWN: Known = Known::Output;

    fn summary(self) -> String {
        format!("{self:?}")
    }

    fn apply<T: Element>(self, x: &mut [T]);

    /// Multiplies `gradient` with the derivative, given what [`Function::KNOWN`] says.
    fn derive<T: Element>(self, known: &[T], gradient: &mut [T]);
}

impl Function for Sigmoid {
    fn apply<T: Element>(self, x: &mut [T]) {
        map::sigmoid(x);
    }

    fn derive<T: Element>(self, output: &[T], gradient: &mut [T]) {
        map::sigmoid_gradient(gradient, output);
    }
}

impl Function for Tanh {
    fn apply<T: Element>(self, x: &mut [T]) {
        map::tanh(x);
    }

    fn derive<T: Element>(self, output: &[T], gradient: &mut [T]) {
        map::tanh_gradient(gradient, output);
    }
}

impl Function for Relu {
    fn apply<T: Element>(self, x: &mut [T]) {
        map::relu(x);
    }

    fn derive<T: Element>(self, output: &[T], gradient: &mut [T]) {
        map::relu_gradient(gradient, output);
    }
}

impl Function for LeakyRelu {
    fn summary(self) -> String {
        format!("LeakyRelu slope {}", self.slope)
    }

    fn apply<T: Element>(self, x: &mut [T]) {
        map::leaky_relu(x, T::from_f64(self.slope));
    }

    fn derive<T: Element>(self, output: &[T], gradient: &mut [T]) {
        map::leaky_relu_gradient(gradient, output, T::from_f64(self.slope));
    }
}

impl Function for Gelu {
    const KNOWN: Known = Known::Input;

    fn apply<T: Element>(self, x: &mut [T]) {
        map::gelu(x);
    }

    fn derive<T: Element>(self, input: &[T], gradient: &mut [T]) {
        map::gelu_gradient(gradient, input);
    }
}

impl Function for Silu {
    const KNOWN: Known = Known::Input;

    fn apply<T: Element>(self, x: &mut [T]) {
        map::silu(x);
    }

    fn derive<T: Element>(self, input: &[T], gradient: &mut [T]) {
        map::silu_gradient(gradient, input);
    }
}

impl Function for Elu {
    fn summary(self) -> String {
        format!("Elu alpha {}", self.alpha)
    }

    fn apply<T: Element>(self, x: &mut [T]) {
        map::elu(x, T::from_f64(self.alpha));
    }

    fn derive<T: Element>(self, output: &[T], gradient: &mut [T]) {
        map::elu_gradient(gradient, output, T::from_f64(self.alpha));
    }
}

impl Function for Softplus {
    const KNOWN: Known = Known::Input;

    fn apply<T: Element>(self, x: &mut [T]) {
        map::softplus(x);
    }

    fn derive<T: Element>(self, input: &[T], gradient: &mut [T]) {
        map::softplus_gradient(gradient, input);
    }
}

impl Function for HardSwish {
    const KNOWN: Known = Known::Input;

    fn apply<T: Element>(self, x: &mut [T]) {
        map::hard_swish(x);
    }

    fn derive<T: Element>(self, input: &[T], gradient: &mut [T]) {
        map::hard_swish_gradient(gradient, input);
    }
}

impl<F: Function> Buildable for F {
    fn summary(&self) -> String {
        Function::summary(*self)
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        Ok(Box::new(ActivationLayer { shape: input, function: *self }))
    }
}

#[derive(Debug)]
struct ActivationLayer<F> {
    shape: Shape,
    function: F,
}

impl<T: Element, F: Function> Layer<T> for ActivationLayer<F> {
    fn input_shape(&self) -> Shape {
        self.shape
    }

    fn output_shape(&self) -> Shape {
        self.shape
    }

    fn forward(&self, _: &[T], input: &[T], output: &mut [T], _: Context<'_, T>) {
        output.copy_from_slice(input);
        self.function.apply(output);
    }

    fn backward(
        &self,
        _: &[T],
        pass: Pass<'_, T>,
        _: &mut [T],
        input_gradient: Option<&mut [T]>,
        _: Context<'_, T>,
    ) {
        if let Some(gradient) = input_gradient {
            gradient.copy_from_slice(pass.output_gradient);
            let known = match F::KNOWN {
                Known::Input => pass.input,
                Known::Output => pass.output,
            };
            self.function.derive(known, gradient);
        }
    }

    fn needs_output(&self) -> bool {
        F::KNOWN == Known::Output
    }

    fn in_place(&self) -> Option<&dyn InPlace<T>> {
        (F::KNOWN == Known::Output).then_some(self as _)
    }
}

impl<T: Element, F: Function> InPlace<T> for ActivationLayer<F> {
    fn forward_in_place(&self, data: &mut [T], _: Mode) {
        self.function.apply(data);
    }

    fn backward_in_place(&self, output: &[T], gradient: &mut [T], _: Mode) {
        self.function.derive(output, gradient);
    }
}
