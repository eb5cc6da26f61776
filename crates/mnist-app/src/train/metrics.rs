//! The results of a run: `metrics.jsonl` and `summary.json`.

use serde::{Deserialize, Serialize};
use tensor::simd::Level;

use crate::dataset::Samples;
use crate::evaluation::report::NOTEBOOK_IMAGES;
use crate::evaluation::{Evaluation, mean};
use crate::experiment::{Experiment, Precision};
use crate::statistics::wilson_interval;

/// How a network does on some images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The mean of their losses.
    pub error: f64,
    /// How many were right.
    pub correct: usize,
    /// How many there are.
    pub total: usize,
}

impl Score {
    /// Of these answers to these images.
    pub(crate) fn of(evaluation: &Evaluation, samples: &Samples) -> Self {
        let (error, correct) = (evaluation.error(), evaluation.correct(samples));
        Self { error, correct, total: samples.len() }
    }

    /// The fraction that was right.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.total as f64
    }

    /// Its 95 % interval, low and high.
    pub fn interval(&self) -> [f64; 2] {
        wilson_interval(self.correct, self.total)
    }

    /// Whether it is better than another one on the same images: more are right, or as many with a
    /// lower error.
    pub(super) fn is_better_than(&self, other: &Self) -> bool {
        self.correct > other.correct || self.correct == other.correct && self.error < other.error
    }

    fn check(&self, part: &str) -> Result<(), String> {
        let Self { correct, total, .. } = self;
        if *total == 0 {
            return Err(format!("{part}_total: expected a number from 1 on, found 0"));
        }
        if correct > total {
            return Err(format!(
                "{part}_correct: expected at most {total}, as {part}_total says, found {correct}"
            ));
        }
        Ok(())
    }
}

/// One line of `metrics.jsonl`. What is read has numbers that can be those of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Line", into = "Line")]
pub struct EpochMetrics {
    /// Counted from 1.
    pub epoch: usize,
    /// The mean loss of the training samples, each measured before the step that it was part of.
    pub train_error: f64,
    /// The time of the training alone, without evaluation.
    pub train_seconds: f64,
    /// Training samples per second of that time.
    pub samples_per_second: f64,
    /// On the validation images after the epoch, if there are some.
    pub validation: Option<Score>,
    /// On the test images after the epoch; where there are validation images, of the last epoch
    /// alone, and on what the run keeps.
    pub test: Option<Score>,
    /// The epoch whose network the run keeps, in the last line of one that keeps the best.
    pub best_epoch: Option<usize>,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The digest of all parameters after the epoch; of a line with `best_epoch`, after that one.
    pub weights_sha256: String,
    /// What ties the line to the one before it, and to all that decides its numbers.
    pub receipt: String,
}

/// The same as it is written.
#[derive(Serialize, Deserialize)]
struct Line {
    epoch: usize,
    train_error: f64,
    train_seconds: f64,
    samples_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_error: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_correct: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_total: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_error: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_correct: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_total: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    best_epoch: Option<usize>,
    learning_rate: f64,
    weights_sha256: String,
    receipt: String,
}

impl From<EpochMetrics> for Line {
    fn from(metrics: EpochMetrics) -> Self {
        let EpochMetrics { validation, test, .. } = metrics;
        Self {
            epoch: metrics.epoch,
            train_error: metrics.train_error,
            train_seconds: metrics.train_seconds,
            samples_per_second: metrics.samples_per_second,
            validation_error: validation.map(|score| score.error),
            validation_correct: validation.map(|score| score.correct),
            validation_total: validation.map(|score| score.total),
            test_error: test.map(|score| score.error),
            test_correct: test.map(|score| score.correct),
            test_total: test.map(|score| score.total),
            best_epoch: metrics.best_epoch,
            learning_rate: metrics.learning_rate,
            weights_sha256: metrics.weights_sha256,
            receipt: metrics.receipt,
        }
    }
}

impl TryFrom<Line> for EpochMetrics {
    type Error = String;

    fn try_from(line: Line) -> Result<Self, String> {
        let Line { validation_error, validation_correct, validation_total, .. } = line;
        let Line { test_error, test_correct, test_total, .. } = line;
        let validation =
            score("validation", (validation_error, validation_correct, validation_total))?;
        let test = score("test", (test_error, test_correct, test_total))?;
        let metrics = Self {
            epoch: line.epoch,
            train_error: line.train_error,
            train_seconds: line.train_seconds,
            samples_per_second: line.samples_per_second,
            validation,
            test,
            best_epoch: line.best_epoch,
            learning_rate: line.learning_rate,
            weights_sha256: line.weights_sha256,
            receipt: line.receipt,
        };
        metrics.check()?;
        Ok(metrics)
    }
}

/// The score of a part, all of whose keys are there, or none.
fn score(
    part: &str,
    keys: (Option<f64>, Option<usize>, Option<usize>),
) -> Result<Option<Score>, String> {
    let score = match keys {
        (None, None, None) => return Ok(None),
        (Some(error), Some(correct), Some(total)) => Score { error, correct, total },
        _ => {
            return Err(format!("expected {part}_error, {part}_correct and {part}_total together"));
        }
    };
    score.check(part)?;
    Ok(Some(score))
}

