use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::{Common, ExperimentFlags, Overrides};
use crate::console::Console;
use crate::experiment::{Precision, absolute};
use crate::input::require_utf8;
use crate::signals;
use crate::threads::{self, ThreadCount};
use crate::train::{Changes, Every, Options, Resumption, result_of, train};

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
    /// Go on with the run in this folder, from its last checkpoint, to the same numbers; beside it
    /// only --threads, --epochs, --target-accuracy, --checkpoint-every, --data, --json and --quiet
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = [
            "preset", "config", "out", "batch_size", "shard_size", "learning_rate", "seed",
            "train_limit", "test_limit", "precision", "init",
        ]
    )]
    pub(super) resume: Option<PathBuf>,
    /// Write a checkpoint every N steps, N seconds (Ns) or N minutes (Nm), beside those after
    /// epochs
    #[arg(long, value_name = "N", value_parser = every, allow_negative_numbers = true)]
    pub(super) checkpoint_every: Option<Every>,
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
    signals::install()?;
    let (mut experiment, origin, resumed) = match &flags.resume {
        None => {
            let (experiment, origin) = flags.chosen.experiment(&flags.overrides)?;
            (experiment, origin, None)
        }
        Some(folder) => {
            let Overrides { epochs, target_accuracy, .. } = flags.overrides;
            let changes = Changes { epochs, target_accuracy };
            let resumption = Resumption::open(folder);
            // Of a run that has ended, the folder may be one that cannot be written.
            if let Some(result) = result_of(folder, &changes, flags.json)? {
                return Console::default().print(result);
            }
            let mut resumption = resumption?;
            signals::set_folder(folder);
            resumption.change(&changes)?;
            let Resumption { folder, experiment, origin } = resumption;
            (experiment, origin, Some(folder))
        }
    };
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
        every: flags.checkpoint_every,
        json: flags.json,
        quiet: flags.common.quiet,
        started,
        simd,
    };
    ThreadCount::of(flags.common.threads)?.share(experiment.shards(), || {
        match experiment.precision {
            Precision::F32 => train::<f32>(&experiment, &options, resumed),
            Precision::F64 => train::<f64>(&experiment, &options, resumed),
        }
    })
}

fn every(text: &str) -> Result<Every, String> {
    Every::parse(text).ok_or_else(|| Every::EXPECTED.into())
}
