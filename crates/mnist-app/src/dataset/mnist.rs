//! MNIST, compiled into the program: its four files, gzipped, 11 MB.
//!
//! So an installed program is one file that works offline from any folder, and its presets cannot
//! run on other bytes than those that the digests in the README were made with. The files are
//! decoded from the program's own image, without a copy of the compressed bytes.

use anyhow::Context;

use super::idx_files::{IMAGE_AXES, LABEL_AXES, samples};
use super::samples::{Part, Place, Samples};
use crate::idx::Contents;

/// Its name in messages.
pub(super) const NAME: &str = "MNIST (built in)";

/// The shape of an image, `(C, H, W)`.
pub(super) const SHAPE: [usize; 3] = [1, 28, 28];

/// A file of `data/mnist`.
macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/mnist/", $name))
    };
}

static TRAIN_IMAGES: &[u8] = file!("train-images-idx3-ubyte.gz");
static TRAIN_LABELS: &[u8] = file!("train-labels-idx1-ubyte.gz");
static TEST_IMAGES: &[u8] = file!("t10k-images-idx3-ubyte.gz");
static TEST_LABELS: &[u8] = file!("t10k-labels-idx1-ubyte.gz");

/// Decodes one part.
///
/// # Errors
/// If there is too little memory.
pub(super) fn load(part: Part) -> anyhow::Result<Samples> {
    let (images, labels) = match part {
        Part::Train | Part::Validation => (TRAIN_IMAGES, TRAIN_LABELS),
        Part::Test => (TEST_IMAGES, TEST_LABELS),
    };
    let images = Contents::of_bytes(images, &IMAGE_AXES).context(NAME)?;
    let labels = Contents::of_bytes(labels, &LABEL_AXES).context(NAME)?;
    samples(images, labels, Place::BuiltIn(NAME))
}
