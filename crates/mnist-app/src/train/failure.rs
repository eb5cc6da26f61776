//! What ended a run that broke off, as `failure.json` in its folder has it.

use std::fmt;
use std::path::Path;

use anyhow::Context;
use layers::{Epoch, EpochRun};
use serde::{Deserialize, Serialize};

use super::doctor::Finding;
use crate::escape::Escape;
use crate::experiment;
use crate::input::is_there;
use crate::run_folder::{FAILURE, text_of};

/// The first number that was not finite. On any number of threads and any instruction set it is the
/// same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    /// Counted from 1.
    pub(super) epoch: usize,
    /// The step in the epoch, counted from 1; `None` if it was the test after the epoch.
    pub(super) step: Option<usize>,
    /// `input`, `output`, `loss`, `gradient`, `parameter`, `parameter_gradient` or `trainer_state`.
    value: String,
    /// The layer, and its summary.
    layer: Option<(usize, String)>,
    /// The image, of those for training; after an epoch, of those that it was tested on.
    image: Option<usize>,
}

impl Failure {
    /// Of the step that comes next, or of the last one if all were taken.
    pub(super) fn of_step(epoch: &Epoch, steps: &EpochRun, finding: &Finding) -> Self {
        let step = steps.steps().min(steps.progress().steps + 1);
        Self { step: Some(step), ..Self::of_test(epoch, finding) }
    }

    /// Of a test after an epoch.
    pub(super) fn of_test(epoch: &Epoch, finding: &Finding) -> Self {
        Self {
            epoch: epoch.number(),
            step: None,
            value: finding.tensor.word().into(),
            layer: finding.layer.clone(),
            image: finding.sample,
        }
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
        let text = text_of(&file, experiment::MOST_BYTES)?;
        Self::of(&text).with_context(|| file.escaped()).map(Some)
    }

    pub(super) fn of(text: &str) -> anyhow::Result<Self> {
        Ok(serde_json::from_str(text)?)
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

/// `in epoch 3, step 17: output of image 5, layer 2 (Relu)`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, step, ref value, ref layer, image } = *self;
        let value = value.replace('_', " ");
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
