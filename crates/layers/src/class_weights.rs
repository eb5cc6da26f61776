use std::sync::Mutex;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What the classes of a cross-entropy count, a number from 0 on for each.
///
/// Losses are copied freely, so this is a mere handle: a list that was made once stays in memory
/// as long as the program runs, and a second one of the same numbers is the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassWeights(&'static [f64]);

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
        static ALL: Mutex<Vec<&[f64]>> = Mutex::new(Vec::new());
        let fits = weights.iter().all(|&weight| weight >= 0.0 && weight.is_finite());
        if !fits || weights.iter().all(|&weight| weight == 0.0) {
            return None;
        }
        // A list is in there whole or not at all, so a panic elsewhere has left it usable.
        let mut all = ALL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = all.iter().find(|&&known| known == weights).copied();
        Some(Self(known.unwrap_or_else(|| {
            let new: &'static [f64] = Box::leak(weights.into());
            all.push(new);
            new
        })))
    }

    /// One for each class.
    pub fn as_slice(self) -> &'static [f64] {
        self.0
    }
}

impl Serialize for ClassWeights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
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
    fn the_same_numbers_are_the_same_list() {
        let [a, b] = [(); 2].map(|()| ClassWeights::new(&[1.0, 0.0, 2.5]));
        assert!(std::ptr::eq(a.as_slice(), b.as_slice()));
        assert_ne!(a, ClassWeights::new(&[1.0, 0.0, 2.0]));
        for wrong in ["[]", "[0]", "[1, -1]", "[1e999]", "[true]", "3"] {
            assert!(serde_json::from_str::<ClassWeights>(wrong).is_err(), "{wrong}");
        }
    }
}
