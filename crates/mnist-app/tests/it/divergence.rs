//! Why a training stops, and advice that fits the cause.

use std::fs;
use std::path::Path;

use layers::{LayerSpec, NetworkSpec, save_weights};

use crate::common::{or_notebook, run_line, small_data, text, train_small};

/// An experiment of these layers.
fn experiment(layers: &str) -> String {
    format!(
        "epochs = 2\nbatch_size = 50\nshard_size = 50\nshuffle = false\nlearning_rate = 0.01\n\
         loss = \"mean_squared_error\"\ninit = \"standard_normal\"\n\n[network]\ninput = [1, 28, 28]\n\
         layers = [{{ type = \"flatten\" }}, {layers}]\n"
    )
}

const DENSE: &str = "{ type = \"dense\", outputs = 10 }";

/// What standard error has of a training that stops: the lines before the last, and how the last
/// goes on after what is the same everywhere.
#[track_caller]
fn complaint(folder: &Path, line: &str) -> (Vec<String>, String) {
    let line = format!("train --json --data {} {}", small_data().display(), or_notebook(line));
    let output = run_line(folder, &line);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    let mut lines: Vec<_> = complaint.lines().map(str::to_owned).collect();
    let error = lines.pop().unwrap();
    let rest = error.strip_prefix("error: training stopped ");
    let rest = rest.unwrap_or_else(|| panic!("{complaint}"));
    (lines, rest.replace("expected finite numbers, ", ""))
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
        "in epoch 1, step 1: found infinity in the output of layer 1 (Dense 10 outputs) for \
         training image 0; no step has changed the weights, which are those of {}: smaller ones or \
         --precision f64 may help",
        file.display()
    );
    assert_eq!(complaint(path, &format!("{line} --out a")).1, expected);
    assert_eq!(complaint(path, &format!("{line} --learning-rate 0 --out b")).1, expected);
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
    let (_, error) = complaint(here.path(), &format!("{line} --out a"));
    assert!(error.starts_with("in epoch 1, step 1: found "), "{error}");
    let end = "for training image 0; no step has changed the weights, which are as they were \
               drawn: another init or --precision f64 may help";
    assert!(error.ends_with(end), "{error}");
}

#[test]
fn what_diverges_wants_smaller_steps_and_shows_the_step_before() {
    let here = tempfile::tempdir().unwrap();
    let hidden = "{ type = \"dense\", outputs = 20 }, { type = \"relu\" }, ".to_owned() + DENSE;
    let linear = experiment(&hidden).replace("epochs = 2", "epochs = 9");
    fs::write(here.path().join("linear.toml"), &linear).unwrap();
    fs::write(here.path().join("clipped.toml"), format!("clip_norm = 1e9\n{linear}")).unwrap();
    for (name, expected) in [
        ("linear", "a smaller --learning-rate or a clip_norm may help"),
        ("clipped", "a smaller --learning-rate may help"),
    ] {
        let line = format!("--config {name}.toml --learning-rate 1e12 --out {name}");
        let (lines, error) = complaint(here.path(), &line);
        assert!(error.starts_with("in epoch 1, step "), "{error}");
        assert!(error.contains(": found ") && error.contains(" of layer "), "{error}");
        assert!(error.contains(expected), "{error}");
        let tables: Vec<_> = lines.iter().filter(|line| line.starts_with("epoch 1, ")).collect();
        assert_eq!(tables.len(), 2, "{lines:?}");
        let number = |text: &str| -> usize {
            let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap()
        };
        let step = number(error.strip_prefix("in epoch 1, step ").unwrap());
        let [before, last] = [step - 1, step].map(|of| {
            let first = 50 * (of - 1);
            format!("epoch 1, step {step}, on the 50 images of step {of}, {first} the first:")
        });
        assert_eq!(tables, [&before, &last]);
        assert!(lines.iter().all(|line| line.chars().count() <= 79), "{lines:#?}");
        for layer in ["  0 Flatten ", "  1 Dense 20 outputs ", "  2 Relu ", "  3 Dense 10 outputs "]
        {
            assert_eq!(
                lines.iter().filter(|line| line.starts_with(layer)).count(),
                2,
                "{lines:#?}"
            );
        }
    }
}

