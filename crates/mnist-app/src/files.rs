//! What reaches the disk during a run: files that are whole or not there, lines that are
//! whole or not there, and the folder that one run has to itself.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use layers::sha256;
use serde::Serialize;

use crate::console::notice;
use crate::experiment::{Experiment, absolute};
use crate::input::is_there;
use crate::printable::Shown;

/// The file of a run's folder with the whole experiment.
pub const CONFIG: &str = "config.toml";
/// That with a line for each epoch.
pub const METRICS: &str = "metrics.jsonl";
/// That with the weights.
pub const MODEL: &str = "model.safetensors";
/// That with what is known at the end.
pub const SUMMARY: &str = "summary.json";

const FILES: [&str; 4] = [CONFIG, METRICS, MODEL, SUMMARY];

/// The folder that a run writes to, and nowhere else.
///
/// No other run uses it as long as this value lives: its `config.toml` is locked, which
/// the system ends with the process, however that ends. Where the file system has no locks,
/// it is still true that no two runs get one folder. What is written is written only as long
/// as the folder has that very file: who moves or removes it ends the run.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    config_sha256: String,
    claim: Arc<Claim>,
}

/// The `config.toml` that makes a folder a run's, open and locked.
#[derive(Debug)]
struct Claim {
    path: PathBuf,
    file: File,
}

impl Claim {
    /// Whether the folder still has this file.
    ///
    /// # Errors
    /// If it has another one, or none.
    fn check(&self) -> anyhow::Result<()> {
        let found = match is_at(&self.file, &self.path) {
            Ok(true) => return Ok(()),
            Ok(false) => "another one".into(),
            Err(error) if error.kind() == ErrorKind::NotFound => "none".into(),
            Err(error) => error.to_string(),
        };
        bail!(
            "{}: expected the file that this run made, found {found}; the folder was moved, \
             removed or taken by another run, and this one ends without changing anything there",
            self.path.shown()
        )
    }
}

impl RunFolder {
    /// The folder `out`, or a new one below `runs`, with the experiment in it as
    /// `config.toml`.
    ///
    /// # Errors
    /// If the experiment has no form as a file, there is something in the folder already, it is
    /// inside that of another run, or it cannot be written.
    pub fn create(out: Option<&Path>, experiment: &Experiment) -> anyhow::Result<Self> {
        let text = experiment.to_toml()?;
        let Some(out) = out else {
            let path = numbered(Path::new("runs"), experiment)?;
            return Self::claim(&path, &text).with_context(|| path.shown());
        };
        let place = || format!("--out {}", out.shown());
        // What is there already is the nearer reason.
        if let Some(run) = run_around(out).filter(|_| !is_there(&out.join(CONFIG))) {
            return Err(anyhow!(
                "expected a folder that is new or empty, and in no run's, found it in that of the \
                 run {}; nothing was changed; name another one with --out DIR",
                run.shown()
            ))
            .with_context(place);
        }
        Self::claim(out, &text).with_context(place)
    }

    /// The folder of a member, counted from 1, in this one of its committee.
    ///
    /// # Errors
    /// As [`RunFolder::create`], and if this is no longer the committee's.
    pub fn member(&self, number: usize, experiment: &Experiment) -> anyhow::Result<Self> {
        self.claim.check()?;
        let path = self.path.join(member(number));
        Self::claim(&path, &experiment.to_toml()?).with_context(|| path.shown())
    }

