//! What ended a run that broke off, as `failure.json` in its folder has it.

use std::fmt;
use std::path::Path;

use anyhow::Context;
use layers::{Epoch, EpochRun, NonFinite, NonFiniteValue};
use serde::{Deserialize, Serialize};

use crate::escape::Escape;
use crate::experiment;
use crate::input::{Input, is_there};
use crate::run_folder::FAILURE;

/// The first number that was not finite. On any number of threads and any instruction set it is the
/// same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    /// Counted from 1.
    pub(super) epoch: usize,
    /// The step in the epoch, counted from 1; `None` if it was the test after the epoch.
    pub(super) step: Option<usize>,
    /// `loss`, `gradient` or `parameter`.
    value: String,
    /// The layer, and its summary.
    layer: Option<(usize, String)>,
    /// The training or test image.
    image: Option<usize>,
}

impl Failure {
    /// Of the step that comes next, or of the last one if all were taken.
    pub(super) fn of_step(epoch: &Epoch, steps: &EpochRun, failure: &NonFinite) -> Self {
        let NonFinite { value, sample, ref layer } = *failure;
        let value = match value {
            NonFiniteValue::Loss => "loss",
            NonFiniteValue::Gradient => "gradient",
            NonFiniteValue::Parameter => "parameter",
        };
        Self {
            epoch: epoch.number(),
            step: Some(steps.steps().min(steps.progress().steps + 1)),
            value: value.into(),
            layer: layer.clone(),
            image: sample,
        }
    }

    /// Of a test after an epoch.
    pub(super) fn of_test(epoch: &Epoch, image: usize) -> Self {
        let value = "loss".into();
        Self { epoch: epoch.number(), step: None, value, layer: None, image: Some(image) }
    }

    /// What is in a run's folder; `None` if the run did not break off.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn read(run: &Path) -> anyhow::Result<Option<Self>> {
        let file = run.join(FAILURE);
        if !is_there(&file) {
            return Ok(None);
        }
        let text = Input::text(&file, experiment::MOST_BYTES).with_context(|| file.escaped())?;
        serde_json::from_str(&text).with_context(|| file.escaped()).map(Some)
    }
}

/// What ended the run in this folder, such as `in epoch 3, step 17: loss of image 5`; `None` if it
/// did not break off.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn text(run: &Path) -> anyhow::Result<Option<String>> {
    Ok(Failure::read(run)?.map(|failure| failure.to_string()))
}

/// `in epoch 3, step 17: loss of image 5, layer 2 (Relu)`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, step, value, layer, image } = self;
        match step {
            Some(step) => write!(f, "in epoch {epoch}, step {step}: {}", value.escaped())?,
            None => write!(f, "after epoch {epoch}: {}", value.escaped())?,
        }
        if let Some(image) = image {
            write!(f, " of image {image}")?;
        }
        match layer {
            Some((index, summary)) => write!(f, ", layer {index} ({})", summary.escaped()),
            None => Ok(()),
        }
    }
}
