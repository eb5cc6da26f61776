use serde::{Deserialize, Serialize};
use tensor::activation::{self, Activation, DerivedFrom};
use tensor::{Element, Shape, ShapeError};

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

/// A description of a function of one number.
trait Function: Copy + std::fmt::Debug + Send + Sync + 'static {
    type Activation: Activation;

    fn summary(self) -> String {
        format!("{self:?}")
    }

    fn activation(self) -> Self::Activation;
}

impl Function for Sigmoid {
    type Activation = activation::Sigmoid;

    fn activation(self) -> Self::Activation {
        activation::Sigmoid
    }
}

impl Function for Tanh {
    type Activation = activation::Tanh;

    fn activation(self) -> Self::Activation {
        activation::Tanh
    }
}

impl Function for Relu {
    type Activation = activation::Relu;

    fn activation(self) -> Self::Activation {
        activation::Relu
    }
}

impl Function for LeakyRelu {
    type Activation = activation::LeakyRelu;

    fn summary(self) -> String {
        format!("LeakyRelu slope {}", self.slope)
    }

    fn activation(self) -> Self::Activation {
        activation::LeakyRelu { slope: self.slope }
    }
}

impl Function for Gelu {
    type Activation = activation::Gelu;

    fn activation(self) -> Self::Activation {
        activation::Gelu
    }
}

impl Function for Silu {
    type Activation = activation::Silu;

    fn activation(self) -> Self::Activation {
        activation::Silu
    }
}

impl Function for Elu {
    type Activation = activation::Elu;

    fn summary(self) -> String {
        format!("Elu alpha {}", self.alpha)
    }

    fn activation(self) -> Self::Activation {
        activation::Elu { alpha: self.alpha }
    }
}

impl Function for Softplus {
    type Activation = activation::Softplus;

    fn activation(self) -> Self::Activation {
        activation::Softplus
    }
}

impl Function for HardSwish {
    type Activation = activation::HardSwish;

    fn activation(self) -> Self::Activation {
        activation::HardSwish
    }
}

impl<F: Function> Buildable for F {
    fn summary(&self) -> String {
        Function::summary(*self)
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        Ok(Box::new(ActivationLayer { shape: input, activation: self.activation() }))
    }
}

#[derive(Debug)]
struct ActivationLayer<A> {
    shape: Shape,
    activation: A,
}

impl<T: Element, A: Activation> Layer<T> for ActivationLayer<A> {
    fn input_shape(&self) -> Shape {
        self.shape
    }

    fn output_shape(&self) -> Shape {
        self.shape
    }

    fn forward(&self, _: &[T], input: &[T], output: &mut [T], _: Context<'_, T>) {
        output.copy_from_slice(input);
        self.activation.apply(output);
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
            let known = match A::DERIVED_FROM {
                DerivedFrom::Input => pass.input,
                DerivedFrom::Output => pass.output,
            };
            self.activation.multiply_derivative(gradient, known);
        }
    }

    fn needs_output(&self) -> bool {
        A::DERIVED_FROM == DerivedFrom::Output
    }

    fn in_place(&self) -> Option<&dyn InPlace<T>> {
        (A::DERIVED_FROM == DerivedFrom::Output).then_some(self as _)
    }
}

impl<T: Element, A: Activation> InPlace<T> for ActivationLayer<A> {
    fn forward_in_place(&self, data: &mut [T], _: Mode) {
        self.activation.apply(data);
    }

    fn backward_in_place(&self, output: &[T], gradient: &mut [T], _: Mode) {
        self.activation.multiply_derivative(gradient, output);
    }
}
