use std::fmt;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tensor::{Element, Shape, ShapeError, map, matrix, reduce};

use crate::layer::{Context, Layer, Parameter, Pass, Role, larger};
use crate::layer_config::LayerConfig;
use crate::operation::Operation;
use crate::tagged::finite;

/// A linear map with learned weights and bias: `Y = X Wᵀ + b`.
///
/// # Shapes
/// Input `(I)`, `weight (O, I)`, `bias (O)`, output `(O)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    outputs: Count,
    /// Overrides what the initialisation would give the bias.
    #[serde(default, deserialize_with = "finite", skip_serializing_if = "Option::is_none")]
    initial_bias: Option<f64>,
}

/// How many outputs there are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Count {
    Given(usize),
    /// As many as the data have classes.
    Classes,
}

/// [`Count::Classes`] in text.
const CLASSES: &str = "classes";

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(count) => count.fmt(f),
            Self::Classes => write!(f, "{CLASSES:?}"),
        }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Given(count) => count.serialize(serializer),
            Self::Classes => serializer.serialize_str(CLASSES),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrClasses)
    }
}

struct NumberOrClasses;

impl Visitor<'_> for NumberOrClasses {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 0 on, or \"classes\" for as many as the data have")
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Count, E> {
        let count = usize::try_from(count);
        count.map(Count::Given).map_err(|_| E::custom("outputs: expected fewer outputs"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Count, E> {
        match text {
            CLASSES => Ok(Count::Classes),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

impl Dense {
    /// A layer with this many outputs.
    pub fn new(outputs: usize) -> Self {
        Self { outputs: Count::Given(outputs), initial_bias: None }
    }

    /// A layer with an output for each class of the data, in text `outputs = "classes"`.
    /// [`NetworkSpec::set_classes`](crate::NetworkSpec::set_classes) says how many these are.
    pub fn of_classes() -> Self {
        Self { outputs: Count::Classes, initial_bias: None }
    }

    /// Whether it is not known yet how many outputs there are.
    pub(crate) fn needs_classes(&self) -> bool {
        self.outputs == Count::Classes
    }

    /// Gives it an output for each of so many classes, if that was left to the data.
    pub(crate) fn set_classes(&mut self, classes: usize) {
        if self.needs_classes() {
            self.outputs = Count::Given(classes);
        }
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
        let outputs = match self.outputs {
            Count::Given(0) => return Err(ShapeError::new("Dense", "at least one output", 0)),
            Count::Given(outputs) => outputs,
            Count::Classes => {
                let expected = "a number of outputs, or data whose classes can be counted";
                return Err(ShapeError::new("Dense", expected, self.outputs));
            }
        };
        let initial_bias = self.initial_bias;
        Ok(Box::new(DenseLayer { inputs, outputs, initial_bias }))
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

    fn operation(&self) -> Option<Operation<'_, T>> {
        Some(Operation::Dense)
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
