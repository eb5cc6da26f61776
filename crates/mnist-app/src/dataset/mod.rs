//! Images with labels, from four IDX files as MNIST's or from folders of PNG images.

mod classes;
mod digest;
mod fit;
mod idx_files;
mod left_out;
mod png_folder;
mod png_image;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use layers::Dataset;
use tensor::{Element, image};

use crate::augmentation::Augmenter;
use crate::console::notice;
use crate::input::Found;
use crate::printable::Shown;

pub use classes::Classes;
pub use digest::Digests;
pub use fit::Misfit;

/// The samples to learn from or those to be tested on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `train-images…` and `train-labels…`, or the folder `train`.
    Train,
    /// `t10k-images…` and `t10k-labels…`, or the folder `test`.
    Test,
}

/// Images, grey or in colours, with the classes of what they show. Pixels are kept as
/// bytes and converted when a batch is gathered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// `(N, C, H, W)`, shared by samples that differ in their labels alone.
    images: Arc<Vec<u8>>,
    labels: Vec<u8>,
    /// `(C, H, W)`.
    shape: [usize; 3],
    classes: Classes,
    /// Whether an experiment has given the classes their names.
    is_named: bool,
    source: Source,
    /// Of all samples as they were read.
    digest: String,
    /// Names under which images of a class could have been, but were none, and the reasons.
    without_images: Vec<(String, String)>,
    /// What lies among the data and was not used.
    notes: Vec<String>,
}

/// So many of several things are told one by one.
const MOST_TOLD: usize = 20;

/// The files or folders that samples are from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    images: PathBuf,
    labels: PathBuf,
}

