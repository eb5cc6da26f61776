//! Numbers that the precision of a run cannot hold.

use anyhow::bail;
use tensor::Element;

use crate::experiment::origin::Step;
use crate::experiment::{Experiment, Origin};

/// The settings that something is divided by, so that they must not become 0.
const DIVISORS: [&str; 2] = ["epsilon", "delta"];

/// Whether a run in this precision has all numbers of its experiment.
///
/// # Errors
/// If one becomes infinite in it, or 0 where it divides; the message names the setting.
pub(super) fn check<T: Element>(experiment: &Experiment, origin: &Origin) -> anyhow::Result<()> {
    let mut numbers = Vec::new();
    collect(&toml::Value::try_from(experiment)?, &mut Vec::new(), &mut numbers);
    for (path, number) in numbers {
        let narrowed = T::from_f64(number).to_f64();
        let divides = path
            .last()
            .is_some_and(|last| matches!(last, Step::Key(key) if DIVISORS.contains(&key.as_str())));
        if narrowed.is_finite() && (number == 0.0 || narrowed != 0.0 || !divides) {
            continue;
        }
        let becomes = if narrowed.is_finite() { "0" } else { "infinite" };
        bail!(
            "{}: expected a number that {} can hold, found {number:?}, which is {becomes} in it; \
             choose another one or precision = \"f64\"",
            origin.setting(experiment, &path),
            T::NAME
        );
    }
    Ok(())
}

/// All numbers with a point, each with the steps to it.
fn collect(value: &toml::Value, path: &mut Vec<Step>, numbers: &mut Vec<(Vec<Step>, f64)>) {
    let mut inside = |step, value| {
        path.push(step);
        collect(value, path, numbers);
        path.pop();
    };
    match value {
        toml::Value::Table(table) => {
            table.iter().for_each(|(key, value)| inside(Step::from(key.as_str()), value));
        }
        toml::Value::Array(items) => {
            items.iter().enumerate().for_each(|(place, value)| inside(Step::Item(place), value));
        }
        toml::Value::Float(number) => numbers.push((path.clone(), *number)),
        _ => {}
    }
}
