//! One run: the loop over its epochs, and the files that it writes.

use std::time::Instant;

use anyhow::Context;
use layers::{Epoch, EpochReport, Epochs, Network, Subset, Trainer, save_weights};
use tensor::Element;

use super::doctor::{self, Diagnosis, Learning};
use super::metrics::{EpochMetrics, NotebookErrors, Outcome, Summary};
use super::progress::Progress;
use super::start::Start;
use super::{Options, report};
use crate::augmentation::Augmenter;
use crate::console::{Console, notice};
use crate::dataset::{self, Augmented, Samples};
use crate::escape::Escape;
use crate::evaluation::report::{NOTEBOOK_IMAGES, accuracy_lines, notebook_lines};
use crate::evaluation::{Evaluation, Evaluator, mean};
use crate::experiment::Experiment;
use crate::experiment::build::trainer_config;
use crate::memory;
use crate::run_folder::{METRICS, MODEL, RunFolder, SUMMARY};

/// A run of one network.
pub(super) struct Run<'a, T> {
    experiment: Experiment,
    options: &'a Options,
    train: Samples,
    test: Samples,
    augmenter: Option<Augmenter>,
    evaluator: Evaluator<T>,
    folder: RunFolder,
    state: State<T>,
    /// The network with the moving average of the parameters, as it was last tested.
    averaged: Option<Network<T>>,
    /// Its number, counted from 1, among so many runs of a committee.
    place: [usize; 2],
}

/// What training changes. With the experiment and the images, it decides how a run goes on.
struct State<T> {
    /// The network, and what the optimizer remembers.
    trainer: Trainer<T>,
    /// How many epochs are done.
    epochs: usize,
    /// Of the training alone, in the last of them.
    seconds: f64,
    /// The same of all of them together.
    train_seconds: f64,
    /// Whether a step has changed the weights.
    moved: bool,
    /// Whether it learns.
    learning: Learning,
}

impl<'a, T: Element> Run<'a, T> {
    /// Makes the run's folder: that of a member, counted from 1 of so many, in its committee's.
    ///
    /// # Errors
    /// If the memory does not suffice, or the folder cannot be made.
    pub(super) fn new(
        start: Start<T>,
        options: &'a Options,
        committee: Option<(&RunFolder, [usize; 2])>,
    ) -> anyhow::Result<Self> {
        let Start { experiment, networks, train, test } = start;
        let network = networks.into_iter().next().context("no network")?;
        let config = trainer_config(&experiment, train.len());
        let taken = memory::training_bytes::<T>(&network.spec().footprint()?, &config);
        let evaluator = Evaluator::new(&network, test.len(), taken)?;
        let trainer = Trainer::new(network, config);
        let augmenter = experiment
            .augmentation
            .map(|augmentation| Augmenter::new(augmentation, train.size(), experiment.seed));
        let folder = match committee {
            Some((folder, [number, _])) => folder.member(number, &experiment)?,
            None => RunFolder::create(options.out.as_deref(), &experiment)?,
        };
        let (place, learning) = (committee.map_or([1, 1], |(_, place)| place), Learning::default());
        let (seconds, train_seconds, moved) = (0.0, 0.0, false);
        let state = State { trainer, epochs: 0, seconds, train_seconds, moved, learning };
        Ok(Self {
            experiment,
            options,
            train,
            test,
            augmenter,
            evaluator,
            folder,
            state,
            averaged: None,
            place,
        })
    }

    /// The images that it is tested on.
    pub(super) fn test_samples(&self) -> &Samples {
        &self.test
    }

    /// Where its files are.
    pub(super) fn into_folder(self) -> RunFolder {
        self.folder
    }

