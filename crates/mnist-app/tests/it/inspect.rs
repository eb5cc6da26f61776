//! What `inspect` says of a network, against plain computations of the same.

use std::path::Path;

use layers::{Mode, Network, Optimizer, Subset, Trainer, TrainerConfig, Workspace};
use mnist_app::presets;
use serde_json::Value;

use crate::common::{mnist, notebook, objects, run_in, small_data, succeeds, text, train_small};
use crate::plain_loops::{Plain, Trace, Traces};

/// What `inspect` prints in `folder` for these words, with the small data.
#[track_caller]
fn inspect(folder: &Path, line: &str) -> String {
    succeeds(folder, &format!("inspect --data {} {line}", small_data().display()))
}

/// The lines of `inspect --json`: the setting, the input's, the layers'.
#[track_caller]
fn lines(folder: &Path, line: &str) -> (Value, Value, Vec<Value>) {
    let mut lines = objects(&inspect(folder, &format!("--json {line}"))).into_iter();
    let (setting, input) = (lines.next().unwrap(), lines.next().unwrap());
    let layers: Vec<_> = lines.collect();
    assert_eq!((&setting["kind"], &input["kind"]), (&"setting".into(), &"input".into()));
    assert!(layers.iter().all(|line| line["kind"] == "layer"));
    (setting, input, layers)
}

#[track_caller]
fn assert_near(line: &Value, key: &str, expected: f64, bound: f64) {
    let found = line[key].as_f64().unwrap();
    let distance = (found - expected).abs();
    assert!(distance <= bound * expected.abs().max(1e-12), "{key}: {expected}, in {line}");
}

type Function = fn(f64) -> f64;

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[test]
fn the_notebooks_numbers_are_those_of_plain_loops() {
    const SAMPLES: usize = 3;
    let here = tempfile::tempdir().unwrap();
    let words = format!("--preset notebook --precision f64 --seed 3 --samples {SAMPLES}");
    let (setting, _, found) = lines(here.path(), &words);
    let mut network = notebook().networks.first().build::<f64>().unwrap();
    network.initialize(notebook().init, 3);
    let plain = Plain::new(network.parameters());
    let traces: Vec<Traces> = (0..SAMPLES).map(|sample| plain.trace(sample)).collect();

    let losses: Vec<_> = traces.iter().map(|trace| trace.loss).collect();
    assert_near(&setting, "mean_loss", mean(&losses), 1e-10);
    for (place, layer) in [0, 1, 3, 4, 5, 6].into_iter().enumerate() {
        let all = |of: fn(&Trace) -> &Vec<f64>| {
            let each: Vec<_> =
                traces.iter().map(|trace| of(&trace.layers[place]).clone()).collect();
            each.concat()
        };
        let (outputs, gradients) = (all(|layer| &layer.0), all(|layer| &layer.1));
        let line = &found[layer];
        let mean = mean(&outputs);
        let deviations: Vec<_> = outputs.iter().map(|y| y - mean).collect();
        let root = (outputs.len() as f64).sqrt();
        assert_near(line, "mean", mean, 1e-10);
        assert_near(line, "std", norm(&deviations) / root, 1e-10);
        assert_near(line, "min", outputs.iter().copied().fold(f64::MAX, f64::min), 1e-10);
        assert_near(line, "max", outputs.iter().copied().fold(f64::MIN, f64::max), 1e-10);
        // Of the mean loss, hence the samples' own ones divided by their number.
        assert_near(line, "gradient_rms", norm(&gradients) / root / SAMPLES as f64, 1e-8);
        // The derivative of tanh at its value y is 1 − y², at most 1; a sigmoid's y (1 − y).
        let activation: Option<(Function, f64)> = match layer {
            4 => Some((|y| 1.0 - y * y, 1.0)),
            1 | 6 => Some((|y| y * (1.0 - y), 0.25)),
            _ => None,
        };
        let Some((derivative, largest)) = activation else {
            assert!(line["saturated"].is_null() && line["dead"].is_null(), "{line}");
            continue;
        };
        let flags: Vec<_> = outputs.iter().map(|&y| derivative(y) < 0.01 * largest).collect();
        let share = flags.iter().filter(|&&flag| flag).count() as f64 / flags.len() as f64;
        assert_near(line, "saturated", share, 1e-12);
        if layer > 1 {
            let units = outputs.len() / SAMPLES;
            let dead = |&unit: &usize| (0..SAMPLES).all(|sample| flags[sample * units + unit]);
            assert_eq!(line["dead"], (0..units).filter(dead).count(), "{line}");
            assert_eq!(line["units"], units);
        }
    }
    let mut gradient = vec![0.0; network.parameters().len()];
    for trace in &traces {
        let all = trace.gradients.parameters();
        gradient.iter_mut().zip(all).for_each(|(sum, g)| *sum += g / SAMPLES as f64);
    }
    assert_ratios(&network, &gradient, &found);
}

