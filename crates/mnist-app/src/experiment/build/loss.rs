//! Whether a loss suits the outputs of a network.

use layers::{Domain, Loss, Network, Outputs};
use tensor::Element;

/// Why a loss does not suit the outputs of a network.
pub(crate) struct RefusedLoss {
    /// The layer that is to blame; none if it is the loss itself.
    pub(super) layer: Option<usize>,
    /// What was expected and found.
    pub(crate) complaint: String,
    pub(super) remedy: String,
}

/// Whether a loss suits the outputs of a network.
pub(crate) fn refuse_loss<T: Element>(loss: &Loss, network: &Network<T>) -> Option<RefusedLoss> {
    let spec = network.spec();
    let (outputs, layer) = spec.outputs();
    let (key, count) = (loss.key(), network.output_shape().len());
    let weights = loss.class_weights().map(|weights| weights.as_slice().len());
    if let Some(weights) = weights.filter(|&weights| weights != count) {
        let complaint = format!(
            "expected {count} class_weights for the loss {key}, one for each output, found {weights}"
        );
        return Some(RefusedLoss { layer: None, complaint, remedy: "name one for each".into() });
    }
    if loss.fits(outputs) {
        return None;
    }
    let named = |layer: usize| format!("layer {layer} ({})", spec.layers[layer].summary());
    let is_dropped = outputs == Outputs::DroppedProbabilities;
    if loss.domain() == Domain::Probabilities {
        let complaint = format!(
            "expected outputs between 0 and 1 for the loss {key}, found {}, which does not keep \
             them there",
            named(layer)
        );
        let remedy = match is_dropped {
            true => "leave that layer out, or end with a sigmoid".into(),
            false => format!(
                "choose loss = {:?}, or end with a sigmoid",
                Loss::binary_cross_entropy_with_logits().key()
            ),
        };
        return Some(RefusedLoss { layer: Some(layer), complaint, remedy });
    }
    let layer = spec.last_probabilities().unwrap_or(layer);
    let complaint = format!(
        "expected logits for the loss {key}, which makes probabilities of them itself, found the \
         probabilities of {}",
        named(layer)
    );
    let remedy = match is_dropped {
        true => "leave that layer out".into(),
        false => {
            format!(
                "leave that layer out, or choose loss = {:?}",
                Loss::binary_cross_entropy().key()
            )
        }
    };
    Some(RefusedLoss { layer: Some(layer), complaint, remedy })
}
