//! A run's folder is one run's: while it goes on, and when it is read.

use std::fs;
use std::path::Path;

use crate::bad_input::refused;
use crate::common::{objects, run_line, small_data, succeeds, text, train_small};
use crate::data_of_models::{changed, without};
use crate::incomplete_runs::committee;
use crate::two_runs::{Process, wait_until};

const TUNED: &str = "--preset notebook-tuned --train-limit 8";

/// Copies files from one folder to another.
fn copy(path: &Path, from: &str, to: &str, files: &[&str]) {
    for file in files {
        fs::copy(path.join(from).join(file), path.join(to).join(file)).unwrap();
    }
}

/// What is told on standard error by `line`, which must succeed.
#[track_caller]
fn told(path: &Path, line: &str) -> String {
    let output = run_line(path, line);
    assert!(output.status.success(), "{line}: {}", text(&output.stderr));
    text(&output.stderr)
}

#[cfg(unix)]
#[test]
fn who_has_lost_its_folder_changes_nothing_there() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let run = path.join("run");
    let mut first = Process::long(path, &["--out", "run"]);
    wait_until("metrics", || run.join("metrics.jsonl").exists());
    fs::rename(&run, path.join("elsewhere")).unwrap();
    let complaint = first.failure();
    let expected = "error: run/config.toml: expected the file that this run made, found none; ";
    assert!(complaint.starts_with(expected), "{complaint}");

    let mut second = Process::long(path, &["--out", "run"]);
    wait_until("metrics", || run.join("metrics.jsonl").exists());
    // At once, as a rename cannot put one folder in place of another that is not empty.
    let words = ["--epochs", "1", "--train-limit", "5"];
    train_small(path, &format!("{} --out new", words.join(" ")));
    for file in ["config.toml", "model.safetensors", "summary.json", "metrics.jsonl"] {
        fs::rename(path.join("new").join(file), run.join(file)).unwrap();
    }
    let complaint = second.failure();
    let expected = "error: run/config.toml: expected the file that this run made, found another";
    assert!(complaint.starts_with(expected), "{complaint}");
    succeeds(path, "evaluate run");
}

#[test]
fn parts_of_two_runs_are_no_run() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, &format!("{TUNED} --epochs 1 --out one"));
    train_small(path, &format!("{TUNED} --epochs 2 --out two"));
    train_small(path, &format!("{TUNED} --epochs 1 --seed 9 --out nine"));
    let all = ["config.toml", "metrics.jsonl", "model.safetensors", "summary.json"];
    fs::create_dir(path.join("run")).unwrap();
    let (model, summary) = ("model.safetensors", "summary.json");
    let metrics = "metrics.jsonl ends with weights_sha256 = ";
    let of_run = "model run/model.safetensors: expected the model of its run, ";
    for (from, files, part) in [
        ("two", &["config.toml"][..], "whose config.toml has sha256 "),
        ("two", &all[1..], "whose config.toml has sha256 "),
        ("two", &[model, summary], metrics),
        ("nine", &["metrics.jsonl"], metrics),
    ] {
        copy(path, "one", "run", &all);
        copy(path, from, "run", files);
        for command in ["evaluate", "inspect"] {
            refused(path, &format!("{command} run"), 1, &[of_run, part, "another run"]);
        }
        let data = small_data().display();
        succeeds(path, &format!("evaluate run/model.safetensors --data {data}"));
    }
    copy(path, "one", "run", &all);
    copy(path, "two", "run", &[model]);
    fs::remove_file(path.join("run").join(summary)).unwrap();
    refused(path, "evaluate run", 1, &[of_run, metrics, "another run"]);
    // One of an earlier version says nothing of its configuration.
    copy(path, "one", "run", &all);
    let file = path.join("run").join(model);
    let older = without(&fs::read(&file).unwrap(), &["config_sha256"]);
    fs::write(&file, older).unwrap();
    assert_eq!(told(path, "evaluate run"), "");
}

#[test]
fn parts_of_two_committees_are_no_committee() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    committee(path);
    train_small(path, "--config three.toml --seed 9 --out nine");
    for (file, part) in [("summary.json", "says"), ("metrics.jsonl", "ends with")] {
        let own = fs::read(path.join("three").join(file)).unwrap();
        copy(path, "nine", "three", &[file]);
        let part = format!("model three: expected the model of its run, whose {file} {part} ");
        refused(path, "evaluate three", 1, &[&part, "name the members, such as three/member-1 "]);
        fs::write(path.join("three").join(file), own).unwrap();
    }
    assert_eq!(told(path, "evaluate three"), "");
}

