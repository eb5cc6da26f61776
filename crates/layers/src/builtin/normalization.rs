//! What the normalisation layers share.

use crate::layer::{Parameter, Role};

/// PyTorch's ε.
pub(crate) fn epsilon() -> f64 {
    1e-5
}

/// The learned scale and shift of each channel: `weight` and `bias`, `(C)`.
pub(crate) fn scale_and_shift(channels: usize) -> Vec<Parameter> {
    vec![
        Parameter::new("weight", channels, Role::Constant(1.0)),
        Parameter::new("bias", channels, Role::Constant(0.0)),
    ]
}
