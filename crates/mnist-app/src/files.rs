//! Files that are whole or not there, and the folder of a run.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;

use crate::experiment::Experiment;

/// The folder that a run writes to, and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// The folder `out`, or a new one below `runs`, with the experiment in it as
    /// `config.toml`.
    ///
    /// # Errors
    /// If there is something in the folder already, or it cannot be written.
    pub fn create(out: Option<&Path>, experiment: &Experiment) -> anyhow::Result<Self> {
        let folder = match out {
            Some(out) => {
                prepare(out).with_context(|| format!("--out {}", out.display()))?;
                Self(out.to_owned())
            }
            None => Self(numbered(Path::new("runs"), experiment)?),
        };
        folder.write("config.toml", experiment.to_toml()?.as_bytes())?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file of the run.
    ///
    /// # Errors
    /// If it cannot be written; what was there before then still is.
    pub fn write(&self, name: &str, contents: &[u8]) -> anyhow::Result<()> {
        let path = self.0.join(name);
        replace(&path, contents).with_context(|| format!("{}: cannot be written", path.display()))
    }

    /// Writes a value of the run as JSON.
    ///
    /// # Errors
    /// As [`RunFolder::write`].
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        self.write(name, text.as_bytes())
    }
}

/// The name of a committee member's own folder in the committee's, counted from 1.
pub fn member(number: usize) -> String {
    format!("member-{number}")
}

/// Writes a file beside its final name, waits until it is on the disk, and renames it:
/// whoever opens the name finds the old contents or the new ones, never a part.
fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    let mut file = File::create(&beside)?;
    let written = file.write_all(contents).and_then(|()| file.sync_all());
    drop(file);
    written.and_then(|()| fs::rename(&beside, path)).inspect_err(|_| {
        // The error that led here is the one to report.
        let _ = fs::remove_file(&beside);
    })?;
    sync_folder(path)
}

/// A rename is on the disk when its folder is.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn prepare(out: &Path) -> anyhow::Result<()> {
    match fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => bail!(
                "expected a folder that is new or empty, found one with something in it; \
                 nothing was changed"
            ),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(out).context("expected a folder that can be made")
        }
        Err(error) => Err(error).context("expected a folder that is new or empty"),
    }
}

/// `runs/PRESET-SEED-N` with the first `N` that is free.
fn numbered(runs: &Path, experiment: &Experiment) -> anyhow::Result<PathBuf> {
    let hint = || format!("{}: cannot be made; name a folder with --out DIR", runs.display());
    fs::create_dir_all(runs).with_context(hint)?;
    for number in 1_u64.. {
        let name = format!("{}-{}-{number}", experiment.name, experiment.seed);
        let folder = runs.join(name);
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("{}: cannot be made", folder.display()));
            }
        }
    }
    unreachable!("some number is free")
}
