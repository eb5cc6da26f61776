//! The folder of a run: written while it trains, read when it has ended.

mod checkpoints;
mod claim;
mod end;
mod finished;
mod lines;
mod names;
mod writing;

pub(crate) use checkpoints::{Checkpoints, checkpoints_of};
pub(crate) use end::read_bytes as end_of_bytes;
pub(crate) use finished::{
    FinishedRun, ModelFile, ModelFiles, model_files, named, require_regular,
};
pub(crate) use lines::{Lines, Mark};
pub(crate) use names::{CONFIG, FAILURE, METRICS, MODEL, Place, REPORT, SUMMARY, member};
pub(crate) use writing::RunFolder;
