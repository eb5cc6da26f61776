//! The folder that a run has to itself, and writes to.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail, ensure};
use layers::sha256;
use serde::Serialize;

use super::checkpoints;
use super::claim::{Claim, unwritten};
use super::lines::{Lines, Mark};
use super::names::{CHECKPOINTS, CONFIG, FILES, METRICS, member};
use crate::disk;
use crate::escape::Escape;
use crate::experiment::{self, Experiment, absolute};
use crate::files::{self, Appended, Partial};
use crate::input::{Found, is_there};

/// The folder that a run writes to, and nowhere else.
///
/// No other run uses it as long as this value lives: its `config.toml` is locked, and the system
/// releases the lock when the process ends in any way. Even where the file system has no locks, no
/// two runs get one folder. Files are written only as long as the folder has that very
/// `config.toml`: moving or removing it ends the run.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// The text of its `config.toml`, and the SHA-256 of that.
    config: String,
    config_sha256: String,
    claim: Arc<Claim>,
}

impl RunFolder {
    /// The folder `out`, or a new one below `runs`, with the experiment in it as
    /// `config.toml`.
    ///
    /// # Errors
    /// If the folder is not empty, is inside another run's, or cannot be written.
    pub fn create(out: Option<&Path>, experiment: &Experiment) -> anyhow::Result<Self> {
        let text = experiment.to_toml()?;
        let Some(out) = out else {
            let path = numbered(Path::new("runs"), experiment)?;
            return Self::claim(&path, &text).with_context(|| path.escaped());
        };
        let place = || format!("--out {}", out.escaped());
        // If the folder is itself a run's, that is the better reason.
        if let Some(run) = run_around(out).filter(|_| !is_there(&out.join(CONFIG))) {
            return Err(anyhow!(
                "expected a folder that is new or empty, and in no run's, found it in that of the \
                 run {}; nothing was changed; name another one with --out DIR",
                run.escaped()
            ))
            .with_context(place);
        }
        Self::claim(out, &text).with_context(place)
    }

    /// The folder of a run that has ended in any way, to go on with it.
    ///
    /// # Errors
    /// If it is not the folder of a run, or that of one that is still in progress.
    pub(crate) fn reopen(path: &Path) -> anyhow::Result<Self> {
        let found = match Found::at(path)? {
            Found::Folder => None,
            Found::Nothing => Some("no such folder".to_owned()),
            found => Some(found.to_string()),
        };
        if let Some(found) = found {
            bail!("{}: expected the folder of a run, found {found}", path.escaped());
        }
        let config = path.join(CONFIG);
        ensure!(
            config.is_file(),
            "{}: expected the folder of a run, with {CONFIG} in it, found no such file",
            path.escaped()
        );
        let file = files::open_locked(&config).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => anyhow!(
                "{}: expected the folder of a run that no process is at work on, found {}; nothing was \
                 changed; wait for its end, or end it with Ctrl-C",
                path.escaped(),
                in_progress(&config)
            ),
            _ => anyhow!(error).context(format!("{}: cannot be opened", config.escaped())),
        })?;
        let claim = Claim::new(config.clone(), file);
        // Whoever held the lock may have replaced the file before it was locked here.
        claim.check()?;
        let text = experiment::text_of(&config).with_context(|| config.escaped())?;
        for entry in fs::read_dir(path).with_context(|| path.escaped())? {
            let entry = entry.with_context(|| path.escaped())?;
            if files::is_partial_of(&entry.file_name(), &FILES) {
                remove_leftover(&entry.path(), claim.file())?;
            }
        }
        checkpoints::remove_leftovers(path, claim.file())?;
        let config_sha256 = sha256(text.as_bytes());
        Ok(Self { path: path.to_owned(), config: text, config_sha256, claim: Arc::new(claim) })
    }

    /// The folder of a member, counted from 1, in this one of its committee: a new one, or the one
    /// that is there, to go on with it.
    ///
    /// # Errors
    /// As [`RunFolder::create`] or [`RunFolder::reopen`], and if this is no longer the committee's.
    pub fn member(&self, number: usize, experiment: &Experiment) -> anyhow::Result<Self> {
        self.claim.check()?;
        let path = self.path.join(member(number));
        if is_there(&path.join(CONFIG)) {
            return Self::reopen(&path);
        }
        Self::claim(&path, &experiment.to_toml()?).with_context(|| path.escaped())
    }

    /// Writes another experiment as its `config.toml`, unless it is the one that is there.
    ///
    /// # Errors
    /// If it cannot be written, or the folder is this run's no more.
    pub(crate) fn set_experiment(&mut self, experiment: &Experiment) -> anyhow::Result<()> {
        if Experiment::parse(&self.config).as_ref() == Ok(experiment) {
            return Ok(());
        }
        self.claim.check()?;
        let path = self.path.join(CONFIG);
        let text = experiment.to_toml()?;
        let file = files::replace_locked(&path, text.as_bytes());
        let file = file.with_context(|| unwritten(&path))?;
        self.claim = Arc::new(Claim::new(path, file));
        self.config_sha256 = sha256(text.as_bytes());
        self.config = text;
        Ok(())
    }

    /// Makes the folder that of the experiment in `text`, if it is no run's yet.
    fn claim(path: &Path, text: &str) -> anyhow::Result<Self> {
        let leftovers = prepare(path)?;
        let config = path.join(CONFIG);
        let claimed = files::create(&config, text.as_bytes());
        let file = claimed.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => occupied(path),
            _ => anyhow!(error).context(format!("{CONFIG}: cannot be written")),
        })?;
        for leftover in leftovers {
            remove_leftover(&leftover, &file)?;
        }
        let config_sha256 = sha256(text.as_bytes());
        let claim = Arc::new(Claim::new(config, file));
        Ok(Self { path: path.to_owned(), config: text.to_owned(), config_sha256, claim })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that it is still this run's.
    ///
    /// # Errors
    /// If it was moved, removed or taken by another run.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.claim.check()
    }

    /// The text of its `config.toml`.
    pub(crate) fn config(&self) -> &str {
        &self.config
    }

    /// The SHA-256 of the bytes of its `config.toml`.
    pub fn config_sha256(&self) -> &str {
        &self.config_sha256
    }

    /// Writes a file of the run beside its final name, waits until it is on the disk, and
    /// renames it: whoever opens the name finds the old contents or the new ones, never a part.
    ///
    /// # Errors
    /// If it cannot be written, or the folder is this run's no more; what was there before then
    /// still is.
    pub fn write(&self, name: &str, contents: &[u8]) -> anyhow::Result<()> {
        self.claim.check()?;
        let path = self.path.join(name);
        let partial = Partial::write(&path, contents).with_context(|| unwritten(&path))?;
        // Writing may have taken a while.
        self.claim.check()?;
        partial.rename().with_context(|| unwritten(&path))
    }

    /// Removes a file of the run, if it is there.
    ///
    /// # Errors
    /// If it cannot be removed, or the folder is this run's no more.
    pub(crate) fn remove(&self, name: &str) -> anyhow::Result<()> {
        let path = self.path.join(name);
        if !is_there(&path) {
            return Ok(());
        }
        self.claim.check()?;
        disk::remove(&path).with_context(|| format!("{}: cannot be removed", path.escaped()))
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

    /// A file of the run that lines are added to, with the lines up to `mark` and no others: a new
    /// one if these are none.
    ///
    /// # Errors
    /// If it cannot be made or cut, or its lines up to `mark` are not those that were marked.
    pub fn lines(&self, name: &str, mark: &Mark) -> anyhow::Result<Lines> {
        let path = self.path.join(name);
        let text = mark.bytes_in(&path)?;
        let file = if mark.bytes == 0 && !is_there(&path) {
            Appended::create(&path)
        } else {
            Appended::cut(&path, mark.bytes)
        };
        let file = file.with_context(|| unwritten(&path))?;
        Ok(Lines::new(path, file, Arc::clone(&self.claim), (mark, text)))
    }
}

