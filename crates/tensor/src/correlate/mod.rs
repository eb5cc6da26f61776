//! Correlation of a batch of inputs `(N, C, H, W)` with kernels `(D, C/groups, KH, KW)`,
//! and its two gradients.
//!
//! [`plan`] chooses the algorithms, by the cost models in [`cost`]. The choice of arithmetic
//! affects rounding, so it depends on geometry and element alone; the schedule changes no bit.
//!
//! | output, or gradient of the input | arithmetic | file |
//! |---|---|---|
//! | `f32`, 3 × 3, stride 1, one group, and tiles cost a fifth less than the direct sum | F(4 × 4, 3 × 3) | `winograd/f4_2d.rs` |
//! | the same, fewer than 16 channels or kernels, and columns cost a fifth less | F(4, 3) | `winograd/f4_1d.rs` |
//! | all else | direct sum | `direct/forward.rs`, `direct/input_gradient.rs` |
//!
//! | gradient of the kernels | arithmetic | file |
//! |---|---|---|
//! | as above, with cost models of its own | F(4 × 4, 3 × 3) | `winograd/f4_2d_gradient.rs` |
//! | | F(4, 3) | `winograd/f4_1d_gradient.rs` |
//! | else kernels that fill vectors, in one group | outer products | `direct/outer_products.rs` |
//! | the other kernels | dot products | `direct/dot_products.rs` |
//!
//! | direct sum | schedule |
//! |---|---|
//! | at least eight samples that fill the lanes, and wasted positions of a single sample cost more than a transposition | batch in lanes: `direct/batch_in_lanes.rs` |
//! | rows of whole vectors have no more positions than one line of all rows | rows, with vectors of 512 bits if they waste no more than those of 256 |
//! | else | a line |
//!
//! [`run`] gives each algorithm its [`task`], which divides it among threads. Memory layouts are in
//! [`layout`].

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
