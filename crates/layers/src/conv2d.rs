use std::fmt::Write as _;

use serde::{Deserialize, Deserializer, Serialize};
use tensor::{Correlation, Element, Shape, ShapeError, Sweep};

use crate::layer::{Context, Layer, Parameter, Pass, Role};
use crate::padding::Padding;
use crate::spec::Buildable;
use crate::tagged::{finite, number_or_pair};

/// Two-dimensional cross-correlation with learned kernels:
/// `Y_d = B_d + Σ_c X_c ⋆valid K_dc`.
///
/// # Shapes
/// Input `(C, H, W)`, `weight (D, C / groups, KH, KW)`, output `(D, OH, OW)` with
/// `OH = (H + padding − KH) / stride + 1`, rounded down; `bias` as [`Bias`] says. Without
/// padding, stride and groups `OH = H − KH + 1`, `OW = W − KW + 1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    kernels: usize,
    size: Size,
    #[serde(default, skip_serializing_if = "Padding::is_valid")]
    padding: Padding,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stride: Option<Size>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    groups: Option<usize>,
    #[serde(default)]
    bias: Bias,
    /// Overrides what the initialisation would give the bias.
    #[serde(default, deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    initial_bias: Option<f64>,
}

/// The bias of a convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bias {
    /// None.
    None,
    /// One number for each kernel, `(D)`.
    #[default]
    PerChannel,
    /// One number for each output, `(D, OH, OW)`.
    Untied,
}

/// Height and width, written as one number where they are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Size {
    Square(usize),
    Rectangle([usize; 2]),
}

impl Size {
    pub(crate) fn pair(self) -> [usize; 2] {
        match self {
            Self::Square(side) => [side; 2],
            Self::Rectangle(pair) => pair,
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        number_or_pair(deserializer, "a whole number, or [height, width]", |_| None)
    }
}

impl Conv2d {
    /// `kernels` square kernels with sides of `size`, a bias per channel.
    pub fn new(kernels: usize, size: usize) -> Self {
        Self {
            kernels,
            size: Size::Square(size),
            padding: Padding::default(),
            stride: None,
            groups: None,
            bias: Bias::default(),
            initial_bias: None,
        }
    }

    /// The same with kernels of `height × width`.
    pub fn rectangle(self, height: usize, width: usize) -> Self {
        Self { size: Size::Rectangle([height, width]), ..self }
    }

    /// The same with zeros around the input.
    pub fn padding(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// The same with every `stride`-th output row and column only.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride: Some(Size::Square(stride)), ..self }
    }

    /// The same with channels and kernels cut into groups that do not see each other; as
    /// many as channels for a depthwise convolution.
    pub fn groups(self, groups: usize) -> Self {
        Self { groups: Some(groups), ..self }
    }

    /// The same with another bias.
    pub fn bias(self, bias: Bias) -> Self {
        Self { bias, ..self }
    }

    /// The same with every element of the bias starting at `value`.
    ///
    /// Before a sigmoid a negative one lets the output start near 0 where the input is
    /// empty; from 0, all outputs start near 0.5, and what they have in common drowns
    /// what they have not.
    pub fn initial_bias(self, value: f64) -> Self {
        Self { initial_bias: Some(value), ..self }
    }
}

impl Buildable for Conv2d {
    fn summary(&self) -> String {
        let [height, width] = self.size.pair();
        let bias = match self.bias {
            Bias::None => ", no bias",
            Bias::PerChannel => "",
            Bias::Untied => ", untied bias",
        };
        let mut text = format!("Conv2d {} kernels {height}×{width}", self.kernels);
        // Writing to a string cannot fail.
        let _ = match self.stride.map(Size::pair) {
            Some([rows, columns]) => write!(text, ", stride {rows}×{columns}"),
            None => Ok(()),
        };
        let _ = match self.padding {
            Padding::Valid => Ok(()),
            Padding::Same => write!(text, ", same"),
            Padding::Zeros(rows, columns) => write!(text, ", padding {rows}×{columns}"),
        };
        let _ = self.groups.map_or(Ok(()), |groups| write!(text, ", {groups} groups"));
        text + bias
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        let channels = input.axes().ok_or_else(|| {
            ShapeError::new("Conv2d", "an input with three axes (C, H, W)", input)
        })?;
        let (kernel, stride) = (self.size.pair(), self.stride.map_or([1; 2], Size::pair));
        let around =
            |axis: usize| self.padding.around(axis, channels[1 + axis], kernel[axis], stride[axis]);
        let (rows, columns) = (around(0), around(1));
        let groups = self.groups.unwrap_or(1);
        let sweep = Sweep { padding: [rows, columns], stride, groups };
        let geometry = Correlation::with_sweep(channels, self.kernels, kernel, sweep)?;
        let Self { bias, initial_bias, .. } = *self;
        Ok(Box::new(Conv2dLayer { geometry, bias, initial_bias }))
    }
}

#[derive(Debug)]
struct Conv2dLayer {
    geometry: Correlation,
    bias: Bias,
    initial_bias: Option<f64>,
}

impl Conv2dLayer {
    fn bias_shape(&self) -> Option<Shape> {
        let output = self.geometry.output_shape();
        match self.bias {
            Bias::None => None,
            Bias::PerChannel => Some(Shape::from(output.dims()[0])),
            Bias::Untied => Some(output),
        }
    }

