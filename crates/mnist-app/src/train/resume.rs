//! `--resume`: the folder of a run that goes on, what may be changed in it, and the result of one
//! that has nothing left to do.

use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use layers::{Schedule, sha256};
use serde::Deserialize;

use super::committee;
use super::metrics::EpochMetrics;
use super::stopping::stop_after;
use super::verify::{MOST_METRICS, lines_of};
use crate::escape::{Escape, shell_word};
use crate::evaluation::report::accuracy;
use crate::experiment::{self, Experiment, Origin};
use crate::input::is_there;
use crate::run_folder::{
    CONFIG, METRICS, MODEL, RunFolder, SUMMARY, config_of, member, text_of, weights_of,
};
use crate::width::wrap;

/// A run that goes on.
#[derive(Debug)]
pub(crate) struct Resumption {
    pub(crate) folder: RunFolder,
    /// As its `config.toml` says.
    pub(crate) experiment: Experiment,
    pub(crate) origin: Origin,
}

/// What the command line may change in a run that goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) epochs: Option<NonZeroUsize>,
    pub(crate) target_accuracy: Option<f64>,
}

impl Resumption {
    /// Opens the folder of a run and makes it this process's.
    ///
    /// # Errors
    /// If it is not the folder of a run, the run is still in progress, or its experiment cannot be
    /// read.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let folder = RunFolder::reopen(path).with_context(|| "--resume".to_owned())?;
        let config = path.join(CONFIG);
        let experiment = Experiment::parse(folder.config())
            .map_err(|error| anyhow!("{}{error}", config.escaped()))?;
        let origin = Origin::run(&config, folder.config().to_owned(), &experiment);
        Ok(Self { folder, experiment, origin })
    }

    /// Changes the experiment.
    ///
    /// # Errors
    /// If that would change the epochs that are done.
    pub(crate) fn change(&mut self, changes: &Changes) -> anyhow::Result<()> {
        changes.apply(&mut self.experiment)
    }
}

impl Changes {
    fn apply(&self, experiment: &mut Experiment) -> anyhow::Result<()> {
        if let Some(epochs) = self.epochs {
            let schedule = &experiment.schedule;
            ensure!(
                epochs == experiment.epochs || !schedule.depends_on_length(),
                "--epochs {epochs}: expected {}, as the run began with, since its schedule, {}, \
                 depends on the number of epochs; train anew with another number",
                experiment.epochs,
                schedule_text(schedule)?
            );
            experiment.epochs = epochs;
        }
        experiment.target_accuracy = self.target_accuracy.or(experiment.target_accuracy);
        Ok(())
    }
}

/// `constant with a warm-up`
fn schedule_text(schedule: &Schedule) -> anyhow::Result<String> {
    let value = serde_json::to_value(schedule)?;
    let name = value["type"].as_str().unwrap_or_default();
    let warms_up = value["warmup"].as_f64().is_some_and(|share| share > 0.0);
    Ok(format!("{name}{}", if warms_up { " with a warm-up" } else { "" }))
}

/// The parts of `summary.json` that say what a run has come to.
#[derive(Deserialize)]
struct Ended {
    epoch: usize,
    test_correct: usize,
    test_total: usize,
    test_accuracy: f64,
    validation_accuracy: Option<f64>,
    weights_sha256: String,
    members: Option<usize>,
    metrics_lines: Option<usize>,
}

