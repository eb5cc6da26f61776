use serde::{Deserialize, Serialize};
use tensor::{Element, Shape, ShapeError, reduce};

use crate::layer::{Parameter, Role};

/// The bias of a convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bias {
    /// None.
    None,
    /// One number for each kernel, `(D)`.
    #[default]
    PerChannel,
    /// One number for each output, `(D, OH, OW)`.
    Untied,
}

impl Bias {
    /// The bias in a layer's summary.
    pub(crate) fn summary(self) -> &'static str {
        match self {
            Self::None => ", no bias",
            Self::PerChannel => "",
            Self::Untied => ", untied bias",
        }
    }

    /// Checks that there is a bias if `initial` is set.
    pub(crate) fn check(self, layer: &'static str, initial: Option<f64>) -> Result<(), ShapeError> {
        match initial {
            Some(value) if self == Self::None => {
                Err(ShapeError::new(layer, "no initial_bias, as there is no bias", value))
            }
            _ => Ok(()),
        }
    }

    /// The bias of a layer with this output as a parameter, starting at `initial` if that is set.
    pub(crate) fn parameter(self, output: Shape, initial: Option<f64>) -> Option<Parameter> {
        let shape = match self {
            Self::None => return None,
            Self::PerChannel => Shape::from(output.dims()[0]),
            Self::Untied => output,
        };
        let role = initial.map_or(Role::Bias, Role::Constant);
        Some(Parameter::new("bias", shape, role))
    }

    /// The gradient of the bias: that of the output, summed over the elements that share a number.
    pub(crate) fn gradient<T: Element>(
        self,
        output: Shape,
        output_gradient: &[T],
        gradient: &mut [T],
    ) {
        match self {
            Self::None => {}
            Self::PerChannel => {
                let plane = output.len() / gradient.len();
                reduce::sum_planes(output_gradient, plane, gradient);
            }
            Self::Untied => {
                let samples = output_gradient.len() / output.len();
                reduce::sum_pairwise(output_gradient, [samples, output.len()], 0, gradient);
            }
        }
    }
}
