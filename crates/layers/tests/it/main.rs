//! What the crate promises, seen from outside: the numbers of PyTorch, gradients that
//! finite differences confirm, the same bits however a step is spread over memory and
//! threads, weights that survive a file, and errors that say what was expected.

mod building;
// The reader of `crates/tensor`, on this crate's files.
#[path = "../../../tensor/tests/it/fixtures.rs"]
mod fixtures;
mod gradients;
mod in_place;
mod initialization;
mod nested;
mod pytorch;
mod random_experiments;
mod samples;
mod training;
mod weights;
mod workspaces;
