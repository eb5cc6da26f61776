//! A data set as an archive of arrays, `.npz`, in parts or not.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::class_folders::entries;
use super::left_out::ending;
use super::samples::{Part, Samples};
use super::source::Wanted;
use super::words::samples;
use crate::arrays::npz::Archive;
use crate::escape::Escape;
use crate::input::Input;

fn open(file: &Path) -> anyhow::Result<Archive<Input>> {
    Input::open(file).and_then(Archive::open).with_context(|| file.escaped())
}

/// The only archive in a folder, if there is one.
pub(super) fn in_folder(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let is_archive = |(name, path): &(String, PathBuf)| ending(name) == "npz" && path.is_file();
    let mut archives = entries(folder)?.into_iter().filter(is_archive).map(|(_, path)| path);
    let first = archives.next();
    if let (Some(first), Some(other)) = (&first, archives.next()) {
        bail!(
            "{}: expected one archive of arrays in the folder, found {} beside it; name one of them",
            first.escaped(),
            other.escaped()
        );
    }
    Ok(first)
}

/// The parts that there are.
pub(super) fn given(file: &Path) -> anyhow::Result<Vec<Part>> {
    open(file)?.given().with_context(|| file.escaped())
}

/// The shapes of all images, `(C, H, W)`, each once.
pub(super) fn shapes(file: &Path) -> anyhow::Result<Vec<[usize; 3]>> {
    let mut archive = open(file)?;
    let given = archive.given().with_context(|| file.escaped())?;
    let parts = if given.is_empty() { vec![None] } else { given.into_iter().map(Some).collect() };
    let mut shapes = Vec::new();
    for part in parts {
        let shape = archive.shape(part).with_context(|| file.escaped())?;
        if !shapes.contains(&shape) {
            shapes.push(shape);
        }
    }
    Ok(shapes)
}

/// Reads one part, or all images if they are not divided.
pub(super) fn load(file: &Path, wanted: &Wanted<'_>) -> anyhow::Result<Samples> {
    let part = open(file)?.read(wanted.part).with_context(|| file.escaped())?;
    samples(file, part)?.in_form(wanted)
}

/// What is not used.
pub(super) fn left_out(file: &Path) -> anyhow::Result<Vec<String>> {
    let notes = open(file)?.left_out().into_iter();
    Ok(notes.map(|note| format!("{}: {note}", file.escaped())).collect())
}
