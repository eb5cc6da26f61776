//! The built-in experiments, one TOML file each.

use anyhow::{Context, anyhow};

use crate::experiment::Experiment;

/// What `train` runs if nothing else is asked for.
pub const DEFAULT: &str = "notebook";

const PRESETS: &[(&str, &str)] = &[
    ("notebook", include_str!("../presets/notebook.toml")),
    ("notebook-tuned", include_str!("../presets/notebook-tuned.toml")),
    ("lenet", include_str!("../presets/lenet.toml")),
    ("fast", include_str!("../presets/fast.toml")),
    ("tiny", include_str!("../presets/tiny.toml")),
    ("accurate", include_str!("../presets/accurate.toml")),
    ("committee", include_str!("../presets/committee.toml")),
];

/// The names of all presets.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|&(name, _)| name)
}

/// The text of a preset.
pub fn text(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(known, _)| *known == name).map(|&(_, text)| text)
}

/// The experiment that a preset defines.
///
/// # Errors
/// If there is none of this name.
pub fn experiment(name: &str) -> anyhow::Result<Experiment> {
    let text = text(name).with_context(|| {
        let names: Vec<_> = names().collect();
        format!("expected a preset ({}), found {name:?}", names.join(", "))
    })?;
    Experiment::parse(text).map_err(|error| anyhow!("preset {name}{error}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_committee_has_members_like_the_accurate_network() {
        let accurate = super::experiment("accurate").unwrap();
        let mut committee = super::experiment("committee").unwrap();
        assert!(committee.committee.take().is_some_and(|members| members.get() > 1));
        committee.name.clone_from(&accurate.name);
        committee.description.clone_from(&accurate.description);
        assert_eq!(committee, accurate);
    }

    #[test]
    fn every_preset_is_an_experiment_of_its_own_name_that_builds() {
        for name in super::names() {
            let experiment = super::experiment(name).unwrap();
            assert_eq!(experiment.name, name);
            assert!(!experiment.description.is_empty(), "{name}");
            crate::networks::build::<f32>(&experiment, None).unwrap();
        }
    }
}
