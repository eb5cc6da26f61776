//! `verify`: true runs are found to be true, and every false claim is named.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use layers::sha256;
use serde_json::{Value, json};
use tensor::simd::Level;

use crate::checkpoints::copy;
use crate::committee::TWO;
use crate::common::{objects, run_line, small_data, succeeds, summary, text, train_small};
use crate::resume::{EVERYTHING, PLAIN, places};

/// A run of the plain network, as `run`.
pub fn plain(folder: &Path) {
    fs::write(folder.join("plain.toml"), PLAIN).unwrap();
    train_small(folder, "--config plain.toml --out run");
}

/// Verifies on so many threads and a level.
fn verify(folder: &Path, line: &str, threads: usize, level: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
    command.current_dir(folder).env("ASTERISM_SIMD", level).arg("verify");
    command.args(line.split_whitespace()).args(["--threads", &threads.to_string()]);
    command.output().unwrap()
}

/// What is printed of a run with a claim that is not true.
#[track_caller]
pub fn differs(folder: &Path, line: &str) -> (String, String) {
    let output = run_line(folder, line);
    let (printed, complaint) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{line}: {printed}{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{line}: {complaint}");
    (printed, complaint)
}

/// The complaint about a run that cannot be verified; nothing is printed.
#[track_caller]
pub fn refused(folder: &Path, line: &str) -> String {
    let (printed, complaint) = differs(folder, line);
    assert_eq!(printed, "", "{complaint}");
    complaint
}

/// Names and contents of all files in a folder and those below it.
pub fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.to_string_lossy().into_owned(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// The lines of metrics of a run.
pub fn lines(run: &Path) -> Vec<Value> {
    objects(&fs::read_to_string(run.join("metrics.jsonl")).unwrap())
}

pub fn set_lines(run: &Path, lines: &[Value]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(run.join("metrics.jsonl"), text).unwrap();
}

/// The receipt of a line, made by what the documentation says.
pub fn receipt(
    config: &str,
    data: &str,
    line: &Value,
    before: &str,
    member: Option<&str>,
) -> String {
    receipt_in(1, config, data, line, (before, member))
}

/// The same in a version of the arithmetic.
fn receipt_in(
    arithmetic: u32,
    config: &str,
    data: &str,
    line: &Value,
    (before, member): (&str, Option<&str>),
) -> String {
    let mut experiment = String::new();
    for line in config.lines() {
        let key = line.split(" = ").next().unwrap();
        let kept = match key {
            "data" | "target_accuracy" | "patience" | "initial_weights" => continue,
            "name" | "description" => format!("{key} = \"\""),
            "epochs" => "epochs = 1".into(),
            _ => line.to_owned(),
        };
        experiment += &format!("{kept}\n");
    }
    let experiment = sha256(experiment.as_bytes());
    let mut text = format!(
        "asterism receipt 1\nbefore {before}\narithmetic {arithmetic}\nexperiment {experiment}\n\
         data {data}\n"
    );
    let keys = [
        "epoch",
        "train_error",
        "validation_error",
        "validation_correct",
        "validation_total",
        "test_error",
        "test_correct",
        "test_total",
        "best_epoch",
        "learning_rate",
        "weights_sha256",
    ];
    for key in keys.into_iter().filter(|key| line.get(key).is_some()) {
        let value = match &line[key] {
            Value::String(text) => text.clone(),
            number if number.is_f64() => format!("{:016x}", number.as_f64().unwrap().to_bits()),
            number => number.to_string(),
        };
        text += &format!("{key} {value}\n");
    }
    text += &member.map(|member| format!("member {member}\n")).unwrap_or_default();
    sha256(text.as_bytes())
}

/// The digest of the small data.
pub fn data_digest(run: &Path) -> String {
    let model = fs::read(run.join("model.safetensors")).unwrap();
    layers::metadata_of(&model).unwrap()["data"].clone()
}

#[test]
fn a_chain_is_what_a_stranger_computes() {
    let here = tempfile::tempdir().unwrap();
    plain(here.path());
    let run = here.path().join("run");
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    let data = data_digest(&run);
    let mut before = "none".to_owned();
    for line in lines(&run) {
        before = receipt(&config, &data, &line, &before, None);
        assert_eq!(line["receipt"], before.as_str());
    }
    assert_eq!(summary(here.path(), "run")["receipt"], before.as_str());
    // It stays one chain where the run is made longer.
    let original = lines(&run);
    succeeds(here.path(), "train --resume run --epochs 5 --quiet");
    let longer = lines(&run);
    assert_eq!(longer[..3], original[..]);
    for line in &longer[3..] {
        before = receipt(&config, &data, line, &before, None);
        assert_eq!(line["receipt"], before.as_str());
    }
    assert!(succeeds(here.path(), "verify run").ends_with("run: verified: all 7 claims agree\n"));
}

#[test]
fn a_true_run_is_verified_on_other_threads_and_levels() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("everything.toml"), EVERYTHING).unwrap();
    plain(path);
    for (run, flags) in [
        ("everything", "--config everything.toml"),
        ("double", "--config everything.toml --precision f64"),
        ("notebook", "--train-limit 40 --test-limit 25 --epochs 2"),
    ] {
        train_small(path, &format!("{flags} --threads 2 --out {run}"));
    }
    for (run, epochs, claims) in
        [("everything", 3, 5), ("double", 3, 5), ("notebook", 2, 4), ("run", 3, 5)]
    {
        let before = contents(&path.join(run));
        for (index, level) in Level::available().enumerate() {
            let output = verify(path, run, 1 + index, level.name());
            assert!(output.status.success(), "{}", text(&output.stderr));
            let printed = text(&output.stdout);
            let agree = printed.lines().filter(|line| line.contains(": agrees: ")).count();
            assert_eq!((agree, printed.lines().count()), (claims, claims + 1), "{printed}");
            assert!(printed.contains(&format!("epoch {epochs}: agrees: ")), "{printed}");
            assert!(printed.lines().all(|line| line.chars().count() < 80), "{printed}");
            assert_eq!(text(&output.stderr), "");
        }
        assert!(contents(&path.join(run)) == before, "{run}");
    }
    let printed = succeeds(path, "verify run --quiet");
    assert_eq!(printed, "run: verified: all 5 claims agree\n");
    let printed = objects(&succeeds(path, "verify run --json"));
    assert_eq!(printed[0], json!({"epoch": 1, "agrees": true, "differences": []}));
    assert_eq!(printed[3]["file"], "model.safetensors");
    assert_eq!(printed.len(), 5);
}

