//! A part is not taken for the whole.

use std::fs;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

use crate::bad_input::refused;
use crate::committee::TWO;
use crate::common::{objects, run_line, small_data, succeeds, text, train_small};
use crate::data_of_models::changed;
use crate::own_images::{Images, config};

const COMMITTEE: &str = r#"
committee = 3
epochs = 1
batch_size = 20
shard_size = 20
shuffle = true
learning_rate = 0.1
loss = "softmax_cross_entropy"
init = "he"
[network]
input = [1, 28, 28]
layers = [{ type = "flatten" }, { type = "dense", outputs = 10 }]
"#;

pub(crate) fn committee(path: &Path) {
    fs::write(path.join("three.toml"), COMMITTEE).unwrap();
    train_small(path, "--config three.toml --out three");
}

#[test]
fn a_committee_is_all_of_its_members() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    committee(path);
    let all = objects(&succeeds(path, "evaluate three --json"));
    fs::rename(path.join("three/member-2"), path.join("away")).unwrap();
    let parts = &[
        "model three: ",
        "expected 3 members",
        "found 2, without member-2",
        "such as three/member-1",
    ];
    for line in ["evaluate three", "inspect three", "compare three three"] {
        refused(path, line, 1, parts);
    }
    // On purpose those that there are.
    let two = objects(&succeeds(path, "evaluate three/member-1 three/member-3 --json"));
    assert_eq!((two.len(), &two[2]["vote_of"]), (3, &2.into()));
    // One that has begun and not ended.
    fs::create_dir(path.join("three/member-2")).unwrap();
    fs::copy(path.join("away/config.toml"), path.join("three/member-2/config.toml")).unwrap();
    refused(path, "evaluate three", 1, parts);
    // One of another run in its place.
    fs::remove_dir_all(path.join("three/member-2")).unwrap();
    train_small(path, "--config three.toml --seed 7 --out seven");
    fs::rename(path.join("seven/member-2"), path.join("three/member-2")).unwrap();
    refused(path, "evaluate three", 1, &["model three: ", "member-2/config.toml", "another run"]);
    fs::remove_dir_all(path.join("three/member-2")).unwrap();
    fs::rename(path.join("away"), path.join("three/member-2")).unwrap();
    assert_eq!(objects(&succeeds(path, "evaluate three --json")), all);
    // One too many.
    fs::rename(path.join("seven/member-1"), path.join("three/member-4")).unwrap();
    refused(path, "evaluate three", 1, &["expected 3 members", "found member-4"]);
    fs::rename(path.join("three/member-4"), path.join("three/member-x")).unwrap();
    refused(path, "evaluate three", 1, &["expected 3 members", "found member-x"]);
    fs::remove_dir_all(path.join("three/member-x")).unwrap();
    fs::remove_file(path.join("three/config.toml")).unwrap();
    refused(path, "evaluate three", 1, &["model three: ", "with config.toml in it"]);
}

#[test]
fn a_committee_that_reached_its_target_is_whole() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("three.toml"), COMMITTEE).unwrap();
    train_small(path, "--config three.toml --target-accuracy 0 --out one");
    assert!(!path.join("one/member-2").exists());
    let committee = objects(&succeeds(path, "evaluate one --json"));
    let member = objects(&succeeds(path, "evaluate one/member-1 --json"));
    assert_eq!(committee[0]["test_correct"], member[0]["test_correct"]);
    fs::rename(path.join("one/member-1"), path.join("one/member-2")).unwrap();
    refused(path, "evaluate one", 1, &["expected 1 members, as summary.json says", "member-2"]);
}

#[test]
fn a_model_of_another_run_is_not_this_runs() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let train = "--preset notebook-tuned --epochs 1 --train-limit 8";
    train_small(path, &format!("{train} --out run"));
    train_small(path, &format!("{train} --seed 9 --out seed"));
    train_small(path, &format!("{train} --precision f64 --out precision"));
    train_small(path, &format!("{train} --learning-rate 0.02 --out rate"));
    train_small(path, "--preset lenet --epochs 1 --train-limit 8 --out network");
    let model = path.join("run/model.safetensors");
    let own = fs::read(&model).unwrap();
    for (run, part) in [
        ("network", "another network"),
        ("seed", "another seed"),
        ("precision", "another precision"),
        ("rate", "summary.json says weights_sha256 = "),
    ] {
        fs::copy(path.join(run).join("model.safetensors"), &model).unwrap();
        refused(path, "evaluate run", 1, &["model run/model.safetensors: ", part, "another run"]);
        let data = small_data().display();
        succeeds(path, &format!("evaluate run/model.safetensors --data {data}"));
    }
    fs::write(&model, own).unwrap();
    succeeds(path, "evaluate run");
    fs::create_dir(path.join("run/member-1")).unwrap();
    refused(path, "evaluate run", 1, &["model run: ", "single network", "found member-1"]);
    fs::remove_dir(path.join("run/member-1")).unwrap();
    fs::write(path.join("run/config.toml"), "epochs = ").unwrap();
    refused(path, "evaluate run", 1, &["model run: ", "run/config.toml, line 1"]);
    fs::remove_file(path.join("run/config.toml")).unwrap();
    let parts = &["model run: ", "with config.toml in it", "name run/model.safetensors"];
    refused(path, "evaluate run", 1, parts);
}

