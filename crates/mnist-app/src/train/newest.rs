//! A run at its newest checkpoint, in memory.

use std::path::Path;

use layers::Network;
use tensor::Element;

use super::checkpoint::{self, Identity};
use super::start::Start;
use super::training::Training;
use super::verify::ClaimedRun;
use crate::run_folder::checkpoints_of;

/// A run at its newest checkpoint, or at its beginning.
///
/// # Errors
/// If no checkpoint is of use, or the data are not there.
pub(super) fn training<T: Element>(
    run: &ClaimedRun,
    data: Option<&Path>,
) -> anyhow::Result<Training<T>> {
    let goes_on = !checkpoints_of(&run.folder)?.is_empty();
    at_newest(run, Start::new(&run.experiment, (&run.origin, data), goes_on)?)
}

/// The network that is trained, as it is there, and where that is, such as `after epoch 3`.
///
/// # Errors
/// If no checkpoint is of use.
pub(crate) fn network<T: Element>(
    run: &ClaimedRun,
    start: Start<T>,
) -> anyhow::Result<(Network<T>, String)> {
    let training = at_newest(run, start)?;
    Ok((training.state.trainer.network().clone(), training.state.progress.text()))
}

fn at_newest<T: Element>(run: &ClaimedRun, start: Start<T>) -> anyhow::Result<Training<T>> {
    let mut training = Training::new(start)?;
    let Training { experiment, data, state, .. } = &mut training;
    let identity = Identity { experiment, origin: &run.origin, data };
    checkpoint::resume(&run.folder, &identity, usize::MAX, state)?;
    Ok(training)
}
