//! Flags that several commands have, and how their values are read.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::experiment::{self, Experiment, Origin, Precision, absolute};
use crate::{presets, threads};

/// The flags of every command that works on networks.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Common {
    /// How many threads to use: they change the speed, not the numbers [default: one for each
    /// processor; `profile`: 1]
    #[arg(long, value_name = "N", value_parser = thread_count, allow_negative_numbers = true)]
    pub threads: Option<NonZeroUsize>,
    /// Print only results and errors: no progress, no warnings of a training, and of
    /// other commands no notes about the data
    #[arg(long)]
    pub quiet: bool,
}

/// The flags that choose an experiment.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ExperimentFlags {
    /// A built-in experiment; `mnist-app presets` lists them [default: notebook]
    #[arg(long, value_name = "NAME", value_parser = preset_names())]
    pub preset: Option<String>,
    /// An experiment of your own, in TOML as the presets are
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    pub config: Option<PathBuf>,
}

impl ExperimentFlags {
    /// The experiment, with what the other flags change in it, and where it is from.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn experiment(&self, overrides: &Overrides) -> anyhow::Result<(Experiment, Origin)> {
        self.experiment_or(presets::DEFAULT, overrides)
    }

    /// The same; the preset `default` where neither a preset nor a file is named.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn experiment_or(
        &self,
        default: &str,
        overrides: &Overrides,
    ) -> anyhow::Result<(Experiment, Origin)> {
        let (mut experiment, origin) = match &self.config {
            Some(file) => Experiment::read_with_origin(file)?,
            None => {
                let name = self.preset.as_deref().unwrap_or(default);
                (presets::experiment(name)?, Origin::preset(name))
            }
        };
        overrides.apply(&mut experiment);
        Ok((experiment, origin))
    }
}

/// The flags that change an experiment.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Overrides")]
pub struct Overrides {
    /// How many times to go through all training images
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub epochs: Option<NonZeroUsize>,
    /// Stop after the first epoch that gets this fraction of the validation images right, or of the
    /// test images where there are no others
    #[arg(long, value_name = "P", value_parser = accuracy, allow_negative_numbers = true)]
    pub target_accuracy: Option<f64>,
    /// Images in a batch: one training step
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub batch_size: Option<NonZeroUsize>,
    /// Images that one thread runs through the network as a batch
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub shard_size: Option<NonZeroUsize>,
    /// The learning rate, instead of the experiment's
    #[arg(long, value_name = "X", value_parser = learning_rate, allow_negative_numbers = true)]
    pub learning_rate: Option<f64>,
    /// The seed of all random numbers
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Use only the first N training images
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub train_limit: Option<NonZeroUsize>,
    /// Use only the first N test images
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub test_limit: Option<NonZeroUsize>,
    /// The type of the network's numbers
    #[arg(long)]
    pub precision: Option<Precision>,
    /// Start from the weights of a safetensors file
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
}

impl Overrides {
    fn apply(&self, experiment: &mut Experiment) {
        fn set<T: Copy>(target: &mut T, value: Option<T>) {
            *target = value.unwrap_or(*target);
        }
        set(&mut experiment.epochs, self.epochs);
        if self.epochs.is_some() {
            experiment.min_steps = None;
        }
        set(&mut experiment.batch_size, self.batch_size);
        set(&mut experiment.shard_size, self.shard_size);
        set(&mut experiment.learning_rate, self.learning_rate);
        set(&mut experiment.seed, self.seed);
        set(&mut experiment.precision, self.precision);
        experiment.target_accuracy = self.target_accuracy.or(experiment.target_accuracy);
        experiment.train_limit = self.train_limit.or(experiment.train_limit);
        experiment.test_limit = self.test_limit.or(experiment.test_limit);
        let init = self.init.as_deref().map(absolute);
        if init.is_some() {
            experiment.initial_weights_sha256 = None;
        }
        experiment.initial_weights = init.or(experiment.initial_weights.take());
    }
}

/// A parsed value, or what was expected.
type Value<T> = Result<T, String>;

/// The parser of a preset's name.
pub(super) fn preset_names() -> PossibleValuesParser {
    PossibleValuesParser::new(presets::names())
}

/// A whole number from 1 on. No more than TOML can hold, so that every experiment can be
/// written down.
pub(super) fn count(text: &str) -> Value<NonZeroUsize> {
    whole_number(text, usize::try_from(i64::MAX).unwrap_or(usize::MAX))
}

fn thread_count(text: &str) -> Value<NonZeroUsize> {
    whole_number(text, threads::MOST)
}

/// A whole number from 1 to `most`.
pub(super) fn whole_number(text: &str, most: usize) -> Value<NonZeroUsize> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= most);
    number.ok_or_else(|| format!("a whole number from 1 to {most}"))
}

/// A seed of random numbers.
pub(super) fn seed(text: &str) -> Value<u64> {
    let seed = text.parse().ok().filter(|&seed| seed <= experiment::LARGEST_SEED);
    seed.ok_or_else(|| format!("a whole number from 0 to {}", experiment::LARGEST_SEED))
}

fn learning_rate(text: &str) -> Value<f64> {
    let rate = text.parse().ok().filter(|&rate| experiment::is_learning_rate(rate));
    rate.ok_or_else(|| experiment::LEARNING_RATE.into())
}

fn accuracy(text: &str) -> Value<f64> {
    let fraction = text.parse().ok().filter(|&fraction| experiment::is_accuracy(fraction));
    fraction.ok_or_else(|| experiment::ACCURACY.into())
}