#[test]
fn what_a_file_says_and_nobody_knows_is_no_default() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, "--preset notebook-tuned --epochs 1 --train-limit 8 --out run");
    let bytes = fs::read(path.join("run/model.safetensors")).unwrap();
    let data = small_data().display();
    for (key, value, expected) in [
        ("precision", "bf16", "expected f32 or f64, found \"bf16\""),
        ("loss", "\"focal\"", "expected a loss that this version knows, found "),
        ("seed", "-1", "expected a whole number, found \"-1\""),
        ("classes", "ten", "expected a list of names"),
        ("data", "0000", "the digest of its parts, found 0000"),
        ("weights_sha256", "0000", "\"weights_sha256\" in __metadata__ says, 0000, found others, "),
    ] {
        let file = changed(&bytes, |metadata| {
            metadata.insert(key.into(), value.into());
        });
        fs::write(path.join("changed"), file).unwrap();
        for command in ["evaluate", "inspect"] {
            let line = format!("{command} changed --data {data}");
            refused(path, &line, 1, &["model changed: ", key, expected]);
        }
    }
    // A byte of the weights.
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(path.join("damaged"), damaged).unwrap();
    refused(path, &format!("evaluate damaged --data {data}"), 1, &["the file is damaged"]);
    // What nothing is made of is told.
    let file = changed(&bytes, |metadata| {
        metadata.insert("centring".into(), "by mass".into());
    });
    fs::write(path.join("newer"), file).unwrap();
    let output = run_line(path, &format!("evaluate newer --json --data {data}"));
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.starts_with("model newer: not used") && told.contains("\"centring\""), "{told}");
}

#[test]
fn two_files_of_one_name_are_one_or_an_error() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let (shape, data) = ([1, 4, 5], path.join("data"));
    for prefix in ["train", "t10k"] {
        Images::new(shape, 3, 6).write_idx(&data, prefix);
    }
    fs::write(path.join("mine.toml"), config(shape, 3)).unwrap();
    let plain = data.join("train-labels-idx1-ubyte");
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let mut labels = fs::read(&plain).unwrap();
    let zipped = data.join("train-labels-idx1-ubyte.gz");
    fs::write(&zipped, gzip(&labels)).unwrap();
    let train = "train --config mine.toml --data data --epochs 1";
    succeeds(path, &format!("{train} --out same"));
    *labels.last_mut().unwrap() ^= 1;
    fs::write(&zipped, gzip(&labels)).unwrap();
    let parts = &["train-labels-idx1-ubyte.gz: expected the contents of ", "remove one of them"];
    refused(path, train, 1, parts);
    fs::remove_file(&zipped).unwrap();
    fs::copy(&plain, data.join("train-labels.idx1-ubyte")).unwrap();
    let parts = &["train-labels-idx1-ubyte: ", "train-labels.idx1-ubyte", "remove one of them"];
    refused(path, train, 1, parts);
}

#[test]
fn a_committee_that_stopped_in_its_first_member_says_how_to_go_on() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("two.toml"), TWO).unwrap();
    train_small(path, "--config two.toml --out run");
    let run = path.join("run");
    fs::remove_dir_all(run.join("member-2")).unwrap();
    for name in
        ["metrics.jsonl", "summary.json", "member-1/model.safetensors", "member-1/summary.json"]
    {
        fs::remove_file(run.join(name)).unwrap();
    }
    let output = run_line(path, "evaluate run");
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let expected = ", found 0, without member-1; to go on with it: mnist-app train --resume run\n";
    assert!(told.ends_with(expected), "{told}");
    succeeds(path, "train --resume run --quiet");
}
