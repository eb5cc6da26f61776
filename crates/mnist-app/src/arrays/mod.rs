//! Pictures and labels as arrays of numbers, in one file: `.npz` archives and tables in CSV.
//!
//! The readers are pure: they get what is to be read, and return it with notes on how it was
//! understood, which the caller tells. Files are named by the caller.

pub mod csv;
mod kind;
mod labels;
mod npy;
pub mod npz;

use std::fmt::Display;

use anyhow::ensure;

use crate::dataset::size_text;

pub(crate) use kind::Kind;
pub use labels::Labels;

/// Pictures of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pictures {
    /// Channels, height and width of a picture.
    pub shape: [usize; 3],
    /// All pixels, `(N, C, H, W)`.
    pub planes: Vec<u8>,
}

impl Pictures {
    /// How many pictures there are.
    pub fn len(&self) -> usize {
        self.planes.len() / self.shape.iter().product::<usize>().max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.planes.is_empty()
    }
}

/// Pictures with what they show.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// The pictures.
    pub pictures: Pictures,
    /// As many as there are pictures, or none at all.
    pub labels: Option<Labels>,
    /// How the file was understood, where it could be understood in another way; a line each.
    pub notes: Vec<String>,
}

/// The most numbers of a picture.
const MOST_NUMBERS: usize = 1 << 26;

/// Checks that a picture of this shape, `(C, H, W)`, is not implausibly large.
fn check_size(shape: [usize; 3]) -> anyhow::Result<()> {
    let numbers = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    ensure!(
        numbers.is_some_and(|numbers| numbers <= MOST_NUMBERS),
        "expected pictures of at most {MOST_NUMBERS} numbers, found some of {}",
        size_text(shape)
    );
    Ok(())
}

/// Whether all bytes are 0 or 1, and not all 0, so that 1 may mean white.
fn is_zeros_and_ones(bytes: &[u8]) -> bool {
    bytes.iter().max() == Some(&1)
}

/// Brings pictures `(N, H, W, C)` to planes `(N, C, H, W)`.
fn separate_channels(pixels: &mut [u8], [channels, height, width]: [usize; 3]) {
    let plane = height * width;
    if channels == 1 || plane == 0 {
        return;
    }
    let mut copy = vec![0; channels * plane];
    for picture in pixels.chunks_exact_mut(channels * plane) {
        copy.copy_from_slice(picture);
        for (channel, plane) in picture.chunks_exact_mut(plane).enumerate() {
            let own = copy[channel..].iter().step_by(channels);
            plane.iter_mut().zip(own).for_each(|(to, &from)| *to = from);
        }
    }
}

/// Some of the items, and how many more there are.
fn some_of<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    const MOST: usize = 8;
    let mut items = items.into_iter();
    let mut text: Vec<_> = items.by_ref().take(MOST).map(|item| item.to_string()).collect();
    let more = items.count();
    if more > 0 {
        text.push(format!("{more} more"));
    }
    text.join(", ")
}
