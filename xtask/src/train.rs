//! `cargo xtask train [FLAGS]`: builds the program in release and trains with it.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context;

/// Runs `mnist-app train FLAGS` in the caller's folder, so that relative paths among the flags stay
/// valid, and returns its exit status.
pub fn run(flags: Vec<OsString>) -> anyhow::Result<ExitCode> {
    // Two steps: the build shows its progress, and the run adds no line of cargo's to the program's
    // output.
    let built = cargo("build").status().context("cargo build")?;
    if !built.success() {
        return Ok(ExitCode::FAILURE);
    }
    let mut command = cargo("run");
    command.args(["--quiet", "--", "train"]).args(flags);
    let status = command.status().context("cargo run")?;
    // Without a code, the program was ended by a signal.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn cargo(command: &str) -> Command {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([command, "--release", "--package", "mnist-app", "--manifest-path"]).arg(manifest);
    cargo
}
