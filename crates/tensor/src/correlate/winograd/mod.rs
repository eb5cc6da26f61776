//! Correlation with 3 × 3 kernels by Winograd's minimal filtering.

pub(crate) mod f4_1d;
pub(crate) mod f4_1d_gradient;
pub(crate) mod f4_2d;
pub(crate) mod f4_2d_gradient;
pub(crate) mod strips;
pub(crate) mod tile_rows;
pub(crate) mod tile_transforms;
mod weights;
