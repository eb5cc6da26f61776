//! `verify`: trains again what a run claims, in memory, and compares.
//!
//! `claims` is what the files of the run say, `differences` how that differs from what was found,
//! `findings` how it is told.

mod claims;
mod differences;
mod findings;

use std::path::PathBuf;

use anyhow::ensure;
use tensor::Element;

use super::checkpoint::{self, Identity};
use super::committee::Members;
use super::metrics::{EpochMetrics, Score};
use super::receipt::Receipts;
use super::resume::require_same;
use super::start::Start;
use super::training::{Tested, Training};
use crate::console::notice;
use crate::dataset::{self, Digests};
use crate::escape::Escape;
use crate::evaluation::Evaluation;
use crate::run_folder::{METRICS, MODEL, SUMMARY, checkpoints_of, member};

use differences::{Difference, differences};
use findings::{Claim, Findings};

pub(crate) use claims::ClaimedRun;
pub(super) use claims::MOST_METRICS;
pub(super) use claims::lines_of;

/// How a run is verified.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Where the data are now, if not where the run says.
    pub(crate) data: Option<PathBuf>,
    /// The last epoch that is trained, of each member of a committee, if not all are.
    pub(crate) last: Option<usize>,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

/// Trains a run again, and tells of each of its claims whether it is true; after one that is not,
/// it goes on.
///
/// # Errors
/// If a claim is not true, or the run cannot be verified here: its arithmetic, its experiment or its
/// data are others.
pub(crate) fn verify<T: Element>(run: &ClaimedRun, options: &Options) -> anyhow::Result<()> {
    let Options { json, quiet, .. } = *options;
    let findings = Findings::new(json, quiet);
    let mut verification = Verification { options, findings, votes_left_out: 0 };
    match run.experiment.committee {
        None => {
            verification.network::<T>(run)?;
        }
        Some(count) => verification.committee::<T>(run, count.get())?,
    }
    let [checked, differing] = verification.findings.counts();
    let claims = if checked == 1 { "claim" } else { "claims" };
    let folder = run.folder.escaped();
    ensure!(
        differing == 0,
        "{folder}: expected what the run claims, found something else in {differing} of {checked} \
         {claims}"
    );
    if json {
        return Ok(());
    }
    let agree =
        if checked == 1 { "the only claim agrees" } else { &format!("all {checked} claims agree") };
    let unfinished = if run.has_ended()? { "" } else { "; the run has not ended" };
    let epoch = match options.last {
        Some(epoch) if verification.votes_left_out > 0 => format!(
            "; {} votes were not checked, as they need more epochs than --epoch {epoch}",
            verification.votes_left_out
        ),
        _ => String::new(),
    };
    let verdict = format!("{folder}: verified: {agree}{unfinished}{epoch}");
    verification.findings.console.line(verdict)
}

/// A network that was trained again.
struct Trained<T> {
    training: Training<T>,
    /// Its last epoch as it was found, if that is the run's last line.
    last: Option<(EpochMetrics, Evaluation)>,
}

struct Verification<'a> {
    options: &'a Options,
    findings: Findings,
    /// Of how many members the vote was not checked.
    votes_left_out: usize,
}

