use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What the classes of a cross-entropy count, a number from 0 on for each.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassWeights(Arc<[f64]>);

/// What class weights must be.
const EXPECTED: &str = "a list of finite numbers of at least 0, not all of them 0";

impl ClassWeights {
    /// These weights.
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

    /// One for each class.
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

/// Where the key is there.
pub(crate) fn some<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ClassWeights>, D::Error> {
    ClassWeights::deserialize(deserializer).map(Some)
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
