//! A file of a run that grows by whole lines.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::claim::{Claim, unwritten};
use crate::console::notice;
use crate::files::Appended;

/// A file that grows by whole lines. If one cannot be written, for example because the disk is
/// full, the lines end, but the run goes on.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    file: Appended,
    claim: Arc<Claim>,
    /// How many lines there are.
    written: usize,
    synced: Instant,
    loss: Option<anyhow::Error>,
}

impl Lines {
    /// How long a line may wait for the disk. The system has it at once, so that the end of the
    /// process loses none, though a power cut may. Syncing takes milliseconds, as long as a short
    /// epoch.
    const WAIT: Duration = Duration::from_secs(1);

    pub(super) fn new(path: PathBuf, file: Appended, claim: Arc<Claim>) -> Self {
        Self { path, file, claim, written: 0, synced: Instant::now(), loss: None }
    }

    /// Adds a line, if all lines before could be written. The first failure is reported on standard
    /// error, and kept for [`Lines::into_loss`].
    ///
    /// # Errors
    /// If the folder no longer belongs to this run.
    pub fn push(&mut self, line: &str) -> anyhow::Result<()> {
        self.claim.check()?;
        self.attempt(|lines| {
            let line = format!("{line}\n");
            lines.file.append(line.as_bytes())?;
            lines.written += 1;
            Ok(())
        });
        if self.synced.elapsed() >= Self::WAIT {
            self.sync();
        }
        Ok(())
    }

    /// Waits until all lines are on the disk; a failure is reported as by [`Lines::push`].
    pub fn sync(&mut self) {
        self.attempt(|lines| lines.file.sync());
        self.synced = Instant::now();
    }

    fn attempt(&mut self, step: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.loss.is_some() {
            return;
        }
        self.loss = step(self).with_context(|| unwritten(&self.path)).err();
        if let Some(error) = &self.loss {
            notice(format_args!("{error:#}; the run goes on without further lines"));
        }
    }

    /// The number of lines, if not all could be written.
    pub fn cut(&self) -> Option<usize> {
        self.loss.as_ref().map(|_| self.written)
    }

    /// Why lines are lost, if some are.
    pub fn into_loss(self) -> Option<anyhow::Error> {
        self.loss
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::sync::Arc;

    use super::Lines;
    use crate::files::Appended;
    use crate::run_folder::claim::Claim;

    #[test]
    fn a_line_that_cannot_be_written_is_named() {
        let here = tempfile::tempdir().unwrap();
        let config = here.path().join("config.toml");
        let claim = Arc::new(Claim::new(config.clone(), File::create(&config).unwrap()));
        let file = Appended::open(Path::new("/dev/full")).unwrap();
        let mut lines = Lines::new(Path::new("run/metrics.jsonl").to_owned(), file, claim);
        lines.push("{}").unwrap();
        assert_eq!(lines.cut(), Some(0));
        let error = format!("{:#}", lines.into_loss().unwrap());
        assert!(error.starts_with("run/metrics.jsonl: cannot be written: "), "{error}");
    }
}
