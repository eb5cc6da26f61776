use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use serde::de::{self, DeserializeOwned};
use serde::{Deserializer, Serialize, Serializer};
use serde_json::Value;
use tensor::{Element, Shape, ShapeError};

use crate::layer::Layer;

/// A type of layer: its settings, as they appear in text, and the layer that it builds for an input
/// shape.
///
/// Built-in layers and those of other crates implement it alike. [`LayerSpec::own`] puts a layer of
/// another crate into a network; [`OwnLayers`] says how to read one back.
///
/// In text, a layer is a table with its type and its settings,
/// `{ "type": "dense", "outputs": 10 }`, or only its type if no setting is required. No setting may
/// be called `type`.
///
/// [`LayerSpec::own`]: crate::LayerSpec::own
pub trait LayerConfig: Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The type's name in text, such as `"max_pool2d"`.
    const TYPE: &'static str;

    /// The layer for inputs of this shape.
    ///
    /// # Errors
    /// If the layer does not accept such inputs.
    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError>;

    /// The layer in a few words; by default its `Debug` form.
    fn summary(&self) -> String {
        format!("{self:?}")
    }

    /// What is known of the outputs for such inputs; `None` if they are inputs, or means of inputs.
    fn outputs(&self, _inputs: Outputs) -> Option<Outputs> {
        Some(Outputs::Any)
    }

    /// The largest absolute value of the derivative, if the layer is a function of one number.
    fn largest_derivative(&self) -> Option<f64> {
        None
    }

    /// How many layers this is, with those inside it.
    fn count(&self) -> usize {
        1
    }

    /// Reads the settings. A container reads the layers inside it as
    /// [`LayerText<O>`](crate::LayerText), so that they may be of the types of `O` too.
    ///
    /// # Errors
    /// If a setting is unknown or invalid.
    fn read<'de, O: OwnLayers, D: Deserializer<'de>>(settings: D) -> Result<Self, D::Error> {
        Self::deserialize(settings)
    }
}

/// What is known of the numbers that a layer outputs in training, whatever its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// Nothing.
    Any,
    /// They lie between 0 and 1.
    UnitInterval,
    /// They are probabilities: between 0 and 1, made by a layer from any numbers.
    Probabilities,
    /// They are probabilities, some of them set to 0 and the others enlarged by a dropout.
    DroppedProbabilities,
}

/// The types of other crates' layers that a text may name: one [`LayerConfig`], a tuple of several,
/// or `()`.
///
/// [`network_of_with`](crate::network_of_with), [`NetworkText`](crate::NetworkText) and
/// [`WeightsHeader::footprint_with`](crate::WeightsHeader::footprint_with) take them as a type,
/// `network_of_with::<f32, (Swish, Scale)>(bytes)`. A name that is not unique among them and the
/// built-in layers is refused where it appears in the text.
pub trait OwnLayers {
    /// The names of the types.
    fn types() -> Vec<&'static str>;

    /// Reads the settings of a layer of type `name`, one of [`OwnLayers::types`]; layers inside it
    /// may be of the types of `O`.
    ///
    /// # Errors
    /// As [`LayerConfig::read`].
    fn read<'de, O: OwnLayers, D: Deserializer<'de>>(
        name: &str,
        settings: D,
    ) -> Result<OwnLayer, D::Error>;
}

impl<L: LayerConfig> OwnLayers for L {
    fn types() -> Vec<&'static str> {
        vec![L::TYPE]
    }

    fn read<'de, O: OwnLayers, D: Deserializer<'de>>(
        _: &str,
        settings: D,
    ) -> Result<OwnLayer, D::Error> {
        <L as LayerConfig>::read::<O, D>(settings).map(OwnLayer::new)
    }
}

macro_rules! tuples {
    ($(($($own:ident),*))*) => {$(
        impl<$($own: OwnLayers),*> OwnLayers for ($($own,)*) {
            fn types() -> Vec<&'static str> {
                let types: [Vec<_>; _] = [$($own::types()),*];
                types.concat()
            }

            fn read<'de, O: OwnLayers, D: Deserializer<'de>>(name: &str, _settings: D) -> Result<OwnLayer, D::Error> {
                $(if $own::types().contains(&name) {
                    return $own::read::<O, D>(name, _settings);
                })*
                Err(de::Error::unknown_variant(name, &[]))
            }
        }
    )*};
}

tuples! { () (A) (A, B) (A, B, C) (A, B, C, E) (A, B, C, E, F) (A, B, C, E, F, G) }

/// A layer of another crate; see [`LayerSpec::own`](crate::LayerSpec::own).
///
/// Two are equal if their types have the same name and their settings are the same text.
#[derive(Clone, Debug)]
pub struct OwnLayer(Arc<dyn Erased>);

/// What a [`LayerConfig`] says of itself, with its type erased.
pub(crate) trait Described: Debug + Send + Sync {
    fn type_name(&self) -> &'static str;
    fn summary(&self) -> String;
    fn outputs(&self, inputs: Outputs) -> Option<Outputs>;
    fn largest_derivative(&self) -> Option<f64>;
    fn count(&self) -> usize;
}

impl<L: LayerConfig> Described for L {
    fn type_name(&self) -> &'static str {
        L::TYPE
    }

    fn summary(&self) -> String {
        LayerConfig::summary(self)
    }

    fn outputs(&self, inputs: Outputs) -> Option<Outputs> {
        LayerConfig::outputs(self, inputs)
    }

    fn largest_derivative(&self) -> Option<f64> {
        LayerConfig::largest_derivative(self)
    }

    fn count(&self) -> usize {
        LayerConfig::count(self)
    }
}

/// What else an [`OwnLayer`] needs. It is a trait of its own so that a built-in layer is compiled
/// only for the elements that it is built with.
trait Erased: Described {
    fn build_f32(&self, input: Shape) -> Result<Box<dyn Layer<f32>>, ShapeError>;
    fn build_f64(&self, input: Shape) -> Result<Box<dyn Layer<f64>>, ShapeError>;
    fn settings(&self) -> serde_json::Result<Value>;
}

impl<L: LayerConfig> Erased for L {
    fn build_f32(&self, input: Shape) -> Result<Box<dyn Layer<f32>>, ShapeError> {
        self.build(input)
    }

    fn build_f64(&self, input: Shape) -> Result<Box<dyn Layer<f64>>, ShapeError> {
        self.build(input)
    }

    fn settings(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }
}

impl OwnLayer {
    pub(crate) fn new(layer: impl LayerConfig) -> Self {
        Self(Arc::new(layer))
    }

    pub(crate) fn described(&self) -> &dyn Described {
        &*self.0
    }

    pub(crate) fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        let layer: Box<dyn Any> = if size_of::<T>() == 4 {
            Box::new(self.0.build_f32(input)?)
        } else {
            Box::new(self.0.build_f64(input)?)
        };
        Ok(*layer.downcast().expect("elements are f32 and f64"))
    }
}

impl PartialEq for OwnLayer {
    fn eq(&self, other: &Self) -> bool {
        let [one, two] = [self, other].map(|own| (own.0.type_name(), own.0.settings().ok()));
        one == two
    }
}

/// The settings alone.
impl Serialize for OwnLayer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.settings().map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// The axes of an input that is an image.
pub(crate) fn image_axes(layer: &'static str, input: Shape) -> Result<[usize; 3], ShapeError> {
    let expected = "an input with three axes (C, H, W)";
    input.axes().ok_or_else(|| ShapeError::new(layer, expected, input))
}
