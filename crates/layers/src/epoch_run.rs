use tensor::Element;
use tensor::reduce::Total;

use crate::dataset::{Dataset, Subset};
use crate::epoch::{Epoch, EpochReport};
use crate::step::{NonFinite, StepReport};
use crate::trainer::Trainer;

/// An epoch taken step by step: it may end after any step, and go on later, in another process too.
///
/// ```
/// # use layers::{Dense, Epochs, EpochRun, Inputs, Loss, Network, Optimizer, Trainer, TrainerConfig};
/// # let network = Network::<f32>::builder([1]).add(Dense::new(2)).build()?;
/// # let config = TrainerConfig::new(Loss::softmax_cross_entropy(), Optimizer::sgd(), [2, 2]);
/// # let mut trainer = Trainer::new(network, config);
/// # let data = Inputs::numbers(&[0.1, 0.2, 0.3, 0.4, 0.5]).with_classes(&[0, 0, 0, 1, 1], 2)?;
/// for epoch in Epochs::new(3, 0.1) {
///     let mut run = EpochRun::new(&epoch, &trainer, 5);
///     while !run.is_done() {
///         run.step(&mut trainer, &data)?;
///         // Here the trainer, its state and `run.progress()` are what a checkpoint is made of.
///     }
///     println!("{}", run.report(&trainer)?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct EpochRun {
    epoch: Epoch,
    /// The samples in the order in which they are met.
    order: Vec<usize>,
    batch_size: usize,
    progress: EpochProgress,
}

/// How far an epoch has come, and what it has measured so far.
#[derive(Clone, Debug, Default)]
pub struct EpochProgress {
    /// How many steps were taken.
    pub steps: usize,
    /// The sum of the samples' losses.
    pub losses: Total,
    /// How many samples were classified correctly.
    pub correct: usize,
}

impl EpochRun {
    /// The epoch from its first step on, of a trainer and of data with `samples` samples.
    ///
    /// # Panics
    /// If there are no samples.
    #[track_caller]
    pub fn new<T: Element>(epoch: &Epoch, trainer: &Trainer<T>, samples: usize) -> Self {
        assert!(samples > 0, "epoch: expected at least one sample, got none");
        let config = trainer.config();
        Self {
            epoch: epoch.clone(),
            order: epoch.order(config.seed, samples),
            batch_size: config.batch_size,
            progress: EpochProgress::default(),
        }
    }

    /// The epoch from where it was left: with the trainer as it was then, it goes on to the same
    /// bits. `None` if it has fewer steps.
    pub fn resume(mut self, progress: EpochProgress) -> Option<Self> {
        let fits = progress.steps <= self.steps();
        self.progress = progress;
        fits.then_some(self)
    }

    /// How far it has come.
    pub fn progress(&self) -> &EpochProgress {
        &self.progress
    }

    /// How many steps it has in all.
    pub fn steps(&self) -> usize {
        self.order.len().div_ceil(self.batch_size)
    }

    /// How many samples were met.
    pub fn samples(&self) -> usize {
        self.order.len().min(self.progress.steps * self.batch_size)
    }

    /// Whether all steps were taken.
    pub fn is_done(&self) -> bool {
        self.progress.steps == self.steps()
    }

    /// The learning rate of the next step; of the last one if all were taken.
    pub fn learning_rate(&self) -> f64 {
        let last = self.steps() - 1;
        self.epoch.rate(self.progress.steps.min(last), self.steps())
    }

    /// Takes the next step, of the trainer and the data that the epoch is of.
    ///
    /// # Errors
    /// If a loss, a gradient or a parameter is not finite: see [`NonFinite`]. The sample in the
    /// error is an index into `data`.
    ///
    /// # Panics
    /// If all steps were taken, or the samples' numbers of inputs or outputs are not the network's.
    #[track_caller]
    pub fn step<'a, T: Element>(
        &mut self,
        trainer: &'a mut Trainer<T>,
        data: &impl Dataset<T>,
    ) -> Result<StepReport<'a>, NonFinite> {
        assert!(!self.is_done(), "epoch: expected a step that is left, got none");
        let rate = self.learning_rate();
        let first = self.progress.steps * self.batch_size;
        let indices = &self.order[first..self.order.len().min(first + self.batch_size)];
        let report = trainer.step(&Subset::new(data, indices), rate).map_err(|error| {
            let sample = error.sample.map(|sample| indices[sample]);
            NonFinite { sample, ..error }
        })?;
        let EpochProgress { steps, losses, correct } = &mut self.progress;
        *steps += 1;
        report.losses.iter().for_each(|&loss| losses.add(loss));
        *correct += report.correct;
        Ok(report)
    }

    /// What the epoch has measured, with the trainer that took its steps.
    ///
    /// # Errors
    /// If a parameter is not finite, as a step in the layers checks gradients alone, or what the
    /// trainer keeps beside them: squares may overflow where gradients do not.
    ///
    /// # Panics
    /// If steps are left.
    #[track_caller]
    pub fn report<T: Element>(&self, trainer: &Trainer<T>) -> Result<EpochReport, NonFinite> {
        assert!(self.is_done(), "epoch: expected no steps to be left");
        trainer.require_finite()?;
        let EpochProgress { losses, correct, .. } = &self.progress;
        let samples = self.order.len();
        Ok(EpochReport {
            epoch: self.epoch.number(),
            epochs: self.epoch.count(),
            loss: losses.value() / samples as f64,
            correct: *correct,
            samples,
            learning_rate: self.learning_rate(),
        })
    }
}
