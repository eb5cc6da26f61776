//! What the files of a run claim.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use layers::{Network, load_weights, sha256};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tensor::Element;
use tensor::simd::Level;

use super::differences::{Difference, of_texts};
use crate::console::notice;
use crate::dataset::Digests;
use crate::escape::{Escape, quoted};
use crate::evaluation::Evaluation;
use crate::experiment::{self, Experiment, Origin};
use crate::input::{Found, is_there};
use crate::model::MISTAKES;
use crate::run_folder::{CONFIG, METRICS, MODEL, SUMMARY, config_of, text_of, weights_of};
use crate::train::metrics::{CIRCUMSTANCES, EpochMetrics, NotebookErrors, Summary};
use crate::train::receipt::Receipts;
use crate::train::stopping::stop_after;
use crate::train::training::Training;

/// The most bytes of `metrics.jsonl` that are read.
pub(in crate::train) const MOST_METRICS: usize = 1 << 28;

/// A run's folder, which is only read.
#[derive(Debug)]
pub(crate) struct ClaimedRun {
    pub(crate) folder: PathBuf,
    /// As its `config.toml` says.
    pub(crate) experiment: Experiment,
    pub(crate) origin: Origin,
    config_sha256: String,
    /// Of `metrics.jsonl`.
    pub(crate) lines: Vec<EpochMetrics>,
}

/// The parts of `summary.json` that say what it is of.
#[derive(Deserialize)]
struct Ended {
    #[serde(flatten)]
    last: EpochMetrics,
    members: Option<usize>,
    /// How many lines of metrics there are, if not all could be written.
    metrics_lines: Option<usize>,
}

