//! How much the samples of each class count in training: numbers, or `"balanced"`.

use std::fmt;

use layers::ClassWeights;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How much the samples of each class count in training.
#[derive(Clone, Debug, PartialEq)]
pub enum Weighting {
    /// So that all classes together count as much as each other.
    Balanced,
    /// A number for each class.
    Given(ClassWeights),
}

/// [`Weighting::Balanced`] in text.
const BALANCED: &str = "balanced";

impl Weighting {
    /// The weights, where there are so many training samples of each class. Balanced, a sample of a
    /// class with `n` of all `N` samples counts `N / (K n)`, where `K` classes have any: scikit-learn's
    /// `class_weight="balanced"`. So each class counts `N / K` in all, and the mean over the samples
    /// is 1. A class without samples has the weight 1.
    pub(crate) fn of(self, counts: &[usize]) -> Self {
        if self != Self::Balanced {
            return self;
        }
        let occurring = counts.iter().filter(|&&count| count > 0).count();
        let all: usize = counts.iter().sum();
        let weight = |&count: &usize| match count {
            0 => 1.0,
            _ => all as f64 / (occurring as f64 * count as f64),
        };
        Self::Given(ClassWeights::new(&counts.iter().map(weight).collect::<Vec<_>>()))
    }

    /// The numbers, where they are known.
    pub(crate) fn given(&self) -> Option<&ClassWeights> {
        match self {
            Self::Balanced => None,
            Self::Given(weights) => Some(weights),
        }
    }
}

impl Serialize for Weighting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Balanced => serializer.serialize_str(BALANCED),
            Self::Given(weights) => weights.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Weighting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameOrNumbers)
    }
}

struct NameOrNumbers;

impl<'de> Visitor<'de> for NameOrNumbers {
    type Value = Weighting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"balanced\", or a list of finite numbers of at least 0, not all of them 0")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Weighting, E> {
        match text {
            BALANCED => Ok(Weighting::Balanced),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Weighting, A::Error> {
        ClassWeights::deserialize(SeqAccessDeserializer::new(list)).map(Weighting::Given)
    }
}

#[cfg(test)]
mod tests {
    use layers::ClassWeights;

    use super::Weighting;

    /// The numbers are those of scikit-learn's
    /// `compute_class_weight("balanced", classes=[0, 1, 3], y=[0] * 6 + [1] * 3 + [3])`.
    #[test]
    fn each_class_counts_as_much_as_each_other_one() {
        let weights = Weighting::Balanced.of(&[6, 3, 0, 1]);
        let expected = [10.0 / 18.0, 10.0 / 9.0, 1.0, 10.0 / 3.0];
        assert_eq!(weights, Weighting::Given(ClassWeights::new(&expected)));
        let given = Weighting::Given(ClassWeights::new(&[1.0, 2.0]));
        assert_eq!(given.clone().of(&[6, 3]), given);
    }

    #[test]
    fn text_is_a_name_or_a_list() {
        let read = |text: &str| serde_json::from_str::<Weighting>(text);
        for text in ["\"balanced\"", "[1.0,0.0,2.5]"] {
            assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
        }
        for wrong in ["\"balance\"", "[]", "[0]", "[1, -1]", "[\"a\"]", "3", "true"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
