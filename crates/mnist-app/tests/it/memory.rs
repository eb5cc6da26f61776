//! A command takes the memory that there is, and says so where that is too little. The
//! memory is the address space, which the shell limits.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::{idx, text};

/// Four training and four test images of `side × side` pixels, of two classes.
fn write_images(folder: &Path, side: u32) {
    fs::create_dir_all(folder).unwrap();
    let pixels: Vec<u8> = (0..4 * side * side).map(|at| (at * 31 % 251) as u8).collect();
    for part in ["train", "t10k"] {
        let images = idx(&[4, side, side], &pixels);
        fs::write(folder.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        let labels = idx(&[4], &[0, 1, 0, 1]);
        fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
}

/// An experiment whose activations take most of the memory: `4 · kernels · side²` bytes an
/// image in each layer's output.
fn write_experiment(path: &Path, side: u32, kernels: u32) {
    let text = format!(
        r#"epochs = 1
batch_size = 4
shard_size = 1
shuffle = false
learning_rate = 0.001
loss = "softmax_cross_entropy"
init = "he"

[network]
input = [1, {side}, {side}]
layers = [
    {{ type = "conv2d", kernels = {kernels}, size = 3, padding = "same" }},
    {{ type = "relu" }},
    {{ type = "global_avg_pool2d" }},
    {{ type = "dense", outputs = 2 }},
]
"#
    );
    fs::write(path, text).unwrap();
}

/// Runs the program with an address space of so many MiB.
fn limited(folder: &Path, mebibytes: u32, line: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_mnist-app");
    let script = format!("ulimit -v {} && exec {program} {line}", mebibytes * 1024);
    Command::new("sh").args(["-c", &script]).current_dir(folder).output().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn images_are_answered_as_many_together_as_fit() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    write_images(&path.join("data"), 512);
    write_experiment(&path.join("large.toml"), 512, 16);
    // 64 images together would take 1 GiB, and on two threads twice that.
    let train = "train --config large.toml --data data --quiet --threads 2 --out";
    let output = limited(path, 800, &format!("{train} run"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = limited(path, 500, "evaluate run --data data --json");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = text(&output.stdout);
    let output = limited(path, 4000, "evaluate run --data data --json --threads 1");
    assert_eq!(text(&output.stdout), found, "the same bits, however many together");
}

#[test]
#[cfg(target_os = "linux")]
fn what_does_not_fit_is_refused_in_a_line() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    write_images(&path.join("data"), 512);
    write_experiment(&path.join("large.toml"), 512, 64);
    let experiment = "--config large.toml";
    for (line, parts) in [
        (
            format!("train {experiment} --data data --shard-size 4 --out run --threads 1"),
            &["training with batch size 4", "MiB", "1 shard of 4 images, ", "--shard-size"][..],
        ),
        (
            format!("inspect {experiment} --data data --samples 4"),
            &["--samples 4: expected at most", "MiB", "choose fewer --samples"],
        ),
        (
            format!("profile {experiment} --shard-size 4 --repetitions 1"),
            &["training with batch size 4", "MiB", "--shard-size"],
        ),
    ] {
        let output = limited(path, 650, &line);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {complaint}");
        assert!(complaint.starts_with("error: "), "{line}: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{line}: {complaint}");
        for part in parts {
            assert!(complaint.contains(part), "{line}: expected {part:?} in {complaint}");
        }
        assert!(!path.join("run").exists(), "{line}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_network_that_is_too_large_is_refused_before_it_is_made() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    write_images(&path.join("data"), 32);
    let text_of = r#"epochs = 1
batch_size = 1
shard_size = 1
shuffle = false
learning_rate = 0.001
loss = "softmax_cross_entropy"
init = "he"
network = { input = [1, 32, 32], layers = [
    { type = "flatten" },
    { type = "dense", outputs = 200000 },
    { type = "dense", outputs = 2 },
] }
"#;
    fs::write(path.join("wide.toml"), text_of).unwrap();
    let output = limited(path, 500, "train --config wide.toml --data data --out run");
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("network, one image: expected at most the "), "{complaint}");
    assert!(complaint.contains("of memory that are free, found that it takes 2."), "{complaint}");
    assert!(!path.join("run").exists());
}

/// A network of 95 MB, which one image goes through in next to nothing.
const WIDE: &str = r#"epochs = 1
batch_size = 2
shard_size = 2
shuffle = false
learning_rate = 0.001
loss = "softmax_cross_entropy"
init = "he"

[network]
input = [1, 28, 28]
layers = [
    { type = "flatten" },
    { type = "dense", outputs = 30000 },
    { type = "relu" },
    { type = "dense", outputs = 2 },
]
"#;

/// Whether the program ends in a result or in a line, whatever the memory; how often in a result.
#[cfg(target_os = "linux")]
#[track_caller]
fn ends_well(folder: &Path, line: &str, mebibytes: impl Iterator<Item = u32>) -> usize {
    let mut done = 0;
    for memory in mebibytes {
        let _ = fs::remove_dir_all(folder.join("run"));
        let output = limited(folder, memory, line);
        let complaint = text(&output.stderr);
        match output.status.code() {
            Some(0) => done += 1,
            Some(1) => assert_eq!(complaint.lines().count(), 1, "{memory} MiB: {complaint}"),
            other => panic!("{line}, {memory} MiB: {other:?}: {complaint}"),
        }
    }
    done
}

#[test]
#[cfg(target_os = "linux")]
fn a_large_model_is_written_and_read_or_refused_before_it_is_trained() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    write_images(&path.join("data"), 28);
    fs::write(path.join("wide.toml"), WIDE).unwrap();
    let train = "train --config wide.toml --data data --threads 1 --quiet --out";
    let done = ends_well(path, &format!("{train} run"), (300..=600).step_by(60));
    assert!((1..6).contains(&done), "{done}");
    let output = limited(path, 4000, &format!("{train} model"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let evaluate = "evaluate model --threads 1 --json --data data";
    let done = ends_well(path, evaluate, (60..=410).step_by(70));
    assert!((1..6).contains(&done), "{done}");
    let inspect = "inspect model --samples 2 --json --data data";
    let done = ends_well(path, inspect, (200..=800).step_by(120));
    assert!((1..6).contains(&done), "{done}");
}