/// Weights that are 1e30 along a chain through the layers, and 0 elsewhere. The outputs are 0; the
/// gradient grows on its way back until it overflows.
fn exploding(path: &Path) {
    let layers: Vec<LayerSpec> = vec![
        layers::Flatten.into(),
        layers::Dense::new(1).into(),
        layers::Dense::new(1).into(),
        layers::Dense::new(10).into(),
    ];
    let mut network = NetworkSpec { input: vec![1, 28, 28], layers }.build::<f32>().unwrap();
    let parameters = network.parameters_mut();
    parameters[785] = 1e30;
    parameters[787] = 1e30;
    fs::write(path.join("exploding.safetensors"), save_weights(&network, &[]).unwrap()).unwrap();
}

#[test]
fn a_gradient_that_overflows_stops_the_run_in_its_own_step() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    exploding(path);
    let one = "{ type = \"dense\", outputs = 1 }, ";
    let layers = format!("{one}{one}{DENSE}");
    let text = experiment(&layers).replace("mean_squared_error", "softmax_cross_entropy");
    for (name, text) in [
        ("adam", format!("optimizer = {{ type = \"adam\" }}\n{text}")),
        ("in-layers", text.clone()),
        ("shards", text.replace("shard_size = 50", "shard_size = 10")),
    ] {
        fs::write(path.join(format!("{name}.toml")), text).unwrap();
        let line = format!("--config {name}.toml --init exploding.safetensors --out {name}");
        let (lines, error) = complaint(path, &line);
        assert!(error.starts_with("in epoch 1, step 1: found "), "{error}");
        // Where layers have taken their steps, the step is no longer what it was.
        let left_out = lines.iter().any(|line| line.contains("not shown layer by layer"));
        assert_eq!(left_out, name == "in-layers", "{lines:?}");
        assert!(lines.iter().all(|line| line.chars().count() <= 79), "{lines:?}");
        let place = "infinity in the gradient of the output of layer 1 (Dense 1 outputs) for \
                     training image 0; ";
        assert!(error.contains(place), "{error}");
    }
}

#[test]
fn weights_that_a_step_breaks_are_noticed_at_once() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let adam = "optimizer = { type = \"adam\", epsilon = 0.0 }\n";
    fs::write(path.join("zero.toml"), adam.to_owned() + &experiment(DENSE)).unwrap();
    let (_, error) = complaint(path, "--config zero.toml --out zero");
    assert_eq!(
        error,
        "in epoch 1, step 1: found NaN in the weight of layer 1 (Dense 10 outputs); the optimizer \
         divides 0 by 0 where a gradient has always been 0: an epsilon above 0 may help"
    );
    fs::write(path.join("plain.toml"), experiment(DENSE)).unwrap();
    let line = "--config plain.toml --train-limit 50 --learning-rate 3e38 --out plain";
    let (_, error) = complaint(path, line);
    let by_step = "in epoch 1, by step 1: found ";
    let end = "; a step was too large: a smaller --learning-rate or a clip_norm may help";
    assert!(error.starts_with(by_step) && error.ends_with(end), "{error}");
    assert!(error.contains(" in the weight of layer 1 (Dense 10 outputs)"), "{error}");
    let shards = experiment(DENSE).replace("shard_size = 50", "shard_size = 10");
    fs::write(path.join("shards.toml"), shards).unwrap();
    let line = "--config shards.toml --learning-rate 3e38 --out shards";
    let (_, error) = complaint(path, line);
    assert!(error.starts_with("in epoch 1, step 1: found ") && error.ends_with(end), "{error}");
    // Nothing that is not finite was kept.
    assert!(!path.join("plain/model.safetensors").exists());
}
