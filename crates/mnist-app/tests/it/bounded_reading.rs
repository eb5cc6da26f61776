//! A header is read before its body, once, and what is no file is called what it is.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::bad_input::refused;
use crate::common::{gzip, idx, run_line, small_data, succeeds, text, train_small};
use crate::data_of_models::without;
use crate::own_images::{Images, config};

const SHAPE: [usize; 3] = [1, 4, 5];

/// The experiment `mine.toml` and its folder `data`.
fn whole(path: &Path) {
    for prefix in ["train", "t10k"] {
        Images::new(SHAPE, 3, 6).write_idx(&path.join("data"), prefix);
    }
    fs::write(path.join("mine.toml"), config(SHAPE, 3)).unwrap();
}

/// A file that is as long as it says, without taking room on the disk.
fn sparse(file: &Path, start: &[u8], len: u64) {
    fs::write(file, start).unwrap();
    fs::OpenOptions::new().write(true).open(file).unwrap().set_len(len).unwrap();
}

#[test]
fn giants_are_refused_by_what_their_headers_say() {
    // Not by `refused`, which reads all files.
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    whole(path);
    let images = path.join("data/train-images-idx3-ubyte");
    let own = fs::read(&images).unwrap();
    const TERABYTE: u64 = 1 << 40;
    let huge = serde_json::json!({ "x": { "dtype": "F32", "shape": [TERABYTE / 4],
        "data_offsets": [0, TERABYTE] } })
    .to_string();
    let huge = [&(huge.len() as u64).to_le_bytes()[..], huge.as_bytes()].concat();
    sparse(&path.join("model"), &huge, huge.len() as u64 + TERABYTE);
    sparse(&path.join("text.toml"), b"epochs = 1\n", TERABYTE);
    let train = "train --config mine.toml --data data";
    for (case, start, parts) in [
        ("no header", vec![], &["magic number", "0x00000000"][..]),
        ("sizes", idx(&[6, 4, 5], &[]), &["expected 120 bytes", "found more"]),
        ("labels", idx(&[1 << 20, 1 << 10, 1 << 10], &[]), &["expected 1048576 labels", "found 6"]),
    ] {
        let len = start.len() as u64 + TERABYTE;
        sparse(&images, &start, len);
        gone(path, train, parts, case);
    }
    fs::write(&images, own).unwrap();
    gone(path, &format!("{train} --init model"), &["x is not in the network"], "init");
    gone(path, "evaluate model", &["description of the network"], "model");
    gone(path, "train --config text.toml", &["at most 1048576 bytes", "found one of"], "config");
}

/// Expects one line with these parts.
#[track_caller]
fn gone(path: &Path, line: &str, parts: &[&str], case: &str) {
    let output = run_line(path, line);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{case}: {complaint}");
    assert_eq!(complaint.lines().count(), 1, "{case}: {complaint}");
    for part in parts {
        assert!(complaint.contains(part), "{case}: expected {part:?} in {complaint}");
    }
}

#[test]
fn a_gzip_stream_cannot_tell_of_more_than_it_can_hold() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    whole(path);
    for (name, start) in [
        ("images-idx3", idx(&[1 << 20, 1 << 10, 1 << 10], &[0])),
        ("labels-idx1", idx(&[1 << 20], &[0])),
    ] {
        let file = path.join(format!("data/train-{name}-ubyte"));
        fs::remove_file(&file).unwrap();
        fs::write(file.with_extension("gz"), gzip(&start)).unwrap();
    }
    let parts = &["sizes of which a gzip stream of ", "[1048576, 1024, 1024]", "cut short"];
    refused(path, "train --config mine.toml --data data", 1, parts);
}

#[test]
fn zeros_behind_a_gzip_stream_are_read_past_and_other_bytes_named() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    whole(path);
    let file = path.join("data/train-labels-idx1-ubyte");
    let stream = gzip(&fs::read(&file).unwrap());
    let train = "train --config mine.toml --data data --epochs 1";
    for (name, behind) in [
        ("a", vec![0; 512]),
        ("b", vec![0]),
        ("c", gzip(b"")),
        ("d", [&[0; 7][..], &gzip(b"")].concat()),
        ("e", vec![0; 100_000]),
    ] {
        fs::write(&file, [&stream[..], &behind].concat()).unwrap();
        succeeds(path, &format!("{train} --out {name}"));
    }
    for (behind, parts) in [
        (&b"\r\n"[..], &["a whole one", "behind it \"\\r\\n\""][..]),
        (b"\0\0text", &["behind it \"text\""]),
        (&gzip(b"1"), &["found more"]),
        (&gzip(b"")[..12], &["cut short"]),
    ] {
        fs::write(&file, [&stream[..], behind].concat()).unwrap();
        refused(path, train, 1, parts);
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_called_what_it_is() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    whole(path);
    fs::create_dir(path.join("folder")).unwrap();
    std::os::unix::fs::symlink("nowhere", path.join("link")).unwrap();
    let train = "train --config mine.toml --data data";
    for (file, found) in [
        ("folder", "expected a file, found a folder"),
        ("link", "expected a file, found a dangling link to nowhere"),
        ("/dev/zero", "expected a file, found a device"),
        ("/dev/null", "expected a file, found a device"),
    ] {
        for line in [format!("train --config {file}"), format!("{train} --init {file}")] {
            gone(path, &line, &[file, found], file);
        }
        if file != "folder" {
            gone(path, &format!("evaluate {file}"), &[file, found], file);
        }
    }
    let images = path.join("data/train-images-idx3-ubyte");
    for (target, found) in [
        ("../folder", "a folder"),
        ("nowhere", "a dangling link to nowhere"),
        ("/dev/zero", "a device"),
    ] {
        fs::remove_file(&images).unwrap();
        std::os::unix::fs::symlink(target, &images).unwrap();
        gone(path, train, &["train-images-idx3-ubyte: expected a file, found ", found], target);
    }
}