    /// Makes the folder that of the experiment in `text`, if it is nobody's.
    fn claim(path: &Path, text: &str) -> anyhow::Result<Self> {
        let leftovers = prepare(path)?;
        let config = path.join(CONFIG);
        let claimed = create_whole(&config, text.as_bytes());
        let file = claimed.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => occupied(path),
            _ => anyhow!(error).context(format!("{CONFIG}: cannot be written")),
        })?;
        for leftover in leftovers {
            clear(&leftover).with_context(|| format!("{}: cannot be removed", leftover.shown()))?;
        }
        let config_sha256 = sha256(text.as_bytes());
        let claim = Arc::new(Claim { path: config, file });
        Ok(Self { path: path.to_owned(), config_sha256, claim })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The SHA-256 of the bytes of its `config.toml`.
    pub fn config_sha256(&self) -> &str {
        &self.config_sha256
    }

    /// Writes a file of the run beside its final name, waits until it is on the disk, and
    /// renames it: whoever opens the name finds the old contents or the new ones, never a part.
    ///
    /// # Errors
    /// If it cannot be written, or the folder is this run's no more; what was there before then
    /// still is.
    pub fn write(&self, name: &str, contents: &[u8]) -> anyhow::Result<()> {
        self.claim.check()?;
        let path = self.path.join(name);
        let partial = partial(&path);
        let written = write_locked(&partial, contents).with_context(|| unwritten(&path));
        // The disk may have taken its time.
        let written = written.and_then(|_| self.claim.check());
        let renamed = written
            .and_then(|()| fs::rename(&partial, &path).with_context(|| unwritten(&path)))
            .inspect_err(|_| {
                // The error that led here is the one to report.
                let _ = fs::remove_file(&partial);
            });
        renamed.and_then(|()| sync_folder(&path).with_context(|| unwritten(&path)))
    }

    /// Writes a value of the run as JSON.
    ///
    /// # Errors
    /// As [`RunFolder::write`].
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        self.write(name, text.as_bytes())
    }

    /// A file of the run, without a line so far, that lines are added to.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn lines(&self, name: &str) -> anyhow::Result<Lines> {
        let path = self.path.join(name);
        let file = File::options().append(true).create_new(true).open(&path);
        let file = file.and_then(|file| sync_folder(&path).map(|()| file));
        let file = file.with_context(|| unwritten(&path))?;
        Ok(Lines::new(path, file, Arc::clone(&self.claim)))
    }
}

/// A file that grows by whole lines, as long as they can be written: a disk that is full ends
/// the lines, not the run.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    file: File,
    claim: Arc<Claim>,
    /// How many lines there are, and their bytes.
    written: (usize, u64),
    synced: Instant,
    loss: Option<anyhow::Error>,
}

impl Lines {
    /// How long a line may wait for the disk. The system has it at once, so that the end of
    /// the process loses none; the end of the power may. To wait for the disk takes
    /// milliseconds, as short epochs do.
    const WAIT: Duration = Duration::from_secs(1);

    fn new(path: PathBuf, file: File, claim: Arc<Claim>) -> Self {
        Self { path, file, claim, written: (0, 0), synced: Instant::now(), loss: None }
    }

    /// Adds a line, if all before it could be written; that it could not is told on standard
    /// error, and by [`Lines::whole`].
    ///
    /// # Errors
    /// If the folder is this run's no more.
    pub fn push(&mut self, line: &str) -> anyhow::Result<()> {
        self.claim.check()?;
        self.attempt(|lines| {
            let line = format!("{line}\n");
            lines.file.write_all(line.as_bytes()).inspect_err(|_| {
                // The error that led here is the one to report.
                let _ = lines.file.set_len(lines.written.1);
            })?;
            lines.written = (lines.written.0 + 1, lines.written.1 + line.len() as u64);
            Ok(())
        });
        if self.synced.elapsed() >= Self::WAIT {
            self.sync();
        }
        Ok(())
    }

    /// Waits until all lines are on the disk; what is lost is told as by [`Lines::push`].
    pub fn sync(&mut self) {
        self.attempt(|lines| lines.file.sync_data());
        self.synced = Instant::now();
    }

    fn attempt(&mut self, step: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.loss.is_some() {
            return;
        }
        self.loss = step(self).with_context(|| unwritten(&self.path)).err();
        if let Some(error) = &self.loss {
            notice(format_args!("{error:#}; the run goes on, without its lines from here on"));
        }
    }

    /// How many lines there are, if not all could be written.
    pub fn cut(&self) -> Option<usize> {
        self.loss.as_ref().map(|_| self.written.0)
    }

    /// What became of those that are lost, if some are.
    pub fn into_loss(self) -> Option<anyhow::Error> {
        self.loss
    }
}

/// The name of a committee member's own folder in the committee's, counted from 1.
pub fn member(number: usize) -> String {
    format!("member-{number}")
}

fn unwritten(path: &Path) -> String {
    format!("{}: cannot be written", path.shown())
}

/// Writes a file whose name nobody has, as [`RunFolder::write`] does, and returns it locked: it
/// is so from the moment on at which it has its name.
fn create_whole(path: &Path, contents: &[u8]) -> io::Result<File> {
    let partial = partial(path);
    let named =
        write_locked(&partial, contents).and_then(|file| match fs::hard_link(&partial, path) {
            Ok(()) => Ok(file),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
            Err(_) => create_in_place(path, contents),
        });
    // Where it stays, the next run of this folder clears it.
    let _ = fs::remove_file(&partial);
    let file = named?;
    sync_folder(path).map(|()| file)
}

