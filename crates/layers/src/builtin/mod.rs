//! The built-in layers, a file for each or for a few that are alike, and their list, from which
//! networks are read and built.

mod activation;
mod batch_norm2d;
mod bias;
mod conv2d;
mod conv_transpose2d;
mod convolution;
mod dense;
mod dropout;
mod group_norm;
mod normalization;
mod pool2d;
mod reshape;
mod residual;
pub(crate) mod softmax;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, VariantAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use tensor::{Element, Shape, ShapeError};

use crate::layer::Layer;
use crate::layer_config::{Described, LayerConfig, Outputs, OwnLayer, OwnLayers};
use crate::tagged::name_or_table;

pub use bias::Bias;
pub use softmax::softmax;

/// Declares the enum of built-in layers from a list of their files and types.
macro_rules! layer_spec {
    ($($file:ident: $($name:ident),+;)*) => {
        $( pub use $file::{$($name),+}; )*

        /// One layer of a [`NetworkSpec`](crate::NetworkSpec).
        #[derive(Clone, Debug, PartialEq)]
        pub enum LayerSpec {
            $($(
                #[doc = concat!("See [`", stringify!($name), "`].")]
                $name($name),
            )+)*
            /// See [`LayerSpec::own`].
            Own(OwnLayer),
        }

        $($(
            impl From<$name> for LayerSpec {
                fn from(layer: $name) -> Self {
                    Self::$name(layer)
                }
            }
        )+)*

        impl LayerSpec {
            /// The names of the built-in types in text.
            pub const TYPES: &'static [&'static str] = &[$($($name::TYPE),+),*];

            fn described(&self) -> &dyn Described {
                match self {
                    $($( Self::$name(layer) => layer, )+)*
                    Self::Own(layer) => layer.described(),
                }
            }

            /// The layer for inputs of this shape.
            ///
            /// # Errors
            /// If the layer does not accept such inputs; no layer accepts an empty one.
            pub fn build<T: Element>(
                &self,
                input: Shape,
            ) -> Result<Box<dyn Layer<T>>, ShapeError> {
                if input.is_empty() {
                    return Err(ShapeError::new("layer", "an input with axes of at least 1", input));
                }
                match self {
                    $($( Self::$name(layer) => layer.build(input), )+)*
                    Self::Own(layer) => layer.build(input),
                }
            }

            /// Reads the settings of a layer of type `name`, one of [`LayerSpec::TYPES`] or of the
            /// types of `O`.
            fn read<'de, O: OwnLayers, D: Deserializer<'de>>(
                name: &str,
                settings: D,
            ) -> Result<Self, D::Error> {
                match name {
                    $($( $name::TYPE => <$name as LayerConfig>::read::<O, D>(settings).map(Self::$name), )+)*
                    _ => O::read::<O, D>(name, settings).map(Self::Own),
                }
            }
        }

        impl Serialize for LayerSpec {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                /// A layer as a table: its type beside its settings.
                #[derive(Serialize)]
                struct Typed<'a, L> {
                    r#type: &'static str,
                    #[serde(flatten)]
                    settings: &'a L,
                }

                let r#type = self.type_name();
                match self {
                    $($( Self::$name(settings) => Typed { r#type, settings }.serialize(serializer), )+)*
                    Self::Own(settings) => Typed { r#type, settings }.serialize(serializer),
                }
            }
        }
    };
}

layer_spec! {
    conv2d: Conv2d;
    conv_transpose2d: ConvTranspose2d;
    pool2d: MaxPool2d, AvgPool2d, GlobalAvgPool2d;
    batch_norm2d: BatchNorm2d;
    group_norm: GroupNorm, LayerNorm;
    dense: Dense;
    activation: Sigmoid, Tanh, Relu, LeakyRelu, Gelu, Silu, Elu, Softplus, HardSwish;
    softmax: Softmax;
    dropout: Dropout;
    reshape: Flatten, Reshape;
    residual: Residual;
}

impl LayerSpec {
    /// A layer of another crate. With an `impl From<MyLayer> for LayerSpec` that calls this,
    /// `.add(MyLayer)` works too.
    ///
    /// # Panics
    /// If the name of its type is that of a built-in layer, if its settings are not a structure
    /// with named fields, or if a field is called `type`.
    /// fields, or one of these is called `type`.
    #[track_caller]
    pub fn own<L: LayerConfig>(layer: L) -> Self {
        let name = L::TYPE;
        assert!(!Self::TYPES.contains(&name), "{name:?}: expected a type that is not built in");
        let named = match serde_json::to_value(&layer) {
            Ok(serde_json::Value::Object(settings)) => !settings.contains_key("type"),
            settings => matches!(settings, Ok(serde_json::Value::Null)),
        };
        assert!(named, "{name:?}: expected settings with names, none of them \"type\"");
        Self::Own(OwnLayer::new(layer))
    }

    /// The name of the layer's type in text.
    pub fn type_name(&self) -> &'static str {
        self.described().type_name()
    }

    /// The layer in a few words.
    pub fn summary(&self) -> String {
        self.described().summary()
    }

    /// See [`LayerConfig::outputs`].
    pub(crate) fn outputs(&self, inputs: Outputs) -> Option<Outputs> {
        self.described().outputs(inputs)
    }

    /// See [`LayerConfig::largest_derivative`].
    pub fn largest_derivative(&self) -> Option<f64> {
        self.described().largest_derivative()
    }

    /// Whether this layer, or one inside it, has an output for each class of the data, and it is
    /// not known yet how many these are.
    pub fn needs_classes(&self) -> bool {
        match self {
            Self::Dense(layer) => layer.needs_classes(),
            Self::Residual(block) => block.layers().iter().any(Self::needs_classes),
            _ => false,
        }
    }

    /// Says how many classes there are to the layers that need it.
    pub(crate) fn set_classes(&mut self, classes: usize) {
        match self {
            Self::Dense(layer) => layer.set_classes(classes),
            Self::Residual(block) => block.set_classes(classes),
            _ => {}
        }
    }

    /// How many layers this is, with those inside it.
    pub fn count(&self) -> usize {
        self.described().count()
    }
}

