use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use tensor::{Element, Shape, ShapeError};

use crate::activation::{Elu, Gelu, HardSwish, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh};
use crate::batch_norm2d::BatchNorm2d;
use crate::conv_transpose2d::ConvTranspose2d;
use crate::conv2d::Conv2d;
use crate::dense::Dense;
use crate::dropout::Dropout;
use crate::group_norm::{GroupNorm, LayerNorm};
use crate::layer::Layer;
use crate::pool2d::{AvgPool2d, GlobalAvgPool2d, MaxPool2d};
use crate::reshape::{Flatten, Reshape};
use crate::residual::Residual;
use crate::softmax::Softmax;
use crate::tagged::name_or_table;

/// A network as text: the shape of one input sample and the list of layers.
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
#[serde(deny_unknown_fields, expecting = "a network, that is its input and layers")]
pub struct NetworkSpec {
    /// The axes of one sample.
    pub input: Vec<usize>,
    /// The layers, first to last.
    pub layers: Vec<LayerSpec>,
}

impl NetworkSpec {
    /// The most layers of a network, those inside of others counted. The deepest networks that
    /// have been trained have some thousand convolutions, a normalisation and an activation
    /// behind each.
    pub const MOST_LAYERS: usize = 4096;

    /// How many layers there are, those inside of others counted.
    pub(crate) fn count(&self) -> usize {
        count(&self.layers)
    }
}

fn count(layers: &[LayerSpec]) -> usize {
    let inside = |layer: &LayerSpec| match layer {
        LayerSpec::Residual(residual) => count(residual.layers()),
        _ => 0,
    };
    layers.iter().map(|layer| 1 + inside(layer)).sum()
}

/// What can be said of a layer before its input shape is known.
pub(crate) trait Buildable {
    /// The layer in a few words.
    fn summary(&self) -> String;

    /// The layer for inputs of this shape.
    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError>;
}

macro_rules! layer_spec {
    ($($name:ident),*) => {
        /// One layer of a [`NetworkSpec`].
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        pub enum LayerSpec {$(
            #[doc = concat!("See [`", stringify!($name), "`].")]
            $name($name),
        )*}

        /// What [`LayerSpec`] is read as: the form that serde derives.
        #[derive(Deserialize)]
        #[serde(remote = "LayerSpec", rename_all = "snake_case")]
        enum Table {$( $name($name), )*}

        $(impl From<$name> for LayerSpec {
            fn from(layer: $name) -> Self {
                Self::$name(layer)
            }
        })*

        impl LayerSpec {
            /// The layer in a few words.
            pub fn summary(&self) -> String {
                match self {$( Self::$name(layer) => layer.summary(), )*}
            }

            /// The layer for inputs of this shape.
            ///
            /// # Errors
            /// If the layer cannot take such inputs.
            pub fn build<T: Element>(
                &self,
                input: Shape,
            ) -> Result<Box<dyn Layer<T>>, ShapeError> {
                match self {$( Self::$name(layer) => layer.build(input), )*}
            }
        }
    };
}

impl<'de> Deserialize<'de> for LayerSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Whole(#[serde(with = "Table")] LayerSpec);
        name_or_table(deserializer).map(|Whole(layer)| layer)
    }
}

layer_spec!(
    Conv2d,
    ConvTranspose2d,
    MaxPool2d,
    AvgPool2d,
    GlobalAvgPool2d,
    BatchNorm2d,
    GroupNorm,
    LayerNorm,
    Dense,
    Sigmoid,
    Tanh,
    Relu,
    LeakyRelu,
    Gelu,
    Silu,
    Elu,
    Softplus,
    HardSwish,
    Softmax,
    Dropout,
    Flatten,
    Reshape,
    Residual
);

/// A network whose layers do not fit together.
///
/// Prints the culprit, what it expected and what it found, and the table of all layers
/// with their shapes up to there; of too many layers, how many there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// None if it is not about one of them.
    pub(crate) layer: Option<usize>,
    /// Empty if there are too many layers.
    pub(crate) table: String,
    pub(crate) cause: ShapeError,
}

impl BuildError {
    /// The place of the layer that does not fit; none if it is the input.
    pub fn layer(&self) -> Option<usize> {
        self.layer
    }

    /// What it expected and what it found.
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