/// The same where a file cannot have two names at a time: who reads it at once may find a
/// part.
fn create_in_place(path: &Path, contents: &[u8]) -> io::Result<File> {
    let mut file = File::create_new(path)?;
    lock(&file);
    let written = file.write_all(contents).and_then(|()| file.sync_all());
    written.map(|()| file).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

fn write_locked(path: &Path, contents: &[u8]) -> io::Result<File> {
    let mut file = File::create(path)?;
    lock(&file);
    file.write_all(contents)?;
    file.sync_all()?;
    Ok(file)
}

/// Locks a file that no other process works on.
fn lock(file: &File) {
    // Another process may look whether it is locked, which locks it for an instant. Any other
    // failure says that the file system has no locks.
    for _ in 0..1000 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
            _ => return,
        }
    }
}

/// A name beside a file's that no other process writes to.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    name.into()
}

/// Whether [`partial`], of this process or another one, gives this name to a file of a run.
fn is_partial(name: &OsStr) -> bool {
    let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".partial")) else {
        return false;
    };
    FILES.iter().filter_map(|file| name.strip_prefix(file)).any(|process| {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // Early versions gave no number.
        process.is_empty() || process.strip_prefix('.').is_some_and(is_number)
    })
}

/// Removes a file that nobody is going to finish, if that is one.
fn clear(partial: &Path) -> io::Result<()> {
    let cleared = match File::open(partial) {
        Ok(file) if is_locked(&file) => Ok(()),
        Ok(_) => fs::remove_file(partial),
        Err(error) => Err(error),
    };
    match cleared {
        // Its process has been quicker.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        cleared => cleared,
    }
}

/// A file that can be read, and that nobody has to wait for as for a pipe.
fn open_regular(path: &Path) -> Option<File> {
    path.is_file().then(|| File::open(path).ok()).flatten()
}

/// Whether another process has locked the file.
fn is_locked(file: &File) -> bool {
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// A rename is on the disk when its folder is, where the file system can tell that.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    const NOT_OPEN_FOR_WRITING: i32 = 9;
    let Some(folder) = path.parent() else { return Ok(()) };
    let folder = if folder == Path::new("") { Path::new(".") } else { folder };
    File::open(folder)?.sync_all().or_else(|error| match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::Unsupported => Ok(()),
        _ if error.raw_os_error() == Some(NOT_OPEN_FOR_WRITING) => Ok(()),
        _ => Err(error),
    })
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes the folder if there is none. Returns what is in it: at most files that a run had not
/// finished when it was killed before it had a `config.toml`.
fn prepare(out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(out) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(out).context("expected a folder that can be made")?;
            return Ok(Vec::new());
        }
        entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>),
    };
    let entries = entries.context("expected a folder that is new or empty")?;
    let is_leftover = |entry: &fs::DirEntry| {
        is_partial(&entry.file_name()) && entry.file_type().is_ok_and(|kind| kind.is_file())
    };
    if entries.iter().all(is_leftover) {
        return Ok(entries.iter().map(fs::DirEntry::path).collect());
    }
    bail!(occupied(out))
}

/// The folder is that of another run, or of somebody else.
fn occupied(folder: &Path) -> anyhow::Error {
    let found = match open_regular(&folder.join(CONFIG)) {
        Some(config) if is_locked(&config) => {
            let process = locking_process(&config).map(|process| format!(" (process {process})"));
            format!("that of a run that is still going on{}", process.unwrap_or_default())
        }
        _ => "one with something in it".into(),
    };
    anyhow!(
        "expected a folder that is new or empty, found {found}; nothing was changed; name another \
         one with --out DIR"
    )
}

/// The run's folder that a new one would be in, or in a folder of it.
fn run_around(out: &Path) -> Option<PathBuf> {
    let out = absolute(out);
    let known = |folder: &Path| {
        let rest = out.strip_prefix(folder).ok()?;
        Some(folder.canonicalize().ok()?.join(rest))
    };
    let out = out.ancestors().find_map(known)?;
    out.ancestors().skip(1).take(2).find(|folder| is_runs(folder)).map(Path::to_owned)
}

