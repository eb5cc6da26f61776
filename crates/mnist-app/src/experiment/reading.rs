//! An experiment from a file or a text, and back.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use toml::de::DeTable;

use super::complaint::ParseError;
use super::deserializer;
use super::keys::Experiment;
use super::origin::Origin;
use super::values::in_name;
use crate::escape::Escape;
use crate::input::{Input, or_if_missing, require_utf8};
use crate::memory;

impl Experiment {
    /// The experiment in a file.
    ///
    /// # Errors
    /// If the file cannot be read or is no experiment; the message names file, line and
    /// key.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        Ok(Self::read_with_origin(path)?.0)
    }

    /// The same, and where its settings stand.
    pub(crate) fn read_with_origin(path: &Path) -> anyhow::Result<(Self, Origin)> {
        let file = path.escaped();
        let text = text_of(path)
            .map_err(|error| {
                or_if_missing(error, "name an experiment's file, or one built in with --preset")
            })
            .with_context(|| format!("--config {file}"))?;
        let mut experiment =
            Self::parse(&text).map_err(|error| anyhow!("--config {file}{error}"))?;
        if experiment.name.is_empty() {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let kept = |c: char| if in_name(c) && c != '.' { c } else { '-' };
            experiment.name = stem.chars().map(kept).collect();
        }
        // A relative path starts where the file is.
        let folder = path.parent().unwrap_or(Path::new(""));
        let Self { data, initial_weights, .. } = &mut experiment;
        let data = data.as_mut().and_then(|data| data.path.as_mut());
        for (key, path) in [("data", data), ("initial_weights", initial_weights.as_mut())] {
            let Some(path) = path else { continue };
            *path = absolute(&folder.join(&*path));
            require_utf8(key, path).with_context(|| format!("--config {file}"))?;
        }
        let origin = Origin::file(path, text, &experiment);
        Ok((experiment, origin))
    }

    /// The experiment in a text.
    ///
    /// # Errors
    /// If it is not one; the message names line and key.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let tree = DeTable::parse(text).map_err(|error| ParseError::syntax(text, &error))?;
        let experiment: Result<Self, _> = deserializer::read(&tree);
        let mut experiment = experiment.map_err(|complaint| ParseError::new(text, &complaint))?;
        experiment.seat().map_err(|complaint| {
            let start = tree.get_ref().get("committee").map_or(0, |value| value.span().start);
            ParseError::at(text, start, &format!("committee: {complaint}"))
        })?;
        Ok(experiment)
    }

    /// The experiment as [`Experiment::parse`] takes it.
    ///
    /// # Errors
    /// If something in it cannot be written as TOML.
    pub fn to_toml(&self) -> anyhow::Result<String> {
        toml::to_string_pretty(self).context("experiment")
    }
}

/// The absolute path, so that a run's `config.toml` means the same wherever it is read.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The text of an experiment's file, if there is enough memory to parse it.
///
/// # Errors
/// If there is no such file or not so much memory, or the file is longer than it can
/// reasonably be.
pub(crate) fn text_of(path: &Path) -> anyhow::Result<String> {
    /// The most memory for a byte of text: a table of a key or two takes 3 KiB.
    const MOST_BECOME: u64 = 512;
    let text = Input::text(path, MOST_BYTES)?;
    let what = format!("to read a text of {} bytes", text.len());
    memory::require(&what, text.len() as u64 * MOST_BECOME, "choose a shorter one")?;
    Ok(text)
}

