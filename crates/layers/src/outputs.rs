use crate::loss::{Domain, Loss};
use crate::spec::{LayerSpec, NetworkSpec};

/// What is known of the numbers that a layer gives in training, whatever its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// Nothing.
    Any,
    /// They lie between 0 and 1.
    UnitInterval,
    /// They lie between 0 and 1 since a layer made probabilities of numbers of any size.
    Probabilities,
    /// They are such probabilities, of which a dropout has set some to 0 and made the others
    /// larger.
    DroppedProbabilities,
}

impl LayerSpec {
    /// What is known of the outputs for such inputs.
    fn outputs(&self, inputs: Outputs) -> Outputs {
        match self {
            Self::Sigmoid(_) | Self::Softmax(_) => Outputs::Probabilities,
            // The same numbers, or some of them, or means of them, or less where they are
            // negative.
            Self::Flatten(_)
            | Self::Reshape(_)
            | Self::MaxPool2d(_)
            | Self::AvgPool2d(_)
            | Self::GlobalAvgPool2d(_)
            | Self::Relu(_)
            | Self::LeakyRelu(_)
            | Self::Elu(_) => inputs,
            // Of a number between 0 and 1 another one.
            Self::Tanh(_) | Self::Gelu(_) | Self::Silu(_) | Self::HardSwish(_) => match inputs {
                Outputs::Any | Outputs::DroppedProbabilities => Outputs::Any,
                Outputs::UnitInterval | Outputs::Probabilities => Outputs::UnitInterval,
            },
            // It makes larger what it keeps.
            Self::Dropout(_) => match inputs {
                Outputs::Any | Outputs::UnitInterval => Outputs::Any,
                Outputs::Probabilities | Outputs::DroppedProbabilities => {
                    Outputs::DroppedProbabilities
                }
            },
            Self::Conv2d(_)
            | Self::ConvTranspose2d(_)
            | Self::Dense(_)
            | Self::BatchNorm2d(_)
            | Self::GroupNorm(_)
            | Self::LayerNorm(_)
            | Self::Softplus(_)
            | Self::Residual(_) => Outputs::Any,
        }
    }

    /// Whether it makes the outputs what they are for such inputs, in more than their places.
    fn makes(&self, inputs: Outputs) -> bool {
        match self {
            Self::Flatten(_)
            | Self::Reshape(_)
            | Self::MaxPool2d(_)
            | Self::AvgPool2d(_)
            | Self::GlobalAvgPool2d(_) => false,
            // Numbers of at least 0 stay as they are.
            Self::Relu(_) | Self::LeakyRelu(_) | Self::Elu(_) => inputs == Outputs::Any,
            _ => true,
        }
    }
}

impl NetworkSpec {
    /// What is known of the network's outputs for inputs between 0 and 1, and the place of the
    /// layer that makes them what they are; the last one's if none does.
    pub fn outputs(&self) -> (Outputs, usize) {
        let mut outputs = Outputs::UnitInterval;
        let mut place = self.layers.len().saturating_sub(1);
        for (index, layer) in self.layers.iter().enumerate() {
            if layer.makes(outputs) {
                place = index;
            }
            outputs = layer.outputs(outputs);
        }
        (outputs, place)
    }

    /// The place of the last layer that makes probabilities, if one does.
    pub fn last_probabilities(&self) -> Option<usize> {
        let makes = |layer: &LayerSpec| layer.outputs(Outputs::Any) == Outputs::Probabilities;
        self.layers.iter().rposition(makes)
    }
}

impl Loss {
    /// Whether it is a function of such outputs: a binary cross-entropy of numbers between 0
    /// and 1, a loss of logits of anything but probabilities, which it would make probabilities
    /// of once more.
    pub fn fits(&self, outputs: Outputs) -> bool {
        match self.domain() {
            Domain::Numbers => true,
            Domain::Probabilities => {
                matches!(outputs, Outputs::UnitInterval | Outputs::Probabilities)
            }
            Domain::BinaryLogits | Domain::Logits => {
                matches!(outputs, Outputs::Any | Outputs::UnitInterval)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outputs;
    use crate::{
        AvgPool2d, Conv2d, Dense, Dropout, Flatten, LayerSpec, Loss, NetworkSpec, Relu, Residual,
        Sigmoid, Softmax, Tanh,
    };

    #[test]
    fn what_is_known_of_outputs_and_the_layer_that_makes_them() {
        let any = Outputs::Any;
        let dropped = Outputs::DroppedProbabilities;
        let cases: [(Vec<LayerSpec>, _); 14] = [
            (vec![Flatten.into(), Dense::new(3).into()], (any, 1)),
            (
                vec![Dense::new(3).into(), Sigmoid.into(), Flatten.into()],
                (Outputs::Probabilities, 1),
            ),
            (vec![Dense::new(3).into(), Softmax.into()], (Outputs::Probabilities, 1)),
            (vec![Sigmoid.into(), Dropout::new(0.5).into()], (dropped, 1)),
            (vec![Softmax.into(), Dropout::new(0.5).into(), Relu.into()], (dropped, 1)),
            (vec![Sigmoid.into(), Dropout::new(0.5).into(), Dense::new(3).into()], (any, 2)),
            (vec![Dropout::new(0.5).into()], (any, 0)),
            (vec![Sigmoid.into(), Relu.into()], (Outputs::Probabilities, 0)),
            (
                vec![Sigmoid.into(), AvgPool2d::new(2).into(), Flatten.into()],
                (Outputs::Probabilities, 0),
            ),
            (vec![Sigmoid.into(), Tanh.into()], (Outputs::UnitInterval, 1)),
            (vec![Conv2d::new(3, 3).into(), Relu.into()], (any, 1)),
            (vec![Dense::new(3).into(), Tanh.into()], (any, 1)),
            (vec![Sigmoid.into(), Residual::new().add(Sigmoid).into()], (any, 1)),
            (vec![AvgPool2d::new(2).into(), Flatten.into()], (Outputs::UnitInterval, 1)),
        ];
        for (layers, expected) in cases {
            let spec = NetworkSpec { input: vec![1, 4, 4], layers };
            assert_eq!(spec.outputs(), expected, "{spec:?}");
        }
    }

    #[test]
    fn losses_fit_what_they_are_functions_of() {
        let (any, dropped) = (Outputs::Any, Outputs::DroppedProbabilities);
        let all = [any, Outputs::UnitInterval, Outputs::Probabilities, dropped];
        for (loss, expected) in [
            (Loss::mean_squared_error(), [true, true, true, true]),
            (Loss::binary_cross_entropy(), [false, true, true, false]),
            (Loss::binary_cross_entropy_with_logits(), [true, true, false, false]),
            (Loss::softmax_cross_entropy(), [true, true, false, false]),
        ] {
            assert_eq!(all.map(|outputs| loss.fits(outputs)), expected, "{loss:?}");
        }
    }
}
