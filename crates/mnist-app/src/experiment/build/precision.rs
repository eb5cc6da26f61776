//! Settings that the precision of a run cannot represent.

use anyhow::bail;
use tensor::Element;

use crate::experiment::origin::Step;
use crate::experiment::{Experiment, Origin};

/// The settings that are divisors, so that they must not become 0.
const DIVISORS: [&str; 2] = ["epsilon", "delta"];

/// Checks that this precision can represent all numbers of an experiment.
///
/// # Errors
/// If a number becomes infinite in it, or a divisor 0; the message names the setting.
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

/// All floating-point settings, each with its path.
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
