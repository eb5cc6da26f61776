//! What is not a number is never an answer.

use std::fs;
use std::path::Path;

use layers::{Dense, Network, Reshape, save_weights};
use serde_json::Value;

use crate::common::{objects, small_data, succeeds};

/// A model whose first output is NaN for every image that has two pixels above 0.7 or so, by
/// overflow, though all its weights are finite; the others are `bias`.
fn overflowing(path: &Path, bias: [f32; 10]) {
    let builder = Network::<f32>::builder([1, 28, 28]).add(Reshape::flat());
    let mut network = builder.add(Dense::new(10)).add(Dense::new(10)).build().unwrap();
    let parameters = network.parameters_mut();
    let (first, second) = parameters.split_at_mut(784 * 10 + 10);
    first[..2 * 784].fill(f32::MAX);
    // ∞ − ∞
    second[..2].copy_from_slice(&[1.0, -1.0]);
    second[100..].copy_from_slice(&bias);
    let metadata = [("precision", "f32".into()), ("loss", "\"softmax_cross_entropy\"".into())];
    fs::write(path, save_weights(&network, &metadata).unwrap()).unwrap();
}

/// A model whose outputs are all infinite, though all its weights are finite.
fn infinite(path: &Path) {
    let builder = Network::<f32>::builder([1, 28, 28]).add(Reshape::flat());
    let mut network = builder.add(Dense::new(10)).build().unwrap();
    network.parameters_mut().fill(f32::MAX);
    let metadata = [("precision", "f32".into()), ("loss", "\"softmax_cross_entropy\"".into())];
    fs::write(path, save_weights(&network, &metadata).unwrap()).unwrap();
}

#[test]
fn outputs_that_are_equally_infinite_are_no_answer() {
    let here = tempfile::tempdir().unwrap();
    infinite(&here.path().join("infinite"));
    let lines = objects(&tested(here.path(), "evaluate infinite --json"));
    assert_eq!(lines[0]["test_correct"], 0, "{}", lines[0]);
    let words = tested(here.path(), "evaluate infinite");
    assert!(words.contains("no answer to 100 of them"), "{words}");
}

fn tested(folder: &Path, line: &str) -> String {
    succeeds(folder, &format!("{line} --data {}", small_data().display()))
}

#[test]
fn a_network_that_overflows_is_never_right() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    for label in 0..10 {
        let mut bias = [0.0; 10];
        bias[label] = 1.0;
        let name = format!("model-{label}");
        overflowing(&path.join(&name), bias);
        let lines = objects(&tested(path, &format!("evaluate {name} --json")));
        assert_eq!(lines[0]["test_correct"], 0, "{}", lines[0]);
        assert_eq!(lines[0]["test_error"], Value::Null);
    }
    let words = tested(path, "evaluate model-3");
    assert!(words.contains("0 of 100 test images right (0.00 %)"), "{words}");
    assert!(words.contains("no answer to 100 of them, which count as wrong"), "{words}");
    assert!(words.contains("outputs are not finite, first for image 0"), "{words}");
    // Nor does it win, or spoil a vote without a word.
    let words = tested(path, "compare model-1 model-2");
    assert!(words.contains("p = 1.0000"), "{words}");
    let words = tested(path, "evaluate model-1 model-2");
    assert!(words.contains("vote of these 2: 0 of 100 test images right"), "{words}");
    assert!(words.contains("no answer to 100 of them"), "{words}");
}
