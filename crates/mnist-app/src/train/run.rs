//! One run: the loop over its epochs, and the files that it writes.

use std::time::Instant;

use anyhow::{Context, bail, ensure};
use layers::{Epoch, EpochReport, EpochRun, Epochs, Network, Subset, Trainer, save_weights};
use tensor::Element;

use super::bar::Bar;
use super::checkpoint::{self, Identity, Resumed};
use super::doctor::{self, Diagnosis};
use super::metrics::{EpochMetrics, NotebookErrors, Outcome, Summary};
use super::pace::Pace;
use super::start::Start;
use super::state::{Progress, State, Steps};
use super::{Options, report};
use crate::augmentation::Augmenter;
use crate::console::{Console, notice};
use crate::dataset::{self, Augmented, Digests, Samples};
use crate::escape::Escape;
use crate::evaluation::report::{NOTEBOOK_IMAGES, accuracy_lines, notebook_lines};
use crate::evaluation::{Evaluation, Evaluator, mean};
use crate::experiment::Experiment;
use crate::experiment::build::trainer_config;
use crate::memory;
use crate::run_folder::{Checkpoints, Lines, METRICS, MODEL, RunFolder, SUMMARY};
use crate::signals::{self, Interrupted};

/// A run of one network.
pub(super) struct Run<'a, T> {
    experiment: Experiment,
    options: &'a Options,
    train: Samples,
    test: Samples,
    data: Digests,
    augmenter: Option<Augmenter>,
    evaluator: Evaluator<T>,
    folder: RunFolder,
    /// Of metrics.
    lines: Lines,
    checkpoints: Checkpoints,
    pace: Pace,
    /// Whether the last checkpoint could not be written.
    unsaved: bool,
    /// Whether it goes on from a checkpoint.
    resumed: bool,
    /// How long the parts of the run before this process took.
    wall_before: f64,
    state: State<T>,
    /// The network with the moving average of the parameters, as it was last tested.
    averaged: Option<Network<T>>,
    /// Its number, counted from 1, among so many runs of a committee.
    place: [usize; 2],
}

impl<'a, T: Element> Run<'a, T> {
    /// A run in its folder: from its beginning, or from its newest checkpoint if there is one;
    /// `place` is its number, counted from 1, among so many runs of a committee.
    ///
    /// # Errors
    /// If the memory does not suffice, a checkpoint is of another run or damaged and none before it
    /// can be used, more is done than the experiment says, or the folder cannot be written.
    pub(super) fn new(
        start: Start<T>,
        options: &'a Options,
        mut folder: RunFolder,
        place: [usize; 2],
    ) -> anyhow::Result<Self> {
        let Start { experiment, networks, train, test } = start;
        let network = networks.into_iter().next().context("no network")?;
        let config = trainer_config(&experiment, train.len());
        let taken = memory::training_bytes::<T>(&network.spec().footprint()?, &config);
        let evaluator = Evaluator::new(&network, test.len(), taken)?;
        let augmenter = experiment
            .augmentation
            .map(|augmentation| Augmenter::new(augmentation, train.size(), experiment.seed));
        let trainer = Trainer::new(network, config);
        let mut state = State { trainer, progress: Progress::default() };
        let data = Digests::new(&train, &test);
        let identity = Identity { experiment: &experiment, origin: &options.origin, data: &data };
        let resumed = checkpoint::resume(&folder, &identity, &mut state)?;
        let begun = state.progress.begun();
        ensure!(
            begun <= experiment.epochs.get(),
            "{}: expected at least {begun} epochs, as so many have begun, found {}",
            options.origin.setting(&experiment, &["epochs".into()]),
            experiment.epochs
        );
        folder.set_experiment(&experiment)?;
        let (newest, mark) = resumed.map(|Resumed { place, mark }| (place, mark)).unzip();
        let checkpoints = Checkpoints::open(&folder, newest)?;
        let lines = folder.lines(METRICS, &mark.unwrap_or_default())?;
        Ok(Self {
            experiment,
            options,
            train,
            test,
            data,
            augmenter,
            evaluator,
            folder,
            lines,
            checkpoints,
            pace: Pace::new(options.every),
            unsaved: false,
            resumed: newest.is_some(),
            wall_before: state.progress.wall_seconds,
            state,
            averaged: None,
            place,
        })
    }

