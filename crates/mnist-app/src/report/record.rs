//! What the files of a run say, without its network.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::escape::Escape;
use crate::experiment;
use crate::input::is_there;
use crate::run_folder::{METRICS, SUMMARY, config_of, text_of};
use crate::train::{ClaimedRun, contradicted, failure_text};

/// A run as its files say.
pub(super) struct Record {
    pub(super) run: ClaimedRun,
    /// The text of its `config.toml`.
    pub(super) config: String,
    /// What `summary.json` says, if the run has come to one.
    pub(super) summary: Option<Value>,
    /// What ended it, if it broke off.
    pub(super) failure: Option<String>,
    has_ended: bool,
}

impl Record {
    /// Reads the files in a run's folder.
    ///
    /// # Errors
    /// If it is not the folder of a run, or one of them cannot be read.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let run = ClaimedRun::read(folder)?;
        let (config, _) = config_of(folder)?;
        let summary = folder.join(SUMMARY);
        let summary = match is_there(&summary) {
            true => Some(json(&summary)?),
            false => None,
        };
        for (index, line) in run.lines.iter().enumerate() {
            let number = index + 1;
            ensure!(
                line.epoch == number,
                "{}, line {number}: expected that of epoch {number}, found that of epoch {}: it \
                 was changed",
                folder.join(METRICS).escaped(),
                line.epoch
            );
        }
        let failure = failure_text(folder)?;
        let has_ended = run.has_ended()? && failure.is_none();
        let record = Self { run, config, summary, failure, has_ended };
        let last = record.run.lines.last().filter(|_| has_ended);
        ensure!(
            last.and_then(|last| last.test)
                .is_none_or(|test| { record.number("test_correct") == Some(test.correct as f64) }),
            "{}",
            contradicted(folder)
        );
        Ok(record)
    }

    /// Its name and seed, such as `fast, seed 1`.
    pub(super) fn title(&self) -> String {
        let experiment = &self.run.experiment;
        format!("{}, seed {}", experiment.name.escaped(), experiment.seed)
    }

    /// Whether all that was planned is done, and its summary is of that.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// How far it has come, where it has not ended as planned.
    pub(super) fn state(&self) -> Option<String> {
        let experiment = &self.run.experiment;
        let (planned, what) = match experiment.committee {
            Some(members) => (members, "members"),
            None => (experiment.epochs, "epochs"),
        };
        let done = self.run.lines.len();
        match &self.failure {
            Some(failure) => Some(format!(
                "This run broke off {failure} was not finite. {done} of {planned} {what} were \
                 done."
            )),
            None if self.has_ended() => None,
            None => Some(format!("This run has not ended: {done} of {planned} {what} are done.")),
        }
    }

    /// A number of `summary.json`.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.summary.as_ref()?[key].as_f64()
    }

    /// A text of `summary.json`.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.summary.as_ref()?[key].as_str()
    }
}

fn json(file: &Path) -> anyhow::Result<Value> {
    let text = text_of(file, experiment::MOST_BYTES)?;
    let value = serde_json::from_str(&text);
    let damaged = "expected the JSON that a run leaves, found it damaged";
    value.context(damaged).with_context(|| file.escaped())
}
