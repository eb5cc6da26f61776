use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use clap::{ArgGroup, Args};

use super::flags::{count, seed};
use super::{Common, ExperimentFlags, Overrides};
use crate::experiment::Precision;

/// Shows what the layers make of the first training images, and what of the gradient comes
/// back to each
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(group = ArgGroup::new("network").args(["model", "preset", "config"]).required(true))]
pub struct Flags {
    /// a model.safetensors or the folder of a run; without one, the network of an experiment is
    /// shown as it is drawn at the start
    #[arg(value_name = "MODEL")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub chosen: ExperimentFlags,
    /// Other data than those that the model or the experiment is for
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// How many images [default: 256]
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub samples: Option<NonZeroUsize>,
    /// What the weights of an experiment are drawn from
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true, conflicts_with = "model")]
    pub seed: Option<u64>,
    /// The numbers of the network
    #[arg(long)]
    pub precision: Option<Precision>,
    /// Print a JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub common: Common,
}

impl Flags {
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides { seed: self.seed, ..Overrides::default() }
    }
}

pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    crate::inspect::run(flags)
}
