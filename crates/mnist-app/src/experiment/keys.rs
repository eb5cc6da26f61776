//! The keys of an experiment.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ValueEnum;
use layers::{Init, Loss, Optimizer, Schedule};
use serde::{Deserialize, Serialize};

use super::networks::Networks;
use super::values;
use crate::augmentation::Augmentation;

/// What to train, on how much data, and how.
///
/// Batch and shard size are part of it, the number of threads is not: it changes no bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The first part of the name of a run's folder; of a file without one, the file's.
    #[serde(default, deserialize_with = "values::name")]
    pub name: String,
    /// What it is for, in a sentence.
    #[serde(default)]
    pub description: String,
    /// From which all random numbers are drawn.
    #[serde(default)]
    pub seed: u64,
    /// Of all numbers of the network.
    #[serde(default)]
    pub precision: Precision,
    /// The folder of the images, as `--data` names it; those of MNIST if absent.
    #[serde(default, deserialize_with = "values::path", skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// The names of the classes, in the order of the labels, of data that have none: IDX files.
    #[serde(
        default,
        deserialize_with = "values::classes",
        skip_serializing_if = "Option::is_none"
    )]
    pub classes: Option<Vec<String>>,
    /// How many of the images for training are used, from the first on; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<NonZeroUsize>,
    /// The same for the images for testing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_limit: Option<NonZeroUsize>,
    /// How often all training images are seen.
    pub epochs: NonZeroUsize,
    /// The fraction of the test images, such as 0.85, at which training stops: after the first
    /// epoch that gets so many right, a committee after the first member with which it does.
    #[serde(
        default,
        deserialize_with = "values::accuracy",
        skip_serializing_if = "Option::is_none"
    )]
    pub target_accuracy: Option<f64>,
    /// Images of one step.
    pub batch_size: NonZeroUsize,
    /// Images that run through the network together, on one thread.
    pub shard_size: NonZeroUsize,
    /// Whether each epoch has an order of its own; else it is that of the files.
    pub shuffle: bool,
    /// Of the optimizer; with a schedule, the largest.
    #[serde(deserialize_with = "values::learning_rate")]
    pub learning_rate: f64,
    /// How the learning rate changes from step to step over all epochs.
    #[serde(default)]
    pub schedule: Schedule,
    /// The largest norm of a step's gradient, all parameters together: a longer one is
    /// shortened to it. As long as it is if absent.
    #[serde(
        default,
        deserialize_with = "values::clip_norm",
        skip_serializing_if = "Option::is_none"
    )]
    pub clip_norm: Option<f64>,
    /// What the moving average of the parameters keeps at each step, such as 0.999. It is
    /// the averaged network then that is tested and written, with running statistics that are
    /// measured for it over all training images, which takes about a third of an epoch after
    /// each one. No average if absent.
    #[serde(
        default,
        deserialize_with = "values::average",
        skip_serializing_if = "Option::is_none"
    )]
    pub average: Option<f64>,
    /// What is minimised.
    pub loss: Loss,
    /// How gradients change weights.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// How the weights are drawn at the start.
    pub init: Init,
    /// A safetensors file of weights to start from instead.
    #[serde(default, deserialize_with = "values::path", skip_serializing_if = "Option::is_none")]
    pub initial_weights: Option<PathBuf>,
    /// Whether the run ends with the errors of the first 20 test images, as the
    /// notebook does.
    #[serde(default)]
    pub notebook_report: bool,
    /// How many networks learn, each from a seed of its own, from `seed` on, to answer
    /// together: the geometric mean of their probabilities. If absent, as many as there
    /// are in `networks`, and no committee if that is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committee: Option<NonZeroUsize>,
    /// How training images are deformed; not at all if absent. A network may have an
    /// augmentation of its own, for the images of the members that take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
    /// The layers; of several networks the members of the committee take one each, in turn.
    #[serde(rename = "network")]
    pub networks: Networks,
}

/// The floating-point numbers that a network is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits; what is tuned for speed.
    #[default]
    F32,
    /// 64 bits.
    F64,
}

/// The largest seed: TOML has no larger whole numbers.
pub const LARGEST_SEED: u64 = i64::MAX as u64;

impl Experiment {
    /// Gives each of several networks a seat in the committee.
    pub(super) fn seat(&mut self) -> Result<(), String> {
        let networks = self.networks.all().len();
        let members = self.committee.map_or(networks, NonZeroUsize::get);
        if members < networks {
            return Err(format!(
                "expected at least {networks} members, one for each network, found {members}"
            ));
        }
        if networks > 1 {
            self.committee = NonZeroUsize::new(members);
        }
        if self.committee.is_none() {
            // What the only network says of its images is said of all.
            *self = self.member(1);
        }
        Ok(())
    }

    /// The run of a member of the committee, counted from 1: with a seed and a network of
    /// its own, with the augmentation that its network asks for, and no committee, whose target
    /// is not its own. Seeds start again after the largest.
    ///
    /// # Panics
    /// If `number` is 0.
    #[track_caller]
    pub fn member(&self, number: usize) -> Self {
        let seed = self.seed.wrapping_add(number as u64 - 1) & LARGEST_SEED;
        let networks = self.networks.of_member(number).clone().into();
        let augmentation = self.networks.augmentation_of_member(number).or(self.augmentation);
        let target_accuracy = self.target_accuracy.filter(|_| self.committee.is_none());
        let committee = None;
        Self { seed, networks, augmentation, committee, target_accuracy, ..self.clone() }
    }
}