impl ClaimedRun {
    /// Reads the experiment and the lines of metrics in a run's folder.
    ///
    /// # Errors
    /// If it is not the folder of a run, or one of the two cannot be read.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        ensure!(
            Found::at(folder)? == Found::Folder && is_there(&folder.join(CONFIG)),
            "{}: expected the folder of a run, with {CONFIG} in it, found none",
            folder.escaped()
        );
        let config = folder.join(CONFIG);
        let (text, mut experiment) = config_of(folder)?;
        if let Some(data) = experiment.data_path() {
            experiment.set_data_path(folder.join(data));
        }
        let config_sha256 = sha256(text.as_bytes());
        let origin = Origin::run(&config, text, &experiment);
        let lines = lines(&folder.join(METRICS))?;
        let planned = experiment.committee.unwrap_or(experiment.epochs);
        ensure!(
            lines.len() <= planned.get(),
            "{}: expected at most {planned} lines, as {CONFIG} says, found {}",
            folder.join(METRICS).escaped(),
            lines.len()
        );
        Ok(Self { folder: folder.to_owned(), experiment, origin, config_sha256, lines })
    }

    /// The receipt of the line before this one, counted from 0.
    pub(super) fn receipt_before(&self, line: usize) -> Option<&str> {
        let before = self.lines.get(line.checked_sub(1)?)?;
        Some(&before.receipt)
    }

    /// The lines, counted from 1, whose receipt is not that of what they say, with how they differ;
    /// `members` are the receipts of the members' last lines, where these are a committee's.
    pub(super) fn broken(
        &self,
        receipts: &Receipts,
        members: Option<&[String]>,
    ) -> Vec<(usize, Difference)> {
        let mut broken = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            let member = members.and_then(|members| members.get(index)).map(String::as_str);
            let found = receipts.of(line, self.receipt_before(index), member);
            if found != line.receipt {
                broken.push((index + 1, Difference::new("receipt", &line.receipt, &found)));
            }
        }
        broken
    }

    /// Of a run of which no receipt is right: whether that is because the arithmetic, the
    /// experiment or the data are others.
    ///
    /// # Errors
    /// If one is; the message names it.
    pub(super) fn refuse_others(
        &self,
        receipts: &Receipts,
        members: Option<&[String]>,
        data: &Digests,
    ) -> anyhow::Result<()> {
        /// So many versions are tried.
        const VERSIONS: u32 = 1000;
        let run = self.folder.escaped();
        let made_in = |&version: &u32| {
            self.broken(&receipts.in_arithmetic(version), members).len() < self.lines.len()
        };
        if let Some(version) = (1..=VERSIONS).find(made_in) {
            bail!(
                "{run}: expected a run in version {} of the arithmetic, which this program has, \
                 found one in version {version}: other versions come to other numbers, so that \
                 only a program of that version can tell whether it is true",
                layers::ARITHMETIC
            );
        }
        let model = self.folder.join(MODEL);
        if !is_there(&model) {
            return Ok(());
        }
        let metadata = weights_of(&model)?.header.metadata();
        let claimed = Digests::from_metadata(&metadata).with_context(|| model.escaped())?;
        let difference = claimed.and_then(|claimed| claimed.difference(data));
        if let Some([images, expected, found]) = difference {
            bail!(
                "{run}: expected the {images} that the run was made of, {expected}, found {found}; \
                 name their folder with --data DIR"
            );
        }
        let config = metadata.get("config_sha256");
        ensure!(
            config.is_none_or(|claimed| *claimed == self.config_sha256),
            "{}: expected the experiment of the run, sha256 {}, found another one, sha256 {}: it \
             was changed",
            self.folder.join(CONFIG).escaped(),
            config.map_or("", String::as_str).escaped(),
            self.config_sha256
        );
        Ok(())
    }

    /// How `summary.json` differs from its line and from the experiment, but for what says how the
    /// run was made, and its name; `None` if there is no such file, or its line could not be
    /// written. The evaluation is that after the last line, if there was one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn check_summary(
        &self,
        evaluation: Option<&Evaluation>,
    ) -> anyhow::Result<Option<Vec<Difference>>> {
        let Some(claimed) = self.summary_as::<Map<String, Value>>()? else { return Ok(None) };
        let Some(Ended { last, members, metrics_lines }) = self.summary()? else { return Ok(None) };
        let Some(line) = self.line_of(last.epoch).filter(|_| metrics_lines.is_none()) else {
            return Ok(None);
        };
        let Self { experiment, lines, .. } = self;
        let is_last = lines.last() == Some(line);
        let evaluation = evaluation.filter(|_| is_last);
        let notebook = evaluation.and_then(|found| NotebookErrors::of(experiment, found));
        let kept = line.best_epoch.and_then(|epoch| self.line_of(epoch)).unwrap_or(line);
        let summary = Summary::new(experiment, (line, kept.validation), 0.0, Level::best());
        let members = members.filter(|_| experiment.committee.is_some()).map(|_| lines.len());
        let found = serde_json::to_value(Summary { notebook, members, ..summary })?;
        let found = found.as_object().cloned().unwrap_or_default();
        let mut left_out = [&CIRCUMSTANCES[..], &["preset"]].concat();
        if evaluation.is_none() && experiment.notebook_report {
            left_out.extend(NotebookErrors::KEYS);
        }
        let [claimed, found] = [claimed, found].map(|summary| {
            let kept = summary.into_iter().filter(|(key, _)| !left_out.contains(&key.as_str()));
            kept.map(|(key, value)| (key, value.to_string())).collect()
        });
        Ok(Some(of_texts(&claimed, &found)))
    }

    /// How `model.safetensors` differs from what the training came to, in its weights and in what
    /// it says of itself; `None` if the last line could not be written. Of a training that did not
    /// come to the last line, or to others than that says, the file must have the parameters that
    /// the line says. The evaluation is that after the training, if there was one.
    ///
    /// # Errors
    /// If it cannot be read, or is of another network.
    pub(super) fn check_model<T: Element>(
        &self,
        training: &Training<T>,
        evaluation: Option<&Evaluation>,
    ) -> anyhow::Result<Option<Vec<Difference>>> {
        let file = self.folder.join(MODEL);
        let summary = self.summary()?;
        if summary.as_ref().is_some_and(|summary| summary.metrics_lines.is_some()) {
            return Ok(None);
        }
        if !is_there(&file) {
            let missing = || Difference::new("file", "the model that the run ended with", "none");
            return Ok(self.has_ended()?.then(|| vec![missing()]));
        }
        let Some(last) = self.lines.last() else { return Ok(None) };
        let weights = weights_of(&file)?;
        let claimed = weights.header.metadata();
        let bytes = weights.read().with_context(|| file.escaped())?;
        let mut network = training.network().clone();
        load_weights(&mut network, &bytes).with_context(|| file.escaped())?;
        let digest = network.digest();
        // A run that was made longer keeps the model that it had until it ends again.
        let ended = summary.and_then(|summary| self.line_of(summary.last.epoch));
        let line = ended.filter(|line| line.weights_sha256 == digest).unwrap_or(last);
        let expected = training.model(&self.config_sha256, evaluation)?;
        let mut found = layers::metadata_of(&expected)?;
        found.insert("weights_sha256".into(), digest.clone());
        let mut left_out = vec!["version"];
        if claimed.get("config_sha256") != found.get("config_sha256") {
            // Its name may have changed, or how many epochs it has.
            left_out.extend(["config_sha256", "preset"]);
        }
        let is_trained_again = training.state.progress.epochs == self.lines.len()
            && training.network().digest() == digest;
        // Versions before 0.2 did not say it.
        if !claimed.contains_key(MISTAKES) || !is_trained_again || evaluation.is_none() {
            left_out.push(MISTAKES);
        }
        let [claimed, found] = [claimed, found].map(|metadata| {
            let kept = metadata.into_iter().filter(|(key, _)| !left_out.contains(&key.as_str()));
            kept.map(|(key, text)| (format!("{key} in __metadata__"), text)).collect()
        });
        let mut differing = Vec::new();
        if line.weights_sha256 != digest {
            differing.push(Difference::new("weights_sha256", &line.weights_sha256, &digest));
        }
        differing.extend(of_texts(&claimed, &found));
        if is_trained_again {
            let digests = [&network, training.network()].map(digest_of_buffers);
            if digests[0] != digests[1] {
                differing.push(Difference::new("buffers, sha256", &digests[0], &digests[1]));
            }
        }
        Ok(Some(differing))
    }

    /// Whether it has come to its end: all that is planned is done, the target reached or patience
    /// ended, and its summary is of that.
    ///
    /// # Errors
    /// If there is a summary that cannot be read.
    pub(crate) fn has_ended(&self) -> anyhow::Result<bool> {
        let Self { experiment, lines, .. } = self;
        let (Some(summary), Some(last)) = (self.summary()?, lines.last()) else {
            return Ok(false);
        };
        let planned = experiment.committee.unwrap_or(experiment.epochs);
        let is_done = lines.len() == planned.get() || stop_after(experiment, lines).is_some();
        Ok(is_done && last.test.is_some() && summary.last.weights_sha256 == last.weights_sha256)
    }

    fn line_of(&self, epoch: usize) -> Option<&EpochMetrics> {
        self.lines.get(epoch.checked_sub(1)?)
    }

    fn summary(&self) -> anyhow::Result<Option<Ended>> {
        self.summary_as()
    }

    fn summary_as<S: DeserializeOwned>(&self) -> anyhow::Result<Option<S>> {
        let file = self.folder.join(SUMMARY);
        if !is_there(&file) {
            return Ok(None);
        }
        let text = text_of(&file, experiment::MOST_BYTES)?;
        serde_json::from_str(&text).with_context(|| file.escaped()).map(Some)
    }
}

