use serde::{Deserialize, Serialize};
use tensor::Element;

use crate::layer::Role;
use crate::random::Stream;

/// How parameters are initialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Everything from N(0, 1), biases too, as in the notebook. It saturates tanh and sigmoid
    /// wherever a layer has more than a few inputs.
    StandardNormal,
    /// Weights uniform in `±√(6 / (fan_in + fan_out))`, biases 0 (Glorot and Bengio, 2010): keeps
    /// the variance of activations and gradients across layers with tanh or sigmoid.
    Xavier,
    /// Weights from N(0, 2 / `fan_in`), biases 0 (He et al., 2015): the same for ReLU.
    He,
}

impl Init {
    pub(crate) fn fill<T: Element>(self, role: Role, stream: &mut Stream, parameters: &mut [T]) {
        if let Some(value) = role.constant() {
            return parameters.fill(T::from_f64(value));
        }
        for parameter in parameters {
            *parameter = T::from_f64(match (role, self) {
                (_, Self::StandardNormal) => stream.normal(),
                (Role::Weight { fan_in, fan_out }, Self::Xavier) => {
                    let limit = (6.0 / (fan_in + fan_out) as f64).sqrt();
                    (2.0 * stream.uniform() - 1.0) * limit
                }
                (Role::Weight { fan_in, .. }, Self::He) => {
                    stream.normal() * (2.0 / fan_in as f64).sqrt()
                }
                (_, Self::Xavier | Self::He) => 0.0,
            });
        }
    }
}
