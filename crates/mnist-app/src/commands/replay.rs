//! `replay`: the step at which a run broke off, once more.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::Common;
use crate::experiment::Precision;
use crate::threads::ThreadCount;
use crate::train::{FailedRun, ReplayOptions, replay};

/// Goes through the step at which a run broke off once more, layer by layer
///
/// It trains again, from the run's last checkpoint to that step; nothing in the run's folder is
/// changed. The exit status is 0 if the failure comes again, and 1 if it does not.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// the folder of a run that broke off
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Where the same data are now, if not where the run says
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    let failed = FailedRun::read(&flags.run)?;
    let experiment = &failed.run.experiment;
    let options =
        ReplayOptions { data: flags.data.clone(), json: flags.json, quiet: flags.common.quiet };
    ThreadCount::of(flags.common.threads)?.share(experiment.shards(), || {
        match experiment.precision {
            Precision::F32 => replay::<f32>(&failed, &options),
            Precision::F64 => replay::<f64>(&failed, &options),
        }
    })
}
