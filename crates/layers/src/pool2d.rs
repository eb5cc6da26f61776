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
        let geometry = geometry("MaxPool2d", input, self.size, self.stride)?;
        Ok(Box::new(MaxPool2dLayer { geometry, rectify: false }))
    }
}

impl MaxPool2d {
    /// The layer that does the work of a rectifier before it, on the largest numbers alone.
    pub(crate) fn build_rectified<T: Element>(&self, input: Shape) -> Option<Box<dyn Layer<T>>> {
        let geometry = geometry("MaxPool2d", input, self.size, self.stride).ok()?;
        Some(Box::new(MaxPool2dLayer { geometry, rectify: true }))
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

/// The mean of each window.
///
/// # Shapes
/// As [`MaxPool2d`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool2d {
    size: Size,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stride: Option<Size>,
}

impl AvgPool2d {
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

impl Buildable for AvgPool2d {
    fn summary(&self) -> String {
        window_summary("AvgPool2d", self.size, self.stride)
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        let geometry = geometry("AvgPool2d", input, self.size, self.stride)?;
        Ok(Box::new(AvgPool2dLayer { geometry, output: geometry.output_shape() }))
    }
}

/// The mean of each plane: `(C, H, W) → (C)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalAvgPool2d;

impl Buildable for GlobalAvgPool2d {
    fn summary(&self) -> String {
        "GlobalAvgPool2d".into()
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        let size = match input.dims() {
            &[_, height, width] => Size::Rectangle([height, width]),
            _ => Size::Square(1),
        };
        let geometry = geometry("GlobalAvgPool2d", input, size, None)?;
        let output = Shape::from(input.dims()[0]);
        Ok(Box::new(AvgPool2dLayer { geometry, output }))
    }
}

#[derive(Debug)]
struct AvgPool2dLayer {
    geometry: Pooling,
    output: Shape,
}

impl<T: Element> Layer<T> for AvgPool2dLayer {
    fn input_shape(&self) -> Shape {
        self.geometry.input_shape()
    }

    fn output_shape(&self) -> Shape {
        self.output
    }

    fn forward(&self, _: &[T], input: &[T], output: &mut [T], _: Context<'_, T>) {
        self.geometry.mean(input, output);
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
            self.geometry.mean_gradient(pass.output_gradient, input_gradient);
        }
    }

    fn needs_output(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct MaxPool2dLayer {
    geometry: Pooling,
    /// Whether numbers below 0 count as 0.
    rectify: bool,
}

impl<T: Element> Layer<T> for MaxPool2dLayer {
    fn input_shape(&self) -> Shape {
        self.geometry.input_shape()
    }

    fn output_shape(&self) -> Shape {
        self.geometry.output_shape()
    }

    fn forward(&self, _: &[T], input: &[T], output: &mut [T], _: Context<'_, T>) {
        if self.rectify {
            self.geometry.rectified_max(input, output);
        } else {
            self.geometry.max(input, output);
        }
    }

    fn backward(
        &self,
        _: &[T],
        pass: Pass<'_, T>,
        _: &mut [T],
        input_gradient: Option<&mut [T]>,
        _: Context<'_, T>,
    ) {
        let Some(input_gradient) = input_gradient else { return };
        let Pass { input, output_gradient, .. } = pass;
        if self.rectify {
            self.geometry.rectified_max_gradient(input, output_gradient, input_gradient);
        } else {
            self.geometry.max_gradient(input, output_gradient, input_gradient);
        }
    }

    fn needs_output(&self) -> bool {
        false
    }
}
