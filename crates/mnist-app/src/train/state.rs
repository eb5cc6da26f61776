//! What training changes. With the experiment and the images, it decides how a run goes on.

use layers::{EpochProgress, Network, Trainer};
use serde::{Deserialize, Serialize};
use tensor::reduce::Total;

use super::doctor::Learning;
use super::metrics::EpochMetrics;
use super::stopping::Best;
use crate::run_folder::Place;

/// All of it; a checkpoint holds it.
pub(super) struct State<T> {
    /// The network, and what the optimizer remembers.
    pub(super) trainer: Trainer<T>,
    /// The network after the best epoch, if the experiment keeps that and one is done.
    pub(super) best: Option<Network<T>>,
    pub(super) progress: Progress,
}

/// What is not the trainer's: in a checkpoint it stands as JSON. What another part of the program
/// has to remember of a run is a field here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// How many epochs are done: trained, tested, and a line of metrics.
    pub(super) epochs: usize,
    /// How far the next one has come.
    pub(super) epoch: Steps,
    /// Of the training alone, in the last epoch or in the one that has begun.
    pub(super) seconds: f64,
    /// The same of all of them together.
    pub(super) train_seconds: f64,
    /// From the start of the process to the last change of a weight, in all parts of the run.
    pub(super) wall_seconds: f64,
    /// Whether a step has changed the weights.
    pub(super) moved: bool,
    /// Whether it learns.
    pub(super) learning: Learning,
    /// The metrics of the last epoch that is done.
    pub(super) last: Option<EpochMetrics>,
    /// The best epoch, if there are validation images and one is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) best: Option<Best>,
}

/// An [`EpochProgress`] as it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Steps {
    steps: usize,
    /// How many losses were added up, and the bits of the sums of whole parts of their tree.
    losses: usize,
    sums: Vec<u64>,
    correct: usize,
}

impl Progress {
    /// How many epochs have begun.
    pub(super) fn begun(&self) -> usize {
        self.epochs + usize::from(self.epoch.steps > 0)
    }

    /// Adds seconds of training; so far all parts of the run have taken `wall_seconds`.
    pub(super) fn add(&mut self, seconds: f64, wall_seconds: f64) {
        self.seconds += seconds;
        self.train_seconds += seconds;
        self.wall_seconds = wall_seconds;
    }

    /// Ends an epoch.
    pub(super) fn end_epoch(&mut self, metrics: EpochMetrics) {
        self.epochs += 1;
        self.epoch = Steps::default();
        self.seconds = 0.0;
        self.best = Best::after(self.best, &metrics);
        self.last = Some(metrics);
    }

    /// `in epoch 3, after 17 steps`
    pub(super) fn text(&self) -> String {
        match (self.epochs, self.epoch.steps) {
            (0, 0) => "before the first step".into(),
            (epochs, 0) => format!("after epoch {epochs}"),
            (epochs, steps) => format!("in epoch {}, after its step {steps}", epochs + 1),
        }
    }

    /// Where the run stands.
    pub(super) fn place(&self) -> Place {
        Place { epochs: self.epochs, steps: self.epoch.steps }
    }
}

impl From<&EpochProgress> for Steps {
    fn from(EpochProgress { steps, losses, correct }: &EpochProgress) -> Self {
        let (count, sums) = losses.parts();
        let sums = sums.into_iter().map(f64::to_bits).collect();
        Self { steps: *steps, losses: count, sums, correct: *correct }
    }
}

impl Steps {
    /// What was written; `None` if it is no sum.
    pub(super) fn read(&self) -> Option<EpochProgress> {
        let sums: Vec<_> = self.sums.iter().copied().map(f64::from_bits).collect();
        let losses = Total::restore(self.losses, &sums)?;
        Some(EpochProgress { steps: self.steps, losses, correct: self.correct })
    }
}