    /// The gradient of the bias: that of the output, summed over what shares it.
    fn bias_gradient<T: Element>(&self, output_gradient: &[T], gradient: &mut [T]) {
        let outputs = self.geometry.output_shape().len();
        match self.bias {
            Bias::None => {}
            Bias::PerChannel => {
                let plane = outputs / gradient.len();
                tensor::reduce::sum_planes(output_gradient, plane, gradient);
            }
            Bias::Untied => {
                let samples = output_gradient.len() / outputs;
                tensor::reduce::sum_parts(output_gradient, [samples, outputs], 0, gradient);
            }
        }
    }
}

impl<T: Element> Layer<T> for Conv2dLayer {
    fn input_shape(&self) -> Shape {
        self.geometry.input_shape()
    }

    fn output_shape(&self) -> Shape {
        self.geometry.output_shape()
    }

    fn parameters(&self) -> Vec<Parameter> {
        let shape = self.geometry.kernels_shape();
        let [kernels, channels, height, width] = shape.axes().unwrap_or_default();
        let taps = height * width;
        let (fan_in, fan_out) = (channels * taps, kernels / self.geometry.groups() * taps);
        let role = Role::Weight { fan_in, fan_out };
        let mut all = vec![Parameter { name: "weight".into(), shape, role }];
        if let Some(shape) = self.bias_shape() {
            let role = self.initial_bias.map_or(Role::Bias, Role::Constant);
            all.push(Parameter { name: "bias".into(), shape, role });
        }
        all
    }

    fn forward(&self, parameters: &[T], input: &[T], output: &mut [T], context: Context<'_, T>) {
        let (kernels, bias) = parameters.split_at(self.geometry.kernels_shape().len());
        let bias = match self.bias {
            Bias::None => tensor::Bias::None,
            Bias::PerChannel => tensor::Bias::PerKernel(bias),
            Bias::Untied => tensor::Bias::Untied(bias),
        };
        self.geometry.forward(input, kernels, bias, output, context.scratch);
    }

    fn backward(
        &self,
        parameters: &[T],
        pass: Pass<'_, T>,
        gradients: &mut [T],
        input_gradient: Option<&mut [T]>,
        context: Context<'_, T>,
    ) {
        let weights = self.geometry.kernels_shape().len();
        let (kernel_gradient, bias_gradient) = gradients.split_at_mut(weights);
        let Pass { input, output_gradient, .. } = pass;
        let scratch = context.scratch;
        self.geometry.kernel_gradient(input, output_gradient, kernel_gradient, scratch);
        self.bias_gradient(output_gradient, bias_gradient);
        if let Some(input_gradient) = input_gradient {
            let kernels = &parameters[..weights];
            self.geometry.input_gradient(output_gradient, kernels, input_gradient, scratch);
        }
    }

    fn scratch(&self, samples: usize, threads: usize) -> [usize; 2] {
        self.geometry.scratch::<T>(samples, threads)
    }

    fn needs_output(&self) -> bool {
        false
    }

    fn correlation(&self) -> Option<&Correlation> {
        Some(&self.geometry)
    }
}
