//! What is claimed and what was found instead.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::train::metrics::{EpochMetrics, Score};

/// A claim that is not true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    pub(super) key: String,
    pub(super) claimed: String,
    pub(super) found: String,
}

impl Difference {
    pub(super) fn new(key: &str, claimed: &str, found: &str) -> Self {
        Self { key: key.to_owned(), claimed: claimed.to_owned(), found: found.to_owned() }
    }

    /// If two numbers are not the same to the last bit.
    fn of_bits(key: &str, claimed: f64, found: f64) -> Option<Self> {
        let texts = [claimed, found].map(|number| format!("{number:?}"));
        (claimed.to_bits() != found.to_bits()).then(|| Self::new(key, &texts[0], &texts[1]))
    }
}

/// How what stands under each key differs.
pub(super) fn of_texts(
    claimed: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
) -> Vec<Difference> {
    let keys: BTreeSet<_> = claimed.keys().chain(found.keys()).collect();
    let differing = keys.into_iter().filter(|key| claimed.get(*key) != found.get(*key));
    let difference = |key: &String| {
        let [claimed, found] =
            [claimed, found].map(|texts| texts.get(key).map_or("none", |text| text));
        Difference::new(key, claimed, found)
    };
    differing.map(difference).collect()
}

/// How two lines of metrics differ in what decides their receipt, and in that.
pub(super) fn differences(claimed: &EpochMetrics, found: &EpochMetrics) -> Vec<Difference> {
    let count = |key: &str, claimed: usize, found: usize| {
        let texts = [claimed, found].map(|number| number.to_string());
        (claimed != found).then(|| Difference::new(key, &texts[0], &texts[1]))
    };
    let text = |key: &str, claimed: &str, found: &str| {
        (claimed != found).then(|| Difference::new(key, claimed, found))
    };
    let bits = Difference::of_bits;
    let scores =
        [("validation", claimed.validation, found.validation), ("test", claimed.test, found.test)];
    let scores =
        scores.into_iter().flat_map(|(part, claimed, found)| of_scores(part, claimed, found));
    let number = |number: Option<usize>| number.map_or("none".to_owned(), |n| n.to_string());
    let best = (number(claimed.best_epoch), number(found.best_epoch));
    let before = [
        count("epoch", claimed.epoch, found.epoch),
        bits("train_error", claimed.train_error, found.train_error),
    ];
    let after = [
        text("best_epoch", &best.0, &best.1),
        bits("learning_rate", claimed.learning_rate, found.learning_rate),
        text("weights_sha256", &claimed.weights_sha256, &found.weights_sha256),
        text("receipt", &claimed.receipt, &found.receipt),
    ];
    let before = before.into_iter().flatten();
    before.chain(scores).chain(after.into_iter().flatten()).collect()
}

/// How two scores of a part differ.
fn of_scores(part: &str, claimed: Option<Score>, found: Option<Score>) -> Vec<Difference> {
    let texts = |score: Option<Score>| match score {
        Some(Score { error, correct, total }) => {
            [format!("{error:?}"), correct.to_string(), total.to_string()]
        }
        None => ["none", "none", "none"].map(str::to_owned),
    };
    let keys = ["error", "correct", "total"].map(|key| format!("{part}_{key}"));
    let pairs = texts(claimed).into_iter().zip(texts(found));
    let differing = keys.iter().zip(pairs).filter(|(_, (claimed, found))| claimed != found);
    differing.map(|(key, (claimed, found))| Difference::new(key, &claimed, &found)).collect()
}
