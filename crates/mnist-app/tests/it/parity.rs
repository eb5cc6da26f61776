//! The notebook's program against one exact run of it in NumPy and SciPy. What the files
//! hold and what the bounds are, `tests/golden/notebook/README.md` says.

use std::fs;
use std::path::Path;

use layers::load_weights;
use layers::{Context, Dense, LayerSpec, Mode, Network, Pass, Tanh, Trainer, Workspace};
use mnist_app::evaluation::Evaluator;
use safetensors::SafeTensors;
use tensor::{Element, Scratch, Shape};

use crate::common::{CLASSES, losses, mnist, notebook, trainer};

#[test]
fn the_first_output() {
    let network = start::<f64>();
    let mut workspace = Workspace::new(&network, 1);
    let found = network.predict(&first_image(), &mut workspace);
    assert_close("output_0", found, &array("output_0"), 1e-11);
}

#[test]
fn the_first_gradient_into_the_reshape_layer() {
    let network = start::<f64>();
    let mut workspace = Workspace::new(&network, 1);
    network.forward(&first_image(), &mut workspace, Mode::training());
    let mut target = [0.0; CLASSES];
    mnist().0.write_target(0, &mut target);
    // Of sigmoid and cross-entropy together.
    let pairs = workspace.output().iter().zip(target);
    let mut gradient: Vec<f64> = pairs.map(|(p, t)| (p - t) / 10.0).collect();
    // Dense and Tanh share memory: what is kept of both is the output of Tanh.
    for (index, layer, input) in [
        (5, LayerSpec::from(Dense::new(10)), workspace.layer_output(4)),
        (4, Tanh.into(), workspace.layer_output(4)),
        (3, Dense::new(100).into(), workspace.layer_output(2)),
    ] {
        let layer = layer.build::<f64>(Shape::from(input.len())).unwrap();
        let weights = parameters_of(&network, index);
        let mut input_gradient = vec![f64::NAN; input.len()];
        let pass = Pass { input, output: workspace.layer_output(4), output_gradient: &gradient };
        let mut scratch = Scratch::sequential();
        let context = Context::new(&mut scratch, Mode::training());
        let mut gradients = vec![f64::NAN; weights.len()];
        layer.backward(weights, pass, &mut gradients, Some(&mut input_gradient), context);
        gradient = input_gradient;
    }
    assert_close("gradient", &gradient, &array("gradient_0_into_layer_2"), 1e-11);
}

#[test]
fn all_weights_after_one_and_after_ten_samples() {
    let mut trainer = trainer(&notebook(), start::<f64>());
    losses(&mut trainer, 1, 0.01);
    assert_weights(&trainer, "after_1");
    let mut trainer = self::trainer(&notebook(), start::<f64>());
    losses(&mut trainer, 10, 0.01);
    assert_weights(&trainer, "after_10");
}

#[test]
fn the_errors_of_samples_and_epochs_in_double_precision() {
    let trace = trace();
    let mut trainer = trainer(&notebook(), start::<f64>());
    let expected = numbers(&trace["train_error"]);
    assert_eq!(expected.len(), 15);
    for (epoch, expected) in expected.into_iter().enumerate() {
        let losses = losses(&mut trainer, 1000, 0.01);
        if epoch == 0 {
            let expected = numbers(&trace["sample_error_epoch_1"]);
            for (sample, (&found, &expected)) in losses.iter().zip(&expected[..100]).enumerate() {
                assert_relative(&format!("sample {sample}"), found, expected, 1e-10);
            }
        }
        let bound = [1e-8, 1e-5, 1e-3].get(epoch).copied().unwrap_or(3e-2);
        assert_relative(&format!("epoch {}", epoch + 1), mean(&losses), expected, bound);
    }
    // Chaos reaches the digits that are right, but not by much.
    let test = &mnist().1;
    let network = trainer.network();
    let evaluation =
        Evaluator::new(network, test.len(), 0).unwrap().evaluate(network, &notebook().loss, test);
    let expected = trace["test_correct_10000"].as_u64().unwrap();
    assert!(
        evaluation.correct(test).abs_diff(expected as usize) < 150,
        "{}",
        evaluation.correct(test)
    );
    assert_relative(
        "test",
        evaluation.error(),
        trace["test_error_10000_mean"].as_f64().unwrap(),
        3e-2,
    );
    let found = mean(&evaluation.losses[..20]);
    assert_relative("first 20", found, trace["test_error_20_mean"].as_f64().unwrap(), 3e-2);
}

#[test]
fn the_errors_of_the_first_epochs_in_single_precision() {
    let mut trainer = trainer(&notebook(), start::<f32>());
    for (epoch, expected) in numbers(&trace()["train_error"])[..3].iter().enumerate() {
        let found = mean(&losses(&mut trainer, 1000, 0.01));
        assert_relative(&format!("epoch {}", epoch + 1), found, *expected, 2e-2);
    }
}

/// The notebook's network with the start weights of the exact run.
fn start<T: Element>() -> Network<T> {
    let mut network = notebook().networks.first().build().unwrap();
    load_weights(&mut network, &golden("init.safetensors")).unwrap();
    network
}

fn first_image() -> Vec<f64> {
    let mut image = vec![0.0; 28 * 28];
    mnist().0.write_image(0, &mut image);
    image
}

fn parameters_of(network: &Network<f64>, layer: usize) -> &[f64] {
    let named = network.named_parameters();
    let mut ranges = named
        .iter()
        .filter(|(parameter, _)| parameter.name.starts_with(&format!("{layer}.")))
        .map(|(_, range)| range.clone());
    let Some(first) = ranges.next() else { return &[] };
    let end = ranges.next_back().map_or(first.end, |range| range.end);
    &network.parameters()[first.start..end]
}

#[track_caller]
fn assert_weights(trainer: &Trainer<f64>, moment: &str) {
    let network = trainer.network();
    for (parameter, range) in network.named_parameters() {
        let mut name = format!("{moment}.{}", parameter.name);
        let mut found = &network.parameters()[range];
        if parameter.name == "3.weight" {
            name.push_str(".rows_0_to_3");
            found = &found[..4 * 4056];
        }
        assert_close(&name, found, &array(&name), 1e-11);
    }
}

/// Relative to the largest value of the array.
#[track_caller]
fn assert_close(name: &str, found: &[f64], expected: &[f64], bound: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let largest = expected.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    for (index, difference) in differences.enumerate() {
        assert!(difference <= bound * largest, "{name}[{index}]: {difference:e} of {largest}");
    }
}

#[track_caller]
fn assert_relative(name: &str, found: f64, expected: f64, bound: f64) {
    let difference = (found - expected).abs() / expected.abs();
    assert!(
        difference <= bound,
        "{name}: {found}, expected {expected}: {difference:e} > {bound:e}"
    );
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn numbers(list: &serde_json::Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn trace() -> serde_json::Value {
    serde_json::from_slice(&golden("trace.json")).unwrap()
}

/// An array of `steps.safetensors`.
fn array(name: &str) -> Vec<f64> {
    let file = golden("steps.safetensors");
    let arrays = SafeTensors::deserialize(&file).unwrap();
    let (numbers, rest) = arrays.tensor(name).unwrap().data().as_chunks();
    assert!(rest.is_empty());
    numbers.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()
}

fn golden(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/notebook");
    fs::read(folder.join(name)).unwrap()
}
