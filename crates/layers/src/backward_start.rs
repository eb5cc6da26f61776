use tensor::Element;

use crate::builtin::LayerSpec;
use crate::loss::Loss;
use crate::spec::NetworkSpec;

/// Where the backward pass through a network begins, and with which gradient: at the output or,
/// where a last sigmoid is followed by a binary cross-entropy, at the sigmoid's input, since their
/// derivatives cancel ([`Loss::of_logits`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackwardStart {
    layers: usize,
    cancels: bool,
}

impl BackwardStart {
    /// The start for a network that is trained with this loss.
    pub fn new(network: &NetworkSpec, loss: &Loss) -> Self {
        let layers = network.layers.len();
        let ends_in_sigmoid = matches!(network.layers.last(), Some(LayerSpec::Sigmoid(_)));
        let cancels = ends_in_sigmoid && loss.of_logits().is_some() && layers > 1;
        Self { layers: layers - usize::from(cancels), cancels }
    }

    /// The output, whatever the loss.
    pub fn at_output(network: &NetworkSpec) -> Self {
        Self { layers: network.layers.len(), cancels: false }
    }

    /// How many layers the backward pass goes through: all, or all but the sigmoid.
    pub fn layers(self) -> usize {
        self.layers
    }

    /// Writes the gradient of `scale` times the sum of the samples' losses with respect to the
    /// output of the first [`layers`](Self::layers) layers.
    ///
    /// # Shapes
    /// The network's outputs and the targets, and the gradient: `(N, len)` each.
    ///
    /// # Panics
    /// If the loss has class weights, but not `len` of them.
    pub fn gradient<T: Element>(
        self,
        loss: &Loss,
        [outputs, targets]: [&[T]; 2],
        len: usize,
        scale: f64,
        gradient: &mut [T],
    ) {
        let samples = outputs.chunks_exact(len).zip(targets.chunks_exact(len));
        for ((y, t), gradient) in samples.zip(gradient.chunks_exact_mut(len)) {
            if self.cancels {
                loss.sigmoid_gradient(y, t, scale, gradient);
            } else {
                loss.gradient(y, t, scale, gradient);
            }
        }
    }
}
