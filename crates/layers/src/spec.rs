use std::fmt;

use serde::{Deserialize, Serialize};
use tensor::ShapeError;

use crate::builtin::{LayerSpec, LayerText};
use crate::layer_config::OwnLayers;

/// The description of a network: the shape of one input sample and the list of layers. As JSON:
///
/// ```
/// let text = r#"{ "input": [1, 28, 28], "layers": [
///     { "type": "conv2d", "kernels": 6, "size": 3, "bias": "untied" },
///     { "type": "sigmoid" },
///     { "type": "reshape" },
///     { "type": "dense", "outputs": 10 }
/// ] }"#;
/// let spec: layers::NetworkSpec = serde_json::from_str(text)?;
/// let network = spec.build::<f32>()?;
/// assert_eq!(network.output_shape().to_string(), "(10)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "NetworkText<()>")]
pub struct NetworkSpec {
    /// The axes of one sample.
    pub input: Vec<usize>,
    /// The layers, first to last.
    pub layers: Vec<LayerSpec>,
}

impl NetworkSpec {
    /// The most layers of a network, including those inside others. The deepest networks that have
    /// been trained have some thousand convolutions, each followed by a normalisation and an
    /// activation.
    pub const MOST_LAYERS: usize = 4096;

    /// Gives the layers that have an output for each class, [`Dense::of_classes`], this many.
    ///
    /// [`Dense::of_classes`]: crate::Dense::of_classes
    pub fn set_classes(&mut self, classes: usize) {
        self.layers.iter_mut().for_each(|layer| layer.set_classes(classes));
    }

    /// How many layers there are, including those inside others.
    pub(crate) fn count(&self) -> usize {
        self.layers.iter().map(LayerSpec::count).sum()
    }
}

/// A [`NetworkSpec`] as it is read from text, with built-in layers and those of the types of `O`.
///
/// `serde_json::from_str::<NetworkText<MyLayer>>(text)?.into()` is a network that may contain a
/// `MyLayer`, also inside other layers.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename = "NetworkSpec", deny_unknown_fields, bound = "O: OwnLayers")]
#[serde(expecting = "a network with its input and layers")]
pub struct NetworkText<O> {
    input: Vec<usize>,
    layers: Vec<LayerText<O>>,
}

impl<O> From<NetworkText<O>> for NetworkSpec {
    fn from(NetworkText { input, layers }: NetworkText<O>) -> Self {
        Self { input, layers: layers.into_iter().map(LayerSpec::from).collect() }
    }
}

/// The layers of a network do not fit together.
///
/// Prints which layer does not fit, what it expected and what it found, and a table of the layers
/// with their shapes up to there; or, for too many layers, how many there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// `None` if it is not about one layer.
    pub(crate) layer: Option<usize>,
    /// Empty if there are too many layers.
    pub(crate) table: String,
    pub(crate) cause: ShapeError,
}

impl BuildError {
    /// The index of the layer that does not fit; `None` if it is the input.
    pub fn layer(&self) -> Option<usize> {
        self.layer
    }

    /// What the layer expected and what it found.
    pub fn cause(&self) -> &ShapeError {
        &self.cause
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.table.is_empty() {
            return self.cause.fmt(f);
        }
        match self.layer {
            Some(layer) => write!(f, "layer {layer} does not fit")?,
            None => f.write_str("the input does not fit")?,
        }
        write!(f, ": {}\n{}", self.cause, self.table)
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}
