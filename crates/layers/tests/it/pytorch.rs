//! Every layer, every loss and whole networks against PyTorch in double precision, and
//! in single precision within its rounding.

use std::collections::BTreeMap;

use layers::{
    Context, Loss, Mode, Network, NetworkSpec, Optimizer, Parameter, Pass, Trainer, TrainerConfig,
    Workspace,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tensor::{Element, Scratch, Shape};

use crate::fixtures::{Case, Fixtures, assert_close, bound};
use crate::samples::{nan, samples};

#[derive(Deserialize)]
struct Description {
    network: NetworkSpec,
    loss: Option<Loss>,
}

/// The cases of a file, and what each is of.
pub fn read<T: DeserializeOwned>(file: &str) -> (Fixtures, BTreeMap<String, T>) {
    let fixtures = Fixtures::read(file);
    let text = fixtures.description.as_deref().expect("a description of the cases");
    let descriptions = serde_json::from_str(text).expect("descriptions");
    (fixtures, descriptions)
}

/// The arrays `{what}/0.…` of a layer's case in one slice.
pub fn flat<T: Element>(case: &Case, what: &str, arrays: &[Parameter]) -> Vec<T> {
    let arrays = arrays.iter().map(|array| {
        let name = format!("{what}/0.{}", array.name);
        assert_eq!(case.array(&name).shape, array.shape.dims(), "{name}");
        case.numbers(&name)
    });
    arrays.collect::<Vec<Vec<T>>>().concat()
}

fn layers_agree<T: Element>() {
    let (fixtures, descriptions) = read::<Description>("layers.safetensors");
    for (name, case) in fixtures.cases() {
        let spec = &descriptions[name].network;
        let layer = spec.layers[0].build::<T>(Shape::new(&spec.input)).expect("a layer");
        let parameters = flat(case, "parameter", &layer.parameters());
        let input = case.numbers::<T>("input");
        let g = case.numbers::<T>("output_gradient");
        assert_eq!(case.array("output").shape[1..], *layer.output_shape().dims(), "{name}");
        // No sum in these cases has more terms than this.
        let bound = bound::<T>(layer.input_shape().len().max(g.len()));
        let close = |found: &[T], array: &str| {
            let expected = &case.array(array).numbers;
            assert_close(found, expected, bound, &format!("{name}, {array}"));
        };

        let mut scratch = Scratch::sequential();
        let mut output = nan(g.len());
        let context = Context::new(&mut scratch, Mode::training());
        layer.forward(&parameters, &input, &mut output, context);
        close(&output, "output");

        let (mut gradients, mut input_gradient) = (nan(parameters.len()), nan(input.len()));
        let pass = Pass { input: &input, output: &output, output_gradient: &g };
        let context = Context::new(&mut scratch, Mode::training());
        layer.backward(&parameters, pass, &mut gradients, Some(&mut input_gradient), context);
        close(&input_gradient, "input_gradient");
        let mut rest = &gradients[..];
        for parameter in layer.parameters() {
            let (gradient, others) = rest.split_at(parameter.shape.len());
            close(gradient, &format!("gradient/0.{}", parameter.name));
            rest = others;
        }
        assert!(rest.is_empty());
    }
}

fn losses_agree<T: Element>() {
    let fixtures = Fixtures::read("losses.safetensors");
    for (name, case) in fixtures.cases() {
        let loss = match name.split_once('-') {
            Some(("mean_squared_error", _)) => Loss::mean_squared_error(),
            Some(("binary_cross_entropy", _)) => Loss::binary_cross_entropy(),
            _ => panic!("{name}: a loss"),
        };
        let (p, t) = (case.numbers::<T>("prediction"), case.numbers::<T>("target"));
        let [n, outputs] = case.array("prediction").shape[..] else { panic!("two axes") };
        let scale = 1.0 / n as f64;
        let (mut value, mut gradient) = (0.0, Vec::new());
        for (p, t) in p.chunks_exact(outputs).zip(t.chunks_exact(outputs)) {
            value += scale * loss.value(p, t);
            let mut row = nan(outputs);
            loss.gradient(p, t, scale, &mut row);
            gradient.extend(row);
        }
        assert_close(&[value], &case.array("value").numbers, bound::<T>(8), name);
        assert_close(&gradient, &case.array("gradient").numbers, bound::<T>(8), name);
    }
}

fn network_of_case<T: Element>(case: &Case, spec: &NetworkSpec) -> Network<T> {
    let mut network = spec.build::<T>().expect("a network");
    for (parameter, range) in network.named_parameters() {
        let numbers = case.numbers(&format!("parameter/{}", parameter.name));
        network.parameters_mut()[range].copy_from_slice(&numbers);
    }
    network
}

/// Asserts that numbers in the network's order are the arrays `{what}/…` of the case.
fn assert_parameters<T: Element>(
    network: &Network<T>,
    numbers: &[T],
    case: &Case,
    what: &str,
    bound: f64,
) {
    for (parameter, range) in network.named_parameters() {
        let name = format!("{what}/{}", parameter.name);
        assert_close(&numbers[range], &case.array(&name).numbers, bound, &name);
    }
}

/// Each layer adds its own roundings, and passes on those before it at about their size.
fn network_bound<T: Element>(network: &Network<T>) -> f64 {
    let layers = network.table();
    let largest = layers.iter().map(|(_, shape, _)| shape.len()).max().unwrap_or(1);
    if T::NAME == "f64" { 1e-12 } else { bound::<T>(largest) * layers.len() as f64 }
}

fn gradients_agree<T: Element>() {
    let (fixtures, descriptions) = read::<Description>("networks.safetensors");
    for (name, case) in fixtures.cases() {
        let Description { network, loss } = &descriptions[name];
        let loss = loss.as_ref().expect("a loss");
        let network = network_of_case::<T>(case, network);
        let n = case.array("inputs").shape[1];
        let layers = network.spec().layers.len();
        let outputs = network.output_shape().len();
        let inputs = &case.numbers::<T>("inputs")[..n * network.input_shape().len()];
        let targets = case.numbers::<T>("targets");

        // A workspace that is too large, so that what lies beyond the samples shows.
        let mut workspace = Workspace::new(&network, n + 2);
        network.forward(inputs, &mut workspace, Mode::training());
        let bound = network_bound(&network);
        assert_close(workspace.output(), &case.array("output").numbers, bound, name);
        let (y, gradient) = workspace.output_gradient(layers);
        let rows = y.chunks_exact(outputs).zip(targets.chunks_exact(outputs));
        for ((y, t), g) in rows.zip(gradient.chunks_exact_mut(outputs)) {
            loss.gradient(y, t, 1.0 / n as f64, g);
        }
        let mut gradients = nan(network.parameters().len());
        network.backward(inputs, layers, &mut workspace, &mut gradients);
        assert_parameters(&network, &gradients, case, "gradient", bound);
    }
}

/// Five steps of gradient descent, with shards of `shard_size` samples.
fn training_agrees<T: Element>(shard_size: usize) {
    let (fixtures, descriptions) = read::<Description>("networks.safetensors");
    for (name, case) in fixtures.cases() {
        let Description { network, loss } = &descriptions[name];
        let network = network_of_case::<T>(case, network);
        let [steps, n] = case.array("inputs").shape[..2] else { panic!("inputs: two axes") };
        let (inputs, targets) = (case.numbers::<T>("inputs"), case.numbers::<T>("targets"));
        let config =
            TrainerConfig::new(loss.clone().expect("a loss"), Optimizer::sgd(), [n, shard_size]);
        let bound = network_bound(&network);
        let mut trainer = Trainer::new(network, config);
        let mut losses = Vec::new();
        let batches =
            inputs.chunks(inputs.len() / steps).zip(targets.chunks(targets.len() / steps));
        for (inputs, targets) in batches {
            let batch = samples([inputs.to_vec(), targets.to_vec()], n);
            let rate = case.array("rate").numbers[0];
            let report = trainer.step(&batch, rate).expect("finite losses");
            assert_eq!(report.losses.len(), n);
            losses.push(report.losses.iter().sum::<f64>() / n as f64);
        }
        assert_close(&losses, &case.array("losses").numbers, bound, name);
        let network = trainer.into_network();
        assert_parameters(&network, network.parameters(), case, "trained", bound);
    }
}

#[test]
fn layers_agree_with_pytorch() {
    layers_agree::<f64>();
    layers_agree::<f32>();
}

#[test]
fn losses_agree_with_pytorch() {
    losses_agree::<f64>();
    losses_agree::<f32>();
}

#[test]
fn gradients_of_networks_agree_with_pytorch() {
    gradients_agree::<f64>();
    gradients_agree::<f32>();
}

#[test]
fn training_agrees_with_pytorch_in_one_shard() {
    training_agrees::<f64>(7);
    training_agrees::<f32>(7);
}

#[test]
fn training_agrees_with_pytorch_in_shards() {
    training_agrees::<f64>(2);
    training_agrees::<f32>(2);
}
