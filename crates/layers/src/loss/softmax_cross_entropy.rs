use serde::{Deserialize, Serialize};
use tensor::Element;

use super::class_weights::{self, ClassWeights, Weights, weighted};
use super::formula::{Domain, Formula, Sample};
use crate::builtin::softmax::{below, largest, softmax};
use crate::tagged::fraction;

/// `−Σ w_i s_i ln p_i` over the classes, where `p = softmax x` and the targets `t`,
/// one-hot or probabilities, are smoothed: `s = (1 − α) t + α / classes`.
///
/// The class weights `w` are 1 by default. They say how much a sample of a class counts. The loss
/// of a batch stays the mean over its samples, whatever their classes, so a shard needs no
/// knowledge of the others. PyTorch divides by the sum of the weights of the batch's targets
/// instead: its loss and gradient are these divided by the mean of those weights. Weights whose
/// mean over the samples is 1 keep the size of the gradients.
///
/// A class with the logit −∞ costs nothing if `w s` is 0, and infinitely much otherwise. If several
/// logits are +∞, or several and all of them −∞, the limit is undefined, and the loss NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoftmaxCrossEntropy {
    /// α, from 0 to less than 1.
    #[serde(deserialize_with = "fraction")]
    pub label_smoothing: f64,
    /// `w`, one number for each class.
    #[serde(deserialize_with = "class_weights::some", skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
}

impl Formula for SoftmaxCrossEntropy {
    const DEFAULT: Self = Self { label_smoothing: 0.0, class_weights: None };
    const NAME: &'static str = "softmax cross-entropy";
    const DOMAIN: Domain = Domain::Logits;

    fn class_weights(&self) -> Option<&ClassWeights> {
        self.class_weights.as_ref()
    }

    /// In `f64`: `Σ s_i (ln Σ exp(x − m) + (m − x_i))`, where `m` is the largest logit.
    fn value<T: Element>(&self, sample: Sample<'_, T>) -> f64 {
        let Sample { prediction, target, weights } = sample;
        let smooth = Smooth::<f64>::new(self.label_smoothing, weights, target.len());
        let Some(largest) = largest(prediction).map(T::to_f64) else { return f64::NAN };
        let sum: f64 = prediction.iter().map(|x| libm::exp(below(x.to_f64(), largest))).sum();
        let log_sum = libm::log(sum);
        let cost = |x: T| log_sum - below(x.to_f64(), largest);
        let pairs = prediction.iter().zip(target).enumerate();
        pairs.map(|(i, (&x, t))| weighted(smooth.of(i, t.to_f64()), cost(x))).sum()
    }

    /// `d/dx_i −Σ_j s_j ln p_j = p_i Σ_j s_j − s_i`, each `s_i` times its weight.
    fn gradient<T: Element>(&self, sample: Sample<'_, T>, scale: f64, gradient: &mut [T]) {
        let Sample { prediction, target, weights } = sample;
        let smooth = Smooth::new(self.label_smoothing, weights, target.len());
        let (total, scale) = (smooth.total(target), T::from_f64(scale));
        softmax(prediction, gradient);
        sample.slopes(gradient, |class, p, t| (p * total - smooth.of(class, t)) * scale);
    }
}

/// Smoothed targets `(1 − α) t + α / classes`, times the weight of the class.
#[derive(Clone, Copy)]
struct Smooth<'a, T> {
    keep: T,
    share: T,
    weights: Weights<'a>,
}

impl<'a, T: Element> Smooth<'a, T> {
    fn new(label_smoothing: f64, weights: Weights<'a>, classes: usize) -> Self {
        let share = T::from_f64(label_smoothing / classes as f64);
        Self { keep: T::from_f64(1.0 - label_smoothing), share, weights }
    }

    fn of(self, class: usize, target: T) -> T {
        self.weights.times(class, target.mul_add(self.keep, self.share))
    }

    fn total(self, target: &[T]) -> T {
        target.iter().enumerate().map(|(class, &t)| self.of(class, t)).sum()
    }
}