/// The longest text of an experiment: a thousand times that of a preset.
pub(crate) const MOST_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use crate::experiment::{Experiment, LARGEST_SEED};
    use crate::presets;

    fn complaint(change: impl Fn(&str) -> String) -> String {
        let text = presets::text("notebook").unwrap();
        Experiment::parse(&change(text)).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for name in presets::names() {
            let experiment = presets::experiment(name).unwrap();
            let text = experiment.to_toml().unwrap();
            assert_eq!(Experiment::parse(&text), Ok(experiment), "{text}");
        }
    }

    #[test]
    fn members_take_seeds_and_networks_in_turn() {
        let preset = presets::text("notebook").unwrap();
        let (keys, network) = preset.split_at(preset.find("[network]").unwrap());
        let [one, mut other] = [network, &network.replace("outputs = 100", "outputs = 50")]
            .map(|network| network.replace("[network]", "[[network]]"));
        other += "\n[network.augmentation]\nshift = 1.0\n";
        let parse = |text: String| Experiment::parse(&text).unwrap();
        // An array of one is the one, and no committee.
        assert_eq!(parse(format!("{keys}{one}")), parse(preset.into()));
        assert_eq!(parse(preset.into()).committee, None);
        let two = parse(format!("{keys}{one}{other}"));
        assert_eq!(two.committee.map(usize::from), Some(2));
        let five = parse(format!("committee = 5\n{keys}{one}{other}"));
        assert_eq!(five.committee.map(usize::from), Some(5));
        for (number, network) in [(1, &one), (2, &other), (3, &one), (4, &other), (5, &one)] {
            let mut expected = parse(format!("{keys}{network}"));
            expected.seed = five.seed + number as u64 - 1;
            assert_eq!(five.member(number), expected, "{number}");
            let shift = expected.augmentation.map(|augmentation| augmentation.shift);
            assert_eq!(shift, (network == &other).then_some(1.0), "{number}");
        }
        // Its own in place of the one for all.
        let all = format!("{keys}augmentation = {{ rotation = 9.0 }}\n");
        let rotations = [one.clone(), format!("{one}{other}"), other.clone()].map(|networks| {
            let experiment = parse(format!("{all}{networks}"));
            let last = experiment.networks.all().len();
            experiment.member(last).augmentation.map(|augmentation| augmentation.rotation)
        });
        assert_eq!(rotations, [9.0, 0.0, 0.0].map(Some));
        let last = Experiment { seed: LARGEST_SEED, ..two };
        assert_eq!([1, 2].map(|number| last.member(number).seed), [LARGEST_SEED, 0]);
    }

    #[test]
    fn errors_name_line_and_key() {
        let zero = complaint(|text| text.replace("epochs = 15", "epochs = 0"));
        assert!(
            zero.starts_with(", line ")
                && zero.contains(": epochs: expected a whole number from 1 on, found 0"),
            "{zero}"
        );
        let rate = complaint(|text| text.replace("learning_rate = 0.01", "learning_rate = nan"));
        assert!(
            rate.contains("learning_rate: expected a finite number, not negative, found nan"),
            "{rate}"
        );
        let unknown = complaint(|text| format!("epocs = 3\n{text}"));
        assert!(
            unknown.starts_with(", line 1: epocs: no such key; an experiment takes "),
            "{unknown}"
        );
        let missing = complaint(|text| text.replace("epochs = 15", ""));
        assert_eq!(missing, ": expected the key epochs, found none");
        let layer = complaint(|text| text.replace("\"tanh\"", "\"tan\""));
        assert!(layer.contains("found \"tan\"; did you mean \"tanh\"?"), "{layer}");
        let average = complaint(|text| format!("average = 1.0\n{text}"));
        assert!(average.contains("line 1: average: expected a number from 0"), "{average}");
        let clip = complaint(|text| format!("clip_norm = 0.0\n{text}"));
        assert!(clip.contains("expected a finite number above 0, found 0.0"), "{clip}");
        let schedule = complaint(|text| format!("schedule = \"linear\"\n{text}"));
        assert!(schedule.contains("expected one of constant, step, "), "{schedule}");
        let augmentation = complaint(|text| format!("{text}\n[augmentation]\nshift = -1.0\n"));
        assert!(
            augmentation.contains("augmentation.shift: expected a number of pix"),
            "{augmentation}"
        );
        let own = complaint(|text| format!("{text}\n[network.augmentation]\nshift = -1.0\n"));
        assert!(own.contains(": augmentation.shift: expected a number of pix"), "{own}");
        for (names, part) in [
            ("[]", "classes: expected from 1 to 256 names, found 0"),
            ("[\"a\", \"\"]", "no control characters, found \"\""),
            ("[\"a\", \"\\u0007\"]", "no control characters, found \"\\u{7}\""),
            ("[\"a\", \"b\", \"a\"]", "expected each name once, found \"a\" twice"),
        ] {
            let classes = complaint(|text| format!("classes = {names}\n{text}"));
            assert!(classes.starts_with(", line 1: ") && classes.contains(part), "{classes}");
        }
        let outside = complaint(|text| text.replace("\"notebook\"", "\"../notebook\""));
        assert!(outside.contains("found \"../notebook\""), "{outside}");
        let syntax = complaint(|text| text.replace("epochs = 15", "epochs = = 15"));
        assert!(syntax.contains("epochs = = 15: "), "{syntax}");
    }
}
