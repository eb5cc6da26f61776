//! How the files in a run's folder are read: regular ones alone, as nobody writes to a pipe there.

use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow, ensure};

use super::names::CONFIG;
use crate::escape::Escape;
use crate::experiment::{self, Experiment};
use crate::input::Input;
use crate::weights_file::WeightsFile;

/// Checks that a file of a run is a regular one: a pipe would have no writer.
///
/// # Errors
/// If it is something else; if there is none, no.
pub(crate) fn require_regular(file: &Path) -> anyhow::Result<()> {
    let other = fs::metadata(file).is_ok_and(|found| !found.is_file() && !found.is_dir());
    ensure!(!other, "expected a regular file, as in the folder of a run, found another one");
    Ok(())
}

/// The text of a file of a run.
///
/// # Errors
/// If it is no regular file, or cannot be read; the message names it.
pub(crate) fn text_of(file: &Path, most: usize) -> anyhow::Result<String> {
    let text = require_regular(file).and_then(|()| Input::text(file, most));
    text.with_context(|| file.escaped())
}

/// A run's `config.toml`, and the experiment in it.
///
/// # Errors
/// If it is no regular file, or no experiment; the message names it.
pub(crate) fn config_of(folder: &Path) -> anyhow::Result<(String, Experiment)> {
    let file = folder.join(CONFIG);
    let text = require_regular(&file).and_then(|()| experiment::text_of(&file));
    let text = text.with_context(|| file.escaped())?;
    let experiment =
        Experiment::parse(&text).map_err(|error| anyhow!("{}{error}", file.escaped()))?;
    Ok((text, experiment))
}

/// A file of weights of a run.
///
/// # Errors
/// If it is no regular file, or not one of weights; the message names it.
pub(crate) fn weights_of(file: &Path) -> anyhow::Result<WeightsFile> {
    let weights = require_regular(file).and_then(|()| WeightsFile::open(file));
    weights.with_context(|| file.escaped())
}
