//! Where an export goes: it gets its name when it has been checked, or leaves nothing behind.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use super::Contents;
use crate::disk;
use crate::escape::Escape;
use crate::files::Partial;
use crate::input::Found;

/// A folder beside the place of an export, in which it is written and checked. It is removed at the
/// end.
#[derive(Debug)]
pub(crate) struct Destination {
    /// As it was asked for.
    asked: PathBuf,
    path: PathBuf,
    folder: PathBuf,
}

impl Destination {
    /// # Errors
    /// If nothing can be written beside `path`, or there is something that must not be replaced: a
    /// file replaces a file, a folder at most an empty one.
    pub(crate) fn new(asked: &Path, is_folder: bool) -> anyhow::Result<Self> {
        let place = || format!("--out {}", asked.escaped());
        // A relative path leads elsewhere if the folder in which this runs is renamed.
        let path = std::path::absolute(asked).with_context(place)?;
        let name = path.file_name().with_context(|| format!("{}: expected a name", place()))?;
        let above = path.parent().unwrap_or(&path);
        let found = Found::at(above).with_context(place)?;
        ensure!(
            found == Found::Folder,
            "{}: expected a folder that is there, found {found}: {}",
            place(),
            above.escaped()
        );
        refuse(&path, is_folder).with_context(place)?;
        let mut partial = OsString::from(".");
        partial.push(name);
        partial.push(format!(".{}.partial", std::process::id()));
        let destination =
            Self { folder: above.join(partial), asked: asked.to_owned(), path: path.clone() };
        for folder in [destination.folder.clone(), destination.workshop()] {
            disk::create_folder(&folder).with_context(place)?;
        }
        Ok(destination)
    }

    /// A folder for files that are needed to check the export.
    pub(crate) fn workshop(&self) -> PathBuf {
        self.folder.join("workshop")
    }

    /// Where the export stands until it gets its name; it has the same file name.
    pub(crate) fn unnamed(&self) -> PathBuf {
        self.folder.join(self.path.file_name().unwrap_or_default())
    }

    /// Writes the export where it stands until it gets its name.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&self, contents: &Contents) -> anyhow::Result<()> {
        let unnamed = self.unnamed();
        let written = match contents {
            Contents::File(bytes) => Partial::write(&unnamed, bytes).and_then(Partial::rename),
            Contents::Folder(files) => disk::create_folder(&unnamed).and_then(|()| {
                files.iter().try_for_each(|(name, bytes)| {
                    Partial::write(&unnamed.join(name), bytes).and_then(Partial::rename)
                })
            }),
        };
        written.with_context(|| format!("--out {}", self.asked.escaped()))
    }

    /// Gives the export its name.
    ///
    /// # Errors
    /// If it cannot be renamed; what had the name before is then as it was.
    pub(crate) fn name(self) -> anyhow::Result<()> {
        let named = disk::rename(&self.unnamed(), &self.path);
        named.with_context(|| format!("--out {}", self.asked.escaped()))
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        // What led here is told already.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Refuses to replace anything but a file by a file, and an empty folder by a folder.
fn refuse(path: &Path, is_folder: bool) -> anyhow::Result<()> {
    match (Found::at(path)?, is_folder) {
        (Found::Nothing, _) | (Found::File, false) => Ok(()),
        (found, false) => bail!("expected a new file or one to replace, found {found}"),
        (Found::Folder, true) => match fs::read_dir(path)?.next() {
            None => Ok(()),
            Some(entry) => bail!(
                "expected a new folder or an empty one, found {} in it",
                Path::new(&entry?.file_name()).escaped()
            ),
        },
        (found, true) => bail!("expected a new folder, found {found}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::Destination;
    use crate::export::Contents;

    fn folder(text: &str) -> Contents {
        let file = |name| (name, text.as_bytes().to_vec());
        Contents::Folder(vec![file("model.py"), file("weights.npz")])
    }

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let names = fs::read_dir(folder).unwrap().map(name);
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn an_export_is_whole_or_absent() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("net");
        let unnamed = Destination::new(&path, true).unwrap();
        unnamed.write(&folder("one")).unwrap();
        assert!(!path.exists());
        drop(unnamed);
        assert_eq!(names(here.path()), [] as [&str; 0]);
        // A new folder, and one that is empty.
        for is_there in [false, true] {
            if is_there {
                fs::remove_dir_all(&path).unwrap();
                fs::create_dir(&path).unwrap();
            }
            let destination = Destination::new(&path, true).unwrap();
            destination.write(&folder("one")).unwrap();
            destination.name().unwrap();
            assert_eq!(fs::read_to_string(path.join("model.py")).unwrap(), "one");
        }
        let file = here.path().join("net.rs");
        for text in ["one", "two"] {
            let destination = Destination::new(&file, false).unwrap();
            destination.write(&Contents::File(text.into())).unwrap();
            destination.name().unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        assert_eq!(names(here.path()), ["net", "net.rs"]);
    }

    #[test]
    fn nothing_else_is_replaced() {
        let here = tempfile::tempdir().unwrap();
        fs::create_dir(here.path().join("pictures")).unwrap();
        fs::write(here.path().join("pictures/1.png"), "").unwrap();
        fs::write(here.path().join("file"), "").unwrap();
        for (name, is_folder, expected) in [
            ("pictures", true, "expected a new folder or an empty one, found 1.png in it"),
            ("pictures", false, "expected a new file or one to replace, found a folder"),
            ("file", true, "expected a new folder, found a file"),
            ("none/net", true, "expected a folder that is there, found none"),
            ("file/net", false, "expected a folder that is there, found a file"),
            ("..", false, "expected a name"),
        ] {
            let error = Destination::new(&here.path().join(name), is_folder).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(expected) && error.starts_with("--out "), "{name}: {error}");
        }
        assert_eq!(names(here.path()), ["file", "pictures"]);
    }
}
