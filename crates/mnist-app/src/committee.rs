//! `train` of a committee: networks that learn one after another, each from a seed of its
//! own, and answer together. They may be different ones.
//!
//! Each member leaves a run's whole folder behind in the committee's. The committee's own
//! `metrics.jsonl` has the keys of any run and a line for each member: `epoch` counts the
//! members, `test_*` are those of the vote so far, the other numbers the last member's.

use std::fmt::Write as _;
use std::time::Instant;

use layers::sha256;
use tensor::Element;
use tensor::simd::Level;

use crate::cli::TrainFlags;
use crate::console::Console;
use crate::dataset;
use crate::experiment::Experiment;
use crate::files::{self, METRICS, RunFolder, SUMMARY};
use crate::metrics::{EpochMetrics, Summary};
use crate::report;
use crate::train::{Outcome, Run, Start, check, summary};
use crate::vote::{Outputs, Vote};

/// Trains all members, or as many as reach the target together; returns the committee's folder.
///
/// # Errors
/// As for a single network.
pub(crate) fn train<T: Element>(
    flags: &TrainFlags,
    experiment: &Experiment,
    console: &mut Console,
    (start, simd): (Instant, Level),
) -> anyhow::Result<RunFolder> {
    // The last member's network too, before the first member trains.
    let Start { experiment, train, test, .. } = check::<T>(flags, experiment)?;
    dataset::tell(&train, &test);
    let experiment = &experiment;
    drop((train, test));
    let folder = RunFolder::create(flags.out.as_deref(), experiment)?;
    let mut lines = folder.lines(METRICS)?;
    // Of the members, a line each.
    let (mut vote, mut digests) = (Vote::default(), String::new());
    let members = experiment.committee.map_or(1, Into::into);
    for member in 1..=members {
        let own_flags =
            TrainFlags { out: Some(folder.path().join(files::member(member))), ..flags.clone() };
        let own = experiment.member(member);
        let outputs = Outputs::of(own.networks.first(), Some(own.loss));
        let mut run = Run::<T>::prepare(&own_flags, own)?;
        let mut silent = Console::silent();
        let of_member = if flags.json { &mut silent } else { &mut *console };
        let outcome = run.train(&own_flags, of_member, (start, simd))?;
        let samples = run.test_samples();
        vote.add(outputs, &outcome.evaluation);
        let evaluation = vote.evaluation(samples);
        let _ = writeln!(digests, "{}", outcome.metrics.weights_sha256);
        let metrics = EpochMetrics {
            epoch: member,
            train_seconds: outcome.train_seconds,
            test_error: evaluation.error(),
            test_correct: evaluation.correct(samples),
            weights_sha256: sha256(digests.as_bytes()),
            ..outcome.metrics
        };
        let line = serde_json::to_string(&metrics)?;
        lines.push(&line)?;
        lines.sync()?;
        let voted = Outcome { evaluation, metrics, ..outcome };
        // After each member, so that what there is can be used, whatever comes later.
        let reached =
            experiment.target_accuracy.is_some_and(|p| voted.metrics.test_accuracy() >= p);
        let ended = (reached || member == members).then_some(member);
        let summary = Summary { members: ended, ..summary(experiment, &voted, simd) };
        folder.write_json(SUMMARY, &summary)?;
        let shown = if flags.json { line } else { vote_line(member, &voted.metrics) };
        console.tell(shown + "\n");
        if reached {
            break;
        }
    }
    if !flags.json {
        let digest = sha256(digests.as_bytes());
        console.tell(format_args!("weights of all members: sha256 {digest}\n"));
    }
    Ok(folder)
}

fn vote_line(members: usize, metrics: &EpochMetrics) -> String {
    let accuracy = report::accuracy(metrics.test_correct, metrics.test_total);
    format!("vote of {members}: {accuracy}, mean −ln p {:.4}\n", metrics.test_error)
}
