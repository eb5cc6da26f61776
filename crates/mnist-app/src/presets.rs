//! The built-in experiments, one TOML file each.

use anyhow::{Context, anyhow};

use crate::experiment::Experiment;

/// What `train` runs by default.
pub const DEFAULT: &str = "notebook";

/// What it runs by default on data that are named.
pub const OF_OWN_DATA: &str = "pictures";

const PRESETS: &[(&str, &str)] = &[
    ("notebook", include_str!("../presets/notebook.toml")),
    ("notebook-tuned", include_str!("../presets/notebook-tuned.toml")),
    ("lenet", include_str!("../presets/lenet.toml")),
    ("fast", include_str!("../presets/fast.toml")),
    ("tiny", include_str!("../presets/tiny.toml")),
    ("accurate", include_str!("../presets/accurate.toml")),
    ("committee", include_str!("../presets/committee.toml")),
    ("pictures", include_str!("../presets/pictures.toml")),
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
/// If there is no preset of this name.
pub fn experiment(name: &str) -> anyhow::Result<Experiment> {
    let text = text(name).with_context(|| {
        let names: Vec<_> = names().collect();
        format!("expected a preset ({}), found {name:?}", names.join(", "))
    })?;
    Experiment::parse(text).map_err(|error| anyhow!("preset {name}{error}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::experiment::{Experiment, build};

    /// The text of `committee` repeats those of two other experiments.
    #[test]
    fn the_committee_has_two_members_as_accurate_is_and_one_of_another_kind() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configs");
        let accurate = super::experiment("accurate").unwrap();
        let pooled = Experiment::read(&docs.join("accurate-pooled.toml")).unwrap();
        let committee = super::experiment("committee").unwrap();
        assert_eq!(committee.committee.map(usize::from), Some(3));
        for (number, alone) in [(1, &accurate), (2, &accurate), (3, &pooled)] {
            let member = committee.member(number);
            let alone = Experiment {
                name: member.name.clone(),
                description: member.description.clone(),
                seed: alone.seed + number as u64 - 1,
                ..alone.clone()
            };
            assert_eq!(member, alone, "{number}");
        }
    }

    #[test]
    fn every_preset_is_an_experiment_of_its_own_name_that_builds() {
        for name in super::names() {
            let experiment = super::experiment(name).unwrap();
            assert_eq!(experiment.name, name);
            assert!(!experiment.description.is_empty(), "{name}");
            build::parameters(&experiment).unwrap();
        }
    }
}
