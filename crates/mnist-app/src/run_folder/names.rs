//! The names in a run's folder.

/// The file of a run's folder with the whole experiment.
pub const CONFIG: &str = "config.toml";
/// That with a line for each epoch.
pub const METRICS: &str = "metrics.jsonl";
/// That with the weights.
pub const MODEL: &str = "model.safetensors";
/// That with what is known at the end.
pub const SUMMARY: &str = "summary.json";

/// All of them.
pub(super) const FILES: [&str; 4] = [CONFIG, METRICS, MODEL, SUMMARY];

/// The name of a committee member's own folder in the committee's, counted from 1.
pub fn member(number: usize) -> String {
    format!("member-{number}")
}
