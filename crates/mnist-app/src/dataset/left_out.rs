//! Files among the data that are not used.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::escape::Escape;
use crate::input::Found;

/// Files and folders that are not used, counted by the reason.
#[derive(Debug, Default)]
pub(super) struct LeftOut(Vec<Group>);

#[derive(Debug)]
struct Group {
    kind: Kind,
    count: usize,
    first: PathBuf,
}

/// Why a file is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Another extension, in lower case; empty if it has none.
    Ending(String),
    /// Hidden: its name or that of a folder above it begins with a dot.
    Hidden,
    /// What systems and other programs leave behind everywhere.
    Clutter,
    /// Below a folder in a class's folder.
    Deeper,
    /// Beside the folders of the classes.
    Loose,
    /// A dangling link.
    Dangling,
    /// A pipe, a device or the like.
    NoFile,
    /// Beside the data, with a name that looks like data.
    Beside,
}

impl Kind {
    fn text(&self, count: usize) -> String {
        let s = if count == 1 { "" } else { "s" };
        match self {
            Self::Ending(ending) if ending.is_empty() => {
                format!("{count} file{s} without an ending ({READ} are read)")
            }
            Self::Ending(ending) => {
                format!("{count} file{s} *.{} ({READ} are read)", ending.escaped())
            }
            Self::Hidden => format!("{count} hidden picture{s}"),
            Self::Clutter => format!("{count} file{s} that other programs keep"),
            Self::Deeper => format!("{count} file{s} in folders below a class"),
            Self::Loose => format!("{count} file{s} beside the folders of the classes"),
            Self::Dangling => format!("{count} dangling link{s}"),
            Self::NoFile => format!("{count} named like an image but not a regular file"),
            Self::Beside => format!("{count} file{s} or folder{s} beside the data"),
        }
    }
}

impl LeftOut {
    pub(super) fn add(&mut self, kind: Kind, path: &Path) {
        self.extend(Self(vec![Group { kind, count: 1, first: path.to_owned() }]));
    }

    /// Adds what another list has.
    pub(super) fn extend(&mut self, other: Self) {
        for Group { kind, count, first } in other.0 {
            match self.0.iter_mut().find(|group| group.kind == kind) {
                Some(group) => group.count += count,
                None => self.0.push(Group { kind, count, first }),
            }
        }
    }

    /// Adds something whose name begins with a dot: a picture, or the pictures in a folder.
    pub(super) fn add_hidden(&mut self, path: &Path, found: Found) -> anyhow::Result<()> {
        if found == Found::Folder {
            return self.add_below(path, &Kind::Hidden);
        }
        if is_picture(path) {
            self.add(Kind::Hidden, path);
        }
        Ok(())
    }

    /// Adds what another program left behind, a file or the files in a folder.
    pub(super) fn add_clutter(&mut self, path: &Path, found: Found) -> anyhow::Result<()> {
        if found == Found::Folder {
            return self.add_below(path, &Kind::Clutter);
        }
        self.add(Kind::Clutter, path);
        Ok(())
    }

    /// Adds the files below a folder that is not used, of a hidden one only the pictures; links are
    /// not followed.
    ///
    /// # Errors
    /// If a folder cannot be read: what is left out would be unknown.
    pub(super) fn add_below(&mut self, folder: &Path, kind: &Kind) -> anyhow::Result<()> {
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let place = || folder.escaped();
            let mut paths = Vec::new();
            for entry in fs::read_dir(&folder).with_context(place)? {
                let entry = entry.with_context(place)?;
                let is_folder = entry.file_type().with_context(|| entry.path().escaped())?.is_dir();
                paths.push((entry.path(), is_folder));
            }
            paths.sort();
            for (path, is_folder) in paths {
                if is_folder {
                    folders.push(path);
                } else if *kind != Kind::Hidden || is_picture(&path) {
                    self.add(kind.clone(), &path);
                }
            }
        }
        Ok(())
    }

    /// All of it in one line, if there is anything.
    pub(super) fn line(&self, folder: &Path) -> Option<String> {
        const MOST: usize = 8;
        let group = |Group { kind, count, first }: &Group| {
            let which = if *count == 1 { "" } else { "the first " };
            format!("{}: {which}{}", kind.text(*count), first.escaped())
        };
        let mut parts: Vec<_> = self.0.iter().take(MOST).map(group).collect();
        let others: usize = self.0.iter().skip(MOST).map(|group| group.count).sum();
        if others > 0 {
            parts.push(format!("{others} others"));
        }
        let place = folder.escaped();
        (!self.0.is_empty()).then(|| format!("{place}: left out {}", parts.join("; ")))
    }
}

/// Whether a file or folder of this name is what systems and other programs leave behind: it is
/// neither a class nor a picture, and nobody misses it.
pub(super) fn is_clutter(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        ".ds_store",
        ".ipynb_checkpoints",
        ".picasa.ini",
        "@eadir",
        "__macosx",
        "desktop.ini",
        "picasa.ini",
        "thumbs.db",
    ];
    NAMES.contains(&&*name.to_lowercase()) || name.starts_with("._")
}

/// The extension of a name, in lower case.
pub(super) fn ending(name: &str) -> String {
    let ending = Path::new(name).extension().unwrap_or_default();
    ending.to_string_lossy().to_lowercase()
}

fn is_picture(path: &Path) -> bool {
    path.file_name().is_some_and(|name| is_of_pictures(&ending(&name.to_string_lossy())))
}

/// The extensions that are read.
const READ: &str = "PNG, JPEG, GIF, BMP, WebP, PNM";

/// Whether this is the extension of a picture that is read.
pub(super) fn is_read(ending: &str) -> bool {
    const ENDINGS: [&str; 12] =
        ["png", "jpg", "jpeg", "jpe", "jfif", "gif", "bmp", "webp", "pbm", "pgm", "ppm", "pnm"];
    ENDINGS.contains(&ending)
}

/// Whether this is the extension of a picture in any format.
pub(super) fn is_of_pictures(ending: &str) -> bool {
    is_read(ending) || ["tif", "tiff", "avif", "heic", "heif"].contains(&ending)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Kind, LeftOut};

    #[test]
    fn a_folder_that_cannot_be_read_is_an_error_that_names_it() {
        let mut left_out = LeftOut::default();
        let error = left_out.add_below(Path::new("nowhere/at all"), &Kind::Deeper).unwrap_err();
        assert_eq!(error.to_string(), "nowhere/at all");
        assert!(left_out.line(Path::new("x")).is_none());
    }
}
