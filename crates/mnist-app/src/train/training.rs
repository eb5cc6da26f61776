//! The training of one network, in memory: its steps, its test after an epoch, and the metrics of
//! both. What is written of it is no concern here.

use std::path::Path;

use anyhow::Context;
use layers::{
    Epoch, EpochReport, EpochRun, Epochs, Network, NonFinite, StepReport, Subset, Trainer,
};
use tensor::Element;

use super::doctor::Diagnosis;
use super::failure::Failure;
use super::metrics::{EpochMetrics, Score};
use super::receipt::Receipts;
use super::start::Start;
use super::state::{Progress, State};
use super::stopping::{Best, Stop, stop};
use crate::augmentation::Augmenter;
use crate::dataset::{Augmented, Digests, Samples};
use crate::evaluation::vote::Outputs;
use crate::evaluation::{Evaluation, Evaluator};
use crate::experiment::build::trainer_config;
use crate::experiment::{Experiment, Keep};
use crate::memory;
use crate::model::Metadata;

/// An experiment, its images, and how far it has come.
pub(super) struct Training<T> {
    pub(super) experiment: Experiment,
    pub(super) train: Samples,
    pub(super) validation: Option<Samples>,
    pub(super) test: Samples,
    pub(super) data: Digests,
    receipts: Receipts,
    augmenter: Option<Augmenter>,
    evaluator: Evaluator<T>,
    pub(super) state: State<T>,
    /// The network with the moving average of the parameters, as it was last tested.
    averaged: Option<Network<T>>,
}

/// What came of an epoch.
pub(super) struct Tested {
    /// Its line.
    pub(super) metrics: EpochMetrics,
    /// The answers to the test images, if it was tested on them.
    pub(super) evaluation: Option<Evaluation>,
}

/// An image whose loss is not finite.
pub(super) struct BadImage {
    /// Of the validation images, or else of the test images.
    of_validation: bool,
    /// Whether the network was that of the best epoch before.
    of_best: bool,
    index: usize,
}

impl<T: Element> Training<T> {
    /// Before its first step.
    ///
    /// # Errors
    /// If the memory does not suffice.
    pub(super) fn new(start: Start<T>) -> anyhow::Result<Self> {
        let Start { experiment, networks, train, validation, test } = start;
        let network = networks.into_iter().next().context("no network")?;
        let config = trainer_config(&experiment, train.len());
        let taken = memory::training_bytes::<T>(&network.spec().footprint()?, &config);
        let most = validation.as_ref().map_or(0, Samples::len).max(test.len());
        let evaluator = Evaluator::new(&network, most, taken)?;
        let augmenter = experiment
            .augmentation
            .map(|augmentation| Augmenter::new(augmentation, train.size(), experiment.seed));
        let trainer = Trainer::new(network, config);
        let state = State { trainer, best: None, progress: Progress::default() };
        let data = Digests::new(&train, validation.as_ref(), &test);
        let receipts = Receipts::new(&experiment, &data)?;
        Ok(Self {
            experiment,
            train,
            validation,
            test,
            data,
            receipts,
            augmenter,
            evaluator,
            state,
            averaged: None,
        })
    }

    /// What the receipts of its lines have in common.
    pub(super) fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// All epochs of the experiment.
    pub(super) fn epochs(&self) -> Epochs {
        let Experiment { epochs, learning_rate, ref schedule, shuffle, .. } = self.experiment;
        Epochs::new(epochs.get(), learning_rate).schedule(schedule.clone()).shuffle(shuffle)
    }

    /// The steps of an epoch, from where it stands.
    ///
    /// # Errors
    /// If it has not come that far.
    pub(super) fn begin(&self, epoch: &Epoch) -> anyhow::Result<EpochRun> {
        let begun = self.state.progress.epoch.read();
        let run = EpochRun::new(epoch, &self.state.trainer, self.train.len());
        begun.and_then(|begun| run.resume(begun)).context("no such step")
    }

