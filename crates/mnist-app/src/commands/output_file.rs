//! The files that flags name for what a command draws or writes.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::escape::Escape;
use crate::input::Found;

/// The name of a PNG file. By any other a file could be one of another kind, which would be
/// replaced.
pub(super) fn png(text: &str) -> Result<PathBuf, String> {
    ending(text, "png")
}

/// The name of a table.
pub(super) fn csv(text: &str) -> Result<PathBuf, String> {
    ending(text, "csv")
}

/// The name of a page.
pub(super) fn html(text: &str) -> Result<PathBuf, String> {
    ending(text, "html")
}

fn ending(text: &str, expected: &str) -> Result<PathBuf, String> {
    let fits = Path::new(text).extension().is_some_and(|end| end.eq_ignore_ascii_case(expected));
    fits.then(|| text.into()).ok_or_else(|| format!("a file whose name ends with .{expected}"))
}

/// Expects a place where a file can be written, before anything is computed for it.
///
/// # Errors
/// If its folder is not there, or something else than a file has its name.
pub(super) fn require_place(flag: &str, file: &Path) -> anyhow::Result<()> {
    place(file).with_context(|| format!("{flag} {}", file.escaped()))
}

fn place(file: &Path) -> anyhow::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let found = Found::at(folder.unwrap_or(Path::new(".")))?;
    ensure!(found == Found::Folder, "expected a folder that is there, found {found}");
    let found = Found::at(file)?;
    ensure!(
        matches!(found, Found::File | Found::Nothing),
        "expected a new file or one to replace, found {found}"
    );
    Ok(())
}
