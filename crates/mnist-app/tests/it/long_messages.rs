//! What a file says is shown on one line that can be read, however long it is.

use std::fs;
use std::path::Path;

use crate::bad_input::refused;
use crate::common::{run_line, small_data, succeeds, text, train_small};
use crate::data_of_models::changed;
use crate::incomplete_runs::committee;

const TUNED: &str = "--preset notebook-tuned --epochs 1 --train-limit 8 --out run";

/// Expects that `line` fails in one line of some length.
#[track_caller]
fn refused_shortly(path: &Path, line: &str, parts: &[&str]) {
    refused(path, line, 1, parts);
    let complaint = text(&run_line(path, line).stderr);
    assert!(complaint.len() < 10_000, "{line}: {} bytes", complaint.len());
}

#[test]
fn a_text_of_a_file_forges_no_line_and_fills_no_screen() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, TUNED);
    let bytes = fs::read(path.join("run/model.safetensors")).unwrap();
    let data = small_data().display();
    let line = format!("evaluate changed --data {data}");
    let long = "x".repeat(1_000_000);
    for (text, start, shown) in [
        ("x\nall is well", "x\\nall is well", "x\\nall is well"),
        // In quotation marks they come before what is said of the rest.
        (&long, "xxx", "xxx… (999800 more characters)"),
    ] {
        for key in ["weights_sha256", "data", "precision", "loss", "seed"] {
            let file = changed(&bytes, |metadata| drop(metadata.insert(key.into(), text.into())));
            fs::write(path.join("changed"), file).unwrap();
            refused_shortly(path, &line, &[key, start]);
        }
        let summary = fs::read_to_string(path.join("run/summary.json")).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&summary).unwrap();
        value["weights_sha256"] = text.into();
        fs::write(path.join("run/summary.json"), value.to_string()).unwrap();
        refused_shortly(path, "evaluate run", &["summary.json says weights_sha256 = ", shown]);
        fs::write(path.join("run/summary.json"), summary).unwrap();
    }
    let file = changed(&bytes, |metadata| {
        let mut names: Vec<_> = (0..9).map(|at| format!("name {at}")).collect();
        names.push(long.clone());
        metadata.insert("classes".into(), serde_json::Value::from(names).to_string().into());
        ["data", "data_train", "data_test"].iter().for_each(|key| drop(metadata.remove(*key)));
    });
    fs::write(path.join("changed"), file).unwrap();
    refused_shortly(path, &line, &["among the classes name 0", "(999800 more characters)"]);
    let file = changed(&bytes, |metadata| drop(metadata.insert("preset".into(), long.into())));
    fs::write(path.join("changed"), file).unwrap();
    let shown = succeeds(path, &format!("inspect changed --data {data}"));
    assert!(shown.len() < 10_000, "{}", shown.len());
}

#[cfg(unix)]
#[test]
fn a_folder_forges_no_line() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    committee(path);
    fs::create_dir(path.join("three/member-9\nall is well")).unwrap();
    refused(path, "evaluate three", 1, &["found member-9\\nall is well in it"]);
    train_small(path, TUNED);
    fs::create_dir(path.join("run/member-9\nall is well")).unwrap();
    refused(path, "evaluate run", 1, &["found member-9\\nall is well in it"]);
}

/// An experiment with so many layers and other keys.
fn experiment(keys: &str, layers: usize) -> String {
    let layers = "{ type = \"relu\" },".repeat(layers);
    format!(
        "{keys}\nepochs = 1\nbatch_size = 10\nshard_size = 10\nshuffle = false\nlearning_rate = \
         0.1\nloss = \"softmax_cross_entropy\"\ninit = \"he\"\n[network]\ninput = [1, 28, 28]\n\
         layers = [{{ type = \"flatten\" }}, {layers} {{ type = \"dense\", outputs = 10 }}]\n"
    )
}

#[test]
fn an_experiments_texts_are_cut() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let long = "d".repeat(300_000);
    let keys = format!("name = \"n\"\ndescription = \"{long}\"");
    fs::write(path.join("described.toml"), experiment(&keys, 1)).unwrap();
    let shown = train_small(path, "--config described.toml --train-limit 10 --out described");
    assert!(shown.contains("d…\n    (299800 more characters)\n"), "{shown}");
    let keys = format!("name = \"{long}\"");
    fs::write(path.join("named.toml"), experiment(&keys, 1)).unwrap();
    let shown = train_small(path, "--config named.toml --train-limit 10 --out named");
    assert!(shown.contains("d…\n    (299800 more characters), seed 0\n"), "{shown}");
    fs::create_dir(path.join("runs")).unwrap();
    let line = format!("train --config named.toml --data {}", small_data().display());
    refused_shortly(path, &line, &["runs/ddd", " more characters): cannot be made"]);
}

#[test]
fn tables_of_many_layers_are_cut() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("deep.toml"), experiment("", 98)).unwrap();
    let data = small_data().display();
    let train = train_small(path, "--config deep.toml --train-limit 10 --out deep");
    let inspect = succeeds(path, &format!("inspect deep --data {data} --samples 5"));
    let profile = succeeds(path, "profile --config deep.toml --repetitions 1");
    for (shown, most) in [(train, 48), (inspect, 40), (profile, 60)] {
        assert!(shown.contains("… 80 layers\n"), "{shown}");
        assert!(shown.lines().count() < most, "{shown}");
    }
    let all = succeeds(path, &format!("inspect deep --data {data} --samples 5 --json"));
    assert_eq!(all.lines().count(), 102);
}