/// Whether the folder is that of a run, not only one with an experiment of this name.
fn is_runs(folder: &Path) -> bool {
    let config = open_regular(&folder.join(CONFIG));
    config.is_some_and(|config| is_locked(&config) || folder.join(METRICS).is_file())
}

/// Whether a path is that of this file, where the system can tell.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let [own, found] = [file.metadata()?, fs::metadata(path)?];
    Ok((own.dev(), own.ino()) == (found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// The process that has locked a file, if the system tells.
#[cfg(unix)]
fn locking_process(file: &File) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata().ok()?;
    let device = metadata.dev();
    let major = device >> 8 & 0xfff | device >> 32 & !0xfff;
    let minor = device & 0xff | device >> 12 & 0xffff_ff00;
    let place = format!("{major:02x}:{minor:02x}:{}", metadata.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| match *line.split_whitespace().collect::<Vec<_>>() {
        [_, "FLOCK", _, "WRITE", process, at, ..] if at == place => process.parse().ok(),
        _ => None,
    })
}

#[cfg(not(unix))]
fn locking_process(_: &File) -> Option<u32> {
    None
}

/// `runs/PRESET-SEED-N` with the first `N` that is free.
fn numbered(runs: &Path, experiment: &Experiment) -> anyhow::Result<PathBuf> {
    let hint = || format!("{}: cannot be made; name a folder with --out DIR", runs.shown());
    fs::create_dir_all(runs).with_context(hint)?;
    for number in 1_u64.. {
        let name = format!("{}-{}-{number}", experiment.name, experiment.seed);
        let folder = runs.join(name);
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("{}: cannot be made", folder.shown()));
            }
        }
    }
    unreachable!("some number is free")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs::{self, File};
    use std::path::Path;
    use std::sync::Arc;

    use super::{
        Claim, Lines, create_in_place, create_whole, is_locked, is_partial, partial, sync_folder,
    };

    type Create = fn(&Path, &[u8]) -> std::io::Result<File>;

    #[test]
    fn a_new_file_is_whole_locked_and_nobody_elses() {
        let here = tempfile::tempdir().unwrap();
        for (name, create) in [("linked", create_whole as Create), ("in-place", create_in_place)] {
            let path = here.path().join(name);
            let file = create(&path, b"mine").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"mine");
            assert!(is_locked(&File::open(&path).unwrap()), "{name}");
            drop(file);
            assert!(!is_locked(&File::open(&path).unwrap()), "{name}");
            let error = create(&path, b"yours").unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists, "{name}");
            assert_eq!(fs::read(&path).unwrap(), b"mine");
        }
        assert_eq!(fs::read_dir(here.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn partial_files_are_known_by_their_names() {
        let own = partial(Path::new("run/model.safetensors"));
        assert!(is_partial(own.file_name().unwrap()), "{own:?}");
        for (name, expected) in [
            ("config.toml.12.partial", true),
            ("metrics.jsonl.partial", true),
            ("config.toml..partial", false),
            ("config.toml.1x.partial", false),
            ("config.toml2.partial", false),
            ("config.toml", false),
            ("notes.12.partial", false),
        ] {
            assert_eq!(is_partial(OsStr::new(name)), expected, "{name}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_system_that_does_not_know_a_folders_sync_is_no_failure() {
        let found = File::open("/proc/self").unwrap().sync_all().unwrap_err();
        assert_eq!(found.kind(), std::io::ErrorKind::InvalidInput);
        sync_folder(Path::new("/proc/self/metrics.jsonl")).unwrap();
        sync_folder(Path::new("metrics.jsonl")).unwrap();
        sync_folder(Path::new("/proc/self/none/metrics.jsonl")).unwrap_err();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_line_that_cannot_be_written_is_named() {
        let here = tempfile::tempdir().unwrap();
        let config = here.path().join("config.toml");
        let claim = Arc::new(Claim { file: File::create(&config).unwrap(), path: config });
        let file = File::options().write(true).open("/dev/full").unwrap();
        let mut lines = Lines::new(Path::new("run/metrics.jsonl").to_owned(), file, claim);
        lines.push("{}").unwrap();
        assert_eq!(lines.cut(), Some(0));
        let error = format!("{:#}", lines.into_loss().unwrap());
        assert!(error.starts_with("run/metrics.jsonl: cannot be written: "), "{error}");
    }
}
