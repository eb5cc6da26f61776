//! `train` of a committee: networks that learn one after another, each from a seed of its
//! own, and answer together. They may be different ones.
//!
//! Each member leaves a run's whole folder behind in the committee's. The committee's own
//! `metrics.jsonl` has the keys of any run and a line for each member: `epoch` counts the
//! members, `test_*` and `validation_*` are those of the vote so far, the other numbers the last
//! member's.

use layers::sha256;
use tensor::Element;

use super::metrics::{EpochMetrics, Outcome, Score, Summary};
use super::receipt::Receipts;
use super::report::{Ending, Page};
use super::resume::require_member;
use super::run::Run;
use super::start::Start;
use super::stopping::stop;
use super::{Options, report};
use crate::console::Console;
use crate::dataset::{self, Digests, Samples};
use crate::escape::Escape;
use crate::evaluation::Evaluation;
use crate::evaluation::vote::{Outputs, Vote};
use crate::experiment::Experiment;
use crate::run_folder::{METRICS, Mark, RunFolder, SUMMARY, checkpoints_of, member};
use crate::signals::{self, Interrupted};

/// Trains all members, or as many as reach the target together; returns the committee's folder, and
/// whether lines of metrics were lost. In a folder that is `resumed`, the members go on that have
/// begun; those that have ended are tested again, for the vote.
///
/// # Errors
/// As for a single network.
pub(super) fn train<T: Element>(
    experiment: &Experiment,
    options: &Options,
    resumed: Option<RunFolder>,
    console: &mut Console,
) -> anyhow::Result<(RunFolder, anyhow::Result<()>)> {
    // The last member's network too, before the first member trains.
    let start = Start::<T>::new(experiment, options.source(), resumed.is_some())?;
    let Start { experiment, train, validation, test, .. } = start;
    dataset::tell(&train, validation.as_ref(), &test);
    let digests = Digests::new(&train, validation.as_ref(), &test);
    let mut members = Members::new(&experiment, &digests)?;
    drop((train, validation, test));
    let folder = match resumed {
        Some(mut folder) => {
            folder.set_experiment(&experiment)?;
            folder
        }
        None => RunFolder::create(options.out.as_deref(), &experiment)?,
    };
    signals::set_folder(folder.path(), signals::LOADING);
    let mut lines = None;
    let (mut loss, mut wall_before) = (None, 0.0);
    let (mut last, mut train_seconds) = (None, 0.0);
    let count = experiment.committee.map_or(1, Into::into);
    if !options.json {
        let (name, folder) = (experiment.name.escaped(), folder.path().escaped());
        console.tell(format_args!(
            "{name}: {count} networks that learn one after another and vote\nrun: {folder}\n\n"
        ));
    }
    for member in 1..=count {
        let own = experiment.member(member);
        let mut run = member_run::<T>(&folder, [member, count], &own, options)?;
        wall_before = run.begin_after(wall_before);
        let _deferred = signals::defer();
        let mut silent = Console::silent();
        let outcome = run.train(if options.json { &mut silent } else { &mut *console });
        let mut outcome = outcome.map_err(|error| of_committee(error, &folder, member))?;
        loss = loss.or(outcome.unwritten.take());
        members.validate(&own, run.validate());
        let (metrics, evaluation) =
            members.add(&own, (&outcome.metrics, &outcome.evaluation), run.test_samples());
        train_seconds += outcome.train_seconds;
        let metrics = EpochMetrics { train_seconds: outcome.train_seconds, ..metrics };
        let line = serde_json::to_string(&metrics)?;
        // Those of a run that goes on are made anew.
        let lines = match &mut lines {
            Some(lines) => lines,
            None => lines.insert(folder.lines(METRICS, &Mark::default())?),
        };
        lines.push(&line)?;
        lines.sync();
        let voted = Outcome { evaluation, metrics, ..outcome };
        // After each member, so that what there is can be used, whatever comes later.
        let is_reached = stop(&experiment, &voted.metrics, None).is_some();
        let ended = (is_reached || member == count).then_some(member);
        let result = (&voted.metrics, voted.metrics.validation);
        let summary = Summary::new(&experiment, result, voted.wall_seconds, options.simd);
        let summary = Summary { members: ended, metrics_lines: lines.cut(), ..summary };
        folder.write_json(SUMMARY, &summary)?;
        let shown = if options.json { line } else { report::vote_line(member, &voted.metrics) };
        console.tell(shown + "\n");
        last = Some(voted.metrics);
        if is_reached {
            break;
        }
        if let Some(signal) = signals::received().filter(|_| member < count) {
            let (folder, place) = (folder.path().to_owned(), format!("after member {member}"));
            return Err(Interrupted { signal, folder, place }.into());
        }
    }
    if let Some(metrics) = last.filter(|_| !options.json) {
        let seconds = [wall_before + options.started.elapsed().as_secs_f64(), train_seconds];
        console.tell(report::end(&Ending {
            text: "",
            page: Page::Worth,
            metrics: &metrics,
            seconds,
            folder: folder.path(),
            has_report: options.report,
            is_committee: true,
        }));
    }
    let lost = lines.and_then(|mut lines| lines.take_loss());
    Ok((folder, loss.or(lost).map_or(Ok(()), Err)))
}

