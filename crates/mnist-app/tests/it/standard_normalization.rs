//! `normalize = "standard"`: the same numbers in training, tests and predictions.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use layers::{Workspace, network_of};
use serde_json::Value;

use crate::bad_input::refused;
use crate::common::{objects, run_line, succeeds, summary, text};
use crate::own_images::Images;

const NAMES: [&str; 3] = ["ant", "bee", "cow"];

fn experiment(normalize: &str) -> String {
    format!(
        "epochs = 2\nbatch_size = 8\nshard_size = 4\nshuffle = true\nlearning_rate = 0.02\n\
         loss = \"softmax_cross_entropy\"\ninit = \"he\"\n[augmentation]\nshift = 1\n[network]\n\
         input = [3, 6, 6]\nlayers = [\n{{ type = \"conv2d\", kernels = 3, size = 3 }},\n\
         {{ type = \"relu\" }},\n{{ type = \"flatten\" }},\n{{ type = \"dense\", outputs = 3 }},\n]\n\
         [data]\n{normalize}\n"
    )
}

/// A run in `run`, trained on class folders in `data`.
fn trained(path: &Path) {
    for (part, count) in [("train", 30), ("test", 12)] {
        Images::new([3, 6, 6], 3, count).write_png(&path.join("data").join(part), &NAMES);
    }
    fs::write(path.join("c.toml"), experiment("normalize = \"standard\"")).unwrap();
    succeeds(path, "train --config c.toml --data data --quiet --out run");
}

fn metadata(path: &Path) -> HashMap<String, String> {
    let bytes = fs::read(path.join("run/model.safetensors")).unwrap();
    layers::metadata_of(&bytes).unwrap()
}

#[test]
fn a_model_brings_each_picture_to_the_numbers_that_it_learned_from() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    trained(path);
    let own: Value = serde_json::from_str(&metadata(path)["normalization"]).unwrap();
    // By hand, of the same bytes.
    let images = Images::new([3, 6, 6], 3, 30);
    for channel in 0..3 {
        let values = images.samples.iter().flat_map(|(pixels, _)| {
            pixels[36 * channel..36 * (channel + 1)].iter().map(|&byte| f64::from(byte) / 255.0)
        });
        let values: Vec<_> = values.collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>();
        let deviation = (squares / values.len() as f64).sqrt();
        let [found_mean, found_deviation] =
            ["mean", "deviation"].map(|key| own[key][channel].as_f64().unwrap());
        assert!((found_mean - mean).abs() < 1e-6, "{own}");
        assert!((found_deviation - deviation).abs() < 1e-6, "{own}");
    }
    // What `predict` says of each test picture is what the network makes of these numbers.
    let bytes = fs::read(path.join("run/model.safetensors")).unwrap();
    let network = network_of::<f32>(&bytes).unwrap();
    let mut workspace = Workspace::new(&network, 1);
    let answers = objects(&succeeds(path, "predict run data/test --json"));
    let tests = Images::new([3, 6, 6], 3, 12).samples;
    assert_eq!(answers.len(), tests.len());
    for answer in &answers {
        let file = answer["file"].as_str().unwrap();
        let number: usize = file[file.len() - 7..file.len() - 4].parse().unwrap();
        let input: Vec<f32> = (0..108)
            .map(|at| {
                let number_of = |key: &str| own[key][at / 36].as_f64().unwrap() as f32;
                (f32::from(tests[number].0[at]) / 255.0 - number_of("mean"))
                    / number_of("deviation")
            })
            .collect();
        let outputs = network.predict(&input, &mut workspace);
        for (found, expected) in answer["outputs"].as_array().unwrap().iter().zip(outputs) {
            assert!((found.as_f64().unwrap() - f64::from(*expected)).abs() < 1e-5, "{answer}");
        }
    }
    // And so is what all others say.
    let tested = &objects(&succeeds(path, "evaluate run --json"))[0];
    assert_eq!(tested["test_correct"], summary(path, "run")["test_correct"]);
    assert_eq!(tested["test_error"], summary(path, "run")["test_error"]);
    let right = answers.iter().filter(|answer| {
        answer["file"].as_str().unwrap().contains(answer["class"].as_str().unwrap())
    });
    assert_eq!(right.count() as u64, tested["test_correct"].as_u64().unwrap());
    for line in ["verify run --quiet", "inspect run --quiet", "show run --quiet", "report run"] {
        succeeds(path, line);
    }
    let from_data = succeeds(path, "explain run test:0 --json --quiet");
    let from_file = succeeds(path, "explain run data/test/ant/000.png --json --quiet --label ant");
    let numbers = |text: &str| objects(text)[1..].to_vec();
    assert_eq!(numbers(&from_data), numbers(&from_file));
}

#[test]
fn bytes_from_0_to_1_are_the_default() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    trained(path);
    for (name, keys) in [("unit", "normalize = \"unit\""), ("open", "")] {
        fs::write(path.join("c.toml"), experiment(keys)).unwrap();
        succeeds(path, &format!("train --config c.toml --data data --quiet --out {name}"));
    }
    let digest = |run: &str| summary(path, run)["weights_sha256"].clone();
    assert_eq!(digest("unit"), digest("open"));
    assert_ne!(digest("unit"), digest("run"));
}

#[test]
fn numbers_that_are_missing_or_wrong() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    trained(path);
    fs::write(path.join("c.toml"), experiment("normalize = \"x\"")).unwrap();
    let parts = ["c.toml, line ", "data.normalize: expected one of unit, standard, found \"x\""];
    refused(path, "train --config c.toml --data data --out other", 1, &parts);
    let file = fs::read(path.join("run/model.safetensors")).unwrap();
    let own = metadata(path)["normalization"].clone();
    for other in [
        "{\"type\":\"unit\"}",
        "{\"type\":\"standard\",\"mean\":[],\"deviation\":[]}",
        "{\"type\":\"standard\",\"mean\":[0.5],\"deviation\":[0.5]}",
        "{\"type\":\"standard\",\"mean\":[0,0,0],\"deviation\":[1,1]}",
        "{\"type\":\"standard\",\"mean\":[0,0,0],\"deviation\":[1,0,1]}",
        "{\"type\":\"standard\",\"mean\":[0,0,0],\"deviation\":[1,-1,1]}",
        "{\"type\":\"standard\",\"mean\":[0,0,1e99],\"deviation\":[1,1,1]}",
        "{\"type\":\"other\"}",
        "standard",
    ] {
        let written = with_metadata(&file, &own, other);
        fs::write(path.join("changed.safetensors"), written).unwrap();
        let output = run_line(path, "predict changed.safetensors data/test/ant/000.png");
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{other}: {complaint}");
        assert!(complaint.contains("\"normalization\" in __metadata__: expected a mean and a dev"));
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
}

/// The file with another text for a value of its metadata.
fn with_metadata(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    let (len, rest) = file.split_at(8);
    let len = u64::from_le_bytes(len.try_into().unwrap()) as usize;
    let (header, numbers) = rest.split_at(len);
    let quoted = |value: &str| serde_json::to_string(value).unwrap();
    let header = text(header).replace(&quoted(from), &quoted(to));
    let padded = format!("{header}{}", " ".repeat(header.len().next_multiple_of(8) - header.len()));
    let len = (padded.len() as u64).to_le_bytes();
    [&len, padded.as_bytes(), numbers].concat()
}
