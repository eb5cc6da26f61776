use serde::{Deserialize, Serialize};
use tensor::Element;

use super::formula::{Domain, Formula, Sample};

/// `mean (y − t)²` over the outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeanSquaredError;

impl Formula for MeanSquaredError {
    const DEFAULT: Self = Self;
    const NAME: &'static str = "squared error";
    const DOMAIN: Domain = Domain::Numbers;

    fn value<T: Element>(&self, sample: Sample<'_, T>) -> f64 {
        sample.mean(|_, y, t| (y - t) * (y - t))
    }

    fn gradient<T: Element>(&self, sample: Sample<'_, T>, scale: f64, gradient: &mut [T]) {
        let share = sample.share(scale);
        sample.slopes(gradient, |_, y, t| (y - t) * (share + share));
    }
}
