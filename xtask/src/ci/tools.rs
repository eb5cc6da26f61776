//! Programs that steps of the checks need and that do not come with Rust: skipped where they are
//! not there, unless `ASTERISM_CI=full` says that everything must be checked.

use std::env;
use std::process::{Command, Stdio};

use anyhow::bail;

/// Whether this program is there, as [`found`].
pub fn tool(program: &str, install: &str) -> anyhow::Result<bool> {
    found(answers(program), program, install)
}

/// Whether this program is there and says its version.
pub fn answers(program: &str) -> bool {
    let mut command = Command::new(program);
    let quiet = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// Whether `what` is there, which the caller knows; if it is not, says what is skipped.
///
/// # Errors
/// If it is not there and nothing may be skipped: how to install it.
pub fn found(there: bool, what: &str, install: &str) -> anyhow::Result<bool> {
    if there {
        return Ok(true);
    }
    if full()? {
        bail!("ASTERISM_CI=full: {what} is not installed; to install it: {install}");
    }
    println!("skipped: {what} is not installed; to install it: {install}");
    Ok(false)
}

/// Whether nothing may be skipped.
///
/// # Errors
/// If `ASTERISM_CI` has a value that is not known.
pub fn full() -> anyhow::Result<bool> {
    match env::var_os("ASTERISM_CI") {
        None => Ok(false),
        Some(value) if value == "full" => Ok(true),
        Some(value) => bail!("ASTERISM_CI: expected full, found {value:?}"),
    }
}
