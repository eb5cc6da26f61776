//! A run that has ended: the files of its models, and whether all of them are its own.

use std::fs;
use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use layers::sha256;

use super::end::RunEnd;
use super::names::{CHECKPOINTS, CONFIG, METRICS, MODEL, SUMMARY, member};
use super::reading::{config_of, require_regular};
use crate::escape::{Escape, shell_word};
use crate::experiment::Experiment;

/// The file of a model.
#[derive(Debug)]
pub(crate) struct ModelFile {
    pub(crate) file: PathBuf,
    /// The run that it is of, if the file is named by its folder.
    pub(crate) run: Option<FinishedRun>,
}

/// A run that left a model behind.
#[derive(Debug)]
pub(crate) struct FinishedRun {
    pub(crate) folder: PathBuf,
    pub(crate) experiment: Experiment,
    /// Of the bytes of its `config.toml`.
    config_sha256: String,
    end: RunEnd,
}

/// The files of a model.
#[derive(Debug)]
pub(crate) struct ModelFiles {
    /// One, or those of a committee's members.
    pub(crate) files: Vec<ModelFile>,
    /// That of the committee.
    pub(crate) committee: Option<FinishedRun>,
}

/// The file of a model, which may be named by the folder of its run; of a committee's folder,
/// those of its members.
///
/// # Errors
/// If a folder is not that of a run that has ended, or contains parts of another run.
pub(crate) fn model_files(path: &Path) -> anyhow::Result<ModelFiles> {
    if !path.is_dir() {
        return Ok(ModelFiles {
            files: vec![ModelFile { file: path.to_owned(), run: None }],
            committee: None,
        });
    }
    let run = FinishedRun::read(path).with_context(|| named(path))?;
    let Some(members) = run.experiment.committee else {
        let file = path.join(MODEL);
        require_regular(&file).with_context(|| named(&file))?;
        return Ok(ModelFiles { files: vec![ModelFile { file, run: Some(run) }], committee: None });
    };
    let files = members_of(&run, members).with_context(|| named(path))?;
    Ok(ModelFiles { files, committee: Some(run) })
}

/// A model in a message.
pub(crate) fn named(path: &Path) -> String {
    format!("model {}", path.escaped())
}

impl FinishedRun {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let is_whole = has(folder, MODEL)?;
        let members = folders_of_members(folder)?;
        if !has(folder, CONFIG)? {
            ensure!(
                is_whole || !members.is_empty(),
                "expected the folder of a run that has ended, with {MODEL} in it, found no such \
                 file"
            );
            let remedy = match members.first() {
                Some(first) => folder.join(first),
                None => folder.join(MODEL),
            };
            bail!(
                "expected the folder of a run, with {CONFIG} in it, found no such file; name {} \
                 to use it all the same",
                remedy.escaped()
            );
        }
        let run = Self::of_config(folder)?;
        if run.experiment.committee.is_none() {
            ensure!(
                members.is_empty(),
                "expected the folder of a single network, as {CONFIG} says, found {} in it, which \
                 is of another run",
                members[0].escaped()
            );
            let goes_on = match has(folder, CHECKPOINTS)? {
                true => "; to go on with it: mnist-app train --resume DIR",
                false => "",
            };
            ensure!(
                is_whole,
                "expected the folder of a run that has ended, with {MODEL} in it, found no such \
                 file{goes_on}"
            );
        }
        Ok(run)
    }

    /// The run whose `config.toml` is in the folder.
    fn of_config(folder: &Path) -> anyhow::Result<Self> {
        let (text, experiment) = config_of(folder)?;
        let end = RunEnd::read(folder)?;
        let config_sha256 = sha256(text.as_bytes());
        Ok(Self { folder: folder.to_owned(), experiment, config_sha256, end })
    }

    /// Checks that a model with this digest of its weights is the one that the run ended with. A
    /// file that is missing is noted.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn check_end(&mut self, weights_sha256: &str) -> anyhow::Result<()> {
        let cut = self.end.summary.as_ref().and_then(|summary| summary.metrics_lines);
        let summary = self.end.summary.as_ref().map(|summary| &summary.weights_sha256);
        let metrics = self.end.last_weights.as_ref().filter(|_| cut.is_none());
        let said = [(SUMMARY, "says", summary), (METRICS, "ends with", metrics)];
        let goes_on = summary.is_some_and(|summary| summary == weights_sha256)
            && has(&self.folder, CHECKPOINTS)?;
        for (file, says, found) in said {
            let remedy = || match goes_on {
                true => format!(
                    "the run was made longer and has not come to its end; to go on with it: \
                     mnist-app train --resume {}; name {} to use the model as it is",
                    self.folder.escaped(),
                    self.folder.join(MODEL).escaped()
                ),
                false => self.remedy(),
            };
            ensure!(
                found.is_none_or(|found| found == weights_sha256),
                "expected the model of its run, whose {file} {says} weights_sha256 = {}, found \
                 one of {}; {}",
                found.map_or("", |found| found).escaped(),
                weights_sha256.escaped(),
                remedy()
            );
        }
        if let Some(lines) = cut {
            let file = self.folder.join(METRICS).escaped();
            self.end.notes.push(format!("{file}: incomplete, only {lines} lines could be written"));
        }
        Ok(())
    }

    /// Checks that a model whose run has this digest of its `config.toml` is of this run.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn check_config(&self, config_sha256: &str) -> anyhow::Result<()> {
        ensure!(
            config_sha256 == self.config_sha256,
            "expected the model of its run, whose {CONFIG} has sha256 {}, found one of another \
             {CONFIG}, config_sha256 = {}; it was changed, or {}",
            self.config_sha256,
            config_sha256.escaped(),
            self.remedy()
        );
        Ok(())
    }

    /// Messages about missing files, a line each.
    pub(crate) fn notes(&self) -> &[String] {
        &self.end.notes
    }

    /// How to use a file that is of another run all the same.
    pub(crate) fn remedy(&self) -> String {
        let (file, are) = match self.experiment.committee {
            Some(_) => (self.folder.join(member(1)), "the members, such as "),
            None => (self.folder.join(MODEL), ""),
        };
        let it = if are.is_empty() { "it" } else { "them" };
        let file = file.escaped();
        format!("one of the files is of another run; name {are}{file} to use {it} all the same")
    }

    /// The folder of the images that it was trained on, if it says so.
    pub(crate) fn data(&self) -> Option<PathBuf> {
        self.experiment.data_path().map(|data| self.folder.join(data))
    }
}

