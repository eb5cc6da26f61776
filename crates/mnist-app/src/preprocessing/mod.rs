//! How a picture becomes an input: one preprocessing, kept in the model, and used by training,
//! evaluation and prediction alike.
//!
//! `raster` is a picture as it was decoded, and `settings` what may be chosen. The steps come in
//! one order: what the file says of its orientation (where it is decoded), transposition, the
//! background behind transparent pixels, grey or colour, a digit's form, the size, and inversion.

// What becomes a byte is a mean of bytes, and sizes are bounded before.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod apply;
mod decode;
mod digit;
mod form;
mod jpeg;
mod normalization;
mod png_image;
mod raster;
mod settings;

use serde::{Deserialize, Serialize};

pub use apply::Resizer;
pub use digit::Found;
pub use form::Form;
pub use normalization::Normalization;
pub use raster::Raster;
pub use settings::{Background, Broken, Colour, Fit, Invert, Normalize, Style};

/// What is done with each picture, whatever it is from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Height and width of an input.
    pub size: [usize; 2],
    /// Its channels.
    pub colour: Colour,
    /// How a picture of another size comes to this one.
    #[serde(default)]
    pub fit: Fit,
    /// What is behind transparent pixels.
    #[serde(default)]
    pub background: Background,
    /// Whether light and dark change places.
    #[serde(default)]
    pub invert: Invert,
    /// Whether rows and columns change places.
    #[serde(default)]
    pub transpose: bool,
    /// What a picture shows.
    #[serde(default)]
    pub style: Style,
    /// How bytes become numbers.
    #[serde(default)]
    pub normalization: Normalization,
}

impl Preprocessing {
    /// That of pictures of this shape, `(C, H, W)`, which are taken as they are.
    pub fn plain([channels, height, width]: [usize; 3]) -> Self {
        Self {
            size: [height, width],
            colour: if channels == 1 { Colour::Grey } else { Colour::Rgb },
            fit: Fit::default(),
            background: Background::default(),
            invert: Invert::default(),
            transpose: false,
            style: Style::default(),
            normalization: Normalization::default(),
        }
    }

    /// The shape of an input, `(C, H, W)`.
    pub fn shape(&self) -> [usize; 3] {
        let [height, width] = self.size;
        [self.colour.channels(), height, width]
    }
}
