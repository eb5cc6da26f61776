//! What the labels of a data set mean.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;

use anyhow::{Context, ensure};

use crate::escape::{Escape, quoted};

/// The key of the class names in a model's metadata.
const CLASSES: &str = "classes";

/// The classes of a data set; a label is an index into this list. A class is identified by its
/// name: where data meet a model or other data, labels are translated by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Classes {
    /// A number of classes, whose names are the numbers from 0 on.
    Numbered(usize),
    /// Their names, in the order of their labels.
    Named(Vec<String>),
}

/// All names, or the first of them if there are many.
impl fmt::Display for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 20;
        let names: Vec<_> =
            (0..self.count().min(MOST)).map(|label| self.name(label).escaped()).collect();
        f.write_str(&names.join(", "))?;
        match self.count() {
            0..=MOST => Ok(()),
            count => write!(f, ", … ({count} in all)"),
        }
    }
}

impl Classes {
    /// The most classes: a label is a byte.
    pub const MOST: usize = 256;

    /// The classes of these names.
    ///
    /// # Errors
    /// If there are none or too many, or a name is repeated, empty, or contains control characters.
    pub fn named(names: &[String]) -> anyhow::Result<Self> {
        let count = names.len();
        let most = Self::MOST;
        ensure!((1..=most).contains(&count), "expected from 1 to {most} names, found {count}");
        let mut known = HashSet::new();
        for name in names {
            let is_name = !name.is_empty() && !name.contains(char::is_control);
            ensure!(
                is_name,
                "expected names with at least one character and no control characters, found {}",
                quoted(name)
            );
            ensure!(known.insert(name), "expected each name once, found {} twice", quoted(name));
        }
        Ok(Self::Named(names.to_vec()))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Numbered(count) => *count,
            Self::Named(names) => names.len(),
        }
    }

    /// Whether they are known by their numbers alone.
    pub fn is_numbered(&self) -> bool {
        matches!(self, Self::Numbered(_))
    }

    /// The name of a label: its number, if the classes have no names.
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

    /// Whether others have the same names, in any order.
    pub fn same_names(&self, other: &Self) -> bool {
        let is_there = |label| other.label(&self.name(label)).is_some();
        self.count() == other.count() && (0..self.count()).all(is_there)
    }

    /// Whether every name is the label's number.
    pub fn are_numbers(&self) -> bool {
        (0..self.count()).all(|label| self.name(label) == label.to_string())
    }

    /// The metadata of a model with these classes; nothing if their names are their numbers.
    pub fn metadata(&self) -> Option<(&'static str, String)> {
        let Self::Named(names) = self else { return None };
        let names = serde_json::Value::from(names.as_slice()).to_string();
        (!self.are_numbers()).then_some((CLASSES, names))
    }

    /// The classes of a model with so many outputs, from its file's metadata.
    ///
    /// # Errors
    /// If the metadata names classes, but not one for each output.
    pub fn from_metadata(
        metadata: &HashMap<String, String>,
        outputs: usize,
    ) -> anyhow::Result<Self> {
        let Some(text) = metadata.get(CLASSES) else { return Ok(Self::Numbered(outputs)) };
        let place = || format!("{CLASSES:?} in __metadata__");
        let names: Vec<String> = serde_json::from_str(text)
            .with_context(|| format!("{}: expected a list of names", place()))?;
        ensure!(
            names.len() == outputs,
            "{}: expected {outputs} names, one for each output, found {}",
            place(),
            names.len()
        );
        Self::named(&names).with_context(place)
    }
}

/// The order of a data set's class names: numeric if all are numbers, else by their bytes.
pub(super) fn order(names: &[String]) -> fn(&str, &str) -> Ordering {
    let is_number = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
    if names.iter().all(is_number) { by_number } else { str::cmp }
}

/// Numeric order for numbers of any length; equal ones by their bytes.
fn by_number(a: &str, b: &str) -> Ordering {
    let [digits_a, digits_b] = [a, b].map(|name| name.trim_start_matches('0'));
    let by_length = digits_a.len().cmp(&digits_b.len());
    by_length.then_with(|| digits_a.cmp(digits_b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::{Classes, order};

    fn sorted(names: &[&str]) -> Vec<String> {
        let mut names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let order = order(&names);
        names.sort_by(|a, b| order(a, b));
        names
    }

    #[test]
    fn numbers_sort_as_numbers_and_other_names_by_their_bytes() {
        let all: Vec<_> = (0..12).map(|number: usize| number.to_string()).collect();
        let bytes = ["0", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9"];
        assert_eq!(sorted(&bytes), all);
        let long = "9".repeat(40);
        assert_eq!(sorted(&["10", &long, "007", "7", "0"]), ["0", "007", "7", "10", &*long]);
        // With one name that is not a number, all are compared as text.
        assert_eq!(sorted(&["9", "10", "a"]), ["10", "9", "a"]);
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(Classes::Numbered(3).to_string(), "0, 1, 2");
        assert!(Classes::Numbered(256).to_string().ends_with(", 19, … (256 in all)"));
    }

    #[test]
    fn names_are_told_apart() {
        let named = |names: &[&str]| {
            Classes::named(&names.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert!(named(&["ant", "bee"]).is_ok());
        for (names, part) in [
            (&["a", "b", "a"][..], "\"a\" twice"),
            (&[][..], "found 0"),
            (&["a", ""][..], "found \"\""),
            (&["a\n"][..], "found \"a\\n\""),
        ] {
            let complaint = named(names).unwrap_err().to_string();
            assert!(complaint.contains(part), "{complaint}");
        }
    }
}
