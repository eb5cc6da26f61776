//! Correlation of a batch of inputs `(N, C, H, W)` with kernels `(D, C/groups, KH, KW)`,
//! and its two gradients.

mod column_sums;
mod columns;
mod columns_gradient;
mod filtering;
mod forward;
mod geometry;
mod input_gradient;
mod kernel_gradient;
mod not_finite;
mod outer_products;
mod padded;
mod phase;
mod samples;
mod tile_transforms;
mod winograd;
mod winograd_gradient;

pub use forward::Bias;
pub use geometry::{Correlation, Sweep};
