use serde::{Deserialize, Serialize};
use tensor::{Correlation, Element, Shape, ShapeError, Sweep, map};

use super::bias::Bias;
use super::convolution::{convolution, fans, parameters};
use crate::layer::{Context, Layer, Parameter, Pass};
use crate::layer_config::{LayerConfig, image_axes};
use crate::operation::Operation;
use crate::padding::Padding;
use crate::size::Size;
use crate::tagged::finite;

convolution! {
    /// Transposed convolution with learned kernels: [`Conv2d`](crate::Conv2d)'s map from the
    /// gradient of its output to that of its input, `Y_d = B_d + Σ_c X_c *full K_cd`, a full
    /// **convolution** (Zeiler et al., 2010; Dumoulin and Visin, 2016). It enlarges planes: with a
    /// stride, neighbouring inputs lie that many rows and columns apart in the output.
    ///
    /// # Shapes
    /// Input `(C, H, W)`, `weight (C, D / groups, KH, KW)`, output `(D, OH, OW)` with
    /// `OH = (H − 1) stride − padding + dilation (KH − 1) + 1 + output_padding`; `bias` as [`Bias`]
    /// says. The output padding adds rows below and columns to the right; it is less than the
    /// stride, so that the convolution of which this is the transpose maps the output back to the
    /// input's size. (PyTorch also accepts one that is less than the dilation.)
    ConvTranspose2d {
        /// The same without this many rows and columns at the edges of the output.
        padding,
        {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            output_padding: Option<Size>,
        }
        /// The same with neighbouring inputs this many rows and columns of the output apart.
        stride,
        /// The same with neighbouring kernel elements this many rows and columns of the output
        /// apart.
        dilation,
    }
}

impl ConvTranspose2d {
    /// The same with this many more output rows below and columns to the right.
    pub fn output_padding(self, output_padding: impl Into<Size>) -> Self {
        Self { output_padding: Some(output_padding.into()), ..self }
    }

    /// The convolution of which this is the transpose: it maps the output's shape to the input's.
    fn geometry(&self, [channels, height, width]: [usize; 3]) -> Result<Correlation, ShapeError> {
        let [kernel, stride, dilation] = self.sizes();
        let more = self.output_padding.map_or([0; 2], Size::pair);
        if self.padding == Padding::Same {
            return Err(ShapeError::new(
                "ConvTranspose2d padding",
                "\"valid\" or numbers of rows and columns",
                "\"same\"",
            ));
        }
        if more[0] >= stride[0].max(1) || more[1] >= stride[1].max(1) {
            let expected = format!("less than the stride {}", Shape::from(stride));
            return Err(ShapeError::new(
                "ConvTranspose2d output_padding",
                expected,
                Shape::from(more),
            ));
        }
        let groups = self.groups.unwrap_or(1);
        if groups == 0 || !channels.is_multiple_of(groups) || !self.kernels.is_multiple_of(groups) {
            let expected = format!("a divisor of {channels} channels and {} kernels", self.kernels);
            return Err(ShapeError::new("ConvTranspose2d groups", expected, groups));
        }
        let padding = [0, 1].map(|axis| self.padding.around(axis, 0, 0, 1));
        let output = [height, width].into_iter().enumerate().map(|(axis, len)| {
            let kernel = kernel[axis].saturating_sub(1).saturating_mul(dilation[axis]);
            let spread = len.saturating_sub(1).saturating_mul(stride[axis]);
            let whole = spread.saturating_add(kernel).saturating_add(1).saturating_add(more[axis]);
            let [before, after] = padding[axis];
            whole.saturating_sub(before).saturating_sub(after)
        });
        let output: Vec<_> = output.collect();
        if output.contains(&0) {
            let expected = "padding that leaves an output that is not empty";
            let found = Shape::from([self.kernels, output[0], output[1]]);
            return Err(ShapeError::new("ConvTranspose2d", expected, found));
        }
        let sweep = Sweep { padding, stride, dilation, groups };
        let output = [self.kernels, output[0], output[1]];
        let numbers = output.into_iter().fold(1, usize::saturating_mul);
        if numbers > Shape::MOST_NUMBERS {
            let expected = format!("an output of at most {} numbers", Shape::MOST_NUMBERS);
            return Err(ShapeError::new("ConvTranspose2d", expected, Shape::from(output)));
        }
        let geometry = Correlation::with_sweep(output, channels, kernel, sweep)?;
        let input = Shape::from([channels, height, width]);
        if geometry.output_shape() != input {
            return Err(ShapeError::new("ConvTranspose2d", "sizes of at least 1", input));
        }
        Ok(geometry)
    }
}

impl LayerConfig for ConvTranspose2d {
    const TYPE: &'static str = "conv_transpose2d";

    fn summary(&self) -> String {
        let more = self.output_padding.map(|size| format!(", output padding {size}"));
        self.summary_with(&more.unwrap_or_default())
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        let geometry = self.geometry(self.channels(input)?)?;
        let Self { bias, initial_bias, .. } = *self;
        Ok(Box::new(ConvTranspose2dLayer { geometry, bias, initial_bias }))
    }
}

#[derive(Debug)]
struct ConvTranspose2dLayer {
    /// Maps the layer's output to its input.
    geometry: Correlation,
    bias: Bias,
    initial_bias: Option<f64>,
}

impl<T: Element> Layer<T> for ConvTranspose2dLayer {
    fn input_shape(&self) -> Shape {
        self.geometry.output_shape()
    }

    fn output_shape(&self) -> Shape {
        self.geometry.input_shape()
    }

    fn parameters(&self) -> Vec<Parameter> {
        let bias = self.bias.parameter(self.geometry.input_shape(), self.initial_bias);
        let [fan_out, fan_in] = fans(&self.geometry);
        parameters(&self.geometry, [fan_in, fan_out], bias)
    }

    fn forward(&self, parameters: &[T], input: &[T], output: &mut [T], context: Context<'_, T>) {
        let (kernels, bias) = parameters.split_at(self.geometry.kernels_shape().len());
        self.geometry.input_gradient(input, kernels, output, context.scratch);
        for sample in output.chunks_exact_mut(self.geometry.input_shape().len()) {
            match self.bias {
                Bias::None => {}
                Bias::PerChannel => {
                    let planes = sample.chunks_exact_mut(sample.len() / bias.len());
                    for (plane, &bias) in planes.zip(bias) {
                        plane.iter_mut().for_each(|y| *y += bias);
                    }
                }
                Bias::Untied => map::add(sample, bias),
            }
        }
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
        self.geometry.kernel_gradient(output_gradient, input, kernel_gradient, scratch);
        self.bias.gradient(self.geometry.input_shape(), output_gradient, bias_gradient);
        if let Some(input_gradient) = input_gradient {
            let (kernels, bias) = (&parameters[..weights], tensor::Bias::None);
            self.geometry.forward(output_gradient, kernels, bias, input_gradient, scratch);
        }
    }

    fn scratch(&self, samples: usize, threads: usize) -> [usize; 2] {
        self.geometry.scratch::<T>(samples, threads)
    }

    fn needs_output(&self) -> bool {
        false
    }

    fn operation(&self) -> Option<Operation<'_, T>> {
        Some(Operation::Adjoint(&self.geometry, self.bias))
    }
}
