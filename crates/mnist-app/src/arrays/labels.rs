//! What each picture of a file shows.

use std::collections::HashMap;

use anyhow::{anyhow, ensure};

use crate::dataset::Classes;
use crate::escape::quoted;

/// The longest word.
const MOST_BYTES: usize = 4096;

/// A label of each picture: the words that stand for the classes, and which of them it is.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    words: Vec<String>,
    each: Vec<u8>,
    known: HashMap<String, u8>,
}

impl Labels {
    /// Adds the label of the next picture.
    ///
    /// # Errors
    /// If it is empty, too long, has control characters, or is one class too many.
    pub(super) fn push(&mut self, word: &str) -> anyhow::Result<()> {
        let most = Classes::MOST;
        if let Some(&place) = self.known.get(word) {
            self.each.push(place);
            return Ok(());
        }
        ensure!(
            word.len() <= MOST_BYTES,
            "expected a label of at most {MOST_BYTES} bytes, found one of {}",
            word.len()
        );
        ensure!(
            !word.is_empty() && !word.contains(char::is_control),
            "expected a label, a number or a name without control characters, found {}",
            quoted(word)
        );
        let place = u8::try_from(self.words.len()).map_err(|_| {
            anyhow!("expected at most {most} classes, found one more: {}", quoted(word))
        })?;
        self.words.push(word.to_owned());
        self.known.insert(word.to_owned(), place);
        self.each.push(place);
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.each.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// The words, each once, in the order in which they first appeared.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The place of each picture's word among them.
    pub fn places(&self) -> &[u8] {
        &self.each
    }
}
