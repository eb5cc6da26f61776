//! The compilers that make programs of what is exported.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, bail};

use crate::escape::Escape;
use crate::export::Prepared;

/// Compiles `main`, a program that takes in the exported file at `path` as `beside`, in the folder
/// `workshop`. The compiler is the one in the environment variable, or `usual`.
///
/// # Errors
/// If the compiler refuses it.
pub(super) fn compile(
    [variable, usual]: [&str; 2],
    arguments: &[&str],
    (path, beside): (&Path, &str),
    (main, text): (&str, &str),
    workshop: &Path,
) -> anyhow::Result<Prepared> {
    let named = |path: &Path| path.escaped();
    let copy = workshop.join(beside);
    fs::copy(path, &copy).with_context(|| named(path))?;
    let source = workshop.join(main);
    fs::write(&source, text).with_context(|| named(&source))?;
    let program = workshop.join(format!("check{}", env::consts::EXE_SUFFIX));
    let compiler = env::var_os(variable).filter(|tool| !tool.is_empty());
    let compiler = compiler.unwrap_or_else(|| usual.into());
    let run = Command::new(&compiler)
        .args(arguments)
        .args([OsStr::new("-o"), program.as_os_str(), source.as_os_str()])
        .current_dir(workshop)
        .output();
    let tool = Path::new(&compiler).escaped();
    let run = match run {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Prepared::Missing(format!("{tool}, which compiles it")));
        }
        run => run.with_context(|| tool.clone())?,
    };
    if !run.status.success() {
        let said = String::from_utf8_lossy(&run.stderr);
        let first = said.lines().find(|line| line.contains("error")).unwrap_or_default();
        bail!(
            "{}: expected a file that {tool} compiles, found: {}; set {variable} to another compiler",
            named(path),
            first.escaped()
        );
    }
    Ok(Prepared::Program(vec![OsString::from(program)]))
}
