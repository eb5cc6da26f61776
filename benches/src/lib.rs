//! What Asterism's benchmarks measure, defined once.
//!
//! A [`Workload`] is a piece of work with a name: one pass of a correlation, one
//! training step, one prediction. The criterion benchmarks in `benches/`, the programs
//! `table`, `serve` and `growth` and, under the same names, the peers' scripts in `peers/` all
//! measure these.
//!
//! Each correlation is checked against [`mod@tensor::reference`] before it is timed.

mod correlation;
mod exchange;
mod measure;
mod networks;
pub mod plot;
mod workload;

pub use correlation::{LayerShape, Operands, Pass, check};
pub use exchange::write_exchange;
pub use measure::{Timing, largest_difference, machine, measure, on_threads, thread_counts};
pub use networks::{Images, Model};
pub use tensor::peak;
pub use workload::Workload;
