//! The files of a run: those that are replaced as a whole, and those that grow; who holds one.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::disk::{self, Output};

/// Makes a folder and those above it, as far as they are missing.
///
/// # Errors
/// If one cannot be made.
pub(crate) fn create_folders(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let made = match (disk::create_folder(path), path.parent()) {
        (Err(error), Some(above)) if error.kind() == ErrorKind::NotFound => {
            create_folders(above)?;
            disk::create_folder(path)
        }
        (made, _) => made,
    };
    match made {
        // Another process made it.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Replaces a file, and returns the new one locked: it is locked from the moment at which it has
/// its name.
///
/// # Errors
/// If it cannot be written; the file is then as before.
pub(crate) fn replace_locked(path: &Path, contents: &[u8]) -> io::Result<File> {
    let partial = partial(path);
    let named = write_locked(&partial, contents)
        .and_then(|file| disk::rename(&partial, path).map(|()| file));
    named.inspect_err(|_| {
        // The error that led here is the one to report.
        let _ = disk::remove(&partial);
    })
}

/// Opens a file and locks it.
///
/// # Errors
/// If it cannot be opened for writing; as [`ErrorKind::WouldBlock`] if another process has locked
/// it.
pub(crate) fn open_locked(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).write(true).open(path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ErrorKind::WouldBlock.into()),
        // Any other failure means that the file system has no locks.
        _ => Ok(file),
    }
}

/// The new contents of a file, on the disk beside it; removed unless they are renamed.
#[derive(Debug)]
pub(crate) struct Partial {
    path: PathBuf,
    partial: PathBuf,
    is_renamed: bool,
}

impl Partial {
    /// Writes what is to be the file at `path`, and waits until it is on the disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(path: &Path, contents: &[u8]) -> io::Result<Self> {
        let (path, partial) = (path.to_owned(), partial(path));
        let partial = Self { path, partial, is_renamed: false };
        write_locked(&partial.partial, contents)?;
        Ok(partial)
    }

    /// Gives it the file's name.
    ///
    /// # Errors
    /// If it cannot be renamed; the file is then as before.
    pub(crate) fn rename(mut self) -> io::Result<()> {
        disk::rename(&self.partial, &self.path)?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_renamed {
            // What led here is told already.
            let _ = disk::remove(&self.partial);
        }
    }
}

/// A file that is appended to.
#[derive(Debug)]
pub(crate) struct Appended {
    file: Output,
    len: u64,
    /// Whether more may follow, a part of what could not be written.
    is_torn: bool,
}

impl Appended {
    /// A new empty file.
    ///
    /// # Errors
    /// If it cannot be made, or the name is taken.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = Output::create_new(path)?;
        disk::sync_folder_of(path)?;
        Ok(Self { file, len: 0, is_torn: false })
    }

    /// A file that exists, without what follows its first `len` bytes.
    ///
    /// # Errors
    /// If it cannot be opened or cut.
    pub(crate) fn cut(path: &Path, len: u64) -> io::Result<Self> {
        let mut file = Output::open(path)?;
        if file.file().metadata()?.len() != len {
            file.truncate(len)?;
            file.sync()?;
        }
        Ok(Self { file, len, is_torn: false })
    }

    #[cfg(test)]
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: Output::open(path)?, len: 0, is_torn: false })
    }

    /// Whether a path leads to it.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        is_at(self.file.file(), path).unwrap_or(false)
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Adds all bytes or none.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.file.truncate(self.len)?;
        }
        let appended = self.file.append(bytes);
        self.is_torn = appended.is_err() && self.file.truncate(self.len).is_err();
        appended?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Waits until all appended bytes are on the disk.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

/// Writes a new file, first beside its name and then linked to it, and returns it locked: it is
/// locked from the moment at which it has its name.
///
/// # Errors
/// If it cannot be written, or the name is taken.
pub(crate) fn create(path: &Path, contents: &[u8]) -> io::Result<File> {
    let partial = partial(path);
    let named =
        write_locked(&partial, contents).and_then(|file| match disk::link(&partial, path) {
            Ok(()) => Ok(file),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
            Err(_) => create_in_place(path, contents),
        });
    // If it cannot be removed, the next run in this folder does.
    let _ = disk::remove(&partial);
    let file = named?;
    disk::sync_folder_of(path).map(|()| file).inspect_err(|_| {
        let _ = disk::remove(path);
    })
}

