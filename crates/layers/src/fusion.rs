use tensor::{Element, Shape};

use crate::builtin::LayerSpec;
use crate::layer::Layer;

/// Into which neighbour a layer is fused, whose passes then do the work of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FusedInto {
    /// None: it has passes of its own.
    None,
    /// The next layer. That one reads this one's input.
    Next,
    /// The previous layer. That one's output, and the gradient of it that it is given, are this
    /// one's.
    Previous,
}

/// The table of the neighbours that are fused where the one that is fused into the other would
/// work in place: which of the two that is, and the layer that does the work of both, to the
/// same bits, with the other one's parameters, buffers and memory. None if two layers are as fast
/// as one.
///
/// `input` is that of the first, and one that it takes.
pub(crate) fn fused<T: Element>(
    first: &LayerSpec,
    second: &LayerSpec,
    input: Shape,
) -> Option<(FusedInto, Box<dyn Layer<T>>)> {
    Some(match (first, second) {
        (LayerSpec::BatchNorm2d(first), LayerSpec::Relu(_)) => {
            (FusedInto::Previous, first.build_rectified(input)?)
        }
        // The sign of the rectifier's input is that of its output: either gives its derivative.
        (LayerSpec::Relu(_), LayerSpec::MaxPool2d(second)) => {
            (FusedInto::Next, second.build_rectified(input)?)
        }
        _ => return None,
    })
}
