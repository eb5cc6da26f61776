//! Standard output that may close.

use std::fmt;
use std::io::{self, ErrorKind, Write};

/// Prints lines on standard output as long as someone reads them.
///
/// A closed pipe ends the printing, not the run: its results are in its folder.
#[derive(Debug, Default)]
pub struct Console {
    closed: bool,
}

impl Console {
    /// Prints nothing.
    pub fn closed() -> Self {
        Self { closed: true }
    }

    /// Prints a line.
    ///
    /// # Errors
    /// If it cannot be written, for any reason but a closed pipe.
    pub fn line(&mut self, line: impl fmt::Display) -> anyhow::Result<()> {
        self.print(format_args!("{line}\n"))
    }

    /// Prints a text.
    ///
    /// # Errors
    /// If it cannot be written, for any reason but a closed pipe.
    pub fn print(&mut self, text: impl fmt::Display) -> anyhow::Result<()> {
        if self.closed {
            return Ok(());
        }
        let mut output = io::stdout().lock();
        match write!(output, "{text}").and_then(|()| output.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.closed = true,
            Err(error) => return Err(anyhow::Error::new(error).context("standard output")),
            Ok(()) => {}
        }
        Ok(())
    }
}
