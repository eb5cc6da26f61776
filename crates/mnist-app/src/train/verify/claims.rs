//! What the files of a run claim.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use layers::{Network, load_weights, sha256};
use serde::Deserialize;
use tensor::Element;

use super::differences::{Difference, differences};
use crate::console::notice;
use crate::dataset::{Digests, Part};
use crate::escape::{Escape, quoted};
use crate::experiment::{self, Experiment, Origin};
use crate::input::{Found, Input, is_there};
use crate::run_folder::{CONFIG, METRICS, MODEL, SUMMARY};
use crate::train::metrics::EpochMetrics;
use crate::train::receipt::Receipts;
use crate::weights_file::WeightsFile;

/// The most bytes of `metrics.jsonl` that are read.
const MOST_BYTES: usize = 1 << 28;

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

/// The parts of `summary.json` that are checked.
#[derive(Deserialize)]
struct Summary {
    #[serde(flatten)]
    last: EpochMetrics,
    test_accuracy: f64,
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
        let text = experiment::text_of(&config).with_context(|| config.escaped())?;
        let mut experiment =
            Experiment::parse(&text).map_err(|error| anyhow!("{}{error}", config.escaped()))?;
        experiment.data = experiment.data.map(|data| folder.join(data));
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
        let metadata =
            WeightsFile::open(&model).with_context(|| model.escaped())?.header.metadata();
        if let Some(claimed) = Digests::from_metadata(&metadata).with_context(|| model.escaped())? {
            for (part, images) in [(Part::Train, "training images"), (Part::Test, "test images")] {
                ensure!(
                    claimed.part(part) == data.part(part),
                    "{run}: expected the {images} that the run was made of, sha256 {}, found \
                     others, sha256 {}; name their folder with --data DIR",
                    claimed.part(part).escaped(),
                    data.part(part)
                );
            }
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

    /// How `summary.json` differs from the line that it is of; `None` if there is no such file, or
    /// its line could not be written.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn check_summary(&self) -> anyhow::Result<Option<Vec<Difference>>> {
        let Some(Summary { last, test_accuracy, metrics_lines }) = self.summary()? else {
            return Ok(None);
        };
        let Some(line) = self.line_of(last.epoch).filter(|_| metrics_lines.is_none()) else {
            return Ok(None);
        };
        let mut found = differences(&last, line);
        found.extend(Difference::of_bits("test_accuracy", test_accuracy, line.test_accuracy()));
        Ok(Some(found))
    }

    /// How the weights in `model.safetensors` differ from those of the last line; `None` if there
    /// is no such file, or that line could not be written.
    ///
    /// # Errors
    /// If it cannot be read, or is of another network.
    pub(super) fn check_model<T: Element>(
        &self,
        network: &Network<T>,
    ) -> anyhow::Result<Option<Vec<Difference>>> {
        let file = self.folder.join(MODEL);
        let summary = self.summary()?;
        let is_cut = summary.as_ref().is_some_and(|summary| summary.metrics_lines.is_some());
        // A run that was made longer keeps the model that it had until it ends again.
        let ended = summary.and_then(|summary| self.line_of(summary.last.epoch));
        let Some(last) = self.lines.last().filter(|_| is_there(&file) && !is_cut) else {
            return Ok(None);
        };
        let weights = WeightsFile::open(&file).with_context(|| file.escaped())?;
        let said = weights.header.metadata().remove("weights_sha256");
        let bytes = weights.read().with_context(|| file.escaped())?;
        let mut network = network.clone();
        load_weights(&mut network, &bytes).with_context(|| file.escaped())?;
        let found = network.digest();
        let is_earlier = ended.is_some_and(|line| line.weights_sha256 == found);
        let claimed = if is_earlier { &found } else { &last.weights_sha256 };
        let of_metadata = said.unwrap_or_else(|| found.clone());
        let pairs = [("weights_sha256", claimed), ("weights_sha256 in __metadata__", &of_metadata)];
        let differing = pairs.into_iter().filter(|(_, claimed)| **claimed != found);
        Ok(Some(differing.map(|(key, claimed)| Difference::new(key, claimed, &found)).collect()))
    }

    /// Whether it has all that it was to come to.
    pub(in crate::train) fn has_ended(&self) -> bool {
        is_there(&self.folder.join(SUMMARY))
    }

    fn line_of(&self, epoch: usize) -> Option<&EpochMetrics> {
        self.lines.get(epoch.checked_sub(1)?)
    }

    fn summary(&self) -> anyhow::Result<Option<Summary>> {
        let file = self.folder.join(SUMMARY);
        if !is_there(&file) {
            return Ok(None);
        }
        let text = Input::text(&file, experiment::MOST_BYTES).with_context(|| file.escaped())?;
        serde_json::from_str(&text).with_context(|| file.escaped()).map(Some)
    }
}

/// The lines of `metrics.jsonl`. A last one that is not whole, as of a run that is in progress or
/// was killed, is told and left out; a committee has no file before its first vote.
fn lines(file: &Path) -> anyhow::Result<Vec<EpochMetrics>> {
    if !is_there(file) {
        return Ok(Vec::new());
    }
    let text = Input::text(file, MOST_BYTES).with_context(|| file.escaped())?;
    let mut lines = Vec::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let number = index + 1;
        match serde_json::from_str(line) {
            Ok(metrics) => lines.push(metrics),
            Err(_) if !line.ends_with('\n') => notice(format_args!(
                "{}, line {number}: left out, as it has no end",
                file.escaped()
            )),
            Err(error) => bail!(
                "{}, line {number}: expected the metrics of an epoch with their receipt, found {}: \
                 {error}",
                file.escaped(),
                quoted(line.trim_end())
            ),
        }
    }
    Ok(lines)
}
