//! `verify`: whether a run is what its files say.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::Common;
use super::flags::count;
use crate::experiment::Precision;
use crate::threads::ThreadCount;
use crate::train::{ClaimedRun, VerifyOptions, verify};

/// Trains a run again, and tells whether it comes to what its files claim
///
/// Nothing in the run's folder is changed. Of each epoch the digest of the weights, the errors, the
/// counts and the receipt are compared; after a difference it goes on. Of a committee, each member
/// is trained again, and votes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// the folder of a run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Stop after epoch K; begin at the newest checkpoint before it, if there is one
    #[arg(long, value_name = "K", value_parser = count, allow_negative_numbers = true)]
    epoch: Option<NonZeroUsize>,
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
    let run = ClaimedRun::read(&flags.run)?;
    let options = VerifyOptions {
        data: flags.data.clone(),
        last: flags.epoch.map(NonZeroUsize::get),
        json: flags.json,
        quiet: flags.common.quiet,
    };
    ThreadCount::of(flags.common.threads)?.share(run.experiment.shards(), || {
        match run.experiment.precision {
            Precision::F32 => verify::<f32>(&run, &options),
            Precision::F64 => verify::<f64>(&run, &options),
        }
    })
}
