//! Why a training stops, and advice that fits the cause.

use std::fs;
use std::path::Path;

use layers::{LayerSpec, NetworkSpec, save_weights};

use crate::common::{run_line, small_data, text, train_small};

/// An experiment of these layers.
fn experiment(layers: &str) -> String {
    format!(
        "epochs = 2\nbatch_size = 50\nshard_size = 50\nshuffle = false\nlearning_rate = 0.01\n\
         loss = \"mean_squared_error\"\ninit = \"standard_normal\"\n\n[network]\ninput = [1, 28, 28]\n\
         layers = [{{ type = \"flatten\" }}, {layers}]\n"
    )
}

const DENSE: &str = "{ type = \"dense\", outputs = 10 }";

/// How the complaint about a training that stops goes on after the name of the layer.
#[track_caller]
fn advice(folder: &Path, line: &str) -> String {
    let line = format!("train --quiet --json --data {} {line}", small_data().display());
    let output = run_line(folder, &line);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    let error = complaint.lines().last().unwrap();
    let start = "error: training stopped in epoch 1: expected a finite loss";
    assert!(error.starts_with(start), "{complaint}");
    let layer = error.split(" is the first that is not; ").nth(1);
    layer.unwrap_or_else(|| panic!("expected a layer in {error}")).to_owned()
}

#[test]
fn weights_that_are_too_large_from_the_start_are_no_matter_of_the_learning_rate() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("linear.toml"), experiment(DENSE)).unwrap();
    let layers: Vec<LayerSpec> = vec![layers::Flatten.into(), layers::Dense::new(10).into()];
    let mut network = NetworkSpec { input: vec![1, 28, 28], layers }.build::<f32>().unwrap();
    network.parameters_mut().fill(1e38);
    fs::write(path.join("large.safetensors"), save_weights(&network, &[]).unwrap()).unwrap();

    let line = "--config linear.toml --init large.safetensors";
    let file = path.join("large.safetensors");
    let file = fs::canonicalize(file.parent().unwrap()).unwrap().join("large.safetensors");
    let expected = format!(
        "no step has changed the weights, which are those of {}: smaller ones or --precision f64 \
         may help",
        file.display()
    );
    assert_eq!(advice(path, &format!("{line} --out a")), expected);
    assert_eq!(advice(path, &format!("{line} --learning-rate 0 --out b")), expected);
    // It does.
    train_small(path, &format!("{line} --learning-rate 0 --precision f64 --out c"));
}

#[test]
fn weights_that_are_drawn_too_large_want_another_init() {
    let here = tempfile::tempdir().unwrap();
    // Each multiplies by 10 or so.
    let deep = "{ type = \"dense\", outputs = 100 }, ".repeat(45) + DENSE;
    fs::write(here.path().join("deep.toml"), experiment(&deep)).unwrap();
    let line = "--config deep.toml --train-limit 50 --test-limit 5";
    assert_eq!(
        advice(here.path(), &format!("{line} --out a")),
        "no step has changed the weights, which are as they were drawn: another init or \
         --precision f64 may help"
    );
}

#[test]
fn what_diverges_wants_smaller_steps() {
    let here = tempfile::tempdir().unwrap();
    let linear = experiment(DENSE);
    fs::write(here.path().join("linear.toml"), &linear).unwrap();
    fs::write(here.path().join("clipped.toml"), format!("clip_norm = 1e9\n{linear}")).unwrap();
    for (name, expected) in [
        ("linear", "a smaller --learning-rate or a clip_norm may help"),
        ("clipped", "a smaller --learning-rate may help"),
    ] {
        let line = format!("--config {name}.toml --learning-rate 1e36 --out {name}");
        assert_eq!(advice(here.path(), &line), expected);
    }
}