    /// Trains all epochs that are left, or until the target is reached, and writes what came of
    /// it.
    ///
    /// # Errors
    /// If a loss is not finite, or a file cannot be written.
    pub(super) fn train(&mut self, console: &mut Console) -> anyhow::Result<Outcome> {
        self.announce(console);
        let epochs = self.experiment.epochs.get();
        let sizes = [self.train.len(), self.state.trainer.config().batch_size];
        let mut progress = Progress::new(self.options.quiet, sizes, epochs, self.place);
        let mut lines = self.folder.lines(METRICS)?;
        let mut last = None;
        for epoch in self.epochs().skip(self.state.epochs) {
            progress.begin(&epoch);
            let report = self.learn(&epoch, &mut progress)?;
            let wall_seconds = self.options.started.elapsed().as_secs_f64();
            progress.test();
            let evaluation = self.evaluate(&epoch)?;
            let metrics = self.metrics(&report, &evaluation);
            let line = serde_json::to_string(&metrics)?;
            progress.suspend(|| lines.push(&line))?;
            let shown = match self.options.json {
                true => line,
                false => report::epoch_line(&metrics, epochs),
            };
            progress.suspend(|| console.tell(shown + "\n"));
            if let Some(warning) = self.warning(&report, &metrics) {
                progress.suspend(|| notice(warning));
            }
            let target = self.experiment.target_accuracy;
            let is_reached = target.is_some_and(|target| metrics.test_accuracy() >= target);
            last = Some((metrics, evaluation, wall_seconds));
            if is_reached {
                break;
            }
        }
        drop(progress);
        lines.sync();
        let (metrics, evaluation, wall_seconds) = last.context("no epoch")?;
        let train_seconds = self.state.train_seconds;
        let mut outcome =
            Outcome { metrics, evaluation, wall_seconds, train_seconds, unwritten: None };
        self.finish(&outcome, lines.cut())?;
        outcome.unwritten = lines.into_loss();
        Ok(outcome)
    }

    /// All epochs of the experiment.
    fn epochs(&self) -> Epochs {
        let Experiment { epochs, learning_rate, ref schedule, shuffle, .. } = self.experiment;
        Epochs::new(epochs.get(), learning_rate).schedule(schedule.clone()).shuffle(shuffle)
    }

    /// Takes a step on each batch.
    fn learn(&mut self, epoch: &Epoch, progress: &mut Progress) -> anyhow::Result<EpochReport> {
        let began = Instant::now();
        let State { trainer, moved, .. } = &mut self.state;
        let samples = &self.train;
        let data = Augmented { samples, augmenter: self.augmenter.as_ref(), epoch: epoch.number() };
        let report = trainer.epoch_with(&data, epoch, |rate, step| {
            *moved |= rate > 0.0;
            progress.step(step);
        });
        let report = report.map_err(|failure| self.diagnosis().of_step(&data, epoch, &failure))?;
        self.state.seconds = began.elapsed().as_secs_f64();
        self.state.train_seconds += self.state.seconds;
        self.state.epochs = epoch.number();
        Ok(report)
    }

    /// Tests the network after an epoch: the averaged one, if the experiment wants it.
    fn evaluate(&mut self, epoch: &Epoch) -> anyhow::Result<Evaluation> {
        self.averaged = self.averaged(epoch);
        let network = self.averaged.as_ref().unwrap_or(self.state.trainer.network());
        let evaluation = self.evaluator.evaluate(network, &self.experiment.loss, &self.test);
        let Some(sample) = evaluation.losses.iter().position(|loss| !loss.is_finite()) else {
            return Ok(evaluation);
        };
        Err(self.diagnosis().of_test(network, &self.test, epoch.number(), sample))
    }

    /// The network with the moving average of the parameters, if the experiment wants it. Its
    /// running statistics are measured anew: those that were gathered belong to other parameters.
    fn averaged(&self, epoch: &Epoch) -> Option<Network<T>> {
        self.experiment.average?;
        let (trainer, samples) = (&self.state.trainer, &self.train);
        let data = Augmented { samples, augmenter: self.augmenter.as_ref(), epoch: epoch.number() };
        let order = epoch.order(trainer.config().seed, samples.len());
        let mut network = trainer.averaged_network();
        trainer.measure_buffers(&mut network, &Subset::new(&data, &order));
        Some(network)
    }