#[test]
fn each_false_claim_is_named() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    plain(path);
    let (run, forged) = (path.join("run"), path.join("forged"));
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    let data = data_digest(&run);
    let zeros = "0".repeat(64);
    let falsehoods = [
        ("epoch", json!(7)),
        ("train_error", json!(0.25)),
        ("test_error", json!(0.125)),
        ("test_correct", json!(100)),
        ("test_total", json!(99)),
        ("learning_rate", json!(0.02)),
        ("weights_sha256", json!(zeros)),
        ("receipt", json!(zeros)),
    ];
    for (key, value) in falsehoods {
        copy(&run, &forged);
        let mut changed = lines(&run);
        let truth = changed[1][key].clone();
        changed[1][key] = value.clone();
        set_lines(&forged, &changed);
        let (printed, complaint) = differs(path, "verify forged");
        let shown = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        let expected = format!(
            "epoch 2: differs\n    {key}\n        claimed {}\n        found   {}\n",
            shown(&value),
            shown(&truth)
        );
        assert!(printed.contains(&expected), "{key}: {printed}");
        // The receipt of the line is not that of what it says, or the next one's is not.
        assert!(printed.contains("receipt of line "), "{key}: {printed}");
        assert!(printed.contains("epoch 1: agrees") && printed.contains("epoch 3: "), "{printed}");
        assert!(
            complaint.starts_with("error: forged: expected what the run claims"),
            "{complaint}"
        );
        let found = objects(&text(&run_line(path, "verify forged --json").stdout));
        let second = found.iter().find(|line| line["epoch"] == 2).unwrap();
        assert_eq!(second["agrees"], false);
        assert_eq!(second["differences"][0]["key"], key);
        // With receipts made anew only training shows it.
        let mut before = "none".to_owned();
        for line in &mut changed {
            before = receipt(&config, &data, line, &before, None);
            line["receipt"] = before.clone().into();
        }
        set_lines(&forged, &changed);
        if key != "receipt" {
            let (printed, _) = differs(path, "verify forged --quiet");
            assert!(!printed.contains("receipt of line"), "{key}: {printed}");
            assert!(printed.starts_with(&expected), "{key}: {printed}");
            assert!(!printed.contains("epoch 3"), "{key}: {printed}");
        }
    }
}

