//! Runs that are interrupted go on to the numbers of the uninterrupted run.

#![cfg_attr(not(unix), allow(dead_code, unused_imports))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use serde_json::Value;
use tensor::simd::Level;

use crate::committee::TWO;
use crate::common::{
    objects, or_notebook, run_line, small_data, succeeds, summary, text, train_small,
};
use crate::two_runs::wait_until;

/// With all that a run can have to remember.
pub const EVERYTHING: &str = r#"
epochs = 3
batch_size = 16
shard_size = 4
shuffle = true
learning_rate = 0.01
schedule = "one_cycle"
loss = "softmax_cross_entropy"
optimizer = { type = "adam" }
average = 0.9
init = "he"
augmentation = { shift = 2.0, rotation = 10.0 }

[network]
input = [1, 28, 28]
layers = [
    { type = "conv2d", kernels = 2, size = 5, stride = 2 },
    { type = "batch_norm2d" },
    { type = "relu" },
    { type = "flatten" },
    { type = "dropout", p = 0.1 },
    { type = "dense", outputs = 10 },
]
"#;

/// A plain network, with a rate that does not depend on the number of epochs.
pub const PLAIN: &str = r#"
epochs = 3
batch_size = 20
shard_size = 10
shuffle = true
learning_rate = 0.01
loss = "softmax_cross_entropy"
optimizer = { type = "sgd", momentum = 0.9 }
init = "he"

[network]
input = [1, 28, 28]
layers = [{ type = "flatten" }, { type = "dense", outputs = 10 }]
"#;

/// Trains on the small data until `is_there`, and then ends that by a signal.
#[track_caller]
pub fn interrupted(
    folder: &Path,
    line: &str,
    signal: &str,
    is_there: impl FnMut() -> bool,
) -> Output {
    let child = start(folder, line);
    wait_until("a checkpoint", is_there);
    send(signal, &child);
    child.wait_with_output().unwrap()
}

