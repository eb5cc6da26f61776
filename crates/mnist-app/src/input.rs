//! Input files: what counts as one, and how much of it is read. In one pass, so that a pipe will
//! do.

use std::fmt;
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{anyhow, bail, ensure};

use crate::escape::Escape;
use crate::memory;

/// A regular file or a pipe, open for reading.
#[derive(Debug)]
pub(crate) struct Input {
    source: Source,
    len: Option<u64>,
}

#[derive(Debug)]
enum Source {
    File(File),
    Bytes(Cursor<Vec<u8>>),
}

impl Input {
    /// # Errors
    /// If there is no such file, or something else of its name; the message says what.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let metadata = metadata(path)?;
        if let Some(found) = other_than_a_file(metadata.file_type()) {
            bail!("expected a file, found {found}");
        }
        let file = File::open(path)?;
        // Some file systems report a length of 0 for files that are generated while they are read.
        let len = Some(metadata.len()).filter(|&len| metadata.is_file() && len > 0);
        Ok(Self { source: Source::File(file), len })
    }

    /// The bytes of a file.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        let len = Some(bytes.len() as u64);
        Self { source: Source::Bytes(Cursor::new(bytes.to_owned())), len }
    }

    /// Its length in bytes, if that is known beforehand.
    pub(crate) fn len(&self) -> Option<u64> {
        self.len
    }

    /// The text of a file of at most `most` bytes.
    ///
    /// # Errors
    /// If there is no such file, it is longer, or it is not UTF-8.
    pub(crate) fn text(path: &Path, most: usize) -> anyhow::Result<String> {
        Self::open(path)?.into_text(most)
    }

    /// The same of an open file.
    ///
    /// # Errors
    /// If it is longer, or not UTF-8.
    pub(crate) fn into_text(mut self, most: usize) -> anyhow::Result<String> {
        let expected = || format!("expected a file of at most {most} bytes");
        if let Some(len) = self.len.filter(|&len| len > most as u64) {
            bail!("{}, found one of {len} bytes", expected());
        }
        let mut bytes = Vec::new();
        let found = append(&mut self, most.saturating_add(1), &mut bytes)?;
        ensure!(found <= most, "{}, found a longer one", expected());
        String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
            anyhow!("expected a text in UTF-8, found another byte in line {line}")
        })
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.source {
            Source::File(file) => file.read(buffer),
            Source::Bytes(bytes) => bytes.read(buffer),
        }
    }
}

/// Not of a pipe.
impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.source {
            Source::File(file) => file.seek(to),
            Source::Bytes(bytes) => bytes.seek(to),
        }
    }
}

/// Appends the next `len` bytes, or as many as are left; returns how many.
pub(crate) fn append(reader: &mut impl Read, len: usize, bytes: &mut Vec<u8>) -> io::Result<usize> {
    reader.take(len as u64).read_to_end(bytes)
}

/// Refuses a path that a file in UTF-8 cannot name; `place` says where the path is from.
///
/// # Errors
/// If it is not UTF-8.
pub(crate) fn require_utf8(place: &str, path: &Path) -> anyhow::Result<()> {
    ensure!(
        path.to_str().is_some(),
        "{place} {}: expected a path in UTF-8, which can be written down, found other bytes; \
         rename it",
        path.escaped()
    );
    Ok(())
}

/// Reserves room for `len` bytes.
///
/// # Errors
/// If there is too little memory.
pub(crate) fn reserve(bytes: &mut Vec<u8>, len: usize) -> anyhow::Result<()> {
    let fits = memory::available().is_none_or(|free| len as u64 <= free);
    ensure!(
        fits && bytes.try_reserve_exact(len).is_ok(),
        "too little memory: expected {len} free bytes, found fewer"
    );
    Ok(())
}

/// The error, with `remedy` if it is that there is no such file.
pub(crate) fn or_if_missing(error: anyhow::Error, remedy: &str) -> anyhow::Error {
    let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    if error.downcast_ref().is_some_and(is_missing) {
        anyhow!("{error:#}; {remedy}")
    } else {
        error
    }
}

/// Whether something has this name, even if it is a dangling link.
pub(crate) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// What a path leads to; links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    File,
    Folder,
    /// A pipe, a device or a socket.
    NoFile(&'static str),
    /// A dangling link.
    Dangling,
    Nothing,
}

impl Found {
    /// # Errors
    /// If the system does not say what it is, for example because a folder above it may not be
    /// entered; the message names the path.
    pub(crate) fn at(path: &Path) -> anyhow::Result<Self> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Ok(Self::Folder),
            Ok(metadata) if metadata.is_file() => Ok(Self::File),
            Ok(metadata) => {
                Ok(Self::NoFile(other_than_a_file(metadata.file_type()).unwrap_or("a pipe")))
            }
            Err(error) => match error.kind() {
                // A link that leads to itself leads nowhere too.
                _ if is_loop(&error) => Ok(Self::Dangling),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    Ok(if is_there(path) { Self::Dangling } else { Self::Nothing })
                }
                _ => Err(anyhow!("{}: {error}", path.escaped())),
            },
        }
    }
}

/// Whether links lead in a circle.
fn is_loop(error: &io::Error) -> bool {
    let number = if cfg!(target_os = "linux") { 40 } else { 62 };
    cfg!(unix) && error.raw_os_error() == Some(number)
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "a file",
            Self::Folder => "a folder",
            Self::NoFile(what) => what,
            Self::Dangling => "a dangling link",
            Self::Nothing => "none",
        })
    }
}

/// The metadata of a file or folder; links are followed.
fn metadata(path: &Path) -> anyhow::Result<Metadata> {
    fs::metadata(path).map_err(|error| {
        let target = fs::read_link(path).ok().filter(|_| error.kind() == io::ErrorKind::NotFound);
        match target {
            Some(target) => {
                anyhow!("expected a file, found a dangling link to {}", target.escaped())
            }
            None => error.into(),
        }
    })
}

/// What this is, if it is neither a regular file nor a pipe.
fn other_than_a_file(kind: FileType) -> Option<&'static str> {
    if kind.is_dir() {
        return Some("a folder");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
    }
    None
}
