//! Every layer, loss, optimizer and schedule beyond those of the notebook: the numbers
//! of PyTorch, gradients that finite differences confirm, and runs that go on where they
//! were left.

mod building;
mod empty;
// The reader of `crates/tensor`, on this crate's files.
#[path = "../../../tensor/tests/it/fixtures.rs"]
mod fixtures;
mod gradients;
mod optimizers;
mod pooled;
mod pytorch;
#[path = "../it/samples.rs"]
#[allow(dead_code)]
mod samples;
mod stateful;
