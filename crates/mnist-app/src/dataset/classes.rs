//! What the labels of a data set mean.

use std::collections::HashMap;

use anyhow::{Context, ensure};

/// The key of a model's metadata under which the names of its classes are.
const CLASSES: &str = "classes";

/// The classes of a data set; a label is a place in this list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Classes {
    /// So many of them, without names.
    Numbered(usize),
    /// Their names, in the order of their labels.
    Named(Vec<String>),
}

impl Classes {
    /// How many there can be: a label is a byte.
    pub const MOST: usize = 256;

    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Numbered(count) => *count,
            Self::Named(names) => names.len(),
        }
    }

    /// The name of a label: its number, if there is no other.
    pub fn name(&self, label: usize) -> String {
        match self {
            Self::Numbered(_) => label.to_string(),
            Self::Named(names) => names[label].clone(),
        }
    }

    /// The label of this name.
    pub fn label(&self, name: &str) -> Option<usize> {
        (0..self.count()).find(|&label| self.name(label) == name)
    }

    /// Whether every name is the label's number.
    pub fn are_numbers(&self) -> bool {
        (0..self.count()).all(|label| self.name(label) == label.to_string())
    }

    /// What a model's file says of its classes; nothing if their names are numbers.
    pub fn metadata(&self) -> Option<(&'static str, String)> {
        let Self::Named(names) = self else { return None };
        let names = serde_json::Value::from(names.as_slice()).to_string();
        (!self.are_numbers()).then_some((CLASSES, names))
    }

    /// The classes of a model with so many outputs, from its file's metadata.
    ///
    /// # Errors
    /// If the metadata names classes, but not one for each output.
    pub fn of_model(metadata: &HashMap<String, String>, outputs: usize) -> anyhow::Result<Self> {
        let Some(text) = metadata.get(CLASSES) else { return Ok(Self::Numbered(outputs)) };
        let names: Vec<String> = serde_json::from_str(text)
            .with_context(|| format!("{CLASSES:?} in __metadata__: expected a list of names"))?;
        ensure!(
            names.len() == outputs,
            "{CLASSES:?} in __metadata__: expected {outputs} names, one for each output, found {}",
            names.len()
        );
        Ok(Self::Named(names))
    }
}
