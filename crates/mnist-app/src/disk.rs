//! The few ways in which a run changes the disk. Each change can be watched, and refused.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A change to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// A folder is made.
    CreateFolder(&'a Path),
    /// A file is made, or emptied if it is there.
    CreateFile(&'a Path),
    /// Bytes are added to the end of a file.
    Append(&'a Path, &'a [u8]),
    /// A file is cut to a length.
    Truncate(&'a Path, u64),
    /// The bytes of a file are made durable.
    SyncFile(&'a Path),
    /// The second name is given to the file of the first.
    Link(&'a Path, &'a Path),
    /// The second name takes the place of the first.
    Rename(&'a Path, &'a Path),
    /// A file's name is removed.
    Remove(&'a Path),
    /// The names in a folder are made durable.
    SyncFolder(&'a Path),
}

/// Is asked before each change; one for which it returns an error is not made, and fails with it.
pub type Watcher = dyn Fn(Change<'_>) -> io::Result<()> + Send + Sync;

static WATCHER: OnceLock<Box<Watcher>> = OnceLock::new();

/// Has each change that this process makes from now on watched: how tests make a disk fail at a
/// certain change, or the process end there. Only the first watcher counts.
pub fn watch(watcher: Box<Watcher>) {
    // A second one is of no use to anybody.
    let _ = WATCHER.set(watcher);
}

fn about_to(change: Change<'_>) -> io::Result<()> {
    WATCHER.get().map_or(Ok(()), |watcher| watcher(change))
}

/// A file that is written to, at its end alone.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    file: File,
}

impl Output {
    /// An empty file; what the name had before is lost.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        about_to(Change::CreateFile(path))?;
        Ok(Self { path: path.to_owned(), file: File::create(path)? })
    }

    /// A new empty file.
    ///
    /// # Errors
    /// If the name is taken, too.
    pub(crate) fn create_new(path: &Path) -> io::Result<Self> {
        about_to(Change::CreateFile(path))?;
        let file = File::options().append(true).create_new(true).open(path)?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// A file that is there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: File::options().append(true).open(path)? })
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        about_to(Change::Append(&self.path, bytes))?;
        self.file.write_all(bytes)
    }

    pub(crate) fn truncate(&mut self, len: u64) -> io::Result<()> {
        about_to(Change::Truncate(&self.path, len))?;
        self.file.set_len(len)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        about_to(Change::SyncFile(&self.path))?;
        self.file.sync_all()
    }

    /// To lock it, and to know it again.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn into_file(self) -> File {
        self.file
    }
}

/// Makes a folder, for good.
///
/// # Errors
/// If it cannot be made, or the name is taken.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    about_to(Change::CreateFolder(path))?;
    fs::create_dir(path)?;
    sync_folder_of(path)
}

pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    about_to(Change::Link(from, to))?;
    fs::hard_link(from, to)
}

/// Renames a file, for good.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    about_to(Change::Rename(from, to))?;
    fs::rename(from, to)?;
    sync_folder_of(to)
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    about_to(Change::Remove(path))?;
    fs::remove_file(path)
}

/// Makes the names in the folder of a file or folder durable, where the file system supports that.
#[cfg(unix)]
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    const NOT_OPEN_FOR_WRITING: i32 = 9;
    let Some(folder) = path.parent() else { return Ok(()) };
    let folder = if folder == Path::new("") { Path::new(".") } else { folder };
    about_to(Change::SyncFolder(folder))?;
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.or_else(|error| match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::Unsupported => Ok(()),
        // A folder that may be written to and not be read.
        ErrorKind::PermissionDenied => Ok(()),
        _ if error.raw_os_error() == Some(NOT_OPEN_FOR_WRITING) => Ok(()),
        _ => Err(error),
    })
}

#[cfg(not(unix))]
pub(crate) fn sync_folder_of(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use super::sync_folder_of;

    #[test]
    fn a_file_system_that_does_not_know_a_folders_sync_is_no_failure() {
        let found = File::open("/proc/self").unwrap().sync_all().unwrap_err();
        assert_eq!(found.kind(), std::io::ErrorKind::InvalidInput);
        sync_folder_of(Path::new("/proc/self/metrics.jsonl")).unwrap();
        sync_folder_of(Path::new("metrics.jsonl")).unwrap();
        sync_folder_of(Path::new("/proc/self/none/metrics.jsonl")).unwrap_err();
    }
}
