//! Classes that differ in their numbers of images: weights in training, balanced accuracy.

use std::fs;
use std::path::Path;

use mnist_app::experiment::{Experiment, Weighting};

use crate::bad_input::refused;
use crate::common::{assert_close, objects, small_data, succeeds, summary};
use crate::own_images::Images;

fn experiment(keys: &str, loss: &str) -> String {
    format!(
        "{keys}\nepochs = 3\nbatch_size = 8\nshard_size = 4\nshuffle = true\nlearning_rate = 0.01\n\
         loss = {loss}\ninit = \"he\"\n[network]\ninput = [1, 6, 6]\nlayers = [\n\
         {{ type = \"flatten\" }},\n{{ type = \"dense\", outputs = 3 }},\n]\n"
    )
}

const SOFTMAX: &str = "{ type = \"softmax_cross_entropy\", label_smoothing = 0.1 }";

const TRAIN: &str = "train --config c.toml --data data --quiet --no-report";

/// Data with 18, 4 and 2 training images of three classes, and 9, 2 and 1 for testing.
fn uneven(folder: &Path) {
    for (prefix, count) in [("train", 36), ("t10k", 18)] {
        let mut images = Images::new([1, 6, 6], 3, 3 * count);
        let most = [count / 2, count / 9, count / 18];
        let mut seen = [0; 3];
        images.samples.retain(|&(_, label)| {
            let label = usize::from(label);
            seen[label] += 1;
            seen[label] <= most[label]
        });
        images.write_idx(folder, prefix);
    }
}

#[test]
fn balanced_weights_are_the_numbers_that_they_stand_for() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    uneven(&path.join("data"));
    let weights = [24.0 / 54.0, 24.0 / 12.0, 24.0 / 6.0];
    for (name, keys) in [
        ("balanced", "class_weights = \"balanced\"".to_owned()),
        ("given", format!("class_weights = {weights:?}")),
        ("ones", "class_weights = [1, 1.0, 1]".into()),
        ("none", String::new()),
    ] {
        fs::write(path.join("c.toml"), experiment(&keys, SOFTMAX)).unwrap();
        succeeds(path, &format!("{TRAIN} --out {name} --threads 2"));
    }
    let digest = |run: &str| summary(path, run)["weights_sha256"].clone();
    assert_eq!(digest("balanced"), digest("given"));
    assert_ne!(digest("balanced"), digest("none"));
    // Weights of 1 are none, to the last bit.
    assert_eq!(digest("ones"), digest("none"));
    let config = fs::read_to_string(path.join("balanced/config.toml")).unwrap();
    let Some(Weighting::Given(found)) = Experiment::parse(&config).unwrap().class_weights else {
        panic!("{config}")
    };
    assert_eq!(found.as_slice(), weights);
    // The error in a test is not weighted, whatever was minimised.
    let error = |run: &str| objects(&succeeds(path, &format!("evaluate {run} --json")))[0].clone();
    assert_close(&error("balanced")["test_error"], {
        summary(path, "balanced")["test_error"].as_f64().unwrap()
    });
    succeeds(path, "verify balanced --quiet");
}

#[test]
fn a_run_with_weights_goes_on_to_the_same_bits() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    uneven(&path.join("data"));
    let keys = "class_weights = \"balanced\"";
    fs::write(path.join("c.toml"), experiment(keys, SOFTMAX)).unwrap();
    succeeds(path, &format!("{TRAIN} --out whole --threads 1"));
    succeeds(path, &format!("{TRAIN} --out parts --epochs 1"));
    succeeds(path, "train --resume parts --epochs 3 --quiet --no-report --threads 2");
    let [whole, parts] = ["whole", "parts"].map(|run| summary(path, run)["weights_sha256"].clone());
    assert_eq!(whole, parts);
}

#[test]
fn balanced_accuracy_is_said_where_classes_are_uneven() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    uneven(&path.join("data"));
    fs::write(path.join("c.toml"), experiment("", SOFTMAX)).unwrap();
    let line = "train --config c.toml --data data --no-report --out run --learning-rate 0";
    let trained = succeeds(path, line);
    assert!(trained.contains("balanced accuracy "), "{trained}");
    let tested = succeeds(path, "evaluate run");
    assert!(tested.contains("balanced accuracy "), "{tested}");
    let found = &objects(&succeeds(path, "evaluate run --json"))[0];
    // The mean of the three recalls, each a number of images of a class.
    let balanced = found["balanced_accuracy"].as_f64().unwrap();
    let possible = (0..=9).flat_map(|a| (0..=2).flat_map(move |b| (0..=1).map(move |c| (a, b, c))));
    let correct = found["test_correct"].as_u64().unwrap();
    let mut means = possible
        .filter(|&(a, b, c)| a + b + c == correct)
        .map(|(a, b, c)| (a as f64 / 9.0 + b as f64 / 2.0 + c as f64) / 3.0);
    assert!(means.any(|mean| (mean - balanced).abs() < 1e-12), "{found}");
    let limited = succeeds(path, "evaluate run --test-limit 3");
    assert!(!limited.contains("balanced"), "{limited}");
    let even = succeeds(path, "evaluate run --test-limit 3 --json");
    assert!(!even.contains("balanced"), "{even}");
}

#[test]
fn weights_that_cannot_be() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    uneven(&path.join("data"));
    let expected = "line 1: class_weights: expected \"balanced\", or a list of finite numbers of at \
                    least 0, not all of them 0, found ";
    let list = "line 1: class_weights: expected a list of finite numbers of at least 0";
    for (keys, loss, part) in [
        ("class_weights = \"balance\"", SOFTMAX, format!("{expected}\"balance\"")),
        ("class_weights = 2", SOFTMAX, format!("{expected}2")),
        ("class_weights = true", SOFTMAX, format!("{expected}true")),
        ("class_weights = []", SOFTMAX, list.into()),
        ("class_weights = [0, 0, 0.0]", SOFTMAX, list.into()),
        ("class_weights = [1, -1, 1]", SOFTMAX, list.into()),
        ("class_weights = [1, nan, 1]", SOFTMAX, list.into()),
        ("class_weights = [1, inf, 1]", SOFTMAX, list.into()),
        ("class_weights = [1, \"two\", 1]", SOFTMAX, "item 1: expected a number".into()),
        (
            "class_weights = [1, 2]",
            SOFTMAX,
            "line 1: class_weights: expected 3 numbers, one for each class, found 2; name one for \
             each, or choose \"balanced\""
                .into(),
        ),
        ("class_weights = [1, 2, 3, 4]", SOFTMAX, "one for each class, found 4".into()),
        (
            "class_weights = \"balanced\"",
            "\"mean_squared_error\"",
            "line 1: class_weights: expected a cross-entropy as the loss, found mean_squared_error"
                .into(),
        ),
        (
            "class_weights = [1, 1, 2]",
            "\"huber\"",
            "expected a cross-entropy as the loss, found huber".into(),
        ),
        (
            "class_weights = \"balanced\"",
            "{ type = \"softmax_cross_entropy\", class_weights = [1, 2, 3] }",
            "expected weights here or in the loss softmax_cross_entropy, found both".into(),
        ),
    ] {
        fs::write(path.join("c.toml"), experiment(keys, loss)).unwrap();
        refused(path, &format!("{TRAIN} --out run"), 1, &["--config c.toml, ", &part]);
    }
    let small = small_data().display();
    fs::write(path.join("c.toml"), experiment("class_weights = 1e300", SOFTMAX)).unwrap();
    refused(path, &format!("train --config c.toml --data {small}"), 1, &[expected]);
}
