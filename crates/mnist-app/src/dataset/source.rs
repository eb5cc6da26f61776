//! Where images are from: MNIST, which is compiled in, or a folder.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use super::samples::{Part, Samples, size_text};
use super::{class_folders, idx_files, mnist};
use crate::escape::Escape;
use crate::input::Found;
use crate::preprocessing::Form;

/// The parts of a data set, with the same classes and the same shape of images.
pub struct Parts {
    /// What is learned from.
    pub train: Samples,
    /// What choices during training look at, if there is such a part.
    pub validation: Option<Samples>,
    /// What the result is measured on.
    pub test: Samples,
}

/// Where images are from. Prints as its name in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataSource {
    /// The digits of MNIST, which are compiled into the program.
    Mnist,
    /// Four IDX files in a folder, or pictures in folders of their classes below it.
    Folder(PathBuf),
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mnist => f.write_str(mnist::NAME),
            Self::Folder(folder) => f.write_str(&folder.escaped()),
        }
    }
}

impl DataSource {
    /// The folder that the flag `--data` names, or an experiment's key `data`; MNIST if neither
    /// does.
    ///
    /// # Errors
    /// If there is no such folder.
    pub fn of(flag: Option<&Path>, key: Option<&Path>) -> anyhow::Result<Self> {
        let asked = flag.map(|folder| ("--data", folder)).or(key.map(|folder| ("data =", folder)));
        let Some((name, folder)) = asked else { return Ok(Self::Mnist) };
        let found = match Found::at(folder).with_context(|| name.to_owned())? {
            Found::Folder => return Ok(Self::Folder(folder.to_owned())),
            Found::Nothing => "no such folder".to_owned(),
            found => found.to_string(),
        };
        bail!(
            "{name} {}: expected a folder of images, found {found}{}",
            folder.escaped(),
            if flag.is_none() { "; name the folder with --data DIR" } else { "" }
        );
    }

    /// Reads the images and labels of one part.
    ///
    /// # Errors
    /// If a file is missing or not what it should be; the message names it.
    pub fn load(&self, part: Part, form: &Form) -> anyhow::Result<Samples> {
        match self {
            Self::Mnist => mnist::load(part)?.in_form(form),
            Self::Folder(folder) => Samples::load(folder, part, form),
        }
    }

    /// Reads all parts.
    ///
    /// # Errors
    /// As `load_both`.
    pub fn load_parts(&self, names: Option<&[String]>, form: &Form) -> anyhow::Result<Parts> {
        let (train, test) = self.load_both(names, form)?;
        Ok(Parts { train, validation: None, test })
    }

    /// Reads the images and labels for training and those for testing, side by side on the
    /// threads of the current pool. The classes of both are the same: those of `names`, if there
    /// are some; else of IDX files as many as the largest label says, of folders those for
    /// training.
    ///
    /// # Errors
    /// If a file is missing or not what it should be, training and test images differ in shape,
    /// there is a class for testing alone, or a sample is of no class in `names`.
    pub fn load_both(
        &self,
        names: Option<&[String]>,
        form: &Form,
    ) -> anyhow::Result<(Samples, Samples)> {
        let load = |part| self.load(part, form);
        let (train, test) = rayon::join(|| load(Part::Train), || load(Part::Test));
        let (train, test) = (train?, test?);
        let (expected, found) = (train.shape, test.shape);
        ensure!(
            expected == found,
            "{}: expected test images of {}, as those for training are in {}, found {}",
            test.place.images(),
            size_text(expected),
            train.place.images(),
            size_text(found)
        );
        let (train, mut test) = if let Some(names) = names {
            (train.named(names)?, test.named(names)?)
        } else {
            let test = test.relabelled(&train.classes)?;
            (train.relabelled(&test.classes)?, test)
        };
        let learned = train.used();
        test.note_classes_without_images(|label| learned[label]);
        Ok((train, test))
    }
}

impl Samples {
    /// Reads the images and labels of one part: IDX files if there are some, else pictures below a
    /// folder for the part. Their pictures are brought to this form.
    ///
    /// # Errors
    /// If a file is missing or not what it should be; the message names it.
    pub fn load(folder: &Path, part: Part, form: &Form) -> anyhow::Result<Self> {
        let is_idx = idx_files::present(folder, part)? || !class_folders::present(folder)?;
        let mut samples = match is_idx {
            true => idx_files::load(folder, part)?.in_form(form)?,
            false => class_folders::load(folder, part, form)?,
        };
        // What belongs to neither part is told once.
        if part == Part::Train {
            let left_out = if is_idx { idx_files::left_out } else { class_folders::left_out };
            samples.notes.extend(left_out(folder)?.line(folder));
        }
        Ok(samples)
    }
}

/// Reads the images and labels for training and those for testing, the files side by
/// side on the threads of the current pool. The classes of both are the same: of IDX
/// files as many as the largest label says, of folders those for training.
///
/// # Errors
/// If a file is missing or not what it should be, training and test images differ in
/// shape, or there is a class for testing alone.
pub fn load(folder: &Path) -> anyhow::Result<(Samples, Samples)> {
    DataSource::Folder(folder.to_owned()).load_both(None, &Form::default())
}
