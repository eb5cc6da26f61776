use serde::{Deserialize, Serialize};
use tensor::Element;

/// How far predictions are from their targets.
///
/// The loss of a sample is a mean over its outputs; that of a batch the mean over its
/// samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// `mean (y − t)²`.
    MeanSquaredError,
    /// `−mean (t ln p + (1 − t) ln(1 − p))` for predictions between 0 and 1.
    ///
    /// Finite for all of them: a logarithm's argument is at least half the distance
    /// from 1 to the next number below it, so that a prediction which has rounded to 0
    /// or 1 counts as one that almost has.
    BinaryCrossEntropy,
}

impl Loss {
    /// The loss of one sample.
    ///
    /// # Panics
    /// If prediction and target differ in length.
    #[track_caller]
    pub fn value<T: Element>(self, prediction: &[T], target: &[T]) -> f64 {
        let pairs = pairs(prediction, target);
        let sum: f64 = match self {
            Self::MeanSquaredError => {
                pairs.map(|(p, t)| (p.to_f64() - t.to_f64()) * (p.to_f64() - t.to_f64())).sum()
            }
            Self::BinaryCrossEntropy => {
                let least = least::<T>().to_f64();
                let ln = |x: f64| libm::log(x.max(least));
                let term = |(p, t): (T, T)| {
                    let (p, t) = (p.to_f64(), t.to_f64());
                    if p.is_nan() || t.is_nan() {
                        return f64::NAN;
                    }
                    // 1 − p is exact in the predictions' own precision, and in f64.
                    t * ln(p) + (1.0 - t) * ln(1.0 - p)
                };
                -pairs.map(term).sum::<f64>()
            }
        };
        sum / prediction.len() as f64
    }

    /// Writes the gradient of `scale · value(prediction, target)`.
    ///
    /// # Panics
    /// If the slices differ in length.
    #[track_caller]
    pub fn gradient<T: Element>(
        self,
        prediction: &[T],
        target: &[T],
        scale: f64,
        gradient: &mut [T],
    ) {
        assert_eq!(gradient.len(), prediction.len(), "loss gradient: length");
        let scale = T::from_f64(scale / prediction.len() as f64);
        for (g, (p, t)) in gradient.iter_mut().zip(pairs(prediction, target)) {
            *g = match self {
                Self::MeanSquaredError => (p - t) * (scale + scale),
                Self::BinaryCrossEntropy => {
                    let (a, b) = (larger(T::ONE - p, least()), larger(p, least()));
                    ((T::ONE - t) / a - t / b) * scale
                }
            };
        }
    }

    /// The gradient with respect to the *input* of a sigmoid whose output is the
    /// prediction, for the binary cross-entropy: `scale · (p − t) / len`. Exact where the
    /// sigmoid has saturated and the product of the two derivatives would be 0 · ∞.
    pub(crate) fn sigmoid_gradient<T: Element>(
        prediction: &[T],
        target: &[T],
        scale: f64,
        gradient: &mut [T],
    ) {
        let scale = T::from_f64(scale / prediction.len() as f64);
        for (g, (p, t)) in gradient.iter_mut().zip(pairs(prediction, target)) {
            *g = (p - t) * scale;
        }
    }
}

/// Half the distance from 1 to the next number below: the least `1 − p` short of 0.
fn least<T: Element>() -> T {
    T::EPSILON / T::from_f64(4.0)
}

fn larger<T: Element>(x: T, least: T) -> T {
    if x < least { least } else { x }
}

#[track_caller]
fn pairs<'a, T: Element>(
    prediction: &'a [T],
    target: &'a [T],
) -> impl Iterator<Item = (T, T)> + 'a {
    assert_eq!(prediction.len(), target.len(), "loss: lengths of prediction and target");
    prediction.iter().copied().zip(target.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::Loss;

    #[test]
    fn values_by_hand() {
        let (p, t) = ([0.8, 0.4], [1.0, 0.0]);
        let bce = -(0.8_f64.ln() + 0.6_f64.ln()) / 2.0;
        assert!((Loss::BinaryCrossEntropy.value(&p, &t) - bce).abs() < 1e-15);
        assert!((Loss::MeanSquaredError.value(&p, &t) - 0.1).abs() < 1e-15);
    }

    #[test]
    fn binary_cross_entropy_is_finite_for_every_prediction() {
        for p in [0.0_f32, 1.0, f32::MIN_POSITIVE, 1e-45, 1.0 - f32::EPSILON / 2.0] {
            for t in [0.0, 1.0, 0.3] {
                let mut gradient = [f32::NAN];
                Loss::BinaryCrossEntropy.gradient(&[p], &[t], 1.0, &mut gradient);
                let value = Loss::BinaryCrossEntropy.value(&[p], &[t]);
                assert!(value.is_finite() && gradient[0].is_finite(), "{p} {t}: {value}");
            }
        }
        assert!(Loss::BinaryCrossEntropy.value(&[f32::NAN], &[1.0]).is_nan());
    }
}
