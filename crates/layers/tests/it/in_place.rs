//! Layers that work in the memory of the layer before them, or whose work a neighbour does,
//! against the same layers run one by one with memory of their own: the same bits.

use layers::{
    BatchNorm2d, Bias, Conv2d, Dense, LayerSpec, MaxPool2d, Mode, Network, Relu, Reshape, Sigmoid,
    Softmax, Tanh, Workspace,
};
use tensor::{Element, Scratch};

use crate::samples::{bits, nan, network, normal};

/// The output, and the gradients of all parameters.
type Passes<T> = (Vec<T>, Vec<T>);

fn in_network<T: Element>(network: &Network<T>, input: &[T], g: &[T], n: usize) -> Passes<T> {
    let layers = network.spec().layers.len();
    let mut workspace = Workspace::new(network, n);
    network.forward(input, &mut workspace, Mode::training());
    let output = workspace.output().to_vec();
    workspace.output_gradient(layers).1.copy_from_slice(g);
    let mut gradients = nan(network.parameters().len());
    network.backward(input, layers, &mut workspace, &mut gradients);
    (output, gradients)
}

fn one_by_one<T: Element>(network: &Network<T>, input: &[T], g: &[T], n: usize) -> Passes<T> {
    let mut scratch = Scratch::sequential();
    let mut runs: Vec<_> =
        network.layers().map(|layer| layer.run(layer.layer, n, Mode::training())).collect();
    let mut values = vec![input.to_vec()];
    for run in &mut runs {
        run.forward(&values[values.len() - 1], &mut scratch);
        values.push(run.output.to_vec());
    }
    let mut gradients = Vec::new();
    let mut g = g.to_vec();
    for (run, input) in runs.iter_mut().zip(&values[..values.len() - 1]).rev() {
        let mut input_gradient = nan(input.len());
        run.output_gradient.copy_from_slice(&g);
        run.backward(input, Some(&mut input_gradient), &mut scratch);
        gradients.splice(0..0, run.gradients.iter().copied());
        g = input_gradient;
    }
    (values.pop().expect("an output"), gradients)
}

fn agree<T: Element>(input: &[usize], layers: &[LayerSpec]) {
    let network = network::<T>(input, layers);
    for n in [1, 3] {
        let input = normal(n * network.input_shape().len(), 1);
        let g = normal(n * network.output_shape().len(), 2);
        let (output, gradients) = in_network(&network, &input, &g, n);
        let (expected, expected_gradients) = one_by_one(&network, &input, &g, n);
        let names: Vec<_> = layers.iter().map(LayerSpec::summary).collect();
        let what = format!("{names:?}, {n} samples");
        assert!(bits(&output) == bits(&expected), "output of {what}");
        assert!(bits(&gradients) == bits(&expected_gradients), "gradients of {what}");
    }
}

fn agree_in_both(input: &[usize], layers: &[LayerSpec]) {
    agree::<f32>(input, layers);
    agree::<f64>(input, layers);
}

#[test]
fn activations_behind_convolution_reshape_and_dense() {
    let conv = Conv2d::new(3, 3).rectangle(3, 2).bias(Bias::Untied);
    agree_in_both(
        &[2, 7, 5],
        &[
            conv.into(),
            Sigmoid.into(),
            Reshape::flat().into(),
            Dense::new(7).into(),
            Tanh.into(),
            Tanh.into(),
        ],
    );
}

#[test]
fn softmax_inside() {
    agree_in_both(
        &[11],
        &[
            Dense::new(7).into(),
            Softmax.into(),
            Tanh.into(),
            Dense::new(5).into(),
            Softmax.into(),
            Softmax.into(),
        ],
    );
}

#[test]
fn activations_first() {
    let conv = Conv2d::new(2, 2).bias(Bias::None);
    agree_in_both(
        &[15],
        &[
            Tanh.into(),
            Relu.into(),
            Reshape::to([1, 3, 5]).into(),
            conv.into(),
            Relu.into(),
            Relu.into(),
            Reshape::flat().into(),
            Dense::new(3).into(),
        ],
    );
}

#[test]
fn reshapes_in_a_row_and_last() {
    agree_in_both(
        &[2, 3],
        &[
            Reshape::flat().into(),
            Reshape::to([3, 2]).into(),
            Reshape::flat().into(),
            Dense::new(6).into(),
            Reshape::to([2, 3]).into(),
            Sigmoid.into(),
            Reshape::to([3, 2]).into(),
            Relu.into(),
            Reshape::flat().into(),
        ],
    );
}

#[test]
fn a_rectifier_that_the_pooling_behind_it_does() {
    for size in [2, 3] {
        agree_in_both(
            &[2, 11, 11],
            &[
                Conv2d::new(3, 4).into(),
                Relu.into(),
                MaxPool2d::new(size).into(),
                Relu.into(),
                Reshape::flat().into(),
                Dense::new(5).into(),
            ],
        );
    }
}

#[test]
fn a_rectifier_that_the_normalization_before_it_does() {
    for behind in [Sigmoid.into(), MaxPool2d::new(2).into(), LayerSpec::from(Relu)] {
        agree_in_both(
            &[2, 11, 9],
            &[
                Conv2d::new(3, 4).bias(Bias::None).into(),
                BatchNorm2d::new().into(),
                Relu.into(),
                behind,
                Reshape::flat().into(),
                Dense::new(5).into(),
            ],
        );
    }
}

#[test]
fn a_backward_pass_that_starts_between_two_layers_run_as_one() {
    let conv = || Conv2d::new(3, 4).into();
    starts_before_the_last([conv(), Relu.into(), MaxPool2d::new(2).into()]);
    starts_before_the_last([conv(), BatchNorm2d::new().into(), Relu.into()]);
}

/// The gradients do not depend on a layer behind those that the pass goes through.
fn starts_before_the_last(layers: [LayerSpec; 3]) {
    let input = normal::<f32>(2 * 11 * 11, 1);
    let [found, expected] = [&layers[..], &layers[..2]].map(|layers| {
        let network = network::<f32>(&[2, 11, 11], layers);
        let mut workspace = Workspace::new(&network, 1);
        network.forward(&input, &mut workspace, Mode::training());
        let gradient = workspace.output_gradient(2).1;
        gradient.copy_from_slice(&normal(gradient.len(), 2));
        let mut gradients = nan(network.parameters().len());
        network.backward(&input, 2, &mut workspace, &mut gradients);
        gradients
    });
    assert!(bits(&found) == bits(&expected));
}
