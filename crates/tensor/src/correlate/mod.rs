//! Correlation of a batch of inputs `(N, C, H, W)` with kernels `(D, C/groups, KH, KW)`,
//! and its two gradients.
//!
//! Which algorithm computes what: [`plan`] chooses, by what [`cost`] says. Arithmetic is what changes
//! rounding, so geometry and element alone decide it; the schedule changes no bit.
//!
//! | output, or gradient of the input | arithmetic | file |
//! |---|---|---|
//! | `f32`, 3 × 3, stride 1, one group, and tiles take a quarter less | F(4 × 4, 3 × 3) | `winograd/f4_2d.rs` |
//! | the same, fewer than 16 channels or kernels, and columns take a quarter less | F(4, 3) | `winograd/f4_1d.rs` |
//! | all else | the sum as it is written | `direct/forward.rs`, `direct/input_gradient.rs` |
//!
//! | gradient of the kernels | arithmetic | file |
//! |---|---|---|
//! | as above, with measures of its own | F(4 × 4, 3 × 3) | `winograd/f4_2d_gradient.rs` |
//! | | F(4, 3) | `winograd/f4_1d_gradient.rs` |
//! | else kernels that fill vectors, of one group | outer products | `direct/outer_products.rs` |
//! | the others | dot products | `direct/dot_products.rs` |
//!
//! | the sum as it is written | schedule |
//! |---|---|
//! | eight samples or more that fill the lanes, and what a sample alone computes in vain takes longer than to transpose them | batch in lanes: `direct/batch_in_lanes.rs` |
//! | rows of whole vectors have no more positions than one line of all rows | rows, with vectors of 512 bits where they waste no more than those of 256 |
//! | else | a line |
//!
//! [`run`] gives the kernel its [`task`], which knows how it is divided among threads. Where numbers
//! lie: [`layout`].

mod correlation;
mod cost;
mod direct;
mod geometry;
mod layout;
mod not_finite;
mod plan;
mod run;
mod task;
mod winograd;

pub use correlation::Correlation;
pub use geometry::Sweep;
pub use plan::{Arithmetic, KernelArithmetic, Method, Plan, Schedule, VectorLayout};
pub use task::Bias;
