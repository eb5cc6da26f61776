//! MNIST: images of digits with their labels, from a folder of four IDX files.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use layers::{Batch, Network};
use tensor::Element;

use crate::augmentation::Augmenter;
use crate::idx;

/// How many different labels there are.
pub const CLASSES: usize = 10;

/// Which of the two pairs of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `train-images…` and `train-labels…`.
    Train,
    /// `t10k-images…` and `t10k-labels…`.
    Test,
}

/// Images with the digits that they show. Pixels are kept as bytes and converted when a
/// batch is gathered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    images: Vec<u8>,
    labels: Vec<u8>,
    size: [usize; 2],
}

/// Reads the images and labels for training and those for testing, the files side by
/// side on the threads of the current pool.
///
/// # Errors
/// If a file is missing or not what it should be, or training and test images differ in
/// size.
pub fn load(folder: &Path) -> anyhow::Result<(Samples, Samples)> {
    let (train, test) =
        rayon::join(|| Samples::load(folder, Part::Train), || Samples::load(folder, Part::Test));
    let (train, test) = (train?, test?);
    let (expected, found) = (train.size, test.size);
    ensure!(
        expected == found,
        "{}: expected test images of {expected:?} pixels, as those for training are, \
         found {found:?}",
        folder.display()
    );
    Ok((train, test))
}

/// The folder of the data: the one asked for, or `data/mnist` in the current folder or
/// above it, or that of the repository from which the program was built.
///
/// # Errors
/// If there is no such folder.
pub fn folder(asked: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(folder) = asked {
        ensure!(
            folder.is_dir(),
            "--data {}: expected a folder with the four files of MNIST, found {}",
            folder.display(),
            if folder.exists() { "a file" } else { "no such folder" }
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
            current.display()
        )
    })
}

impl Samples {
    /// Reads the images and labels of one part.
    ///
    /// # Errors
    /// If a file is missing or not what it should be; the message names it.
    pub fn load(folder: &Path, part: Part) -> anyhow::Result<Self> {
        let prefix = match part {
            Part::Train => "train",
            Part::Test => "t10k",
        };
        let image_path = find(folder, &format!("{prefix}-images"), "idx3-ubyte")?;
        let label_path = find(folder, &format!("{prefix}-labels"), "idx1-ubyte")?;
        let (images, labels) =
            rayon::join(|| idx::read(&image_path, 3), || idx::read(&label_path, 1));
        let (images, labels) = (images?, labels?);
        let &[count, height, width] = &*images.axes else { unreachable!("read with 3 axes") };
        ensure!(
            !images.bytes.is_empty(),
            "{}: expected at least one image with at least one pixel, found sizes {:?}",
            image_path.display(),
            images.axes
        );
        ensure!(
            labels.bytes.len() == count,
            "{}: expected {count} labels, as there are images in {}, found {}",
            label_path.display(),
            image_path.display(),
            labels.bytes.len()
        );
        if let Some(at) = labels.bytes.iter().position(|&label| usize::from(label) >= CLASSES) {
            bail!(
                "{}: expected labels from 0 to {}, found {} for sample {at}",
                label_path.display(),
                CLASSES - 1,
                labels.bytes[at]
            );
        }
        Ok(Self { images: images.bytes, labels: labels.bytes, size: [height, width] })
    }

    /// The first samples, `limit` of them if there are as many.
    pub fn first(mut self, limit: Option<usize>) -> Self {
        let count = limit.unwrap_or(usize::MAX).min(self.len());
        self.labels.truncate(count);
        self.images.truncate(count * self.pixels());
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
        self.size
    }

    /// The digit that each image shows.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The pixels of an image.
    pub fn image(&self, index: usize) -> &[u8] {
        &self.images[index * self.pixels()..][..self.pixels()]
    }

    /// Writes an image as numbers from 0 to 1.
    pub fn write_image<T: Element>(
        &self,
        index: usize,
        brightness: &Brightness<T>,
        input: &mut [T],
    ) {
        for (number, &pixel) in input.iter_mut().zip(self.image(index)) {
            *number = brightness.0[usize::from(pixel)];
        }
    }

    /// Writes what a network should say to an image: 1 for its digit, 0 for the others.
    pub fn write_target<T: Element>(&self, index: usize, target: &mut [T]) {
        target.fill(T::ZERO);
        target[usize::from(self.labels[index])] = T::ONE;
    }

    /// Whether `network` takes such images and answers with one number for each digit.
    ///
    /// # Errors
    /// If not.
    pub fn fit<T: Element>(&self, network: &Network<T>) -> anyhow::Result<()> {
        let (input, output) = (network.input_shape(), network.output_shape());
        let [height, width] = self.size;
        ensure!(
            input.len() == self.pixels(),
            "network: expected an input of {} numbers, as the images of {height}×{width} pixels \
             have, found {input}",
            self.pixels()
        );
        ensure!(
            output.len() == CLASSES,
            "network: expected an output of ({CLASSES}), one number for each digit, found {output}"
        );
        Ok(())
    }

    fn pixels(&self) -> usize {
        self.size[0] * self.size[1]
    }
}

/// The number for each value of a pixel: divided by 255 in `f32`, then widened, so that
/// both precisions see the same images.
#[derive(Clone, Debug)]
pub struct Brightness<T>([T; 256]);

impl<T: Element> Brightness<T> {
    /// The table.
    pub fn new() -> Self {
        Self(std::array::from_fn(|pixel| T::from_f64(f64::from(pixel as f32 / 255.0))))
    }
}

impl<T: Element> Default for Brightness<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Samples in some order, as a step of training takes them.
#[derive(Clone, Copy, Debug)]
pub struct Pick<'a, T> {
    /// Where the samples are.
    pub samples: &'a Samples,
    /// Their places there, in the order of the step.
    pub order: &'a [usize],
    /// How pixels become numbers.
    pub brightness: &'a Brightness<T>,
    /// What deforms the images, and the epoch, of which their deformations depend.
    pub augmenter: Option<(&'a Augmenter, usize)>,
}

impl<T: Element> Batch<T> for Pick<'_, T> {
    fn gather(&self, first: usize, inputs: &mut [T], targets: &mut [T]) {
        let pairs =
            inputs.chunks_exact_mut(self.samples.pixels()).zip(targets.chunks_exact_mut(CLASSES));
        for (&index, (input, target)) in self.order[first..].iter().zip(pairs) {
            match self.augmenter {
                Some((augmenter, epoch)) => {
                    augmenter.write(self.samples.image(index), (epoch, index), input);
                }
                None => self.samples.write_image(index, self.brightness, input),
            }
            self.samples.write_target(index, target);
        }
    }
}

/// The file of this name, with `-` or `.` before `idx`, plain or gzipped.
fn find(folder: &Path, stem: &str, kind: &str) -> anyhow::Result<PathBuf> {
    let names = ["-", "."].into_iter().flat_map(|separator| {
        ["", ".gz"].map(|suffix| folder.join(format!("{stem}{separator}{kind}{suffix}")))
    });
    names.into_iter().find(|path| path.is_file()).with_context(|| {
        let contents = std::fs::read_dir(folder).map(Iterator::count);
        let found = match contents {
            Ok(0) => "an empty folder".into(),
            Ok(1) => "1 entry with another name".into(),
            Ok(count) => format!("{count} entries with other names"),
            Err(error) => error.to_string(),
        };
        format!(
            "{}: expected the file {stem}-{kind} or {stem}-{kind}.gz, found {found}",
            folder.display()
        )
    })
}
