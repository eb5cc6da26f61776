//! The definition of a training run: everything that decides which numbers come out.
//!
//! It is one TOML file, whether built in (see [`crate::presets`]), written by hand, or
//! left behind by a run as `config.toml`.

mod complaint;
pub(crate) mod consistency;
mod narrow;
pub(crate) mod place;
mod reading;

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use layers::{Init, Loss, Optimizer, Schedule};
use serde::de::{self, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

use toml::de::DeTable;

pub use self::complaint::ParseError;
pub(crate) use self::complaint::line_at;
use self::consistency::Cut;
use crate::augmentation::Augmentation;
use crate::input::Input;
use crate::memory;
use crate::networks::Networks;
use crate::printable::{Shown, require_utf8};

/// What to train, on how much data, and how.
///
/// Batch and shard size are part of it, the number of threads is not: it changes no bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The first part of the name of a run's folder; of a file without one, the file's.
    #[serde(default, deserialize_with = "name")]
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
    #[serde(default, deserialize_with = "path", skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// The names of the classes, in the order of the labels, of data that have none: IDX files.
    #[serde(default, deserialize_with = "classes", skip_serializing_if = "Option::is_none")]
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
    #[serde(default, deserialize_with = "accuracy", skip_serializing_if = "Option::is_none")]
    pub target_accuracy: Option<f64>,
    /// Images of one step.
    pub batch_size: NonZeroUsize,
    /// Images that run through the network together, on one thread.
    pub shard_size: NonZeroUsize,
    /// Whether each epoch has an order of its own; else it is that of the files.
    pub shuffle: bool,
    /// Of the optimizer; with a schedule, the largest.
    #[serde(deserialize_with = "learning_rate")]
    pub learning_rate: f64,
    /// How the learning rate changes from step to step over all epochs.
    #[serde(default)]
    pub schedule: Schedule,
    /// The largest norm of a step's gradient, all parameters together: a longer one is
    /// shortened to it. As long as it is if absent.
    #[serde(default, deserialize_with = "clip_norm", skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// What the moving average of the parameters keeps at each step, such as 0.999. It is
    /// the averaged network then that is tested and written, with running statistics that are
    /// measured for it over all training images, which takes about a third of an epoch after
    /// each one. No average if absent.
    #[serde(default, deserialize_with = "average", skip_serializing_if = "Option::is_none")]
    pub average: Option<f64>,
    /// What is minimised.
    pub loss: Loss,
    /// How gradients change weights.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// How the weights are drawn at the start.
    pub init: Init,
    /// A safetensors file of weights to start from instead.
    #[serde(default, deserialize_with = "path", skip_serializing_if = "Option::is_none")]
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

impl Experiment {
    /// The experiment in a file.
    ///
    /// # Errors
    /// If the file cannot be read or is no experiment; the message names file, line and
    /// key.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let file = path.shown();
        let text = text_of(path).with_context(|| format!("--config {file}"))?;
        let mut experiment =
            Self::parse(&text).map_err(|error| anyhow!("--config {file}{error}"))?;
        if experiment.name.is_empty() {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let kept = |c: char| if in_name(c) && c != '.' { c } else { '-' };
            experiment.name = stem.chars().map(kept).collect();
        }
        // A relative path starts where the file is.
        let folder = path.parent().unwrap_or(Path::new(""));
        let Self { data, initial_weights, .. } = &mut experiment;
        for (key, path) in [("data", data), ("initial_weights", initial_weights)] {
            let Some(path) = path else { continue };
            *path = absolute(&folder.join(&*path));
            require_utf8(key, path).with_context(|| format!("--config {file}"))?;
        }
        Ok(experiment)
    }

    /// The experiment in a text.
    ///
    /// # Errors
    /// If it is none; the message names line and key.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let tree = DeTable::parse(text).map_err(|error| ParseError::syntax(text, &error))?;
        let experiment: Result<Self, _> = reading::read(&tree);
        let mut experiment = experiment.map_err(|complaint| ParseError::new(text, &complaint))?;
        experiment.seat().map_err(|complaint| {
            let start = tree.get_ref().get("committee").map_or(0, |value| value.span().start);
            ParseError::at(text, start, &format!("committee: {complaint}"))
        })?;
        Ok(experiment)
    }

    /// Gives each of several networks a seat in the committee.
    fn seat(&mut self) -> Result<(), String> {
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

    /// Into how many shards a batch is cut, as far as that is known before the images are.
    pub(crate) fn shards(&self) -> usize {
        let samples = self.train_limit.map_or(usize::MAX, NonZeroUsize::get);
        let cut = Cut::of(self, samples);
        cut.batch_size().div_ceil(cut.shard_size())
    }

    /// The same as it runs on so many images for training and testing: what asks for more images
    /// than there are gets those that there are, so that what is written down is what ran.
    pub(crate) fn effective(&self, train: usize, test: usize) -> Self {
        let cut = Cut::of(self, train);
        let whole = |count| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
        let at_most =
            |limit: Option<NonZeroUsize>, count| limit.map(|limit| limit.min(whole(count)));
        Self {
            batch_size: whole(cut.batch_size()),
            shard_size: whole(cut.shard_size()),
            train_limit: at_most(self.train_limit, train),
            test_limit: at_most(self.test_limit, test),
            ..self.clone()
        }
    }

    /// The experiment as [`Experiment::parse`] takes it.
    ///
    /// # Errors
    /// If something in it has no place in TOML.
    pub fn to_toml(&self) -> anyhow::Result<String> {
        toml::to_string_pretty(self).context("experiment")
    }
}

