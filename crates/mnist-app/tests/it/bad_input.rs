//! What cannot be done is said in a line and an exit status, and changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::committee::TWO;
use crate::common::{idx, names, run_in, small_data, text, train_small};

/// Runs the program in `folder`, which must stay as it is, and expects one line on
/// standard error with all of `parts` in it.
#[track_caller]
pub(crate) fn refused(folder: &Path, line: &str, status: i32, parts: &[&str]) {
    let before = snapshot(folder);
    let words: Vec<_> = line.split_whitespace().collect();
    let words: Vec<_> = words.iter().map(|word| word as _).collect();
    let output = run_in(folder, &words);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{line}: {complaint}");
    assert!(complaint.starts_with("error: ") && complaint.ends_with('\n'), "{line}: {complaint}");
    assert_eq!(complaint.lines().count(), 1, "{line}: {complaint}");
    assert_eq!(text(&output.stdout), "", "{line}");
    for part in parts {
        assert!(complaint.contains(part), "{line}: expected {part:?} in {complaint}");
    }
    assert_eq!(snapshot(folder), before, "{line}");
}

#[test]
fn wrong_usage() {
    let here = tempfile::tempdir().unwrap();
    for (line, parts) in [
        ("fly", &["expected a command, found \"fly\""][..]),
        ("trian", &["did you mean train?"]),
        ("train --speed 9", &["--speed"]),
        ("train --restart run", &["--restart"]),
        ("train --epochs 0", &["--epochs", "from 1 to 9223372036854775807", "found \"0\""]),
        ("train --batch-size 0", &["--batch-size", "found \"0\""]),
        ("train --shard-size 0", &["--shard-size", "found \"0\""]),
        ("train --threads 0", &["--threads", "found \"0\""]),
        ("train --train-limit 0", &["--train-limit", "found \"0\""]),
        ("train --test-limit 0", &["--test-limit", "found \"0\""]),
        ("train --learning-rate -1", &["--learning-rate", "not negative", "found \"-1\""]),
        ("train --learning-rate NaN", &["--learning-rate", "finite", "found \"NaN\""]),
        ("train --learning-rate inf", &["--learning-rate", "finite", "found \"inf\""]),
        ("train --seed x", &["--seed", "found \"x\""]),
        ("train --precision f16", &["--precision", "f32, f64"]),
        ("train --target-accuracy 2", &["--target-accuracy", "fraction"]),
        ("train --preset none", &["preset", "notebook-tuned", "found \"none\""]),
        ("train --out=", &["--out: expected a path"]),
        ("presets none", &["NAME: expected one of ", "notebook-tuned", "found \"none\""]),
        ("evaluate", &["model.safetensors"]),
        ("evaluate --json", &["evaluate: expected MODEL, found nothing"]),
        ("compare", &["compare: expected A and B, found nothing", "model.safetensors"]),
        ("compare a", &["expected B, found only A"]),
        ("compare a b c", &["found \"c\""]),
        ("compare a b --test-limit 0", &["--test-limit", "found \"0\""]),
        ("compare a b --epochs 3", &["--epochs"]),
    ] {
        refused(here.path(), line, 2, parts);
    }
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_mnist-app"))
        .arg("train")
        .current_dir(here.path())
        .env("ASTERISM_SIMD", "abacus")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("error: ASTERISM_SIMD: "));
}

