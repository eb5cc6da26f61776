//! Files that hold several pictures, and those of which only all of it shows whether they do.

use std::io::BufReader;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, ensure};
use rayon::prelude::*;

use super::pictures::name;
use super::{Picture, Place, STANDARD_INPUT};
use crate::arrays::npz::Archive;
use crate::arrays::{Kind, Pictures, csv};
use crate::idx;
use crate::input::{Found, Input};
use crate::preprocessing::{Preprocessing, Raster, Resizer};

/// Whether a file may hold several pictures, so that it is read by [`Contents::read`].
pub(crate) fn is_alone(file: &Path) -> bool {
    // A pipe can be read but once.
    if file.as_os_str() == STANDARD_INPUT || !matches!(Found::at(file), Ok(Found::File)) {
        return true;
    }
    // What cannot be read is told by whoever reads all of it.
    matches!(Kind::of_file(file), Ok(Some(_)))
}

/// What a file holds.
pub(crate) struct Contents<'a> {
    file: &'a Path,
    held: Held,
    /// How it was understood; a line each.
    pub(crate) notes: Vec<String>,
}

enum Held {
    One(Raster),
    Many(Vec<Pictures>),
}

impl<'a> Contents<'a> {
    /// Reads all of a file, a pipe or standard input.
    ///
    /// # Errors
    /// If it cannot be read, or holds no picture; the message names it.
    pub(crate) fn read(
        file: &'a Path,
        (preprocessing, splits): (&Preprocessing, bool),
    ) -> anyhow::Result<Self> {
        let mut notes = Vec::new();
        let held = Held::read(file, preprocessing, &mut notes).with_context(|| name(file))?;
        ensure!(
            !splits || matches!(held, Held::One(_)),
            "{}: expected a picture for --split, found a file of many; leave out --split",
            name(file)
        );
        let notes = notes.into_iter().map(|note| format!("{}: {note}", name(file))).collect();
        Ok(Self { file, held, notes })
    }

    /// How many pictures there are.
    pub(crate) fn len(&self) -> usize {
        match &self.held {
            Held::One(_) => 1,
            Held::Many(arrays) => arrays.iter().map(Pictures::len).sum(),
        }
    }

    /// Some of the pictures, in the form of a model's inputs; only a file that is a picture can be
    /// split into digits.
    pub(crate) fn pictures(
        &self,
        range: Range<usize>,
        (preprocessing, splits): (&Preprocessing, bool),
    ) -> Vec<anyhow::Result<Vec<Picture>>> {
        let read = |resizer: &mut Resizer, index| {
            let (file, raster) = (self.file, self.raster(index));
            if matches!(self.held, Held::One(_)) {
                let found = Picture::all_of(file, raster, (preprocessing, splits), resizer);
                return found.with_context(|| name(file));
            }
            let picture = Picture::of_raster(file, raster, preprocessing, resizer);
            let picture = picture.with_context(|| format!("{}[{index}]", name(file)))?;
            Ok(vec![Picture { place: Place::OfMany { index }, ..picture }])
        };
        range.into_par_iter().map_init(Resizer::default, read).collect()
    }

    /// The picture of an index below their number.
    fn raster(&self, mut index: usize) -> Raster {
        let arrays = match &self.held {
            Held::One(raster) => return raster.clone(),
            Held::Many(arrays) => arrays,
        };
        let holds = |pictures: &&Pictures| {
            let is_here = index < pictures.len();
            index -= if is_here { 0 } else { pictures.len() };
            is_here
        };
        let array = arrays.iter().find(holds).expect("an index below the number of pictures");
        let len = array.shape.iter().product::<usize>();
        Raster::of_planes(array.shape, &array.planes[index * len..][..len])
    }
}

impl Held {
    fn read(
        file: &Path,
        preprocessing: &Preprocessing,
        notes: &mut Vec<String>,
    ) -> anyhow::Result<Self> {
        let mut input = open(file)?;
        let pictures = match Kind::of(&mut input, file)? {
            None => return Ok(Self::One(Raster::decode(&Raster::bytes_of(input)?)?)),
            Some(Kind::Npz) => return Self::of_archive(input, notes),
            Some(Kind::Csv) => {
                let table = csv::read(BufReader::new(input), Some(preprocessing.size))?;
                notes.extend(table.notes);
                if table.labels.is_some() {
                    notes.push("its labels are not used".into());
                }
                table.pictures
            }
            Some(Kind::Idx) => {
                let contents = idx::Contents::of(input, &[3, 4])?;
                let (_, shape) = contents.pictures()?;
                Pictures { shape, planes: contents.read()?.bytes }
            }
        };
        Ok(Self::Many(vec![pictures]))
    }

    fn of_archive(input: Input, notes: &mut Vec<String>) -> anyhow::Result<Self> {
        let arrays = Archive::open(input)?.pictures(notes)?;
        let (mut first, are_several) = (0, arrays.len() > 1);
        for (name, pictures) in &arrays {
            let next = first + pictures.len();
            if are_several {
                notes.push(format!("pictures {first} to {} are those of {name}", next - 1));
            }
            first = next;
        }
        Ok(Self::Many(arrays.into_iter().map(|(_, pictures)| pictures).collect()))
    }
}

/// Opens a file; of a pipe and of standard input all is read, as they have no place to go back to.
fn open(file: &Path) -> anyhow::Result<Input> {
    if file.as_os_str() == STANDARD_INPUT {
        return Ok(Input::of_bytes(&Raster::bytes_of(std::io::stdin().lock())?));
    }
    match Input::open(file)? {
        input if input.len().is_some() => Ok(input),
        pipe => Ok(Input::of_bytes(&Raster::bytes_of(pipe)?)),
    }
}
