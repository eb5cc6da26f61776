//! Asterism's program: data, presets, training runs, evaluation, command line.
//!
//! [`run`] runs a command line. `train` reads an
//! [`experiment::Experiment`] and a [`dataset`], and leaves a folder behind that is
//! enough to do the same again, to look into what happened, and to go on with the model.

// No conversion silently changes a number.
#![warn(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]

pub mod arrays;
pub mod augmentation;
mod commands;
pub mod console;
pub mod dataset;
pub mod disk;
pub mod escape;
pub mod evaluation;
pub mod experiment;
mod explain;
mod export;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod gzip;
mod html;
pub mod idx;
mod input;
mod kernels;
mod layer_rows;
mod memory;
pub mod model;
mod passes;
mod picture;
mod prediction;
pub mod preprocessing;
pub mod presets;
pub mod remedy;
mod report;
mod run_folder;
mod show;
pub mod signals;
pub mod statistics;
mod threads;
mod train;
pub mod usage;
mod weights_file;
mod width;

use std::ffi::OsString;
use std::time::Instant;

/// Runs a command line; `start` is when the process began.
///
/// # Errors
/// With a [`usage::Usage`] if the command line is wrong; with another error if the command
/// fails.
pub fn run(words: impl IntoIterator<Item = OsString>, start: Instant) -> anyhow::Result<()> {
    commands::run(words, start)
}
