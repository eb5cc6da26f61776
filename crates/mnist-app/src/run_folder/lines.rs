//! A file of a run that grows by whole lines.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use layers::{Sha256, sha256};
use serde::{Deserialize, Serialize};

use super::claim::{Claim, unwritten};
use super::reading::require_regular;
use crate::console::notice;
use crate::escape::Escape;
use crate::files::{Appended, Partial};
use crate::input::{Input, append, is_there};

/// The end of some lines in a file, to be found again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// How many there are.
    pub lines: usize,
    /// Their length.
    pub bytes: u64,
    /// The SHA-256 of these bytes.
    pub sha256: String,
    /// Lines that belong after these, but could not be written yet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unwritten: String,
}

impl Mark {
    /// Checks that a file begins with these lines, and returns their bytes.
    ///
    /// # Errors
    /// If it does not, or cannot be read.
    pub(crate) fn bytes_in(&self, path: &Path) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if self.bytes == 0 {
            return Ok(bytes);
        }
        let expected = || {
            let lines = if self.lines == 1 { "line" } else { "lines" };
            format!("expected the {} {lines} of its checkpoint", self.lines)
        };
        let place = || path.escaped();
        ensure!(is_there(path), "{}: {}, found no such file", place(), expected());
        require_regular(path).with_context(place)?;
        let len = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        let found = append(&mut Input::open(path).with_context(place)?, len, &mut bytes);
        let found = found.with_context(place)?;
        ensure!(found == len, "{}: {}, found fewer", place(), expected());
        ensure!(sha256(&bytes) == self.sha256, "{}: {}, found others", place(), expected());
        Ok(bytes)
    }
}

/// A file that grows by whole lines. If one cannot be written, for example because the disk is
/// full, the run goes on, and the line waits.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    file: Appended,
    claim: Arc<Claim>,
    /// Its lines, their number, and the digest of their bytes.
    text: Vec<u8>,
    written: usize,
    digest: Sha256,
    /// The lines that come next, as soon as they can be written.
    unwritten: String,
    synced: Instant,
    /// Whether some wait for the disk.
    waiting: bool,
    /// Why some could not be written, or do not surely last, since the last sync.
    loss: Option<anyhow::Error>,
}

impl Lines {
    /// How long a line may wait for the disk. The system has it at once, so that the end of the
    /// process loses none, though a power cut may. Syncing takes milliseconds, as long as a short
    /// epoch.
    const WAIT: Duration = Duration::from_secs(1);

    /// A file that has the lines up to a mark, these bytes.
    pub(super) fn new(
        path: PathBuf,
        file: Appended,
        claim: Arc<Claim>,
        (mark, text): (&Mark, Vec<u8>),
    ) -> Self {
        let (written, unwritten) = (mark.lines, mark.unwritten.clone());
        let (synced, waiting, loss) = (Instant::now(), false, None);
        let mut digest = Sha256::default();
        digest.add(&text);
        Self { path, file, claim, text, written, digest, unwritten, synced, waiting, loss }
    }

    /// The end of its lines.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            lines: self.written,
            bytes: self.file.len(),
            sha256: self.digest.value(),
            unwritten: self.unwritten.clone(),
        }
    }

    /// Adds a line. If it cannot be written, that is told on standard error, and the line is
    /// written by a later [`Lines::sync`].
    ///
    /// # Errors
    /// If the folder no longer belongs to this run.
    pub fn push(&mut self, line: &str) -> anyhow::Result<()> {
        self.claim.check()?;
        self.unwritten.push_str(line);
        self.unwritten.push('\n');
        if self.loss.is_none() {
            self.attempt(Self::write);
        }
        if self.synced.elapsed() >= Self::WAIT {
            self.sync();
        }
        Ok(())
    }

    /// Waits until all lines are on the disk; a failure is told as by [`Lines::push`].
    pub fn sync(&mut self) {
        self.attempt(|lines| {
            lines.write()?;
            if lines.waiting {
                lines.file.sync()?;
            }
            (lines.waiting, lines.loss) = (false, None);
            Ok(())
        });
        self.synced = Instant::now();
    }

    fn write(&mut self) -> io::Result<()> {
        if !self.file.is_at(&self.path) {
            Partial::write(&self.path, &self.text)?.rename()?;
            self.file = Appended::cut(&self.path, self.text.len() as u64)?;
            let path = self.path.escaped();
            notice(format_args!(
                "{path}: expected the file that this run writes, found none or another one; it is \
                 written anew, with all of its lines"
            ));
        }
        let bytes = self.unwritten.as_bytes();
        if bytes.is_empty() {
            return Ok(());
        }
        self.file.append(bytes)?;
        self.digest.add(bytes);
        self.text.extend_from_slice(bytes);
        self.written += self.unwritten.lines().count();
        self.unwritten.clear();
        self.waiting = true;
        Ok(())
    }

    fn attempt(&mut self, step: impl FnOnce(&mut Self) -> io::Result<()>) {
        let failed = step(self).with_context(|| unwritten(&self.path)).err();
        if let Some(error) = failed.filter(|_| self.loss.is_none()) {
            notice(format_args!("{error:#}; the run goes on, and tries again later"));
            self.loss = Some(error);
        }
    }

    /// The number of lines, if not all could be written.
    pub fn cut(&self) -> Option<usize> {
        (!self.unwritten.is_empty()).then_some(self.written)
    }

    /// Why lines are lost, if some are. Once.
    pub fn take_loss(&mut self) -> Option<anyhow::Error> {
        self.loss.take()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::sync::Arc;

    use super::{Lines, Mark};
    use crate::files::Appended;
    use crate::run_folder::claim::Claim;

    #[test]
    fn a_line_that_cannot_be_written_is_named() {
        let here = tempfile::tempdir().unwrap();
        let config = here.path().join("config.toml");
        let claim = Arc::new(Claim::new(config.clone(), File::create(&config).unwrap()));
        let file = Appended::open(Path::new("/dev/full")).unwrap();
        let path = Path::new("/dev/full").to_owned();
        let mut lines = Lines::new(path, file, claim, (&Mark::default(), Vec::new()));
        lines.push("{}").unwrap();
        assert_eq!(lines.cut(), Some(0));
        let error = format!("{:#}", lines.take_loss().unwrap());
        assert!(error.starts_with("/dev/full: cannot be written: "), "{error}");
    }
}