/// The path from the root, so that a run's `config.toml` means the same wherever it is read.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The text of an experiment in a file, if there is the memory to read what it says.
///
/// # Errors
/// If there is no such file or not so much memory, or the file is longer than it can
/// reasonably be.
pub(crate) fn text_of(path: &Path) -> anyhow::Result<String> {
    /// What a byte of the text becomes at the most: a table of a key or two takes 3 KiB.
    const MOST_BECOME: u64 = 512;
    let text = Input::text(path, MOST_BYTES)?;
    let what = format!("to read a text of {} bytes", text.len());
    memory::ask(&what, text.len() as u64 * MOST_BECOME, "choose a shorter one")?;
    Ok(text)
}

/// The longest text of an experiment: a thousand times that of a preset.
pub(crate) const MOST_BYTES: usize = 1 << 20;

/// The largest seed: TOML has no larger whole numbers.
pub const LARGEST_SEED: u64 = i64::MAX as u64;

/// A label of an IDX file is a byte.
const MOST_CLASSES: usize = 256;

/// What a learning rate is.
pub(crate) const LEARNING_RATE: &str = "a finite number, not negative";

/// Whether a rate can be one.
pub(crate) fn is_learning_rate(rate: f64) -> bool {
    rate.is_finite() && rate >= 0.0
}

fn learning_rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let rate = f64::deserialize(deserializer)?;
    if is_learning_rate(rate) {
        return Ok(rate);
    }
    Err(de::Error::invalid_value(Unexpected::Float(rate), &LEARNING_RATE))
}

fn clip_norm<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    optional(deserializer, "a finite number above 0", |x| x > 0.0 && x.is_finite())
}

/// What a target is.
pub(crate) const ACCURACY: &str = "a fraction from 0 to 1, such as 0.85 for 85 %";

/// Whether a fraction can be one.
pub(crate) fn is_accuracy(fraction: f64) -> bool {
    (0.0..=1.0).contains(&fraction)
}

fn accuracy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    optional(deserializer, ACCURACY, is_accuracy)
}

fn average<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    optional(deserializer, "a number from 0 to less than 1", |x| (0.0..1.0).contains(&x))
}

fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &str,
    fits: impl Fn(f64) -> bool,
) -> Result<Option<f64>, D::Error> {
    let found = f64::deserialize(deserializer)?;
    if fits(found) {
        return Ok(Some(found));
    }
    Err(de::Error::invalid_value(Unexpected::Float(found), &expected))
}

fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    if path.as_os_str().is_empty() {
        return Err(de::Error::invalid_value(Unexpected::Str(""), &"path string"));
    }
    Ok(Some(path))
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name.chars().all(in_name) && !name.starts_with('.') {
        return Ok(name);
    }
    let expected = &"letters, digits, '-', '_' and '.', the first of them no '.'";
    Err(de::Error::invalid_value(Unexpected::Str(&name), expected))
}

fn classes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let refuse = |expected: &str, found: &str| {
        Err(de::Error::custom(format!("expected {expected}, found {found}")))
    };
    if names.is_empty() || names.len() > MOST_CLASSES {
        let expected = format!("from 1 to {MOST_CLASSES} names");
        return refuse(&expected, &names.len().to_string());
    }
    if let Some(name) = names.iter().find(|name| name.is_empty() || name.contains(char::is_control))
    {
        let expected = "names with at least one character and no control characters";
        return refuse(expected, &format!("{name:?}"));
    }
    let mut seen = HashSet::new();
    if let Some(name) = names.iter().find(|name| !seen.insert(name.as_str())) {
        return refuse("each name once", &format!("{name:?} twice"));
    }
    Ok(Some(names))
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || "-_.".contains(c)
}

#[cfg(test)]
mod tests {
    use super::Experiment;
    use crate::presets;

    fn complaint(change: impl Fn(&str) -> String) -> String {
        let text = presets::text("notebook").unwrap();
        Experiment::parse(&change(text)).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for name in presets::names() {
            let experiment = presets::experiment(name).unwrap();
            let text = experiment.to_toml().unwrap();
            assert_eq!(Experiment::parse(&text), Ok(experiment), "{text}");
        }
    }

