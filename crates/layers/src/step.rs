//! The result of a training step.

use std::fmt;

/// What a step measured before it changed the parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport<'a> {
    /// The loss of each sample.
    pub losses: &'a [f64],
    /// How many samples were classified correctly.
    pub correct: usize,
}

/// A loss is infinite or NaN; the parameters are as before the step.
///
/// The gradients of a finite loss may still not be finite, for instance where an infinite number
/// meets a ReLU: then the step breaks the parameters, and the next one returns this error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonFinite {
    /// The sample's index in the data of the step or the epoch.
    pub sample: usize,
    /// The first layer whose output for this sample is not finite, and its summary; `None` if all
    /// outputs are finite, and only the loss is not.
    pub layer: Option<(usize, String)>,
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "loss: expected a finite number for sample {}, got NaN or infinity",
            self.sample
        )?;
        match &self.layer {
            Some((index, summary)) => {
                write!(f, "; layer {index} ({summary}) is the first whose output is not finite")
            }
            None => Ok(()),
        }
    }
}

impl std::error::Error for NonFinite {}
