//! The folder of a run: written while it trains, read when it has ended.

mod checkpoints;
mod claim;
mod end;
mod finished;
mod lines;
mod names;
mod reading;
mod writing;

pub(crate) use checkpoints::{Checkpoints, checkpoints_of};
pub(crate) use end::read_bytes as end_of_bytes;
pub(crate) use finished::{FinishedRun, ModelFile, ModelFiles, model_files, named};
pub(crate) use lines::{Lines, Mark};
pub(crate) use names::{CONFIG, FAILURE, METRICS, MODEL, Place, REPORT, SUMMARY, member};
pub(crate) use reading::{config_of, text_of, weights_of};
pub(crate) use writing::RunFolder;