#[test]
fn data_that_is_not_there_or_not_mnist() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::create_dir(path.join("empty")).unwrap();
    fs::write(path.join("file"), "text").unwrap();
    refused(path, "train --data nowhere", 1, &["--data nowhere", "no such folder"]);
    refused(path, "train --data file", 1, &["--data file", "found a file"]);
    refused(path, "train --data empty", 1, &["empty: ", "-images-idx3-ubyte", "empty folder"]);
    let images = |count: u32| idx(&[count, 28, 28], &vec![0; count as usize * 784]);
    let labels = |labels: &[u8]| idx(&[labels.len() as u32], labels);
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let truncated = gzip(&images(2));
    let truncated = &truncated[..truncated.len() - 9];
    let mut magic = images(2);
    magic[3] = 9;
    let overflow = idx(&[u32::MAX; 3], &[0; 8]);
    let mut much = images(2);
    much[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    let mut longer = images(2);
    longer.push(0);
    for (case, images, labels, parts) in [
        ("gzip", truncated.to_vec(), labels(&[0, 1]), &["gzip", "cut short"][..]),
        ("magic", magic, labels(&[0, 1]), &["magic number 0x00000803", "0x00000809"]),
        ("count", much, labels(&[0, 1]), &["sizes [4294967295, 28, 28]", "found 1568"]),
        ("overflow", overflow, labels(&[0, 1]), &["product fits", "4294967295"]),
        ("short", images(2)[..1000].to_vec(), labels(&[0, 1]), &["1568 bytes", "found 984"]),
        ("long", longer, labels(&[0, 1]), &["1568 bytes", "found more"]),
        ("header", vec![0, 0], labels(&[0, 1]), &["header of 16 bytes", "found 2"]),
        ("pair", images(2), labels(&[0, 1, 2]), &["labels", "expected 2", "found 3"]),
        ("label", images(2), labels(&[0, 10]), &["outputs = 11", "has 10 for sample 1"]),
        (
            "channels",
            idx(&[1, 2, 28, 28], &[0; 1568]),
            labels(&[1]),
            &["1 or 3 channels", "[1, 2, 28, 28]"],
        ),
        ("none", images(0), labels(&[]), &["at least one image"]),
        ("size", idx(&[1, 2, 2], &[0; 4]), labels(&[1]), &["28×28 grey pixels", "2×2"]),
    ] {
        let folder = path.join(case);
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(small_data()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        fs::write(folder.join("train-images.idx3-ubyte"), images).unwrap();
        fs::write(folder.join("train-labels-idx1-ubyte"), labels).unwrap();
        let parts: Vec<_> = parts.iter().copied().chain([case]).collect();
        refused(path, &format!("train --preset notebook --data {case}"), 1, &parts);
    }
}

#[test]
fn weights_that_are_not_the_networks() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    // The notebook's arrays and how each file differs from them.
    let shapes: [(&str, &[usize]); 6] = [
        ("0.weight", &[6, 1, 3, 3]),
        ("0.bias", &[6, 26, 26]),
        ("3.weight", &[100, 4056]),
        ("3.bias", &[100]),
        ("5.weight", &[10, 100]),
        ("5.bias", &[10]),
    ];
    let whole: BTreeMap<_, _> =
        shapes.map(|(name, shape)| (name, ("F32", shape.to_vec()))).into_iter().collect();
    let mut missing = whole.clone();
    missing.remove("3.bias");
    missing.remove("5.bias");
    let mut extra = whole.clone();
    extra.insert("7.weight", ("F32", vec![2]));
    let mut shaped = whole.clone();
    shaped.insert("5.weight", ("F32", vec![100, 10]));
    let mut typed = whole.clone();
    typed.insert("3.bias", ("I32", vec![100]));
    for (name, arrays, parts) in [
        ("missing", missing, &["3.bias (100) is missing", "5.bias (10) is missing"][..]),
        ("extra", extra, &["7.weight is not in the network"]),
        ("shaped", shaped, &["5.weight: expected (10, 100), got (100, 10)"]),
        ("typed", typed, &["3.bias: expected F16, BF16, F32 or F64, got I32"]),
    ] {
        fs::write(path.join(name), safetensors(&arrays)).unwrap();
        let parts: Vec<_> = parts.iter().copied().chain([name]).collect();
        refused(path, &format!("train --init {name}"), 1, &parts);
    }
    let mut header = safetensors(&whole);
    header[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    fs::write(path.join("header"), header).unwrap();
    fs::write(path.join("words"), "no safetensors at all").unwrap();
    fs::write(path.join("nothing"), "").unwrap();
    fs::write(path.join("short"), &safetensors(&whole)[..4000]).unwrap();
    fs::write(path.join("bare"), safetensors(&whole)).unwrap();
    for name in ["header", "words", "nothing", "short"] {
        refused(path, &format!("train --init {name}"), 1, &["expected a safetensors file", name]);
        refused(path, &format!("evaluate {name}"), 1, &["expected a safetensors file", name]);
    }
    refused(path, "train --init nowhere", 1, &["nowhere", "No such file"]);
    refused(path, "evaluate nowhere", 1, &["nowhere", "No such file"]);
    refused(path, "evaluate bare", 1, &["bare", "description of the network"]);
    fs::create_dir(path.join("folder")).unwrap();
    let parts = &["model folder: ", "with model.safetensors in it", "found no such file"];
    refused(path, "evaluate folder", 1, parts);
    refused(path, "compare folder bare", 1, parts);
    refused(path, "compare nowhere bare", 1, &["model nowhere: ", "No such file"]);
}

#[test]
fn a_model_that_asks_for_more_than_it_holds() {
    let here = tempfile::tempdir().unwrap();
    let layers = r#"[{\"type\":\"reshape\"},{\"type\":\"dense\",\"outputs\":900000000000000}]"#;
    for (name, input, part) in [
        ("dense", "[1,28,28]", "parameters"),
        ("input", "[9000000000,9000000000,9000000000]", "numbers in a sample"),
        ("wrapping", "[9223372036854776200,2,1]", "numbers in a sample"),
    ] {
        let network = format!(r#"{{\"input\":{input},\"layers\":{layers}}}"#);
        let header = format!(r#"{{"__metadata__":{{"network":"{network}"}}}}"#);
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.bytes());
        fs::write(here.path().join(name), file).unwrap();
        let words: [&dyn AsRef<std::ffi::OsStr>; 2] = [&"evaluate", &name];
        let output = run_in(here.path(), &words);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        assert!(complaint.starts_with("error: ") && complaint.contains(part), "{complaint}");
    }
}

#[test]
fn configs_that_are_no_experiments() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let notebook = mnist_app::presets::text("notebook").unwrap();
    let line = |key: &str| notebook.lines().position(|line| line.starts_with(key)).unwrap() + 1;
    for (name, change, with, key, part) in [
        ("epochs.toml", "epochs = 15", "epochs = 0", "epochs", "a whole number from 1 on, found 0"),
        ("rate.toml", "rate = 0.01", "rate = -1.0", "learning_rate", "not negative"),
        ("key.toml", "shuffle = ", "shuffel = ", "shuffle", "shuffel: no such key"),
        (
            "type.toml",
            "shuffle = false",
            "shuffle = 3",
            "shuffle",
            "shuffle: expected true or false, found 3",
        ),
        (
            "loss.toml",
            "binary_cross_entropy",
            "luck",
            "loss",
            "loss: expected one of mean_squared_error, ",
        ),
    ] {
        fs::write(path.join(name), notebook.replace(change, with)).unwrap();
        let place = format!("{name}, line {}: ", line(key));
        refused(path, &format!("train --config {name}"), 1, &[&place, part]);
    }
    refused(path, "train --config nowhere.toml", 1, &["nowhere.toml", "No such file"]);
    for (name, change, with, parts) in [
        ("few.toml", "outputs = 10 ", "outputs = 8 ", &["outputs = 10 in", "found 8"][..]),
        ("many.toml", "outputs = 10 ", "outputs = 257 ", &["at most 256 outputs", "found 257"]),
        (
            "input.toml",
            "input = [1, 28, 28]",
            "input = [1, 20, 28]",
            &["input = [1, 28, 28]", "found (1, 20, 28)", "28×28 grey pixels"],
        ),
    ] {
        fs::write(path.join(name), notebook.replace(change, with)).unwrap();
        let line = notebook.lines().position(|line| line.contains(change)).unwrap() + 1;
        let place = format!("--config {name}, line {line}: network: expected ");
        let parts: Vec<_> = parts.iter().copied().chain([&*place]).collect();
        for command in ["train", "inspect"] {
            let line = format!("{command} --config {name} --data {}", small_data().display());
            refused(path, &line, 1, &parts);
        }
    }
    let line = format!(
        "train --data {} --config big.toml --batch-size 200 --shard-size 1",
        small_data().display()
    );
    let big = notebook.replace("outputs = 100 ", "outputs = 60000 ");
    fs::write(path.join("big.toml"), big).unwrap();
    let parts = &["batch size 200", "GiB", "gradients of 200 shards", "--shard-size"];
    refused(path, &line, 1, parts);
}

#[test]
fn a_network_that_does_not_fit_is_told_in_a_line() {
    let here = tempfile::tempdir().unwrap();
    let notebook = mnist_app::presets::text("notebook").unwrap();
    let text_without_reshape = notebook.replace("    { type = \"reshape\" },\n", "");
    fs::write(here.path().join("flat.toml"), &text_without_reshape).unwrap();
    let output = run_in(here.path(), &[&"train", &"--config", &"flat.toml"]);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    let line =
        text_without_reshape.lines().position(|line| line.contains("outputs = 100")).unwrap();
    let start =
        format!("error: --config flat.toml, line {}: network: layer 2 does not fit", line + 1);
    assert!(complaint.starts_with(&start), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(!here.path().join("runs").exists());
}

/// Expects a complaint, with `part` in it, about the line on which the second network of
/// a committee has `with` instead of `change`.
#[track_caller]
fn refused_second(change: &str, with: &str, part: &str) {
    let here = tempfile::tempdir().unwrap();
    let (first, second) = TWO.split_at(TWO.rfind("[[network]]").unwrap());
    let text = format!("{first}{}", second.replacen(change, with, 1));
    let before = TWO.len() - second.len() + second.find(change).unwrap();
    let line = TWO[..before].matches('\n').count() + 1;
    fs::write(here.path().join("two.toml"), text).unwrap();
    let place = format!("--config two.toml, line {line}");
    let line = format!("train --config two.toml --data {}", small_data().display());
    refused(here.path(), &line, 1, &[&place, part]);
}

#[test]
fn committees_that_cannot_be() {
    for (change, with, part) in [
        (
            "input = [1, 28, 28]",
            "input = [1, 28, 27]",
            ": network 2 of 2: expected input = [1, 28, 28], as of network 1, found [1, 28, 27]",
        ),
        (
            "{ type = \"dense\", outputs = 10 }",
            "{ type = \"dense\", outputs = 9 }",
            ": network 2 of 2: expected outputs of the shape (10), as of network 1, found (9)",
        ),
        (
            "layers = [",
            "layer = [",
            ": network 2: layer: no such key; network takes input, layers, ",
        ),
        (
            "{ type = \"flatten\"",
            "{ type = \"flat\"",
            ": network 2: layer 0 (\"flat\"): type: expected one of ",
        ),
    ] {
        refused_second(change, with, part);
    }
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let (keys, _) = TWO.split_at(TWO.find("[[network]]").unwrap());
    let last = keys.lines().count() + 1;
    for (name, text, parts) in [
        (
            "small.toml",
            format!("committee = 1{TWO}"),
            &["line 1: committee: expected at least 2 members, one for each network, found 1"][..],
        ),
        (
            "none.toml",
            format!("{keys}network = []\n"),
            &[&format!("line {last}: network: expected at least one network, found none")],
        ),
        (
            "number.toml",
            format!("{keys}network = 3\n"),
            &[&format!("line {last}: network: "), "a table [network] or several tables"],
        ),
        // What fits nobody's images is known before the first member has a folder.
        (
            "few.toml",
            TWO.replace("outputs = 10", "outputs = 8"),
            &["network 1 of 2: expected outputs = 10 in", "found 8", ", line "],
        ),
    ] {
        fs::write(path.join(name), text).unwrap();
        let parts: Vec<_> = parts.iter().copied().chain([name]).collect();
        let line = format!("train --config {name} --data {}", small_data().display());
        refused(path, &line, 1, &parts);
    }
    // Weights of the first network alone.
    fs::write(path.join("two.toml"), TWO).unwrap();
    train_small(path, "--config two.toml --epochs 1 --train-limit 8 --out two");
    let data = small_data().display();
    let init = "two/member-1/model.safetensors";
    let line = format!("train --config two.toml --data {data} --init {init}");
    let parts = &["initial weights ", init, "2.weight (10, 784) is missing"];
    refused(path, &line, 1, parts);
}

#[test]
fn a_committees_network_that_does_not_fit_is_told_in_a_line() {
    let here = tempfile::tempdir().unwrap();
    let wrong = "{ type = \"max_pool2d\", size = 30 },\n    { type = \"flatten\" },\n    { type = \"dropout\"";
    let text_of_two = TWO.replace("{ type = \"flatten\" },\n    { type = \"dropout\"", wrong);
    fs::write(here.path().join("two.toml"), &text_of_two).unwrap();
    let line = text_of_two.lines().position(|line| line.contains("max_pool2d")).unwrap() + 1;
    for command in ["train", "inspect", "profile"] {
        let output = run_in(here.path(), &[&command, &"--config", &"two.toml"]);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        let start = format!(
            "error: --config two.toml, line {line}: network 2 of 2: layer 0 does not fit: "
        );
        assert!(complaint.starts_with(&start), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        assert_eq!(text(&output.stdout), "");
    }
    assert!(!here.path().join("runs").exists());
}

#[test]
fn folders_that_cannot_be_written() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("file"), "mine").unwrap();
    fs::create_dir(path.join("full")).unwrap();
    fs::write(path.join("full/summary.json"), "mine").unwrap();
    let train = format!("train --preset notebook --data {} --json --out", small_data().display());
    refused(path, &format!("{train} file"), 1, &["--out file", "new or empty"]);
    refused(path, &format!("{train} file/below"), 1, &["--out file/below"]);
    refused(path, &format!("{train} full"), 1, &["--out full", "something in it"]);
    if cfg!(target_os = "linux") {
        refused(path, &format!("{train} /proc/none/run"), 1, &["--out /proc/none/run"]);
    }
}

#[test]
fn a_run_does_not_replace_another_one() {
    let here = tempfile::tempdir().unwrap();
    train_small(here.path(), "--epochs 1 --train-limit 5 --out run");
    let line = format!("train --preset notebook --data {} --out run", small_data().display());
    refused(here.path(), &line, 1, &["--out run", "something in it", "nothing was changed"]);
}

/// A linear network under a learning rate so large that each epoch multiplies its error.
const DIVERGING: &str = r#"
epochs = 200
batch_size = 200
shard_size = 200
shuffle = false
learning_rate = 100.0
loss = "mean_squared_error"
init = "xavier"

[network]
input = [1, 28, 28]
layers = [{ type = "reshape" }, { type = "dense", outputs = 10 }]
"#;

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_what_was_written() {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("diverging.toml"), DIVERGING).unwrap();
    let data = small_data();
    let output = run_in(
        here.path(),
        &[&"train", &"--config", &"diverging.toml", &"--json", &"--out", &"run", &"--data", &data],
    );
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    let run = here.path().join("run");
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert_eq!(text(&output.stdout), metrics);
    let epochs = metrics.lines().count();
    assert!((2..200).contains(&epochs), "{epochs}");
    for line in metrics.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["test_error"].is_number(), "{line}");
    }
    let error = complaint.lines().last().unwrap();
    let after = format!("error: training stopped after epoch {}: ", epochs + 1);
    let within = format!("error: training stopped in epoch {}, ", epochs + 1);
    assert!(error.starts_with(&after) || error.starts_with(&within), "{error}");
    assert!(error.contains("found ") && error.contains(" of layer "), "{error}");
    let expected = ["checkpoint", "config.toml", "failure.json", "metrics.jsonl", "report.html"];
    assert_eq!(names(&run), expected, "only whole files are left behind");
}

