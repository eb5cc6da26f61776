use serde::{Deserialize, Serialize};
use tensor::{Element, Shape, ShapeError, map, matrix, reduce};

use crate::layer::{Context, Layer, Parameter, Pass, Role, larger};
use crate::layer_config::LayerConfig;
use crate::tagged::finite;

/// A linear map with learned weights and bias: `Y = X Wᵀ + b`.
///
/// # Shapes
/// Input `(I)`, `weight (O, I)`, `bias (O)`, output `(O)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    outputs: usize,
    /// Overrides what the initialisation would give the bias.
    #[serde(default, deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    initial_bias: Option<f64>,
}

impl Dense {
    /// A layer with this many outputs.
    pub fn new(outputs: usize) -> Self {
        Self { outputs, initial_bias: None }
    }

    /// The same with every element of the bias starting at `value`.
    ///
    /// A sigmoid output that is rarely 1 learns faster if it starts near its mean: for
    /// one class in ten, `ln(0.1 / 0.9) ≈ −2.2`.
    pub fn initial_bias(self, value: f64) -> Self {
        Self { initial_bias: Some(value), ..self }
    }
}

impl LayerConfig for Dense {
    const TYPE: &'static str = "dense";

    fn summary(&self) -> String {
        format!("Dense {} outputs", self.outputs)
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        let inputs = match input.dims() {
            &[inputs] if inputs > 0 => inputs,
            _ => {
                let flat = input.len();
                let expected = format!("one axis, as Flatten before it gives: ({flat})");
                return Err(ShapeError::new("Dense", expected, input));
            }
        };
        if self.outputs == 0 {
            return Err(ShapeError::new("Dense", "at least one output", 0));
        }
        let initial_bias = self.initial_bias;
        Ok(Box::new(DenseLayer { inputs, outputs: self.outputs, initial_bias }))
    }
}

#[derive(Debug)]
struct DenseLayer {
    inputs: usize,
    outputs: usize,
    initial_bias: Option<f64>,
}

impl<T: Element> Layer<T> for DenseLayer {
    fn input_shape(&self) -> Shape {
        Shape::from(self.inputs)
    }

    fn output_shape(&self) -> Shape {
        Shape::from(self.outputs)
    }

    fn parameters(&self) -> Vec<Parameter> {
        let role = Role::Weight { fan_in: self.inputs, fan_out: self.outputs };
        let bias = self.initial_bias.map_or(Role::Bias, Role::Constant);
        vec![
            Parameter::new("weight", [self.outputs, self.inputs], role),
            Parameter::new("bias", self.outputs, bias),
        ]
    }

    fn forward(&self, parameters: &[T], input: &[T], output: &mut [T], context: Context<'_, T>) {
        let (weights, bias) = parameters.split_at(self.outputs * self.inputs);
        let shape = [output.len() / self.outputs, self.inputs, self.outputs];
        matrix::multiply_transposed(input, weights, Some(bias), output, shape, context.scratch);
    }

    fn backward(
        &self,
        parameters: &[T],
        pass: Pass<'_, T>,
        gradients: &mut [T],
        input_gradient: Option<&mut [T]>,
        context: Context<'_, T>,
    ) {
        let Self { inputs, outputs, .. } = *self;
        let (weight_gradient, bias_gradient) = gradients.split_at_mut(outputs * inputs);
        let (input, g) = (pass.input, pass.output_gradient);
        let n = g.len() / outputs;
        let scratch = context.scratch;
        matrix::multiply_from_transposed(g, input, weight_gradient, [n, outputs, inputs], scratch);
        reduce::sum_pairwise(g, [n, outputs], 0, bias_gradient);
        if let Some(input_gradient) = input_gradient {
            let weights = &parameters[..outputs * inputs];
            matrix::multiply_matrix(g, weights, input_gradient, [n, outputs, inputs], scratch);
        }
    }

    fn backward_and_step(
        &self,
        parameters: &mut [T],
        rate: T,
        pass: Pass<'_, T>,
        gradients: &mut [T],
        input_gradient: Option<&mut [T]>,
        context: Context<'_, T>,
    ) {
        if pass.output_gradient.len() == self.outputs {
            // One sample: its weight gradient g xᵀ is never stored.
            let (weights, bias) = parameters.split_at_mut(self.outputs * self.inputs);
            let (g, x) = (pass.output_gradient, pass.input);
            matrix::rank_one_step(weights, g, x, rate, input_gradient);
            map::add_scaled(bias, -rate, g);
        } else {
            self.backward(parameters, pass, gradients, input_gradient, context);
            map::add_scaled(parameters, -rate, gradients);
        }
    }

    fn scratch(&self, samples: usize, threads: usize) -> [usize; 2] {
        let Self { inputs, outputs, .. } = *self;
        let weights = matrix::scratch([outputs, samples, inputs], threads);
        larger(weights, matrix::scratch([samples, outputs, inputs], threads))
    }

    fn needs_output(&self) -> bool {
        false
    }
}
