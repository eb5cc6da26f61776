use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::{Common, ExperimentFlags, Overrides};
use crate::experiment::{Precision, absolute};
use crate::input::require_utf8;
use crate::threads::{self, ThreadCount};
use crate::train::{Options, train};

/// Trains a network
///
/// The run's folder has the whole experiment, the metrics of each epoch, a summary and the
/// model, which `evaluate`, `compare` and `inspect` read.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Flags {
    #[command(flatten)]
    pub(super) chosen: ExperimentFlags,
    /// Four IDX files named as MNIST's, .gz or not, or PNG images as train/CLASS/*.png and
    /// test/CLASS/*.png [default: the digits of MNIST]
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// The run's folder [default: runs/PRESET-SEED-NUMBER]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Print the lines of metrics.jsonl and nothing else
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    pub(super) overrides: Overrides,
}

pub(super) fn run(flags: &Flags, started: Instant) -> anyhow::Result<()> {
    let simd = threads::simd_level()?;
    let (mut experiment, origin) = flags.chosen.experiment(&flags.overrides)?;
    if let Some(folder) = &flags.data {
        experiment.data = Some(absolute(folder));
    }
    // Paths in a file were checked when it was read.
    let named = [("--data", &experiment.data), ("--init", &experiment.initial_weights)];
    for (flag, path) in named {
        path.iter().try_for_each(|path| require_utf8(flag, path))?;
    }
    let options = Options {
        origin,
        data: flags.data.clone(),
        out: flags.out.clone(),
        json: flags.json,
        quiet: flags.common.quiet,
        started,
        simd,
    };
    ThreadCount::of(flags.common.threads)?.share(experiment.shards(), || {
        match experiment.precision {
            Precision::F32 => train::<f32>(&experiment, &options),
            Precision::F64 => train::<f64>(&experiment, &options),
        }
    })
}
