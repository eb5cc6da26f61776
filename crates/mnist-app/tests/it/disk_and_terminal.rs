//! A disk that is full and a terminal that is gone lose nothing that could be kept.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output};

use crate::committee::TWO;
use crate::common::{
    WHOLE, names, objects, or_notebook, small_data, succeeds, summary, text, train_small,
};

/// Whose model takes 32 kB.
#[cfg(target_os = "linux")]
const DENSE: &str = r#"
epochs = 1
batch_size = 20
shard_size = 20
shuffle = true
learning_rate = 0.01
loss = "softmax_cross_entropy"
init = "he"
[network]
input = [1, 28, 28]
layers = [{ type = "flatten" }, { type = "dense", outputs = 10 }]
"#;

fn program(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
    command.current_dir(folder).args(line.split_whitespace());
    command
}

/// Runs the program where nothing can be written to standard output.
#[cfg(target_os = "linux")]
fn run_full(folder: &Path, line: &str) -> Output {
    let full = File::options().write(true).open("/dev/full").unwrap();
    program(folder, line).stdout(full).output().unwrap()
}

/// Runs the program with a standard output that nobody reads.
pub fn run_unread(folder: &Path, line: &str) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    // Before the program can have written anything.
    drop(reader);
    program(folder, line).stdout(writer).output().unwrap()
}

/// Runs the program by a shell, after `before`; in `$ALL` are the program and the words.
#[cfg(unix)]
fn run_shell(folder: &Path, script: &str, line: &str) -> Output {
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-c", script, env!("CARGO_BIN_EXE_mnist-app")]);
    command.args(line.split_whitespace()).output().unwrap()
}

