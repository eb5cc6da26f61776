//! How far predictions are from targets: each loss is a file and a row of the list below.

mod binary_cross_entropy;
mod class_weights;
mod formula;
mod huber;
mod mean_squared_error;
mod softmax_cross_entropy;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use tensor::Element;

pub use class_weights::ClassWeights;
pub use formula::Domain;

use crate::tagged::name_or_table;
use class_weights::Weights;
use formula::{Formula, Sample};

/// Declares the enum of all losses from a list: each with its key, which is its type's name in
/// snake case, and its type.
macro_rules! losses {
    ($($key:ident: $module:ident::$Loss:ident,)*) => {
        $(pub use $module::$Loss;)*

        /// How far predictions are from their targets.
        ///
        /// The loss of a batch is the mean over its samples.
        ///
        /// In text, a loss is a name, `"binary_cross_entropy"`, or a table if it has settings,
        /// `{ type = "softmax_cross_entropy", label_smoothing = 0.1 }`.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Loss {
            $(#[doc = concat!("See [`", stringify!($Loss), "`].")] $Loss($Loss),)*
        }

        /// The form that serde derives, from which [`Loss`] is read.
        #[derive(Deserialize)]
        #[serde(remote = "Loss", rename_all = "snake_case")]
        enum Table {
            $($Loss($Loss),)*
        }

        $(
            impl Default for $Loss {
                fn default() -> Self {
                    Self::DEFAULT
                }
            }

            impl From<$Loss> for Loss {
                fn from(loss: $Loss) -> Self {
                    Self::$Loss(loss)
                }
            }
        )*

        impl Loss {
            $(
                #[doc = concat!("[`", stringify!($Loss), "`] with its defaults.")]
                pub const fn $key() -> Self {
                    Self::$Loss($Loss::DEFAULT)
                }
            )*

            /// All losses with their defaults.
            pub const ALL: &[Self] = &[$(Self::$key(),)*];

            /// The name of the loss in text, `"binary_cross_entropy"`.
            pub fn key(&self) -> &'static str {
                match self { $(Self::$Loss(_) => stringify!($key),)* }
            }

            /// The loss in words, `"binary cross-entropy"`.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$Loss(_) => $Loss::NAME,)* }
            }

            /// What predictions it is a function of.
            pub fn domain(&self) -> Domain {
                match self { $(Self::$Loss(_) => $Loss::DOMAIN,)* }
            }

            /// The weights of the classes, if they are not all 1.
            pub fn class_weights(&self) -> Option<&ClassWeights> {
                match self { $(Self::$Loss(loss) => loss.class_weights(),)* }
            }

            fn value_of<T: Element>(&self, sample: Sample<'_, T>) -> f64 {
                match self { $(Self::$Loss(loss) => loss.value(sample),)* }
            }

            fn gradient_of<T: Element>(&self, sample: Sample<'_, T>, scale: f64, g: &mut [T]) {
                match self { $(Self::$Loss(loss) => loss.gradient(sample, scale, g),)* }
            }

            fn serialize_settings<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$Loss(loss) => loss.serialize(to),)* }
            }
        }
    };
}

losses! {
    mean_squared_error: mean_squared_error::MeanSquaredError,
    binary_cross_entropy: binary_cross_entropy::BinaryCrossEntropy,
    binary_cross_entropy_with_logits: binary_cross_entropy::BinaryCrossEntropyWithLogits,
    huber: huber::Huber,
    softmax_cross_entropy: softmax_cross_entropy::SoftmaxCrossEntropy,
}

/// The settings of a loss, serialized by the loss itself.
struct Settings<'a>(&'a Loss);

impl Serialize for Settings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_settings(serializer)
    }
}

impl Serialize for Loss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Tagged<'a> {
            r#type: &'static str,
            #[serde(flatten)]
            settings: Settings<'a>,
        }
        let says_nothing = match serde_json::to_value(Settings(self)) {
            Ok(Value::Object(settings)) => settings.is_empty(),
            settings => settings.is_ok(),
        };
        if says_nothing {
            return serializer.serialize_str(self.key());
        }
        Tagged { r#type: self.key(), settings: Settings(self) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Loss {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Whole(#[serde(with = "Table")] Loss);
        name_or_table(deserializer).map(|Whole(loss)| loss)
    }
}

impl Loss {
    /// [`SoftmaxCrossEntropy`] with this label smoothing and no class weights.
    pub const fn smooth_cross_entropy(label_smoothing: f64) -> Self {
        Self::SoftmaxCrossEntropy(SoftmaxCrossEntropy { label_smoothing, class_weights: None })
    }

    /// The same loss as a function of the logits whose sigmoids are the predictions, if there is
    /// one: for a binary cross-entropy, that of logits. Where a sigmoid is rounded to 0 or 1, its
    /// derivative times that of the loss is 0 · ∞; as one function they have the gradient of the
    /// formula.
    pub fn of_logits(&self) -> Option<Self> {
        match self {
            Self::BinaryCrossEntropy(loss) => Some(loss.of_logits().into()),
            _ => None,
        }
    }

    /// The loss of one sample; 0 if it has no outputs.
    ///
    /// # Panics
    /// If prediction and target differ in length, or the class weights are not of that length.
    #[track_caller]
    pub fn value<T: Element>(&self, prediction: &[T], target: &[T]) -> f64 {
        let sample = self.sample(prediction, target);
        if prediction.is_empty() { 0.0 } else { self.value_of(sample) }
    }

    /// Writes the gradient of `scale · value(prediction, target)`.
    ///
    /// # Panics
    /// If the slices differ in length.
    #[track_caller]
    pub fn gradient<T: Element>(
        &self,
        prediction: &[T],
        target: &[T],
        scale: f64,
        gradient: &mut [T],
    ) {
        assert_eq!(gradient.len(), prediction.len(), "loss gradient: length");
        gradient.copy_from_slice(prediction);
        self.gradient_of(self.sample(prediction, target), scale, gradient);
    }

    /// The gradient of [`Loss::of_logits`] with respect to the logits, given their sigmoids as the
    /// prediction: `scale · w (p − t) / len`.
    pub(crate) fn sigmoid_gradient<T: Element>(
        &self,
        prediction: &[T],
        target: &[T],
        scale: f64,
        gradient: &mut [T],
    ) {
        gradient.copy_from_slice(prediction);
        binary_cross_entropy::of_sigmoid(self.sample(prediction, target), scale, gradient);
    }

    #[track_caller]
    fn sample<'a, T>(&'a self, prediction: &'a [T], target: &'a [T]) -> Sample<'a, T> {
        assert_eq!(prediction.len(), target.len(), "loss: lengths of prediction and target");
        Sample { prediction, target, weights: Weights::of(self.class_weights(), target.len()) }
    }
}
