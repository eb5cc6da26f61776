use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use serde::de::{self, DeserializeOwned};
use serde::{Deserializer, Serialize, Serializer};
use serde_json::Value;
use tensor::{Element, Shape, ShapeError};

use crate::layer::Layer;

/// A type of layer: its settings, as they stand in text, and what it builds for an input.
///
/// The built-in layers and those of other crates implement it alike. [`LayerSpec::own`] puts one
/// of another crate into a network; what reads it back is told of it as [`OwnLayers`] says.
///
/// In text, a layer is a table of its type and its settings, `{ "type": "dense", "outputs": 10 }`,
/// or its type alone where it needs no setting. No setting may be called `type`.
///
/// [`LayerSpec::own`]: crate::LayerSpec::own
pub trait LayerConfig: Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The type's name in text, such as `"max_pool2d"`.
    const TYPE: &'static str;

    /// The layer for inputs of this shape.
    ///
    /// # Errors
    /// If the layer cannot take such inputs.
    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError>;

    /// The layer in a few words; its `Debug` form if nothing else is said.
    fn summary(&self) -> String {
        format!("{self:?}")
    }

    /// What is known of the outputs for such inputs; `None` if they are the inputs' numbers, some
    /// of them, or means of them.
    fn outputs(&self, _inputs: Outputs) -> Option<Outputs> {
        Some(Outputs::Any)
    }

    /// Of a function of one number, the largest that its derivative gets in absolute value.
    fn largest_derivative(&self) -> Option<f64> {
        None
    }

    /// How many layers it is, those inside of it counted.
    fn count(&self) -> usize {
        1
    }

    /// Reads the settings. A container reads what is inside of it as
    /// [`LayerText<O>`](crate::LayerText), so that layers of `O` may be there too.
    ///
    /// # Errors
    /// If there is a setting that the layer does not know or have.
    fn read<'de, O: OwnLayers, D: Deserializer<'de>>(settings: D) -> Result<Self, D::Error> {
        Self::deserialize(settings)
    }
}

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

/// The types of layers of other crates that a text may name: one [`LayerConfig`], a tuple of
/// several, or `()`.
///
/// [`network_of_with`](crate::network_of_with), [`NetworkText`](crate::NetworkText) and
/// [`WeightsHeader::footprint_with`](crate::WeightsHeader::footprint_with) take them as a type,
/// `network_of_with::<f32, (Swish, Scale)>(bytes)`. A name that two of them have, or one of them
/// and a built-in layer, is refused where it stands in the text.
pub trait OwnLayers {
    /// The names of the types.
    fn types() -> Vec<&'static str>;

    /// Reads the settings of a layer of the type `name`, which is one of [`OwnLayers::types`];
    /// those inside of it may be of `O`.
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
/// Two are equal if their types have one name and their settings are the same in text.
#[derive(Clone, Debug)]
pub struct OwnLayer(Arc<dyn Erased>);

/// What a [`LayerConfig`] says of itself, whatever its type.
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

/// What else an [`OwnLayer`] needs. Apart, so that of built-in layers only what is built of them
/// is compiled.
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