/// The members of a committee that have ended, and their vote.
pub(super) struct Members {
    vote: Vote,
    /// On the validation images, if there are some.
    validation: Vote,
    validated: Option<Score>,
    digests: Vec<String>,
    receipts: Receipts,
    /// Of the last line.
    receipt: Option<String>,
}

impl Members {
    /// None as yet.
    ///
    /// # Errors
    /// If something in the experiment cannot be written as TOML.
    pub(super) fn new(experiment: &Experiment, data: &Digests) -> anyhow::Result<Self> {
        let receipts = Receipts::new(experiment, data)?;
        Ok(Self {
            vote: Vote::default(),
            validation: Vote::default(),
            validated: None,
            digests: Vec::new(),
            receipts,
            receipt: None,
        })
    }

    /// Takes what the next member answered to the validation images, given its experiment.
    pub(super) fn validate(
        &mut self,
        experiment: &Experiment,
        answers: Option<(Evaluation, &Samples)>,
    ) {
        self.validated = answers.map(|(evaluation, samples)| {
            let outputs = Outputs::of(experiment.networks.first(), Some(&experiment.loss));
            self.validation.add(outputs, &evaluation);
            Score::of(&self.validation.evaluation(samples), samples)
        });
    }

    /// Adds the next member, given its experiment, its last line of metrics and what it answered to
    /// the test images, after [`Members::validate`]. Returns the committee's line, and the vote.
    pub(super) fn add(
        &mut self,
        experiment: &Experiment,
        (last, evaluation): (&EpochMetrics, &Evaluation),
        samples: &Samples,
    ) -> (EpochMetrics, Evaluation) {
        let outputs = Outputs::of(experiment.networks.first(), Some(&experiment.loss));
        self.vote.add(outputs, evaluation);
        let evaluation = self.vote.evaluation(samples);
        self.digests.push(last.weights_sha256.clone());
        let mut metrics = EpochMetrics {
            epoch: self.digests.len(),
            validation: self.validated,
            test: Some(Score::of(&evaluation, samples)),
            best_epoch: None,
            weights_sha256: self.digest(),
            receipt: String::new(),
            ..last.clone()
        };
        metrics.receipt = self.receipts.of(&metrics, self.receipt.as_deref(), Some(&last.receipt));
        self.receipt = Some(metrics.receipt.clone());
        (metrics, evaluation)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.digests.len()
    }

    /// What the receipts of its lines have in common.
    pub(super) fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// Goes on as if the last line had this receipt.
    pub(super) fn set_receipt(&mut self, receipt: &str) {
        self.receipt = Some(receipt.to_owned());
    }

    /// The digest of all their weights.
    fn digest(&self) -> String {
        digest(&self.digests)
    }
}

/// The run of a member, counted from 1 of so many, new or going on.
fn member_run<'a, T: Element>(
    committee: &RunFolder,
    [number, count]: [usize; 2],
    experiment: &Experiment,
    options: &'a Options,
) -> anyhow::Result<Run<'a, T>> {
    let own = committee.path().join(member(number));
    require_member(&own, experiment)?;
    let begun = checkpoints_of(&own)?;
    let start = Start::new(experiment, options.source(), !begun.is_empty())?;
    let folder = committee.member(number, &start.experiment)?;
    Run::new(start, options, (folder, [number, count]))
}

/// What ends a member ends its committee, and it is the committee that goes on.
fn of_committee(error: anyhow::Error, committee: &RunFolder, member: usize) -> anyhow::Error {
    match error.downcast::<Interrupted>() {
        Ok(Interrupted { signal, place, .. }) => {
            let (folder, place) =
                (committee.path().to_owned(), format!("in member {member}, {place}"));
            Interrupted { signal, folder, place }.into()
        }
        Err(error) => error,
    }
}

/// The digest of a committee from those of its members' weights: the SHA-256 of a line each.
pub(crate) fn digest<S: AsRef<str>>(members: &[S]) -> String {
    let lines: String = members.iter().map(|member| format!("{}\n", member.as_ref())).collect();
    sha256(lines.as_bytes())
}
