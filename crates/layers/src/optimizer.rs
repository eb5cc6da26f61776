use serde::{Deserialize, Serialize};
use tensor::{Element, map};

/// How a gradient changes the parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimizer {
    /// Gradient descent: `w ← w − η g`.
    #[default]
    Sgd,
}

impl Optimizer {
    /// Changes some of the parameters.
    pub(crate) fn step<T: Element>(self, rate: f64, gradients: &[T], parameters: &mut [T]) {
        match self {
            Self::Sgd => map::add_scaled(parameters, T::from_f64(-rate), gradients),
        }
    }

    /// Whether a step is `w ← w − η g` and nothing else, so that a layer may take it.
    pub(crate) fn is_plain_descent(self) -> bool {
        matches!(self, Self::Sgd)
    }
}
