//! Models against each other on the same images, and models that vote.

use std::fs;
use std::path::Path;

use layers::{Dense, Init, Loss, Network, Reshape, Softmax, Workspace, network_of, save_weights};
use mnist_app::dataset::{Part, Samples};
use mnist_app::evaluation::vote::{Outputs, Vote};
use mnist_app::evaluation::{Evaluation, Evaluator};
use mnist_app::model::Model;
use mnist_app::preprocessing::Form;
use mnist_app::statistics::{mcnemar, wilson_interval};
use serde_json::{Value, json};
use tensor::Element;

use crate::common::{assert_close, objects, small_data, succeeds, text, train_small};

/// What the program prints for this line about the small data.
#[track_caller]
fn tested(folder: &Path, line: &str) -> String {
    succeeds(folder, &format!("{line} --data {}", small_data().display()))
}

fn test_samples() -> Samples {
    Samples::load(small_data(), Part::Test, &Form::default()).unwrap()
}

/// The outputs of the saved network for each test image, one image at a time.
fn outputs<T: Element>(file: &Path, samples: &Samples) -> Vec<Vec<f64>> {
    let network = network_of::<T>(&fs::read(file).unwrap()).unwrap();
    let mut workspace = Workspace::new(&network, 1);
    let mut input = vec![T::ZERO; network.input_shape().len()];
    let outputs = (0..samples.len()).map(|index| {
        samples.write_image(index, &mut input);
        network.predict(&input, &mut workspace).iter().map(|output| output.to_f64()).collect()
    });
    outputs.collect()
}

/// Which images of the test data are right.
fn right(outputs: &[Vec<f64>], samples: &Samples) -> Vec<bool> {
    let largest = |row: &Vec<f64>| (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b]));
    let pairs = outputs.iter().zip(samples.labels());
    pairs.map(|(row, &label)| largest(row) == Some(usize::from(label))).collect()
}

/// Leaves two runs in `folder`: networks of different layers, losses and precisions, the
/// second trained on so few images that it must be the worse one.
fn two_runs(folder: &Path) {
    train_small(folder, "--preset lenet --epochs 3 --learning-rate 0.003 --out many");
    let few = "--preset notebook-tuned --precision f64 --epochs 2 --train-limit 10 --out few";
    train_small(folder, few);
}

#[test]
fn the_better_of_two_models_is_told_and_equal_ones_are_not() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    two_runs(path);
    let samples = test_samples();
    let many = outputs::<f32>(&path.join("many/model.safetensors"), &samples);
    let few = outputs::<f64>(&path.join("few/model.safetensors"), &samples);
    let (many, few) = (right(&many, &samples), right(&few, &samples));
    let count = |a: bool, b: bool| many.iter().zip(&few).filter(|pair| *pair == (&a, &b)).count();
    let (only_a, only_b) = (count(true, false), count(false, true));
    let (both, neither) = (count(true, true), count(false, false));
    let p = mcnemar(only_a, only_b);
    assert!(only_a > only_b && p < 0.05, "{only_a} {only_b}: the runs are no example");

    let found = objects(&tested(path, "compare many few/model.safetensors --json"));
    let [found] = found.as_slice() else { panic!("{found:?}") };
    for (key, expected) in [
        ("both_right", json!(both)),
        ("only_a", json!(only_a)),
        ("only_b", json!(only_b)),
        ("both_wrong", json!(neither)),
        ("better", json!("A")),
    ] {
        assert_eq!(found[key], expected, "{key}: {found}");
    }
    assert_eq!(found["a"]["model"], "many/model.safetensors");
    assert_eq!(found["b"]["test_correct"], both + only_b);
    assert_close(&found["p_value"], p);
    for (end, expected) in wilson_interval(both + only_b, 100).into_iter().enumerate() {
        assert_close(&found["b"]["test_accuracy_interval"][end], expected);
    }

    let words = tested(path, "compare many few");
    for part in [
        format!("A: many/model.safetensors: {} of 100 test images right", both + only_a),
        format!("A right{both:>10}{only_a:>10}\n"),
        format!("A wrong{only_b:>10}{neither:>10}\n"),
        "\nA is better than B (at 5 %)\n".into(),
    ] {
        assert!(words.contains(&part), "{part}: {words}");
    }
    let words = tested(path, "compare few many");
    assert!(words.contains("\nB is better than A (at 5 %)\n"), "{words}");
    let words = tested(path, "compare few few --threads 1 --test-limit 50");
    let none = "p = 1.0000\nno difference that these 50 images can show (at 5 %)\n";
    assert!(words.ends_with(none), "{words}");
}

