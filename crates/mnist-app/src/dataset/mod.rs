//! Images with labels, from four IDX files as MNIST's or from folders of PNG images.

mod classes;
mod digest;
mod fit;
mod idx_files;
mod left_out;
mod png_folder;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use layers::Batch;
use tensor::{Element, image};

use crate::augmentation::Augmenter;
use crate::console::notice;
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
    /// What lies among the data and was not used.
    notes: Vec<String>,
}

/// The files or folders that samples are from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    images: PathBuf,
    labels: PathBuf,
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
    if let Some(names) = names {
        return Ok((train.named(names)?, test.named(names)?));
    }
    let test = test.relabelled(&train.classes)?;
    Ok((train.relabelled(&test.classes)?, test))
}

/// Says on standard error what lies among the data and is not used; first of that, which
/// classes lose all their test images by it.
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
        ensure!(
            folder.is_dir(),
            "{name} {}: expected a folder of images, found {}{}",
            folder.shown(),
            if folder.exists() { "a file" } else { "no such folder" },
            if flag.is_none() { "; name the folder with --data DIR" } else { "" }
        );
        return Ok(folder.to_owned());
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
        let is_idx = idx_files::present(folder, part) || !png_folder::present(folder);
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
        let (digest, notes) = (String::new(), Vec::new());
        let (images, is_named) = (Arc::new(images), false);
        let mut samples = Self { images, labels, shape, classes, is_named, source, digest, notes };
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

    /// The first samples, `limit` of them if there are as many.
    pub fn first(mut self, limit: Option<usize>) -> Self {
        let count = limit.unwrap_or(usize::MAX).min(self.len());
        self.labels.truncate(count);
        let len = count * self.pixels();
        if len < self.images.len() {
            Arc::make_mut(&mut self.images).truncate(len);
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
        image::brightness(self.image(index), input);
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

/// Samples in some order, as a step of training takes them.
#[derive(Clone, Copy, Debug)]
pub struct Pick<'a> {
    /// Where the samples are.
    pub samples: &'a Samples,
    /// Their places there, in the order of the step.
    pub order: &'a [usize],
    /// What deforms the images, and the epoch, of which their deformations depend.
    pub augmenter: Option<(&'a Augmenter, usize)>,
}

impl<T: Element> Batch<T> for Pick<'_> {
    fn gather(&self, first: usize, inputs: &mut [T], targets: &mut [T]) {
        let Samples { classes, .. } = self.samples;
        let inputs = inputs.chunks_exact_mut(self.samples.pixels());
        let pairs = inputs.zip(targets.chunks_exact_mut(classes.count()));
        for (&index, (input, target)) in self.order[first..].iter().zip(pairs) {
            match self.augmenter {
                Some((augmenter, epoch)) => {
                    augmenter.write(self.samples.image(index), (epoch, index), input);
                }
                None => self.samples.write_image(index, input),
            }
            self.samples.write_target(index, target);
        }
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
