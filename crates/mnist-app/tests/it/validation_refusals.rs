//! What cannot be chosen, or went wrong with what was chosen, by validation images.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::bad_input::refused;
use crate::checkpoints::copy;
use crate::common::{run_line, small_data, text};
use crate::resume::{PLAIN, resume};
use crate::validation::{pictures, shaky, train};
use crate::verify::{lines, set_lines};

#[test]
fn keys_that_are_wrong_or_have_no_images() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let needs = "c.toml, line 1: patience: needs a validation part";
    let remedy = "write validation = 0.1 in [data]";
    let whole = "patience: expected a whole number from 1 on, found ";
    for (key, parts) in [
        ("patience = 0", &["c.toml, line 1: ", whole, "found 0"][..]),
        ("patience = -1", &["c.toml, line 1: ", whole, "found -1"]),
        ("patience = 1.5", &["c.toml, line 1: ", whole, "found 1.5"]),
        ("patience = \"x\"", &["c.toml, line 1: ", whole, "found \"x\""]),
        ("patience = [3]", &["c.toml, line 1: ", whole, "found [3]"]),
        ("keep = \"worst\"", &["line 1: keep: expected one of last, best, found \"worst\""]),
        ("keep = \"\"", &["line 1: keep: expected one of last, best, found \"\""]),
        ("keep = true", &["line 1: keep: expected ", "found true"]),
        ("keep = 3", &["line 1: keep: expected ", "found 3"]),
        ("pateince = 3", &["line 1: pateince: no such key", "did you mean \"patience\"?"]),
        ("patience = 3", &[needs, remedy]),
        ("keep = \"best\"", &["c.toml, line 1: keep: needs a validation part", remedy]),
        ("patience = 3\nkeep = \"best\"", &[needs, remedy]),
        ("committee = 2\npatience = 3", &["c.toml, line 2: patience: needs a validation", remedy]),
    ] {
        fs::write(path.join("c.toml"), format!("{key}\n{PLAIN}")).unwrap();
        let data = small_data().display();
        let line = format!("train --config c.toml --data {data} --quiet --out run");
        refused(path, &line, 1, parts);
    }
    // The default may be written down.
    fs::write(path.join("c.toml"), format!("keep = \"last\"\n{PLAIN}")).unwrap();
    crate::common::train_small(path, "--config c.toml --out run");
    let config = fs::read_to_string(path.join("run/config.toml")).unwrap();
    assert!(!config.contains("keep") && !config.contains("patience"), "{config}");
}

/// The complaint of a command with this status.
#[track_caller]
fn complaint(folder: &Path, line: &str) -> String {
    let output = run_line(folder, line);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{line}: {complaint}");
    assert_eq!(complaint.lines().count(), 1, "{line}: {complaint}");
    complaint
}

/// A run that keeps its best epoch, killed in its last one, as `run`; on a copy of the digits.
fn killed(path: &Path) {
    copy(pictures(), &path.join("data"));
    fs::write(path.join("c.toml"), shaky("keep = \"best\"\npatience = 50")).unwrap();
    let line =
        "train --no-report --quiet --config c.toml --data data --checkpoint-every 1 --out run";
    crate::common::succeeds(path, line);
    for file in ["model.safetensors", "summary.json", "checkpoint/000003-000000.safetensors"] {
        fs::remove_file(path.join("run").join(file)).unwrap();
    }
}

const CHECKPOINT: &str = "run/checkpoint/000002-000008.safetensors";

#[test]
fn a_run_that_goes_on_has_the_validation_images_that_it_began_with() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    killed(path);
    assert!(path.join(CHECKPOINT).is_file());
    // One of them less.
    copy(&path.join("data"), &path.join("fewer"));
    let class = fs::read_dir(path.join("fewer/validation/3")).unwrap().next().unwrap().unwrap();
    fs::remove_file(class.path()).unwrap();
    let found = complaint(path, "train --resume run --data fewer");
    for part in [CHECKPOINT, "expected the validation images that the run began with, sha256 "] {
        assert!(found.contains(part), "{found}");
    }
    // None at all.
    fs::remove_dir_all(path.join("fewer/validation")).unwrap();
    let found = complaint(path, "train --resume run --data fewer");
    assert!(found.contains("config.toml, line "), "{found}");
    assert!(found.contains("patience: needs a validation part"), "{found}");
    let found = complaint(path, "verify run --data fewer");
    assert!(found.contains("needs a validation part"), "{found}");
    // Another choice, and one epoch too few.
    let config = fs::read_to_string(path.join("run/config.toml")).unwrap();
    let other = config.replace("keep = \"best\"\n", "");
    assert_ne!(other, config);
    fs::write(path.join("run/config.toml"), other).unwrap();
    let found = complaint(path, "train --resume run");
    assert!(found.contains("keep: expected \"best\", found none"), "{found}");
    fs::write(path.join("run/config.toml"), config).unwrap();
    let found = complaint(path, "train --resume run --epochs 2");
    assert!(found.contains("--epochs: expected at least 3 epochs"), "{found}");
    // The same images elsewhere are the same.
    fs::rename(path.join("data"), path.join("moved")).unwrap();
    crate::common::succeeds(path, "train --resume run --data moved --quiet --no-report");
}

