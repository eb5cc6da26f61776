//! The definition of a training run: everything that decides which numbers come out.
//!
//! It is one TOML file, whether built in (see [`crate::presets`]), written by hand, or
//! left behind by a run as `config.toml`.
//!
//! - What a file says: its keys are in `keys` and `networks`, what they may be set to in
//!   `values`; `reading` makes an experiment of a text, by way of `deserializer`.
//! - Where an error stands: `complaint` says what is wrong with a text, `origin` on which line of
//!   which file a setting stands, or which flag has changed it.
//! - What of it decides the numbers that come out: `identity`.
//! - What is built from it, and whether it fits together: `build`.

pub mod build;
mod complaint;
mod data;
mod deserializer;
mod identity;
mod keys;
mod networks;
mod origin;
mod reading;
mod values;
mod weighting;

pub use complaint::ParseError;
pub use data::DataKeys;
pub use keys::{Experiment, Keep, LARGEST_SEED, Precision};
pub(crate) use networks::NetworkNumber;
pub use networks::Networks;
pub(crate) use origin::Origin;
pub(crate) use reading::{MOST_BYTES, absolute, text_of};
pub(crate) use values::{ACCURACY, LEARNING_RATE, is_accuracy, is_learning_rate};
pub use weighting::Weighting;
