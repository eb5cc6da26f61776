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
mod reports;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{objects, run_line, text};
use crate::own_images::Images;
use process::Change;

/// All that a run remembers between two steps: the optimizer's moments, averages, statistics, what
/// dropout and the augmentation draw.
const SINGLE: &str = r#"
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

/// Two networks that vote; the whole is so small that each change of it can be tried.
const COMMITTEE: &str = r#"
epochs = 1
batch_size = 12
shard_size = 12
shuffle = true
learning_rate = 0.01
loss = "softmax_cross_entropy"
init = "he"
committee = 2
[network]
input = [1, 6, 6]
layers = [{ type = "flatten" }, { type = "dense", outputs = 3 }]
"#;

/// The arguments of a run into `run` of an experiment, `single` or `committee`, without a report.
fn train(experiment: &str, flags: &str) -> String {
    with_report(experiment, &format!("--no-report {flags}"))
}

/// The same with a report.
fn with_report(experiment: &str, flags: &str) -> String {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crash-lab");
        let (data, shape) = (folder.join("data"), [1, 6, 6]);
        Images::new(shape, 3, 12).write_idx(&data, "train");
        Images::new(shape, 3, 6).write_idx(&data, "t10k");
        fs::write(folder.join("single.toml"), SINGLE).unwrap();
        fs::write(folder.join("committee.toml"), COMMITTEE).unwrap();
        folder
    });
    let folder = folder.display();
    format!(
        "train --config {folder}/{experiment}.toml --data {folder}/data --quiet --threads 1 \
         {flags} --out run"
    )
}

/// The arguments with which the run in `run` goes on.
const RESUME: &str = "train --resume run --no-report --quiet --threads 1";

/// An empty folder, in memory if possible: the tests wait for the disk a thousand times, and what
/// a disk does is not what they test.
fn empty_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A run that nothing happened to, and what it came to.
struct Undisturbed {
    /// Its arguments.
    line: String,
    changes: Vec<Change>,
    /// All but the checkpoints.
    files: Files,
}

/// The files in a folder, by their paths in it.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// How a run that was disturbed came to its end.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Resumed,
    /// There was nothing to resume.
    Anew,
}

impl Undisturbed {
    fn new(line: String) -> Self {
        let here = empty_folder();
        let changes = process::recorded(here.path(), &line);
        let mut files = files(&here.path().join("run"));
        files.retain(|path, _| !is_checkpoint(path));
        Self { line, changes, files }
    }

    /// Expects that each file of the run that is there is this run's: experiments and models as a
    /// whole, of metrics the first lines. Returns whether all are there, and nothing else.
    #[track_caller]
    fn require_own(&self, run: &Path, what: &str) -> bool {
        let mut found = files(run);
        let is_clean = !found.keys().any(|path| is_partial(path));
        found.retain(|path, _| !is_checkpoint(path) && !is_partial(path));
        for (path, found) in &found {
            let expected = self.files.get(path);
            let expected = expected.unwrap_or_else(|| panic!("{what}: {path:?} is there"));
            match path.file_name().unwrap().to_str().unwrap() {
                "metrics.jsonl" => {
                    let (expected, found) = (metrics(expected), metrics(found));
                    assert!(expected.starts_with(&found), "{what}: {path:?}: {found:?}");
                }
                "summary.json" => {
                    let [expected, found]: [Value; 2] =
                        [expected, found].map(|text| serde_json::from_slice(text).unwrap());
                    // Of a committee it may be the one that it had after an earlier member.
                    let is_same = expected["weights_sha256"] == found["weights_sha256"];
                    assert!(is_same || expected["epoch"] != found["epoch"], "{what}: {found}");
                }
                _ => assert!(expected == found, "{what}: {path:?} is another one"),
            }
        }
        let same_lines = |path: &PathBuf| {
            !path.ends_with("metrics.jsonl")
                || metrics(&found[path]).len() == metrics(&self.files[path]).len()
        };
        is_clean && found.keys().eq(self.files.keys()) && found.keys().all(same_lines)
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
        assert!(self.require_own(&run, what), "{what}: {ended:?}, {:?}", files(&run).keys());
        ended
    }
}

fn files(folder: &Path) -> Files {
    let mut found = Files::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let entry = entry.unwrap();
        let name = PathBuf::from(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            let below = files(&entry.path());
            found.extend(below.into_iter().map(|(path, bytes)| (name.join(path), bytes)));
        } else {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    found
}

fn is_checkpoint(path: &Path) -> bool {
    path.parent().unwrap().ends_with("checkpoint")
}

fn is_partial(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "partial")
}

/// The whole lines of metrics, without times.
#[track_caller]
fn metrics(text: &[u8]) -> Vec<Value> {
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
