//! Runs whose disk fails or whose process ends at any of their changes to the disk, and what is
//! left of them.
//!
//! `process` runs the program in a process of its own with such a fault, `power_cut` says what a
//! disk may have kept of the changes before the power went out; the others are the tests.

mod faults;
mod kills;
mod places;
mod power_cut;
mod process;

use std::fs;
use std::path::{Path, PathBuf};
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

/// The arguments of a run into `run`, with the tiny experiment.
fn train(flags: &str) -> String {
    static FILES: OnceLock<[PathBuf; 2]> = OnceLock::new();
    let [config, data] = FILES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crash-lab");
        let [config, data] = ["tiny.toml", "data"].map(|name| folder.join(name));
        let shape = [1, 6, 6];
        Images::new(shape, 3, 12).write_idx(&data, "train");
        Images::new(shape, 3, 6).write_idx(&data, "t10k");
        fs::write(&config, EXPERIMENT).unwrap();
        [config, data]
    });
    let (config, data) = (config.display(), data.display());
    format!("train --config {config} --data {data} --quiet --threads 1 --out run {flags}")
}

/// The arguments with which the run in `run` goes on.
const RESUME: &str = "train --resume run --quiet --threads 1 --checkpoint-every 2";

/// A run that nothing happened to, and what it came to.
struct Undisturbed {
    /// Its arguments.
    line: String,
    changes: Vec<Change>,
    files: Vec<String>,
    config: Vec<u8>,
    model: Vec<u8>,
    metrics: Vec<Value>,
}

/// How a run that was disturbed came to its end.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Resumed,
    /// There was nothing to resume.
    Anew,
}

impl Undisturbed {
    fn new(line: String) -> Self {
        let here = tempfile::tempdir().unwrap();
        let changes = process::recorded(here.path(), &line);
        let run = here.path().join("run");
        let read = |name| fs::read(run.join(name)).unwrap();
        let (config, model) = (read("config.toml"), read("model.safetensors"));
        Self { line, changes, files: names(&run), config, model, metrics: metrics(&run) }
    }

    /// Expects that each file of the run that is there is this run's: `config.toml`, the model and
    /// the summary as a whole, of the metrics the first lines. Returns whether all are there.
    #[track_caller]
    fn require_whole(&self, run: &Path, what: &str) -> bool {
        let Self { config, model, metrics: lines, .. } = self;
        for (name, expected) in [("config.toml", config), ("model.safetensors", model)] {
            let found = fs::read(run.join(name));
            assert!(found.is_err() || found.unwrap() == *expected, "{what}: {name} is another one");
        }
        let found = metrics(run);
        assert!(lines.starts_with(&found), "{what}: {found:?}");
        let summary = fs::read(run.join("summary.json"));
        if let Ok(summary) = &summary {
            let summary: Value = serde_json::from_slice(summary).unwrap();
            assert_eq!(
                summary["weights_sha256"],
                lines.last().unwrap()["weights_sha256"],
                "{what}"
            );
        }
        summary.is_ok() && run.join("model.safetensors").exists() && found.len() == lines.len()
    }

    /// Expects that what is left of a run in `run` goes on to the same result, or that there is
    /// nothing to resume, and that a new run then comes to it.
    #[track_caller]
    fn goes_on(&self, folder: &Path, what: &str) -> Ended {
        let run = folder.join("run");
        let resumed = complaint(&run_line(folder, RESUME), what);
        let ended = match resumed {
            None => Ended::Resumed,
            Some(complaint) => {
                assert!(!run.join("config.toml").exists(), "{what}: {complaint}");
                assert!(complaint.contains("expected the folder of a run"), "{what}: {complaint}");
                assert_eq!(None, self::complaint(&run_line(folder, &self.line), what), "{what}");
                Ended::Anew
            }
        };
        assert!(self.require_whole(&run, what), "{what}: {ended:?}");
        assert_eq!(names(&run), self.files, "{what}: {ended:?}");
        ended
    }
}

/// The whole lines of a run's metrics, without times.
#[track_caller]
fn metrics(run: &Path) -> Vec<Value> {
    let text = fs::read(run.join("metrics.jsonl")).unwrap_or_default();
    let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let mut lines = objects(str::from_utf8(&text[..whole]).unwrap());
    for line in &mut lines {
        for time in ["train_seconds", "samples_per_second"] {
            assert!(line.as_object_mut().unwrap().remove(time).is_some(), "{line}");
        }
    }
    lines
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
