//! What a file claims, holds or asks for is bounded before it is read, kept or started.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::bad_input::refused;
use crate::common::{run_in, small_data, summary, text, train_small, write_png};
use crate::own_images::{Images, config};

const SHAPE: [usize; 3] = [1, 4, 5];

fn whole(path: &Path) {
    for prefix in ["train", "t10k"] {
        Images::new(SHAPE, 3, 6).write_idx(&path.join("data"), prefix);
    }
    fs::write(path.join("mine.toml"), config(SHAPE, 3)).unwrap();
}

const TRAIN: &str = "train --config mine.toml --data data --quiet --epochs 1";

#[track_caller]
fn complaint(path: &Path, line: &str) -> String {
    let words: Vec<_> = line.split_whitespace().collect();
    let output = run_in(path, &words.iter().map(|word| word as _).collect::<Vec<_>>());
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(complaint.len() < 3000, "{} bytes", complaint.len());
    complaint
}

#[test]
fn zeros_behind_a_gzip_stream_end() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    whole(path);
    let file = path.join("data/train-labels-idx1-ubyte");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&fs::read(&file).unwrap()).unwrap();
    let mut stream = encoder.finish().unwrap();
    let whole = stream.len() as u64;
    // Zeros between members count as well, those of all places together.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(b"").unwrap();
    let empty = encoder.finish().unwrap();
    fs::write(&file, &stream).unwrap();
    let grow = |len| fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(len).unwrap();
    grow(whole + (1 << 20));
    train_with(path, "--out padded");
    // A terabyte that takes no room: to read it would take many minutes.
    grow(1 << 40);
    let found = complaint(path, TRAIN);
    assert!(found.contains("behind it but at most 1048576 zeros"), "{found}");
    assert!(found.contains("behind it more of them; remove what follows"), "{found}");
    for _ in 0..2 {
        stream.extend(vec![0; 600_000]);
        stream.extend(&empty);
    }
    fs::write(&file, &stream).unwrap();
    assert!(complaint(path, TRAIN).contains("behind it more of them"));
}

#[track_caller]
fn train_with(path: &Path, flags: &str) {
    let line = format!("{TRAIN} {flags}");
    let words: Vec<_> = line.split_whitespace().collect();
    let output = run_in(path, &words.iter().map(|word| word as _).collect::<Vec<_>>());
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// A file of weights with this header and nothing behind it.
fn weights(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
}

#[test]
fn headers_of_weights_are_as_large_as_a_network_needs() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    whole(path);
    let array = r#"{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#;
    let arrays = |count: usize| {
        let arrays: Vec<_> = (0..count).map(|index| format!("\"x{index}\":{array}")).collect();
        weights(&format!("{{{}}}", arrays.join(",")))
    };
    let keys = |count: usize| {
        let keys: Vec<_> = (0..count).map(|index| format!("\"k{index}\":\"\"")).collect();
        weights(&format!("{{\"__metadata__\":{{{}}}}}", keys.join(",")))
    };
    let long = weights(&format!("{{\"__metadata__\":{{\"k\":\"{}\"}}}}", "x".repeat(1 << 22)));
    let network = |text: &str| weights(&format!("{{\"__metadata__\":{{\"network\":{text:?}}}}}"));
    let many = format!("{{\"input\":[1],\"layers\":[{}\"relu\"]}}", "\"relu\",".repeat(4096));
    for (name, bytes, parts) in [
        (
            "long",
            long,
            &["header has at most 4194304 bytes if it is of a network, got one of 4194"][..],
        ),
        ("arrays", arrays(20_481), &["expected at most 20480 arrays, got more"]),
        ("keys", keys(1001), &["expected at most 1000 keys in __metadata__, got more"]),
        ("twice", weights(&format!("{{\"x\":{array},\"x\":{array}}}")), &["got \"x\" twice"]),
        ("list", weights("[]"), &["expected arrays by their names"]),
        ("number", weights("{\"x\":1}"), &["expected an array's dtype, shape and data_offsets"]),
        ("empty", weights(""), &["got a text that is empty or cut short"]),
        ("no network", network(""), &["\"network\"", "got a text that is empty or cut short"]),
        ("list of networks", network("[]"), &["\"network\""]),
        ("layers", network(&many), &["layers: expected at most 4096, those inside", "got 4097"]),
    ] {
        fs::write(path.join("model"), bytes).unwrap();
        let found = complaint(path, "evaluate model");
        for part in parts {
            assert!(found.contains(part), "{name}: expected {part:?} in {found}");
        }
        for word in ["struct", "HashMetadata", "EOF", "usize"] {
            assert!(!found.contains(word), "{name}: {found}");
        }
    }
    // As many as there may be are not what is wrong.
    for (bytes, part) in
        [(arrays(20_480), "description of the network"), (keys(1000), "description of the network")]
    {
        fs::write(path.join("model"), bytes).unwrap();
        let found = complaint(path, "evaluate model");
        assert!(found.contains(part), "{found}");
    }
}

