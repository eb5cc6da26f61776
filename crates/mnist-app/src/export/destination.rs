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
    path: PathBuf,
    folder: PathBuf,
}

impl Destination {
    /// # Errors
    /// If nothing can be written beside `path`, or there is something that must not be replaced: a
    /// folder with `files` is replaced by a folder, and a file by a file.
    pub(crate) fn new(path: &Path, files: Option<&[&str]>) -> anyhow::Result<Self> {
        let place = || format!("--out {}", path.escaped());
        let name = path.file_name().with_context(|| format!("{}: expected a name", place()))?;
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        let above = above.unwrap_or(Path::new("."));
        let found = Found::at(above).with_context(place)?;
        ensure!(
            found == Found::Folder,
            "{}: expected a folder that is there, found {found}: {}",
            place(),
            above.escaped()
        );
        refuse(path, files).with_context(place)?;
        let mut partial = OsString::from(".");
        partial.push(name);
        partial.push(format!(".{}.partial", std::process::id()));
        let destination = Self { path: path.to_owned(), folder: above.join(partial) };
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
        written.with_context(|| format!("--out {}", self.path.escaped()))
    }

    /// Gives the export its name.
    ///
    /// # Errors
    /// If it cannot be renamed; what had the name before is then as it was.
    pub(crate) fn name(self) -> anyhow::Result<()> {
        let (unnamed, before) = (self.unnamed(), self.folder.join("before"));
        let place = || format!("--out {}", self.path.escaped());
        let is_folder = self.path.is_dir();
        if is_folder {
            disk::rename(&self.path, &before).with_context(place)?;
        }
        disk::rename(&unnamed, &self.path)
            .inspect_err(|_| {
                if is_folder {
                    // The error that led here is the one to report.
                    let _ = disk::rename(&before, &self.path);
                }
            })
            .with_context(place)
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        // What led here is told already.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What Python leaves in a folder that it has imported a module from.
const PYTHONS_OWN: &str = "__pycache__";

/// Refuses to replace anything but an export.
fn refuse(path: &Path, files: Option<&[&str]>) -> anyhow::Result<()> {
    let found = Found::at(path)?;
    let Some(files) = files else {
        ensure!(
            matches!(found, Found::File | Found::Nothing),
            "expected a new file or one to replace, found {found}"
        );
        return Ok(());
    };
    match found {
        Found::Nothing => return Ok(()),
        Found::Folder => {}
        _ => bail!("expected a new folder, found {found}"),
    }
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        let is_known = files.iter().any(|file| name == **file) || name == PYTHONS_OWN;
        ensure!(
            is_known,
            "expected a new folder, or one with an export to replace, found {} in it",
            Path::new(&name).escaped()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::Destination;
    use crate::export::Contents;

    const FILES: Option<&[&str]> = Some(&["model.py", "weights.npz"]);

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
        let unnamed = Destination::new(&path, FILES).unwrap();
        unnamed.write(&folder("one")).unwrap();
        assert!(!path.exists());
        drop(unnamed);
        assert_eq!(names(here.path()), [] as [&str; 0]);
        for text in ["one", "two"] {
            let destination = Destination::new(&path, FILES).unwrap();
            destination.write(&folder(text)).unwrap();
            destination.name().unwrap();
            assert_eq!(fs::read_to_string(path.join("model.py")).unwrap(), text);
            // Which does not keep it from being replaced.
            fs::create_dir_all(path.join("__pycache__")).unwrap();
        }
        let file = here.path().join("net.rs");
        for text in ["one", "two"] {
            let destination = Destination::new(&file, None).unwrap();
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
        for (name, files, expected) in [
            ("pictures", FILES, "or one with an export to replace, found 1.png in it"),
            ("pictures", None, "expected a new file or one to replace, found a folder"),
            ("file", FILES, "expected a new folder, found a file"),
            ("none/net", FILES, "expected a folder that is there, found none"),
            ("file/net", None, "expected a folder that is there, found a file"),
            ("..", None, "expected a name"),
        ] {
            let error = Destination::new(&here.path().join(name), files).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(expected) && error.starts_with("--out "), "{name}: {error}");
        }
        assert_eq!(names(here.path()), ["file", "pictures"]);
    }
}
