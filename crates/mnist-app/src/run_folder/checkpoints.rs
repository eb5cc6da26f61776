//! The checkpoints in a run's folder: which there are, and which are kept.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::names::{CHECKPOINTS, Place};
use super::writing::RunFolder;
use crate::disk;
use crate::escape::Escape;
use crate::files;

/// How many are kept.
const KEPT: usize = 2;

/// The checkpoints of a run that is writing them.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    /// Those that are whole, the newest last.
    whole: Vec<Place>,
}

impl Checkpoints {
    /// Makes their folder, if there is none. A run has gone on from the checkpoint at `place`, if
    /// there is one.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn open(folder: &RunFolder, place: Option<Place>) -> anyhow::Result<Self> {
        make_folder(folder)?;
        Ok(Self { whole: place.into_iter().collect() })
    }

    /// Where the newest stands.
    pub(crate) fn newest(&self) -> Option<Place> {
        self.whole.last().copied()
    }

    /// Writes one as [`RunFolder::write`] does, and then removes all but the last two that are
    /// whole.
    ///
    /// # Errors
    /// As [`RunFolder::write`].
    pub(crate) fn write(
        &mut self,
        folder: &RunFolder,
        place: Place,
        contents: &[u8],
    ) -> anyhow::Result<()> {
        // Somebody may have removed it.
        make_folder(folder)?;
        folder.write(&format!("{CHECKPOINTS}/{}", place.file_name()), contents)?;
        self.whole.retain(|&other| other != place);
        self.whole.push(place);
        let first = self.whole.len().saturating_sub(KEPT);
        self.whole.drain(..first);
        for (place, file) in checkpoints_of(folder.path())? {
            if !self.whole.contains(&place) {
                // One that is left over does no harm.
                let _ = disk::remove(&file);
            }
        }
        Ok(())
    }
}

fn make_folder(folder: &RunFolder) -> anyhow::Result<()> {
    let own = folder.path().join(CHECKPOINTS);
    if !own.is_dir() {
        disk::create_folder(&own).with_context(|| format!("{}: cannot be made", own.escaped()))?;
    }
    Ok(())
}

/// The checkpoints in a run's folder by their names, the newest first.
///
/// # Errors
/// If the system does not say.
pub(crate) fn checkpoints_of(run: &Path) -> anyhow::Result<Vec<(Place, PathBuf)>> {
    let folder = run.join(CHECKPOINTS);
    let place = |path: PathBuf| Some((Place::of_file(path.file_name()?.to_str()?)?, path));
    let mut found: Vec<_> = entries(&folder)?.into_iter().filter_map(place).collect();
    found.sort_by(|a, b| b.cmp(a));
    Ok(found)
}

/// Removes what a process that was killed had not finished in the folder of the checkpoints.
///
/// # Errors
/// If it cannot be removed.
pub(super) fn remove_leftovers(run: &Path, own: &File) -> anyhow::Result<()> {
    for path in entries(&run.join(CHECKPOINTS))? {
        let file = path.file_name().and_then(files::partial_of);
        if file.and_then(Place::of_file).is_some() {
            files::remove_leftover(&path, own)
                .with_context(|| format!("{}: cannot be removed", path.escaped()))?;
        }
    }
    Ok(())
}

/// What is in a folder; nothing if there is none.
fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| folder.escaped())?,
    };
    let paths = entries.map(|entry| Ok(entry?.path()));
    paths.collect::<std::io::Result<_>>().with_context(|| folder.escaped())
}
