//! Where a setting is from: the file of its experiment and the line there, or a flag.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Experiment, line_at};
use crate::networks;

/// A step to a setting, from what it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To what a key is set to.
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
pub(crate) fn line_of(text: &str, path: &[Step]) -> Option<usize> {
    let tree = DeTable::parse(text).ok()?;
    Some(line_at(text, in_table(tree.get_ref(), path)?) + 1)
}

/// `--config FILE, line 3`, with the line if there is a file that has the setting.
pub(crate) fn origin(experiment: &Experiment, config: Option<&Path>, path: &[Step]) -> String {
    let line = text_of(config).and_then(|text| line_of(&text, path));
    let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
    networks::origin(experiment, config) + &line
}

/// The same with the name of the setting, or the flag that has changed it.
pub(crate) fn of_setting(experiment: &Experiment, config: Option<&Path>, path: &[Step]) -> String {
    let name = name(path);
    let flag = || format!("--{}", name.replace('_', "-"));
    let Some(text) = text_of(config) else {
        // No preset asks for what is refused.
        return config
            .map_or_else(flag, |_| format!("{}: {name}", networks::origin(experiment, config)));
    };
    let said = |experiment: &Experiment| value(&toml::Value::try_from(experiment).ok()?, path);
    match Experiment::parse(&text).is_ok_and(|written| said(&written) == said(experiment)) {
        true => format!("{}: {name}", origin(experiment, config, path)),
        false => flag(),
    }
}

/// The text of a file, unless it is a pipe: that has been read, and says nothing any more.
fn text_of(config: Option<&Path>) -> Option<String> {
    std::fs::read_to_string(config.filter(|file| file.is_file())?).ok()
}

/// `layer 2: initial_bias`, `optimizer.epsilon`.
fn name(path: &[Step]) -> String {
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

/// What stands there.
fn value(table: &toml::Value, path: &[Step]) -> Option<toml::Value> {
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
        // A single network is a table, or the only one of a list.
        (DeValue::Table(_), Step::Item(0)) => within(value, rest),
        (DeValue::Array(items), Step::Key(_)) => within(items.first()?, path),
        _ => None,
    }
}
