//! The keys of an experiment.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use layers::{Init, Loss, Optimizer, Schedule};
use serde::{Deserialize, Serialize};

use super::data::DataKeys;
use super::networks::Networks;
use super::values;
use super::weighting::Weighting;
use crate::augmentation::Augmentation;
use crate::preprocessing::{Broken, Colour, Form};

/// What to train, on how much data, and how.
///
/// Batch and shard size are part of it; the number of threads is not, since it changes no bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The first part of the name of a run's folder; by default the file's name.
    #[serde(default, deserialize_with = "values::name")]
    pub name: String,
    /// What it is for, in a sentence.
    #[serde(default)]
    pub description: String,
    /// The seed of all random numbers.
    #[serde(default)]
    pub seed: u64,
    /// The precision of the network's numbers.
    #[serde(default)]
    pub precision: Precision,
    /// Where the images are and their form; MNIST as it is if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataKeys>,
    /// The names of the classes, in the order of the labels, for data without names: IDX files.
    #[serde(
        default,
        deserialize_with = "values::classes",
        skip_serializing_if = "Option::is_none"
    )]
    pub classes: Option<Vec<String>>,
    /// Only the first so many training images are used; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<NonZeroUsize>,
    /// The same for the test images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_limit: Option<NonZeroUsize>,
    /// How many times training goes through all training images.
    pub epochs: NonZeroUsize,
    /// How many steps training takes at least: of few images there are more epochs. No least number
    /// if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_steps: Option<NonZeroUsize>,
    /// The accuracy on the validation images, or on the test images where there are no others, such
    /// as 0.85, at which training stops: after the first epoch that reaches it, or for a committee
    /// after the first member whose vote with the others does.
    #[serde(
        default,
        deserialize_with = "values::accuracy",
        skip_serializing_if = "Option::is_none"
    )]
    pub target_accuracy: Option<f64>,
    /// Training stops after so many epochs without a better accuracy on the validation images. It
    /// does not if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<NonZeroUsize>,
    /// The epoch whose network is kept.
    #[serde(default, skip_serializing_if = "Keep::is_last")]
    pub keep: Keep,
    /// Images of one step.
    pub batch_size: NonZeroUsize,
    /// Images that one thread runs through the network as a batch.
    pub shard_size: NonZeroUsize,
    /// Whether each epoch takes the images in a random order of its own, or in that of the files.
    pub shuffle: bool,
    /// The learning rate; with a schedule, its largest value.
    #[serde(deserialize_with = "values::learning_rate")]
    pub learning_rate: f64,
    /// How the learning rate changes from step to step over all epochs.
    #[serde(default)]
    pub schedule: Schedule,
    /// The largest norm of a step's gradient, over all parameters: a larger gradient is scaled down
    /// to it. No clipping if absent.
    #[serde(
        default,
        deserialize_with = "values::clip_norm",
        skip_serializing_if = "Option::is_none"
    )]
    pub clip_norm: Option<f64>,
    /// The decay of the moving average of the parameters, such as 0.999. The averaged network is
    /// then the one that is tested and written, with running statistics that are measured for it
    /// over all training images, which takes about a third of an epoch after each one. No average
    /// if absent.
    #[serde(
        default,
        deserialize_with = "values::average",
        skip_serializing_if = "Option::is_none"
    )]
    pub average: Option<f64>,
    /// What is minimised.
    pub loss: Loss,
    /// The weights of the classes, by which the losses of their samples are multiplied in training;
    /// all 1 if absent.
    #[serde(
        default,
        deserialize_with = "values::class_weights",
        skip_serializing_if = "Option::is_none"
    )]
    pub class_weights: Option<Weighting>,
    /// How gradients change weights.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// How the weights are drawn at the start.
    pub init: Init,
    /// A safetensors file of weights to start from instead.
    #[serde(default, deserialize_with = "values::path", skip_serializing_if = "Option::is_none")]
    pub initial_weights: Option<PathBuf>,
    /// The SHA-256 of that file. A run's `config.toml` has it, so that another file is not taken for
    /// the one that the run began with.
    #[serde(default, deserialize_with = "values::sha256", skip_serializing_if = "Option::is_none")]
    pub initial_weights_sha256: Option<String>,
    /// Whether the run ends with the errors of the first 20 test images, as the
    /// notebook does.
    #[serde(default)]
    pub notebook_report: bool,
    /// How many networks are trained, with the seeds from `seed` on, to vote by the geometric mean
    /// of their probabilities. If absent, as many as there are in `networks`, and no committee if
    /// that is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committee: Option<NonZeroUsize>,
    /// How training images are deformed; not at all if absent. A network may have an
    /// augmentation of its own, for the images of the members that take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
    /// The network; of several, the members of the committee take one each, in turn.
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

/// The epoch whose network a run keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The last one.
    #[default]
    Last,
    /// The one with the best accuracy on the validation images, and of several the one with the
    /// lowest error on them.
    Best,
}

impl Keep {
    fn is_last(&self) -> bool {
        *self == Self::Last
    }
}

/// The largest seed: TOML has no larger whole numbers.
pub const LARGEST_SEED: u64 = i64::MAX as u64;

impl Experiment {
    /// The folder of its images, if they are not MNIST.
    pub fn data_path(&self) -> Option<&Path> {
        self.data.as_ref().and_then(DataKeys::path)
    }

    /// Takes the images of another folder.
    pub fn set_data_path(&mut self, path: PathBuf) {
        self.data.get_or_insert_default().path = Some(path);
    }

    /// Leaves out files that cannot be read.
    pub fn skip_broken_files(&mut self) {
        self.data.get_or_insert_default().form.broken = Some(Broken::Skip);
    }

    /// The form of its pictures.
    pub fn form(&self) -> Form {
        self.data.as_ref().map(|data| data.form).unwrap_or_default()
    }

    /// Settles the form of its pictures.
    pub(crate) fn set_form(&mut self, form: Form) {
        self.data.get_or_insert_default().form = form;
    }

    /// Fills in what its networks leave to the data, which have images of this shape, `(C, H, W)`,
    /// of so many classes. With the input the form of the pictures is settled too, so that a part of
    /// the data that is read alone comes to the same.
    pub fn fill(&mut self, shape: [usize; 3], classes: usize) {
        if !self.networks.fill(shape, classes) {
            return;
        }
        let [channels, height, width] = shape;
        let form = &mut self.data.get_or_insert_default().form;
        form.size.get_or_insert([height, width]);
        form.colour.get_or_insert(if channels == 1 { Colour::Grey } else { Colour::Rgb });
    }

    /// Makes several networks a committee, with at least one member for each.
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
            // The augmentation of the only network is that of the experiment.
            *self = self.member(1);
        }
        Ok(())
    }

    /// The experiment of a member of the committee, counted from 1: it has its own seed, network
    /// and augmentation, and neither committee nor the committee's target. Seeds wrap around after
    /// the largest.
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
