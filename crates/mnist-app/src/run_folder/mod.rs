//! The folder of a run: what is in it, while it is written and when the run has ended.

mod claim;
mod end;
mod finished;
mod lines;
mod names;
mod writing;

pub(crate) use finished::{FinishedRun, ModelFile, ModelFiles, model_files, named};
pub(crate) use names::{METRICS, MODEL, SUMMARY};
pub(crate) use writing::RunFolder;
