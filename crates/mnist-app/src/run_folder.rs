//! What a run has left behind: which models there are, and whether they are all of its.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use serde::Deserialize;

use crate::experiment::{self, Experiment};
use crate::files::{CONFIG, MODEL, SUMMARY, member};
use crate::input::{Input, is_there};
use crate::printable::Shown;

/// The file of a model.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    /// The run that it is of, if the file is named by its folder.
    pub(crate) run: Option<Run>,
}

/// A run that left a model behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) folder: PathBuf,
    pub(crate) experiment: Experiment,
}

/// The file of a model, which may be named by the folder of its run; of a committee's folder,
/// those of its members.
///
/// # Errors
/// If a folder is none of a run that has ended, or has parts of another run.
pub(crate) fn places(path: &Path) -> anyhow::Result<Vec<Place>> {
    if !path.is_dir() {
        return Ok(vec![Place { file: path.to_owned(), run: None }]);
    }
    let run = Run::read(path).with_context(|| named(path))?;
    match run.experiment.committee {
        Some(members) => members_of(&run, members).with_context(|| named(path)),
        None => Ok(vec![Place { file: path.join(MODEL), run: Some(run) }]),
    }
}

/// A model in a message.
pub(crate) fn named(path: &Path) -> String {
    format!("model {}", path.shown())
}

/// Of what a run says at its end.
#[derive(Deserialize)]
struct Summary {
    weights_sha256: String,
    /// Of a committee that has ended.
    members: Option<usize>,
}

impl Run {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let is_whole = is_there(&folder.join(MODEL));
        let members = folders_of_members(folder)?;
        if !is_there(&folder.join(CONFIG)) {
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
                remedy.shown()
            );
        }
        let experiment = read_config(folder)?;
        if experiment.committee.is_none() {
            ensure!(
                members.is_empty(),
                "expected the folder of a single network, as {CONFIG} says, found {} in it, which \
                 is of another run",
                members[0]
            );
            ensure!(
                is_whole,
                "expected the folder of a run that has ended, with {MODEL} in it, found no such \
                 file"
            );
        }
        Ok(Self { folder: folder.to_owned(), experiment })
    }

    /// Whether a model whose weights have this digest is the one that the run ended with.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn check_summary(&self, weights_sha256: &str) -> anyhow::Result<()> {
        let Some(Summary { weights_sha256: found, .. }) = self.summary()? else { return Ok(()) };
        ensure!(
            found == weights_sha256,
            "expected the model of its run, whose {SUMMARY} says weights_sha256 = {found}, found \
             one of {weights_sha256}; {}",
            self.remedy()
        );
        Ok(())
    }

    /// What it said at its end, if it came so far.
    fn summary(&self) -> anyhow::Result<Option<Summary>> {
        let file = self.folder.join(SUMMARY);
        if !is_there(&file) {
            return Ok(None);
        }
        let text = Input::text(&file, experiment::MOST_BYTES).with_context(|| file.shown())?;
        let summary = serde_json::from_str(&text);
        summary
            .map(Some)
            .map_err(|error| anyhow!("{}: expected a summary, found {error}", file.shown()))
    }

    /// How a model of another run can be used.
    pub(crate) fn remedy(&self) -> String {
        let file = self.folder.join(MODEL);
        format!("one of the files is of another run; name {} to use it all the same", file.shown())
    }

    /// The folder of the images that it was trained on, if it says so.
    pub(crate) fn data(&self) -> Option<PathBuf> {
        self.experiment.data.as_ref().map(|data| self.folder.join(data))
    }
}

fn read_config(folder: &Path) -> anyhow::Result<Experiment> {
    let file = folder.join(CONFIG);
    let text = experiment::text_of(&file).with_context(|| file.shown())?;
    Experiment::parse(&text).map_err(|error| anyhow!("{}{error}", file.shown()))
}

/// The members' models, if there are all, and no others.
fn members_of(run: &Run, most: NonZeroUsize) -> anyhow::Result<Vec<Place>> {
    let Run { folder, experiment } = run;
    // A committee that reached its target may have ended with fewer than it could have.
    let ended = run.summary()?.and_then(|summary| summary.members);
    let (count, said_by) = match ended.filter(|count| (1..most.get()).contains(count)) {
        Some(count) => (count, SUMMARY),
        None => (most.get(), CONFIG),
    };
    let found = folders_of_members(folder)?;
    let expected: Vec<_> = (1..=count).map(member).collect();
    if let Some(other) = found.iter().find(|name| !expected.contains(name)) {
        bail!(
            "expected {count} members, as {said_by} says, found {other} in it, which is of another \
             run"
        );
    }
    let is_whole = |name: &&String| {
        let own = folder.join(name);
        [CONFIG, MODEL].iter().all(|file| is_there(&own.join(file)))
    };
    let (whole, missing): (Vec<_>, Vec<_>) = expected.iter().partition(is_whole);
    if let Some(first) = missing.first() {
        let remedy = match whole.as_slice() {
            [] => "train it again".into(),
            [one] => format!("name the one that has, {}", folder.join(one).shown()),
            [one, ..] => format!("name those that have, such as {}", folder.join(one).shown()),
        };
        bail!(
            "expected {count} members that have ended, as {said_by} says, found {}, without \
             {first}; {remedy}",
            whole.len()
        );
    }
    let place = |(index, name): (usize, &String)| {
        let own = folder.join(name);
        let member = Run { experiment: read_config(&own)?, folder: own };
        ensure!(
            member.experiment == experiment.member(index + 1),
            "{}: expected the experiment of this member, as the committee's {CONFIG} says, found \
             another one; it is of another run",
            member.folder.join(CONFIG).shown()
        );
        Ok(Place { file: member.folder.join(MODEL), run: Some(member) })
    };
    expected.iter().enumerate().map(place).collect()
}

/// The names of the folders in it that are named as a committee's members are.
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
