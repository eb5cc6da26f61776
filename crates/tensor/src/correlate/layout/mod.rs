//! Memory layouts: inputs with their padding in the phases of a stride, transposed planes, rows
//! copied between layouts.

mod lanes;
mod padded;
mod phase;
mod rows;
mod transpose;

pub(crate) use lanes::{MOST_LANES, fits_wide, narrow, wide};
pub(crate) use padded::Padded;
pub(crate) use phase::Phase;
pub(crate) use rows::{Added, add_row, spread};
pub(crate) use transpose::{transpose, transpose_to};