#[test]
fn lines_and_files_of_others_are_found() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    plain(path);
    train_small(path, "--config plain.toml --seed 5 --out other");
    let (run, forged) = (path.join("run"), path.join("forged"));
    copy(&run, &forged);
    let mut swapped = lines(&run);
    swapped.swap(0, 1);
    set_lines(&forged, &swapped);
    let (printed, _) = differs(path, "verify forged");
    assert!(printed.starts_with("receipt of line 1: differs\n"), "{printed}");
    assert!(printed.contains("epoch 1: differs\n    epoch\n        claimed 2\n"), "{printed}");
    // A model of another run, a line too few, a summary that promises more.
    copy(&run, &forged);
    let model = "model.safetensors";
    fs::copy(path.join("other").join(model), forged.join(model)).unwrap();
    let (printed, _) = differs(path, "verify forged");
    assert!(printed.contains("\nmodel.safetensors: differs\n    weights_sha256\n"), "{printed}");
    copy(&run, &forged);
    set_lines(&forged, &lines(&run)[..2]);
    let (printed, _) = differs(path, "verify forged");
    assert!(printed.contains("model.safetensors: differs\n"), "{printed}");
    for key in ["test_correct", "test_accuracy", "receipt", "train_error"] {
        copy(&run, &forged);
        let mut summary = summary(path, "run");
        summary[key] = match &summary[key] {
            Value::String(_) => "00".into(),
            number if number.is_f64() => json!(0.999),
            _ => json!(100),
        };
        fs::write(forged.join("summary.json"), summary.to_string()).unwrap();
        let (printed, _) = differs(path, "verify forged");
        let expected = format!("\nsummary.json: differs\n    {key}\n");
        assert!(printed.contains(&expected), "{printed}");
    }
}

#[test]
fn another_experiment_other_data_and_another_arithmetic_are_refused_by_name() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    plain(path);
    let (run, forged) = (path.join("run"), path.join("forged"));
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    copy(&run, &forged);
    fs::write(forged.join("config.toml"), config.replace("momentum = 0.9", "momentum = 0.8"))
        .unwrap();
    let complaint = refused(path, "verify forged");
    assert!(complaint.starts_with("error: forged/config.toml, line "), "{complaint}");
    assert!(complaint.contains("optimizer.momentum: expected 0.9, found 0.8"), "{complaint}");
    fs::remove_dir_all(forged.join("checkpoint")).unwrap();
    let complaint = refused(path, "verify forged");
    assert!(complaint.contains("expected the experiment of the run, sha256"), "{complaint}");
    // What decides no number may change.
    fs::write(forged.join("config.toml"), config.replace("\"plain\"", "\"renamed\"")).unwrap();
    succeeds(path, "verify forged --quiet");

    let changed = path.join("changed");
    copy(small_data(), &changed);
    let file = changed.join("t10k-labels-idx1-ubyte");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    for run in ["run", "forged"] {
        let complaint = refused(path, &format!("verify {run} --data changed"));
        assert!(complaint.contains("expected the test images that the run"), "{complaint}");
    }
    copy(small_data(), &path.join("moved"));
    succeeds(path, "verify run --quiet --data moved");

    copy(&run, &forged);
    fs::remove_dir_all(forged.join("checkpoint")).unwrap();
    let mut others = lines(&run);
    let data = data_digest(&run);
    let mut before = "none".to_owned();
    for line in &mut others {
        before = receipt_in(7, &config, &data, line, (&before, None));
        line["receipt"] = before.clone().into();
    }
    set_lines(&forged, &others);
    let complaint = refused(path, "verify forged");
    let expected = "error: forged: expected a run in version 1 of the arithmetic, which this \
                    program has, found one in version 7: ";
    assert!(complaint.starts_with(expected), "{complaint}");
}

