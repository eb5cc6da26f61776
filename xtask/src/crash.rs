//! `cargo xtask crash`: kills runs at random moments, ten times as many as the tests do.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::process::{cargo, run as run_command};

const KILLS: &str = "200";

/// Runs the test of the crash lab that kills processes, with [`KILLS`] of them.
pub fn run(flags: Vec<OsString>) -> anyhow::Result<ExitCode> {
    crate::no_flags("crash", &flags)?;
    let mut test = cargo(&["test", "--package", "mnist-app", "--test", "it", "crash_lab::kills"]);
    test.args(["--", "--nocapture"]).env("CRASH_LAB_KILLS", KILLS);
    run_command(&mut test)?;
    Ok(ExitCode::SUCCESS)
}
