//! What the crate promises, seen from outside: the numbers of PyTorch, gradients that
//! finite differences confirm, the same bits however a step is spread over memory and
//! threads, runs that go on where they were left, weights that survive a file, and errors that
//! say what was expected.
//!
//! What changes its process, the SIMD level or the counter of allocations, is a binary of its own
//! beside this one.

mod building;
mod descriptions;
mod dropout_and_normalization;
mod empty;
#[path = "../../examples/06-every-layer.rs"]
#[allow(dead_code)]
mod every_layer;
// The reader of `crates/tensor`, on this crate's files.
#[path = "../../../tensor/tests/it/fixtures.rs"]
mod fixtures;
mod gathering;
mod gradients;
mod in_place;
mod initialization;
mod layer_gradients;
mod learning;
mod operations;
mod optimizers;
mod outputs;
mod own_layer;
mod pytorch;
mod pytorch_cases;
mod random_experiments;
mod resuming;
mod samples;
mod training;
mod weights;
mod workspaces;
