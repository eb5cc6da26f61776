//! The program in a process whose changes to the disk are counted, recorded, and made to fail.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use mnist_app::console::notice;
use mnist_app::disk;
use serde::{Deserialize, Serialize};

/// The exit status of a process that was made to stop.
const STOPPED: i32 = 99;

/// What goes wrong at a change to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The change fails.
    Fails,
    /// It fails, and all that come later.
    FailsFromThenOn,
    /// Of the bytes that are written half arrive, then it fails.
    TearsAndFails,
    /// The process stops before the change.
    Stops,
    /// It stops when half of the bytes are written.
    TearsAndStops,
}

impl Fault {
    const ALL: [(&str, Self); 5] = [
        ("fails", Self::Fails),
        ("fails-from-then-on", Self::FailsFromThenOn),
        ("tears-and-fails", Self::TearsAndFails),
        ("stops", Self::Stops),
        ("tears-and-stops", Self::TearsAndStops),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, fault)| *fault == self).unwrap().0
    }

    /// Whether it stops the process.
    pub fn stops(self) -> bool {
        matches!(self, Self::Stops | Self::TearsAndStops)
    }

    /// Whether it is about bytes that are written.
    pub fn tears(self) -> bool {
        matches!(self, Self::TearsAndFails | Self::TearsAndStops)
    }

    /// Whether it strikes a change if it is to strike that one.
    fn strikes(self, change: usize, at: usize) -> bool {
        change == at || (self == Self::FailsFromThenOn && change > at)
    }

    /// Does to the change what is to be done to it.
    fn happen(self, change: disk::Change<'_>) -> io::Result<()> {
        if let (true, disk::Change::Append(path, bytes)) = (self.tears(), change) {
            let mut file = OpenOptions::new().append(true).open(path).unwrap();
            file.write_all(&bytes[..bytes.len() / 2]).unwrap();
        }
        if self.stops() {
            std::process::exit(STOPPED);
        }
        Err(io::ErrorKind::StorageFull.into())
    }
}

/// A change to the disk, as recorded.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Change {
    CreateFolder(PathBuf),
    CreateFile(PathBuf),
    Append(PathBuf, Vec<u8>),
    Truncate(PathBuf, u64),
    SyncFile(PathBuf),
    Link(PathBuf, PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncFolder(PathBuf),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append(path, bytes) => write!(f, "Append({path:?}, {} bytes)", bytes.len()),
            other => write!(f, "{other:?}"),
        }
    }
}

impl From<disk::Change<'_>> for Change {
    fn from(change: disk::Change<'_>) -> Self {
        match change {
            disk::Change::CreateFolder(path) => Self::CreateFolder(path.into()),
            disk::Change::CreateFile(path) => Self::CreateFile(path.into()),
            disk::Change::Append(path, bytes) => Self::Append(path.into(), bytes.into()),
            disk::Change::Truncate(path, len) => Self::Truncate(path.into(), len),
            disk::Change::SyncFile(path) => Self::SyncFile(path.into()),
            disk::Change::Link(from, to) => Self::Link(from.into(), to.into()),
            disk::Change::Rename(from, to) => Self::Rename(from.into(), to.into()),
            disk::Change::Remove(path) => Self::Remove(path.into()),
            disk::Change::SyncFolder(path) => Self::SyncFolder(path.into()),
        }
    }
}

const WORDS: &str = "CRASH_LAB_WORDS";
const FAULT: &str = "CRASH_LAB_FAULT";
const RECORD: &str = "CRASH_LAB_RECORD";

/// This program, to be run in a folder with the words of a line.
fn command(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = concat!(module_path!(), "::the_process_itself").split_once("::").unwrap().1;
    command.args(["--exact", test, "--nocapture", "--test-threads", "1"]);
    command.current_dir(folder).env(WORDS, line).env_remove("ASTERISM_SIMD");
    command
}

/// Runs the program with a fault at a change, counted from 1; whether it was stopped there.
pub fn with_fault(folder: &Path, line: &str, fault: Fault, at: usize) -> (Output, bool) {
    let output =
        command(folder, line).env(FAULT, format!("{} {at}", fault.name())).output().unwrap();
    let stopped = output.status.code() == Some(STOPPED);
    (output, stopped)
}

/// Runs the program, which must succeed, and returns its changes to the disk.
#[track_caller]
pub fn recorded(folder: &Path, line: &str) -> Vec<Change> {
    let record = tempfile::NamedTempFile::new().unwrap();
    let output = command(folder, line).env(RECORD, record.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = BufReader::new(record).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

/// The process itself, where the environment says so; else no test at all.
#[test]
fn the_process_itself() {
    let Ok(words) = std::env::var(WORDS) else { return };
    let fault = std::env::var(FAULT).ok().map(|fault| {
        let (name, at) = fault.split_once(' ').unwrap();
        let (_, fault) = Fault::ALL.into_iter().find(|(known, _)| *known == name).unwrap();
        (fault, at.parse().unwrap())
    });
    let record = std::env::var_os(RECORD).map(|path| Mutex::new(File::create(path).unwrap()));
    let count = AtomicUsize::new(0);
    disk::watch(Box::new(move |change| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(record) = &record {
            let line = serde_json::to_string(&Change::from(change)).unwrap();
            writeln!(record.lock().unwrap(), "{line}").unwrap();
        }
        match fault {
            Some((fault, at)) if fault.strikes(number, at) => fault.happen(change),
            _ => Ok(()),
        }
    }));
    let result = mnist_app::run(words.split_whitespace().map(Into::into), Instant::now());
    std::process::exit(match result {
        Ok(()) => 0,
        Err(error) => {
            notice(format_args!("error: {error:#}"));
            1
        }
    });
}