#[test]
fn what_a_model_does_not_say_its_run_or_its_digest_does() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, "--preset lenet --epochs 1 --train-limit 8 --out run");
    let said = objects(&succeeds(path, "evaluate run --json"));
    let file = path.join("run/model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let data = small_data().display();
    for keys in [&["loss"][..], &["precision"], &["loss", "precision", "weights_sha256"]] {
        fs::write(&file, without(&bytes, keys)).unwrap();
        assert_eq!(objects(&succeeds(path, "evaluate run --json")), said, "{keys:?}");
        assert_eq!(told(path, "evaluate run --json"), "", "{keys:?}");
    }
    // The digest is that of f32.
    fs::write(path.join("alone"), without(&bytes, &["precision"])).unwrap();
    let alone = objects(&succeeds(path, &format!("evaluate alone --json --data {data}")));
    assert_eq!(alone[0]["test_error"], said[0]["test_error"]);
    let damaged = changed(&bytes, |metadata| {
        metadata.remove("precision");
        metadata.insert("weights_sha256".into(), "00".into());
    });
    fs::write(path.join("alone"), damaged).unwrap();
    refused(path, &format!("evaluate alone --data {data}"), 1, &["the file is damaged"]);
}

#[test]
fn a_part_that_is_not_there_is_told() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    committee(path);
    let one = "three/member-2";
    for file in ["three/summary.json", "three/metrics.jsonl"]
        .into_iter()
        .chain(["three/member-2/summary.json", "three/member-2/metrics.jsonl"])
    {
        let own = fs::read(path.join(file)).unwrap();
        let expected = |found: &str| {
            for line in ["evaluate three", "evaluate three --json", "compare three three"] {
                let told = told(path, line);
                assert!(told.starts_with(&format!("{file}: {found}")), "{file}, {line}: {told}");
            }
        };
        fs::remove_file(path.join(file)).unwrap();
        expected("No such file");
        fs::create_dir(path.join(file)).unwrap();
        expected("expected a file, found a folder");
        fs::remove_dir(path.join(file)).unwrap();
        fs::write(path.join(file), own).unwrap();
    }
    assert_eq!(told(path, &format!("evaluate {one}")), "");
    fs::write(path.join(one).join("metrics.jsonl"), "").unwrap();
    let expected = "three/member-2/metrics.jsonl: expected a line for each epoch, found none; ";
    assert!(told(path, &format!("evaluate {one}")).starts_with(expected));
}

#[test]
fn what_says_something_else_is_refused_in_words() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, &format!("{TUNED} --epochs 1 --out run"));
    for (file, contents, part) in [
        ("summary.json", "[1, 2]", "expected a summary, which is a JSON object, found \"[1, 2]\""),
        ("summary.json", "", "expected a summary, which is a JSON object, found \"\""),
        ("summary.json", "{}", "weights_sha256: expected a text, found null"),
        (
            "summary.json",
            "{\"weights_sha256\": \"\", \"members\": [3]}",
            "members: expected a whole number, found [3]",
        ),
        ("metrics.jsonl", "{}\n7\n", "expected a line of metrics, which is a JSON object, found"),
    ] {
        let own = fs::read(path.join("run").join(file)).unwrap();
        fs::write(path.join("run").join(file), contents).unwrap();
        refused(path, "evaluate run", 1, &[&format!("model run: run/{file}: "), part]);
        fs::write(path.join("run").join(file), own).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_member_that_cannot_be_read_is_not_said_to_be_missing() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    committee(path);
    let member = path.join("three/member-2");
    fs::rename(&member, path.join("away")).unwrap();
    let part = "found 2, without member-2, which cannot be read (three/member-2/config.toml: ";
    fs::write(&member, "").unwrap();
    refused(path, "evaluate three", 1, &[part, "Not a directory"]);
    fs::remove_file(&member).unwrap();
    std::os::unix::fs::symlink("member-2", &member).unwrap();
    let output = run_line(path, "evaluate three");
    assert!(text(&output.stderr).contains(part), "{}", text(&output.stderr));
}

#[test]
fn no_run_is_trained_in_the_folder_of_another() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    committee(path);
    let train = format!(
        "train --preset notebook --data {} --epochs 1 --train-limit 5",
        small_data().display()
    );
    for out in ["three/member-4", "three/member-1/own", "three/own", "three/own/deeper"] {
        let line = format!("{train} --out {out}");
        refused(path, &line, 1, &[&format!("--out {out}: "), "in no run's", "/three"]);
    }
    // An experiment of one's own is no run.
    fs::rename(path.join("three.toml"), path.join("config.toml")).unwrap();
    succeeds(path, &train.replace("--preset notebook", "--config config.toml --out own/deeper"));
    succeeds(path, &format!("{train} --out three/../beside"));
}

#[cfg(unix)]
#[test]
fn nobody_waits_for_a_pipe_in_the_folder_of_a_run() {
    use std::process::{Command, Stdio};
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, &format!("{TUNED} --epochs 1 --out run"));
    for file in ["config.toml", "model.safetensors", "summary.json", "metrics.jsonl"] {
        let part = path.join("run").join(file);
        fs::rename(&part, path.join("own")).unwrap();
        assert!(Command::new("mkfifo").arg(&part).status().unwrap().success());
        let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
        command.current_dir(path).args(["evaluate", "run"]).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        wait_until(&format!("an answer, {file}"), || child.try_wait().unwrap().is_some());
        let output = child.wait_with_output().unwrap();
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        let expected = format!("run/{file}: expected a regular file, as in the folder of a run");
        assert!(complaint.contains(&expected), "{complaint}");
        fs::remove_file(&part).unwrap();
        fs::rename(path.join("own"), &part).unwrap();
    }
}
