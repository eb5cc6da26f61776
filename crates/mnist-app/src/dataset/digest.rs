//! Which data these are, in 64 hexadecimal digits.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use layers::sha256;

use super::samples::{Part, Samples};
use crate::escape::Escape;

/// The keys of a model's metadata under which the digests of its data are: that of all of
/// them, and those of the images for training and for testing.
const KEYS: [&str; 3] = ["data", "data_train", "data_test"];

/// The digest of MNIST, all of it.
const MNIST: &str = "e8bdbdbee2a19824ccfe8229caab854831d7a4d9348aa58d3d51f43ec473b661";

/// Which data a model was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    train: String,
    test: String,
}

impl Digests {
    /// Of the data that these are the two parts of.
    pub fn new(train: &Samples, test: &Samples) -> Self {
        Self { train: train.digest.clone(), test: test.digest.clone() }
    }

    /// Of one part.
    pub fn part(&self, part: Part) -> &str {
        match part {
            Part::Train => &self.train,
            Part::Test => &self.test,
        }
    }

    /// Of all data: the SHA-256 of both parts' digests, a line each, that of the training
    /// images first.
    pub fn whole(&self) -> String {
        let Self { train, test } = self;
        sha256(format!("{train}\n{test}\n").as_bytes())
    }

    /// Whether the data are MNIST.
    pub fn are_mnist(&self) -> bool {
        self.whole() == MNIST
    }

    /// What a model's file says of its data.
    pub fn metadata(&self) -> [(&'static str, String); 3] {
        let [whole, train, test] = KEYS;
        [(whole, self.whole()), (train, self.train.clone()), (test, self.test.clone())]
    }

    /// What a model's metadata say, if they say something.
    ///
    /// # Errors
    /// If they do not say all of it, or do not agree.
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
