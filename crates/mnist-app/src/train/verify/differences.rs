//! What is claimed and what was found instead.

use serde::Serialize;

use crate::train::metrics::EpochMetrics;

/// A claim that is not true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    pub(super) key: &'static str,
    pub(super) claimed: String,
    pub(super) found: String,
}

impl Difference {
    pub(super) fn new(key: &'static str, claimed: &str, found: &str) -> Self {
        Self { key, claimed: claimed.to_owned(), found: found.to_owned() }
    }

    /// If two numbers are not the same to the last bit.
    pub(super) fn of_bits(key: &'static str, claimed: f64, found: f64) -> Option<Self> {
        let texts = [claimed, found].map(|number| format!("{number:?}"));
        (claimed.to_bits() != found.to_bits()).then(|| Self::new(key, &texts[0], &texts[1]))
    }
}

/// How two lines of metrics differ in what decides their receipt, and in that.
pub(super) fn differences(claimed: &EpochMetrics, found: &EpochMetrics) -> Vec<Difference> {
    let count = |key, claimed: usize, found: usize| {
        let texts = [claimed, found].map(|number| number.to_string());
        (claimed != found).then(|| Difference::new(key, &texts[0], &texts[1]))
    };
    let text = |key, claimed: &str, found: &str| {
        (claimed != found).then(|| Difference::new(key, claimed, found))
    };
    let bits = Difference::of_bits;
    let all = [
        count("epoch", claimed.epoch, found.epoch),
        bits("train_error", claimed.train_error, found.train_error),
        bits("test_error", claimed.test_error, found.test_error),
        count("test_correct", claimed.test_correct, found.test_correct),
        count("test_total", claimed.test_total, found.test_total),
        bits("learning_rate", claimed.learning_rate, found.learning_rate),
        text("weights_sha256", &claimed.weights_sha256, &found.weights_sha256),
        text("receipt", &claimed.receipt, &found.receipt),
    ];
    all.into_iter().flatten().collect()
}
