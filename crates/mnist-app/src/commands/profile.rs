use std::num::NonZeroUsize;
use std::time::Instant;

use clap::Args;

use super::flags::{count, whole_number};
use super::{Common, ExperimentFlags, Overrides};
use crate::experiment::Precision;

/// Measures each layer of a network, forward and backward
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    #[command(flatten)]
    pub chosen: ExperimentFlags,
    /// Measurements of each line [default: 200]
    #[arg(long, value_name = "N", value_parser = repetitions, allow_negative_numbers = true)]
    pub repetitions: Option<NonZeroUsize>,
    /// Print a JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,
    /// Images of one step
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    batch_size: Option<NonZeroUsize>,
    /// Images that run through the network together
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    shard_size: Option<NonZeroUsize>,
    /// The numbers of the network
    #[arg(long)]
    precision: Option<Precision>,
    #[command(flatten)]
    pub common: Common,
}

impl Flags {
    pub(crate) fn overrides(&self) -> Overrides {
        let Self { batch_size, shard_size, precision, .. } = *self;
        Overrides { batch_size, shard_size, precision, ..Overrides::default() }
    }
}

fn repetitions(text: &str) -> Result<NonZeroUsize, String> {
    whole_number(text, 1_000_000)
}

pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    crate::profile::run(flags)
}
