use serde::Serialize;
use serde::de::DeserializeOwned;
use tensor::Element;

use super::class_weights::{ClassWeights, Weights};

/// What predictions a loss is a function of. Targets are one-hot or probabilities, or for
/// [`Domain::Numbers`] any numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Any numbers, which should equal the targets.
    Numbers,
    /// Numbers between 0 and 1.
    Probabilities,
    /// Logits whose sigmoids are the probabilities, each by itself.
    BinaryLogits,
    /// Logits whose softmax is the probabilities.
    Logits,
}

/// The definition of a loss. Its settings are its fields, under their names in text.
pub trait Formula: Serialize + DeserializeOwned {
    /// The default settings.
    const DEFAULT: Self;

    /// The loss in words.
    const NAME: &'static str;

    /// What predictions it is a function of.
    const DOMAIN: Domain;

    /// The weights of the classes, if they are not all 1.
    fn class_weights(&self) -> Option<&ClassWeights> {
        None
    }

    /// The loss of one sample.
    fn value<T: Element>(&self, sample: Sample<'_, T>) -> f64;

    /// Overwrites `gradient`, a copy of the prediction, with the gradient of `scale · value`.
    fn gradient<T: Element>(&self, sample: Sample<'_, T>, scale: f64, gradient: &mut [T]);
}

/// What a loss is computed from: prediction, target, and the class weights if there are any, all of
/// the same length.
#[derive(Clone, Copy)]
pub struct Sample<'a, T> {
    pub(super) prediction: &'a [T],
    pub(super) target: &'a [T],
    pub(super) weights: Weights<'a>,
}

impl<T: Element> Sample<'_, T> {
    /// The mean over the outputs of `term(index, prediction, target)`.
    pub(super) fn mean(self, term: impl Fn(usize, f64, f64) -> f64) -> f64 {
        let pairs = self.prediction.iter().zip(self.target).enumerate();
        let terms = pairs.map(|(place, (p, t))| term(place, p.to_f64(), t.to_f64()));
        terms.sum::<f64>() / self.prediction.len() as f64
    }

    /// The part of `scale` that falls to each output in a mean.
    pub(super) fn share(self, scale: f64) -> T {
        T::from_f64(scale / self.prediction.len() as f64)
    }

    /// Replaces each number by `slope` of its index, itself and its target.
    pub(super) fn slopes(self, numbers: &mut [T], slope: impl Fn(usize, T, T) -> T) {
        for (place, (x, &t)) in numbers.iter_mut().zip(self.target).enumerate() {
            *x = slope(place, *x, t);
        }
    }
}
