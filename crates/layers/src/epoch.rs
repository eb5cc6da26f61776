use std::fmt;

use tensor::Element;

use crate::dataset::Dataset;
use crate::epoch_run::EpochRun;
use crate::random::{Purpose, Stream};
use crate::schedule::Schedule;
use crate::step::{NonFinite, StepReport};
use crate::tagged::require_settings;
use crate::trainer::Trainer;

/// The epochs of a training run, counted from 1. Each goes once through all samples, by default in
/// a newly drawn order and with a constant learning rate.
///
/// An epoch does not depend on those before it, so a run is continued with `.skip(epochs_done)`,
/// and within an epoch by [`EpochRun::resume`].
#[derive(Clone, Debug)]
pub struct Epochs {
    next: Epoch,
}

impl Epochs {
    /// This many epochs with this learning rate.
    ///
    /// # Panics
    /// If the rate is negative or not finite.
    #[track_caller]
    pub fn new(count: usize, learning_rate: f64) -> Self {
        let fits = learning_rate >= 0.0 && learning_rate.is_finite();
        assert!(fits, "learning rate: expected a finite number, not negative, got {learning_rate}");
        let schedule = Schedule::default();
        Self { next: Epoch { number: 1, count, learning_rate, schedule, shuffle: true } }
    }

    /// The same with a learning rate that follows a schedule over all steps of all epochs.
    ///
    /// # Panics
    /// If a setting of the schedule is invalid, such as fractions that do not ascend.
    #[track_caller]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        require_settings("schedule", &schedule);
        self.next.schedule = schedule;
        self
    }

    /// The same in a random order or, if not `shuffle`, in the order of the data.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.next.shuffle = shuffle;
        self
    }
}

impl Iterator for Epochs {
    type Item = Epoch;

    fn next(&mut self) -> Option<Epoch> {
        let epoch = self.next.clone();
        self.next.number += 1;
        (epoch.number <= epoch.count).then_some(epoch)
    }
}

/// One of [`Epochs`]: the order of its samples, and its learning rates.
#[derive(Clone, Debug)]
pub struct Epoch {
    number: usize,
    count: usize,
    learning_rate: f64,
    schedule: Schedule,
    shuffle: bool,
}

impl Epoch {
    /// Which epoch it is, counted from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The order of `samples` samples. A shuffled order starts from that of the data, so it is a
    /// function of seed and epoch alone.
    pub fn order(&self, seed: u64, samples: usize) -> Vec<usize> {
        let mut order: Vec<_> = (0..samples).collect();
        if self.shuffle {
            Stream::new(seed, Purpose::Shuffle, self.number as u64).shuffle(&mut order);
        }
        order
    }

    /// How many epochs there are in all.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The learning rate of step `step`, counted from 0, of `steps` in the epoch.
    pub(crate) fn rate(&self, step: usize, steps: usize) -> f64 {
        let before = (self.number - 1) * steps;
        self.schedule.rate(self.learning_rate, before + step, self.count * steps)
    }
}

/// What an epoch measured: each sample when it was met, before the step that it was part of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochReport {
    /// Which epoch it was, counted from 1.
    pub epoch: usize,
    /// How many epochs there are in all.
    pub epochs: usize,
    /// The mean of the samples' losses.
    pub loss: f64,
    /// How many samples were classified correctly.
    pub correct: usize,
    /// How many samples there were.
    pub samples: usize,
    /// The learning rate of the last step.
    pub learning_rate: f64,
}

impl EpochReport {
    /// The fraction of the samples that were classified correctly.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.samples as f64
    }
}

impl fmt::Display for EpochReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, epochs, loss, .. } = self;
        let percent = 100.0 * self.accuracy();
        write!(f, "epoch {epoch} of {epochs}: loss {loss:.4}, {percent:.2} % right")
    }
}

impl<T: Element> Trainer<T> {
    /// Takes a step on each batch of the data. A shuffled order is drawn from the trainer's seed.
    ///
    /// # Errors
    /// If a loss, a gradient or a parameter is not finite: see [`NonFinite`]. The sample in the
    /// error is an index into `data`.
    ///
    /// # Panics
    /// If there are no samples, or their numbers of inputs or outputs are not the network's.
    #[track_caller]
    pub fn epoch(
        &mut self,
        data: &impl Dataset<T>,
        epoch: &Epoch,
    ) -> Result<EpochReport, NonFinite> {
        self.epoch_with(data, epoch, |_, _| {})
    }

    /// [`Trainer::epoch`] with a callback after each step, which gets the learning rate and the
    /// report. [`EpochRun`] is for more: to stop after a step, and to go on from there.
    ///
    /// # Errors
    /// As [`Trainer::epoch`].
    ///
    /// # Panics
    /// As [`Trainer::epoch`].
    #[track_caller]
    pub fn epoch_with(
        &mut self,
        data: &impl Dataset<T>,
        epoch: &Epoch,
        mut after_step: impl FnMut(f64, &StepReport<'_>),
    ) -> Result<EpochReport, NonFinite> {
        let mut run = EpochRun::new(epoch, self, data.len());
        while !run.is_done() {
            let rate = run.learning_rate();
            after_step(rate, &run.step(self, data)?);
        }
        run.report(self)
    }
}
