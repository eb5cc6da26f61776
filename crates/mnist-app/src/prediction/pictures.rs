//! The pictures that a command line names.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::escape::Escape;
use crate::input::Found;
use crate::preprocessing::{Found as Seen, Preprocessing, Raster, Resizer};

/// The name of standard input.
pub(crate) const STANDARD_INPUT: &str = "-";

/// The place of a picture in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The file is the picture.
    Alone,
    /// One of several digits of the picture that the file is, in a line of them; both from 0.
    Digit { index: usize, line: usize },
    /// One of the pictures in a file of many, from 0.
    OfMany { index: usize },
}

impl Place {
    /// Its number in the file, from 0.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Alone => 0,
            Self::Digit { index, .. } | Self::OfMany { index } => index,
        }
    }
}

/// A picture in the form of a model's inputs.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// Its file, as the command line names it or as it is found below a folder.
    pub(crate) file: String,
    /// Its place in the file.
    pub(crate) place: Place,
    /// Its pixels, `(C, H, W)`.
    pub(crate) planes: Vec<u8>,
    /// Why an answer to it says nothing.
    pub(crate) warning: Option<String>,
}

/// The file itself; or, of a folder, the files in it and below it in the order of their names.
/// Those that are hidden, and what is no file, are left out and counted in a note.
///
/// # Errors
/// If there is nothing of this name, or a folder cannot be read.
pub(crate) fn listed(
    path: &Path,
    (notes, errors): (&mut Vec<String>, &mut Vec<anyhow::Error>),
) -> anyhow::Result<Vec<PathBuf>> {
    if path.as_os_str() == STANDARD_INPUT {
        return Ok(vec![path.to_owned()]);
    }
    let place = path.escaped();
    match Found::at(path)? {
        Found::Folder => {}
        Found::Nothing => bail!("{place}: expected a picture or a folder of pictures, found none"),
        _ => return Ok(vec![path.to_owned()]),
    }
    let (mut files, mut hidden, mut others) = (Vec::new(), 0_usize, 0_usize);
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder).with_context(|| folder.escaped()) {
            Ok(entries) => entries,
            // The others are answered.
            Err(error) if folder != path => {
                errors.push(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry.with_context(|| folder.escaped())?;
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            let kind = entry.file_type().with_context(|| entry.path().escaped())?;
            match Found::at(&entry.path())? {
                _ if is_hidden || entry.file_name() == "Thumbs.db" => hidden += 1,
                // A linked folder may contain the folder that it is in.
                Found::Folder if kind.is_symlink() => others += 1,
                Found::Folder => folders.push(entry.path()),
                Found::File => files.push(entry.path()),
                _ => others += 1,
            }
        }
    }
    files.sort();
    for (count, what) in [(hidden, "hidden"), (others, "neither files nor folders of their own")] {
        if count > 0 {
            notes.push(format!("{place}: left out {count} of its entries, {what}"));
        }
    }
    ensure!(!files.is_empty(), "{place}: expected pictures, found a folder without files");
    Ok(files)
}

impl Picture {
    /// Reads and decodes a file for a model with this preprocessing: one picture, or, if it is split,
    /// one of each digit in it.
    ///
    /// # Errors
    /// If it cannot be read, or is no picture; the message names it.
    pub(crate) fn read(
        file: &Path,
        how: (&Preprocessing, bool),
        resizer: &mut Resizer,
    ) -> anyhow::Result<Vec<Self>> {
        let raster = Raster::bytes(file).and_then(|bytes| Raster::decode(&bytes));
        let found = raster.and_then(|raster| Self::all_of(file, raster, how, resizer));
        found.with_context(|| name(file))
    }

    /// The picture that a file is, or, if it is split, one of each digit in it.
    pub(super) fn all_of(
        file: &Path,
        raster: Raster,
        (preprocessing, splits): (&Preprocessing, bool),
        resizer: &mut Resizer,
    ) -> anyhow::Result<Vec<Self>> {
        if splits {
            let digits = Self::split(file, raster.clone(), preprocessing, resizer)?;
            if !digits.is_empty() {
                return Ok(digits);
            }
        }
        Ok(vec![Self::of_raster(file, raster, preprocessing, resizer)?])
    }

    pub(super) fn of_raster(
        file: &Path,
        raster: Raster,
        preprocessing: &Preprocessing,
        resizer: &mut Resizer,
    ) -> anyhow::Result<Self> {
        let mut planes = vec![0; preprocessing.shape().iter().product()];
        let found = preprocessing.apply(raster, &mut planes, resizer)?;
        let [_, height, width] = preprocessing.shape();
        let is_plain = |plane: &[u8]| plane.iter().all(|&byte| byte == plane[0]);
        let warning = match found {
            Some(Seen::Empty) => Some("an empty picture: nothing is on its ground".to_owned()),
            Some(Seen::Several(count)) => {
                Some(format!("{count} shapes in the picture; --split answers each"))
            }
            Some(Seen::AsItIs | Seen::One) => None,
            None if planes.chunks_exact(height * width).all(is_plain) => {
                Some("an empty picture: all of it has one colour".to_owned())
            }
            None => None,
        };
        let file = file.to_string_lossy().into_owned();
        Ok(Self { file, place: Place::Alone, planes, warning })
    }

    /// One of each digit; none of an empty picture.
    fn split(
        file: &Path,
        raster: Raster,
        preprocessing: &Preprocessing,
        resizer: &mut Resizer,
    ) -> anyhow::Result<Vec<Self>> {
        let lines = preprocessing.split(raster, resizer)?;
        let is_alone = lines.iter().map(Vec::len).sum::<usize>() == 1;
        let digits = lines
            .into_iter()
            .enumerate()
            .flat_map(|(line, digits)| digits.into_iter().map(move |planes| (line, planes)));
        let picture = |(index, (line, planes))| Self {
            file: file.to_string_lossy().into_owned(),
            place: if is_alone { Place::Alone } else { Place::Digit { index, line } },
            planes,
            warning: None,
        };
        Ok(digits.enumerate().map(picture).collect())
    }
}

/// A file's name in messages.
pub(super) fn name(file: &Path) -> String {
    match file.as_os_str() == STANDARD_INPUT {
        true => "standard input".to_owned(),
        false => file.escaped(),
    }
}