impl Verification<'_> {
    /// A single network, up to the last line or `--epoch`.
    fn network<T: Element>(&mut self, run: &ClaimedRun) -> anyhow::Result<Trained<T>> {
        let count = run.lines.len();
        let metrics = run.folder.join(METRICS);
        ensure!(count > 0, "{}: expected lines to verify, found none yet", metrics.escaped());
        let until = self.options.last.unwrap_or(count);
        ensure!(
            until <= count,
            "--epoch {until}: expected at most {count}, as {} has so many lines",
            metrics.escaped()
        );
        let mut training = self.start::<T>(run)?;
        let mut last = None;
        for epoch in training.epochs().skip(training.state.progress.epochs) {
            if epoch.number() > until {
                break;
            }
            let claimed = &run.lines[epoch.number() - 1];
            // A run that was made longer has the test's results in the line that was its last.
            let is_last = Some(claimed.test.is_some());
            let tested = training.epoch(&epoch, is_last, (&run.folder, &|_| ()))?;
            let claim = Claim::Epoch(epoch.number());
            let Tested { metrics: mut found, evaluation } = match tested {
                Ok(tested) => tested,
                Err((_, error)) => {
                    let found = format!("{error:#}");
                    let difference = Difference::new("training", "an epoch to its end", &found);
                    self.findings.tell(claim, "", &[difference])?;
                    break;
                }
            };
            let differences = differences(claimed, &found);
            self.findings.tell(claim, &detail(&found), &differences)?;
            // Each line is checked after the one before it as that is claimed.
            found.receipt.clone_from(&claimed.receipt);
            training.end_epoch(found.clone());
            last = evaluation.map(|evaluation| (found, evaluation));
        }
        let last = last.filter(|_| until == count);
        let evaluation = last.as_ref().map(|(_, evaluation)| evaluation);
        self.files(run, Some((&training, evaluation)))?;
        Ok(Trained { training, last })
    }

    /// A run before the first epoch to be trained again: from its beginning, or with `--epoch` from
    /// the newest checkpoint before that.
    fn start<T: Element>(&mut self, run: &ClaimedRun) -> anyhow::Result<Training<T>> {
        let source = (&run.origin, self.options.data.as_deref());
        let epochs = self.options.last.unwrap_or(0);
        let checkpoints = checkpoints_of(&run.folder)?;
        let may_go_on = checkpoints.iter().any(|(place, _)| place.epochs < epochs);
        let mut training = Training::new(Start::<T>::new(&run.experiment, source, may_go_on)?)?;
        if self.findings.member.is_none_or(|number| number == 1) {
            dataset::tell(&training.train, training.validation.as_ref(), &training.test);
        }
        self.receipts(run, (training.receipts(), None), &training.data)?;
        if may_go_on {
            let Training { experiment, data, state, .. } = &mut training;
            let identity = Identity { experiment, origin: &run.origin, data };
            let resumed = checkpoint::resume(&run.folder, &identity, epochs, state);
            if let Err(complaint) = resumed {
                notice(format_args!("{complaint:#}; it is verified from its beginning"));
                training = Training::new(Start::<T>::new(&run.experiment, source, false)?)?;
            }
        }
        let after = training.state.progress.text();
        if training.state.progress.begun() > 0 && !self.findings.json && !self.findings.quiet {
            self.findings.console.line(format_args!("from the checkpoint {after}"))?;
        }
        Ok(training)
    }

    /// The receipts of all lines, by what these say.
    fn receipts(
        &mut self,
        run: &ClaimedRun,
        (receipts, members): (&Receipts, Option<&[String]>),
        data: &Digests,
    ) -> anyhow::Result<()> {
        let broken = run.broken(receipts, members);
        if broken.len() == run.lines.len() {
            let ClaimedRun { folder, experiment, origin, .. } = run;
            checkpoint::check_newest(folder, &Identity { experiment, origin, data })?;
            run.refuse_others(receipts, members, data)?;
        }
        for (number, difference) in broken {
            self.findings.tell(Claim::Line(number), "", &[difference])?;
        }
        Ok(())
    }

    /// The files of a run that has ended, by its lines.
    fn files<T: Element>(
        &mut self,
        run: &ClaimedRun,
        trained: Option<(&Training<T>, Option<&Evaluation>)>,
    ) -> anyhow::Result<()> {
        let check = |(training, evaluation)| run.check_model(training, evaluation);
        let model = trained.map(check).transpose()?;
        if let Some(differences) = model.flatten() {
            let detail = "its weights are those of the last line";
            self.findings.tell(Claim::File(MODEL), detail, &differences)?;
        }
        if let Some(differences) =
            run.check_summary(trained.and_then(|(_, evaluation)| evaluation))?
        {
            self.findings.tell(Claim::File(SUMMARY), "as the last line", &differences)?;
        }
        Ok(())
    }

    /// The members of a committee one by one, and the vote after each.
    fn committee<T: Element>(&mut self, run: &ClaimedRun, most: usize) -> anyhow::Result<()> {
        let mut runs = Vec::new();
        for number in 1..=most {
            let folder = run.folder.join(member(number));
            if number > run.lines.len() && !folder.is_dir() {
                break;
            }
            let own = ClaimedRun::read(&folder)?;
            let expected = run.experiment.member(number);
            require_same(&expected, &own.experiment, &own.origin)?;
            runs.push(own);
        }
        let of_last = |run: &ClaimedRun| run.lines.last().map(|line| line.receipt.clone());
        let receipts: Vec<_> = runs.iter().map_while(of_last).collect();
        let (begun, voted) = (receipts.len(), run.lines.len());
        let folder = run.folder.escaped();
        ensure!(begun > 0, "{folder}: expected a member with lines to verify, found none yet");
        ensure!(
            begun >= voted,
            "{folder}: expected lines of the {voted} members that voted, found those of {begun}"
        );
        let mut members: Option<Members> = None;
        for (index, own) in runs.iter().take(begun).enumerate() {
            self.findings.member = Some(index + 1);
            let Trained { mut training, last } = self.network::<T>(own)?;
            self.findings.member = None;
            let members = match &mut members {
                Some(members) => members,
                None => {
                    let new = Members::new(&run.experiment, &training.data)?;
                    self.receipts(run, (new.receipts(), Some(&receipts)), &training.data)?;
                    members.insert(new)
                }
            };
            // With `--epoch`, a member may have more epochs than were trained again; then it, and
            // all after it, cannot vote.
            let Some((last, evaluation)) = last.filter(|_| members.count() == index) else {
                continue;
            };
            let Some(claimed) = run.lines.get(index) else { continue };
            members.validate(&own.experiment, training.validate());
            let (voted, _) = members.add(&own.experiment, (&last, &evaluation), &training.test);
            let differences = differences(claimed, &voted);
            self.findings.tell(Claim::VoteOf(index + 1), &detail(&voted), &differences)?;
            members.set_receipt(&claimed.receipt);
        }
        let checked = members.map_or(0, |members| members.count());
        self.votes_left_out = run.lines.len().saturating_sub(checked);
        self.files::<T>(run, None)
    }
}

/// What was found of an epoch or a vote, shortly.
fn detail(found: &EpochMetrics) -> String {
    let EpochMetrics { validation, test, weights_sha256, receipt, .. } = found;
    let right = |score: &Score| format!("{} of {}", score.correct, score.total);
    let right = match (validation, test) {
        (None, _) => right(&found.best_known()) + " right",
        (Some(validation), None) => format!("{} validation images right", right(validation)),
        (Some(validation), Some(test)) => format!(
            "{} validation images right, {} test images right",
            right(validation),
            right(test)
        ),
    };
    let short = |digest: &str| digest.get(..8).unwrap_or(digest).to_owned();
    let (weights, receipt) = (short(weights_sha256), short(receipt));
    format!("{right}, weights {weights}…, receipt {receipt}…")
}
