use crate::builtin::LayerSpec;
use crate::layer_config::Outputs;
use crate::loss::{Domain, Loss};
use crate::spec::NetworkSpec;

impl NetworkSpec {
    /// What is known of the network's outputs for inputs between 0 and 1, and the index of the
    /// layer that determines it; the last layer's if none does.
    pub fn outputs(&self) -> (Outputs, usize) {
        let mut outputs = Outputs::UnitInterval;
        let mut place = self.layers.len().saturating_sub(1);
        for (index, layer) in self.layers.iter().enumerate() {
            if let Some(made) = layer.outputs(outputs) {
                (outputs, place) = (made, index);
            }
        }
        (outputs, place)
    }

    /// The index of the last layer that makes probabilities, if there is one.
    pub fn last_probabilities(&self) -> Option<usize> {
        let makes = |layer: &LayerSpec| layer.outputs(Outputs::Any) == Some(Outputs::Probabilities);
        self.layers.iter().rposition(makes)
    }
}

impl Loss {
    /// Whether the loss can be trained on such outputs: a binary cross-entropy on numbers between 0
    /// and 1, a loss of logits on anything but probabilities, to which it would apply a sigmoid or
    /// softmax a second time.
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
