//! Checkpoints that are damaged, mixed up, or of something else are refused by name.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{run_line, small_data, succeeds, text, train_small};
use crate::resume::{PLAIN, assert_same, places};

/// A run of the plain network and, in `whole`, what it comes to in four epochs. It has checkpoints
/// after the last step of its third epoch, and after that epoch.
fn two_checkpoints(folder: &Path) {
    fs::write(folder.join("plain.toml"), PLAIN).unwrap();
    train_small(folder, "--config plain.toml --epochs 4 --out whole");
    train_small(folder, "--config plain.toml --checkpoint-every 1 --out run");
    assert_eq!(places(&folder.join("run")), [(2, 10), (3, 0)]);
}

/// Copies a folder, in place of another one.
pub fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if entry.is_dir() {
            copy(&entry, &to.join(name));
        } else {
            fs::copy(entry, to.join(name)).unwrap();
        }
    }
}

/// The complaint of a command that must fail with status 1.
#[track_caller]
fn refused(folder: &Path, line: &str) -> String {
    let output = run_line(folder, line);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{line}: {complaint}");
    assert_eq!(complaint.lines().count(), 1, "{line}: {complaint}");
    complaint
}

const NEWEST: &str = "checkpoint/000003-000000.safetensors";
const OLDER: &str = "checkpoint/000002-000010.safetensors";

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_it_is_used() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    two_checkpoints(path);
    let file = path.join("copy").join(NEWEST);
    let original = fs::read(path.join("run").join(NEWEST)).unwrap();
    let len = original.len();
    let flipped = |at: usize, bit: u8| {
        let mut bytes = original.clone();
        bytes[at] ^= 1 << bit;
        bytes
    };
    let header = String::from_utf8_lossy(&original[..4000]).into_owned();
    let checksum = header.find("\"checksum\":\"").unwrap() + 20;
    let progress = header.find("train_seconds").unwrap() + 16;
    let older = fs::read(path.join("run").join(OLDER)).unwrap();
    let damaged = [
        ("a bit of the length", flipped(1, 3)),
        ("a bit of the checksum", flipped(checksum, 0)),
        ("a bit of the progress", flipped(progress, 0)),
        ("a bit of the weights", flipped(len - 30_000, 6)),
        ("the last bit", flipped(len - 1, 7)),
        ("half of it", original[..len / 2].to_vec()),
        ("without its last byte", original[..len - 1].to_vec()),
        ("with a byte more", [&original[..], &[0]].concat()),
        ("nothing", Vec::new()),
        ("one of another place", older.clone()),
        ("halves of two", [&older[..len / 2], &original[len / 2..]].concat()),
    ];
    for (what, bytes) in damaged {
        copy(&path.join("run"), &path.join("copy"));
        fs::write(&file, bytes).unwrap();
        let output = run_line(path, "train --resume copy --epochs 4 --quiet");
        let told = text(&output.stderr);
        assert!(output.status.success(), "{what}: {told}");
        assert!(told.starts_with(&format!("copy/{NEWEST}: expected ")), "{what}: {told}");
        let expected = format!("; the run goes on from copy/{OLDER}, before it\n");
        assert!(told.ends_with(&expected) && told.lines().count() == 1, "{what}: {told}");
        assert_same(path, "whole", "copy");
        assert_eq!(places(&path.join("copy")).last(), Some(&(4, 0)));
    }
    copy(&path.join("run"), &path.join("copy"));
    fs::write(&file, flipped(len - 1, 0)).unwrap();
    fs::write(path.join("copy").join(OLDER), "").unwrap();
    let complaint = refused(path, "train --resume copy --epochs 4");
    assert!(complaint.starts_with(&format!("error: copy/{NEWEST}: expected ")), "{complaint}");
    assert!(
        complaint.ends_with(
            "those before it are not of use either; to train it anew: mnist-app train --config \
         copy/config.toml\n"
        ),
        "{complaint}"
    );
    fs::remove_dir_all(path.join("copy/checkpoint")).unwrap();
    let complaint = refused(path, "train --resume copy --epochs 4");
    assert!(complaint.contains("expected a run with checkpoints, found none"), "{complaint}");
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    two_checkpoints(path);
    train_small(path, "--config plain.toml --seed 5 --out other");
    fs::copy(path.join("other").join(NEWEST), path.join("run").join(NEWEST)).unwrap();
    let output = run_line(path, "train --resume run --epochs 4 --quiet");
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("seed: expected 5, found 0") && told.contains(NEWEST), "{told}");
    assert_same(path, "whole", "run");
}