#[test]
fn a_network_has_so_many_layers() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    whole(path);
    let inside = "{ type = \"relu\" },\n".repeat(4090);
    for (count, is_deep) in [(3, true), (10, false), (40_000, false)] {
        let relus = "{ type = \"relu\" },\n".repeat(count);
        let inside = if is_deep {
            format!("{relus}{{ type = \"residual\", layers = [{inside}] }},\n")
        } else {
            format!("{relus}{inside}")
        };
        let text_of = config(SHAPE, 3).replace("layers = [\n", &format!("layers = [\n{inside}"));
        fs::write(path.join("many.toml"), text_of).unwrap();
        // Three layers more, four of which there are already.
        let all = 4 + count + 4090 + usize::from(is_deep);
        let expected =
            format!("layers: expected at most 4096, those inside of others counted, got {all}");
        for command in ["train --data data", "inspect --data data", "profile"] {
            let found = complaint(path, &format!("{command} --config many.toml"));
            assert!(found.contains(&expected), "{command}: {found}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_text_that_takes_more_memory_than_there_is_is_refused_in_a_line() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let relus = "{type=\"relu\"},".repeat(70_000);
    let text_of = config(SHAPE, 3).replace("layers = [\n", &format!("layers = [\n{relus}"));
    fs::write(path.join("many.toml"), text_of).unwrap();
    let program = env!("CARGO_BIN_EXE_mnist-app");
    for (mebibytes, part) in [
        (100, "to read a text of 980"),
        (200, "to read a text of 980"),
        (2000, "layers: expected at most 4096"),
    ] {
        let limit = mebibytes * 1024;
        let script = format!("ulimit -v {limit}; exec {program} profile --config many.toml");
        let output = Command::new("sh").args(["-c", &script]).current_dir(path).output().unwrap();
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        assert!(complaint.contains(part), "{mebibytes}: {complaint}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_stands_beside_the_pixels_is_not_kept() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    for part in ["train", "test"] {
        for class in ["a", "b", "c"] {
            let folder = path.join("data").join(part).join(class);
            fs::create_dir_all(&folder).unwrap();
            write_png(&folder.join("0.png"), SHAPE, &[7; 20]);
        }
    }
    fs::write(path.join("mine.toml"), config(SHAPE, 3)).unwrap();
    let file = path.join("data/train/b/0.png");
    let bytes = fs::read(&file).unwrap();
    let (header, rest) = bytes.split_at(33);
    let chunk = [&b"tEXt"[..], b"k\0"].concat();
    let mut checksum = flate2::Crc::new();
    checksum.update(&chunk);
    let chunk = [&[0, 0, 0, 2], &chunk[..], &checksum.sum().to_be_bytes()].concat();
    fs::write(&file, [header, &chunk.repeat(500_000), rest].concat()).unwrap();
    let program = env!("CARGO_BIN_EXE_mnist-app");
    let script = format!("ulimit -v 108000; exec {program} {TRAIN} --threads 1 --out run");
    let output = Command::new("sh").args(["-c", &script]).current_dir(path).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// How many threads the program starts for these words: the system refuses all that are more
/// than `most`, beside the first.
#[cfg(target_os = "linux")]
#[test]
fn no_more_threads_are_started_than_have_work() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, "--preset tiny --epochs 1 --train-limit 8 --test-limit 8 --out run");
    let processors = std::thread::available_parallelism().unwrap().get();
    let data = small_data().display();
    // A thread takes 8 MiB of the address space or more: a thousand do not fit.
    for line in [
        format!("evaluate run --test-limit 1 --threads 1000 --data {data}"),
        format!("compare run run --test-limit 1 --threads 1000 --data {data}"),
    ] {
        let words: Vec<_> = line.split_whitespace().collect();
        let output = run_in(path, &words.iter().map(|word| word as _).collect::<Vec<_>>());
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let flags = "--epochs 1 --batch-size 1 --shard-size 1 --train-limit 1 --test-limit 1";
    train_small(path, &format!("--preset tiny {flags} --threads 1000 --out one"));
    assert_eq!(summary(path, "one")["threads"], processors);
    train_small(path, &format!("--preset tiny {flags} --threads 4 --out four"));
    assert_eq!(summary(path, "four")["threads"], 4);
    let line = "profile --preset tiny --repetitions 1 --json --threads 1000";
    let words = format!("{line} --batch-size 2 --shard-size 1");
    let words: Vec<_> = words.split_whitespace().collect();
    let output = run_in(path, &words.iter().map(|word| word as _).collect::<Vec<_>>());
    let setting = text(&output.stdout);
    let setting: serde_json::Value = serde_json::from_str(setting.lines().next().unwrap()).unwrap();
    assert_eq!(setting["threads"], processors.max(2), "{setting}");
}

#[test]
fn threads_of_the_environment_are_validated_by_every_command() {
    let here = tempfile::tempdir().unwrap();
    for command in [
        "train",
        "evaluate run",
        "compare run run",
        "profile --preset tiny --repetitions 1",
        "inspect --preset tiny",
    ] {
        for found in ["0", "5000", "abc"] {
            let output = Command::new(env!("CARGO_BIN_EXE_mnist-app"))
                .args(command.split_whitespace())
                .current_dir(here.path())
                .env("RAYON_NUM_THREADS", found)
                .output()
                .unwrap();
            let expected = format!(
                "error: RAYON_NUM_THREADS: expected a whole number from 1 to 1024, found {found:?}\n"
            );
            assert_eq!(text(&output.stderr), expected, "{command}");
            assert_eq!(output.status.code(), Some(2), "{command}");
        }
    }
    // Where a flag says how many, the environment is not asked.
    refused(here.path(), "evaluate run --threads 2", 1, &["run: "]);
}

#[cfg(target_os = "linux")]
#[test]
fn threads_that_the_system_refuses_are_said_once() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    whole(path);
    let program = env!("CARGO_BIN_EXE_mnist-app");
    // Each thread takes room for its stack.
    let flags = "--batch-size 1000 --shard-size 1 --threads 1000";
    let script =
        format!("ulimit -v 1000000; RUST_MIN_STACK=67108864 exec {program} {TRAIN} {flags}");
    let output = Command::new("sh").args(["-c", &script]).current_dir(path).output().unwrap();
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert_eq!(complaint.matches("os error").count(), 1, "{complaint}");
    assert!(
        complaint.contains("expected 1000 threads, found that the system refuses"),
        "{complaint}"
    );
}
