//! Files of a run from bytes, read by the functions that read them from the disk: for
//! [`crate::fuzzing`].

use anyhow::{Context, ensure};
use layers::{Epoch, EpochRun, Epochs, Trainer, load_trainer_and_best, save_trainer_and_best};
use tensor::Element;

use super::checkpoint::{Checkpoint, Identity};
use super::failure::Failure;
use super::verify::lines_of;
use crate::dataset::Digests;
use crate::experiment::{Experiment, Origin, Precision, build};
use crate::input::Input;
use crate::weights_file::WeightsFile;

/// Goes on from a checkpoint with the experiment and the data that it says it is of, as far as it
/// can be done without these data; the networks are built only if `fits` says so. The checksum is
/// made right beforehand: otherwise all but unchanged files would end there.
///
/// # Errors
/// If it is none to go on from.
pub(crate) fn checkpoint(
    bytes: &[u8],
    samples: usize,
    fits: impl Fn(&Experiment) -> bool,
) -> anyhow::Result<()> {
    let mut bytes = bytes.to_owned();
    super::checkpoint::seal(&mut bytes)?;
    let weights = WeightsFile::of(Input::of_bytes(&bytes))?;
    let checkpoint = Checkpoint::of("checkpoint".into(), weights)?;
    let experiment = checkpoint.experiment()?;
    ensure!(fits(&experiment), "expected a small network");
    match experiment.precision {
        Precision::F32 => go_on::<f32>(&checkpoint, &experiment, samples),
        Precision::F64 => go_on::<f64>(&checkpoint, &experiment, samples),
    }
}

fn go_on<T: Element>(
    checkpoint: &Checkpoint,
    experiment: &Experiment,
    samples: usize,
) -> anyhow::Result<()> {
    let origin = Origin::preset("checkpoint");
    let data = Digests::from_metadata(&checkpoint.metadata)?.context("no data")?;
    checkpoint.check_identity(&Identity { experiment, origin: &origin, data: &data })?;
    let (progress, _) = checkpoint.progress()?;
    let networks = build::networks::<T>(experiment, &origin)?;
    let batches = build::Batches::of(experiment, samples);
    build::check(experiment, &origin, &networks, batches)?;
    let network = networks.into_iter().next().context("no network")?;
    let mut trainer = Trainer::new(network, build::trainer_config(experiment, samples));
    let best = checkpoint.load(&mut trainer, &progress, experiment)?;
    let begun = progress.epoch.read().context("no such step")?;
    let epochs = Epochs::new(experiment.epochs.get(), experiment.learning_rate)
        .schedule(experiment.schedule.clone())
        .shuffle(experiment.shuffle);
    let mut epochs: Box<dyn Iterator<Item = Epoch>> = Box::new(epochs.skip(progress.epochs));
    let epoch = epochs.next().context("no such epoch")?;
    EpochRun::new(&epoch, &trainer, samples).resume(begun).context("no such step")?;
    // What was read can be written, and read again.
    let written = save_trainer_and_best(&trainer, best.as_ref(), &[])?;
    let mut again = best.clone();
    load_trainer_and_best(&mut trainer, again.as_mut(), &written)?;
    assert_eq!(save_trainer_and_best(&trainer, again.as_ref(), &[])?, written);
    Ok(())
}

/// Reads a text as `metrics.jsonl` and as `failure.json`.
pub(crate) fn records(text: &str) -> [anyhow::Result<()>; 2] {
    let failure = Failure::of(text).map(|failure| assert!(!failure.to_string().is_empty()));
    let lines = lines_of(text).map(|(lines, _)| {
        // Of what can be read, all can be told.
        lines.iter().for_each(|line| assert!(line.best_known().interval()[0] <= 1.0));
    });
    [lines, failure]
}
