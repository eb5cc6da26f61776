//! Standard output and standard error, either of which may be closed or full.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use crate::escape::{bounded, escape_lines};

/// Whether the command shows no progress.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Shows no progress from now on.
pub(crate) fn set_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether no progress is to be shown.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Standard output.
///
/// A full disk or a closed pipe ends the printing, not the work: from then on nothing is printed,
/// and [`Console::result`] has the error.
#[derive(Debug, Default)]
pub struct Console {
    silent: bool,
    loss: Option<io::Error>,
}

impl Console {
    /// One that prints nothing.
    pub fn silent() -> Self {
        Self { silent: true, loss: None }
    }

    /// Prints a line.
    ///
    /// # Errors
    /// If it cannot be printed.
    pub fn line(&mut self, line: impl fmt::Display) -> anyhow::Result<()> {
        self.tell(format_args!("{line}\n"));
        self.result()
    }

    /// Prints a text.
    ///
    /// # Errors
    /// If it cannot be printed.
    pub fn print(&mut self, text: impl fmt::Display) -> anyhow::Result<()> {
        self.tell(text);
        self.result()
    }

    /// Prints a text with colours. What is not from this program must be escaped already.
    ///
    /// # Errors
    /// If it cannot be printed.
    pub(crate) fn drawing(&mut self, text: &str) -> anyhow::Result<()> {
        self.write(text);
        self.result()
    }

    /// Prints a text if possible; [`Console::result`] says whether it was.
    pub fn tell(&mut self, text: impl fmt::Display) {
        if !self.silent {
            self.write(&escape_lines(&text.to_string()));
        }
    }

    fn write(&mut self, text: &str) {
        if self.silent {
            return;
        }
        let mut output = io::stdout().lock();
        if let Err(error) = output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
            (self.silent, self.loss) = (true, Some(error));
        }
    }

    /// Whether all was printed.
    ///
    /// # Errors
    /// If some output was lost since the last call.
    pub fn result(&mut self) -> anyhow::Result<()> {
        self.loss.take().map_or(Ok(()), Err).context("standard output")
    }
}

/// Prints a line on standard error, if that is open; a line too long to read is cut.
pub fn notice(line: impl fmt::Display) {
    let line = bounded(&escape_lines(&format!("{line}\n")));
    // Nobody may be listening.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Whether the error is only that standard output was closed by its reader, who knows: the exit
/// status alone reports it.
pub fn is_unread(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
