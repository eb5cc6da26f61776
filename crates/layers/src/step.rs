//! What comes out of a training step.

use std::fmt;

/// What a step measured, before it changed the parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport<'a> {
    /// The loss of each sample.
    pub losses: &'a [f64],
    /// How many samples had their largest output where the target has.
    pub correct: usize,
}

/// A loss that is not a number, or infinite; the parameters are as before the step.
///
/// Of a loss that is finite, gradients may still not be, where an infinite number meets a rectifier
/// for instance: the parameters are then broken, and the next step says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonFinite {
    /// The sample's index in the data that the step or the epoch was given.
    pub sample: usize,
    /// The first layer whose output for this sample is not finite, and its summary; none
    /// if all are, and only the loss is not.
    pub layer: Option<(usize, String)>,
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss: expected a finite number, got none for sample {}", self.sample)?;
        match &self.layer {
            Some((index, summary)) => {
                write!(f, "; the output of layer {index} ({summary}) is the first not finite")
            }
            None => Ok(()),
        }
    }
}

impl std::error::Error for NonFinite {}
