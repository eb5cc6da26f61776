use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::{Common, ExperimentFlags, Overrides};

/// Trains a network
///
/// The run's folder has the whole experiment, the metrics of each epoch, a summary and the
/// model, which `evaluate`, `compare` and `inspect` read.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Flags {
    #[command(flatten)]
    pub chosen: ExperimentFlags,
    /// Four IDX files named as MNIST's, .gz or not, or PNG images as train/CLASS/*.png and
    /// test/CLASS/*.png [default: the digits of MNIST]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The run's folder [default: runs/PRESET-SEED-NUMBER]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the lines of metrics.jsonl and nothing else
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub overrides: Overrides,
}

pub(super) fn run(flags: &Flags, start: Instant) -> anyhow::Result<()> {
    crate::train::run(flags, start)
}