fn small(words: &str) -> String {
    let (data, words) = (small_data().display(), or_notebook(words));
    format!("train --quiet --train-limit 20 --data {data} {words}")
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_loses_no_model() {
    let here = tempfile::tempdir().unwrap();
    for (run, flags) in [("text", ""), ("lines", "--json")] {
        let output = run_full(here.path(), &small(&format!("--epochs 2 {flags} --out {run}")));
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        let last = complaint.lines().last().unwrap();
        let start =
            format!("error: {run}: the run is complete, but not all of its output was printed: ");
        assert!(last.starts_with(&start), "{complaint}");
        assert!(last.contains("standard output: "), "{complaint}");
        let run = here.path().join(run);
        assert_eq!(names(&run), WHOLE);
        let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        assert_eq!(objects(&metrics).len(), 2);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_loses_no_member_of_a_committee() {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("two.toml"), TWO).unwrap();
    for flags in ["", "--json"] {
        let out = format!("both{flags}");
        let line = small(&format!("--config two.toml --epochs 1 {flags} --out {out}"));
        let output = run_full(here.path(), &line);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        assert!(complaint.contains("the run is complete"), "{complaint}");
        for member in ["member-1", "member-2"] {
            assert_eq!(names(&here.path().join(&out).join(member)), WHOLE);
        }
        let metrics = fs::read_to_string(here.path().join(out).join("metrics.jsonl")).unwrap();
        assert_eq!(objects(&metrics).len(), 2);
    }
}

/// Lines of commands that only print, with the model of a run in `folder`.
fn printing(folder: &Path) -> Vec<String> {
    train_small(folder, "--epochs 1 --train-limit 5 --out run");
    let data = format!("--data {}", small_data().display());
    let mut lines = Vec::new();
    for flags in ["", "--json"] {
        lines.extend([
            format!("evaluate run {data} {flags}"),
            format!("evaluate run run {data} {flags}"),
            format!("compare run run {data} {flags}"),
            format!("inspect run {data} {flags} --samples 5"),
            format!("profile --repetitions 1 {flags}"),
        ]);
    }
    lines.extend(["presets", "presets lenet", "--help", "--version"].map(str::to_owned));
    lines
}

#[cfg(target_os = "linux")]
#[test]
fn what_only_prints_fails_in_a_line_where_nothing_can_be_printed() {
    let here = tempfile::tempdir().unwrap();
    for line in printing(here.path()) {
        let output = run_full(here.path(), &line);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {complaint}");
        assert!(complaint.starts_with("error: standard output: "), "{line}: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{line}: {complaint}");
    }
}

#[test]
fn who_reads_no_more_is_told_by_the_status_alone() {
    let here = tempfile::tempdir().unwrap();
    for line in printing(here.path()) {
        let output = run_unread(here.path(), &line);
        assert_eq!(output.status.code(), Some(1), "{line}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "", "{line}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_lost_standard_error_is_no_panic() {
    let here = tempfile::tempdir().unwrap();
    let data = small_data().display();
    for redirection in ["2>/dev/full", "2>&-", ">/dev/full 2>/dev/full", ">&- 2>&-"] {
        let script = format!("exec \"$0\" \"$@\" {redirection}");
        let run = |line: &str| run_shell(here.path(), &script, line).status.code();
        assert_eq!(run("train --speed 9"), Some(2), "{redirection}");
        assert_eq!(run("train --data nowhere"), Some(1), "{redirection}");
        let out = format!("run-{}", redirection.len());
        let line = format!(
            "train --preset notebook --epochs 1 --train-limit 5 --json --data {data} --out {out}"
        );
        // A closed standard output is nobody's loss: it was not there from the start.
        let lost = redirection.starts_with(">/dev/full");
        assert_eq!(run(&line), Some(i32::from(lost)), "{redirection}");
        assert_eq!(names(&here.path().join(out)), WHOLE, "{redirection}");
    }
}

/// Runs the program where no file can be longer than so many blocks of 512 bytes.
#[cfg(target_os = "linux")]
fn run_limited(folder: &Path, blocks: usize, line: &str) -> Output {
    let bytes = blocks * 512;
    let script = format!(
        "trap '' XFSZ; ulimit -f {blocks}; \
         if [ -n \"$BASH_VERSION\" ]; then ulimit -f $(( {bytes} / 1024 )); fi; exec \"$0\" \"$@\""
    );
    run_shell(folder, &script, line)
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_be_written_is_named_and_the_others_are_whole() {
    let here = tempfile::tempdir().unwrap();
    // The notebook's weights take 1.6 MB.
    let output = run_limited(here.path(), 64, &small("--epochs 2 --json --out model"));
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    let last = complaint.lines().last().unwrap();
    let start = "error: model/checkpoint/000000-000000.safetensors: cannot be written: ";
    assert!(last.starts_with(start), "{last}");
    // Nothing is lost that took time.
    assert_eq!(text(&output.stdout), "");
    succeeds(here.path(), "train --quiet --resume model");
    assert_eq!(names(&here.path().join("model")), WHOLE);

    // Some lines fit, and then a part of one; and the model fits.
    fs::write(here.path().join("dense.toml"), DENSE).unwrap();
    let line = "--config dense.toml --epochs 400 --test-limit 5 --json --out metrics";
    let output = run_limited(here.path(), 128, &small(line));
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    let last = complaint.lines().last().unwrap();
    assert!(last.starts_with("error: metrics/metrics.jsonl: cannot be written: "), "{last}");
    assert_eq!(complaint.matches("metrics.jsonl: cannot be written").count(), 2, "{complaint}");
    assert!(complaint.contains("; the run goes on, and tries again later"), "{complaint}");
    // A report is larger than what may be written.
    let without_report: Vec<_> = WHOLE.into_iter().filter(|name| *name != "report.html").collect();
    assert_eq!(names(&here.path().join("metrics")), without_report);
    let metrics = fs::read_to_string(here.path().join("metrics/metrics.jsonl")).unwrap();
    let kept = metrics.lines().count();
    assert!((1..400).contains(&kept) && metrics.ends_with("}\n"), "{metrics}");
    let printed = text(&output.stdout);
    assert!(printed.starts_with(&metrics) && printed.lines().count() == 400, "{printed}");
    let summary = summary(here.path(), "metrics");
    assert_eq!((&summary["epoch"], &summary["metrics_lines"]), (&400.into(), &kept.into()));
    // Which is a whole run otherwise.
    let output = program(here.path(), "evaluate metrics").output().unwrap();
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    let expected = format!("metrics/metrics.jsonl: incomplete, only {kept} lines could be written");
    assert!(told.contains(&expected), "{told}");
    // And will be one, when there is room.
    succeeds(here.path(), "train --quiet --resume metrics");
    let metrics = fs::read_to_string(here.path().join("metrics/metrics.jsonl")).unwrap();
    assert_eq!(objects(&metrics).len(), 400);

    let output = run_limited(here.path(), 0, &small("--epochs 1 --json --out none"));
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    let start = "error: --out none: config.toml: cannot be written: ";
    assert!(complaint.starts_with(start), "{complaint}");
    assert_eq!(names(&here.path().join("none")), Vec::<String>::new());
}
