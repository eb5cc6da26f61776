//! One folder belongs to one run, as long as its process lives and after it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::committee::TWO;
use crate::common::{WHOLE, names, or_notebook, small_data, text};
use crate::report::train_with_report;

/// A run of the program that is killed when the test ends.
pub(crate) struct Process(Child);

impl Process {
    /// One that goes on for as long as any test takes.
    pub(crate) fn long(folder: &Path, words: &[&str]) -> Self {
        let words = [&["--epochs", "100000000", "--train-limit", "10"], words].concat();
        Self(train(folder, &words).stdout(Stdio::null()).spawn().unwrap())
    }

    /// What it complains of when it ends by itself, as it must.
    #[track_caller]
    pub(crate) fn failure(&mut self) -> String {
        let mut complaint = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        assert_eq!(self.0.wait().unwrap().code(), Some(1), "{complaint}");
        complaint
    }

    /// Ends it as `kill -9` does.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn train(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
    let chosen = or_notebook(&words.join(" "));
    command.current_dir(folder).args(["train", "--quiet", "--threads", "1", "--data"]);
    command.arg(small_data()).args(chosen.split(' ')).stderr(Stdio::piped());
    command
}

#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "expected {what} in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What the program complains of if it is to train into `out`, which must stay as it is.
#[track_caller]
fn refusal(folder: &Path, out: &str) -> String {
    let config = fs::read(folder.join(out).join("config.toml")).unwrap();
    let output = train(folder, &["--epochs", "1", "--out", out]).output().unwrap();
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(complaint.starts_with(&format!("error: --out {out}: ")), "{complaint}");
    assert!(complaint.contains("nothing was changed"), "{complaint}");
    assert_eq!(fs::read(folder.join(out).join("config.toml")).unwrap(), config);
    complaint
}

#[test]
fn of_processes_that_start_together_one_gets_the_folder() {
    let here = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let out = format!("run-{round}");
        let words = ["--epochs", "1", "--train-limit", "1", "--test-limit", "1", "--out", &out];
        let start = |_| train(here.path(), &words).stdout(Stdio::null()).spawn().unwrap();
        let children: Vec<_> = (0..3).map(start).collect();
        let outputs: Vec<_> =
            children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        let (done, refused): (Vec<_>, Vec<_>) =
            outputs.iter().partition(|output| output.status.success());
        let complaints: Vec<_> = refused.iter().map(|output| text(&output.stderr)).collect();
        assert_eq!(done.len(), 1, "{complaints:?}");
        for complaint in complaints {
            assert!(complaint.starts_with(&format!("error: --out {out}: ")), "{complaint}");
            assert!(complaint.contains("nothing was changed"), "{complaint}");
        }
        assert_eq!(names(&here.path().join(out)), WHOLE);
    }
}

#[test]
fn who_holds_a_folder_is_told_until_the_process_is_gone() {
    let here = tempfile::tempdir().unwrap();
    let run = here.path().join("run");
    let mut first = Process::long(here.path(), &["--out", "run"]);
    wait_until("metrics", || run.join("metrics.jsonl").exists());
    let complaint = refusal(here.path(), "run");
    assert!(complaint.contains("a run that is still in progress"), "{complaint}");
    if cfg!(target_os = "linux") {
        assert!(complaint.contains(&format!("process {}", first.0.id())), "{complaint}");
    }
    first.kill();
    let complaint = refusal(here.path(), "run");
    assert!(complaint.contains("found one with something in it"), "{complaint}");
    assert_eq!(names(&run), ["checkpoint", "config.toml", "metrics.jsonl"]);
    // And what was written are whole lines.
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert!(metrics.ends_with("}\n"), "{metrics}");
}

#[test]
fn a_committees_folder_and_those_of_its_members_are_held() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("two.toml"), TWO).unwrap();
    let _committee = Process::long(path, &["--config", "two.toml", "--out", "both"]);
    wait_until("metrics", || path.join("both/member-1/metrics.jsonl").exists());
    for out in ["both", "both/member-1"] {
        let complaint = refusal(path, out);
        assert!(complaint.contains("a run that is still in progress"), "{complaint}");
    }
}

#[test]
fn metrics_are_appended_to() {
    let here = tempfile::tempdir().unwrap();
    let metrics = here.path().join("run/metrics.jsonl");
    let _run = Process::long(here.path(), &["--out", "run"]);
    wait_until("metrics", || metrics.exists());
    // A second name of the same file, which a new file under the first would leave alone.
    let same = here.path().join("same");
    fs::hard_link(&metrics, &same).unwrap();
    let len = || fs::metadata(&same).unwrap().len();
    let before = len();
    wait_until("more metrics", || len() > before);
}

#[test]
fn what_a_killed_run_had_not_finished_is_cleared() {
    let here = tempfile::tempdir().unwrap();
    let run = here.path().join("run");
    fs::create_dir(&run).unwrap();
    for name in ["config.toml.123.partial", "config.toml.partial", "summary.json.4194305.partial"] {
        fs::write(run.join(name), "not all of i").unwrap();
    }
    train_with_report(here.path(), "--epochs 1 --train-limit 1 --out run");
    assert_eq!(names(&run), WHOLE);
}

#[test]
fn what_a_living_process_writes_or_nobody_here_wrote_is_left_alone() {
    let here = tempfile::tempdir().unwrap();
    let folder = |name: &str, file: &str| -> (PathBuf, PathBuf) {
        let folder = here.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(file), "mine").unwrap();
        (folder.join(file), folder)
    };
    let (file, run) = folder("living", "config.toml.7.partial");
    let held = File::options().write(true).open(file).unwrap();
    held.try_lock().unwrap();
    train_with_report(here.path(), "--epochs 1 --train-limit 1 --out living");
    let mut with_it = WHOLE.to_vec();
    with_it.insert(2, "config.toml.7.partial");
    assert_eq!(names(&run), with_it);
    for (index, file) in
        ["notes.partial", "config.toml.x.partial", "metrics.jsonl", "config.toml.7.partial.old"]
            .into_iter()
            .enumerate()
    {
        let (file, run) = folder(&format!("mine-{index}"), file);
        let out = format!("mine-{index}");
        let output = train(here.path(), &["--epochs", "1", "--out", &out]).output().unwrap();
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        assert!(complaint.contains("something in it"), "{complaint}");
        assert_eq!(fs::read_to_string(file).unwrap(), "mine");
        assert_eq!(names(&run).len(), 1);
    }
}
