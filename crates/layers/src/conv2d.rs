use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use tensor::{Correlation, Element, Shape, ShapeError, Sweep, reduce};

use crate::layer::{Context, Layer, Parameter, Pass, Role};
use crate::padding::Padding;
use crate::size::Size;
use crate::spec::Buildable;
use crate::tagged::finite;

/// Two-dimensional cross-correlation with learned kernels:
/// `Y_d = B_d + Σ_c X_c ⋆valid K_dc`.
///
/// # Shapes
/// Input `(C, H, W)`, `weight (D, C / groups, KH, KW)`, output `(D, OH, OW)` with
/// `OH = (H + padding − dilation (KH − 1) − 1) / stride + 1`, rounded down; `bias` as [`Bias`]
/// says. With none of these `OH = H − KH + 1`, `OW = W − KW + 1`.
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
    dilation: Option<Size>,
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

impl Conv2d {
    /// `kernels` square kernels with sides of `size`, a bias per channel.
    pub fn new(kernels: usize, size: usize) -> Self {
        Self {
            kernels,
            size: Size::Square(size),
            padding: Padding::default(),
            stride: None,
            dilation: None,
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

    /// The same with every `stride`-th output row and column only: one number, or one for
    /// rows and one for columns.
    pub fn stride(self, stride: impl Into<Size>) -> Self {
        Self { stride: Some(stride.into()), ..self }
    }

    /// The same with kernels whose rows and columns meet every `dilation`-th of the input's:
    /// one number, or one for rows and one for columns.
    pub fn dilation(self, dilation: impl Into<Size>) -> Self {
        Self { dilation: Some(dilation.into()), ..self }
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
        let mut text = format!("Conv2d {} kernels {height}×{width}", self.kernels);
        // Writing to a string cannot fail.
        for (name, setting) in [("stride", self.stride), ("dilation", self.dilation)] {
            let _ = setting.map_or(Ok(()), |size| write!(text, ", {name} {size}"));
        }
        let _ = write!(text, "{}", self.padding);
        let _ = self.groups.map_or(Ok(()), |groups| write!(text, ", {groups} groups"));
        text + self.bias.summary()
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        let channels = input.axes().ok_or_else(|| {
            ShapeError::new("Conv2d", "an input with three axes (C, H, W)", input)
        })?;
        let one = Size::Square(1);
        let [kernel, stride, dilation] =
            [self.size, self.stride.unwrap_or(one), self.dilation.unwrap_or(one)].map(Size::pair);
        let around = |axis: usize| {
            let gaps = kernel[axis].saturating_sub(1);
            let extent = gaps.saturating_mul(dilation[axis]).saturating_add(1);
            self.padding.around(axis, channels[1 + axis], extent, stride[axis])
        };
        let (padding, groups) = ([around(0), around(1)], self.groups.unwrap_or(1));
        let sweep = Sweep { padding, stride, dilation, groups };
        if self.kernels == 0 {
            return Err(ShapeError::new("Conv2d", "at least one kernel", 0));
        }
        let geometry = Correlation::with_sweep(channels, self.kernels, kernel, sweep)?;
        let Self { bias, initial_bias, .. } = *self;
        bias.check("Conv2d", initial_bias)?;
        Ok(Box::new(Conv2dLayer { geometry, bias, initial_bias }))
    }
}

impl Bias {
    /// What it says in a layer's summary.
    pub(crate) fn summary(self) -> &'static str {
        match self {
            Self::None => ", no bias",
            Self::PerChannel => "",
            Self::Untied => ", untied bias",
        }
    }

    /// Whether there is a bias if it is told what to start from.
    pub(crate) fn check(self, layer: &'static str, initial: Option<f64>) -> Result<(), ShapeError> {
        match initial {
            Some(value) if self == Self::None => {
                Err(ShapeError::new(layer, "no initial_bias, as there is no bias", value))
            }
            _ => Ok(()),
        }
    }

    /// The parameter of a layer with such an output, starting at `initial` if that is known.
    pub(crate) fn parameter(self, output: Shape, initial: Option<f64>) -> Option<Parameter> {
        let shape = match self {
            Self::None => return None,
            Self::PerChannel => Shape::from(output.dims()[0]),
            Self::Untied => output,
        };
        let role = initial.map_or(Role::Bias, Role::Constant);
        Some(Parameter { name: "bias".into(), shape, role })
    }

    /// Its gradient: that of the output, summed over what shares it.
    pub(crate) fn gradient<T: Element>(
        self,
        output: Shape,
        output_gradient: &[T],
        gradient: &mut [T],
    ) {
        match self {
            Self::None => {}
            Self::PerChannel => {
                let plane = output.len() / gradient.len();
                reduce::sum_planes(output_gradient, plane, gradient);
            }
            Self::Untied => {
                let samples = output_gradient.len() / output.len();
                reduce::sum_pairwise(output_gradient, [samples, output.len()], 0, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct Conv2dLayer {
    geometry: Correlation,
    bias: Bias,
    initial_bias: Option<f64>,
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
        all.extend(self.bias.parameter(self.geometry.output_shape(), self.initial_bias));
        all
    }

    fn forward(&self, parameters: &[T], input: &[T], output: &mut [T], context: Context<'_, T>) {
        let (kernels, bias) = parameters.split_at(self.geometry.kernels_shape().len());
        let bias = match self.bias {
            Bias::None => tensor::Bias::None,
            Bias::PerChannel => tensor::Bias::PerChannel(bias),
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
        self.bias.gradient(self.geometry.output_shape(), output_gradient, bias_gradient);
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
