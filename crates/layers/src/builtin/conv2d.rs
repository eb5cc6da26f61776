use serde::{Deserialize, Serialize};
use tensor::{Correlation, Element, Shape, ShapeError, Sweep};

use super::bias::Bias;
use super::convolution::{convolution, fans, parameters};
use crate::layer::{Context, Layer, Parameter, Pass};
use crate::layer_config::{LayerConfig, image_axes};
use crate::operation::Operation;
use crate::padding::Padding;
use crate::size::Size;
use crate::tagged::finite;

convolution! {
    /// Two-dimensional cross-correlation with learned kernels:
    /// `Y_d = B_d + Σ_c X_c ⋆valid K_dc`.
    ///
    /// # Shapes
    /// Input `(C, H, W)`, `weight (D, C / groups, KH, KW)`, output `(D, OH, OW)` with
    /// `OH = (H + padding − dilation (KH − 1) − 1) / stride + 1`, rounded down; `bias` as [`Bias`]
    /// says. Without padding, stride and dilation `OH = H − KH + 1`, `OW = W − KW + 1`.
    Conv2d {
        /// The same with zeros around the input.
        padding,
        {}
        /// The same with every `stride`-th output row and column only: one number, or one for rows
        /// and one for columns.
        stride,
        /// The same with kernels spread by this dilation, their rows and columns applied to every
        /// `dilation`-th of the input's: one number, or one for rows and one for columns.
        dilation,
    }
}

impl Conv2d {
    /// The same with kernels of `height × width`.
    pub fn rectangle(self, height: usize, width: usize) -> Self {
        Self { size: Size::Rectangle([height, width]), ..self }
    }
}

impl LayerConfig for Conv2d {
    const TYPE: &'static str = "conv2d";

    fn summary(&self) -> String {
        self.summary_with("")
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        let channels = self.channels(input)?;
        let [kernel, stride, dilation] = self.sizes();
        let around = |axis: usize| {
            let gaps = kernel[axis].saturating_sub(1);
            let extent = gaps.saturating_mul(dilation[axis]).saturating_add(1);
            self.padding.around(axis, channels[1 + axis], extent, stride[axis])
        };
        let (padding, groups) = ([around(0), around(1)], self.groups.unwrap_or(1));
        let sweep = Sweep { padding, stride, dilation, groups };
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

impl<T: Element> Layer<T> for Conv2dLayer {
    fn input_shape(&self) -> Shape {
        self.geometry.input_shape()
    }

    fn output_shape(&self) -> Shape {
        self.geometry.output_shape()
    }

    fn parameters(&self) -> Vec<Parameter> {
        let bias = self.bias.parameter(self.geometry.output_shape(), self.initial_bias);
        parameters(&self.geometry, fans(&self.geometry), bias)
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

    fn operation(&self) -> Option<Operation<'_, T>> {
        Some(Operation::Correlation(&self.geometry, self.bias))
    }
}
