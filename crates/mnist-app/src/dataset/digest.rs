//! The digests that identify a data set.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use layers::sha256;

use super::samples::{Part, Samples};
use crate::escape::Escape;

/// The keys of the data's digests in a model's metadata: of all data, of the training images, of
/// the test images.
const KEYS: [&str; 3] = ["data", "data_train", "data_test"];

/// That of the validation images, where there are some.
const VALIDATION_KEY: &str = "data_validation";

/// What stands for the digest of a part that there is not.
const NO_PART: &str = "none";

/// The digest of MNIST, all of it.
const MNIST: &str = "e8bdbdbee2a19824ccfe8229caab854831d7a4d9348aa58d3d51f43ec473b661";

/// The digests of the data that a model was trained and tested on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    train: String,
    validation: Option<String>,
    test: String,
}

impl Digests {
    /// The digests of a training and a test set, and of a validation set if there is one.
    pub fn new(train: &Samples, validation: Option<&Samples>, test: &Samples) -> Self {
        let digest = |samples: &Samples| samples.digest.clone();
        Self { train: digest(train), validation: validation.map(digest), test: digest(test) }
    }

    /// Of one part; `none` where there is no such part.
    pub fn part(&self, part: Part) -> &str {
        match part {
            Part::Train => &self.train,
            Part::Validation => self.validation.as_deref().unwrap_or(NO_PART),
            Part::Test => &self.test,
        }
    }

    /// The first part whose images are not those of `other`: its name, what is here, and what is
    /// there instead, in words.
    pub(crate) fn difference(&self, other: &Self) -> Option<[String; 3]> {
        let differing = |part: &Part| self.part(*part) != other.part(*part);
        let part = Part::ALL.into_iter().find(differing)?;
        let text = |digest: &str, before: &str| match digest {
            NO_PART => NO_PART.to_owned(),
            digest => format!("{before}sha256 {}", digest.escaped()),
        };
        let name = format!("{} images", part.words());
        Some([name, text(self.part(part), ""), text(other.part(part), "others, ")])
    }

    /// The digest of all data: the SHA-256 of the parts' digests, a line each: training, test, and
    /// validation if there is such a part.
    pub fn whole(&self) -> String {
        let Self { train, validation, test } = self;
        let parts = [Some(train), Some(test), validation.as_ref()].into_iter().flatten();
        sha256(parts.map(|digest| format!("{digest}\n")).collect::<String>().as_bytes())
    }

    /// Whether the data are MNIST.
    pub fn are_mnist(&self) -> bool {
        self.whole() == MNIST
    }

    /// The metadata of a model of these data.
    pub fn metadata(&self) -> Vec<(&'static str, String)> {
        let [whole, train, test] = KEYS;
        let validation = self.validation.clone().map(|digest| (VALIDATION_KEY, digest));
        let all = [(whole, self.whole()), (train, self.train.clone()), (test, self.test.clone())];
        all.into_iter().chain(validation).collect()
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
        let digests = Self { train, validation: metadata.get(VALIDATION_KEY).cloned(), test };
        ensure!(
            whole.as_deref() == Some(&*digests.whole()),
            "{:?} in __metadata__: expected {}, the digest of its parts, found {}",
            KEYS[0],
            digests.whole(),
            whole.as_deref().unwrap_or("none").escaped()
        );
        Ok(Some(digests))
    }
}