    /// Begins, if it does not go on, after others of which parts took so many seconds before this
    /// process. Returns how long its own did.
    pub(super) fn begin_after(&mut self, wall_before: f64) -> f64 {
        if !self.resumed {
            self.wall_before = wall_before;
        }
        self.wall_before
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
    /// it. Signals are to be deferred.
    ///
    /// # Errors
    /// If a loss is not finite, a file cannot be written, or a signal was received.
    pub(super) fn train(&mut self, console: &mut Console) -> anyhow::Result<Outcome> {
        self.announce(console);
        if !self.resumed {
            self.save()?;
        }
        let epochs = self.experiment.epochs.get();
        let sizes = [self.train.len(), self.state.trainer.config().batch_size];
        let mut bar = Bar::new(self.options.quiet, sizes, epochs, self.place);
        let mut last = None;
        for epoch in self.epochs().skip(self.state.progress.epochs) {
            if self.is_reached() {
                break;
            }
            self.end_if_asked()?;
            let report = self.learn(&epoch, &mut bar)?;
            bar.test();
            let evaluation = self.evaluate(&epoch)?;
            let metrics = self.metrics(&report, &evaluation);
            let line = serde_json::to_string(&metrics)?;
            bar.suspend(|| self.lines.push(&line))?;
            let shown = match self.options.json {
                true => line,
                false => report::epoch_line(&metrics, epochs),
            };
            bar.suspend(|| console.tell(shown + "\n"));
            if let Some(warning) = self.warning(&report, &metrics) {
                bar.suspend(|| notice(warning));
            }
            self.state.progress.end_epoch(metrics);
            last = Some(evaluation);
            if self.is_left() && self.pace.is_due_after_epoch() {
                self.save()?;
            }
        }
        drop(bar);
        self.save()?;
        self.lines.sync();
        let evaluation = match last {
            Some(evaluation) => evaluation,
            None => self.evaluate_last()?,
        };
        let Progress { wall_seconds, train_seconds, ref last, .. } = self.state.progress;
        let metrics = last.clone().context("no epoch")?;
        let mut outcome =
            Outcome { metrics, evaluation, wall_seconds, train_seconds, unwritten: None };
        self.finish(&outcome, self.lines.cut())?;
        outcome.unwritten = self.lines.take_loss();
        Ok(outcome)
    }

    /// Whether the last epoch came to the target.
    fn is_reached(&self) -> bool {
        let accuracy = self.state.progress.last.as_ref().map(EpochMetrics::test_accuracy);
        self.experiment.target_accuracy.zip(accuracy).is_some_and(|(target, p)| p >= target)
    }

    /// Whether there are epochs left.
    fn is_left(&self) -> bool {
        self.state.progress.epochs < self.experiment.epochs.get() && !self.is_reached()
    }

    /// Writes a checkpoint of where the run stands, unless there is one. If it cannot be written,
    /// that is told, and the run goes on.
    ///
    /// # Errors
    /// If the folder no longer belongs to this run, or its first checkpoint cannot be written:
    /// nothing is lost then.
    fn save(&mut self) -> anyhow::Result<()> {
        let place = self.state.progress.place();
        if self.checkpoints.newest() == Some(place) {
            return Ok(());
        }
        self.folder.check()?;
        // The checkpoint counts these lines.
        self.lines.sync();
        let Self { experiment, options, data, folder, .. } = self;
        let identity = Identity { experiment, origin: &options.origin, data };
        let bytes = checkpoint::to_bytes(&self.state, &identity, folder, &self.lines.mark());
        let is_first = bytes.is_ok() && self.checkpoints.newest().is_none();
        let written = bytes
            .with_context(|| format!("checkpoint {}", place.file_name()))
            .and_then(|bytes| self.checkpoints.write(folder, place, &bytes));
        self.pace.restart();
        let was_unsaved = std::mem::replace(&mut self.unsaved, written.is_err());
        if let Err(error) = written {
            self.folder.check()?;
            if is_first {
                return Err(error);
            }
            if !was_unsaved {
                notice(format_args!("{error:#}; the run goes on without this checkpoint"));
            }
        }
        Ok(())
    }

    /// Ends the run if a signal asks for it.
    fn end_if_asked(&mut self) -> anyhow::Result<()> {
        signals::received().map_or(Ok(()), |signal| Err(self.interrupted(signal)))
    }

    /// The end after a signal, with a checkpoint.
    fn interrupted(&mut self, signal: u8) -> anyhow::Error {
        if let Err(error) = self.save() {
            return error;
        }
        let (folder, place) = (self.folder.path().to_owned(), self.state.progress.text());
        Interrupted { signal, folder, place }.into()
    }

    /// All epochs of the experiment.
    fn epochs(&self) -> Epochs {
        let Experiment { epochs, learning_rate, ref schedule, shuffle, .. } = self.experiment;
        Epochs::new(epochs.get(), learning_rate).schedule(schedule.clone()).shuffle(shuffle)
    }

    /// Takes a step on each batch that is left.
    fn learn(&mut self, epoch: &Epoch, bar: &mut Bar) -> anyhow::Result<EpochReport> {
        let begun = self.state.progress.epoch.read();
        let run = EpochRun::new(epoch, &self.state.trainer, self.train.len());
        let mut run = begun.and_then(|begun| run.resume(begun)).context("no such step")?;
        bar.begin(epoch, &run);
        let mut began = Instant::now();
        while !run.is_done() {
            let data = augmented(&self.train, self.augmenter.as_ref(), epoch);
            let is_moving = run.learning_rate() > 0.0;
            match run.step(&mut self.state.trainer, &data) {
                Ok(step) => bar.step(&step),
                Err(failure) => return Err(self.diagnosis().of_step(&data, epoch, &failure)),
            }
            self.state.progress.moved |= is_moving;
            let is_due = self.pace.is_due_after_step(self.state.trainer.state().steps);
            let signal = signals::received();
            if run.is_done() || is_due || signal.is_some() {
                let wall_seconds = self.wall_before + self.options.started.elapsed().as_secs_f64();
                let progress = &mut self.state.progress;
                progress.epoch = Steps::from(run.progress());
                progress.add(began.elapsed().as_secs_f64(), wall_seconds);
                if let Some(signal) = signal {
                    return Err(self.interrupted(signal));
                }
                if is_due {
                    self.save()?;
                }
                began = Instant::now();
            }
        }
        let report = run.report(&self.state.trainer);
        report.map_err(|failure| {
            let data = augmented(&self.train, self.augmenter.as_ref(), epoch);
            self.diagnosis().of_step(&data, epoch, &failure)
        })
    }

    /// Tests the network after an epoch: the averaged one, if the experiment wants it.
    fn evaluate(&mut self, epoch: &Epoch) -> anyhow::Result<Evaluation> {
        let go_on = || signals::received().is_none();
        let is_averaged = self.average(epoch, go_on);
        let network = self.averaged.as_ref().unwrap_or(self.state.trainer.network());
        let loss = &self.experiment.loss;
        let evaluation = is_averaged
            .then(|| self.evaluator.evaluate_while(network, loss, &self.test, go_on))
            .flatten();
        let Some(evaluation) = evaluation else {
            self.end_if_asked()?;
            bail!("expected a signal that ended the evaluation, found none");
        };
        let Some(sample) = evaluation.losses.iter().position(|loss| !loss.is_finite()) else {
            return Ok(evaluation);
        };
        Err(self.diagnosis().of_test(network, &self.test, epoch.number(), sample))
    }

    /// Tests the network after the last epoch once more, in a run that has ended.
    fn evaluate_last(&mut self) -> anyhow::Result<Evaluation> {
        let epochs = self.state.progress.epochs;
        let epoch = epochs.checked_sub(1).and_then(|before| self.epochs().nth(before));
        let evaluation = self.evaluate(&epoch.context("no epoch")?)?;
        let expected = self.state.progress.last.as_ref().map(|last| &last.weights_sha256);
        let found = self.network().digest();
        ensure!(
            expected == Some(&found),
            "{}: expected the weights of the last line of metrics, found others, sha256 {found}",
            self.folder.path().escaped()
        );
        Ok(evaluation)
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

    /// What the run has come to.
    fn network(&self) -> &Network<T> {
        self.averaged.as_ref().unwrap_or(self.state.trainer.network())
    }

    fn metrics(&self, report: &EpochReport, evaluation: &Evaluation) -> EpochMetrics {
        let train_seconds = self.state.progress.seconds;
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
        let State { trainer, progress } = &self.state;
        let (experiment, folder) = (&self.experiment, self.folder.path());
        let (moved, quiet) = (progress.moved, self.options.quiet);
        Diagnosis { experiment, trainer, moved, folder, quiet }
    }

    /// What keeps the network from learning, if anything seems to.
    fn warning(&mut self, report: &EpochReport, metrics: &EpochMetrics) -> Option<String> {
        if self.options.quiet {
            return None;
        }
        let State { trainer, progress } = &mut self.state;
        let come_to = doctor::Progress {
            epochs: report.epoch,
            steps: trainer.state().steps,
            train_correct: report.correct,
            test_correct: metrics.test_correct,
            train: &self.train,
            test: &self.test,
        };
        progress.learning.warning((trainer.network(), &self.experiment.loss), &come_to)
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

    /// Prints what the run is about to do, and where; nothing if nothing is left.
    fn announce(&self, console: &mut Console) {
        if !self.is_left() {
            return;
        }
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
        if self.resumed {
            console.tell(format_args!("goes on {}\n", self.state.progress.text()));
        }
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

/// The training images as an epoch meets them.
fn augmented<'a>(
    samples: &'a Samples,
    augmenter: Option<&'a Augmenter>,
    epoch: &Epoch,
) -> Augmented<'a> {
    Augmented { samples, augmenter, epoch: epoch.number() }
}