#[test]
fn the_sample_and_the_layer_of_a_loss_that_is_not_finite_are_named() {
    let here = tempfile::tempdir().unwrap();
    let data = small_data();
    let output = run_in(
        here.path(),
        &[
            &"train",
            &"--preset",
            &"notebook",
            &"--learning-rate",
            &"1e38",
            &"--out",
            &"run",
            &"--data",
            &data,
        ],
    );
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    let complaint = complaint.lines().last().unwrap();
    assert!(complaint.starts_with("error: training stopped in epoch 1, step "), "{complaint}");
    let sample = complaint.split("for training image ").nth(1).unwrap().split(' ').next().unwrap();
    let sample = sample.trim_end_matches(';');
    assert!(sample.parse::<usize>().unwrap() < 10, "{complaint}");
    let layer = complaint.contains("Conv2d") || complaint.contains("Dense");
    assert!(layer && complaint.contains("--learning-rate"), "{complaint}");
}

/// All files below a folder and what is in them.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.insert(path.clone(), Vec::new());
            files.extend(snapshot(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

/// The bytes of a file of zeros with these arrays.
pub(crate) fn safetensors(arrays: &BTreeMap<&str, (&str, Vec<usize>)>) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (&name, (dtype, shape)) in arrays {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        let array =
            serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] });
        header.insert(name.to_owned(), array);
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.resize(file.len() + end, 0);
    file
}