impl<'de> Deserialize<'de> for LayerSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        LayerText::<()>::deserialize(deserializer).map(Self::from)
    }
}

/// A layer as it is read from text, of a built-in type or one of the types of `O`.
#[derive(Clone, Debug)]
pub struct LayerText<O>(LayerSpec, PhantomData<O>);

impl<O> From<LayerText<O>> for LayerSpec {
    fn from(text: LayerText<O>) -> Self {
        text.0
    }
}

impl<'de, O: OwnLayers> Deserialize<'de> for LayerText<O> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        name_or_table(deserializer).map(|Variant(layer, own)| Self(layer, own))
    }
}

/// The same, read as a variant of an enum.
struct Variant<O>(LayerSpec, PhantomData<O>);

impl<'de, O: OwnLayers> Deserialize<'de> for Variant<O> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum("LayerSpec", LayerSpec::TYPES, VariantVisitor(PhantomData))
    }
}

struct VariantVisitor<O>(PhantomData<O>);

impl<'de, O: OwnLayers> Visitor<'de> for VariantVisitor<O> {
    type Value = Variant<O>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a layer")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, layer: A) -> Result<Variant<O>, A::Error> {
        let (name, settings) = layer.variant::<TypeName<O>>()?;
        settings.newtype_variant_seed(name)
    }
}

/// The name of a known type; as a seed, it reads the settings of a layer of that type.
struct TypeName<O>(String, PhantomData<O>);

impl<'de, O: OwnLayers> Deserialize<'de> for TypeName<O> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let own = O::types();
        let known = || LayerSpec::TYPES.iter().chain(&own);
        match known().filter(|&&known| known == name).count() {
            1 => Ok(Self(name, PhantomData)),
            0 if own.is_empty() => Err(de::Error::unknown_variant(&name, LayerSpec::TYPES)),
            0 => {
                let known: Vec<_> = known().map(|known| format!("`{known}`")).collect();
                let known = known.join(", ");
                Err(de::Error::custom(format!("unknown variant `{name}`, expected one of {known}")))
            }
            count => Err(de::Error::custom(format!(
                "layer type `{name}`: expected a unique name, got {count} types"
            ))),
        }
    }
}

impl<'de, O: OwnLayers> DeserializeSeed<'de> for TypeName<O> {
    type Value = Variant<O>;

    fn deserialize<D: Deserializer<'de>>(self, settings: D) -> Result<Variant<O>, D::Error> {
        LayerSpec::read::<O, D>(&self.0, settings).map(|layer| Variant(layer, PhantomData))
    }
}
