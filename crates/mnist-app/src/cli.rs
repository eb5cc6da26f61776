//! The command line: words to commands.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use lexopt::{Arg, Parser};

use crate::experiment::{self, Experiment, Precision, absolute};
use crate::{presets, threads};

/// What the program prints for `--help`.
pub const HELP: &str = "\
Trains convolutional networks on the digits of MNIST, or on images of your own.

mnist-app train [FLAGS]            trains a network
    --preset NAME                  a built-in experiment (default: notebook)
    --config FILE                  an experiment of your own, in TOML as the presets are
    --data DIR                     four IDX files named as MNIST's, .gz or not, or PNG images
                                   as train/CLASS/*.png and test/CLASS/*.png
                                   (default: data/mnist)
    --out DIR                      the run's folder (default: runs/PRESET-SEED-NUMBER)
    --threads N                    changes the speed, not the numbers (default: all)
    --target-accuracy P            stop after the epoch that gets this fraction right
    --quiet                        no progress bar
    --json                         print the lines of metrics.jsonl and nothing else
  and, instead of what the experiment says,
    --epochs N    --batch-size N   --shard-size N   --learning-rate X   --seed N
    --train-limit N   --test-limit N   --precision f32|f64
    --init FILE                    start from the weights of a safetensors file

mnist-app evaluate MODEL... [FLAGS]
                                   tests models: each a model.safetensors or a run's folder;
                                   several also by their vote
mnist-app compare A B [FLAGS]      tells by McNemar's test whether one of two models is better
    --data DIR                     other data than those that the models were made for
    --test-limit N   --threads N
    --json                         JSON instead of text

mnist-app profile [FLAGS]          measures each layer of a network, forward and backward
    --preset NAME | --config FILE  whose network (default: notebook)
    --threads N                    of the training step (default: 1)
    --repetitions N                measurements of each line (default: 200)
    --json                         a JSON object a line instead of the table
    --batch-size N   --shard-size N   --precision f32|f64

mnist-app inspect [MODEL] [FLAGS]  shows what the layers make of the first training images,
                                   and what of the gradient comes back to each
    --preset NAME | --config FILE  a network as drawn at the start, in MODEL's place
    --data DIR   --samples N (default: 256)   --seed N   --precision f32|f64
    --json                         a JSON object a line instead of the table

mnist-app presets [NAME]           lists the built-in experiments, or prints one
mnist-app --help | --version

ASTERISM_SIMD=portable|avx2|avx512|neon chooses the vector instructions, RAYON_NUM_THREADS=N
the number of threads where --threads does not.
Exit status: 0 done, 1 a run failed or what it printed was lost, 2 wrong usage. Who closes
standard output before the program starts (>&-) gets 0: nothing is lost that anybody wanted.
";

/// What the program is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
    /// Train a network.
    Train(Box<TrainFlags>),
    /// Test networks.
    Evaluate(EvaluateFlags),
    /// Test two networks against each other.
    Compare(EvaluateFlags),
    /// Measure the layers of a network.
    Profile(ProfileFlags),
    /// Show the numbers in a network.
    Inspect(InspectFlags),
    /// List the presets, or print one.
    Presets(Option<String>),
}

/// The flags of `train`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainFlags {
    /// A built-in experiment.
    pub preset: Option<String>,
    /// The file of an experiment.
    pub config: Option<PathBuf>,
    /// The folder of the data.
    pub data: Option<PathBuf>,
    /// The run's folder.
    pub out: Option<PathBuf>,
    /// How many threads; all if absent.
    pub threads: Option<NonZeroUsize>,
    /// No progress bar.
    pub quiet: bool,
    /// Metrics on standard output instead of text.
    pub json: bool,
    /// What to change in the experiment.
    pub overrides: Overrides,
}

/// What the flags of `train` change in an experiment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    epochs: Option<NonZeroUsize>,
    target_accuracy: Option<f64>,
    batch_size: Option<NonZeroUsize>,
    shard_size: Option<NonZeroUsize>,
    learning_rate: Option<f64>,
    seed: Option<u64>,
    train_limit: Option<NonZeroUsize>,
    test_limit: Option<NonZeroUsize>,
    precision: Option<Precision>,
    init: Option<PathBuf>,
}

/// The flags of `evaluate` and `compare`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvaluateFlags {
    /// Files of weights with the descriptions of their networks, or the folders of runs:
    /// one or more to evaluate, two to compare.
    pub models: Vec<PathBuf>,
    /// The folder of the data.
    pub data: Option<PathBuf>,
    /// How many test images.
    pub test_limit: Option<NonZeroUsize>,
    /// How many threads; all if absent.
    pub threads: Option<NonZeroUsize>,
    /// JSON on standard output instead of text.
    pub json: bool,
}

/// The flags of `profile`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfileFlags {
    /// A built-in experiment.
    pub preset: Option<String>,
    /// The file of an experiment.
    pub config: Option<PathBuf>,
    /// How many threads; one if absent.
    pub threads: Option<NonZeroUsize>,
    /// How often each line is measured.
    pub repetitions: Option<NonZeroUsize>,
    /// JSON on standard output instead of a table.
    pub json: bool,
    /// What to change in the experiment.
    pub overrides: Overrides,
}

/// The flags of `inspect`: one of the first three is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InspectFlags {
    /// A file of weights with the description of their network.
    pub model: Option<PathBuf>,
    /// A built-in experiment.
    pub preset: Option<String>,
    /// The file of an experiment.
    pub config: Option<PathBuf>,
    /// The folder of the data.
    pub data: Option<PathBuf>,
    /// How many training images.
    pub samples: Option<NonZeroUsize>,
    /// The seed to draw from instead of the experiment's.
    pub seed: Option<u64>,
    /// Of all numbers, instead of the model's or the experiment's.
    pub precision: Option<Precision>,
    /// JSON on standard output instead of a table.
    pub json: bool,
}

/// Wrong usage: the program ends with exit status 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

impl From<lexopt::Error> for Usage {
    fn from(error: lexopt::Error) -> Self {
        Self(format!("{error}; see mnist-app --help"))
    }
}

/// The command that these words, the program's name not among them, ask for.
///
/// # Errors
/// If they ask for none; the message names the word, what was expected, what was found.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, Usage> {
    let mut parser = Parser::from_args(words);
    match parser.next()? {
        Some(Arg::Value(name)) => match name.to_str() {
            Some("train") => train(&mut parser),
            Some("evaluate") => evaluate(&mut parser),
            Some("compare") => compare(&mut parser),
            Some("profile") => profile(&mut parser),
            Some("inspect") => inspect(&mut parser),
            Some("presets") => presets_command(&mut parser),
            Some("help") => Ok(Command::Help),
            _ => Err(no_command(&format!("{:?}", name.to_string_lossy()))),
        },
        Some(Arg::Long("help") | Arg::Short('h')) => Ok(Command::Help),
        Some(Arg::Long("version") | Arg::Short('V')) => Ok(Command::Version),
        Some(other) => Err(other.unexpected().into()),
        None => Err(no_command("nothing")),
    }
}

impl Overrides {
    /// Changes what the flags name.
    pub fn apply(self, experiment: &mut Experiment) {
        fn set<T>(target: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *target = value;
            }
        }
        set(&mut experiment.epochs, self.epochs);
        set(&mut experiment.batch_size, self.batch_size);
        set(&mut experiment.shard_size, self.shard_size);
        set(&mut experiment.learning_rate, self.learning_rate);
        set(&mut experiment.seed, self.seed);
        set(&mut experiment.precision, self.precision);
        experiment.target_accuracy = self.target_accuracy.or(experiment.target_accuracy);
        experiment.train_limit = self.train_limit.or(experiment.train_limit);
        experiment.test_limit = self.test_limit.or(experiment.test_limit);
        let init = self.init.map(|file| absolute(&file));
        experiment.initial_weights = init.or(experiment.initial_weights.take());
    }
}

fn train(parser: &mut Parser) -> Result<Command, Usage> {
    let mut flags = TrainFlags::default();
    let overrides = &mut flags.overrides;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("preset") => flags.preset = Some(preset(&parser.value()?)?),
            Arg::Long("config") => flags.config = Some(path(parser, "--config")?),
            Arg::Long("data") => flags.data = Some(path(parser, "--data")?),
            Arg::Long("out") => flags.out = Some(path(parser, "--out")?),
            Arg::Long("threads") => flags.threads = Some(threads(parser)?),
            Arg::Long("target-accuracy") => overrides.target_accuracy = Some(fraction(parser)?),
            Arg::Long("quiet") => flags.quiet = true,
            Arg::Long("json") => flags.json = true,
            Arg::Long("epochs") => overrides.epochs = Some(count(parser, "--epochs")?),
            Arg::Long("batch-size") => overrides.batch_size = Some(count(parser, "--batch-size")?),
            Arg::Long("shard-size") => overrides.shard_size = Some(count(parser, "--shard-size")?),
            Arg::Long("train-limit") => {
                overrides.train_limit = Some(count(parser, "--train-limit")?);
            }
            Arg::Long("test-limit") => overrides.test_limit = Some(count(parser, "--test-limit")?),
            Arg::Long("learning-rate") => overrides.learning_rate = Some(rate(parser)?),
            Arg::Long("seed") => overrides.seed = Some(seed(parser)?),
            Arg::Long("precision") => overrides.precision = Some(precision(parser)?),
            Arg::Long("init") => overrides.init = Some(path(parser, "--init")?),
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    refuse_both(flags.preset.as_ref(), flags.config.as_ref())?;
    Ok(Command::Train(Box::new(flags)))
}

fn evaluate(parser: &mut Parser) -> Result<Command, Usage> {
    let Some(flags) = models(parser)? else { return Ok(Command::Help) };
    if flags.models.is_empty() {
        return Err(wrong_count("evaluate", "the file of a model", 0));
    }
    Ok(Command::Evaluate(flags))
}

fn compare(parser: &mut Parser) -> Result<Command, Usage> {
    let Some(flags) = models(parser)? else { return Ok(Command::Help) };
    if flags.models.len() != 2 {
        return Err(wrong_count("compare", "the files of two models", flags.models.len()));
    }
    Ok(Command::Compare(flags))
}

/// Models and how to test them; nothing if it is help that is asked for.
fn models(parser: &mut Parser) -> Result<Option<EvaluateFlags>, Usage> {
    let mut flags = EvaluateFlags::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Value(path) if path.is_empty() => {
                return Err(Usage("model: expected a path, found nothing".into()));
            }
            Arg::Value(path) => flags.models.push(path.into()),
            Arg::Long("data") => flags.data = Some(path(parser, "--data")?),
            Arg::Long("test-limit") => flags.test_limit = Some(count(parser, "--test-limit")?),
            Arg::Long("threads") => flags.threads = Some(threads(parser)?),
            Arg::Long("json") => flags.json = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(flags))
}

fn wrong_count(command: &str, expected: &str, found: usize) -> Usage {
    let found = if found == 0 { "none".into() } else { found.to_string() };
    Usage(format!(
        "{command}: expected {expected}, found {found}; a run's folder, or the \
         model.safetensors in it, is one"
    ))
}

fn profile(parser: &mut Parser) -> Result<Command, Usage> {
    let mut flags = ProfileFlags::default();
    let overrides = &mut flags.overrides;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("preset") => flags.preset = Some(preset(&parser.value()?)?),
            Arg::Long("config") => flags.config = Some(path(parser, "--config")?),
            Arg::Long("threads") => flags.threads = Some(threads(parser)?),
            Arg::Long("repetitions") => flags.repetitions = Some(repetitions(parser)?),
            Arg::Long("json") => flags.json = true,
            Arg::Long("batch-size") => overrides.batch_size = Some(count(parser, "--batch-size")?),
            Arg::Long("shard-size") => overrides.shard_size = Some(count(parser, "--shard-size")?),
            Arg::Long("precision") => overrides.precision = Some(precision(parser)?),
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    refuse_both(flags.preset.as_ref(), flags.config.as_ref())?;
    Ok(Command::Profile(flags))
}

fn inspect(parser: &mut Parser) -> Result<Command, Usage> {
    let mut flags = InspectFlags::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Value(path) if flags.model.is_none() => flags.model = Some(path.into()),
            Arg::Long("preset") => flags.preset = Some(preset(&parser.value()?)?),
            Arg::Long("config") => flags.config = Some(path(parser, "--config")?),
            Arg::Long("data") => flags.data = Some(path(parser, "--data")?),
            Arg::Long("samples") => flags.samples = Some(count(parser, "--samples")?),
            Arg::Long("seed") => flags.seed = Some(seed(parser)?),
            Arg::Long("precision") => flags.precision = Some(precision(parser)?),
            Arg::Long("json") => flags.json = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    refuse_both(flags.preset.as_ref(), flags.config.as_ref())?;
    let named = flags.preset.is_some() || flags.config.is_some();
    let complaint = match (&flags.model, named) {
        (None, false) => "inspect: expected a model's file, --preset or --config, found none",
        (Some(_), true) => "inspect: expected a model's file or an experiment, found both",
        (Some(_), false) if flags.seed.is_some() => {
            "--seed: expected an experiment to draw the weights of, found a model that has them"
        }
        _ => return Ok(Command::Inspect(flags)),
    };
    Err(Usage(complaint.into()))
}

fn presets_command(parser: &mut Parser) -> Result<Command, Usage> {
    let mut name = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Value(word) if name.is_none() => name = Some(preset(&word)?),
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Presets(name))
}

fn refuse_both(preset: Option<&String>, config: Option<&PathBuf>) -> Result<(), Usage> {
    if preset.is_some() && config.is_some() {
        return Err(Usage("--config: expected either --preset or --config, found both".into()));
    }
    Ok(())
}

fn no_command(found: &str) -> Usage {
    Usage(format!(
        "expected a command (train, evaluate, compare, profile, inspect, presets), found {found}; \
         see mnist-app --help"
    ))
}

fn preset(name: &OsStr) -> Result<String, Usage> {
    let name = name.to_string_lossy().into_owned();
    if presets::text(&name).is_some() {
        return Ok(name);
    }
    let names: Vec<_> = presets::names().collect();
    Err(Usage(format!("preset: expected one of {}, found {name:?}", names.join(", "))))
}

fn path(parser: &mut Parser, flag: &str) -> Result<PathBuf, Usage> {
    let word = parser.value()?;
    if word.is_empty() {
        return Err(Usage(format!("{flag}: expected a path, found nothing")));
    }
    Ok(word.into())
}

fn count(parser: &mut Parser, flag: &str) -> Result<NonZeroUsize, Usage> {
    // No more than TOML can hold, so that every experiment can be written down.
    let expected = format!("a whole number from 1 to {}", i64::MAX);
    value(parser, flag, &expected, |text| {
        text.parse().ok().filter(|count: &NonZeroUsize| i64::try_from(count.get()).is_ok())
    })
}

fn threads(parser: &mut Parser) -> Result<NonZeroUsize, Usage> {
    let most = threads::MOST;
    value(parser, "--threads", &format!("a whole number from 1 to {most}"), |text| {
        text.parse().ok().filter(|count: &NonZeroUsize| count.get() <= most)
    })
}

fn repetitions(parser: &mut Parser) -> Result<NonZeroUsize, Usage> {
    const MOST: usize = 1_000_000;
    value(parser, "--repetitions", &format!("a whole number from 1 to {MOST}"), |text| {
        text.parse().ok().filter(|count: &NonZeroUsize| count.get() <= MOST)
    })
}

fn seed(parser: &mut Parser) -> Result<u64, Usage> {
    let expected = format!("a whole number from 0 to {}", experiment::LARGEST_SEED);
    value(parser, "--seed", &expected, |text| {
        text.parse().ok().filter(|&seed| seed <= experiment::LARGEST_SEED)
    })
}

fn rate(parser: &mut Parser) -> Result<f64, Usage> {
    value(parser, "--learning-rate", experiment::LEARNING_RATE, |text| {
        text.parse().ok().filter(|&rate| experiment::is_learning_rate(rate))
    })
}

fn fraction(parser: &mut Parser) -> Result<f64, Usage> {
    value(parser, "--target-accuracy", experiment::ACCURACY, |text| {
        text.parse().ok().filter(|&fraction| experiment::is_accuracy(fraction))
    })
}

fn precision(parser: &mut Parser) -> Result<Precision, Usage> {
    value(parser, "--precision", "f32 or f64", |text| match text {
        "f32" => Some(Precision::F32),
        "f64" => Some(Precision::F64),
        _ => None,
    })
}

fn value<T>(
    parser: &mut Parser,
    flag: &str,
    expected: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Usage> {
    let word = parser.value()?;
    let text = word.to_string_lossy();
    read(&text).ok_or_else(|| Usage(format!("{flag}: expected {expected}, found {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::{Command, parse};
    use crate::presets;

    fn words(line: &str) -> Vec<std::ffi::OsString> {
        line.split_whitespace().map(Into::into).collect()
    }

    #[test]
    fn flags_change_what_they_name_and_nothing_else() {
        let line = "train --epochs 2 --batch-size=32 --learning-rate 1e-3 --precision f64 \
                    --seed 7 --train-limit 5 --out runs/x --quiet";
        let Ok(Command::Train(flags)) = parse(words(line)) else { panic!("{line}") };
        let before = presets::experiment("notebook").unwrap();
        let mut after = before.clone();
        flags.overrides.clone().apply(&mut after);
        assert_eq!((after.epochs.get(), after.batch_size.get(), after.seed), (2, 32, 7));
        assert_eq!((after.learning_rate, after.train_limit.unwrap().get()), (1e-3, 5));
        assert_eq!((after.shard_size, after.networks), (before.shard_size, before.networks));
        assert!(flags.quiet && !flags.json && flags.out == Some("runs/x".into()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [
            ("", "found nothing"),
            ("fly", "found \"fly\""),
            ("train --epochs", "--epochs"),
            (
                "train --epochs 0",
                "--epochs: expected a whole number from 1 to 9223372036854775807, found \"0\"",
            ),
            ("train --epochs 1.5", "found \"1.5\""),
            ("train --epochs 99999999999999999999", "found \"99999999999999999999\""),
            ("train --batch-size -1", "--batch-size: "),
            ("train --seed -1", "--seed: "),
            ("train --learning-rate -0.1", "--learning-rate: "),
            ("train --learning-rate nan", "found \"nan\""),
            ("train --learning-rate inf", "found \"inf\""),
            ("train --learning-rate fast", "found \"fast\""),
            ("train --target-accuracy 97", "a fraction from 0 to 1"),
            ("train --precision f16", "expected f32 or f64"),
            ("train --preset nothing", "notebook, notebook-tuned"),
            ("train --preset notebook --config x.toml", "found both"),
            ("train --threads 0", "--threads: "),
            ("train --quiet=yes", "--quiet"),
            ("train --speed 9", "--speed"),
            ("train model", "model"),
            ("evaluate", "model.safetensors"),
            ("evaluate a --epochs 2", "--epochs"),
            ("compare", "two models, found none"),
            ("compare a", "two models, found 1"),
            ("compare a b c", "two models, found 3"),
            ("compare a b --test-limit 0", "--test-limit: "),
            ("profile lenet", "lenet"),
            ("profile --repetitions 0", "--repetitions: expected a whole number from 1"),
            ("profile --preset notebook --config x.toml", "found both"),
            ("profile --epochs 3", "--epochs"),
            ("inspect", "a model's file, --preset or --config, found none"),
            ("inspect a b", "\"b\""),
            ("inspect model --preset notebook", "found both"),
            ("inspect --preset notebook --config x.toml", "found both"),
            ("inspect model --seed 1", "--seed: expected an experiment"),
            ("inspect --preset notebook --samples 0", "--samples: expected a whole number from 1"),
        ] {
            let found = parse(words(line)).unwrap_err().to_string();
            assert!(found.contains(expected), "{line}: expected {expected:?} in {found:?}");
        }
    }
}
