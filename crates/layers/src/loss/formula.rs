use serde::Serialize;
use serde::de::DeserializeOwned;
use tensor::Element;

use super::class_weights::{ClassWeights, Weights};

/// What a loss compares with the targets, which are one-hot or probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Any numbers, which are to be the targets themselves.
    Numbers,
    /// Numbers between 0 and 1.
    Probabilities,
    /// Numbers whose sigmoids are the probabilities, each by itself.
    BinaryLogits,
    /// Numbers whose softmax is the probabilities.
    Logits,
}

/// All there is to a loss. Its settings are its fields, written in text under their names.
pub trait Formula: Serialize + DeserializeOwned {
    /// The settings where nothing is said.
    const DEFAULT: Self;

    /// It in words.
    const NAME: &'static str;

    /// What it is a function of.
    const DOMAIN: Domain;

    /// What the classes count, if not all the same.
    fn class_weights(&self) -> Option<&ClassWeights> {
        None
    }

    /// The loss of one sample.
    fn value<T: Element>(&self, sample: Sample<'_, T>) -> f64;

    /// Turns `gradient`, a copy of the prediction, into the gradient of `scale · value`.
    fn gradient<T: Element>(&self, sample: Sample<'_, T>, scale: f64, gradient: &mut [T]);
}

/// What a loss is computed of; prediction, target and the weights, if there are some, are equally
/// long.
#[derive(Clone, Copy)]
pub struct Sample<'a, T> {
    pub(super) prediction: &'a [T],
    pub(super) target: &'a [T],
    pub(super) weights: Weights<'a>,
}

impl<T: Element> Sample<'_, T> {
    /// The mean of a term over the outputs: of an output's place, its prediction and its target.
    pub(super) fn mean(self, term: impl Fn(usize, f64, f64) -> f64) -> f64 {
        let pairs = self.prediction.iter().zip(self.target).enumerate();
        let terms = pairs.map(|(place, (p, t))| term(place, p.to_f64(), t.to_f64()));
        terms.sum::<f64>() / self.prediction.len() as f64
    }

    /// What `scale` leaves for each output of a mean.
    pub(super) fn share(self, scale: f64) -> T {
        T::from_f64(scale / self.prediction.len() as f64)
    }

    /// Makes each number `slope` of its place, itself and its target.
    pub(super) fn slopes(self, numbers: &mut [T], slope: impl Fn(usize, T, T) -> T) {
        for (place, (x, &t)) in numbers.iter_mut().zip(self.target).enumerate() {
            *x = slope(place, *x, t);
        }
    }
}
