//! Cargo and other programs, started in the workspace's root.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The workspace's root.
pub fn root() -> PathBuf {
    // At run time cargo tells where the package is, which may not be where it was compiled.
    let now = std::env::var_os("CARGO_MANIFEST_DIR");
    let manifest = now.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let manifest = PathBuf::from(manifest);
    manifest.parent().unwrap_or(&manifest).to_owned()
}

/// The cargo that runs this program, in the workspace's root.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(root());
    cargo
}

/// The path of the release build of a program.
pub fn release(program: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("the path of xtask itself")?;
    // Cargo runs xtask from a release build, and the others are beside it.
    Ok(this.with_file_name(program).with_extension(std::env::consts::EXE_EXTENSION))
}

/// The folder that the workspace is built in.
pub fn target() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("the path of xtask itself")?;
    let target = this.parent().and_then(Path::parent).context("the folder above xtask's")?;
    Ok(target.to_owned())
}

/// Runs a command and waits for its end.
///
/// # Errors
/// If it cannot be started or fails; the error shows the command as one would type it.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let line = line(command);
    let status = command.status().with_context(|| format!("cannot start: {line}"))?;
    if !status.success() {
        bail!("{status}: {line}");
    }
    Ok(())
}

/// Prints a text.
///
/// # Errors
/// If standard output cannot be written: a full disk, or a closed pipe.
pub fn print(text: impl Display) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    write!(output, "{text}").and_then(|()| output.flush()).context("standard output")
}

/// Prints a line on standard error, even if that is closed.
pub fn notice(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The command as one would type it.
pub fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let environment = command.get_envs().filter_map(|(name, value)| {
        Some(format!("{}={}", name.to_string_lossy(), value?.to_string_lossy()))
    });
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    environment
        .chain([program.to_string_lossy().into_owned()])
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}