    #[test]
    fn members_take_seeds_and_networks_in_turn() {
        let preset = presets::text("notebook").unwrap();
        let (keys, network) = preset.split_at(preset.find("[network]").unwrap());
        let [one, mut other] = [network, &network.replace("outputs = 100", "outputs = 50")]
            .map(|network| network.replace("[network]", "[[network]]"));
        other += "\n[network.augmentation]\nshift = 1.0\n";
        let parse = |text: String| Experiment::parse(&text).unwrap();
        // An array of one is the one, and no committee.
        assert_eq!(parse(format!("{keys}{one}")), parse(preset.into()));
        assert_eq!(parse(preset.into()).committee, None);
        let two = parse(format!("{keys}{one}{other}"));
        assert_eq!(two.committee.map(usize::from), Some(2));
        let five = parse(format!("committee = 5\n{keys}{one}{other}"));
        assert_eq!(five.committee.map(usize::from), Some(5));
        for (number, network) in [(1, &one), (2, &other), (3, &one), (4, &other), (5, &one)] {
            let mut expected = parse(format!("{keys}{network}"));
            expected.seed = five.seed + number as u64 - 1;
            assert_eq!(five.member(number), expected, "{number}");
            let shift = expected.augmentation.map(|augmentation| augmentation.shift);
            assert_eq!(shift, (network == &other).then_some(1.0), "{number}");
        }
        // Its own in place of the one for all.
        let all = format!("{keys}augmentation = {{ rotation = 9.0 }}\n");
        let rotations = [one.clone(), format!("{one}{other}"), other.clone()].map(|networks| {
            let experiment = parse(format!("{all}{networks}"));
            let last = experiment.networks.all().len();
            experiment.member(last).augmentation.map(|augmentation| augmentation.rotation)
        });
        assert_eq!(rotations, [9.0, 0.0, 0.0].map(Some));
        let last = Experiment { seed: super::LARGEST_SEED, ..two };
        assert_eq!([1, 2].map(|number| last.member(number).seed), [super::LARGEST_SEED, 0]);
    }

    #[test]
    fn errors_name_line_and_key() {
        let zero = complaint(|text| text.replace("epochs = 15", "epochs = 0"));
        assert!(
            zero.starts_with(", line ")
                && zero.contains(": epochs: expected a whole number from 1 on, found 0"),
            "{zero}"
        );
        let rate = complaint(|text| text.replace("learning_rate = 0.01", "learning_rate = nan"));
        assert!(
            rate.contains("learning_rate: expected a finite number, not negative, found nan"),
            "{rate}"
        );
        let unknown = complaint(|text| format!("epocs = 3\n{text}"));
        assert!(
            unknown.starts_with(", line 1: epocs: no such key; an experiment takes "),
            "{unknown}"
        );
        let missing = complaint(|text| text.replace("epochs = 15", ""));
        assert_eq!(missing, ": expected the key epochs, found none");
        let layer = complaint(|text| text.replace("\"tanh\"", "\"tan\""));
        assert!(layer.contains("found \"tan\"; did you mean \"tanh\"?"), "{layer}");
        let average = complaint(|text| format!("average = 1.0\n{text}"));
        assert!(average.contains("line 1: average: expected a number from 0"), "{average}");
        let clip = complaint(|text| format!("clip_norm = 0.0\n{text}"));
        assert!(clip.contains("expected a finite number above 0, found 0.0"), "{clip}");
        let schedule = complaint(|text| format!("schedule = \"linear\"\n{text}"));
        assert!(schedule.contains("expected one of constant, step, "), "{schedule}");
        let augmentation = complaint(|text| format!("{text}\n[augmentation]\nshift = -1.0\n"));
        assert!(
            augmentation.contains("augmentation.shift: expected a number of pix"),
            "{augmentation}"
        );
        let own = complaint(|text| format!("{text}\n[network.augmentation]\nshift = -1.0\n"));
        assert!(own.contains(": augmentation.shift: expected a number of pix"), "{own}");
        for (names, part) in [
            ("[]", "classes: expected from 1 to 256 names, found 0"),
            ("[\"a\", \"\"]", "no control characters, found \"\""),
            ("[\"a\", \"\\u0007\"]", "no control characters, found \"\\u{7}\""),
            ("[\"a\", \"b\", \"a\"]", "expected each name once, found \"a\" twice"),
        ] {
            let classes = complaint(|text| format!("classes = {names}\n{text}"));
            assert!(classes.starts_with(", line 1: ") && classes.contains(part), "{classes}");
        }
        let outside = complaint(|text| text.replace("\"notebook\"", "\"../notebook\""));
        assert!(outside.contains("found \"../notebook\""), "{outside}");
        let syntax = complaint(|text| text.replace("epochs = 15", "epochs = = 15"));
        assert!(syntax.contains("epochs = = 15: "), "{syntax}");
    }
}
