use serde::{Deserialize, Deserializer, Serialize};
use tensor::Element;

use super::formula::{Domain, Formula, Sample};
use crate::tagged::bounded;

/// Huber's loss (1964): the mean over the outputs of `½ d²` where the difference `d = y − t` is at
/// most δ in absolute value, else of `δ (|d| − ½ δ)`, whose gradient is constant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Huber {
    /// δ, above 0; 1 by default.
    #[serde(deserialize_with = "positive")]
    pub delta: f64,
}

fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    bounded(deserializer, "a finite number above 0", |x| x > 0.0 && x.is_finite())
}

impl Formula for Huber {
    const DEFAULT: Self = Self { delta: 1.0 };
    const NAME: &'static str = "Huber loss";
    const DOMAIN: Domain = Domain::Numbers;

    fn value<T: Element>(&self, sample: Sample<'_, T>) -> f64 {
        let Self { delta } = *self;
        sample.mean(|_, y, t| {
            let distance = (y - t).abs();
            if distance > delta {
                delta * (distance - 0.5 * delta)
            } else {
                0.5 * distance * distance
            }
        })
    }

    fn gradient<T: Element>(&self, sample: Sample<'_, T>, scale: f64, gradient: &mut [T]) {
        let (delta, share) = (T::from_f64(self.delta), sample.share(scale));
        sample.slopes(gradient, |_, y, t| {
            let d = y - t;
            let slope = if d > delta { delta } else { d };
            if slope < -delta { -delta * share } else { slope * share }
        });
    }
}
