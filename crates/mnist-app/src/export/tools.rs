//! The tools of this machine that run what was exported.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};

use crate::escape::{Escape, bounded};
use crate::signals::{self, Stopped};

/// The environment variable with the interpreter that runs what is exported for Python.
pub(crate) const PYTHON: &str = "ASTERISM_PYTHON";

/// The Python that runs an export and has these modules, or what is missing.
///
/// # Errors
/// If the interpreter that is named does not run.
pub(crate) fn python(modules: &[&str]) -> anyhow::Result<Result<OsString, String>> {
    let needed = modules.join(", ");
    let Some(python) = env::var_os(PYTHON).filter(|python| !python.is_empty()) else {
        return Ok(Err(format!("a Python with {needed}; name it in {PYTHON}")));
    };
    let named = || format!("{PYTHON}={}", Path::new(&python).escaped());
    let runs = |code: &str| Command::new(&python).args(["-c", code]).stdin(Stdio::null()).output();
    let has = |modules: &str| {
        runs(&format!("import {modules}")).is_ok_and(|output| output.status.success())
    };
    if has(&needed) {
        return Ok(Ok(python));
    }
    let answers = runs("pass").with_context(named)?;
    ensure!(answers.status.success(), "{}: expected a Python, found {}", named(), answers.status);
    let missing: Vec<_> = modules.iter().filter(|module| !has(module)).copied().collect();
    // Those that are there, and cannot be imported together, are missing too.
    let missing = if missing.is_empty() { needed } else { missing.join(", ") };
    Ok(Err(format!("{missing} in {}", named())))
}

/// The compiler that a variable names, or else `default`; `None` if there is none of this name.
///
/// # Errors
/// If it does not run.
pub(crate) fn compiler(variable: &str, default: &str) -> anyhow::Result<Option<OsString>> {
    let named = env::var_os(variable).filter(|compiler| !compiler.is_empty());
    let compiler = named.clone().unwrap_or_else(|| default.into());
    let answer = Command::new(&compiler).arg("--version").stdin(Stdio::null()).output();
    match answer {
        Ok(output) if output.status.success() => Ok(Some(compiler)),
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => Ok(None),
        Err(error) => Err(anyhow!(error).context(Path::new(&compiler).escaped())),
        Ok(output) => Err(anyhow!(
            "{} --version: expected a compiler, found {}",
            Path::new(&compiler).escaped(),
            output.status
        )),
    }
}

/// Runs a program to its end; a signal ends it, and [`Stopped`] is the error.
///
/// # Errors
/// If it cannot be run or fails; the message has the last line that it wrote. What it writes is kept
/// in the folder `workshop`.
pub(crate) fn run(program: &OsStr, arguments: &[OsString], workshop: &Path) -> anyhow::Result<()> {
    let name = Path::new(program).escaped();
    let file = workshop.join("said.txt");
    let said = File::create(&file).with_context(|| file.escaped())?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        .spawn()
        .with_context(|| name.clone())?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if let Some(signal) = signals::received() {
            let _ = child.kill();
            child.wait()?;
            return Err(Stopped { signal }.into());
        }
        thread::sleep(Duration::from_millis(5));
    };
    if let Some(signal) = signals::received() {
        return Err(Stopped { signal }.into());
    }
    if status.success() {
        return Ok(());
    }
    let said = File::open(&file).with_context(|| file.escaped())?;
    Err(failure(&name, status, said)?)
}

/// The failure of a program in one line, with the last lines of what it said.
fn failure(name: &str, status: ExitStatus, said: impl Read) -> io::Result<anyhow::Error> {
    const MOST: u64 = 1 << 20;
    let mut text = Vec::new();
    said.take(MOST).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let is_error = |line: &&str| line.contains("error") || line.contains("Error");
    let last = text.lines().rev().find(is_error).or(text.lines().last()).unwrap_or("nothing");
    Ok(anyhow!("{name}: {status}: {}", bounded(last.trim())))
}