/// The result of a run that has nothing left to do after these changes, for people or as the last
/// line of its metrics; `None` if something is left, or its experiment cannot be read. The folder
/// may be one that cannot be written.
///
/// # Errors
/// If the changes would change the epochs that are done, or the metrics cannot be read.
pub(crate) fn result_of(
    run: &Path,
    changes: &Changes,
    json: bool,
) -> anyhow::Result<Option<String>> {
    let Ok((_, mut experiment)) = config_of(run) else { return Ok(None) };
    changes.apply(&mut experiment)?;
    let Some(ended) = ended(run, &experiment) else { return Ok(None) };
    let metrics = run.join(METRICS);
    let text = text_of(&metrics, MOST_METRICS)?;
    let last = text.lines().last().unwrap_or_default();
    let is_same = serde_json::from_str(last).is_ok_and(|last: EpochMetrics| {
        let test = last.test.map(|score| (score.correct, score.total));
        (last.epoch, test, &last.weights_sha256)
            == (ended.epoch, Some((ended.test_correct, ended.test_total)), &ended.weights_sha256)
    });
    ensure!(is_same, "{}", contradicted(run));
    if json {
        return Ok(Some(format!("{last}\n")));
    }
    let Ended { epoch, test_correct, test_total, weights_sha256, .. } = ended;
    let accuracy = accuracy(test_correct, test_total);
    let (what, of) = match experiment.committee {
        Some(_) => ("the vote of", "members"),
        None => ("", "epochs"),
    };
    let early = match (experiment.committee, experiment.epochs.get()) {
        (None, epochs) if epoch < epochs => {
            format!("; target_accuracy or patience ended it before its {epochs} epochs")
        }
        _ => String::new(),
    };
    let what = format!("{what} {epoch} {of}");
    let result = format!("{}: has ended; {}: {accuracy}{early}", run.escaped(), what.trim_start());
    Ok(Some(format!("{}\nweights: sha256 {weights_sha256}\n", wrap(&result))))
}

/// What is said of a summary whose results are not those of the last line of metrics.
pub(crate) fn contradicted(run: &Path) -> String {
    format!(
        "{}: expected the results of the last line of {METRICS}, found others: one of the two was \
         changed; mnist-app verify {} says which",
        run.join(SUMMARY).escaped(),
        shell_word(run)
    )
}

/// What a run has come to, if nothing of this experiment is left and its files are whole.
fn ended(run: &Path, experiment: &Experiment) -> Option<Ended> {
    let text = text_of(&run.join(SUMMARY), experiment::MOST_BYTES).ok()?;
    let ended: Ended = serde_json::from_str(&text).ok()?;
    if ended.metrics_lines.is_some() {
        // Those that are missing are in its last checkpoint.
        return None;
    }
    let is_reached = match ended.validation_accuracy {
        None => experiment.target_accuracy.is_some_and(|p| ended.test_accuracy >= p),
        // What is kept may be better than what the run stopped with.
        Some(_) => {
            let text = text_of(&run.join(METRICS), MOST_METRICS).ok()?;
            stop_after(experiment, &lines_of(&text).ok()?.0).is_some()
        }
    };
    let Some(planned) = experiment.committee else {
        let is_done = ended.epoch == experiment.epochs.get()
            || (is_reached && ended.epoch < experiment.epochs.get());
        return Some(ended).filter(|ended| is_done && has_model(run, ended));
    };
    let members = ended.members?;
    let each = (1..=members).map(|number| {
        let (folder, expected) = (run.join(member(number)), experiment.member(number));
        require_member(&folder, &expected).ok()?;
        Some(self::ended(&folder, &expected)?.weights_sha256)
    });
    let digests: Vec<_> = each.collect::<Option<_>>()?;
    let is_done = members == planned.get() || (is_reached && members < planned.get());
    Some(ended).filter(|ended| is_done && ended.weights_sha256 == committee::digest(&digests))
}

/// Checks that the folder of a member, if it is a run's, is that of this one.
///
/// # Errors
/// If it has another experiment; the message names what of it is another one.
pub(super) fn require_member(folder: &Path, expected: &Experiment) -> anyhow::Result<()> {
    let config = folder.join(CONFIG);
    if !is_there(&config) {
        return Ok(());
    }
    let (text, own) = config_of(folder)?;
    require_same(expected, &own, &Origin::run(&config, text, &own))
}

/// Checks that a member has the experiment that its committee says.
///
/// # Errors
/// If it has another one.
pub(super) fn require_same(
    expected: &Experiment,
    own: &Experiment,
    origin: &Origin,
) -> anyhow::Result<()> {
    let Some(difference) = expected.difference(own)? else { return Ok(()) };
    bail!(
        "{}: {}; it is not the member of its committee",
        origin.line(&difference.path),
        difference.text
    );
}

/// Whether the run's model is the one that it ended with.
fn has_model(run: &Path, ended: &Ended) -> bool {
    let Ok(config) = experiment::text_of(&run.join(CONFIG)) else { return false };
    let Ok(model) = weights_of(&run.join(MODEL)) else { return false };
    let metadata = model.header.metadata();
    metadata.get("config_sha256") == Some(&sha256(config.as_bytes()))
        && metadata.get("weights_sha256") == Some(&ended.weights_sha256)
}
