//! `train` of a committee: networks that learn one after another, each from a seed of its
//! own, and answer together. They may be different ones.
//!
//! Each member leaves a run's whole folder behind in the committee's. The committee's own
//! `metrics.jsonl` has the keys of any run and a line for each member: `epoch` counts the
//! members, `test_*` are those of the vote so far, the other numbers the last member's.

use layers::sha256;
use tensor::Element;

use super::metrics::{EpochMetrics, Outcome, Summary};
use super::run::Run;
use super::start::Start;
use super::{Options, report};
use crate::console::Console;
use crate::dataset;
use crate::escape::Escape;
use crate::evaluation::vote::{Outputs, Vote};
use crate::experiment::Experiment;
use crate::run_folder::{METRICS, Mark, RunFolder, SUMMARY, checkpoints_of, member};
use crate::signals::{self, Interrupted};

/// Trains all members, or as many as reach the target together; returns the committee's folder.
/// In a folder that is `resumed`, the members go on that have begun; those that have ended are
/// tested again, for the vote.
///
/// # Errors
/// As for a single network; if only lines of metrics were lost, at the end.
pub(super) fn train<T: Element>(
    experiment: &Experiment,
    options: &Options,
    resumed: Option<RunFolder>,
    console: &mut Console,
) -> anyhow::Result<RunFolder> {
    // The last member's network too, before the first member trains.
    let start = Start::<T>::new(experiment, options, resumed.is_some())?;
    let Start { experiment, train, test, .. } = start;
    dataset::tell(&train, &test);
    drop((train, test));
    let folder = match resumed {
        Some(mut folder) => {
            folder.set_experiment(&experiment)?;
            folder
        }
        None => RunFolder::create(options.out.as_deref(), &experiment)?,
    };
    signals::set_folder(folder.path());
    let mut lines = None;
    let (mut vote, mut digests) = (Vote::default(), Vec::new());
    let (mut loss, mut wall_before) = (None, 0.0);
    let (mut last, mut train_seconds) = (None, 0.0);
    let members = experiment.committee.map_or(1, Into::into);
    if !options.json {
        let (name, folder) = (experiment.name.escaped(), folder.path().escaped());
        console.tell(format_args!(
            "{name}: {members} networks that learn one after another and vote\nrun: {folder}\n\n"
        ));
    }
    for member in 1..=members {
        let own = experiment.member(member);
        let outputs = Outputs::of(own.networks.first(), Some(&own.loss));
        let place = [member, members];
        let mut run = member_run::<T>(&folder, place, &own, options)?;
        wall_before = run.begin_after(wall_before);
        let _deferred = signals::defer();
        let mut silent = Console::silent();
        let outcome = run.train(if options.json { &mut silent } else { &mut *console });
        let mut outcome = outcome.map_err(|error| of_committee(error, &folder, member))?;
        loss = loss.or(outcome.unwritten.take());
        let samples = run.test_samples();
        vote.add(outputs, &outcome.evaluation);
        let evaluation = vote.evaluation(samples);
        train_seconds += outcome.train_seconds;
        digests.push(outcome.metrics.weights_sha256.clone());
        let metrics = EpochMetrics {
            epoch: member,
            train_seconds: outcome.train_seconds,
            test_error: evaluation.error(),
            test_correct: evaluation.correct(samples),
            weights_sha256: digest(&digests),
            ..outcome.metrics
        };
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
        let target = experiment.target_accuracy;
        let is_reached = target.is_some_and(|target| voted.metrics.test_accuracy() >= target);
        let ended = (is_reached || member == members).then_some(member);
        let summary = Summary::new(&experiment, &voted, options.simd);
        let summary = Summary { members: ended, metrics_lines: lines.cut(), ..summary };
        folder.write_json(SUMMARY, &summary)?;
        let shown = if options.json { line } else { report::vote_line(member, &voted.metrics) };
        console.tell(shown + "\n");
        last = Some(voted.metrics);
        if is_reached {
            break;
        }
        if let Some(signal) = signals::received().filter(|_| member < members) {
            let (folder, place) = (folder.path().to_owned(), format!("after member {member}"));
            return Err(Interrupted { signal, folder, place }.into());
        }
    }
    if let Some(metrics) = last.filter(|_| !options.json) {
        let seconds = [options.started.elapsed().as_secs_f64(), train_seconds];
        console.tell(report::end("", &metrics, seconds, folder.path()));
    }
    let lost = lines.and_then(|mut lines| lines.take_loss());
    loss.or(lost).map_or(Ok(folder), Err)
}

/// The run of a member, new or going on.
fn member_run<'a, T: Element>(
    committee: &RunFolder,
    [number, members]: [usize; 2],
    experiment: &Experiment,
    options: &'a Options,
) -> anyhow::Result<Run<'a, T>> {
    let begun = checkpoints_of(&committee.path().join(member(number)))?;
    let start = Start::new(experiment, options, !begun.is_empty())?;
    let folder = committee.member(number, &start.experiment)?;
    Run::new(start, options, folder, [number, members])
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
