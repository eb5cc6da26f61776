//! The first number of a step that is not finite.

use std::fmt;
use std::ops::Range;

use layers::{NonFinite, NonFiniteValue};
use tensor::Element;

use crate::passes::{Passes, Stage};

/// A number that is infinite or NaN, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::train) struct Finding {
    pub(in crate::train) tensor: Tensor,
    /// The layer, and its summary.
    pub(in crate::train) layer: Option<(usize, String)>,
    /// The sample among those of the passes; `None` if the number belongs to none.
    pub(in crate::train) sample: Option<usize>,
    /// The number, if it is known.
    number: Option<f64>,
}

/// An array of numbers in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::train) enum Tensor {
    Input,
    Output,
    Loss,
    /// Of a layer's output.
    Gradient,
    /// By name; all of them if it is not known.
    Parameter(String),
    ParameterGradient(String),
    /// What the trainer keeps beside the parameters.
    State,
}

impl Tensor {
    /// The word for it in `failure.json`.
    pub(in crate::train) fn word(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Loss => "loss",
            Self::Gradient => "gradient",
            Self::Parameter(_) => "parameter",
            Self::ParameterGradient(_) => "parameter_gradient",
            Self::State => "trainer_state",
        }
    }
}

impl From<&NonFinite> for Finding {
    fn from(failure: &NonFinite) -> Self {
        let tensor = match failure.value {
            NonFiniteValue::Loss if failure.layer.is_some() => Tensor::Output,
            NonFiniteValue::Loss => Tensor::Loss,
            NonFiniteValue::Gradient => Tensor::Gradient,
            NonFiniteValue::Parameter => Tensor::Parameter("parameters".into()),
            NonFiniteValue::State => Tensor::State,
        };
        Self { tensor, layer: failure.layer.clone(), sample: failure.sample, number: None }
    }
}

/// `NaN in the output of layer 3 (Dense 10 outputs)`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.number {
            Some(number) if number.is_nan() => "NaN",
            Some(number) if number > 0.0 => "infinity",
            Some(_) => "−infinity",
            None => "NaN or infinity",
        })?;
        match &self.tensor {
            Tensor::Input => f.write_str(" in the input"),
            Tensor::Output => f.write_str(" in the output"),
            Tensor::Loss => f.write_str(" as the loss, from outputs that are finite,"),
            Tensor::Gradient => f.write_str(" in the gradient of the output"),
            Tensor::Parameter(name) => write!(f, " in the {name}"),
            Tensor::State => f.write_str(" in what the optimizer or the layer keeps"),
            Tensor::ParameterGradient(name) => write!(f, " in the gradient of the {name}"),
        }?;
        match &self.layer {
            Some((index, summary)) => write!(f, " of layer {index} ({summary})"),
            None => Ok(()),
        }
    }
}

/// The first number that is not finite, in the order of computation: forward through input, and
/// each layer's parameters and output, to the losses; and where `backward` says that the first so
/// many layers went backward, from the gradient of their output to the input.
pub(super) fn first_non_finite<T: Element>(
    passes: &Passes<'_, T>,
    input: &[T],
    losses: &[f64],
    backward: Option<usize>,
) -> Option<Finding> {
    let samples = losses.len();
    let of = |tensor: Tensor, numbers: &[T], stage: Option<&Stage<'_, T>>, is_samples: bool| {
        let place = numbers.iter().position(|number| !number.is_finite())?;
        let sample = is_samples.then(|| place / (numbers.len() / samples));
        let layer = stage.map(|stage| (stage.layer.index, stage.layer.spec.summary()));
        Some(Finding { tensor, layer, sample, number: Some(numbers[place].to_f64()) })
    };
    if let Some(found) = of(Tensor::Input, input, None, true) {
        return Some(found);
    }
    for stage in passes.stages() {
        for (name, range) in arrays(stage) {
            let numbers = &stage.layer.parameters[range];
            let found = of(Tensor::Parameter(name), numbers, Some(stage), false);
            if found.is_some() {
                return found;
            }
        }
        let found = of(Tensor::Output, &stage.run.output, Some(stage), true);
        if found.is_some() {
            return found;
        }
    }
    if let Some(sample) = losses.iter().position(|loss| !loss.is_finite()) {
        let (sample, number) = (Some(sample), Some(losses[sample]));
        return Some(Finding { tensor: Tensor::Loss, layer: None, sample, number });
    }
    for stage in passes.stages()[..backward?].iter().rev() {
        let found = of(Tensor::Gradient, &stage.run.output_gradient, Some(stage), true);
        if found.is_some() {
            return found;
        }
        for (name, range) in arrays(stage) {
            let numbers = &stage.run.gradients[range];
            let found = of(Tensor::ParameterGradient(name), numbers, Some(stage), false);
            if found.is_some() {
                return found;
            }
        }
    }
    None
}

/// The name of each array of a layer's parameters, and where it lies among them.
fn arrays<T: Element>(stage: &Stage<'_, T>) -> impl Iterator<Item = (String, Range<usize>)> {
    stage.layer.layer.parameters().into_iter().scan(0, |end, array| {
        let start = *end;
        *end += array.shape.len();
        Some((array.name, start..*end))
    })
}
