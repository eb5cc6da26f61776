//! The names of the files in a run's folder.

/// The whole experiment.
pub const CONFIG: &str = "config.toml";
/// A line for each epoch.
pub const METRICS: &str = "metrics.jsonl";
/// The network and its weights.
pub const MODEL: &str = "model.safetensors";
/// The results at the end.
pub const SUMMARY: &str = "summary.json";

/// All of them.
pub(super) const FILES: [&str; 4] = [CONFIG, METRICS, MODEL, SUMMARY];

/// The name of a member's folder in its committee's, counted from 1.
pub fn member(number: usize) -> String {
    format!("member-{number}")
}
