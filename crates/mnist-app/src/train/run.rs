//! One run: the loop over its epochs, and the files that it writes.

use std::time::Instant;

use anyhow::{Context, anyhow, ensure};
use layers::{Epoch, EpochReport, EpochRun, NonFinite};
use tensor::Element;

use super::checkpoint::{self, Identity, Resumed};
use super::doctor;
use super::failure::Failure;
use super::metrics::{EpochMetrics, NotebookErrors, Outcome, Summary};
use super::pace::Pace;
use super::progress::Bar;
use super::report::{Ending, Page};
use super::start::Start;
use super::state::{Progress, Steps};
use super::training::{Tested, Training};
use super::{Options, report};
use crate::console::{Console, notice};
use crate::dataset::{Parts, Samples};
use crate::escape::{Escape, shell_word};
use crate::evaluation::Evaluation;
use crate::evaluation::report::{accuracy_lines, notebook_lines};
use crate::run_folder::{
    CONFIG, Checkpoints, FAILURE, Lines, METRICS, MODEL, Place, RunFolder, SUMMARY,
};
use crate::signals::{self, Interrupted};

/// A run of one network.
pub(super) struct Run<'a, T> {
    training: Training<T>,
    options: &'a Options,
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
    /// Its number, counted from 1, among so many runs of a committee.
    place: [usize; 2],
}

