use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tensor::Element;

/// The weights of the classes in a cross-entropy, a number of at least 0 for each.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassWeights(Arc<[f64]>);

/// What class weights must be.
const EXPECTED: &str = "a list of finite numbers of at least 0, not all of them 0";

impl ClassWeights {
    /// Class weights with these values.
    ///
    /// # Panics
    /// If one is negative or not finite, or all are 0.
    #[track_caller]
    pub fn new(weights: &[f64]) -> Self {
        Self::checked(weights)
            .unwrap_or_else(|| panic!("ClassWeights: expected {EXPECTED}, got {weights:?}"))
    }

    fn checked(weights: &[f64]) -> Option<Self> {
        let fits = weights.iter().all(|&weight| weight >= 0.0 && weight.is_finite());
        (fits && weights.iter().any(|&weight| weight > 0.0)).then(|| Self(weights.into()))
    }

    /// The weights, one for each class.
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }
}

impl Serialize for ClassWeights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ClassWeights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let weights = Vec::<f64>::deserialize(deserializer)?;
        let refused = || de::Error::invalid_value(de::Unexpected::Seq, &EXPECTED);
        Self::checked(&weights).ok_or_else(refused)
    }
}

/// Reads class weights where the key is present.
pub(super) fn some<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ClassWeights>, D::Error> {
    ClassWeights::deserialize(deserializer).map(Some)
}

/// The weight of each class; 1 if there are no class weights.
#[derive(Clone, Copy)]
pub struct Weights<'a>(Option<&'a [f64]>);

impl<'a> Weights<'a> {
    #[track_caller]
    pub(super) fn of(weights: Option<&'a ClassWeights>, classes: usize) -> Self {
        let weights = weights.map(ClassWeights::as_slice);
        let count = weights.map_or(classes, <[f64]>::len);
        assert_eq!(count, classes, "loss: class weights of as many classes as there are");
        Self(weights)
    }

    pub(super) fn of_class(self, class: usize) -> f64 {
        self.0.map_or(1.0, |weights| weights[class])
    }

    /// `x` times the weight of the class.
    pub(super) fn times<T: Element>(self, class: usize, x: T) -> T {
        self.0.map_or(x, |weights| x * T::from_f64(weights[class]))
    }
}

/// `weight · cost`; 0 if the weight is 0, even if the cost is infinite.
pub(super) fn weighted(weight: f64, cost: f64) -> f64 {
    if weight == 0.0 && cost == f64::INFINITY { 0.0 } else { weight * cost }
}

#[cfg(test)]
mod tests {
    use super::ClassWeights;

    #[test]
    fn text_is_a_list_of_numbers_that_can_be_weights() {
        let read = |text: &str| serde_json::from_str::<ClassWeights>(text);
        let weights = ClassWeights::new(&[1.0, 0.0, 2.5]);
        assert_eq!(read("[1, 0, 2.5]").unwrap(), weights);
        assert_eq!(read(&serde_json::to_string(&weights).unwrap()).unwrap(), weights);
        for wrong in ["[]", "[0]", "[1, -1]", "[1e999]", "[true]", "3"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
