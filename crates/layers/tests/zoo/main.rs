//! Every layer, loss, optimizer and schedule beyond those of the notebook: the numbers
//! of PyTorch, gradients that finite differences confirm, and runs that go on where they
//! were left.

mod building;
mod empty;
#[path = "../../examples/06-every-layer.rs"]
#[allow(dead_code)]
mod every_layer;
// The reader of `crates/tensor`, on this crate's files.
#[path = "../../../tensor/tests/it/fixtures.rs"]
mod fixtures;
mod gradients;
mod optimizers;
mod outputs;
mod own_layer;
mod pooled;
mod pytorch;
#[path = "../it/samples.rs"]
#[allow(dead_code)]
mod samples;
mod stateful;
