//! What is built from an experiment, and whether its settings go together.

mod batches;
mod consistency;
mod initial_weights;
mod loss;
mod networks;
mod open;
mod precision;

use anyhow::Context;
use layers::TrainerConfig;

use super::{Experiment, Origin, Weighting};
use crate::dataset::DataSource;

pub(crate) use batches::Batches;
pub(crate) use consistency::check;
pub(crate) use initial_weights::{InitialWeights, require_classes, set_initial_weights};
pub(crate) use loss::refuse_loss;
pub(crate) use networks::networks;
pub use networks::parameters;
pub(crate) use open::{choose_form, fill};

/// The settings of a trainer: no batch is larger than the data, and no shard than a batch.
pub(crate) fn trainer_config(experiment: &Experiment, samples: usize) -> TrainerConfig {
    let batches = Batches::of(experiment, samples);
    let (batch_size, shard_size) = (batches.batch_size(), batches.shard_size());
    let Experiment { optimizer, clip_norm, average, seed, .. } = *experiment;
    let loss = experiment.loss.clone();
    let class_weights = experiment.class_weights.as_ref().and_then(Weighting::given).cloned();
    TrainerConfig {
        loss,
        class_weights,
        optimizer,
        batch_size,
        shard_size,
        clip_norm,
        average,
        seed,
    }
}

/// The images that the flag `--data` or the experiment names; MNIST if neither does.
///
/// # Errors
/// If there are none; the message names the line of the experiment's file.
pub(crate) fn data_source(
    flag: Option<&std::path::Path>,
    experiment: &Experiment,
    origin: &Origin,
) -> anyhow::Result<DataSource> {
    let source = DataSource::of(flag, experiment.data_path());
    match (flag, experiment.data_path()) {
        (None, Some(_)) => source.with_context(|| origin.line(&["data".into()])),
        _ => source,
    }
}