impl<'a, T: Element> Run<'a, T> {
    /// A run in its folder, with its number, counted from 1, among so many runs of a committee:
    /// from its beginning, or from its newest checkpoint if there is one.
    ///
    /// # Errors
    /// If the memory does not suffice, a checkpoint is of another run or damaged and none before it
    /// can be used, more is done than the experiment says, or the folder cannot be written.
    pub(super) fn new(
        start: Start<T>,
        options: &'a Options,
        (mut folder, number): (RunFolder, [usize; 2]),
    ) -> anyhow::Result<Self> {
        let mut training = Training::new(start)?;
        let Training { experiment, data, state, .. } = &mut training;
        let identity = Identity { experiment, origin: &options.origin, data };
        let resumed = checkpoint::resume(folder.path(), &identity, usize::MAX, state);
        let resumed = resumed.map_err(|error| {
            let config = shell_word(&folder.path().join(CONFIG));
            anyhow!("{error:#}; to train it anew: mnist-app train --config {config}")
        })?;
        let begun = state.progress.begun();
        ensure!(
            begun <= experiment.epochs.get(),
            "{}: expected at least {begun} epochs, as so many have begun, found {}",
            options.origin.setting(experiment, &["epochs".into()]),
            experiment.epochs
        );
        let is_tested = state.progress.last.as_ref().is_none_or(|last| last.test.is_some());
        ensure!(
            is_tested || state.progress.epochs < experiment.epochs.get(),
            "{}: expected at least {} epochs, as {begun} are done, and the test after the last one \
             belongs to its end, found {}",
            options.origin.setting(experiment, &["epochs".into()]),
            begun + 1,
            experiment.epochs
        );
        folder.set_experiment(experiment)?;
        let (place, mark) = resumed.map(|Resumed { place, mark }| (place, mark)).unzip();
        let checkpoints = Checkpoints::open(&folder, place)?;
        let lines = folder.lines(METRICS, &mark.unwrap_or_default())?;
        let wall_before = state.progress.wall_seconds;
        Ok(Self {
            training,
            options,
            folder,
            lines,
            checkpoints,
            pace: Pace::new(options.every),
            unsaved: false,
            resumed: place.is_some(),
            wall_before,
            place: number,
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
        &self.training.test
    }

    /// The validation images, if there are some, and what the network that it kept answers to them.
    pub(super) fn validate(&mut self) -> Option<(Evaluation, &Samples)> {
        self.training.validate()
    }

    /// Where its files are, and its images.
    pub(super) fn into_parts(self) -> (RunFolder, Parts) {
        let Training { train, validation, test, .. } = self.training;
        (self.folder, Parts { train, validation, test })
    }

    /// Trains all epochs that are left, or until the target is reached or patience has ended, and
    /// writes what came of it. Signals are to be deferred.
    ///
    /// # Errors
    /// If a loss is not finite, a file cannot be written, or a signal was received.
    pub(super) fn train(&mut self, console: &mut Console) -> anyhow::Result<Outcome> {
        self.announce(console);
        if !self.resumed {
            self.save()?;
        }
        let epochs = self.training.experiment.epochs.get();
        let batch_size = self.training.state.trainer.config().batch_size;
        let sizes = [self.training.train.len(), batch_size];
        let mut bar = Bar::new(self.options.quiet, sizes, epochs, self.place);
        let mut last = None;
        for epoch in self.training.epochs().skip(self.training.state.progress.epochs) {
            if !self.is_left() {
                break;
            }
            self.end_if_asked()?;
            let report = self.learn(&epoch, &mut bar)?;
            bar.test(self.training.validation.is_some());
            let Tested { metrics, evaluation } = self.test(&epoch, &report)?;
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
            self.training.end_epoch(metrics);
            last = evaluation;
            if self.is_left() && self.pace.is_due_after_epoch() {
                self.save()?;
            }
        }
        drop(bar);
        self.save()?;
        self.lines.sync();
        let evaluation = match last {
            Some(evaluation) => evaluation,
            None => self.test_again()?,
        };
        let Progress { wall_seconds, train_seconds, ref last, .. } = self.training.state.progress;
        let metrics = last.clone().context("no epoch")?;
        let mut outcome =
            Outcome { metrics, evaluation, wall_seconds, train_seconds, unwritten: None };
        self.finish(&outcome, self.lines.cut())?;
        outcome.unwritten = self.lines.take_loss();
        Ok(outcome)
    }

    /// Whether there are epochs left.
    fn is_left(&self) -> bool {
        let Training { experiment, state, .. } = &self.training;
        state.progress.epochs < experiment.epochs.get() && self.training.stop().is_none()
    }

    /// Writes a checkpoint of where the run stands, unless there is one. If it cannot be written,
    /// that is told, and the run goes on.
    ///
    /// # Errors
    /// If the folder no longer belongs to this run, or its first checkpoint cannot be written:
    /// nothing is lost then.
    fn save(&mut self) -> anyhow::Result<()> {
        let place = self.training.state.progress.place();
        if self.checkpoints.newest() == Some(place) {
            return Ok(());
        }
        self.folder.check()?;
        if self.training.state.trainer.require_finite().is_err() {
            // The end of the epoch ends the run for this. What is not finite is kept nowhere.
            return Ok(());
        }
        // The checkpoint counts these lines.
        self.lines.sync();
        let Self { training, options, folder, .. } = self;
        let Training { experiment, data, state, .. } = training;
        let identity = Identity { experiment, origin: &options.origin, data };
        let bytes = checkpoint::to_bytes(state, &identity, folder, &self.lines.mark());
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
        let (progress, newest) = (&self.training.state.progress, self.checkpoints.newest());
        let (folder, mut place) = (self.folder.path().to_owned(), progress.text());
        if newest != Some(progress.place()) {
            let newest = newest.map_or("none".into(), Place::file_name);
            place += &format!(", of which there is no checkpoint; the last one is {newest}");
        }
        Interrupted { signal, folder, place }.into()
    }

    /// Takes a step on each batch that is left.
    fn learn(&mut self, epoch: &Epoch, bar: &mut Bar) -> anyhow::Result<EpochReport> {
        let mut run = self.training.begin(epoch)?;
        bar.begin(epoch, &run);
        let mut began = Instant::now();
        while !run.is_done() {
            match self.training.step(&mut run, epoch) {
                Ok(report) => bar.step(&report),
                Err(failure) => return Err(self.stopped(epoch, &run, &failure)),
            }
            let is_due = self.pace.is_due_after_step(self.training.state.trainer.state().steps);
            let signal = signals::received();
            if run.is_done() || is_due || signal.is_some() {
                let wall_seconds = self.wall_before + self.options.started.elapsed().as_secs_f64();
                let progress = &mut self.training.state.progress;
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
        let report = run.report(&self.training.state.trainer);
        report.map_err(|failure| self.stopped(epoch, &run, &failure))
    }

    /// Tests the network after an epoch.
    fn test(&mut self, epoch: &Epoch, report: &EpochReport) -> anyhow::Result<Tested> {
        let go_on = || signals::received().is_none();
        let Some(tested) = self.training.test((epoch, report), None, go_on) else {
            return Err(self.ended_in_a_test());
        };
        tested.map_err(|image| {
            let place = (self.folder.path(), &self.show() as _);
            let (failure, error) = self.training.test_failure(place, epoch, &image);
            self.record(&failure);
            error
        })
    }

    /// The end after a signal in a test.
    fn ended_in_a_test(&mut self) -> anyhow::Error {
        match self.end_if_asked() {
            Err(error) => error,
            Ok(()) => anyhow!("expected a signal that ended the evaluation, found none"),
        }
    }

    /// Tests what is kept after the last epoch once more, in a run that has ended.
    fn test_again(&mut self) -> anyhow::Result<Evaluation> {
        let epochs = self.training.state.progress.epochs;
        let epoch = epochs.checked_sub(1).and_then(|before| self.training.epochs().nth(before));
        let epoch = epoch.context("no epoch")?;
        let Some(evaluation) = self.training.test_again(&epoch, || signals::received().is_none())
        else {
            return Err(self.ended_in_a_test());
        };
        let expected = self.training.state.progress.last.as_ref().map(|last| &last.weights_sha256);
        let found = self.training.network().digest();
        ensure!(
            expected == Some(&found),
            "{}: expected the weights of the last line of metrics, found others, sha256 {found}",
            self.folder.path().escaped()
        );
        Ok(evaluation)
    }

    /// Why the run does not go on after a step of this epoch.
    fn stopped(&self, epoch: &Epoch, steps: &EpochRun, failure: &NonFinite) -> anyhow::Error {
        let place = (self.folder.path(), &self.show() as _);
        let (failure, error) = self.training.step_failure(place, (epoch, steps), failure);
        self.record(&failure);
        error
    }

    /// Writes down what ended the run, and says how to see it again. If it cannot be written, that
    /// is told.
    fn record(&self, failure: &Failure) {
        if let Err(error) = self.folder.write_json(FAILURE, failure) {
            notice(format_args!("{error:#}"));
        }
        let folder = shell_word(self.folder.path());
        self.show()(&format!("to see it again: mnist-app replay {folder}"));
    }

    /// Prints a line of what the layers make of a step that failed.
    fn show(&self) -> impl Fn(&str) {
        let quiet = self.options.quiet;
        move |line| {
            if !quiet {
                notice(line);
            }
        }
    }

    /// What keeps the network from learning, if anything seems to, after an epoch.
    fn warning(&mut self, report: &EpochReport, metrics: &EpochMetrics) -> Option<String> {
        if self.options.quiet {
            return None;
        }
        let Training { experiment, train, validation, test, state, .. } = &mut self.training;
        let progress = doctor::Progress {
            epochs: metrics.epoch,
            steps: state.trainer.state().steps,
            train_correct: report.correct,
            correct: metrics.looked_at().correct,
            train,
            samples: validation.as_ref().unwrap_or(test),
            word: metrics.looked_at_word(),
        };
        state.progress.learning.warning((state.trainer.network(), &experiment.loss), &progress)
    }

    /// Writes the model and the summary, which says how many lines of metrics there are if they
    /// are not all.
    fn finish(&self, outcome: &Outcome, metrics_lines: Option<usize>) -> anyhow::Result<()> {
        let experiment = &self.training.experiment;
        let model = self.training.model(self.folder.config_sha256(), Some(&outcome.evaluation))?;
        self.folder.write(MODEL, &model)?;
        // Another version of the program may have met one.
        self.folder.remove(FAILURE)?;
        let notebook = NotebookErrors::of(experiment, &outcome.evaluation);
        let Outcome { metrics, wall_seconds, .. } = outcome;
        let result = (metrics, self.training.validation_score());
        let summary = Summary::new(experiment, result, *wall_seconds, self.options.simd);
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
        let Training { experiment, train, validation, test, state, .. } = &self.training;
        let place = (self.options, folder);
        let network = state.trainer.network();
        let parts = (train, validation.as_ref(), test);
        console.tell(report::beginning(experiment, network, parts, place));
        if self.resumed {
            console.tell(format_args!("goes on {}\n", self.training.state.progress.text()));
        }
    }

    /// The text at the end of a run.
    pub(super) fn conclusion(&self, outcome: &Outcome) -> String {
        let Outcome { metrics, evaluation, train_seconds, .. } = outcome;
        let Training { experiment, test, .. } = &self.training;
        let mut text = String::new();
        let score = self.training.validation_score();
        text.push_str(&report::choice_lines(metrics, self.training.stop(), score));
        if experiment.notebook_report {
            text.push_str(&notebook_lines(evaluation, test));
        }
        text.push_str(&accuracy_lines(evaluation, test, &experiment.loss));
        let all = self.wall_before + self.options.started.elapsed().as_secs_f64();
        let page = match self.training.state.progress.learning.has_warned() {
            true => Page::DoesNotLearn,
            false => Page::Worth,
        };
        report::end(&Ending {
            text: &text,
            page,
            metrics,
            seconds: [all, *train_seconds],
            folder: self.folder.path(),
            has_report: self.options.report,
            is_committee: false,
        })
    }
}