/// Whether the folder has something of this name.
///
/// # Errors
/// If the system does not say.
fn has(folder: &Path, name: &str) -> anyhow::Result<bool> {
    let path = folder.join(name);
    match fs::symlink_metadata(&path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| path.escaped()),
    }
}

/// The members' models; all must be there, and no others.
fn members_of(run: &FinishedRun, most: NonZeroUsize) -> anyhow::Result<Vec<ModelFile>> {
    let FinishedRun { folder, experiment, .. } = run;
    // A committee that reached its target may have ended with fewer than it could have.
    let ended = run.end.summary.as_ref().and_then(|summary| summary.members);
    let (count, said_by) = match ended.filter(|count| (1..most.get()).contains(count)) {
        Some(count) => (count, SUMMARY),
        None => (most.get(), CONFIG),
    };
    let found = folders_of_members(folder)?;
    let expected: Vec<_> = (1..=count).map(member).collect();
    if let Some(other) = found.iter().find(|name| !expected.contains(name)) {
        bail!(
            "expected {count} members, as {said_by} says, found {} in it, which is of another run",
            other.escaped()
        );
    }
    let (mut whole, mut missing) = (Vec::new(), Vec::new());
    for name in &expected {
        let own = folder.join(name);
        match has(&own, CONFIG).and_then(|config| Ok(config && has(&own, MODEL)?)) {
            Ok(true) => whole.push(name),
            Ok(false) => missing.push(name.clone()),
            Err(error) => missing.push(format!("{name}, which cannot be read ({error:#})")),
        }
    }
    if let Some(first) = missing.first() {
        let remedy = match whole.as_slice() {
            [] if has(&folder.join(first), CHECKPOINTS)? => {
                format!("to go on with it: mnist-app train --resume {}", shell_word(folder))
            }
            [] => "train it again".into(),
            [one] => format!("name the one that has, {}", folder.join(one).escaped()),
            [one, ..] => format!("name those that have, such as {}", folder.join(one).escaped()),
        };
        bail!(
            "expected {count} members that have ended, as {said_by} says, found {}, without \
             {first}; {remedy}",
            whole.len()
        );
    }
    let place = |(index, name): (usize, &String)| {
        let own = folder.join(name);
        let member = FinishedRun::of_config(&own)?;
        ensure!(
            member.experiment == experiment.member(index + 1),
            "{}: expected the experiment of this member, as the committee's {CONFIG} says, found \
             another one; it is of another run",
            member.folder.join(CONFIG).escaped()
        );
        let file = own.join(MODEL);
        require_regular(&file).with_context(|| file.escaped())?;
        Ok(ModelFile { file, run: Some(member) })
    };
    expected.iter().enumerate().map(place).collect()
}

/// The names of the members' folders in a committee's folder.
fn folders_of_members(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("member-") && entry.path().is_dir() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}
