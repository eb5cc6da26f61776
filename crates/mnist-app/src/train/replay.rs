//! `replay`: a run that broke off, from its last checkpoint to the step that failed, in memory.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::Serialize;
use tensor::Element;

use super::failure::Failure;
use super::newest;
use super::training::Training;
use super::verify::ClaimedRun;
use crate::console::Console;
use crate::escape::Escape;
use crate::run_folder::{FAILURE, member};
use crate::width::wrap;

/// How a run is replayed.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Where the data are now, if not where the run says.
    pub(crate) data: Option<PathBuf>,
    pub(crate) json: bool,
    /// Whether only the verdict is printed.
    pub(crate) quiet: bool,
}

/// A run that broke off.
#[derive(Debug)]
pub(crate) struct FailedRun {
    pub(crate) run: ClaimedRun,
    failure: Failure,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    failure: &'a Failure,
    /// Whether it is the run's.
    again: bool,
    /// What `train` says of it.
    message: String,
    /// The layers' values.
    table: &'a [String],
}

impl FailedRun {
    /// The run in this folder; of a committee, the member that failed.
    ///
    /// # Errors
    /// If there is none, or it did not fail.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let run = ClaimedRun::read(folder)?;
        let members = run.experiment.committee.map_or(0, Into::into);
        let members = (1..=members).map(|number| folder.join(member(number)));
        for folder in std::iter::once(folder.to_owned()).chain(members) {
            if let Some(failure) = Failure::read(&folder)? {
                return Ok(Self { run: ClaimedRun::read(&folder)?, failure });
            }
        }
        let state = if run.has_ended()? { "has ended" } else { "has not ended, nor failed" };
        bail!(
            "{}: expected a run that broke off, with {FAILURE} in it, found one that {state}",
            folder.escaped()
        );
    }
}

/// Trains a run again from its last checkpoint to the step that failed, and prints that layer by
/// layer.
///
/// # Errors
/// If the failure does not come again, or the run cannot be trained here.
pub(crate) fn replay<T: Element>(failed: &FailedRun, options: &Options) -> anyhow::Result<()> {
    let FailedRun { run, failure: expected } = failed;
    let mut console = Console::default();
    let mut training = newest::training::<T>(run, options.data.as_deref())?;
    let shows = !options.json && !options.quiet;
    if shows {
        let place = training.state.progress.text();
        console.line(format_args!("from the checkpoint {place}"))?;
    }
    let table = RefCell::new(Vec::new());
    let show = |line: &str| table.borrow_mut().push(line.to_owned());
    let found = until_failure(&mut training, expected.epoch, (&run.folder, &show))?;
    let folder = run.folder.escaped();
    let Some((found, error)) = found else {
        bail!("{folder}: expected the failure {expected}, as {FAILURE} says, found none");
    };
    let (again, message) = (found == *expected, format!("{error:#}"));
    let table = table.borrow();
    if options.json {
        let line = Line { failure: &found, again, message, table: &table };
        console.line(serde_json::to_string(&line)?)?;
    } else if shows {
        for line in table.iter() {
            console.line(line)?;
        }
        console.line(wrap(&message))?;
    }
    if !again {
        bail!("{folder}: expected the failure {expected}, as {FAILURE} says, found one {found}");
    }
    if options.json {
        return Ok(());
    }
    console.line(wrap(&format!("{folder}: fails again {found}")))
}

/// Goes on until a number is not finite, through this epoch at most. Returns what failed, and what
/// is said of it.
fn until_failure<T: Element>(
    training: &mut Training<T>,
    last: usize,
    place: (&Path, &dyn Fn(&str)),
) -> anyhow::Result<Option<(Failure, anyhow::Error)>> {
    for epoch in training.epochs().take(last).skip(training.state.progress.epochs) {
        match training.epoch(&epoch, None, place)? {
            Ok(tested) => training.end_epoch(tested.metrics),
            Err(failure) => return Ok(Some(failure)),
        }
    }
    Ok(None)
}
