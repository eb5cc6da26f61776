//! The tools that run exports, as far as this machine has them.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use anyhow::Context;

/// The environment variable that names a Python interpreter.
pub(crate) const PYTHON: &str = "ASTERISM_PYTHON";

/// The Python interpreter that has all these modules, or else what is missing.
///
/// # Errors
/// If the interpreter that the environment names cannot be run.
pub(crate) fn python(modules: &[&str]) -> anyhow::Result<Result<OsString, String>> {
    let needed = modules.join(", ");
    let Some(program) = std::env::var_os(PYTHON).filter(|program| !program.is_empty()) else {
        return Ok(Err(format!("Python with {needed}, which {PYTHON} may name")));
    };
    let mut command = Command::new(&program);
    command.arg("-c").arg(format!("import {needed}")).stdin(Stdio::null());
    let output = command.output().with_context(|| PYTHON)?;
    Ok(if output.status.success() { Ok(program) } else { Err(format!("Python with {needed}")) })
}