#[test]
fn a_changed_experiment_is_refused_by_its_key() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    two_checkpoints(path);
    let config = path.join("run/config.toml");
    let original = fs::read_to_string(&config).unwrap();
    for (from, to, expected) in [
        ("batch_size = 20", "batch_size = 25", "batch_size: expected 20, found 25; "),
        ("seed = 0", "seed = 1", "seed: expected 0, found 1; "),
        ("momentum = 0.9", "momentum = 0.8", "optimizer.momentum: expected 0.9, found 0.8; "),
    ] {
        fs::write(&config, original.replace(from, to)).unwrap();
        let complaint = refused(path, "train --resume run --epochs 4");
        assert!(complaint.starts_with("error: run/config.toml, line "), "{complaint}");
        assert!(complaint.contains(expected), "{complaint}");
    }
    // What decides no number may change.
    fs::write(&config, original.replace("name = \"plain\"", "name = \"renamed\"")).unwrap();
    succeeds(path, "train --resume run --epochs 4 --quiet");
    let metrics = |run: &str| crate::resume::metrics(&path.join(run));
    assert_eq!(metrics("run"), metrics("whole"));
}

#[test]
fn changed_data_are_refused_by_their_part() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    two_checkpoints(path);
    let changed = |name: &str, file: &str| -> PathBuf {
        let folder = path.join(name);
        copy(small_data(), &folder);
        let mut bytes = fs::read(folder.join(file)).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(folder.join(file), bytes).unwrap();
        folder
    };
    changed("pixel", "train-images.idx3-ubyte");
    changed("label", "t10k-labels-idx1-ubyte");
    for (folder, part) in [("pixel", "training images"), ("label", "test images")] {
        let complaint = refused(path, &format!("train --resume run --epochs 4 --data {folder}"));
        let expected = format!("expected the {part} that the run began with, sha256 ");
        assert!(complaint.contains(&expected), "{complaint}");
    }
    // The same data elsewhere are the same.
    copy(small_data(), &path.join("moved"));
    succeeds(path, "train --resume run --epochs 4 --quiet --data moved");
    let metrics = |run: &str| crate::resume::metrics(&path.join(run));
    assert_eq!(metrics("run"), metrics("whole"));
    let config = fs::read_to_string(path.join("run/config.toml")).unwrap();
    assert!(config.contains("moved"), "{config}");
}

#[test]
fn metrics_that_are_not_those_of_the_checkpoint_are_refused() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    two_checkpoints(path);
    let file = path.join("run/metrics.jsonl");
    let original = fs::read_to_string(&file).unwrap();
    // The checkpoint before knows two lines.
    fs::write(&file, original.replace("\"epoch\":3", "\"epoch\":4")).unwrap();
    let told = text(&run_line(path, "train --resume run --epochs 4 --quiet").stderr);
    let expected = "run/metrics.jsonl: expected the 3 lines of its checkpoint, found others; ";
    assert!(told.contains(expected), "{told}");
    assert_same(path, "whole", "run");
    let longer = fs::read_to_string(&file).unwrap();
    fs::write(&file, longer.replace("\"epoch\":1", "\"epoch\":7")).unwrap();
    let complaint = refused(path, "train --resume run --epochs 5");
    assert!(complaint.contains("found others"), "{complaint}");
    fs::remove_file(&file).unwrap();
    let complaint = refused(path, "train --resume run --epochs 5");
    assert!(complaint.contains("found no such file"), "{complaint}");
}
