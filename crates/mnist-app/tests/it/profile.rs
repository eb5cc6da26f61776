//! What `profile` says of a network; how long things take is not for a test.

use mnist_app::presets;
use serde_json::Value;

use crate::common::{objects, run_in, succeeds, text};

/// The lines of `profile --json` with these words besides.
#[track_caller]
fn profile(words: &str) -> Vec<Value> {
    let here = tempfile::tempdir().unwrap();
    let line = format!("profile --json --repetitions 3 {words}");
    let lines = objects(&succeeds(here.path(), &line));
    assert_eq!(here.path().read_dir().unwrap().count(), 0, "{line}");
    lines
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

#[track_caller]
fn assert_share(line: &Value) {
    let share = line["of_peak"].as_f64().unwrap();
    assert!(0.0 < share && share < 1.5, "{line}");
}

#[test]
fn every_layer_of_the_notebook_is_measured_in_the_directions_that_a_step_takes() {
    let lines = profile("--preset notebook");
    let network = presets::experiment("notebook").unwrap().networks.first().clone();
    let layers = of_kind(&lines, "layer");
    let passes = |index: usize| {
        let lines = layers.iter().filter(|line| line["layer"] == index);
        lines.map(|line| line["pass"].as_str().unwrap()).collect::<Vec<_>>()
    };
    for (index, spec) in network.layers.iter().enumerate() {
        let expected: &[&str] = match index {
            0 => &["forward", "parameter_gradient", "gradients_and_step"],
            3 | 5 => &["forward", "parameter_gradient", "both_gradients", "gradients_and_step"],
            _ => &["forward", "input_gradient"],
        };
        assert_eq!(passes(index), expected, "{}", spec.summary());
        let name = spec.summary();
        let named = layers.iter().filter(|line| line["layer"] == index);
        assert!(named.clone().all(|line| line["name"] == name.as_str()), "{name}");
    }
    for line in &layers {
        assert!(line["seconds"].as_f64().unwrap() > 0.0, "{line}");
        // One sample a step, plain descent: the layers take the step themselves.
        let alone = ["parameter_gradient", "both_gradients"];
        let called = !alone.contains(&line["pass"].as_str().unwrap());
        assert_eq!(line["in_step"], called, "{line}");
        match line["layer"].as_u64().unwrap() {
            0 | 3 | 5 => assert_share(line),
            _ => assert!(line["of_peak"].is_null() && line["gflops"].is_null(), "{line}"),
        }
    }
    let [step] = of_kind(&lines, "step")[..] else { panic!("{lines:?}") };
    assert_share(step);
    assert_eq!(step["shards"], 1);
}

#[test]
fn what_keeps_a_step_from_the_layers_keeps_it_from_the_report() {
    let here = tempfile::tempdir().unwrap();
    let notebook = succeeds(here.path(), "presets notebook");
    for setting in ["clip_norm = 1.0", "average = 0.9"] {
        let path = here.path().join("experiment.toml");
        std::fs::write(&path, format!("{setting}\n{notebook}")).unwrap();
        let lines = profile(&format!("--config {}", path.display()));
        for line in of_kind(&lines, "layer") {
            assert_ne!(line["pass"], "gradients_and_step", "{setting}: {line}");
            let alone = ["parameter_gradient", "both_gradients"];
            let last = alone.contains(&line["pass"].as_str().unwrap()) && line["layer"] != 0;
            assert!(!last || (line["in_step"] == (line["pass"] == "both_gradients")), "{line}");
        }
    }
}

#[test]
fn rates_and_bytes_follow_from_the_sizes() {
    let lines = profile("--preset notebook --batch-size 4 --shard-size 2 --precision f64");
    let [setting] = of_kind(&lines, "setting")[..] else { panic!("{lines:?}") };
    assert_eq!((&setting["precision"], &setting["shard_size"]), (&"f64".into(), &2.into()));
    let peak = setting["peak_gflops"].as_f64().unwrap();
    let layers = of_kind(&lines, "layer");
    // Two samples; Conv2d 6 kernels 3×3 over 28×28, then Dense 4056 to 100.
    for (layer, pass, operations, read, written) in [
        (0, "forward", 2 * 2 * 9 * 4056, 54 + 4056 + 2 * 784, 2 * 4056),
        (3, "forward", 2 * 2 * 405_600, 405_700 + 2 * 4056, 2 * 100),
        (3, "parameter_gradient", 2 * 2 * 405_600, 2 * (4056 + 100), 405_700),
        (3, "both_gradients", 4 * 2 * 405_600, 405_700 + 2 * (4056 + 100), 405_700 + 2 * 4056),
    ] {
        let line = layers.iter().find(|line| line["layer"] == layer && line["pass"] == pass);
        let line = line.unwrap();
        let seconds = line["seconds"].as_f64().unwrap();
        let rate = f64::from(operations) / seconds / 1e9;
        let relative = |found: &Value, expected: f64| found.as_f64().unwrap() / expected - 1.0;
        assert!(relative(&line["gflops"], rate).abs() < 1e-9, "{line}");
        assert!(relative(&line["of_peak"], rate / peak).abs() < 1e-9, "{line}");
        assert!(relative(&line["seconds_per_sample"], seconds / 2.0).abs() < 1e-9, "{line}");
        assert_eq!(
            (&line["bytes_read"], &line["bytes_written"]),
            (&(read * 8).into(), &(written * 8).into())
        );
    }
    let in_step = |line: &&&Value| line["in_step"] == true && line["pass"] != "forward";
    let passes = layers.iter().filter(in_step).map(|line| line["pass"].as_str().unwrap());
    let expected = ["parameter_gradient", "input_gradient", "input_gradient", "both_gradients"];
    assert_eq!(passes.take(4).collect::<Vec<_>>(), expected);
    // A reshape behind an activation moves nothing.
    let reshape = layers.iter().find(|line| line["layer"] == 2).unwrap();
    assert_eq!((&reshape["kernel"], &reshape["bytes_read"]), (&"in place".into(), &0.into()));
    let kernel = layers[0]["kernel"].as_str().unwrap();
    assert!(["wide rows", "narrow rows", "line"].contains(&kernel), "{kernel}");
    assert_eq!(of_kind(&lines, "step")[0]["shards"], 2);
}

#[test]
fn what_has_weights_says_how_it_is_computed() {
    let lines = profile("--preset accurate");
    let layers = of_kind(&lines, "layer");
    let kernel = |layer: usize, pass: &str| {
        let mut lines = layers.iter().filter(|line| line["layer"] == layer && line["pass"] == pass);
        lines.next().unwrap()["kernel"].as_str().unwrap().to_owned()
    };
    for line in &layers {
        let computes = !line["gflops"].is_null();
        let done = ["in place", "in the layer before"];
        let kernel = line["kernel"].as_str().filter(|kernel| !done.contains(kernel));
        assert_eq!(computes, kernel.is_some(), "{line}");
    }
    // Rectifiers: of what the batch normalisation gives, and of what a dense layer does.
    assert_eq!([kernel(2, "forward"), kernel(22, "forward")], ["in the layer before", "in place"]);
    assert_eq!(kernel(3, "forward"), "tiles of 4 × 4");
    assert_eq!(kernel(3, "both_gradients"), "tiles of 4 × 4; tiles of 4 × 4");
    // Kernels of 5×5 with a stride of 2.
    assert_eq!(kernel(6, "parameter_gradient"), "outer products");
    assert!(kernel(6, "both_gradients").starts_with("outer products; "));
    assert_eq!(kernel(16, "forward"), "batch in lanes");
    assert_eq!(kernel(21, "forward"), "dot products");
    let [augmentation] = of_kind(&lines, "augmentation")[..] else { panic!("{lines:?}") };
    let share = augmentation["of_step"].as_f64().unwrap();
    assert!(augmentation["seconds_per_sample"].as_f64().unwrap() > 0.0 && share < 1.0);
    let lines = profile("--preset notebook");
    assert_eq!(of_kind(&lines, "augmentation").len(), 0);
    let updates = of_kind(&lines, "layer")
        .into_iter()
        .filter(|line| line["pass"] == "gradients_and_step" && line["kernel"] == "rank-1 update");
    assert_eq!(updates.count(), 2);
}

#[test]
fn the_table_names_every_layer_and_wrong_usage_is_refused() {
    let here = tempfile::tempdir().unwrap();
    let table = succeeds(here.path(), "profile --preset lenet --repetitions 1");
    for spec in &presets::experiment("lenet").unwrap().networks.first().layers {
        assert!(table.contains(&spec.summary()), "{}: {table}", spec.summary());
    }
    for (word, status, part) in [
        ("--repetitions=0", 2, "--repetitions"),
        ("--epochs=2", 2, "--epochs"),
        ("--preset=none", 2, "found \"none\""),
        ("--config=nowhere.toml", 1, "nowhere.toml"),
        ("--batch-size=9000000000000000000", 1, "--batch-size"),
    ] {
        let output = run_in(here.path(), &[&"profile", &word]);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{word}: {complaint}");
        assert!(complaint.starts_with("error: ") && complaint.contains(part), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
}
