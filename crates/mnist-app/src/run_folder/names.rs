//! The names of the files in a run's folder.

/// The whole experiment.
pub const CONFIG: &str = "config.toml";
/// A line for each epoch.
pub const METRICS: &str = "metrics.jsonl";
/// The network and its weights.
pub const MODEL: &str = "model.safetensors";
/// The results at the end.
pub const SUMMARY: &str = "summary.json";

/// The folder of the checkpoints.
pub(super) const CHECKPOINTS: &str = "checkpoint";

/// What ended the run, if it broke off.
pub const FAILURE: &str = "failure.json";

/// What the run came to, to be looked at.
pub const REPORT: &str = "report.html";

/// All files.
pub(super) const FILES: [&str; 6] = [CONFIG, METRICS, MODEL, SUMMARY, FAILURE, REPORT];

/// A place in a run, at which a checkpoint may stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// How many epochs are done.
    pub(crate) epochs: usize,
    /// How many steps of the next one were taken.
    pub(crate) steps: usize,
}

impl Place {
    /// The name of the checkpoint's file, such as `000012-000345.safetensors`.
    pub(crate) fn file_name(self) -> String {
        let Self { epochs, steps } = self;
        format!("{epochs:06}-{steps:06}.safetensors")
    }

    /// The place that a file's name says, if it is that of a checkpoint.
    pub(crate) fn of_file(name: &str) -> Option<Self> {
        let (epochs, steps) = name.strip_suffix(".safetensors")?.split_once('-')?;
        let place = Self { epochs: epochs.parse().ok()?, steps: steps.parse().ok()? };
        (place.file_name() == name).then_some(place)
    }
}

/// The name of a member's folder in its committee's, counted from 1.
pub fn member(number: usize) -> String {
    format!("member-{number}")
}