fn start(folder: &Path, line: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
    command.current_dir(folder).args(["train", "--quiet", "--data"]).arg(small_data());
    command
        .args(or_notebook(line).split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Epochs and steps of the checkpoints in a run's folder, the oldest first.
pub fn places(run: &Path) -> Vec<(usize, usize)> {
    let Ok(entries) = fs::read_dir(run.join("checkpoint")) else { return Vec::new() };
    let place = |name: &str| {
        let (epochs, steps) = name.strip_suffix(".safetensors")?.split_once('-')?;
        Some((epochs.parse().ok()?, steps.parse().ok()?))
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut places: Vec<_> = names.filter_map(|name| place(&name)).collect();
    places.sort_unstable();
    places
}

/// The lines of metrics without the times.
pub fn metrics(run: &Path) -> Vec<Value> {
    let mut lines = objects(&fs::read_to_string(run.join("metrics.jsonl")).unwrap());
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        line.remove("train_seconds").unwrap();
        line.remove("samples_per_second").unwrap();
    }
    lines
}

/// Expects two runs to have come to the same.
#[track_caller]
pub fn assert_same(folder: &Path, whole: &str, resumed: &str) {
    let [a, b] = [whole, resumed].map(|run| folder.join(run));
    assert_eq!(metrics(&a), metrics(&b), "{resumed}");
    let read = |run: &Path, name: &str| fs::read(run.join(name)).unwrap();
    assert!(read(&a, "config.toml") == read(&b, "config.toml"), "{resumed}");
    assert!(read(&a, "model.safetensors") == read(&b, "model.safetensors"), "{resumed}");
    let [a, b] = [whole, resumed].map(|run| summary(folder, run));
    for key in ["weights_sha256", "test_correct", "epoch", "test_error_20"] {
        assert_eq!(a[key], b[key], "{resumed}: {key}");
    }
}

/// Goes on with a run on so many threads and a level.
#[track_caller]
pub fn resume(folder: &Path, run: &str, threads: usize, level: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
    command.current_dir(folder).env("ASTERISM_SIMD", level);
    command.args(["train", "--quiet", "--resume", run, "--threads", &threads.to_string()]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn refused(folder: &Path, line: &str, status: i32) -> String {
    let output = run_line(folder, line);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{line}: {complaint}");
    assert_eq!(complaint.lines().count(), 1, "{line}: {complaint}");
    complaint
}

fn write(folder: &Path, name: &str, contents: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, contents).unwrap();
    path
}

#[cfg(unix)]
#[test]
fn a_signal_in_an_epoch_changes_no_number() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    write(path, "everything.toml", &EVERYTHING.replace("epochs = 3", "epochs = 6"));
    let levels: Vec<_> = Level::available().collect();
    let mut levels = levels.into_iter().cycle();
    for (name, flags, signal, status) in [
        ("everything", "--config everything.toml", "-INT", 130),
        ("double", "--config everything.toml --precision f64", "-TERM", 143),
        ("notebook", "--train-limit 40 --test-limit 25 --epochs 4", "-INT", 130),
    ] {
        let (whole, run) = (format!("{name}-whole"), format!("{name}-run"));
        train_small(path, &format!("{flags} --threads 2 --out {whole}"));
        let folder = path.join(&run);
        let line = format!("{flags} --threads 1 --checkpoint-every 1 --out {run}");
        let output = interrupted(path, &line, signal, || {
            places(&folder).last().is_some_and(|&(epochs, steps)| epochs >= 1 && steps >= 2)
        });
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{told}");
        let expected = format!("; to go on: mnist-app train --resume {run}\n");
        assert!(told.starts_with("interrupted ") && told.ends_with(&expected), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        let before = places(&folder);
        assert_eq!(before.len(), 2, "{before:?}");
        // A line that the process was killed in the middle of, and one that is too new.
        let lines = folder.join("metrics.jsonl");
        let torn = fs::read_to_string(&lines).unwrap() + "{\"epoch\":99}\n{\"epoch\":100,\"tra";
        fs::write(&lines, torn).unwrap();
        let printed = resume(path, &run, 2, levels.next().unwrap().name());
        assert!(printed.contains("\ngoes on in epoch ") || printed.contains("\ngoes on after"));
        assert_same(path, &whole, &run);
        let [whole, run] = [&whole, &run].map(|run| summary(path, run));
        let of_lines = |run: &str| -> f64 {
            let lines = fs::read_to_string(path.join(run).join("metrics.jsonl")).unwrap();
            objects(&lines).iter().map(|line| line["train_seconds"].as_f64().unwrap()).sum()
        };
        let wall = |summary: &Value| summary["wall_seconds"].as_f64().unwrap();
        assert!(wall(&run) > of_lines(&format!("{name}-run")) && wall(&whole) > 0.0);
    }
}

#[cfg(unix)]
#[test]
fn a_signal_in_an_evaluation_ends_it_at_once() {
    let here = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
    command.current_dir(here.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    // Ten thousand test images, which take seconds.
    let line = "train --quiet --preset accurate --train-limit 16 --batch-size 16 --epochs 1 \
                --threads 1 --checkpoint-every 1 --out run";
    let child = command.args(line.split_whitespace()).spawn().unwrap();
    let run = here.path().join("run");
    wait_until("a checkpoint", || places(&run).contains(&(0, 1)));
    let began = Instant::now();
    send("-INT", &child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(began.elapsed().as_secs_f64() < 5.0, "{:?}", began.elapsed());
    assert_eq!(fs::read(run.join("metrics.jsonl")).unwrap(), b"");
    assert_eq!(places(&run), [(0, 0), (0, 1)]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_while_data_are_read_ends_that_at_once() {
    let here = tempfile::tempdir().unwrap();
    // A pipe that nobody writes to.
    let data = here.path().join("data");
    fs::create_dir(&data).unwrap();
    for entry in fs::read_dir(small_data()).unwrap() {
        let entry = entry.unwrap();
        let to = data.join(entry.file_name());
        if entry.file_name() == "train-images.idx3-ubyte" {
            assert!(Command::new("mkfifo").arg(to).status().unwrap().success());
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
    command.current_dir(here.path()).args(["train", "--quiet", "--data", "data", "--out", "run"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    wait_until("a handler of signals", || {
        let status = fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() >> 14 & 1 == 1
    });
    let began = Instant::now();
    send("-TERM", &child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    let told = text(&output.stderr);
    assert_eq!(told, "interrupted before the run began; nothing was written\n");
    assert!(began.elapsed().as_secs_f64() < 2.0, "{:?}", began.elapsed());
    assert!(!here.path().join("run").exists());
}

#[cfg(unix)]
#[test]
fn a_committee_goes_on_in_its_third_member() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let config = TWO.replace("epochs = 2", "epochs = 60");
    write(path, "three.toml", &format!("committee = 4\n{config}"));
    train_small(path, "--config three.toml --out whole");
    let third = path.join("run/member-3");
    let line = "--config three.toml --checkpoint-every 1 --out run";
    let output = interrupted(path, line, "-TERM", || {
        places(&third).last().is_some_and(|&(_, steps)| steps >= 2)
    });
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(143), "{told}");
    assert!(told.starts_with("interrupted in member 3, "), "{told}");
    assert!(told.ends_with("; to go on: mnist-app train --resume run\n"), "{told}");
    let first = || fs::read(path.join("run/member-1/metrics.jsonl")).unwrap();
    let before = first();
    resume(path, "run", 1, "portable");
    assert_eq!(first(), before);
    for member in 1..=4 {
        assert_same(path, &format!("whole/member-{member}"), &format!("run/member-{member}"));
    }
    let [whole, run] = ["whole", "run"].map(|run| path.join(run));
    assert_eq!(metrics(&whole), metrics(&run));
    let printed = succeeds(path, "train --resume run");
    assert!(printed.starts_with("run: has ended; the vote of 4 members: "), "{printed}");
    // All members learn on.
    succeeds(path, "train --resume run --epochs 61 --quiet");
    train_small(path, "--config three.toml --epochs 61 --out five");
    assert_eq!(metrics(&path.join("five")), metrics(&run));
    assert_same(path, "five/member-2", "run/member-2");
}

#[test]
fn a_run_is_made_longer_where_its_rates_allow_it() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    write(path, "plain.toml", PLAIN);
    train_small(path, "--config plain.toml --out run");
    train_small(path, "--config plain.toml --epochs 5 --out whole");
    let printed = succeeds(path, "train --resume run --epochs 5 --json");
    assert_eq!(objects(&printed).len(), 2, "{printed}");
    assert_same(path, "whole", "run");
    // One that is made longer and does not come to its end keeps the model that it had.
    train_small(path, "--config plain.toml --out killed");
    let lines = || metrics(&path.join("killed")).len();
    interrupted(path, "--resume killed --epochs 500000", "-INT", || lines() > 3);
    let complaint = refused(path, "evaluate killed", 1);
    let expected = "; the run was made longer and has not come to its end; to go on with it: \
                    mnist-app train --resume killed; name killed/model.safetensors to use the \
                    model as it is\n";
    assert!(complaint.ends_with(expected), "{complaint}");
    let data = small_data().display();
    succeeds(path, &format!("evaluate killed/model.safetensors --quiet --data {data}"));
    let printed = succeeds(path, "verify killed --epoch 3");
    assert!(printed.ends_with("; the run has not ended\n"), "{printed}");
    assert!(fs::read_to_string(path.join("run/config.toml")).unwrap().contains("epochs = 5\n"));
    let complaint = refused(path, "train --resume run --epochs 4", 1);
    let expected = "error: --epochs: expected at least 5 epochs, as so many have begun, found 4\n";
    assert_eq!(complaint, expected);
    // A target that is reached already leaves nothing to do.
    let printed = succeeds(path, "train --resume run --epochs 9 --target-accuracy 0.1");
    assert!(printed.starts_with("run: has ended; 5 epochs: "), "{printed}");
    write(path, "cosine.toml", &format!("schedule = \"cosine\"\n{PLAIN}"));
    train_small(path, "--config cosine.toml --out cosine");
    let complaint = refused(path, "train --resume cosine --epochs 5", 1);
    let expected = "error: --epochs 5: expected 3, as the run began with, since its schedule, \
                    cosine, depends on the number of epochs; train anew with another number\n";
    assert_eq!(complaint, expected);
}

#[test]
fn a_run_that_has_ended_prints_its_result() {
    let here = tempfile::tempdir().unwrap();
    write(here.path(), "plain.toml", PLAIN);
    train_small(here.path(), "--config plain.toml --out run");
    let summary = summary(here.path(), "run");
    let printed = succeeds(here.path(), "train --resume run");
    let digest = summary["weights_sha256"].as_str().unwrap();
    let right = format!("run: has ended; 3 epochs: {} of 100 test", summary["test_correct"]);
    assert!(printed.starts_with(&right), "{printed}");
    assert!(printed.ends_with(&format!("\nweights: sha256 {digest}\n")), "{printed}");
    let lines = fs::read_to_string(here.path().join("run/metrics.jsonl")).unwrap();
    let last = lines.lines().last().unwrap().to_owned() + "\n";
    assert_eq!(succeeds(here.path(), "train --resume run --json"), last);
    // Nothing is opened for writing, even where the file could be.
    let config = here.path().join("run/config.toml");
    let written = |path: &Path| fs::metadata(path).unwrap().permissions();
    let (before, mut locked) = (written(&config), written(&config));
    locked.set_readonly(true);
    fs::set_permissions(&config, locked).unwrap();
    let held = fs::File::open(&config).unwrap();
    held.lock().unwrap();
    assert_eq!(succeeds(here.path(), "train --resume run"), printed);
    drop(held);
    fs::set_permissions(&config, before).unwrap();
    // Killed before the last files were written.
    for name in ["summary.json", "model.safetensors"] {
        let file = here.path().join("run").join(name);
        let before = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        succeeds(here.path(), "train --resume run");
        assert_eq!(fs::read(&file).unwrap().len() / 100, before.len() / 100);
    }
}

#[test]
fn what_a_run_that_goes_on_does_not_take_is_wrong_usage() {
    let here = tempfile::tempdir().unwrap();
    for flag in [
        "--preset lenet",
        "--config a.toml",
        "--out run",
        "--batch-size 3",
        "--shard-size 3",
        "--learning-rate 0.1",
        "--seed 3",
        "--train-limit 3",
        "--test-limit 3",
        "--precision f64",
        "--init a.safetensors",
    ] {
        let name = flag.split(' ').next().unwrap();
        let complaint = refused(here.path(), &format!("train --resume run {flag}"), 2);
        assert!(complaint.contains(name) && complaint.contains("--resume"), "{complaint}");
    }
    for every in ["0", "x", "3h", "-1", "1.5"] {
        let complaint = refused(here.path(), &format!("train --checkpoint-every {every}"), 2);
        let expected = "--checkpoint-every: expected steps, seconds or minutes from 1 on";
        assert!(complaint.contains(expected), "{complaint}");
    }
    let complaint = refused(here.path(), "train --resume nowhere", 1);
    let expected = "error: --resume: nowhere: expected the folder of a run, found no such folder\n";
    assert_eq!(complaint, expected);
    fs::create_dir(here.path().join("empty")).unwrap();
    let complaint = refused(here.path(), "train --resume empty", 1);
    assert!(complaint.contains("with config.toml in it, found no such file"), "{complaint}");
}

#[cfg(unix)]
#[test]
fn a_run_in_progress_is_left_alone() {
    let here = tempfile::tempdir().unwrap();
    write(here.path(), "plain.toml", PLAIN);
    let mut child = start(here.path(), "--config plain.toml --epochs 1000000 --out run");
    wait_until("metrics", || here.path().join("run/metrics.jsonl").exists());
    let complaint = refused(here.path(), "train --resume run", 1);
    assert!(complaint.contains("a run that is still in progress"), "{complaint}");
    child.kill().unwrap();
    child.wait().unwrap();
}