#[cfg(unix)]
#[test]
fn pipes_are_read_once() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, "--preset notebook-tuned --epochs 1 --train-limit 8 --out run");
    let data = small_data().display();
    let program = env!("CARGO_BIN_EXE_mnist-app");
    let piped = |file: &str, line: &str| {
        let script = format!("cat {file} | {program} {line}");
        let output = Command::new("sh").arg("-c").arg(script).current_dir(path).output().unwrap();
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let model = "run/model.safetensors";
    let alone = succeeds(path, &format!("evaluate {model} --data {data}"));
    assert_eq!(piped(model, &format!("evaluate /dev/stdin --data {data}")), alone);
    let flags = format!("--epochs 1 --train-limit 8 --data {data} --quiet");
    succeeds(path, &format!("train --preset notebook-tuned --init {model} {flags} --out a"));
    piped(model, &format!("train --preset notebook-tuned --init /dev/stdin {flags} --out b"));
    // Their experiments differ in the name of the weights' file.
    let file = |run: &str| {
        let bytes = fs::read(path.join(run).join("model.safetensors")).unwrap();
        without(&bytes, &["config_sha256"])
    };
    assert!(file("a") == file("b"));
    piped("run/config.toml", &format!("train --config /dev/stdin {flags} --out c"));
}

#[test]
fn messages_are_bounded() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    whole(path);
    let weights = |count: usize| {
        let mut header = serde_json::Map::new();
        for index in 0..count {
            let array = serde_json::json!({ "dtype": "F32", "shape": [0], "data_offsets": [0, 0] });
            header.insert(format!("extra{index}"), array);
        }
        let header = serde_json::Value::Object(header).to_string();
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
    };
    fs::write(path.join("many"), weights(20_000)).unwrap();
    let line = "train --config mine.toml --data data --init many";
    let complaint = text(&run_line(path, line).stderr);
    assert!(complaint.len() < 3000, "{} bytes", complaint.len());
    assert!(complaint.contains("extra0 is not in") && complaint.contains("more"), "{complaint}");

    let layers = "{ type = \"relu\" },\n".repeat(2_000);
    let network = format!("layers = [\n{layers}{{ type = \"max_pool2d\", size = 99 }},\n{layers}");
    let text_of_many = config(SHAPE, 3).replace("layers = [\n", &network);
    fs::write(path.join("many.toml"), text_of_many).unwrap();
    let complaint = text(&run_line(path, "train --config many.toml --data data").stderr);
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(complaint.contains(", line 2012: network: layer 2000 does not fit"), "{complaint}");
}

#[cfg(target_os = "linux")]
#[test]
fn too_little_memory_is_not_a_damaged_file() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    // 256 MiB of zeros, which take no room, where a process may take less.
    let (count, size) = (1 << 18, 1 << 10);
    fs::create_dir(path.join("data")).unwrap();
    for prefix in ["train", "t10k"] {
        let images = path.join(format!("data/{prefix}-images-idx3-ubyte"));
        let start = idx(&[count, 1, size], &[]);
        sparse(&images, &start, start.len() as u64 + u64::from(count * size));
        let labels = vec![0; count as usize];
        fs::write(path.join(format!("data/{prefix}-labels-idx1-ubyte")), idx(&[count], &labels))
            .unwrap();
    }
    fs::write(path.join("mine.toml"), config([1, 1, size as usize], 3)).unwrap();
    let line = "train --config mine.toml --data data --threads 1";
    let script = format!("ulimit -v 200000; {} {line}", env!("CARGO_BIN_EXE_mnist-app"));
    let output = Command::new("sh").arg("-c").arg(script).current_dir(path).output().unwrap();
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    let parts = ["-images-idx3-ubyte: ", "too little memory: expected 268435456 free bytes"];
    parts.iter().for_each(|part| assert!(complaint.contains(part), "{complaint}"));
}