#[test]
fn the_vote_is_the_geometric_mean_of_the_probabilities() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    two_runs(path);
    let samples = test_samples();
    // Logits under a softmax, in f32, and probabilities from sigmoids, in f64.
    let logits = outputs::<f32>(&path.join("many/model.safetensors"), &samples);
    let sigmoids = outputs::<f64>(&path.join("few/model.safetensors"), &samples);
    let rows = logits.iter().zip(&sigmoids).map(|(logits, sigmoids)| {
        let sum: f64 = logits.iter().map(|x| x.exp()).sum();
        let pairs = logits.iter().zip(sigmoids);
        let means: Vec<_> = pairs.map(|(x, p)| (x.exp() / sum * p).sqrt()).collect();
        let sum: f64 = means.iter().sum();
        means.iter().map(|mean| mean / sum).collect()
    });
    let rows: Vec<Vec<f64>> = rows.collect();
    let losses =
        rows.iter().zip(samples.labels()).map(|(row, &label)| -row[usize::from(label)].ln());
    let loss = losses.sum::<f64>() / 100.0;
    let correct = right(&rows, &samples).into_iter().filter(|&right| right).count();

    let found = objects(&tested(path, "evaluate many few --json"));
    let [many, few, voted] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        (&many["model"], &few["model"]),
        (&json!("many/model.safetensors"), &json!("few/model.safetensors"))
    );
    assert_eq!((&voted["vote_of"], &voted["test_correct"]), (&json!(2), &json!(correct)));
    assert_close(&voted["test_error"], loss);

    let words = tested(path, "evaluate many few");
    assert!(words.contains(&format!("vote of these 2: {correct} of 100 test images right (")));
    assert_eq!(words.lines().count(), 4 + 11, "{words}");
    let alone = objects(&tested(path, "evaluate few --json"));
    assert_eq!(alone.as_slice(), std::slice::from_ref(few));
    // The same voter twice changes nothing.
    let twice = objects(&tested(path, "evaluate many many --json"));
    assert_eq!(twice[2]["test_correct"], many["test_correct"]);
}

fn vote(networks: &[Network<f32>], loss: &Loss, samples: &Samples) -> Evaluation {
    let mut vote = Vote::default();
    for network in networks {
        let mut evaluator = Evaluator::new(network, samples.len(), 0).unwrap();
        let evaluation = evaluator.evaluate(network, loss, samples);
        vote.add(Outputs::of(network.spec(), Some(loss)), &evaluation);
    }
    vote.evaluation(samples)
}

#[test]
fn networks_in_memory_vote_as_those_in_files_do() {
    let here = tempfile::tempdir().unwrap();
    let samples = test_samples();
    let loss = Loss::softmax_cross_entropy();
    let networks = [3, 4, 5].map(|seed| {
        let builder = Network::<f32>::builder([1, 28, 28]).add(Reshape::flat());
        let mut network = builder.add(Dense::new(10)).build().unwrap();
        network.initialize(Init::Xavier, seed);
        network
    });
    let mut from_files = Vote::default();
    for (index, network) in networks.iter().enumerate() {
        let metadata = [("precision", "f32".into()), ("loss", "\"softmax_cross_entropy\"".into())];
        let file = here.path().join(index.to_string());
        fs::write(&file, save_weights(network, &metadata).unwrap()).unwrap();
        let model = Model::open(&file).unwrap();
        from_files.add(model.outputs(), &model.evaluate(&samples).unwrap());
    }
    let voted = vote(&networks, &loss, &samples);
    assert_eq!(voted, from_files.evaluation(&samples));
    let sums = voted.outputs.chunks_exact(10).map(|row| row.iter().sum::<f64>());
    sums.for_each(|sum| assert!((sum - 1.0).abs() < 1e-12, "{sum}"));
    // The vote of one is that network, whose loss it has.
    let alone = vote(&networks[..1], &loss, &samples);
    let model = Model::open(&here.path().join("0")).unwrap().evaluate(&samples).unwrap();
    assert_eq!(alone.predictions, model.predictions);
    assert!((alone.error() - model.error()).abs() < 1e-6, "{} {}", alone.error(), model.error());
}

