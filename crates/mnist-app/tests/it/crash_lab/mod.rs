//! Runs whose disk fails or whose process ends at any of their changes to the disk, and what is
//! left of them.
//!
//! `process` runs the program in a process of its own with such a fault, `power_cut` says what a
//! disk may have kept of the changes before the power went out; the others are the tests.

mod faults;
mod power_cut;
mod process;

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::OnceLock;

use serde_json::Value;

use crate::common::{names, objects, run_line, text};
use crate::own_images::Images;
use process::Change;

/// All that a run remembers between two steps: the optimizer's moments, averages, statistics, what
/// dropout and the augmentation draw.
const EXPERIMENT: &str = r#"
epochs = 2
batch_size = 4
shard_size = 2
shuffle = true
learning_rate = 0.01
average = 0.9
loss = "softmax_cross_entropy"
optimizer = { type = "adam" }
init = "he"
[augmentation]
shift = 1
[network]
input = [1, 6, 6]
layers = [
    { type = "conv2d", kernels = 2, size = 3 },
    { type = "batch_norm2d" },
    { type = "relu" },
    { type = "dropout", p = 0.2 },
    { type = "flatten" },
    { type = "dense", outputs = 3 },
]
"#;

/// The arguments of a run into the folder `run`.
fn train() -> &'static str {
    static LINE: OnceLock<String> = OnceLock::new();
    LINE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crash-lab");
        let (data, config) = (folder.join("data"), folder.join("tiny.toml"));
        let shape = [1, 6, 6];
        Images::new(shape, 3, 12).write_idx(&data, "train");
        Images::new(shape, 3, 6).write_idx(&data, "t10k");
        fs::write(&config, EXPERIMENT).unwrap();
        let (data, config) = (data.display(), config.display());
        format!("train --config {config} --data {data} --quiet --threads 1 --out run")
    })
}

/// What a run comes to that nothing happens to.
struct Undisturbed {
    changes: Vec<Change>,
    config: Vec<u8>,
    model: Vec<u8>,
    metrics: Vec<Value>,
}

fn undisturbed() -> &'static Undisturbed {
    static RUN: OnceLock<Undisturbed> = OnceLock::new();
    RUN.get_or_init(|| {
        let here = tempfile::tempdir().unwrap();
        let changes = process::recorded(here.path(), train());
        let run = here.path().join("run");
        let read = |name| fs::read(run.join(name)).unwrap();
        let (config, model) = (read("config.toml"), read("model.safetensors"));
        Undisturbed { changes, config, model, metrics: metrics(&run).0 }
    })
}

/// The lines of a run's metrics without times, and whether the last one is torn.
#[track_caller]
fn metrics(run: &Path) -> (Vec<Value>, bool) {
    let Ok(text) = fs::read_to_string(run.join("metrics.jsonl")) else {
        return (Vec::new(), false);
    };
    let (whole, torn) = text.rsplit_once('\n').unwrap_or(("", &text));
    let mut lines = objects(whole);
    lines.iter_mut().for_each(without_times);
    (lines, !torn.is_empty())
}

fn without_times(line: &mut Value) {
    for key in ["train_seconds", "samples_per_second"] {
        assert!(line.as_object_mut().unwrap().remove(key).is_some(), "{line}");
    }
}

/// Expects that each file of the run that is there is the undisturbed run's: `config.toml`, the
/// model and the summary whole, of the metrics the first lines. Returns whether all are there.
#[track_caller]
fn require_whole(run: &Path, what: &str) -> bool {
    let Undisturbed { config, model, metrics: lines, .. } = undisturbed();
    for (name, expected) in [("config.toml", config), ("model.safetensors", model)] {
        let found = fs::read(run.join(name));
        assert!(found.is_err() || found.unwrap() == *expected, "{what}: {name} is another one");
    }
    let (found, _) = metrics(run);
    assert!(lines.starts_with(&found), "{what}: {found:?}");
    let summary = fs::read(run.join("summary.json"));
    if let Ok(summary) = &summary {
        let summary: Value = serde_json::from_slice(summary).unwrap();
        assert_eq!(summary["weights_sha256"], lines.last().unwrap()["weights_sha256"], "{what}");
    }
    summary.is_ok() && run.join("model.safetensors").exists() && found.len() == lines.len()
}

/// Expects that the program ended as it should: with status 0, or with 1 and a line that says why.
/// Returns that line.
#[track_caller]
fn complaint(output: &Output, what: &str) -> Option<String> {
    let told = text(&output.stderr);
    assert!(!told.contains("panicked"), "{what}: {told}");
    if output.status.success() {
        return None;
    }
    assert_eq!(output.status.code(), Some(1), "{what}: {told}");
    let last = told.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: ") && last.len() < 300, "{what}: {told}");
    Some(last.to_owned())
}