impl EpochMetrics {
    fn check(&self) -> Result<(), String> {
        let Self { epoch, best_epoch, .. } = *self;
        let times = [self.train_seconds, self.samples_per_second];
        if epoch == 0 {
            return Err("epoch: expected a number from 1 on, found 0".into());
        }
        if self.validation.is_none() && self.test.is_none() {
            return Err(
                "expected test_error, test_correct and test_total, or those of validation, \
                        found neither"
                    .into(),
            );
        }
        if best_epoch.is_some_and(|best| best == 0 || best > epoch) {
            return Err(format!(
                "best_epoch: expected a number from 1 to {epoch}, the line's own, found {}",
                best_epoch.unwrap_or_default()
            ));
        }
        if times.iter().any(|&time| time < 0.0) {
            return Err("train_seconds, samples_per_second: expected none below 0".into());
        }
        if self.learning_rate < 0.0 {
            return Err(format!(
                "learning_rate: expected none below 0, found {}",
                self.learning_rate
            ));
        }
        Ok(())
    }

    /// What choices during the training look at: the score of the validation images, or of the test
    /// images where there are no others.
    pub(crate) fn looked_at(&self) -> Score {
        let none = Score { error: 0.0, correct: 0, total: 1 };
        self.validation.or(self.test).unwrap_or(none)
    }

    /// `validation` or `test`, for [`EpochMetrics::looked_at`].
    pub(crate) fn looked_at_word(&self) -> &'static str {
        if self.validation.is_some() { "validation" } else { "test" }
    }

    /// What is known of how well it does: the score of the test images, or else of the validation
    /// images.
    pub(crate) fn best_known(&self) -> Score {
        self.test.unwrap_or_else(|| self.looked_at())
    }

    /// `validation` or `test`, for [`EpochMetrics::best_known`].
    pub(crate) fn best_known_word(&self) -> &'static str {
        if self.test.is_some() { "test" } else { "validation" }
    }
}

/// The results of a run.
pub struct Outcome {
    /// After the last epoch.
    pub metrics: EpochMetrics,
    /// Of the network that is kept, on the test images.
    pub evaluation: Evaluation,
    /// From the start of the process to the last change of a weight, all parts of the run together.
    pub wall_seconds: f64,
    /// The time of the training alone, all epochs together.
    pub train_seconds: f64,
    /// Why lines of metrics are lost, if some are.
    pub unwritten: Option<anyhow::Error>,
}

/// `summary.json`: the last line of the metrics and results of the whole run. Of one that keeps its
/// best epoch, the score of the validation images is that of the network that is kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The experiment's name.
    pub preset: String,
    /// The experiment's seed.
    pub seed: u64,
    /// The precision of the network's numbers.
    pub precision: Precision,
    /// After the last epoch.
    #[serde(flatten)]
    pub last: EpochMetrics,
    /// The number of members with which a committee ended; it may be fewer than planned if the
    /// target was reached. Only at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<usize>,
    /// The number of lines of `metrics.jsonl`, if not all could be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_lines: Option<usize>,
    /// The fraction of the validation images that were right, if there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// The fraction of the test images that were right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Wilson's 95 % interval of it, low and high.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_accuracy_interval: Option<[f64; 2]>,
    /// From the start of the process to the last change of a weight, all parts of the run together.
    pub wall_seconds: f64,
    /// The peak memory of the process, if the system tells.
    pub peak_rss_bytes: Option<u64>,
    /// How many threads computed.
    pub threads: usize,
    /// The vector instructions.
    pub simd: &'static str,
    /// The version of the program.
    pub version: &'static str,
    /// The errors that the notebook prints at its end, for its presets.
    #[serde(flatten)]
    pub notebook: Option<NotebookErrors>,
}

impl Summary {
    /// Of a run that ended with these metrics after so many seconds, all of whose lines were written;
    /// `kept` is the score of what is kept on the validation images, if there are some.
    pub(super) fn new(
        experiment: &Experiment,
        (metrics, kept): (&EpochMetrics, Option<Score>),
        wall_seconds: f64,
        simd: Level,
    ) -> Self {
        let last = EpochMetrics { validation: kept, ..metrics.clone() };
        Self {
            preset: experiment.name.clone(),
            seed: experiment.seed,
            precision: experiment.precision,
            members: None,
            metrics_lines: None,
            validation_accuracy: kept.map(|score| score.accuracy()),
            test_accuracy: metrics.test.map(|score| score.accuracy()),
            test_accuracy_interval: metrics.test.map(|score| score.interval()),
            last,
            wall_seconds,
            peak_rss_bytes: peak_rss_bytes(),
            threads: rayon::current_num_threads(),
            simd: simd.name(),
            version: env!("CARGO_PKG_VERSION"),
            notebook: None,
        }
    }
}

/// The keys of a summary that say how the run was made, not what it came to.
pub(super) const CIRCUMSTANCES: [&str; 7] = [
    "train_seconds",
    "samples_per_second",
    "wall_seconds",
    "peak_rss_bytes",
    "threads",
    "simd",
    "version",
];

/// The errors of the first 20 test images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotebookErrors {
    /// One by one.
    pub test_error_20: Vec<f64>,
    /// Their mean.
    pub test_error_20_mean: f64,
}

impl NotebookErrors {
    /// Its keys in a summary.
    pub(super) const KEYS: [&str; 2] = ["test_error_20", "test_error_20_mean"];

    /// Of the last evaluation, if the experiment asks for them.
    pub(super) fn of(experiment: &Experiment, evaluation: &Evaluation) -> Option<Self> {
        let losses = &evaluation.losses;
        let errors = &losses[..NOTEBOOK_IMAGES.min(losses.len())];
        experiment
            .notebook_report
            .then(|| Self { test_error_20: errors.to_vec(), test_error_20_mean: mean(errors) })
    }
}

/// The peak memory of this process so far, in bytes, if the system tells.
pub fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
