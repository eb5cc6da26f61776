//! What of an experiment decides the numbers that come out: a run that goes on must have the same.

use layers::sha256;

use super::data::DataKeys;
use super::keys::Experiment;
use super::origin::{Step, name, value};

/// A setting that differs between two experiments.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    /// Where it stands.
    pub(crate) path: Vec<Step>,
    /// `batch_size: expected 20, found 32`.
    pub(crate) text: String,
}

impl Experiment {
    /// The SHA-256 of what decides the numbers of a run, epoch by epoch: the experiment in TOML
    /// without its name and description, where its data are (which have digests of their own), where
    /// the initial weights are (whose SHA-256 counts), the accuracy and the patience at
    /// which it stops, and the number of epochs, unless the schedule depends on it.
    ///
    /// # Errors
    /// If something in it cannot be written as TOML.
    pub(crate) fn digest(&self) -> anyhow::Result<String> {
        Ok(sha256(self.identity().to_toml()?.as_bytes()))
    }

    /// The first setting that decides numbers and differs in `other`, if one does.
    ///
    /// # Errors
    /// If something cannot be written as TOML.
    pub(crate) fn difference(&self, other: &Self) -> anyhow::Result<Option<Difference>> {
        let tree = |experiment: &Self| toml::Value::try_from(experiment.identity());
        let (expected, found) = (tree(self)?, tree(other)?);
        let mut path = Vec::new();
        if !differ(&expected, &found, &mut path) {
            return Ok(None);
        }
        let text = |tree| match value(tree, &path) {
            Some(toml::Value::Table(_) | toml::Value::Array(_)) => "another one".to_owned(),
            Some(value) => value.to_string(),
            None => "none".to_owned(),
        };
        let text = format!("{}: expected {}, found {}", name(&path), text(&expected), text(&found));
        Ok(Some(Difference { path, text }))
    }

    fn identity(&self) -> Self {
        let mut identity = Self {
            name: String::new(),
            description: String::new(),
            data: self.data.as_ref().and_then(DataKeys::identity),
            target_accuracy: None,
            patience: None,
            ..self.clone()
        };
        // What is in the file counts, not where it is.
        if self.initial_weights_sha256.is_some() {
            identity.initial_weights = None;
        }
        if !self.schedule.depends_on_length() {
            identity.epochs = std::num::NonZeroUsize::MIN;
        }
        identity
    }
}

/// Whether two values differ; if so, `path` leads to the first difference.
fn differ(a: &toml::Value, b: &toml::Value, path: &mut Vec<Step>) -> bool {
    let inside = |step: Step, pair: [Option<&toml::Value>; 2], path: &mut Vec<Step>| {
        path.push(step);
        let differs = match pair {
            [Some(a), Some(b)] => differ(a, b, path),
            _ => true,
        };
        if !differs {
            path.pop();
        }
        differs
    };
    match (a, b) {
        (toml::Value::Table(a), toml::Value::Table(b)) => {
            let mut keys: Vec<_> = a.keys().chain(b.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            keys.into_iter().any(|key| inside(key.as_str().into(), [a.get(key), b.get(key)], path))
        }
        (toml::Value::Array(a), toml::Value::Array(b)) => (0..a.len().max(b.len()))
            .any(|place| inside(Step::Item(place), [a.get(place), b.get(place)], path)),
        _ => a != b,
    }
}

#[cfg(test)]
mod tests {
    use crate::experiment::Experiment;
    use crate::presets;

    fn notebook(from: &str, to: &str) -> Experiment {
        let text = presets::text("notebook").unwrap();
        Experiment::parse(&text.replace(from, to)).unwrap()
    }

    #[test]
    fn what_decides_no_number_makes_no_difference() {
        let experiment = notebook("", "");
        for (from, to) in [
            ("\"notebook\"", "\"other\""),
            ("seed = 0", "target_accuracy = 0.5\npatience = 3\ndata = \"images\"\nseed = 0"),
            ("epochs = 15", "epochs = 20"),
        ] {
            let other = notebook(from, to);
            assert_ne!(other, experiment);
            assert_eq!(experiment.difference(&other).unwrap(), None);
            assert_eq!(experiment.digest().unwrap(), other.digest().unwrap());
        }
    }

    #[test]
    fn what_decides_numbers_is_named() {
        let experiment = notebook("", "");
        for (from, to, expected) in [
            ("seed = 0", "seed = 1", "seed: expected 0, found 1"),
            ("batch_size = 1", "batch_size = 2", "batch_size: expected 1, found 2"),
            ("seed = 0", "clip_norm = 1.0", "clip_norm: expected none, found 1.0"),
            ("seed = 0", "keep = \"best\"", "keep: expected none, found \"best\""),
            ("size = 3", "size = 5", "layer 0: size: expected 3, found 5"),
            ("\"tanh\"", "\"relu\"", "layer 4: type: expected \"tanh\", found \"relu\""),
            (
                "optimizer = { type = \"sgd\" }",
                "optimizer = { type = \"sgd\", momentum = 0.5 }",
                "optimizer.momentum: expected 0.0, found 0.5",
            ),
        ] {
            let other = notebook(from, to);
            let found = experiment.difference(&other).unwrap().map(|found| found.text);
            assert_eq!(found.as_deref(), Some(expected));
            assert_ne!(experiment.digest().unwrap(), other.digest().unwrap());
        }
        let cosine = |epochs| {
            let mut experiment = notebook("seed = 0", "schedule = \"cosine\"");
            experiment.epochs = epochs;
            experiment
        };
        let [short, long] = [15, 20].map(|epochs| cosine(epochs.try_into().unwrap()));
        let found = short.difference(&long).unwrap().map(|found| found.text);
        assert_eq!(found.as_deref(), Some("epochs: expected 15, found 20"));
    }
}
