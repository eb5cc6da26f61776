//! The result of a training step.

use std::fmt;

use tensor::{Element, reduce};

/// What a step measured before it changed the parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport<'a> {
    /// The loss of each sample.
    pub losses: &'a [f64],
    /// How many samples were classified correctly.
    pub correct: usize,
}

/// A number is infinite or NaN, and the step that met it is not taken: the parameters are as
/// before, except where [`NonFiniteValue`] says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonFinite {
    /// What is not finite.
    pub value: NonFiniteValue,
    /// The sample's index in the data of the step or the epoch; of a gradient that is summed over
    /// samples, the first of them. `None` for a parameter.
    pub sample: Option<usize>,
    /// The layer, and its summary: the first whose output for this sample is not finite, the last
    /// whose gradient is not, or the first whose parameters are not. `None` if the outputs of all
    /// layers are finite, and only the loss is not.
    pub layer: Option<(usize, String)>,
}

/// What is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonFiniteValue {
    /// The loss of a sample.
    Loss,
    /// The gradient of finite losses. Where layers take their own steps
    /// ([`TrainerConfig::steps_in_layers`](crate::TrainerConfig::steps_in_layers)), those behind
    /// this layer have taken theirs.
    Gradient,
    /// A parameter, after a step whose gradient was finite.
    Parameter,
    /// What a trainer keeps beside the parameters: momentum, squares, averages or buffers.
    State,
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.value {
            NonFiniteValue::Loss => "loss",
            NonFiniteValue::Gradient => "gradient",
            NonFiniteValue::Parameter => "parameter",
            NonFiniteValue::State => "state of the trainer",
        };
        write!(f, "{what}: expected a finite number")?;
        if let Some(sample) = self.sample {
            write!(f, " for sample {sample}")?;
        }
        f.write_str(", got NaN or infinity")?;
        match (&self.layer, self.value) {
            (Some((index, summary)), NonFiniteValue::Loss) => {
                write!(f, "; layer {index} ({summary}) is the first whose output is not finite")
            }
            (Some((index, summary)), _) => write!(f, " in layer {index} ({summary})"),
            (None, _) => Ok(()),
        }
    }
}

impl std::error::Error for NonFinite {}

/// Whether all numbers are finite, at the speed of a scalar product.
pub(crate) fn all_finite<T: Element>(x: &[T]) -> bool {
    // The squares of large numbers overflow, so that only the sum's being finite is an answer.
    reduce::dot(x, x).is_finite() || x.iter().all(|x| x.is_finite())
}