#[test]
fn without_choices_other_validation_images_are_refused_too() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    copy(pictures(), &path.join("data"));
    fs::write(path.join("c.toml"), PLAIN).unwrap();
    let line = "train --no-report --quiet --config c.toml --data data --out run";
    crate::common::succeeds(path, line);
    fs::remove_file(path.join("run/summary.json")).unwrap();
    copy(&path.join("data"), &path.join("fewer"));
    fs::remove_dir_all(path.join("fewer/validation")).unwrap();
    for line in ["train --resume run --data fewer", "verify run --data fewer"] {
        let found = complaint(path, line);
        assert!(
            found.contains("expected the validation images that the run began with"),
            "{found}"
        );
        assert!(found.contains(", found none; name their folder with --data DIR"), "{found}");
    }
    fs::remove_dir_all(path.join("run/checkpoint")).unwrap();
    let found = complaint(path, "verify run --data fewer");
    assert!(found.contains("expected the validation images that the run was made of"), "{found}");
    // A model whose digests do not go together.
    let file = path.join("run/model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let key = b"\"data_validation\":\"";
    let at = bytes.windows(key.len()).position(|found| found == key).unwrap() + key.len();
    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    fs::write(&file, bytes).unwrap();
    let found = complaint(path, "evaluate run/model.safetensors --data data");
    assert!(found.contains("the digest of its parts"), "{found}");
}

#[test]
fn a_best_network_that_is_damaged_or_missing() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    killed(path);
    let file = path.join(CHECKPOINT);
    let original = fs::read(&file).unwrap();
    let header = String::from_utf8_lossy(&original[..8000.min(original.len())]).into_owned();
    assert!(header.contains("\"best.1.weight\""), "{header}");
    // The arrays of the best network are the last ones by name or not; each bit of them counts.
    let start = 8 + u64::from_le_bytes(original[..8].try_into().unwrap()) as usize;
    let array = header.find("\"best.1.weight\"").unwrap();
    let offsets = &header[array..];
    let offsets = &offsets[offsets.find("data_offsets\":[").unwrap() + 15..];
    let at: usize = offsets[..offsets.find(',').unwrap()].parse().unwrap();
    let mut bytes = original.clone();
    bytes[start + at + 5] ^= 1;
    fs::write(&file, bytes).unwrap();
    let found = complaint(path, "train --resume run");
    assert!(found.contains(CHECKPOINT) && found.contains("it is damaged"), "{found}");
    // Its name is another one.
    let mut bytes = original.clone();
    let name = original.windows(15).position(|found| found == b"\"best.1.weight\"").unwrap();
    bytes[name + 1] = b'r';
    fs::write(&file, bytes).unwrap();
    let found = complaint(path, "train --resume run");
    assert!(found.contains(CHECKPOINT), "{found}");
    // A checkpoint of a run that keeps none.
    fs::write(path.join("last.toml"), shaky("patience = 50")).unwrap();
    train(path, "--config last.toml --checkpoint-every 1 --out last");
    fs::copy(path.join("last/checkpoint/000002-000008.safetensors"), &file).unwrap();
    let found = complaint(path, "train --resume run");
    assert!(found.contains("keep: expected none, found \"best\""), "{found}");
    fs::write(&file, original).unwrap();
    resume(path, "run", 1, "portable");
}

#[test]
fn lines_that_contradict_themselves() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("c.toml"), shaky("keep = \"best\"")).unwrap();
    train(path, "--config c.toml --out run");
    let original = lines(&path.join("run"));
    let together = "expected validation_error, validation_correct and validation_total together";
    let changes: [(usize, &str, Value, &str); 8] = [
        (1, "validation_total", Value::Null, together),
        (1, "validation_error", Value::Null, together),
        (1, "validation_total", json!(0), "validation_total: expected a number from 1 on, found 0"),
        (1, "validation_correct", json!(61), "validation_correct: expected at most 60, as val"),
        (2, "test_correct", json!(71), "test_correct: expected at most 70, as test_total says"),
        (2, "best_epoch", json!(0), "best_epoch: expected a number from 1 to 3, the line's own"),
        (2, "best_epoch", json!(4), "best_epoch: expected a number from 1 to 3, the line's own"),
        (2, "test_total", Value::Null, "expected test_error, test_correct and test_total together"),
    ];
    for (line, key, value, expected) in changes {
        let mut changed = original.clone();
        changed[line][key] = value;
        set_lines(&path.join("run"), &changed);
        let found = complaint(path, "verify run");
        let place = format!("metrics.jsonl, line {}: ", line + 1);
        assert!(found.contains(&place) && found.contains(expected), "{found}");
    }
    let mut changed = original;
    for key in ["validation_error", "validation_correct", "validation_total"] {
        changed[0].as_object_mut().unwrap().remove(key);
    }
    set_lines(&path.join("run"), &changed);
    let found = complaint(path, "verify run");
    assert!(found.contains("line 1: ") && found.contains("found neither"), "{found}");
}