/// The same on file systems without hard links: a reader may briefly find a part of the file.
fn create_in_place(path: &Path, contents: &[u8]) -> io::Result<File> {
    let mut file = Output::create_new(path)?;
    lock(file.file());
    let written = file.append(contents).and_then(|()| file.sync());
    written.map(|()| file.into_file()).inspect_err(|_| {
        let _ = disk::remove(path);
    })
}

fn write_locked(path: &Path, contents: &[u8]) -> io::Result<File> {
    let mut file = Output::create(path)?;
    lock(file.file());
    file.append(contents)?;
    file.sync()?;
    Ok(file.into_file())
}

/// Locks a file that no other process works on.
fn lock(file: &File) {
    // Another process may test the lock, which takes it for an instant. Any other failure means
    // that the file system has no locks.
    for _ in 0..1000 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
            _ => return,
        }
    }
}

/// A path beside a file's that no other process writes to.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    name.into()
}

/// Whether [`partial`], of this process or another one, gives this name to one of `files`.
pub(crate) fn is_partial_of(name: &OsStr, files: &[&str]) -> bool {
    partial_of(name).is_some_and(|file| files.contains(&file))
}

/// The name of the file to which [`partial`], of this process or another one, gives this name.
pub(crate) fn partial_of(name: &OsStr) -> Option<&str> {
    let name = name.to_str()?.strip_suffix(".partial")?;
    let (file, process) = name.rsplit_once('.')?;
    let is_number = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
    // Early versions gave no number.
    Some(if is_number { file } else { name })
}

/// Removes a partial file, unless another process is still at work on it. It may be a second name
/// of `own`, which this process has locked.
///
/// # Errors
/// If it cannot be removed.
pub(crate) fn remove_leftover(partial: &Path, own: &File) -> io::Result<()> {
    let cleared = match File::open(partial) {
        Ok(file) if is_locked(&file) && !is_at(own, partial).unwrap_or(false) => Ok(()),
        Ok(_) => disk::remove(partial),
        Err(error) => Err(error),
    };
    match cleared {
        // Its own process removed it.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        cleared => cleared,
    }
}

/// Opens a regular file; not a pipe, which would block.
pub(crate) fn open_regular(path: &Path) -> Option<File> {
    path.is_file().then(|| File::open(path).ok()).flatten()
}

/// Whether another process has locked the file.
pub(crate) fn is_locked(file: &File) -> bool {
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Whether a path leads to this file, where the system can tell.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let [own, found] = [file.metadata()?, fs::metadata(path)?];
    Ok((own.dev(), own.ino()) == (found.dev(), found.ino()))
}

#[cfg(not(unix))]
pub(crate) fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// The process that has locked a file, if the system tells.
#[cfg(unix)]
pub(crate) fn locking_process(file: &File) -> Option<u32> {
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
pub(crate) fn locking_process(_: &File) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs::{self, File};
    use std::path::Path;

    use super::{create, create_in_place, is_locked, is_partial_of, partial};

    const FILES: [&str; 3] = ["config.toml", "metrics.jsonl", "model.safetensors"];

    type Create = fn(&Path, &[u8]) -> std::io::Result<File>;

    #[test]
    fn a_new_file_is_whole_locked_and_nobody_elses() {
        let here = tempfile::tempdir().unwrap();
        for (name, create_file) in [("linked", create as Create), ("in-place", create_in_place)] {
            let path = here.path().join(name);
            let file = create_file(&path, b"mine").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"mine");
            assert!(is_locked(&File::open(&path).unwrap()), "{name}");
            drop(file);
            assert!(!is_locked(&File::open(&path).unwrap()), "{name}");
            let error = create_file(&path, b"yours").unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists, "{name}");
            assert_eq!(fs::read(&path).unwrap(), b"mine");
        }
        assert_eq!(fs::read_dir(here.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn partial_files_are_known_by_their_names() {
        let own = partial(Path::new("run/model.safetensors"));
        assert!(is_partial_of(own.file_name().unwrap(), &FILES), "{own:?}");
        for (name, expected) in [
            ("config.toml.12.partial", true),
            ("metrics.jsonl.partial", true),
            ("config.toml..partial", false),
            ("config.toml.1x.partial", false),
            ("config.toml2.partial", false),
            ("config.toml", false),
            ("notes.12.partial", false),
        ] {
            assert_eq!(is_partial_of(OsStr::new(name), &FILES), expected, "{name}");
        }
    }
}
