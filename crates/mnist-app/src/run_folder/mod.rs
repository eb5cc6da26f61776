//! The folder of a run: written while it trains, read when it has ended.

mod claim;
mod end;
mod finished;
mod lines;
mod names;
mod writing;

pub(crate) use finished::{FinishedRun, ModelFile, ModelFiles, model_files, named};
pub(crate) use names::{METRICS, MODEL, SUMMARY};
pub(crate) use writing::RunFolder;
