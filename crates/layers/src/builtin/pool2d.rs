use serde::{Deserialize, Serialize};
use tensor::{Element, Pooling, Shape, ShapeError, Windows};

use crate::layer::{Context, Layer, Pass};
use crate::layer_config::{LayerConfig, Outputs, image_axes};
use crate::operation::Operation;
use crate::padding::Padding;
use crate::size::Size;

/// Declares a pooling layer with the shared settings and those of its own.
macro_rules! pooling {
    ($(#[$attribute:meta])* $name:ident { $($(#[$field_attribute:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            size: Size,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            stride: Option<Size>,
            #[serde(default, skip_serializing_if = "Padding::is_valid")]
            padding: Padding,
            #[serde(default, skip_serializing_if = "is_not")]
            ceil_mode: bool,
            $($(#[$field_attribute])* $field: $kind,)*
        }

        impl $name {
            /// The same with windows of `height × width`.
            pub fn rectangle(self, height: usize, width: usize) -> Self {
                Self { size: Size::Rectangle([height, width]), ..self }
            }

            /// The same with `stride` rows and columns from one window to the next: one number,
            /// or one for rows and one for columns.
            pub fn stride(self, stride: impl Into<Size>) -> Self {
                Self { stride: Some(stride.into()), ..self }
            }

            /// The same with padding, at most half of the window on each side.
            pub fn padding(self, padding: Padding) -> Self {
                Self { padding, ..self }
            }

            /// The same with a further window where the last rows and columns do not fill one,
            /// unless it would begin beyond the input.
            pub fn ceil_mode(self, ceil_mode: bool) -> Self {
                Self { ceil_mode, ..self }
            }

            fn summary_of_windows(&self) -> String {
                let (size, stride) = (self.size, self.stride.filter(|s| s.pair() != self.size.pair()));
                let stride = stride.map_or(String::new(), |stride| format!(", stride {stride}"));
                let edge = if self.ceil_mode { ", ceil" } else { "" };
                format!("{} {size}{stride}{}{edge}", stringify!($name), self.padding)
            }

            fn geometry(&self, input: Shape, count_padding: bool) -> Result<Pooling, ShapeError> {
                let channels = image_axes(stringify!($name), input)?;
                let (size, stride) = (self.size.pair(), self.stride.unwrap_or(self.size).pair());
                let around = |axis: usize| {
                    self.padding.around(axis, channels[1 + axis], size[axis], stride[axis])
                };
                let (padding, ceil_mode) = ([around(0), around(1)], self.ceil_mode);
                let windows = Windows { size, stride, padding, ceil_mode, count_padding };
                Pooling::with_windows(channels, windows)
            }
        }
    };
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_not(flag: &bool) -> bool {
    !flag
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is(flag: &bool) -> bool {
    *flag
}

fn yes() -> bool {
    true
}

pooling! {
    /// The largest number of each window.
    ///
    /// # Shapes
    /// Input `(C, H, W)`, output `(C, OH, OW)` with `OH = (H + padding − KH) / stride + 1`, rounded
    /// down: rows and columns that do not fill a window are left out. With `ceil_mode` it is
    /// rounded up, but a window that would begin in the padding beyond the input is left out. The
    /// padding is at most half of the window, and never the maximum. All as in PyTorch.
    ///
    /// The gradient goes to the first of equal maxima in row-major order.
    MaxPool2d {}
}

impl MaxPool2d {
    /// Square windows with sides of `size`, side by side.
    pub fn new(size: usize) -> Self {
        let (size, padding) = (Size::Square(size), Padding::Valid);
        Self { size, stride: None, padding, ceil_mode: false }
    }
}

impl LayerConfig for MaxPool2d {
    const TYPE: &'static str = "max_pool2d";

    fn summary(&self) -> String {
        self.summary_of_windows()
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        let geometry = self.geometry(input, true)?;
        Ok(Box::new(MaxPool2dLayer { geometry, rectify: false }))
    }

    fn outputs(&self, _: Outputs) -> Option<Outputs> {
        None
    }
}

impl MaxPool2d {
    /// The layer that also does the work of a ReLU before it, on the maxima alone.
    pub(crate) fn build_rectified<T: Element>(&self, input: Shape) -> Option<Box<dyn Layer<T>>> {
        let geometry = self.geometry(input, true).ok()?;
        Some(Box::new(MaxPool2dLayer { geometry, rectify: true }))
    }
}

pooling! {
    /// The mean of each window.
    ///
    /// With `count_include_pad`, the default, the padding counts as zeros; without it the mean is
    /// over the numbers of the input alone. Rows and columns beyond the padding, which windows of
    /// `ceil_mode` reach, never count. All as in PyTorch.
    ///
    /// # Shapes
    /// As [`MaxPool2d`].
    AvgPool2d {
        #[serde(default = "yes", skip_serializing_if = "is")]
        count_include_pad: bool,
    }
}

impl AvgPool2d {
    /// Square windows with sides of `size`, side by side.
    pub fn new(size: usize) -> Self {
        let (size, padding) = (Size::Square(size), Padding::Valid);
        Self { size, stride: None, padding, ceil_mode: false, count_include_pad: true }
    }

    /// The same with the padding counted as zeros in the means, or not.
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        Self { count_include_pad, ..self }
    }
}

impl LayerConfig for AvgPool2d {
    const TYPE: &'static str = "avg_pool2d";

    fn summary(&self) -> String {
        let counted = if self.count_include_pad { "" } else { ", padding not counted" };
        self.summary_of_windows() + counted
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        let geometry = self.geometry(input, self.count_include_pad)?;
        Ok(Box::new(AvgPool2dLayer { geometry, output: geometry.output_shape() }))
    }

    fn outputs(&self, _: Outputs) -> Option<Outputs> {
        None
    }
}

/// The mean of each channel: `(C, H, W) → (C)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalAvgPool2d;

impl LayerConfig for GlobalAvgPool2d {
    const TYPE: &'static str = "global_avg_pool2d";

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        let channels @ [_, height, width] = image_axes("GlobalAvgPool2d", input)?;
        let geometry = Pooling::new(channels, [height, width], [height, width])?;
        let output = Shape::from(input.dims()[0]);
        Ok(Box::new(AvgPool2dLayer { geometry, output }))
    }

    fn outputs(&self, _: Outputs) -> Option<Outputs> {
        None
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

    fn operation(&self) -> Option<Operation<'_, T>> {
        Some(Operation::Mean(&self.geometry))
    }
}

#[derive(Debug)]
struct MaxPool2dLayer {
    geometry: Pooling,
    /// Whether negative numbers count as 0.
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

    fn operation(&self) -> Option<Operation<'_, T>> {
        (!self.rectify).then_some(Operation::Max(&self.geometry))
    }

    fn pooling(&self) -> Option<&Pooling> {
        Some(&self.geometry)
    }
}