fn remove_leftover(leftover: &Path, own: &File) -> anyhow::Result<()> {
    files::remove_leftover(leftover, own)
        .with_context(|| format!("{}: cannot be removed", leftover.escaped()))
}

/// Makes the folder if there is none. Returns what is in it: at most partial files of a run that
/// was killed before it had a `config.toml`.
fn prepare(out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(out) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            files::create_folders(out).context("expected a folder that can be made")?;
            return Ok(Vec::new());
        }
        entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>),
    };
    let entries = entries.map_err(|error| {
        anyhow!("expected a folder that is new or empty: {error}; name another one with --out DIR")
    })?;
    let is_leftover = |entry: &fs::DirEntry| {
        files::is_partial_of(&entry.file_name(), &FILES)
            && entry.file_type().is_ok_and(|kind| kind.is_file())
    };
    if entries.iter().all(is_leftover) {
        return Ok(entries.iter().map(fs::DirEntry::path).collect());
    }
    bail!(occupied(out))
}

/// The error for a folder that is not empty.
fn occupied(folder: &Path) -> anyhow::Error {
    let found = match files::open_regular(&folder.join(CONFIG)) {
        Some(config) if files::is_locked(&config) => in_progress(&folder.join(CONFIG)),
        _ => "one with something in it".into(),
    };
    let goes_on = match folder.join(CHECKPOINTS).is_dir() {
        true => ", or go on with its run by --resume DIR",
        false => "",
    };
    anyhow!(
        "expected a folder that is new or empty, found {found}; nothing was changed; name another \
         one with --out DIR{goes_on}"
    )
}

/// A run whose `config.toml` is locked.
fn in_progress(config: &Path) -> String {
    let process = files::open_regular(config).as_ref().and_then(files::locking_process);
    let process = process.map(|process| format!(" (process {process})"));
    format!("that of a run that is still in progress{}", process.unwrap_or_default())
}

/// The run's folder that contains a new one, directly or one level up.
fn run_around(out: &Path) -> Option<PathBuf> {
    let out = absolute(out);
    let known = |folder: &Path| {
        let rest = out.strip_prefix(folder).ok()?;
        Some(folder.canonicalize().ok()?.join(rest))
    };
    let out = out.ancestors().find_map(known)?;
    out.ancestors().skip(1).take(2).find(|folder| is_runs(folder)).map(Path::to_owned)
}

/// Whether the folder is that of a run, not just one that contains a `config.toml`.
fn is_runs(folder: &Path) -> bool {
    let config = files::open_regular(&folder.join(CONFIG));
    config.is_some_and(|config| files::is_locked(&config) || folder.join(METRICS).is_file())
}

/// `runs/PRESET-SEED-N` with the first `N` that is free.
fn numbered(runs: &Path, experiment: &Experiment) -> anyhow::Result<PathBuf> {
    let hint = || format!("{}: cannot be made; name a folder with --out DIR", runs.escaped());
    files::create_folders(runs).with_context(hint)?;
    for number in 1_u64.. {
        let name = format!("{}-{}-{number}", experiment.name, experiment.seed);
        let folder = runs.join(name);
        match disk::create_folder(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("{}: cannot be made", folder.escaped()));
            }
        }
    }
    unreachable!("some number is free")
}
