//! How networks do on samples that they do not learn from.

mod answers;
pub(crate) mod mistakes;
pub(crate) mod report;
pub(crate) mod sheet;
pub mod vote;

pub use answers::{Evaluation, Evaluator, mean};