#[test]
fn gradients_are_those_of_a_training_step_and_dead_kernels_those_without_a_light() {
    const SAMPLES: usize = 20;
    let here = tempfile::tempdir().unwrap();
    let words = format!("--preset lenet --precision f64 --samples {SAMPLES}");
    let (setting, input, found) = lines(here.path(), &words);
    let experiment = presets::experiment("lenet").unwrap();
    let build = || {
        let mut network = experiment.networks.first().build::<f64>().unwrap();
        network.initialize(experiment.init, experiment.seed);
        network
    };
    let network = build();
    let samples = &mnist().0;
    let mut images = vec![0.0; SAMPLES * 784];
    for (index, image) in images.chunks_exact_mut(784).enumerate() {
        samples.write_image(index, image);
    }
    assert_near(&input, "mean", mean(&images), 1e-12);
    assert_eq!((&input["min"], &input["max"]), (&0.0.into(), &1.0.into()));

    let mut workspace = Workspace::new(&network, SAMPLES);
    network.forward(&images, &mut workspace, Mode::training());
    for (layer, plane) in [(1, 24 * 24), (4, 8 * 8), (8, 1)] {
        let outputs = workspace.layer_output(layer);
        // Where the next layer pools and rectifies at once, the numbers before are here.
        let dark = outputs.iter().filter(|&&y| y <= 0.0).count();
        assert_near(&found[layer], "saturated", dark as f64 / outputs.len() as f64, 1e-12);
        let units = outputs.len() / SAMPLES / plane;
        let is_lit = |unit: &usize| {
            let places = outputs.chunks_exact(plane).skip(*unit).step_by(units);
            places.flatten().any(|&y| y > 0.0)
        };
        let lit = (0..units).filter(is_lit).count();
        assert_eq!(found[layer]["dead"], units - lit, "layer {layer}");
    }

    let config = TrainerConfig::new(experiment.loss, Optimizer::sgd(), [SAMPLES, SAMPLES]);
    let mut trainer = Trainer::new(build(), config);
    let order: Vec<_> = (0..SAMPLES).collect();
    let report = trainer.step(&Subset::new(samples, &order), 1.0).unwrap();
    assert_near(&setting, "mean_loss", mean(report.losses), 1e-12);
    assert_eq!(setting["correct"], report.correct);
    let after = trainer.network().parameters();
    let step: Vec<_> = network.parameters().iter().zip(after).map(|(a, b)| a - b).collect();
    assert_ratios(&network, &step, &found);
}

/// The norm of each layer's part of `gradient` against that of its parameters.
#[track_caller]
fn assert_ratios(network: &Network<f64>, gradient: &[f64], found: &[Value]) {
    let mut start = 0;
    for (line, (name, _, parameters)) in found.iter().zip(network.table()) {
        assert_eq!((&line["parameters"], &line["name"]), (&parameters.into(), &name.into()));
        let place = start..start + parameters;
        start = place.end;
        if place.is_empty() {
            assert!(line["parameter_gradient"].is_null(), "{line}");
            continue;
        }
        let ratio = norm(&gradient[place.clone()]) / norm(&network.parameters()[place]);
        assert_near(line, "parameter_gradient", ratio, 1e-8);
    }
    assert_eq!(start, gradient.len());
}

#[test]
fn a_trained_model_is_inspected_as_a_training_step_would_see_it() {
    let here = tempfile::tempdir().unwrap();
    let config = r#"
        epochs = 1
        batch_size = 20
        shard_size = 20
        shuffle = true
        learning_rate = 0.01
        loss = "softmax_cross_entropy"
        init = "he"
        [network]
        input = [1, 28, 28]
        layers = [
            { type = "conv2d", kernels = 3, size = 5 },
            { type = "batch_norm2d" },
            { type = "gelu" },
            { type = "max_pool2d", size = 4 },
            { type = "flatten" },
            { type = "dropout", p = 0.5 },
            { type = "dense", outputs = 10 },
        ]
    "#;
    std::fs::write(here.path().join("normal.toml"), config).unwrap();
    train_small(here.path(), "--config normal.toml --out run");
    let (setting, _, found) = lines(here.path(), "run/model.safetensors --samples 50");
    assert_eq!((&setting["trained"], &setting["precision"]), (&true.into(), &"f32".into()));
    assert_eq!((&setting["name"], &setting["samples"]), (&"normal".into(), &50.into()));
    // Weight and bias of the normalisation have hardly moved from 1 and 0.
    let [mean, std] = ["mean", "std"].map(|key| found[1][key].as_f64().unwrap());
    assert!(mean.abs() < 0.1 && (std - 1.0).abs() < 0.1, "{}", found[1]);
    assert_eq!((&found[2]["units"], &found[2]["dead"]), (&3.into(), &0.into()));
    assert_eq!(found[3]["shape"], serde_json::json!([3, 6, 6]));
    assert!(found.iter().all(|line| line["gradient_rms"].as_f64().unwrap() > 0.0));
    let again = lines(here.path(), "run/model.safetensors --samples 50 --precision f64");
    assert_eq!(again.0["precision"], "f64");
    let close = again.2[6]["mean"].as_f64().unwrap() - found[6]["mean"].as_f64().unwrap();
    assert!(close.abs() < 1e-5, "{close}");
}

#[test]
fn the_table_names_every_layer_and_wrong_usage_is_refused() {
    let here = tempfile::tempdir().unwrap();
    let table = inspect(here.path(), "--preset notebook --samples 10");
    for spec in &notebook().networks.first().layers {
        assert!(table.contains(&spec.summary()), "{}: {table}", spec.summary());
    }
    assert!(table.starts_with("notebook, as drawn from seed 0: 10 training images, f32\n"));
    assert_eq!(here.path().read_dir().unwrap().count(), 0);
    for (words, status, part) in [
        ("", 2, "expected MODEL or --preset or --config, found nothing"),
        ("--preset none", 2, "found \"none\""),
        ("nowhere.safetensors", 1, "nowhere.safetensors"),
        ("--config nowhere.toml", 1, "nowhere.toml"),
        ("--preset notebook --data nowhere", 1, "nowhere"),
        ("--preset notebook --epochs 2", 2, "--epochs"),
    ] {
        let words: Vec<_> =
            format!("inspect {words}").split_whitespace().map(String::from).collect();
        let words: Vec<_> = words.iter().map(|word| word as _).collect();
        let output = run_in(here.path(), &words);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{complaint}");
        assert!(complaint.starts_with("error: ") && complaint.contains(part), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
}
