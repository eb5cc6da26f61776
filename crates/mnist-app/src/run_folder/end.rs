//! What a run recorded at its end: `summary.json` and the last line of `metrics.jsonl`.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use serde_json::Value;

use super::names::{METRICS, SUMMARY};
use crate::escape::{Escape, quoted};
use crate::experiment;
use crate::input::Input;

/// The parts of the two files that identify a run's model.
#[derive(Debug)]
pub(crate) struct RunEnd {
    pub(crate) summary: Option<Summary>,
    /// `weights_sha256` of the last line of metrics.
    pub(crate) last_weights: Option<String>,
    /// What is missing, a line each.
    pub(crate) notes: Vec<String>,
}

/// The parts of `summary.json` that are read.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) weights_sha256: String,
    /// The number of members of a committee that has ended.
    pub(crate) members: Option<usize>,
    /// The number of lines of `metrics.jsonl`, if not all could be written.
    pub(crate) metrics_lines: Option<usize>,
}

impl RunEnd {
    /// Reads the two files in a run's folder. One that is missing or cannot be read is noted.
    ///
    /// # Errors
    /// If one is not a regular file, or has other contents.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let (summary, metrics) = (folder.join(SUMMARY), folder.join(METRICS));
        let mut notes = Vec::new();
        let text = contents(&summary, |file| Input::text(file, experiment::MOST_BYTES), &mut notes);
        let said = text.and_then(|text| text.as_deref().map(Summary::of).transpose());
        let summary = said.with_context(|| summary.escaped())?;
        let line = contents(&metrics, |file| last_line(Input::open(file)?), &mut notes);
        let said = line.and_then(|line| line.as_deref().map(last_weights).transpose());
        let last_weights = said.with_context(|| metrics.escaped())?;
        Ok(Self { summary, last_weights, notes })
    }
}

/// Reads the bytes of both files as [`RunEnd::read`] does.
///
/// # Errors
/// If they are not a summary, or do not end with a line of metrics.
pub(crate) fn read_bytes(bytes: &[u8]) -> (anyhow::Result<Summary>, anyhow::Result<String>) {
    let text = Input::of_bytes(bytes).into_text(experiment::MOST_BYTES);
    let line = last_line(Input::of_bytes(bytes));
    (text.and_then(|text| Summary::of(&text)), line.and_then(|line| last_weights(&line)))
}

/// The result of `read`, or a note if a file cannot be read.
fn contents(
    file: &Path,
    read: impl Fn(&Path) -> anyhow::Result<String>,
    notes: &mut Vec<String>,
) -> anyhow::Result<Option<String>> {
    let kind = fs::metadata(file).map(|metadata| metadata.file_type());
    if kind.is_ok_and(|kind| !kind.is_file() && !kind.is_dir()) {
        bail!("expected a regular file, as in the folder of a run, found another one");
    }
    match read(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            notes.push(format!(
                "{}: {error:#}; so it cannot confirm that the model is the one that the run ended \
                 with",
                file.escaped()
            ));
            Ok(None)
        }
    }
}

/// The last line of a file, of which only the end is read.
fn last_line(mut file: Input) -> anyhow::Result<String> {
    const LONGEST: u64 = 1 << 16;
    let len = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(len.saturating_sub(LONGEST)))?;
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.trim_end().rsplit('\n').next().unwrap_or_default();
    ensure!(!line.is_empty(), "expected a line for each epoch, found none");
    Ok(line.to_owned())
}

impl Summary {
    fn of(text: &str) -> anyhow::Result<Self> {
        let value = object(text, "a summary")?;
        Ok(Self {
            weights_sha256: weights(&value)?,
            members: count(&value, "members")?,
            metrics_lines: count(&value, "metrics_lines")?,
        })
    }
}

fn last_weights(line: &str) -> anyhow::Result<String> {
    weights(&object(line, "a line of metrics")?)
}

/// A JSON object, `what` in words.
fn object(text: &str, what: &str) -> anyhow::Result<Value> {
    let value = serde_json::from_str(text).ok().filter(Value::is_object);
    value.ok_or_else(|| anyhow!("expected {what}, which is a JSON object, found {}", quoted(text)))
}

fn weights(value: &Value) -> anyhow::Result<String> {
    let found = &value["weights_sha256"];
    let text = found.as_str().map(str::to_owned);
    text.ok_or_else(|| {
        anyhow!("weights_sha256: expected a text, found {}", found.to_string().escaped())
    })
}

/// A whole number, if the key is there.
fn count(value: &Value, key: &str) -> anyhow::Result<Option<usize>> {
    let Some(found) = value.get(key) else { return Ok(None) };
    let number = found.as_u64().and_then(|number| number.try_into().ok());
    let complaint =
        || anyhow!("{key}: expected a whole number, found {}", found.to_string().escaped());
    number.map(Some).ok_or_else(complaint)
}
