//! `verify`: what stands beside the numbers of the lines, in the model, the summary and the file of
//! initial weights.

use std::fs;

use layers::sha256;
use serde_json::json;

use crate::checkpoints::copy;
use crate::common::{run_line, succeeds, summary, text, train_small};
use crate::resume::{EVERYTHING, places};
use crate::verify::{data_digest, differs, lines, plain, receipt, refused, set_lines};

#[test]
fn what_stands_beside_the_numbers_of_the_lines_is_verified_too() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("everything.toml"), EVERYTHING).unwrap();
    train_small(path, "--config everything.toml --out run");
    let (run, forged) = (path.join("run"), path.join("forged"));
    let model = fs::read(run.join("model.safetensors")).unwrap();
    let start = u64::from_le_bytes(model[..8].try_into().unwrap()) as usize + 8;
    let header = text(&model[8..start]);
    let changed_header = |from: &str, to: &str| {
        assert!(header.contains(from) && from.len() == to.len(), "{from} in {header}");
        [&model[..8], header.replace(from, to).as_bytes(), &model[start..]].concat()
    };
    let statistics = {
        // Where the running mean lies, as the header says.
        let mean = &header[header.find("\"1.running_mean\"").unwrap()..];
        let offsets = &mean[mean.find("\"data_offsets\":[").unwrap() + 16..];
        let first: usize = offsets[..offsets.find(',').unwrap()].parse().unwrap();
        let mut bytes = model.clone();
        bytes[start + first..][..4].copy_from_slice(&5.0_f32.to_le_bytes());
        bytes
    };
    for (what, bytes, key) in [
        ("statistics", statistics, "buffers, sha256"),
        ("network", changed_header(r#"\"relu\""#, r#"\"tanh\""#), "network in __metadata__"),
        ("seed", changed_header(r#""seed":"0""#, r#""seed":"7""#), "seed in __metadata__"),
    ] {
        copy(&run, &forged);
        fs::write(forged.join("model.safetensors"), bytes).unwrap();
        let (printed, complaint) = differs(path, "verify forged --quiet");
        let expected = format!("model.safetensors: differs\n    {key}\n");
        assert!(printed.starts_with(&expected), "{what}: {printed}");
        assert!(complaint.ends_with(" in 1 of 5 claims\n"), "{what}: {complaint}");
    }
    copy(&run, &forged);
    fs::remove_file(forged.join("model.safetensors")).unwrap();
    let (printed, _) = differs(path, "verify forged --quiet");
    assert!(printed.starts_with("model.safetensors: differs\n    file\n"), "{printed}");

    for (key, value) in
        [("seed", json!(7)), ("test_accuracy_interval", json!([0.0, 1.0])), ("luck", json!(1))]
    {
        copy(&run, &forged);
        let mut summary = summary(path, "run");
        summary[key] = value;
        fs::write(forged.join("summary.json"), summary.to_string()).unwrap();
        let (printed, _) = differs(path, "verify forged --quiet");
        assert!(printed.starts_with(&format!("summary.json: differs\n    {key}\n")), "{printed}");
    }
    // How it was made is no claim.
    copy(&run, &forged);
    let mut summary = summary(path, "run");
    summary["threads"] = json!(99);
    fs::write(forged.join("summary.json"), summary.to_string()).unwrap();
    assert_eq!(succeeds(path, "verify forged --quiet"), "forged: verified: all 5 claims agree\n");
    // Nor is a result that its lines do not have printed as one.
    summary["test_correct"] = json!(100);
    fs::write(forged.join("summary.json"), summary.to_string()).unwrap();
    let complaint = refused(path, "train --resume forged");
    let expected = "error: forged/summary.json: expected the results of the last line of metrics";
    assert!(complaint.starts_with(expected), "{complaint}");
    // A checkpoint that cannot be used is told.
    copy(&run, &forged);
    for (epochs, steps) in places(&forged) {
        let name = format!("checkpoint/{epochs:06}-{steps:06}.safetensors");
        fs::write(forged.join(name), "").unwrap();
    }
    let output = run_line(path, "verify forged --quiet --epoch 3");
    let told = text(&output.stderr);
    assert!(
        output.status.success() && told.ends_with("it is verified from its beginning\n"),
        "{told}"
    );
}

#[test]
fn initial_weights_are_those_that_the_run_began_with() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    plain(path);
    fs::copy(path.join("run/model.safetensors"), path.join("start.safetensors")).unwrap();
    let line = "--config plain.toml --init start.safetensors";
    train_small(path, &format!("{line} --out begun"));
    let config = fs::read_to_string(path.join("begun/config.toml")).unwrap();
    let found = sha256(&fs::read(path.join("start.safetensors")).unwrap());
    assert!(config.contains(&format!("initial_weights_sha256 = \"{found}\"")), "{config}");
    let receipt = receipt(
        &config,
        &data_digest(&path.join("begun")),
        &lines(&path.join("begun"))[0],
        "none",
        None,
    );
    assert_eq!(lines(&path.join("begun"))[0]["receipt"], receipt.as_str());
    succeeds(path, "verify begun --quiet");

    // Other weights by the same name are another start; the same by another name are not.
    fs::rename(path.join("start.safetensors"), path.join("moved.safetensors")).unwrap();
    train_small(path, "--config plain.toml --seed 5 --out other");
    fs::copy(path.join("other/model.safetensors"), path.join("start.safetensors")).unwrap();
    let complaint = refused(path, "verify begun");
    assert!(complaint.contains("start.safetensors: expected a file of sha256"), "{complaint}");
    assert!(complaint.contains(&format!("{found}, as the experiment says, found")), "{complaint}");
    let moved = config.replace("start.safetensors", "moved.safetensors");
    fs::write(path.join("begun/config.toml"), moved).unwrap();
    succeeds(path, "verify begun --quiet");
    // The flag names another start than the file.
    let flags = "--config begun/config.toml --init start.safetensors";
    train_small(path, &format!("{flags} --out third"));
    let alone = config.lines().filter(|line| !line.starts_with("initial_weights ="));
    let alone: String = alone.map(|line| format!("{line}\n")).collect();
    fs::write(path.join("alone.toml"), alone).unwrap();
    let complaint = refused(path, "train --config alone.toml --out fourth");
    assert!(complaint.contains("expected initial_weights beside it, found none"), "{complaint}");
}

#[test]
fn lines_that_no_epoch_can_have_are_refused() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    plain(path);
    let (run, forged) = (path.join("run"), path.join("forged"));
    for (key, value, expected) in [
        (
            "test_correct",
            json!(101),
            "test_correct: expected at most 100, as test_total says, found 101",
        ),
        ("test_total", json!(0), "test_total: expected a number from 1 on, found 0"),
        ("epoch", json!(0), "epoch: expected a number from 1 on, found 0"),
        ("learning_rate", json!(-5.0), "learning_rate: expected none below 0, found -5"),
        ("train_seconds", json!(-1e300), "train_seconds, samples_per_second: expected none below"),
    ] {
        copy(&run, &forged);
        let mut changed = lines(&run);
        changed[1][key] = value;
        set_lines(&forged, &changed);
        for command in ["verify", "report"] {
            let complaint = refused(path, &format!("{command} forged"));
            let start = "error: forged/metrics.jsonl, line 2: expected the metrics of an epoch";
            assert!(complaint.starts_with(start), "{command}: {complaint}");
            assert!(complaint.contains(expected), "{command}: {complaint}");
        }
    }
}

#[test]
fn a_report_of_files_that_contradict_one_another_says_so() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    plain(path);
    let (run, forged) = (path.join("run"), path.join("forged"));
    copy(&run, &forged);
    let mut changed = lines(&run);
    changed[1]["epoch"] = json!(7);
    set_lines(&forged, &changed);
    let complaint = refused(path, "report forged");
    let expected = "metrics.jsonl, line 2: expected that of epoch 2, found that of epoch 7";
    assert!(complaint.contains(expected), "{complaint}");
    copy(&run, &forged);
    let mut other = summary(path, "run");
    other["test_correct"] = json!(99);
    fs::write(forged.join("summary.json"), other.to_string()).unwrap();
    let complaint = refused(path, "report forged");
    assert!(complaint.contains("summary.json: expected the results of the last"), "{complaint}");
    // A model that is damaged is told; the newest checkpoint has the same weights.
    copy(&run, &forged);
    let model = forged.join("model.safetensors");
    let bytes = fs::read(&model).unwrap();
    fs::write(&model, &bytes[..1000]).unwrap();
    let output = run_line(path, "report forged");
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("model.safetensors: expected a safetensors file"), "{told}");
    assert!(told.ends_with("; its report shows the network of its newest checkpoint\n"), "{told}");
}
