//! The picture that a command is about: one of a model's data, or a picture's file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, ensure};
use tensor::{Element, image};

use super::{Model, ModelData};
use crate::dataset::{Part, Samples};
use crate::escape::Escape;
use crate::input::is_there;
use crate::preprocessing::{Raster, Resizer};

/// Which picture, as it is written on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PictureChoice {
    /// `test:17` or `train:17`: one of the data, counted from 0.
    Sample(Part, usize),
    /// The file of a picture.
    File(PathBuf),
}

/// A picture for a model's networks.
#[derive(Clone, Debug)]
pub(crate) struct ChosenPicture {
    /// In words, escaped: `test image 17`, or the file.
    pub(crate) name: String,
    /// `(C, H, W)`.
    pub(crate) shape: [usize; 3],
    /// Its pixels, `(C, H, W)`.
    pub(crate) pixels: Vec<u8>,
    /// Its class, in the order of the model's, if it is known.
    pub(crate) label: Option<u8>,
    /// Messages about the data, a line each.
    pub(crate) notes: Vec<String>,
}

/// What [`PictureChoice`] is read from.
pub(crate) const EXPECTED: &str =
    "test:N, validation:N or train:N, counted from 0, or a picture's file";

impl FromStr for PictureChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = |(name, number): (&str, &str)| match name {
            "test" => Some((Part::Test, number.parse())),
            "validation" => Some((Part::Validation, number.parse())),
            "train" => Some((Part::Train, number.parse())),
            _ => None,
        };
        match text.split_once(':').and_then(part) {
            Some((part, Ok(number))) => Ok(Self::Sample(part, number)),
            Some((_, Err(_))) => Err(EXPECTED.into()),
            None if text.is_empty() => Err(EXPECTED.into()),
            None => Ok(Self::File(text.into())),
        }
    }
}

impl fmt::Display for PictureChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sample(Part::Train, index) => write!(f, "train:{index}"),
            Self::Sample(Part::Validation, index) => write!(f, "validation:{index}"),
            Self::Sample(Part::Test, index) => write!(f, "test:{index}"),
            Self::File(file) => f.write_str(&file.escaped()),
        }
    }
}

impl PictureChoice {
    /// The picture, for this model; `data` names other data than the model's own.
    ///
    /// # Errors
    /// If there is no such picture, or the model does not take it.
    pub(crate) fn read(&self, model: &Model, data: Option<&Path>) -> anyhow::Result<ChosenPicture> {
        match self {
            Self::Sample(part, index) => Self::of_data(model, (*part, *index), data),
            Self::File(file) => self.of_file(model, file),
        }
    }

    fn of_data(
        model: &Model,
        (part, index): (Part, usize),
        data: Option<&Path>,
    ) -> anyhow::Result<ChosenPicture> {
        let found = ModelData::of(std::slice::from_ref(model), part, (data, None))?;
        let picture = ChosenPicture::of_sample((part, index), &found.samples[0])?;
        Ok(ChosenPicture { notes: found.messages(), ..picture })
    }

    fn of_file(&self, model: &Model, file: &Path) -> anyhow::Result<ChosenPicture> {
        ensure!(is_there(file), "{self}: expected {EXPECTED}, found nothing of that name");
        let preprocessing = model.preprocessing()?;
        let shape = preprocessing.shape();
        let mut pixels = vec![0; shape.iter().product()];
        let mut read = || {
            let raster = Raster::decode(&Raster::bytes(file)?)?;
            preprocessing.apply(raster, &mut pixels, &mut Resizer::default())
        };
        read().with_context(|| self.to_string())?;
        let notes = model.notes();
        Ok(ChosenPicture { name: self.to_string(), shape, pixels, label: None, notes })
    }
}

impl ChosenPicture {
    /// One of the samples that a model was given; without messages about them.
    ///
    /// # Errors
    /// If there are fewer.
    pub(crate) fn of_sample(
        (part, index): (Part, usize),
        samples: &Samples,
    ) -> anyhow::Result<Self> {
        let kind = part.words();
        ensure!(
            index < samples.len(),
            "{}: expected a {kind} image from 0 to {}, found {index}",
            PictureChoice::Sample(part, index),
            samples.len() - 1
        );
        Ok(Self {
            name: format!("{kind} image {index}"),
            shape: samples.shape(),
            pixels: samples.image(index).to_vec(),
            label: Some(samples.labels()[index]),
            notes: Vec::new(),
        })
    }

    /// Its numbers from 0 to 1, as networks take them.
    pub(crate) fn input<T: Element>(&self) -> Vec<T> {
        let mut input = vec![T::ZERO; self.pixels.len()];
        image::u8_to_unit(&self.pixels, &mut input);
        input
    }
}

#[cfg(test)]
mod tests {
    use super::PictureChoice;
    use crate::dataset::Part;

    #[test]
    fn a_place_in_the_data_is_told_from_a_file() {
        for (text, expected) in [
            ("test:17", PictureChoice::Sample(Part::Test, 17)),
            ("train:0", PictureChoice::Sample(Part::Train, 0)),
            ("digit.png", PictureChoice::File("digit.png".into())),
            ("./test:1", PictureChoice::File("./test:1".into())),
        ] {
            let found: PictureChoice = text.parse().unwrap();
            assert_eq!((found.to_string(), found), (text.to_owned(), expected));
        }
        for wrong in ["test:", "test:-1", "train:1.5", "test:x", ""] {
            assert!(wrong.parse::<PictureChoice>().is_err(), "{wrong}");
        }
    }
}
