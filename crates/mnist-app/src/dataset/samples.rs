//! Images with their classes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use layers::{Dataset, sha256_of};
use rayon::prelude::*;
use tensor::Element;

use super::classes::Classes;
use super::parts::fingerprint;
use super::source::Wanted;
use crate::escape::Escape;
use crate::input::reserve;
use crate::preprocessing::{Normalization, Normalize, Preprocessing, Raster, Resizer};

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `train-images…` and `train-labels…`, or the folder `train`.
    Train,
    /// `validation-images…` and `validation-labels…`, or the folder `validation`.
    Validation,
    /// `t10k-images…` and `t10k-labels…`, or the folder `test`.
    Test,
}

impl Part {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// What its folder or table may be called, in small letters.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Train => &["train", "training"],
            Self::Validation => &["validation", "val", "valid"],
            Self::Test => &["test", "testing"],
        }
    }

    /// `training`, `validation` or `test`, as in `test image`.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Train => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Images, grey or in colour, with their classes. Pixels are kept as bytes and converted when a
/// batch is gathered.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// `(N, C, H, W)`, shared by samples that differ only in their labels, and by the parts of one
    /// set.
    pub(super) images: Arc<Vec<u8>>,
    /// The place of the first of these samples among the images.
    pub(super) start: usize,
    pub(super) labels: Vec<u8>,
    /// `(C, H, W)`.
    pub(super) shape: [usize; 3],
    /// How the bytes become numbers.
    pub(super) normalization: Normalization,
    pub(super) classes: Classes,
    /// Whether an experiment has given the classes their names.
    pub(super) is_named: bool,
    pub(super) place: Place,
    /// The digest of all samples as they were read.
    pub(super) digest: String,
    /// Names that could be classes but have no images, with the reasons.
    pub(super) without_images: Vec<(String, String)>,
    /// Messages about files that were not used.
    pub(super) notes: Vec<String>,
    /// The file of each sample, if each has its own.
    pub(super) files: Vec<PathBuf>,
    /// What decides the part of each sample, if that was asked for.
    pub(super) fingerprints: Vec<u64>,
    /// Whether they are a share of data that have no such part.
    pub(super) is_share: bool,
}

/// How many lines of a kind are printed one by one, before the others are counted.
pub(super) const MOST_TOLD: usize = 20;

/// Where samples are from, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Compiled into the program, by name.
    BuiltIn(&'static str),
    /// A file of images and one of labels.
    Files { images: PathBuf, labels: PathBuf },
    /// A folder of pictures.
    Folder(PathBuf),
}

impl Place {
    pub(super) fn images(&self) -> String {
        match self {
            Self::BuiltIn(name) => (*name).to_owned(),
            Self::Files { images, .. } => images.escaped(),
            Self::Folder(folder) => folder.escaped(),
        }
    }

    pub(super) fn labels(&self) -> String {
        match self {
            Self::Files { labels, .. } => labels.escaped(),
            _ => self.images(),
        }
    }

    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            _ => None,
        }
    }
}

impl Samples {
    pub(super) fn new(
        (images, labels): (Vec<u8>, Vec<u8>),
        shape: [usize; 3],
        classes: Classes,
        place: Place,
    ) -> Self {
        Self {
            images: Arc::new(images),
            start: 0,
            labels,
            shape,
            normalization: Normalization::default(),
            classes,
            is_named: false,
            place,
            digest: String::new(),
            without_images: Vec::new(),
            notes: Vec::new(),
            files: Vec::new(),
            fingerprints: Vec::new(),
            is_share: false,
        }
    }

    /// Images `(N, C, H, W)` whose classes are not known: all have the first label.
    pub(crate) fn unlabelled(images: Vec<u8>, shape: [usize; 3], classes: Classes) -> Self {
        let labels = vec![0; images.len() / shape.iter().product::<usize>().max(1)];
        Self::new((images, labels), shape, classes, Place::Folder(PathBuf::new()))
    }

    /// The same samples in the form that is wanted.
    ///
    /// # Errors
    /// If there is too little memory.
    pub(super) fn in_form(mut self, wanted: &Wanted<'_>) -> anyhow::Result<Self> {
        if wanted.fingerprints {
            let pictures = self.bytes().par_chunks_exact(self.pixels());
            let prints = pictures.map(|planes| fingerprint(&Raster::of_planes(self.shape, planes)));
            self.fingerprints = prints.collect();
        }
        let preprocessing = wanted.form.preprocessing(self.shape);
        if preprocessing == Preprocessing::plain(self.shape) {
            return Ok(self);
        }
        let (before, shape) = (self.pixels(), preprocessing.shape());
        let after: usize = shape.iter().product();
        let mut images = Vec::new();
        reserve(&mut images, self.len().saturating_mul(after))?;
        images.resize(self.len() * after, 0);
        let pairs = images.par_chunks_exact_mut(after).zip(self.bytes().par_chunks_exact(before));
        pairs.try_for_each_init(Resizer::default, |resizer, (to, from)| {
            preprocessing.apply(Raster::of_planes(self.shape, from), to, resizer).map(drop)
        })?;
        (self.images, self.shape, self.start) = (Arc::new(images), shape, 0);
        Ok(self)
    }