#[test]
fn a_claimed_epoch_that_cannot_be_trained_differs() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    plain(path);
    let run = path.join("run");
    fs::remove_dir_all(run.join("checkpoint")).unwrap();
    let file = run.join("config.toml");
    let config = fs::read_to_string(&file).unwrap();
    let rate = config.lines().find(|line| line.starts_with("learning_rate")).unwrap();
    let config = config.replace(rate, "learning_rate = 100000000000000000000000000000000000000.0");
    fs::write(&file, &config).unwrap();
    let data = data_digest(&run);
    let mut claimed = lines(&run);
    let mut before = "none".to_owned();
    for line in &mut claimed {
        line["learning_rate"] = json!(1e38);
        before = receipt(&config, &data, line, &before, None);
        line["receipt"] = before.clone().into();
    }
    set_lines(&run, &claimed);
    let (printed, _) = differs(path, "verify run");
    let expected = "epoch 1: differs\n    training\n        claimed an epoch to its end\n        \
                    found   training stopped in epoch 1, ";
    assert!(printed.starts_with(expected), "{printed}");
}

#[test]
fn an_epoch_is_verified_from_the_checkpoint_before_it() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("plain.toml"), PLAIN).unwrap();
    train_small(path, "--config plain.toml --checkpoint-every 1 --out run");
    assert_eq!(places(&path.join("run")), [(2, 10), (3, 0)]);
    let printed = succeeds(path, "verify run --epoch 3");
    assert!(printed.starts_with("from the checkpoint in epoch 3, after its step 10\nepoch 3: "));
    let printed = succeeds(path, "verify run --epoch 2");
    assert!(printed.starts_with("epoch 1: agrees") && printed.contains("\nepoch 2: "), "{printed}");
    assert!(!printed.contains("epoch 3"), "{printed}");
    // One that is damaged is of no use.
    fs::write(path.join("run/checkpoint/000002-000010.safetensors"), "").unwrap();
    let printed = succeeds(path, "verify run --epoch 3");
    assert!(printed.starts_with("epoch 1: agrees"), "{printed}");
    let complaint = refused(path, "verify run --epoch 4");
    let expected = "error: --epoch 4: expected at most 3, as run/metrics.jsonl has so many lines\n";
    assert_eq!(complaint, expected);
    let output = run_line(path, "verify run --epoch 0");
    assert_eq!(output.status.code(), Some(2));
    // A run that has not ended, and was killed in a line.
    fs::remove_file(path.join("run/summary.json")).unwrap();
    fs::remove_file(path.join("run/model.safetensors")).unwrap();
    let file = path.join("run/metrics.jsonl");
    let torn = fs::read_to_string(&file).unwrap();
    fs::write(&file, &torn[..torn.len() - 20]).unwrap();
    let output = run_line(path, "verify run");
    assert_eq!(text(&output.stderr), "run/metrics.jsonl, line 3: left out, as it has no end\n");
    let printed = text(&output.stdout);
    let expected = "run: verified: all 2 claims agree; the run has not ended\n";
    assert!(output.status.success() && printed.ends_with(expected), "{printed}");
}

