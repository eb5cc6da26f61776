use serde::{Deserialize, Serialize};
use tensor::Element;
use tensor::activation::{Activation, Sigmoid};

use super::class_weights::{self, ClassWeights, weighted};
use super::formula::{Domain, Formula, Sample};

/// `−mean w (t ln p + (1 − t) ln(1 − p))` over the outputs, for predictions between 0 and 1.
///
/// The class weights `w` are 1 by default; for one sample they are PyTorch's `weight`. Each class
/// is an output of its own, since a sample may have several: its weight counts whether the sample
/// has the class or not.
///
/// The loss is finite for all predictions: a logarithm's argument is at least half the distance
/// from 1 to the next smaller number, so a prediction that was rounded to 0 or 1 counts as one just
/// short of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BinaryCrossEntropy {
    /// `w`, one number for each output.
    #[serde(deserialize_with = "class_weights::some", skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
}

/// [`BinaryCrossEntropy`] of logits: `p = 1 / (1 + exp −x)`, exact for logits of any size. For
/// infinite ones it is the limit: a logit of −∞ with the target 0 costs nothing.
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
            // 1 − p is exact in the precision of the predictions, and in f64.
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
    /// The same loss as a function of the logits whose sigmoids are the predictions.
    pub(super) fn of_logits(&self) -> BinaryCrossEntropyWithLogits {
        BinaryCrossEntropyWithLogits { class_weights: self.class_weights.clone() }
    }
}

/// Overwrites a copy of the predictions, which are sigmoids of logits, with the gradient with
/// respect to the logits, `scale · w (p − t) / len`.
pub(super) fn of_sigmoid<T: Element>(sample: Sample<'_, T>, scale: f64, gradient: &mut [T]) {
    let share = sample.share(scale);
    sample.slopes(gradient, |class, p, t| (p - t) * sample.weights.times(class, share));
}

/// Half the distance from 1 to the next smaller number: what `1 − p` is raised to.
fn least<T: Element>() -> T {
    T::EPSILON / T::from_f64(4.0)
}

fn larger<T: Element>(x: T, least: T) -> T {
    if x < least { least } else { x }
}
