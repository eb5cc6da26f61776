//! The command line of Asterism.

// No conversion silently changes a number.
#![warn(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]

use std::process::ExitCode;
use std::time::Instant;

use mnist_app::console::{is_unread, notice};
use mnist_app::escape::escape_line;
use mnist_app::remedy::remedy;
use mnist_app::signals::{Interrupted, Stopped};
use mnist_app::usage::Usage;

fn main() -> ExitCode {
    let start = Instant::now();
    let Err(error) = mnist_app::run(std::env::args_os().skip(1), start) else {
        return ExitCode::SUCCESS;
    };
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        notice(interrupted);
        return ExitCode::from(interrupted.status());
    }
    if let Some(stopped) = error.downcast_ref::<Stopped>() {
        notice(stopped);
        return ExitCode::from(stopped.status());
    }
    let wrong_usage = error.is::<Usage>();
    let text = format!("{error:#}");
    if !is_unread(&error) {
        // Words of the command line have no tables in them.
        let text = if wrong_usage { escape_line(&text) } else { text };
        let remedy = remedy(&error).map(|remedy| format!("; {remedy}")).unwrap_or_default();
        notice(format_args!("error: {text}{remedy}"));
    }
    ExitCode::from(if wrong_usage { 2 } else { 1 })
}
