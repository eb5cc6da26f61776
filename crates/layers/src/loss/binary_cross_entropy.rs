use serde::{Deserialize, Serialize};
use tensor::Element;
use tensor::activation::{Activation, Sigmoid};

use super::class_weights::{self, ClassWeights, weighted};
use super::formula::{Domain, Formula, Sample};

/// `−mean w (t ln p + (1 − t) ln(1 − p))` over the outputs, for predictions between 0 and 1.
///
/// The class weights `w` are 1 if there are none: PyTorch's `weight` of one sample. A class
/// that an image may have beside others is an output of its own, so a weight is that of an
/// output, whether the sample has the class or not.
///
/// Finite for all of them: a logarithm's argument is at least half the distance
/// from 1 to the next number below it, so that a prediction which has rounded to 0
/// or 1 counts as one that almost has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BinaryCrossEntropy {
    /// `w`, one number for each output.
    #[serde(deserialize_with = "class_weights::some", skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
}

/// [`BinaryCrossEntropy`] for logits: `p = 1 / (1 + exp −x)`, exact however large they are; of
/// infinite ones what the limit is, so that a logit of −∞ with the target 0 costs nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BinaryCrossEntropyWithLogits {
    /// `w`, one number for each output.
    #[serde(deserialize_with = "class_weights::some", skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
}

impl Formula for BinaryCrossEntropy {
    const DEFAULT: Self = Self { class_weights: None };
    const NAME: &'static str = "binary cross-entropy";
    const DOMAIN: Domain = Domain::Probabilities;

    fn class_weights(&self) -> Option<&ClassWeights> {
        self.class_weights.as_ref()
    }

    fn value<T: Element>(&self, sample: Sample<'_, T>) -> f64 {
        let least = least::<T>().to_f64();
        let ln = |x: f64| libm::log(x.max(least));
        -sample.mean(|class, p, t| {
            if p.is_nan() || t.is_nan() {
                return f64::NAN;
            }
            // 1 − p is exact in the predictions' own precision, and in f64.
            sample.weights.of_class(class) * (t * ln(p) + (1.0 - t) * ln(1.0 - p))
        })
    }

    fn gradient<T: Element>(&self, sample: Sample<'_, T>, scale: f64, gradient: &mut [T]) {
        let share = sample.share(scale);
        sample.slopes(gradient, |class, p, t| {
            let (a, b) = (larger(T::ONE - p, least()), larger(p, least()));
            ((T::ONE - t) / a - t / b) * sample.weights.times(class, share)
        });
    }
}

impl Formula for BinaryCrossEntropyWithLogits {
    const DEFAULT: Self = Self { class_weights: None };
    const NAME: &'static str = BinaryCrossEntropy::NAME;
    const DOMAIN: Domain = Domain::BinaryLogits;

    fn class_weights(&self) -> Option<&ClassWeights> {
        self.class_weights.as_ref()
    }

    fn value<T: Element>(&self, sample: Sample<'_, T>) -> f64 {
        sample.mean(|class, x, t| {
            let share = if x < 0.0 { t } else { 1.0 - t };
            let cost = weighted(share, x.abs()) + libm::log1p(libm::exp(-x.abs()));
            weighted(sample.weights.of_class(class), cost)
        })
    }

    fn gradient<T: Element>(&self, sample: Sample<'_, T>, scale: f64, gradient: &mut [T]) {
        Sigmoid.apply(gradient);
        of_sigmoid(sample, scale, gradient);
    }
}

impl BinaryCrossEntropy {
    /// The loss of the logits whose sigmoid the predictions are.
    pub(super) fn of_logits(&self) -> BinaryCrossEntropyWithLogits {
        BinaryCrossEntropyWithLogits { class_weights: self.class_weights.clone() }
    }
}

/// Turns a copy of the logits' sigmoid into the gradient with respect to the logits,
/// `scale · w (p − t) / len`.
pub(super) fn of_sigmoid<T: Element>(sample: Sample<'_, T>, scale: f64, gradient: &mut [T]) {
    let share = sample.share(scale);
    sample.slopes(gradient, |class, p, t| (p - t) * sample.weights.times(class, share));
}

/// Half the distance from 1 to the next number below: the least `1 − p` short of 0.
fn least<T: Element>() -> T {
    T::EPSILON / T::from_f64(4.0)
}

fn larger<T: Element>(x: T, least: T) -> T {
    if x < least { least } else { x }
}
