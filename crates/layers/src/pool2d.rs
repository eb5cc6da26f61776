use serde::{Deserialize, Serialize};
use tensor::{Element, Pooling, Shape, ShapeError};

use crate::conv2d::Size;
use crate::layer::{Context, Layer, Pass};
use crate::spec::Buildable;

/// The largest number of each window.
///
/// # Shapes
/// Input `(C, H, W)`, output `(C, OH, OW)` with `OH = (H − KH) / stride + 1`, rounded
/// down: rows and columns that fill no window are left out.
///
/// The gradient goes to the first of equal maxima, row by row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool2d {
    size: Size,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stride: Option<Size>,
}

impl MaxPool2d {
    /// Square windows with sides of `size`, side by side.
    pub fn new(size: usize) -> Self {
        Self { size: Size::Square(size), stride: None }
    }

    /// The same with windows of `height × width`.
    pub fn rectangle(self, height: usize, width: usize) -> Self {
        Self { size: Size::Rectangle([height, width]), ..self }
    }

    /// The same with `stride` rows and columns from one window to the next.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride: Some(Size::Square(stride)), ..self }
    }
}

impl Buildable for MaxPool2d {
    fn summary(&self) -> String {
        window_summary("MaxPool2d", self.size, self.stride)
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        Ok(Box::new(MaxPool2dLayer(geometry("MaxPool2d", input, self.size, self.stride)?)))
    }
}

fn window_summary(name: &str, size: Size, stride: Option<Size>) -> String {
    let [height, width] = size.pair();
    match stride.map(Size::pair) {
        Some([rows, columns]) if [rows, columns] != [height, width] => {
            format!("{name} {height}×{width}, stride {rows}×{columns}")
        }
        _ => format!("{name} {height}×{width}"),
    }
}

fn geometry(
    name: &'static str,
    input: Shape,
    size: Size,
    stride: Option<Size>,
) -> Result<Pooling, ShapeError> {
    let channels = input
        .axes()
        .ok_or_else(|| ShapeError::new(name, "an input with three axes (C, H, W)", input))?;
    Pooling::new(channels, size.pair(), stride.unwrap_or(size).pair())
}

#[derive(Debug)]
struct MaxPool2dLayer(Pooling);

impl<T: Element> Layer<T> for MaxPool2dLayer {
    fn input_shape(&self) -> Shape {
        self.0.input_shape()
    }

    fn output_shape(&self) -> Shape {
        self.0.output_shape()
    }

    fn forward(&self, _: &[T], input: &[T], output: &mut [T], _: Context<'_, T>) {
        self.0.max(input, output);
    }

    fn backward(
        &self,
        _: &[T],
        pass: Pass<'_, T>,
        _: &mut [T],
        input_gradient: Option<&mut [T]>,
        _: Context<'_, T>,
    ) {
        if let Some(input_gradient) = input_gradient {
            self.0.max_gradient(pass.input, pass.output_gradient, input_gradient);
        }
    }

    fn needs_output(&self) -> bool {
        false
    }
}