impl Source {
    /// Whether it is a folder of PNG images.
    fn is_folder(&self) -> bool {
        self.images == self.labels
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
    load_named(folder, None)
}

/// The same of data whose classes have these names, if there are some.
///
/// # Errors
/// As of [`load`], and if a sample is of none of these classes.
pub fn load_named(folder: &Path, names: Option<&[String]>) -> anyhow::Result<(Samples, Samples)> {
    let (train, test) =
        rayon::join(|| Samples::load(folder, Part::Train), || Samples::load(folder, Part::Test));
    let (train, test) = (train?, test?);
    let (expected, found) = (train.shape, test.shape);
    ensure!(
        expected == found,
        "{}: expected test images of {}, as those for training are in {}, found {}",
        test.source.images.shown(),
        size_text(expected),
        train.source.images.shown(),
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

/// Says on standard error which classes have no test images, and then what lies among the data
/// and is not used.
pub(crate) fn tell(train: &Samples, test: &Samples) {
    test.notes.iter().chain(&train.notes).for_each(notice);
}

/// What the file of a model that was made of these samples says of them.
pub fn metadata(train: &Samples, test: &Samples) -> Vec<(&'static str, String)> {
    let digests = Digests::new(train, test).metadata();
    digests.into_iter().chain(test.classes.metadata()).collect()
}

/// The folder of the data: the one that the flag `--data` names, or an experiment's key
/// `data`, or `data/mnist` in the current folder or above it, or that of the repository from
/// which the program was built.
///
/// # Errors
/// If there is no such folder.
pub fn folder(flag: Option<&Path>, key: Option<&Path>) -> anyhow::Result<PathBuf> {
    let asked = flag.map(|folder| ("--data", folder)).or(key.map(|folder| ("data =", folder)));
    if let Some((name, folder)) = asked {
        let found = match Found::at(folder).with_context(|| name.to_owned())? {
            Found::Folder => return Ok(folder.to_owned()),
            Found::Nothing => "no such folder".to_owned(),
            found => found.to_string(),
        };
        bail!(
            "{name} {}: expected a folder of images, found {found}{}",
            folder.shown(),
            if flag.is_none() { "; name the folder with --data DIR" } else { "" }
        );
    }
    let current = std::env::current_dir().unwrap_or_default();
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut candidates = current.ancestors().chain([&*built]).map(|at| at.join("data/mnist"));
    candidates.find(|folder| folder.is_dir()).with_context(|| {
        format!(
            "data: expected the folder data/mnist in {} or above it, found none; \
             name the folder with --data DIR",
            current.shown()
        )
    })
}

impl Samples {
    /// Reads the images and labels of one part: IDX files if there are some, else PNG
    /// images below a folder for the part.
    ///
    /// # Errors
    /// If a file is missing or not what it should be; the message names it.
    pub fn load(folder: &Path, part: Part) -> anyhow::Result<Self> {
        let is_idx = idx_files::present(folder, part)? || !png_folder::present(folder)?;
        let mut samples =
            if is_idx { idx_files::load(folder, part)? } else { png_folder::load(folder, part)? };
        // What belongs to neither part is told once.
        if part == Part::Train {
            let left_out = if is_idx { idx_files::left_out } else { png_folder::left_out };
            samples.notes.extend(left_out(folder)?.line(folder));
        }
        Ok(samples)
    }

    fn new(
        (images, labels): (Vec<u8>, Vec<u8>),
        shape: [usize; 3],
        classes: Classes,
        source: Source,
    ) -> Self {
        let (digest, without_images, notes) = (String::new(), Vec::new(), Vec::new());
        let (images, is_named) = (Arc::new(images), false);
        let mut samples = Self {
            images,
            labels,
            shape,
            classes,
            is_named,
            source,
            digest,
            without_images,
            notes,
        };
        samples.digest = digest::of(&samples);
        samples
    }

    /// The SHA-256 of the samples as they were read, all of them.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What lies among the data and was not used, a line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Puts before all other notes which of the classes have no images, but should, as they are
    /// learned; the samples are those for testing.
    pub(crate) fn note_classes_without_images(&mut self, is_learned: impl Fn(usize) -> bool) {
        let used = self.used();
        let missing = (0..used.len()).filter(|&label| !used[label] && is_learned(label));
        let missing: Vec<_> = missing.map(|label| self.classes.name(label)).collect();
        let mut lines: Vec<_> = missing
            .iter()
            .take(MOST_TOLD)
            .map(|name| format!("class {name:?} has no test images: {}", self.reason(name)))
            .collect();
        if missing.len() > MOST_TOLD {
            lines.push(format!("{} more classes have no test images", missing.len() - MOST_TOLD));
        }
        self.notes.splice(0..0, lines);
    }

    /// Why there are no images of a class.
    fn reason(&self, class: &str) -> String {
        let known = self.without_images.iter().find(|(name, _)| name == class);
        match known {
            Some((_, reason)) => reason.clone(),
            None if self.source.is_folder() => {
                format!("{}: no such folder", self.source.images.join(class).shown())
            }
            None => format!("{}: none of its label", self.source.labels.shown()),
        }
    }

    /// Whether a model with these classes has surely learned all of them: a
    /// folder is one only with images to learn from, and a name is given to one on purpose; but
    /// a model may have more outputs than there are labels.
    pub(crate) fn knows_learned_classes(&self) -> bool {
        !self.classes.is_numbered() || self.source.is_folder()
    }

    /// The first samples, `limit` of them if there are as many.
    pub fn first(mut self, limit: Option<usize>) -> Self {
        let count = limit.unwrap_or(usize::MAX).min(self.len());
        self.labels.truncate(count);
        let len = count * self.pixels();
        if len < self.images.len() {
            match Arc::get_mut(&mut self.images) {
                Some(images) => images.truncate(len),
                None => self.images = Arc::new(self.images[..len].to_vec()),
            }
        }
        self
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Height and width of an image.
    pub fn size(&self) -> [usize; 2] {
        let [_, height, width] = self.shape;
        [height, width]
    }

    /// Channels, height and width of an image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The class that each image shows.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// What the labels mean.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// The pixels of an image, `(C, H, W)`.
    pub fn image(&self, index: usize) -> &[u8] {
        &self.images[index * self.pixels()..][..self.pixels()]
    }

    /// Writes an image as numbers from 0 to 1.
    pub fn write_image<T: Element>(&self, index: usize, input: &mut [T]) {
        image::u8_to_unit(self.image(index), input);
    }

    /// Writes what a network should say to an image: 1 for its class, 0 for the others.
    pub fn write_target<T: Element>(&self, index: usize, target: &mut [T]) {
        target.fill(T::ZERO);
        target[usize::from(self.labels[index])] = T::ONE;
    }

    fn pixels(&self) -> usize {
        self.shape.iter().product()
    }
}

impl<T: Element> Dataset<T> for Samples {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn write(&self, index: usize, input: &mut [T], target: &mut [T]) {
        self.write_image(index, input);
        self.write_target(index, target);
    }
}

/// Samples as an epoch of training meets them: their images deformed, if there is an augmenter.
#[derive(Clone, Copy, Debug)]
pub struct Augmented<'a> {
    /// The samples.
    pub samples: &'a Samples,
    /// What deforms their images.
    pub augmenter: Option<&'a Augmenter>,
    /// Of which the deformations depend.
    pub epoch: usize,
}

impl<T: Element> Dataset<T> for Augmented<'_> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn write(&self, index: usize, input: &mut [T], target: &mut [T]) {
        let Self { samples, augmenter, epoch } = self;
        match augmenter {
            Some(augmenter) => augmenter.write(samples.image(index), (*epoch, index), input),
            None => samples.write_image(index, input),
        }
        samples.write_target(index, target);
    }
}

/// A shape `(C, H, W)` in words.
fn size_text([channels, height, width]: [usize; 3]) -> String {
    let kind = match channels {
        1 => "grey",
        _ => "colour",
    };
    format!("{height}×{width} {kind} pixels")
}
