//! What is wrong with a training that breaks off, or that does not learn.
//!
//! `step` looks at one step layer by layer, `finding` says what in it is not finite, `diagnosis`
//! makes the error of it, with a likely cause and a remedy; `learning` warns of a network that
//! does not learn.
//!
//! Nothing is recorded on the way: a step that fails leaves the parameters as they were, so that
//! it can be computed again.

mod diagnosis;
mod finding;
mod learning;
mod step;

pub(super) use diagnosis::Diagnosis;
pub(super) use finding::Finding;
pub(super) use learning::{Learning, Progress};
