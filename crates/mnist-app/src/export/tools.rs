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

/// The most bytes that a program may say.
const MOST_SAID: u64 = 1 << 24;

/// The Python that runs an export and has these modules, or what is missing. It is asked in the folder
/// `workshop`, as it takes modules from the folder in which it runs.
///
/// # Errors
/// If the interpreter that is named does not run.
pub(crate) fn python(
    modules: &[&str],
    workshop: &Path,
) -> anyhow::Result<Result<OsString, String>> {
    let needed = modules.join(", ");
    let Some(named) = env::var_os(PYTHON).filter(|python| !python.is_empty()) else {
        return Ok(Err(format!("a Python with {needed}; name it in {PYTHON}")));
    };
    let python = found_from_anywhere(&named)?;
    let named = || format!("{PYTHON}={}", Path::new(&named).escaped());
    let runs = |code: &str| answer(Command::new(&python).args(["-c", code]).current_dir(workshop));
    let has = |modules: &str| Ok(runs(&format!("import {modules}"))?.success());
    // Of one that does not run it is asked below why not.
    if has(&needed).or_else(|error: anyhow::Error| if_stopped(error, false))? {
        return Ok(Ok(python));
    }
    let status = runs("pass").with_context(named)?;
    ensure!(status.success(), "{}: expected a Python, found {status}", named());
    let mut missing = Vec::new();
    for module in modules {
        if !has(module)? {
            missing.push(*module);
        }
    }
    // Those that are there, and cannot be imported together, are missing too.
    let missing = if missing.is_empty() { needed } else { missing.join(", ") };
    Ok(Err(format!("{missing} in {}", named())))
}

/// The error of a signal, or else `value`.
fn if_stopped<V>(error: anyhow::Error, value: V) -> anyhow::Result<V> {
    if error.is::<Stopped>() { Err(error) } else { Ok(value) }
}

/// A program that is named by a path from here, by its whole path.
fn found_from_anywhere(program: &OsStr) -> anyhow::Result<OsString> {
    let path = Path::new(program);
    let is_name = path.components().count() == 1 && !program.as_encoded_bytes().contains(&b'/');
    Ok(if is_name { program.to_owned() } else { std::path::absolute(path)?.into() })
}

/// The compiler that a variable names, or else `default`; `None` if there is none of this name.
///
/// # Errors
/// If it does not run.
pub(crate) fn compiler(variable: &str, default: &str) -> anyhow::Result<Option<OsString>> {
    let named = env::var_os(variable).filter(|compiler| !compiler.is_empty());
    let compiler = named.clone().unwrap_or_else(|| default.into());
    let place = || match &named {
        Some(named) => format!("{variable}={}", Path::new(named).escaped()),
        None => default.to_owned(),
    };
    match answer(Command::new(&compiler).arg("--version")) {
        Ok(status) => {
            ensure!(status.success(), "{}: expected a compiler, found {status}", place());
            Ok(Some(compiler))
        }
        Err(error) if named.is_none() && is_not_found(&error) => Ok(None),
        Err(error) if error.is::<Stopped>() => Err(error),
        Err(error) => Err(error.context(format!("{}: expected a compiler", place()))),
    }
}

fn is_not_found(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

/// How a program ends of which nothing else is of interest.
fn answer(command: &mut Command) -> anyhow::Result<ExitStatus> {
    end(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()), || Ok(()))
}

/// Runs a program to its end, and looks every few milliseconds whether it `may_go_on`. If it may not,
/// or a signal comes, it is ended with all that it has started.
///
/// # Errors
/// If it cannot be run, or may not go on; [`Stopped`] after a signal.
fn end(
    command: &mut Command,
    may_go_on: impl Fn() -> anyhow::Result<()>,
) -> anyhow::Result<ExitStatus> {
    // A group of its own, which can be ended as a whole.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command.spawn()?;
    loop {
        let may_go_on = match signals::received() {
            Some(signal) => Err(Stopped { signal }.into()),
            None => may_go_on(),
        };
        if let Err(error) = may_go_on {
            #[cfg(unix)]
            {
                use rustix::process::{Pid, Signal, kill_process_group};
                // If it has ended already, there is nothing to do.
                let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
            }
            let _ = child.kill();
            child.wait()?;
            return Err(error);
        }
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a program to its end; a signal ends it, and [`Stopped`] is the error. What it says is kept in
/// the folder `workshop`.
///
/// # Errors
/// If it cannot be run, fails, or says too much; the message has the last line that it said.
pub(crate) fn run(program: &OsStr, arguments: &[OsString], workshop: &Path) -> anyhow::Result<()> {
    let name = Path::new(program).escaped();
    let file = workshop.join("said.txt");
    let said = File::create(&file).with_context(|| file.escaped())?;
    let mut command = Command::new(program);
    command.args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    let threads = rayon::current_num_threads().to_string();
    for variable in THREADS {
        command.env(variable, &threads);
    }
    command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
    let is_bounded = || {
        let len = file.metadata().map_or(0, |said| said.len());
        ensure!(len <= MOST_SAID, "expected answers, found that it prints without end");
        Ok(())
    };
    let status = end(&mut command, is_bounded).map_err(|error| match error.is::<Stopped>() {
        true => error,
        false => error.context(name.clone()),
    })?;
    if status.success() {
        return Ok(());
    }
    let said = File::open(&file).with_context(|| file.escaped())?;
    Err(failure(&name, status, said)?)
}

/// The variables that say how many threads a program may have: ours for what is compiled here, and
/// those of the libraries that Python's modules compute with.
const THREADS: [&str; 4] =
    ["ASTERISM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"];

/// The failure of a program in one line, with the last lines of what it said.
fn failure(name: &str, status: ExitStatus, said: impl Read) -> io::Result<anyhow::Error> {
    let mut text = Vec::new();
    said.take(MOST_SAID).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let is_error = |line: &&str| line.contains("error") || line.contains("Error");
    let last = text.lines().rev().find(is_error).or(text.lines().last()).unwrap_or("nothing");
    Ok(anyhow!("{name}: {status}: {}", bounded(last.trim())))
}
