//! The results of a run: `metrics.jsonl` and `summary.json`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tensor::simd::Level;

use crate::evaluation::report::NOTEBOOK_IMAGES;
use crate::evaluation::{Evaluation, mean};
use crate::experiment::{Experiment, Precision};
use crate::statistics::wilson_interval;

/// One line of `metrics.jsonl`. What is read has numbers that can be those of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct EpochMetrics {
    /// Counted from 1.
    pub epoch: usize,
    /// The mean loss of the training samples, each measured before the step that it was part of.
    pub train_error: f64,
    /// The time of the training alone, without evaluation.
    pub train_seconds: f64,
    /// Training samples per second of that time.
    pub samples_per_second: f64,
    /// The mean loss of the test images after the epoch.
    pub test_error: f64,
    /// How many test images were right.
    pub test_correct: usize,
    /// How many test images there are.
    pub test_total: usize,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The digest of all parameters after the epoch.
    pub weights_sha256: String,
    /// What ties the line to the one before it, and to all that decides its numbers.
    pub receipt: String,
}

impl Serialize for EpochMetrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for EpochMetrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let metrics = Self::deserialize(deserializer)?;
        metrics.check().map_err(de::Error::custom)?;
        Ok(metrics)
    }
}

impl EpochMetrics {
    fn check(&self) -> Result<(), String> {
        let Self { epoch, test_correct, test_total, .. } = *self;
        let times = [self.train_seconds, self.samples_per_second];
        if epoch == 0 {
            return Err("epoch: expected a number from 1 on, found 0".into());
        }
        if test_total == 0 {
            return Err("test_total: expected a number from 1 on, found 0".into());
        }
        if test_correct > test_total {
            return Err(format!(
                "test_correct: expected at most {test_total}, as test_total says, found \
                 {test_correct}"
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

    /// The fraction of the test images that were right.
    pub fn test_accuracy(&self) -> f64 {
        self.test_correct as f64 / self.test_total as f64
    }

    /// Its 95 % interval, low and high.
    pub fn test_accuracy_interval(&self) -> [f64; 2] {
        wilson_interval(self.test_correct, self.test_total)
    }
}

/// The results of a run.
pub struct Outcome {
    /// After the last epoch.
    pub metrics: EpochMetrics,
    /// Of the same network.
    pub evaluation: Evaluation,
    /// From the start of the process to the last change of a weight, all parts of the run together.
    pub wall_seconds: f64,
    /// The time of the training alone, all epochs together.
    pub train_seconds: f64,
    /// Why lines of metrics are lost, if some are.
    pub unwritten: Option<anyhow::Error>,
}

/// `summary.json`: the last line of the metrics and results of the whole run.
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
    /// The fraction of the test images that were right.
    pub test_accuracy: f64,
    /// Wilson's 95 % interval of it, low and high.
    pub test_accuracy_interval: [f64; 2],
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
    /// Of a run that ended with these metrics after so many seconds, all of whose lines were written.
    pub(super) fn new(
        experiment: &Experiment,
        metrics: &EpochMetrics,
        wall_seconds: f64,
        simd: Level,
    ) -> Self {
        Self {
            preset: experiment.name.clone(),
            seed: experiment.seed,
            precision: experiment.precision,
            members: None,
            metrics_lines: None,
            test_accuracy: metrics.test_accuracy(),
            test_accuracy_interval: metrics.test_accuracy_interval(),
            last: metrics.clone(),
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
