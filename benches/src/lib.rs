//! What Asterism's benchmarks measure, defined once.
//!
//! A [`Workload`] is a piece of work with a name: one pass of a correlation, one training step, one
//! prediction. The criterion benchmarks in `benches/`, the programs `table`, `serve` and `growth`
//! and, under the same names, the peers' scripts in `peers/` measure these.
//!
//! Each correlation is checked against [`mod@tensor::reference`] before it is timed.

mod correlation;
mod measure;
mod networks;
mod peer_fixtures;
pub mod plot;
mod workload;

pub use correlation::{LayerShape, Operands, Pass, check};
pub use measure::{Timing, largest_difference, machine, measure, on_threads, thread_counts};
pub use networks::{Images, Model};
pub use peer_fixtures::write_peer_fixtures;
pub use tensor::peak;
pub use workload::Workload;
