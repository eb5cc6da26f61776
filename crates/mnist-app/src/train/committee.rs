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
use crate::run_folder::{METRICS, RunFolder, SUMMARY};

/// Trains all members, or as many as reach the target together; returns the committee's folder.
///
/// # Errors
/// As for a single network; if only lines of metrics were lost, at the end.
pub(super) fn train<T: Element>(
    experiment: &Experiment,
    options: &Options,
    console: &mut Console,
) -> anyhow::Result<RunFolder> {
    // The last member's network too, before the first member trains.
    let Start { experiment, train, test, .. } = Start::<T>::new(experiment, options)?;
    dataset::tell(&train, &test);
    drop((train, test));
    let folder = RunFolder::create(options.out.as_deref(), &experiment)?;
    let mut lines = folder.lines(METRICS)?;
    let (mut vote, mut digests) = (Vote::default(), Vec::new());
    let (mut loss, mut last, mut train_seconds) = (None, None, 0.0);
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
        let mut run =
            Run::new(Start::<T>::new(&own, options)?, options, Some((&folder, [member, members])))?;
        let mut silent = Console::silent();
        let mut outcome = run.train(if options.json { &mut silent } else { &mut *console })?;
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
    }
    if let Some(metrics) = last.filter(|_| !options.json) {
        let seconds = [options.started.elapsed().as_secs_f64(), train_seconds];
        console.tell(report::end("", &metrics, seconds, folder.path()));
    }
    loss.or(lines.into_loss()).map_or(Ok(folder), Err)
}

/// The digest of a committee from those of its members' weights: the SHA-256 of a line each.
pub(crate) fn digest<S: AsRef<str>>(members: &[S]) -> String {
    let lines: String = members.iter().map(|member| format!("{}\n", member.as_ref())).collect();
    sha256(lines.as_bytes())
}