#[test]
fn a_file_without_a_loss_is_judged_by_its_last_layer() {
    let here = tempfile::tempdir().unwrap();
    let samples = test_samples();
    let flat = || Network::<f64>::builder([1, 28, 28]).add(Reshape::flat()).add(Dense::new(10));
    let mut logits = flat().build().unwrap();
    let mut probabilities = flat().add(Softmax).build().unwrap();
    logits.initialize(Init::Xavier, 1);
    probabilities.initialize(Init::Xavier, 1);
    let [a, b] = [("a", &logits), ("b", &probabilities)].map(|(name, network)| {
        let file = here.path().join(name);
        fs::write(&file, save_weights(network, &[]).unwrap()).unwrap();
        let model = Model::open(&file).unwrap();
        let mut vote = Vote::default();
        vote.add(model.outputs(), &model.evaluate(&samples).unwrap());
        vote.evaluation(&samples)
    });
    // One of them has its softmax in the network, the other in the vote.
    assert_eq!(a, b);
}

#[test]
fn a_committee_is_its_members_and_their_vote() {
    let here = tempfile::tempdir().unwrap();
    let preset = mnist_app::presets::text("notebook-tuned").unwrap();
    fs::write(here.path().join("three.toml"), format!("committee = 3\n{preset}")).unwrap();
    let flags = "--epochs 1 --batch-size 8";
    let printed =
        train_small(here.path(), &format!("--config three.toml {flags} --seed 5 --out three"));
    assert!(printed.contains("vote of 3: "), "{printed}");
    // A member is the run that its seed alone would be.
    train_small(here.path(), &format!("--preset notebook-tuned {flags} --seed 7 --out alone"));
    let read = |name: &str| fs::read(here.path().join(name)).unwrap();
    assert!(read("three/member-3/model.safetensors") == read("alone/model.safetensors"));
    let summary: Value = serde_json::from_slice(&read("three/summary.json")).unwrap();
    let lines = objects(&text(&read("three/metrics.jsonl")));
    assert_eq!(
        lines.iter().map(|line| line["epoch"].as_u64()).collect::<Vec<_>>(),
        [Some(1), Some(2), Some(3)]
    );
    let voted = "evaluate three/member-1 three/member-2 three/member-3 --json";
    let all = objects(&tested(here.path(), voted));
    let committee = objects(&tested(here.path(), "evaluate three --json"));
    for key in ["test_correct", "test_total", "test_accuracy", "test_error"] {
        assert_eq!(committee[0][key], all[3][key], "{key}");
        assert_eq!(committee[0][key], summary[key], "{key}");
    }
    assert_eq!(summary["weights_sha256"], lines[2]["weights_sha256"]);
    assert_ne!(lines[1]["weights_sha256"], lines[2]["weights_sha256"]);
    // With a target it ends with the member that reaches it; JSON is its lines alone.
    let json = train_small(
        here.path(),
        &format!("--config three.toml {flags} --seed 5 --target-accuracy 0 --json --out one"),
    );
    assert_eq!(objects(&json).len(), 1);
    assert_eq!(objects(&json)[0]["weights_sha256"], lines[0]["weights_sha256"]);
    assert!(!here.path().join("one/member-2").exists());
}