    /// What the run has come to.
    fn network(&self) -> &Network<T> {
        self.averaged.as_ref().unwrap_or(self.state.trainer.network())
    }

    fn metrics(&self, report: &EpochReport, evaluation: &Evaluation) -> EpochMetrics {
        let train_seconds = self.state.seconds;
        EpochMetrics {
            epoch: report.epoch,
            train_error: report.loss,
            train_seconds,
            samples_per_second: self.train.len() as f64 / train_seconds,
            test_error: evaluation.error(),
            test_correct: evaluation.correct(&self.test),
            test_total: self.test.len(),
            learning_rate: report.learning_rate,
            weights_sha256: self.network().digest(),
        }
    }

    /// For a run that does not go on.
    fn diagnosis(&self) -> Diagnosis<'_, T> {
        let State { trainer, moved, .. } = &self.state;
        let (experiment, folder) = (&self.experiment, self.folder.path());
        Diagnosis { experiment, trainer, moved: *moved, folder, quiet: self.options.quiet }
    }

    /// What keeps the network from learning, if anything seems to.
    fn warning(&mut self, report: &EpochReport, metrics: &EpochMetrics) -> Option<String> {
        if self.options.quiet {
            return None;
        }
        let State { trainer, learning, epochs, .. } = &mut self.state;
        let progress = doctor::Progress {
            epochs: *epochs,
            steps: trainer.state().steps,
            train_correct: report.correct,
            test_correct: metrics.test_correct,
            train: &self.train,
            test: &self.test,
        };
        learning.warning((trainer.network(), &self.experiment.loss), &progress)
    }

    /// Writes the model and the summary, which says how many lines of metrics there are if they
    /// are not all.
    fn finish(&self, outcome: &Outcome, metrics_lines: Option<usize>) -> anyhow::Result<()> {
        let experiment = &self.experiment;
        let text = |value: serde_json::Result<String>| value.map(|text| text.replace('"', ""));
        let metadata = [
            ("preset", experiment.name.clone()),
            ("seed", experiment.seed.to_string()),
            ("precision", text(serde_json::to_string(&experiment.precision))?),
            ("loss", serde_json::to_string(&experiment.loss)?),
            ("weights_sha256", outcome.metrics.weights_sha256.clone()),
            ("config_sha256", self.folder.config_sha256().to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        let of_data = dataset::metadata(&self.train, &self.test);
        let metadata: Vec<_> = metadata.into_iter().chain(of_data).collect();
        let model = save_weights(self.network(), &metadata)?;
        self.folder.write(MODEL, &model)?;
        let losses = &outcome.evaluation.losses;
        let errors = &losses[..NOTEBOOK_IMAGES.min(losses.len())];
        let notebook = experiment.notebook_report.then(|| NotebookErrors {
            test_error_20: errors.to_vec(),
            test_error_20_mean: mean(errors),
        });
        let summary = Summary::new(experiment, outcome, self.options.simd);
        self.folder.write_json(SUMMARY, &Summary { metrics_lines, notebook, ..summary })
    }

    /// Prints what the run is about to do, and where.
    fn announce(&self, console: &mut Console) {
        let folder = self.folder.path();
        if self.options.json {
            // Standard output is for the metrics alone.
            notice(format_args!("run: {}", folder.escaped()));
            return;
        }
        let samples = [&self.train, &self.test];
        let network = self.state.trainer.network();
        let place = (self.options, folder);
        console.tell(report::beginning(&self.experiment, network, samples, place));
    }

    /// The text at the end of a run.
    pub(super) fn conclusion(&self, outcome: &Outcome) -> String {
        let Outcome { metrics, evaluation, train_seconds, .. } = outcome;
        let mut text = String::new();
        if self.experiment.notebook_report {
            text.push_str(&notebook_lines(evaluation, &self.test));
        }
        text.push_str(&accuracy_lines(evaluation, &self.test, &self.experiment.loss));
        let seconds = [self.options.started.elapsed().as_secs_f64(), *train_seconds];
        report::end(&text, metrics, seconds, self.folder.path())
    }
}
