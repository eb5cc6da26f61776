//! A training run, from an experiment to the files that it leaves behind.
//!
//! `start` checks all that can be checked before the first step; `training` is the steps and tests
//! of one network, `run` the loop over its epochs and the files that it writes, and `committee` runs
//! one member after another; `metrics` is what they leave behind in numbers,
//! `report` what they print, and `progress` what a terminal shows on the way; `doctor` says
//! why a run does not go on, or does not learn, and `failure` is the file that says so.
//!
//! `stopping` says when a training ends before its last epoch, and which epoch is the best. `state` is
//! what training changes, `checkpoint` the file of it, and `pace` when one is due;
//! `resume` opens the folder of a run that goes on. `receipt` ties the lines of metrics together,
//! `verify` trains a run again and compares, and `replay` one that broke off, to see why; `newest` is
//! a run at its newest checkpoint.

mod checkpoint;
mod committee;
mod doctor;
mod failure;
mod from_bytes;
mod metrics;
mod newest;
mod pace;
mod progress;
mod receipt;
mod replay;
mod report;
mod resume;
mod run;
mod start;
mod state;
mod stopping;
mod training;
mod verify;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use tensor::Element;
use tensor::simd::Level;

use crate::console::Console;
use crate::dataset::{self, Parts};
use crate::escape::Escape;
use crate::experiment::{Experiment, Origin};
use crate::run_folder::{RunFolder, checkpoints_of};
use crate::signals::{self, Deferred};

use run::Run;

pub(crate) use committee::digest as committee_digest;
pub(crate) use failure::text as failure_text;
pub(crate) use from_bytes::{checkpoint as checkpoint_of_bytes, records as records_of_bytes};
pub(crate) use metrics::{EpochMetrics, Score};
pub(crate) use newest::network as newest_network;
pub(crate) use pace::Every;
pub(crate) use replay::{FailedRun, Options as ReplayOptions, replay};
pub(crate) use resume::{Changes, Resumption, contradicted, result_of};
pub(crate) use start::Start;
pub(crate) use verify::{ClaimedRun, Options as VerifyOptions, verify};

/// What a training needs beside its experiment; nothing of it changes a result.
#[derive(Debug)]
pub(crate) struct Options {
    /// Where the experiment is from.
    pub(crate) origin: Origin,
    /// The folder that `--data` names.
    pub(crate) data: Option<PathBuf>,
    /// The run's folder, if it is not to be a new one below `runs`.
    pub(crate) out: Option<PathBuf>,
    /// How often a checkpoint is asked for, beside those after epochs.
    pub(crate) every: Option<Every>,
    /// Whether standard output is for the lines of metrics alone.
    pub(crate) json: bool,
    /// Whether a report will be made.
    pub(crate) report: bool,
    /// Whether there is no progress bar.
    pub(crate) quiet: bool,
    /// When the process began.
    pub(crate) started: Instant,
    /// The vector instructions.
    pub(crate) simd: Level,
}

impl Options {
    /// Where the experiment and the data are from.
    fn source(&self) -> (&Origin, Option<&Path>) {
        (&self.origin, self.data.as_deref())
    }
}

/// A training that came to its end, whatever that is.
pub(crate) struct Ended {
    pub(crate) folder: RunFolder,
    /// Its images; of a committee none.
    pub(crate) parts: Option<Parts>,
    /// Why it broke off, or what was lost of what it writes or prints.
    pub(crate) result: anyhow::Result<()>,
    /// Of a single network signals stay deferred, so that its report can be made.
    pub(crate) deferred: Option<Deferred>,
}

/// Trains a network, or a committee of them; goes on in `resumed`, the folder of a run, if there is
/// one.
///
/// # Errors
/// If something that the experiment or the options name is not what it should be, so that nothing
/// began, or the training of a committee fails.
pub(crate) fn train<T: Element>(
    experiment: &Experiment,
    options: &Options,
    resumed: Option<RunFolder>,
) -> anyhow::Result<Ended> {
    let mut console = Console::default();
    let (folder, parts, result, deferred) = if experiment.committee.is_some() {
        let (folder, result) = committee::train::<T>(experiment, options, resumed, &mut console)?;
        (folder, None, result, None)
    } else {
        let start = Start::<T>::new(experiment, options.source(), goes_on(resumed.as_ref())?)?;
        dataset::tell(&start.train, start.validation.as_ref(), &start.test);
        let folder = match resumed {
            Some(folder) => folder,
            None => RunFolder::create(options.out.as_deref(), &start.experiment)?,
        };
        signals::set_folder(folder.path(), signals::LOADING);
        let mut run = Run::new(start, options, (folder, [1, 1]))?;
        let deferred = signals::defer();
        let outcome = run.train(&mut console);
        if let Some(outcome) = outcome.as_ref().ok().filter(|_| !options.json) {
            console.tell(run.conclusion(outcome));
        }
        let result = outcome.and_then(|outcome| outcome.unwritten.map_or(Ok(()), Err));
        let (folder, parts) = run.into_parts();
        (folder, Some(parts), result, Some(deferred))
    };
    let printed = console.result().with_context(|| {
        format!(
            "{}: the run is complete, but not all of its output was printed",
            folder.path().escaped()
        )
    });
    Ok(Ended { folder, parts, result: result.and(printed), deferred })
}

/// Whether a run has checkpoints.
fn goes_on(folder: Option<&RunFolder>) -> anyhow::Result<bool> {
    let checkpoints = folder.map(|folder| checkpoints_of(folder.path()));
    Ok(checkpoints.transpose()?.is_some_and(|checkpoints| !checkpoints.is_empty()))
}
