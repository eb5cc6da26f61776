//! Standard output and standard error, either of which may be lost.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use anyhow::Context;

use crate::escape::{bounded, escape_lines};

/// Prints on standard output as long as that is possible.
///
/// A disk that is full or a pipe that nobody reads ends the printing, not what is done:
/// from then on nothing is printed, and [`Console::result`] tells.
#[derive(Debug, Default)]
pub struct Console {
    silent: bool,
    loss: Option<io::Error>,
}

impl Console {
    /// Prints nothing.
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

    /// Prints a text if it can be printed; what is done goes on in either case.
    pub fn tell(&mut self, text: impl fmt::Display) {
        if self.silent {
            return;
        }
        let text = escape_lines(&text.to_string());
        let mut output = io::stdout().lock();
        if let Err(error) = output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
            (self.silent, self.loss) = (true, Some(error));
        }
    }

    /// Whether all was printed.
    ///
    /// # Errors
    /// If something was lost since this was last asked.
    pub fn result(&mut self) -> anyhow::Result<()> {
        self.loss.take().map_or(Ok(()), Err).context("standard output")
    }
}

/// Prints a line on standard error, whoever may have closed it; of a line that nobody could
/// read, the beginning.
pub fn notice(line: impl fmt::Display) {
    let line = bounded(&escape_lines(&format!("{line}\n")));
    // Nobody may be listening.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Whether this says only that nobody reads standard output any more, which whoever
/// stopped reading knows: it is told by the exit status alone.
pub fn is_unread(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
