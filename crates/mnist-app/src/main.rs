//! The command line of Asterism.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use mnist_app::cli::Usage;

fn main() -> ExitCode {
    let start = Instant::now();
    let Err(error) = mnist_app::run(std::env::args_os().skip(1), start) else {
        return ExitCode::SUCCESS;
    };
    // Nobody may be listening.
    let _ = writeln!(std::io::stderr(), "error: {}", printable(&format!("{error:#}")));
    ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
}

/// The text without control characters: names from files may hold some.
fn printable(text: &str) -> String {
    let show = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    text.chars().map(show).collect()
}
