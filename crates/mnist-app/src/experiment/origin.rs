//! Where a setting stands: in which file and on which line, or in a flag.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::complaint::line_at;
use super::networks::NetworkNumber;
use crate::escape::Escape;

/// Where an experiment is from. Prints as `--config FILE`, `preset NAME` or
/// the file of a run.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    name: String,
    /// None of a preset: no preset asks for what is refused.
    file: Option<Written>,
}

/// What a file says.
#[derive(Clone, Debug)]
struct Written {
    text: String,
    /// The experiment in it.
    experiment: Option<toml::Value>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Origin {
    /// The preset of this name.
    pub(crate) fn preset(name: &str) -> Self {
        Self { name: format!("preset {}", name.escaped()), file: None }
    }

    /// A file with the text of this experiment.
    pub(super) fn file(path: &Path, text: String, experiment: &impl Serialize) -> Self {
        let experiment = toml::Value::try_from(experiment).ok();
        Self {
            name: format!("--config {}", path.escaped()),
            file: Some(Written { text, experiment }),
        }
    }

    /// The file of a run that goes on, with the text of this experiment.
    pub(crate) fn run(path: &Path, text: String, experiment: &impl Serialize) -> Self {
        Self { name: path.escaped(), ..Self::file(path, text, experiment) }
    }

    /// `--config FILE, line 3`, with the line if there is a file that has the setting.
    pub(crate) fn line(&self, path: &[Step]) -> String {
        let line = self.file.as_ref().and_then(|file| line_of(&file.text, path));
        let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        format!("{self}{line}")
    }

    /// The same with the name of the setting; or the flag, if one changed it in `experiment`.
    pub(crate) fn setting(&self, experiment: &impl Serialize, path: &[Step]) -> String {
        let name = name(path);
        let now = toml::Value::try_from(experiment).ok();
        let now = now.as_ref().and_then(|now| value(now, path));
        let is_written = |file: &Written| {
            file.experiment.as_ref().and_then(|written| value(written, path)) == now
        };
        match self.file.as_ref().is_some_and(is_written) {
            true => format!("{}: {name}", self.line(path)),
            false => format!("--{}", name.replace('_', "-")),
        }
    }

    /// `--config FILE, line 30: network 2 of 3`, with the line if there is a file: that of the
    /// layer, or of the network's input if `layer` is none.
    pub(crate) fn network(&self, number: NetworkNumber, layer: Option<usize>) -> String {
        format!("{}: {number}", self.line(&path_to(number.network, layer)))
    }
}

/// A step from a table or list to a setting in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To the value of a key.
    Key(String),
    /// To an item of a list, counted from 0.
    Item(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

/// The line, counted from 1, on which a setting begins in an experiment's text.
fn line_of(text: &str, path: &[Step]) -> Option<usize> {
    let tree = DeTable::parse(text).ok()?;
    Some(line_at(text, in_table(tree.get_ref(), path)?) + 1)
}

/// The steps to a layer of a network, counted from 1; or to its input if `layer` is none.
fn path_to(network: usize, layer: Option<usize>) -> Vec<Step> {
    let network = ["network".into(), Step::Item(network - 1)];
    let part = match layer {
        Some(index) => vec!["layers".into(), Step::Item(index)],
        None => vec!["input".into()],
    };
    network.into_iter().chain(part).collect()
}

/// `layer 2: initial_bias`, `optimizer.epsilon`.
pub(super) fn name(path: &[Step]) -> String {
    let mut name = String::new();
    let mut steps = path.iter().peekable();
    while let Some(step) = steps.next() {
        match (step, steps.peek()) {
            (Step::Key(key), Some(Step::Item(place))) if key == "layers" => {
                name += &format!("layer {place}: ");
                steps.next();
            }
            (Step::Key(key), Some(_)) if key == "network" => {}
            (Step::Key(key), Some(Step::Key(_))) => name += &format!("{key}."),
            (Step::Key(key), _) => name += key,
            (Step::Item(place), _) => name += &format!(" item {place}"),
        }
    }
    name.trim_start().to_owned()
}

/// The value at a path.
pub(super) fn value(table: &toml::Value, path: &[Step]) -> Option<toml::Value> {
    let value = path.iter().try_fold(table, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Item(place) => value.get(place),
    });
    value.cloned()
}

fn in_table(table: &DeTable<'_>, path: &[Step]) -> Option<usize> {
    let (Step::Key(key), rest) = path.split_first()? else { return None };
    within(table.get(key.as_str())?, rest)
}

fn within(value: &Spanned<DeValue<'_>>, path: &[Step]) -> Option<usize> {
    let Some((step, rest)) = path.split_first() else { return Some(value.span().start) };
    match (value.get_ref(), step) {
        (DeValue::Table(table), Step::Key(_)) => in_table(table, path),
        (DeValue::Array(items), Step::Item(place)) => within(items.get(*place)?, rest),
        // A single network is a table, or the only item of a list.
        (DeValue::Table(_), Step::Item(0)) => within(value, rest),
        (DeValue::Array(items), Step::Key(_)) => within(items.first()?, path),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{line_of, path_to};
    use crate::presets;

    fn line_in_network(text: &str, network: usize, layer: Option<usize>) -> Option<usize> {
        line_of(text, &path_to(network, layer))
    }

    #[test]
    fn layers_and_inputs_have_lines() {
        let text = presets::text("notebook").unwrap();
        let line = |layer| text.lines().nth(line_in_network(text, 1, layer).unwrap() - 1).unwrap();
        assert!(line(Some(0)).contains("conv2d"), "{:?}", line(Some(0)));
        assert!(line(Some(6)).contains("sigmoid"), "{:?}", line(Some(6)));
        assert!(line(None).starts_with("input"), "{:?}", line(None));
        assert_eq!(line_in_network(text, 1, Some(7)), None);
        assert_eq!(line_in_network(text, 2, Some(0)), None);
    }

    #[test]
    fn each_of_several_networks_has_lines_of_its_own() {
        let text = "[[network]]\ninput = [4]\nlayers = [{ type = \"relu\" }]\n\n[[network]]\n\
                    layers = [\n    { type = \"relu\" },\n    { type = \"tanh\" },\n]\n\
                    input = [4]\n[[network]]\ninput = [4]\n[[network.layers]]\ntype = \"relu\"\n";
        let lines = [(1, None), (1, Some(0)), (2, None), (2, Some(1)), (3, None), (3, Some(0))];
        let found = lines.map(|(network, layer)| line_in_network(text, network, layer));
        assert_eq!(found, [2, 3, 10, 8, 12, 13].map(Some));
    }
}
