//! The lock that makes a folder a run's.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::escape::Escape;
use crate::files;

/// The `config.toml` of a run's folder, open and locked.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
    file: File,
}

impl Claim {
    pub(super) fn new(path: PathBuf, file: File) -> Self {
        Self { path, file }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Checks that the folder still has this very file.
    ///
    /// # Errors
    /// If it has another one, or none.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let found = match files::is_at(&self.file, &self.path) {
            Ok(true) => return Ok(()),
            Ok(false) => "another one".into(),
            Err(error) if error.kind() == ErrorKind::NotFound => "none".into(),
            Err(error) => error.to_string(),
        };
        bail!(
            "{}: expected the file that this run made, found {found}; the folder was moved, \
             removed or taken by another run, and this one ends without changing anything there",
            self.path.escaped()
        )
    }
}

/// The message for a file of a run that cannot be written.
pub(super) fn unwritten(path: &Path) -> String {
    format!("{}: cannot be written", path.escaped())
}
