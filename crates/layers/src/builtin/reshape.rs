use serde::{Deserialize, Serialize};
use tensor::{Element, Shape, ShapeError};

use crate::layer::{Context, InPlace, Layer, Mode, Pass};
use crate::layer_config::{LayerConfig, Outputs};
use crate::operation::Operation;

/// The same numbers under another shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// The new axes; `None` for a single axis of any length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shape: Option<Vec<usize>>,
}

impl Reshape {
    /// To one axis: `(C, H, W) → (C·H·W)`.
    pub fn flat() -> Self {
        Self { shape: None }
    }

    /// To these axes.
    pub fn to(shape: impl Into<Shape>) -> Self {
        Self { shape: Some(shape.into().dims().to_vec()) }
    }
}

impl LayerConfig for Reshape {
    const TYPE: &'static str = "reshape";

    fn summary(&self) -> String {
        "Reshape".into()
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        let output = match &self.shape {
            None => Shape::from(input.len()),
            Some(dims) if dims.len() <= Shape::MAX_RANK => Shape::new(dims),
            Some(dims) => return Err(ShapeError::new("Reshape", "at most 4 axes", dims.len())),
        };
        if output.len() != input.len() {
            let expected = format!("a shape with {} elements, as {input} has", input.len());
            return Err(ShapeError::new("Reshape", expected, output));
        }
        Ok(Box::new(ReshapeLayer { input, output }))
    }

    fn outputs(&self, _: Outputs) -> Option<Outputs> {
        None
    }
}

/// All numbers of a sample on a single axis: `(C, H, W) → (C·H·W)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flatten;

impl LayerConfig for Flatten {
    const TYPE: &'static str = "flatten";

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        Reshape::flat().build(input)
    }

    fn outputs(&self, _: Outputs) -> Option<Outputs> {
        None
    }
}

#[derive(Debug)]
struct ReshapeLayer {
    input: Shape,
    output: Shape,
}

impl<T: Element> Layer<T> for ReshapeLayer {
    fn input_shape(&self) -> Shape {
        self.input
    }

    fn output_shape(&self) -> Shape {
        self.output
    }

    fn operation(&self) -> Option<Operation<'_, T>> {
        Some(Operation::Same)
    }

    fn forward(&self, _: &[T], input: &[T], output: &mut [T], _: Context<'_, T>) {
        output.copy_from_slice(input);
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
        }
    }

    fn keeps_values(&self) -> bool {
        true
    }

    fn in_place(&self) -> Option<&dyn InPlace<T>> {
        Some(self)
    }
}

impl<T: Element> InPlace<T> for ReshapeLayer {
    fn forward_in_place(&self, _: &mut [T], _: Mode) {}

    fn backward_in_place(&self, _: &[T], _: &mut [T], _: Mode) {}
}
