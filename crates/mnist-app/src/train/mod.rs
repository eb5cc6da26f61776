//! A training run, from an experiment to the files that it leaves behind.
//!
//! `start` checks all that can be checked before the first step; `run` is the loop over epochs,
//! and `committee` runs one member after another; `metrics` is what they leave behind in numbers,
//! `report` what they print, and `progress` what a terminal shows on the way; `doctor` says why a
//! run does not go on, or does not learn.

mod committee;
mod doctor;
mod metrics;
mod progress;
mod report;
mod run;
mod start;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use tensor::Element;
use tensor::simd::Level;

use crate::console::Console;
use crate::dataset;
use crate::escape::Escape;
use crate::experiment::{Experiment, Origin};

use run::Run;
use start::Start;

pub(crate) use committee::digest as committee_digest;

/// What a training needs beside its experiment; nothing of it changes a result.
#[derive(Debug)]
pub(crate) struct Options {
    /// Where the experiment is from.
    pub(crate) origin: Origin,
    /// The folder that `--data` names.
    pub(crate) data: Option<PathBuf>,
    /// The run's folder, if it is not to be a new one below `runs`.
    pub(crate) out: Option<PathBuf>,
    /// Whether standard output is for the lines of metrics alone.
    pub(crate) json: bool,
    /// Whether there is no progress bar.
    pub(crate) quiet: bool,
    /// When the process began.
    pub(crate) started: Instant,
    /// The vector instructions.
    pub(crate) simd: Level,
}

/// Trains a network, or a committee of them.
///
/// # Errors
/// If something that the experiment or the options name is not what it should be, the training
/// fails, or some of what it writes or prints is lost.
pub(crate) fn train<T: Element>(experiment: &Experiment, options: &Options) -> anyhow::Result<()> {
    let mut console = Console::default();
    let folder = if experiment.committee.is_some() {
        committee::train::<T>(experiment, options, &mut console)?
    } else {
        let start = Start::<T>::new(experiment, options)?;
        dataset::tell(&start.train, &start.test);
        let mut run = Run::new(start, options, None)?;
        let outcome = run.train(&mut console)?;
        if !options.json {
            console.tell(run.conclusion(&outcome));
        }
        if let Some(error) = outcome.unwritten {
            return Err(error);
        }
        run.into_folder()
    };
    console.result().with_context(|| {
        format!(
            "{}: the run is complete, but not all of its output was printed",
            folder.path().escaped()
        )
    })
}