    /// Settles the digest: from now on samples may be limited, and classes named.
    pub(super) fn set_digest(&mut self) {
        self.digest = digest_of(self);
    }

    /// The SHA-256 of all samples as they were read.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Messages about classes without images and files that were not used, a line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Notes, before all other notes, which of the classes that are learned have no images in this
    /// part.
    pub(crate) fn note_classes_without_images(
        &mut self,
        part: Part,
        is_learned: impl Fn(usize) -> bool,
    ) {
        let (used, kind) = (self.used(), part.words());
        let missing = (0..used.len()).filter(|&label| !used[label] && is_learned(label));
        let missing: Vec<_> = missing.map(|label| self.classes.name(label)).collect();
        let mut lines: Vec<_> = missing
            .iter()
            .take(MOST_TOLD)
            .map(|name| format!("class {name:?} has no {kind} images: {}", self.reason(name)))
            .collect();
        if missing.len() > MOST_TOLD {
            lines.push(format!("{} more classes have no {kind} images", missing.len() - MOST_TOLD));
        }
        self.notes.splice(0..0, lines);
    }

    /// Why there are no images of a class.
    fn reason(&self, class: &str) -> String {
        let known = self.without_images.iter().find(|(name, _)| name == class);
        match known {
            Some((_, reason)) => reason.clone(),
            None if self.is_share => "none of its images fell into this share".into(),
            None => match self.place.folder() {
                Some(folder) => format!("{}: no such folder", folder.join(class).escaped()),
                None => format!("{}: no label of this class", self.place.labels()),
            },
        }
    }

    /// Whether a model with these classes is known to have learned all of them. A class folder has
    /// training images, and a class is named on purpose; but with numbered classes a model may have
    /// more outputs than there are labels.
    pub(crate) fn knows_learned_classes(&self) -> bool {
        !self.classes.is_numbered() || self.place.folder().is_some()
    }

    /// The first `limit` samples, or all.
    pub fn first(mut self, limit: Option<usize>) -> Self {
        let count = limit.unwrap_or(usize::MAX).min(self.len());
        self.labels.truncate(count);
        self.files.truncate(count);
        let len = (self.start + count) * self.pixels();
        // Others may hold on to the rest.
        if let Some(images) = Arc::get_mut(&mut self.images) {
            images.truncate(len);
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
        &self.images[(self.start + index) * self.pixels()..][..self.pixels()]
    }

    /// The pixels of all images, `(N, C, H, W)`.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.images[self.start * self.pixels()..][..self.len() * self.pixels()]
    }

    /// What an image is called in messages: its file, or its number in a file of several.
    pub(crate) fn name(&self, index: usize) -> String {
        match self.files.get(index) {
            Some(file) => file.escaped(),
            None => format!("{}, image {index}", self.place.images()),
        }
    }

    /// How the bytes become numbers.
    pub fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    /// The normalisation that an experiment asks for, where these are its training images.
    pub(crate) fn own_normalization(&self, asked: Option<Normalize>) -> Normalization {
        match asked.unwrap_or_default() {
            Normalize::Unit => Normalization::Unit,
            Normalize::Standard => Normalization::standard(self.bytes(), self.shape),
        }
    }

    /// The same samples with one more message, before the others.
    pub(crate) fn noted(mut self, note: Option<String>) -> Self {
        self.notes.splice(0..0, note);
        self
    }

    /// The same samples, normalised like this.
    pub(crate) fn normalized(self, normalization: Normalization) -> Self {
        Self { normalization, ..self }
    }

    /// Writes an image as the numbers that a network takes.
    pub fn write_image<T: Element>(&self, index: usize, input: &mut [T]) {
        self.normalization.write(self.image(index), input);
    }

    /// Writes the target of an image: 1 for its class, 0 for the others.
    pub fn write_target<T: Element>(&self, index: usize, target: &mut [T]) {
        target.fill(T::ZERO);
        target[usize::from(self.labels[index])] = T::ONE;
    }

    /// For each label, whether a sample has it.
    pub(super) fn used(&self) -> Vec<bool> {
        let mut used = vec![false; self.classes.count()];
        self.labels.iter().for_each(|&label| used[usize::from(label)] = true);
        used
    }

    /// How many samples there are of each class.
    pub(crate) fn of_each_class(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.count()];
        self.labels.iter().for_each(|&label| counts[usize::from(label)] += 1);
        counts
    }

    pub(super) fn pixels(&self) -> usize {
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

/// The digest of samples as they were read: the SHA-256 of a line with their channels, height,
/// width and number, of all pixels `(N, C, H, W)`, and of a line with each sample's class name.
fn digest_of(samples: &Samples) -> String {
    let [channels, height, width] = samples.shape;
    let sizes = format!("{channels} {height} {width} {}\n", samples.len());
    let lines: Vec<_> =
        (0..samples.classes.count()).map(|label| samples.classes.name(label) + "\n").collect();
    let names: String = samples.labels.iter().map(|&label| &*lines[usize::from(label)]).collect();
    sha256_of(&[sizes.as_bytes(), samples.bytes(), names.as_bytes()])
}

/// A shape `(C, H, W)` in words.
pub(crate) fn size_text([channels, height, width]: [usize; 3]) -> String {
    let kind = match channels {
        1 => "grey",
        _ => "colour",
    };
    format!("{height}×{width} {kind} pixels")
}