#[test]
fn of_a_committee_each_member_and_the_vote_are_verified() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("two.toml"), TWO).unwrap();
    train_small(path, "--config two.toml --out run");
    let run = path.join("run");
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    let data = data_digest(&run.join("member-1"));
    let mut before = "none".to_owned();
    for (number, line) in lines(&run).iter().enumerate() {
        let own = lines(&run.join(format!("member-{}", number + 1)));
        let last = own.last().unwrap()["receipt"].as_str().unwrap();
        before = receipt(&config, &data, line, &before, Some(last));
        assert_eq!(line["receipt"], before.as_str());
    }
    let output = verify(path, "run", 1, "portable");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    // Long lines go on in the next one, indented.
    let firsts = printed.lines().filter(|line| !line.starts_with(' '));
    let kinds: Vec<_> = firsts.map(|line| line.split(": ").next().unwrap().to_owned()).collect();
    let of_member = |number| {
        ["epoch 1", "epoch 2", "model.safetensors", "summary.json"]
            .map(|what| format!("member {number}, {what}"))
    };
    let mut expected = of_member(1).to_vec();
    expected.push("vote of 1".into());
    expected.extend(of_member(2));
    expected.extend(["vote of 2", "summary.json", "run"].map(Into::into));
    assert_eq!(kinds, expected);
    let printed = succeeds(path, "verify run --epoch 1");
    assert!(printed.contains("member 2, epoch 1: agrees"), "{printed}");
    assert!(!printed.contains("vote of"), "{printed}");
    let left_out = "; 2 votes were not checked, as they need more epochs than --epoch 1\n";
    assert!(printed.ends_with(left_out), "{printed}");

    let forged = path.join("forged");
    // In its second member.
    copy(&run, &forged);
    for name in ["metrics.jsonl", "summary.json"] {
        fs::remove_file(forged.join(name)).unwrap();
    }
    fs::write(forged.join("member-2/metrics.jsonl"), "").unwrap();
    let printed = succeeds(path, "verify forged");
    let expected = "forged: verified: all 4 claims agree; the run has not ended\n";
    assert!(printed.ends_with(expected), "{printed}");
    copy(&run, &forged);
    let mut votes = lines(&run);
    votes[1]["test_correct"] = json!(100);
    set_lines(&forged, &votes);
    let (printed, _) = differs(path, "verify forged");
    let expected = "\nvote of 2: differs\n    test_correct\n        claimed 100\n";
    assert!(printed.contains(expected), "{printed}");
    assert!(printed.contains("\nreceipt of line 2: differs\n"), "{printed}");
    copy(&run, &forged);
    let mut own = lines(&run.join("member-2"));
    own[0]["test_correct"] = json!(100);
    set_lines(&forged.join("member-2"), &own);
    let (printed, _) = differs(path, "verify forged --quiet");
    assert!(printed.contains("member 2, epoch 1: differs\n    test_correct\n"), "{printed}");
    assert!(!printed.contains("vote"), "{printed}");
    let member = forged.join("member-2/config.toml");
    let text = fs::read_to_string(&member).unwrap().replace("batch_size = 20", "batch_size = 10");
    fs::write(&member, text).unwrap();
    let complaint = refused(path, "verify forged");
    assert!(complaint.contains("batch_size: expected 20, found 10; it is not"), "{complaint}");
}

#[test]
fn what_is_no_run_is_refused() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let complaint = refused(path, "verify nowhere");
    assert!(complaint.contains("nowhere: expected the folder of a run"), "{complaint}");
    plain(path);
    let file = path.join("run/metrics.jsonl");
    let original = fs::read_to_string(&file).unwrap();
    fs::write(&file, original.replace("\"receipt\"", "\"recipe\"")).unwrap();
    let complaint = refused(path, "verify run");
    assert!(complaint.contains("run/metrics.jsonl, line 1: expected the metrics"), "{complaint}");
    fs::write(&file, "").unwrap();
    let complaint = refused(path, "verify run");
    assert!(complaint.contains("expected lines to verify, found none yet"), "{complaint}");
    fs::write(&file, format!("{original}{original}")).unwrap();
    let complaint = refused(path, "verify run");
    assert!(complaint.contains("expected at most 3 lines, as config.toml says, found 6"));
}
