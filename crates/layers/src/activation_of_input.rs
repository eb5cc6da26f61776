use serde::{Deserialize, Serialize};
use tensor::{Element, Shape, ShapeError, map};

use crate::layer::{Context, Layer, Pass};
use crate::spec::Buildable;

/// `y = x Φ(x)` with Φ the distribution of a standard normal variable, element by
/// element; any shape. The exact function (Hendrycks and Gimpel, 2016), PyTorch's
/// default, not its approximation by a tanh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gelu;

/// `y = x / (1 + exp −x)`, element by element; any shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silu;

impl Buildable for Gelu {
    fn summary(&self) -> String {
        "Gelu".into()
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        Ok(Box::new(LayerOfInput { shape: input, function: *self }))
    }
}

impl Buildable for Silu {
    fn summary(&self) -> String {
        "Silu".into()
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        Ok(Box::new(LayerOfInput { shape: input, function: *self }))
    }
}

/// A function of one number whose derivative only its argument tells: its input must
/// survive it, so it has memory of its own.
trait FunctionOfInput: Copy + std::fmt::Debug + Send + Sync + 'static {
    fn apply<T: Element>(self, x: &mut [T]);

    /// Multiplies `gradient` with the derivative at `input`.
    fn derive<T: Element>(self, input: &[T], gradient: &mut [T]);
}

impl FunctionOfInput for Gelu {
    fn apply<T: Element>(self, x: &mut [T]) {
        map::gelu(x);
    }

    fn derive<T: Element>(self, input: &[T], gradient: &mut [T]) {
        map::gelu_gradient(gradient, input);
    }
}

impl FunctionOfInput for Silu {
    fn apply<T: Element>(self, x: &mut [T]) {
        map::silu(x);
    }

    fn derive<T: Element>(self, input: &[T], gradient: &mut [T]) {
        map::silu_gradient(gradient, input);
    }
}

#[derive(Debug)]
struct LayerOfInput<F> {
    shape: Shape,
    function: F,
}

impl<T: Element, F: FunctionOfInput> Layer<T> for LayerOfInput<F> {
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
            self.function.derive(pass.input, gradient);
        }
    }

    fn needs_output(&self) -> bool {
        false
    }
}
