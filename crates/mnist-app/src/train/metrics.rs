//! What a run leaves behind in numbers: `metrics.jsonl` and `summary.json`.

use serde::Serialize;
use tensor::simd::Level;

use crate::evaluation::Evaluation;
use crate::experiment::{Experiment, Precision};
use crate::statistics::wilson_interval;

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpochMetrics {
    /// From 1 on.
    pub epoch: usize,
    /// The mean loss of the samples as they were met, each before the step it was in.
    pub train_error: f64,
    /// Of the training alone.
    pub train_seconds: f64,
    /// Training samples in a second of these.
    pub samples_per_second: f64,
    /// The mean loss of the test images after the epoch.
    pub test_error: f64,
    /// How many of them were right.
    pub test_correct: usize,
    /// Of how many.
    pub test_total: usize,
    /// Of the optimizer.
    pub learning_rate: f64,
    /// The digest of all parameters after the epoch.
    pub weights_sha256: String,
}

impl EpochMetrics {
    /// The fraction of the test images that were right.
    pub fn test_accuracy(&self) -> f64 {
        self.test_correct as f64 / self.test_total as f64
    }

    /// Its 95 % interval, low and high.
    pub fn test_accuracy_interval(&self) -> [f64; 2] {
        wilson_interval(self.test_correct, self.test_total)
    }
}

/// What a run came to.
pub struct Outcome {
    /// After the last epoch.
    pub metrics: EpochMetrics,
    /// Of the same network.
    pub evaluation: Evaluation,
    /// From the start of the process to the last change of a weight.
    pub wall_seconds: f64,
    /// Of the training alone, all epochs together.
    pub train_seconds: f64,
    /// What became of the lines of metrics that are lost, if some are.
    pub unwritten: Option<anyhow::Error>,
}

/// `summary.json`: the last line of the metrics and what is known of the whole run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The experiment's name.
    pub preset: String,
    /// The experiment's seed.
    pub seed: u64,
    /// Of all numbers of the network.
    pub precision: Precision,
    /// After the last epoch.
    #[serde(flatten)]
    pub last: EpochMetrics,
    /// With how many members a committee ended, which the target may have made fewer than it
    /// could have; not before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<usize>,
    /// How many lines `metrics.jsonl` has, if the disk did not take all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_lines: Option<usize>,
    /// The fraction of the test images that were right.
    pub test_accuracy: f64,
    /// Wilson's 95 % interval of it, low and high.
    pub test_accuracy_interval: [f64; 2],
    /// From the start of the process to the last change of a weight.
    pub wall_seconds: f64,
    /// The most memory that the process had, if the system tells.
    pub peak_rss_bytes: Option<u64>,
    /// How many threads computed.
    pub threads: usize,
    /// The vector instructions.
    pub simd: &'static str,
    /// Of the program.
    pub version: &'static str,
    /// What the notebook ends with, for its presets.
    #[serde(flatten)]
    pub notebook: Option<NotebookErrors>,
}

impl Summary {
    /// Of a run that came to `outcome`, all of whose lines of metrics were written.
    pub fn new(experiment: &Experiment, outcome: &Outcome, simd: Level) -> Self {
        let Outcome { metrics, wall_seconds, .. } = outcome;
        Self {
            preset: experiment.name.clone(),
            seed: experiment.seed,
            precision: experiment.precision,
            members: None,
            metrics_lines: None,
            test_accuracy: metrics.test_accuracy(),
            test_accuracy_interval: metrics.test_accuracy_interval(),
            last: metrics.clone(),
            wall_seconds: *wall_seconds,
            peak_rss_bytes: peak_rss_bytes(),
            threads: rayon::current_num_threads(),
            simd: simd.name(),
            version: env!("CARGO_PKG_VERSION"),
            notebook: None,
        }
    }
}

/// The errors of the first 20 test images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotebookErrors {
    /// One by one.
    pub test_error_20: Vec<f64>,
    /// Their mean.
    pub test_error_20_mean: f64,
}

/// The most memory that this process had so far, in bytes, if the system tells.
pub fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
