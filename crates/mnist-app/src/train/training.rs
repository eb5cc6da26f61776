//! The training of one network, in memory: its steps, its test after an epoch, and the metrics of
//! both. What is written of it is no concern here.

use std::path::Path;

use anyhow::Context;
use layers::{
    Epoch, EpochReport, EpochRun, Epochs, Network, NonFinite, StepReport, Subset, Trainer,
    save_weights,
};
use tensor::Element;

use super::doctor::Diagnosis;
use super::failure::Failure;
use super::metrics::EpochMetrics;
use super::receipt::Receipts;
use super::start::Start;
use super::state::{Progress, State};
use crate::augmentation::Augmenter;
use crate::dataset::{self, Augmented, Digests, Samples};
use crate::evaluation::vote::Outputs;
use crate::evaluation::{Evaluation, Evaluator};
use crate::experiment::Experiment;
use crate::experiment::build::trainer_config;
use crate::memory;
use crate::model::{FORM, MISTAKES};

/// An experiment, its images, and how far it has come.
pub(super) struct Training<T> {
    pub(super) experiment: Experiment,
    pub(super) train: Samples,
    pub(super) test: Samples,
    pub(super) data: Digests,
    receipts: Receipts,
    augmenter: Option<Augmenter>,
    evaluator: Evaluator<T>,
    pub(super) state: State<T>,
    /// The network with the moving average of the parameters, as it was last tested.
    averaged: Option<Network<T>>,
}

impl<T: Element> Training<T> {
    /// Before its first step.
    ///
    /// # Errors
    /// If the memory does not suffice.
    pub(super) fn new(start: Start<T>) -> anyhow::Result<Self> {
        let Start { experiment, networks, train, test } = start;
        let network = networks.into_iter().next().context("no network")?;
        let config = trainer_config(&experiment, train.len());
        let taken = memory::training_bytes::<T>(&network.spec().footprint()?, &config);
        let evaluator = Evaluator::new(&network, test.len(), taken)?;
        let augmenter = experiment
            .augmentation
            .map(|augmentation| Augmenter::new(augmentation, train.size(), experiment.seed));
        let trainer = Trainer::new(network, config);
        let state = State { trainer, progress: Progress::default() };
        let data = Digests::new(&train, &test);
        let receipts = Receipts::new(&experiment, &data)?;
        Ok(Self {
            experiment,
            train,
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

    /// Tests the network after an epoch: the averaged one, if the experiment wants it. `None` if
    /// `go_on` ended that.
    pub(super) fn evaluate_while(
        &mut self,
        epoch: &Epoch,
        go_on: impl Fn() -> bool + Sync,
    ) -> Option<Evaluation> {
        if !self.average(epoch, &go_on) {
            return None;
        }
        let network = self.averaged.as_ref().unwrap_or(self.state.trainer.network());
        let loss = &self.experiment.loss;
        self.evaluator.evaluate_while(network, loss, &self.test, go_on)
    }

    /// Trains what is left of an epoch, and tests what came of it. If a number is not finite, what
    /// failed, and what is said of it.
    ///
    /// # Errors
    /// If it has not come that far.
    pub(super) fn epoch(
        &mut self,
        epoch: &Epoch,
        place: (&Path, &dyn Fn(&str)),
    ) -> anyhow::Result<Result<(EpochMetrics, Evaluation), (Failure, anyhow::Error)>> {
        let mut steps = self.begin(epoch)?;
        let report = match self.learn(&mut steps, epoch) {
            Ok(report) => report,
            Err(failure) => {
                return Ok(Err(self.step_failure(place, (epoch, &steps), &failure)));
            }
        };
        let evaluation = self.evaluate_while(epoch, || true).context("no evaluation")?;
        if let Some(image) = evaluation.first_non_finite() {
            return Ok(Err(self.test_failure(place, epoch, image)));
        }
        Ok(Ok((self.metrics(&report, &evaluation), evaluation)))
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
        image: usize,
    ) -> (Failure, anyhow::Error) {
        let diagnosis = self.diagnosis(place);
        let (finding, error) = diagnosis.of_test(self.network(), &self.test, epoch.number(), image);
        (Failure::of_test(epoch, &finding), error)
    }

    fn diagnosis<'a>(&'a self, (folder, show): (&'a Path, &'a dyn Fn(&str))) -> Diagnosis<'a, T> {
        let State { trainer, progress } = &self.state;
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

    /// What it has come to.
    pub(super) fn network(&self) -> &Network<T> {
        self.averaged.as_ref().unwrap_or(self.state.trainer.network())
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
        let Self { experiment, train, test, .. } = self;
        let text = |value: serde_json::Result<String>| value.map(|text| text.replace('"', ""));
        let metadata = [
            ("preset", experiment.name.clone()),
            ("seed", experiment.seed.to_string()),
            ("precision", text(serde_json::to_string(&experiment.precision))?),
            ("loss", serde_json::to_string(&experiment.loss)?),
            ("weights_sha256", self.network().digest()),
            ("config_sha256", config_sha256.to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        let form = experiment.form();
        let form = (!form.is_open()).then(|| serde_json::to_string(&form)).transpose()?;
        let outputs = Outputs::of(self.network().spec(), Some(&experiment.loss));
        let mistakes = evaluation.and_then(|found| found.mistakes_probability(outputs, test));
        let mistakes = mistakes.map(|middle| (MISTAKES, middle.to_string()));
        let metadata = metadata.into_iter().chain(form.map(|form| (FORM, form))).chain(mistakes);
        let metadata = metadata.chain(dataset::metadata(train, test));
        Ok(save_weights(self.network(), &metadata.collect::<Vec<_>>())?)
    }

    /// The line of an epoch that follows those that are done.
    pub(super) fn metrics(&self, report: &EpochReport, evaluation: &Evaluation) -> EpochMetrics {
        let Progress { seconds: train_seconds, ref last, .. } = self.state.progress;
        let mut metrics = EpochMetrics {
            epoch: report.epoch,
            train_error: report.loss,
            train_seconds,
            samples_per_second: self.train.len() as f64 / train_seconds,
            test_error: evaluation.error(),
            test_correct: evaluation.correct(&self.test),
            test_total: self.test.len(),
            learning_rate: report.learning_rate,
            weights_sha256: self.network().digest(),
            receipt: String::new(),
        };
        let before = last.as_ref().map(|last| last.receipt.as_str());
        metrics.receipt = self.receipts.of(&metrics, before, None);
        metrics
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
