//! The digests that identify a data set.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use layers::sha256;

use super::samples::{Part, Samples};
use crate::escape::Escape;

/// The keys of the data's digests in a model's metadata: of all data, of the training images, of
/// the test images.
const KEYS: [&str; 3] = ["data", "data_train", "data_test"];

/// The digest of MNIST, all of it.
const MNIST: &str = "e8bdbdbee2a19824ccfe8229caab854831d7a4d9348aa58d3d51f43ec473b661";

/// The digests of the data that a model was trained and tested on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    train: String,
    test: String,
}

impl Digests {
    /// The digests of a training and a test set.
    pub fn new(train: &Samples, test: &Samples) -> Self {
        Self { train: train.digest.clone(), test: test.digest.clone() }
    }

    /// Of one part.
    pub fn part(&self, part: Part) -> &str {
        match part {
            Part::Train => &self.train,
            Part::Validation => "",
            Part::Test => &self.test,
        }
    }

    /// The digest of all data: the SHA-256 of both parts' digests, a line each, training first.
    pub fn whole(&self) -> String {
        let Self { train, test } = self;
        sha256(format!("{train}\n{test}\n").as_bytes())
    }

    /// Whether the data are MNIST.
    pub fn are_mnist(&self) -> bool {
        self.whole() == MNIST
    }

    /// The metadata of a model of these data.
    pub fn metadata(&self) -> [(&'static str, String); 3] {
        let [whole, train, test] = KEYS;
        [(whole, self.whole()), (train, self.train.clone()), (test, self.test.clone())]
    }

    /// The digests in a model's metadata, if there are any.
    ///
    /// # Errors
    /// If some are missing, or they contradict one another.
    pub fn from_metadata(metadata: &HashMap<String, String>) -> anyhow::Result<Option<Self>> {
        let found = KEYS.map(|key| metadata.get(key).cloned());
        if found.iter().all(Option::is_none) {
            return Ok(None);
        }
        let expected = || format!("expected the keys {KEYS:?} together in __metadata__");
        let [whole, train, test] = found;
        let (train, test) = train.zip(test).with_context(expected)?;
        let digests = Self { train, test };
        ensure!(
            whole.as_deref() == Some(&*digests.whole()),
            "{:?} in __metadata__: expected {}, the digest of the two parts, found {}",
            KEYS[0],
            digests.whole(),
            whole.as_deref().unwrap_or("none").escaped()
        );
        Ok(Some(digests))
    }
}