/// The SHA-256 of what layers have gathered: running statistics.
fn digest_of_buffers<T: Element>(network: &Network<T>) -> String {
    let numbers = network.buffers().iter().map(|number| number.to_f64().to_bits().to_le_bytes());
    sha256(&numbers.collect::<Vec<_>>().concat())
}

/// The lines of `metrics.jsonl`. A last one that is not whole, as of a run that is in progress or
/// was killed, is told and left out; a committee has no file before its first vote.
fn lines(file: &Path) -> anyhow::Result<Vec<EpochMetrics>> {
    if !is_there(file) {
        return Ok(Vec::new());
    }
    let text = text_of(file, MOST_METRICS)?;
    let (lines, torn) = lines_of(&text).map_err(|error| anyhow!("{}, {error}", file.escaped()))?;
    if let Some(number) = torn {
        let file = file.escaped();
        notice(format_args!("{file}, line {number}: left out, as it has no end"));
    }
    Ok(lines)
}

/// The lines of metrics in a text, and the number of a last one that is not whole.
///
/// # Errors
/// If another one is not the metrics of an epoch.
pub(in crate::train) fn lines_of(text: &str) -> anyhow::Result<(Vec<EpochMetrics>, Option<usize>)> {
    let mut lines = Vec::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let number = index + 1;
        match serde_json::from_str(line) {
            Ok(metrics) => lines.push(metrics),
            Err(_) if !line.ends_with('\n') => return Ok((lines, Some(number))),
            Err(error) => bail!(
                "line {number}: expected the metrics of an epoch with their receipt, found {}: \
                 {error}",
                quoted(line.trim_end())
            ),
        }
    }
    Ok((lines, None))
}