    /// Takes a step of an epoch.
    ///
    /// # Errors
    /// If a number is not finite.
    pub(super) fn step(
        &mut self,
        run: &mut EpochRun,
        epoch: &Epoch,
    ) -> Result<StepReport<'_>, NonFinite> {
        let data = augmented(&self.train, self.augmenter.as_ref(), epoch);
        let is_moving = run.learning_rate() > 0.0;
        let report = run.step(&mut self.state.trainer, &data)?;
        self.state.progress.moved |= is_moving;
        Ok(report)
    }

    /// Takes all steps that are left of an epoch.
    ///
    /// # Errors
    /// If a number is not finite.
    fn learn(&mut self, run: &mut EpochRun, epoch: &Epoch) -> Result<EpochReport, NonFinite> {
        while !run.is_done() {
            self.step(run, epoch)?;
        }
        run.report(&self.state.trainer)
    }

    /// Tests the network after an epoch, the averaged one if the experiment wants it: on the
    /// validation images, and after the last epoch what is kept on the test images; without
    /// validation images always on the test images. `is_last` says whether it is the last one, if
    /// that is not to be found out. `None` if `go_on` ended that.
    ///
    /// # Errors
    /// If a loss is not finite.
    pub(super) fn test(
        &mut self,
        (epoch, report): (&Epoch, &EpochReport),
        is_last: Option<bool>,
        go_on: impl Fn() -> bool + Sync,
    ) -> Option<Result<Tested, BadImage>> {
        if !self.average(epoch, &go_on) {
            return None;
        }
        let Self { experiment, validation, test, evaluator, state, averaged, .. } = self;
        let network = averaged.as_ref().unwrap_or(state.trainer.network());
        let mut evaluate = |network: &Network<T>, samples: &Samples| {
            evaluator.evaluate_while(network, &experiment.loss, samples, &go_on)
        };
        let train_seconds = state.progress.seconds;
        let mut metrics = EpochMetrics {
            epoch: report.epoch,
            train_error: report.loss,
            train_seconds,
            samples_per_second: self.train.len() as f64 / train_seconds,
            validation: None,
            test: None,
            best_epoch: None,
            learning_rate: report.learning_rate,
            weights_sha256: network.digest(),
            receipt: String::new(),
        };
        if let Some(validation) = validation {
            let evaluation = evaluate(network, validation)?;
            if let Some(index) = evaluation.first_non_finite() {
                return Some(Err(BadImage { of_validation: true, of_best: false, index }));
            }
            metrics.validation = Some(Score::of(&evaluation, validation));
        }
        let best = Best::after(state.progress.best, &metrics);
        let ends = || {
            metrics.epoch == experiment.epochs.get() || stop(experiment, &metrics, best).is_some()
        };
        let mut answers = None;
        if validation.is_none() || is_last.unwrap_or_else(ends) {
            let keeps_best = experiment.keep == Keep::Best;
            let is_best = best.is_some_and(|best| best.epoch == metrics.epoch);
            let before = state.best.as_ref().filter(|_| keeps_best && !is_best);
            let kept = before.unwrap_or(network);
            let evaluation = evaluate(kept, test)?;
            if let Some(index) = evaluation.first_non_finite() {
                let of_best = before.is_some();
                return Some(Err(BadImage { of_validation: false, of_best, index }));
            }
            metrics.test = Some(Score::of(&evaluation, test));
            if let Some(best) = best.filter(|_| keeps_best) {
                metrics.best_epoch = Some(best.epoch);
                metrics.weights_sha256 = kept.digest();
            }
            answers = Some(evaluation);
        }
        let before = state.progress.last.as_ref().map(|last| last.receipt.as_str());
        metrics.receipt = self.receipts.of(&metrics, before, None);
        Some(Ok(Tested { metrics, evaluation: answers }))
    }

    /// Ends an epoch after its test.
    pub(super) fn end_epoch(&mut self, metrics: EpochMetrics) {
        let number = metrics.epoch;
        let State { trainer, best, progress } = &mut self.state;
        progress.end_epoch(metrics);
        let is_best = progress.best.is_some_and(|best| best.epoch == number);
        if self.experiment.keep == Keep::Best && is_best {
            *best = Some(self.averaged.as_ref().unwrap_or(trainer.network()).clone());
        }
    }

    /// Why the training ends after the epoch that was the last, if it does before the last one that
    /// is planned.
    pub(super) fn stop(&self) -> Option<Stop> {
        let Progress { ref last, best, .. } = self.state.progress;
        // Where there are validation images, only what has the test's results can be the last.
        let last = last.as_ref().filter(|last| last.test.is_some())?;
        stop(&self.experiment, last, best)
    }

    /// Tests what is kept after the last epoch, this one, once more. `None` if `go_on` ended that.
    pub(super) fn test_again(
        &mut self,
        epoch: &Epoch,
        go_on: impl Fn() -> bool + Sync,
    ) -> Option<Evaluation> {
        if !self.average(epoch, &go_on) {
            return None;
        }
        let Self { experiment, test, evaluator, state, averaged, .. } = self;
        let network = averaged.as_ref().unwrap_or(state.trainer.network());
        let kept = state.best.as_ref().unwrap_or(network);
        evaluator.evaluate_while(kept, &experiment.loss, test, go_on)
    }

    /// The validation images, and what the network that is kept answers to them.
    pub(super) fn validate(&mut self) -> Option<(Evaluation, &Samples)> {
        let Self { experiment, validation, evaluator, state, averaged, .. } = self;
        let network = averaged.as_ref().unwrap_or(state.trainer.network());
        let kept = state.best.as_ref().unwrap_or(network);
        let validation = validation.as_ref()?;
        Some((evaluator.evaluate(kept, &experiment.loss, validation), validation))
    }

    /// The score of what is kept on the validation images, if there are some.
    pub(super) fn validation_score(&self) -> Option<Score> {
        let Progress { ref last, best, .. } = self.state.progress;
        match self.experiment.keep {
            Keep::Best => best.map(|best| best.score),
            Keep::Last => last.as_ref()?.validation,
        }
    }

    /// Trains what is left of an epoch, and tests what came of it, as [`Training::test`] does. If a
    /// number is not finite, what failed, and what is said of it.
    ///
    /// # Errors
    /// If it has not come that far.
    pub(super) fn epoch(
        &mut self,
        epoch: &Epoch,
        is_last: Option<bool>,
        place: (&Path, &dyn Fn(&str)),
    ) -> anyhow::Result<Result<Tested, (Failure, anyhow::Error)>> {
        let mut steps = self.begin(epoch)?;
        let report = match self.learn(&mut steps, epoch) {
            Ok(report) => report,
            Err(failure) => {
                return Ok(Err(self.step_failure(place, (epoch, &steps), &failure)));
            }
        };
        let tested = self.test((epoch, &report), is_last, || true).context("no evaluation")?;
        Ok(tested.map_err(|image| self.test_failure(place, epoch, &image)))
    }

    /// What failed in a step of an epoch, of a run in this folder, and the error for it; it is shown
    /// layer by layer.
    pub(super) fn step_failure(
        &self,
        place: (&Path, &dyn Fn(&str)),
        (epoch, steps): (&Epoch, &EpochRun),
        failure: &NonFinite,
    ) -> (Failure, anyhow::Error) {
        let data = augmented(&self.train, self.augmenter.as_ref(), epoch);
        let (finding, error) = self.diagnosis(place).of_step(&data, epoch, failure);
        (Failure::of_step(epoch, steps, &finding), error)
    }

    /// The same for the test after an epoch, of an image whose loss is not finite.
    pub(super) fn test_failure(
        &self,
        place: (&Path, &dyn Fn(&str)),
        epoch: &Epoch,
        image: &BadImage,
    ) -> (Failure, anyhow::Error) {
        let BadImage { of_validation, of_best, index } = *image;
        let diagnosis = self.diagnosis(place);
        let network = self.averaged.as_ref().unwrap_or(self.state.trainer.network());
        let network = self.state.best.as_ref().filter(|_| of_best).unwrap_or(network);
        let (samples, word) = match self.validation.as_ref().filter(|_| of_validation) {
            Some(validation) => (validation, "validation"),
            None => (&self.test, "test"),
        };
        let (finding, error) = diagnosis.of_test(network, (samples, word), epoch.number(), index);
        (Failure::of_test(epoch, &finding), error)
    }

    fn diagnosis<'a>(&'a self, (folder, show): (&'a Path, &'a dyn Fn(&str))) -> Diagnosis<'a, T> {
        let State { trainer, progress, .. } = &self.state;
        Diagnosis { experiment: &self.experiment, trainer, moved: progress.moved, folder, show }
    }

    /// Makes the network with the moving average of the parameters, if the experiment wants it. Its
    /// running statistics are measured anew: those that were gathered belong to other parameters.
    /// Returns whether that came to its end, as long as `go_on`.
    fn average(&mut self, epoch: &Epoch, go_on: impl Fn() -> bool) -> bool {
        if self.experiment.average.is_none() {
            return true;
        }
        let data = augmented(&self.train, self.augmenter.as_ref(), epoch);
        let trainer = &self.state.trainer;
        let order = epoch.order(trainer.config().seed, self.train.len());
        let mut network = trainer.averaged_network();
        let data = Subset::new(&data, &order);
        let is_measured = trainer.measure_buffers_while(&mut network, &data, go_on);
        self.averaged = Some(network);
        is_measured
    }

    /// What it has come to: the network that is kept.
    pub(super) fn network(&self) -> &Network<T> {
        let network = self.averaged.as_ref().unwrap_or(self.state.trainer.network());
        self.state.best.as_ref().unwrap_or(network)
    }

    /// The file of what it has come to and does on the test images, in a run whose `config.toml`
    /// has this SHA-256.
    ///
    /// # Errors
    /// If a number is not finite.
    pub(super) fn model(
        &self,
        config_sha256: &str,
        evaluation: Option<&Evaluation>,
    ) -> anyhow::Result<Vec<u8>> {
        let Self { experiment, data, test, .. } = self;
        let outputs = Outputs::of(self.network().spec(), Some(&experiment.loss));
        let mistakes = evaluation.and_then(|found| found.mistakes_probability(outputs, test));
        let about = Metadata {
            preset: Some(experiment.name.clone()),
            seed: Some(experiment.seed),
            precision: Some(experiment.precision),
            loss: Some(experiment.loss.clone()),
            config_sha256: Some(config_sha256.to_owned()),
            digests: Some(data.clone()),
            form: experiment.form(),
            normalization: self.train.normalization().clone(),
            mistakes_probability: mistakes,
            ..Metadata::default()
        };
        about.file(self.network(), test.classes())
    }
}

/// The training images as an epoch meets them.
fn augmented<'a>(
    samples: &'a Samples,
    augmenter: Option<&'a Augmenter>,
    epoch: &Epoch,
) -> Augmented<'a> {
    Augmented { samples, augmenter, epoch: epoch.number() }
}
