//! Finite differences of every layer, every loss and whole networks, in double precision.

use layers::{
    Bias, Context, Conv2d, Dense, Layer, LayerSpec, Loss, Mode, Network, Parameter, Pass, Relu,
    Reshape, Role, Sigmoid, Softmax, Tanh, Workspace, gradient_check,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use tensor::Shape;

use crate::samples::{arrays, nan, network, normal};

/// Central differences with steps of 1e-5: their own error is of the order 1e-10.
const BOUND: f64 = 1e-8;

fn layers() -> impl Strategy<Value = (LayerSpec, Vec<usize>)> {
    let conv = (1..=3usize, 1..=5usize, 1..=7usize, 1..=3usize, 1..=4usize, 1..=4usize);
    let bias = prop_oneof![Just(Bias::None), Just(Bias::PerChannel), Just(Bias::Untied)];
    let conv = (conv, bias).prop_map(|((c, oh, ow, d, kh, kw), bias)| {
        let layer = Conv2d::new(d, 1).rectangle(kh, kw).bias(bias);
        (LayerSpec::from(layer), vec![c, oh + kh - 1, ow + kw - 1])
    });
    let dense = (1..=9usize, 1..=19usize)
        .prop_map(|(outputs, inputs)| (Dense::new(outputs).into(), vec![inputs]));
    let softmax = (1..=11usize).prop_map(|classes| (Softmax.into(), vec![classes]));
    let any: [LayerSpec; 4] = [Sigmoid.into(), Tanh.into(), Relu.into(), Reshape::flat().into()];
    let any = (prop::sample::select(any.to_vec()), prop::collection::vec(1..=5usize, 1..=3));
    prop_oneof![4 => conv, 2 => dense, 1 => softmax, 4 => any]
}

proptest! {
    #![proptest_config(Config { rng_seed: RngSeed::Fixed(3), ..Config::with_cases(120) })]

    #[test]
    fn every_layer_has_the_gradient_of_its_function(
        (spec, input) in layers(), n in 1..=3usize, seed in 0..1000u64,
    ) {
        let layer = spec.build::<f64>(Shape::new(&input)).expect("a layer that fits");
        let parameters = layer.parameters().iter().map(|p| p.shape.len()).sum();
        let mut x = normal::<f64>(n * layer.input_shape().len(), seed);
        // Away from the kink of a ReLU.
        x.iter_mut().for_each(|x| *x += 0.01_f64.copysign(*x));
        let weights = normal(n * layer.output_shape().len(), seed + 1);
        let check = gradient_check(&*layer, &normal(parameters, seed + 2), &x, &weights);
        let bounds = check.parameters <= BOUND && check.input <= BOUND;
        prop_assert!(bounds, "{} on {input:?}, {n} samples: {check:?}", spec.summary());
    }
}

/// `y = w x`, with gradients that are wrong in one of the ways that are asked for.
#[derive(Debug)]
struct Wrong {
    of_input: f64,
    of_parameters: f64,
}

impl Layer<f64> for Wrong {
    fn input_shape(&self) -> Shape {
        Shape::from(3)
    }

    fn output_shape(&self) -> Shape {
        Shape::from(3)
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter { name: "w".into(), shape: Shape::from(1), role: Role::Bias }]
    }

    fn forward(&self, w: &[f64], input: &[f64], output: &mut [f64], _: Context<'_, f64>) {
        output.iter_mut().zip(input).for_each(|(y, x)| *y = w[0] * x);
    }

    fn backward(
        &self,
        w: &[f64],
        pass: Pass<'_, f64>,
        gradients: &mut [f64],
        input_gradient: Option<&mut [f64]>,
        _: Context<'_, f64>,
    ) {
        let pairs = pass.output_gradient.iter().zip(pass.input);
        gradients[0] = self.of_parameters * pairs.map(|(g, x)| g * x).sum::<f64>();
        let gradient = input_gradient.expect("the check asks for it");
        let pairs = gradient.iter_mut().zip(pass.output_gradient);
        pairs.for_each(|(gradient, g)| *gradient = self.of_input * w[0] * g);
    }
}

#[test]
fn the_check_finds_wrong_gradients() {
    let check = |of_input, of_parameters| {
        let layer = Wrong { of_input, of_parameters };
        gradient_check(&layer, &[0.7], &[1.0, 2.0, -1.5], &[0.3, 0.5, 0.1])
    };
    let right = check(1.0, 1.0);
    assert!(right.input <= BOUND && right.parameters <= BOUND, "{right:?}");
    let input = check(1.001, 1.0);
    assert!((input.input - 1e-3).abs() < 1e-6 && input.parameters <= BOUND, "{input:?}");
    let parameters = check(1.0, -1.0);
    assert!((parameters.parameters - 2.0).abs() < 1e-6, "{parameters:?}");
    let unwritten = check(f64::NAN, 1.0);
    assert!(unwritten.input.is_nan(), "{unwritten:?}");
}

/// `(f(x + h) − f(x − h)) / 2h` for each element of `x`.
fn differences(x: &[f64], mut f: impl FnMut(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let mut at = |index: usize, step: f64| {
        let mut changed = x.to_vec();
        changed[index] += step;
        f(&changed)
    };
    (0..x.len()).map(|index| (at(index, STEP) - at(index, -STEP)) / (2.0 * STEP)).collect()
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-3_f64, |largest, e| largest.max(e.abs()));
    for (at, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= BOUND * largest, "{what} [{at}]: expected {e}, got {f}");
    }
}

#[test]
fn every_loss_has_the_gradient_of_its_value() {
    for loss in [Loss::mean_squared_error(), Loss::binary_cross_entropy()] {
        for len in [1, 3, 10, 17] {
            // From 0.1 to 0.9: nearer to the ends the logarithm bends within a step.
            let inside = |x: f64| 0.5 + 0.4 * x.sin();
            let prediction: Vec<_> = normal(len, 1).into_iter().map(inside).collect();
            let target: Vec<_> = normal(len, 2).into_iter().map(inside).collect();
            let mut gradient = nan(len);
            loss.gradient(&prediction, &target, 0.3, &mut gradient);
            let expected = differences(&prediction, |p| 0.3 * loss.value(p, &target));
            assert_near(&gradient, &expected, &format!("{loss:?} of {len}"));
        }
    }
}

/// The mean loss of the samples, and its gradient.
fn loss_and_gradient(
    network: &Network<f64>,
    [inputs, targets]: &[Vec<f64>; 2],
    loss: &Loss,
) -> (f64, Vec<f64>) {
    let (layers, outputs) = (network.spec().layers.len(), network.output_shape().len());
    let n = targets.len() / outputs;
    let mut workspace = Workspace::new(network, n);
    network.forward(inputs, &mut workspace, Mode::training());
    let (y, gradient) = workspace.output_gradient(layers);
    let rows = y.chunks_exact(outputs).zip(targets.chunks_exact(outputs));
    let mut value = 0.0;
    for ((y, t), g) in rows.zip(gradient.chunks_exact_mut(outputs)) {
        value += loss.value(y, t) / n as f64;
        loss.gradient(y, t, 1.0 / n as f64, g);
    }
    let mut gradients = nan(network.parameters().len());
    network.backward(inputs, layers, &mut workspace, &mut gradients);
    (value, gradients)
}

fn check_network(input: &[usize], layers: &[LayerSpec], loss: Loss) {
    let mut network = network::<f64>(input, layers);
    let samples = arrays(&network, 3, 5);
    let (_, gradients) = loss_and_gradient(&network, &samples, &loss);
    let parameters = network.parameters().to_vec();
    let expected = differences(&parameters, |parameters| {
        network.parameters_mut().copy_from_slice(parameters);
        loss_and_gradient(&network, &samples, &loss).0
    });
    assert_near(&gradients, &expected, &format!("{loss:?} of {:?}", network.table()));
}

#[test]
fn networks_have_the_gradient_of_their_loss() {
    let notebook: [LayerSpec; 7] = [
        Conv2d::new(2, 3).rectangle(3, 2).bias(Bias::Untied).into(),
        Sigmoid.into(),
        Reshape::flat().into(),
        Dense::new(7).into(),
        Tanh.into(),
        Dense::new(5).into(),
        Sigmoid.into(),
    ];
    check_network(&[1, 5, 6], &notebook, Loss::binary_cross_entropy());
    check_network(&[1, 5, 6], &notebook, Loss::mean_squared_error());
    let deep: [LayerSpec; 7] = [
        Conv2d::new(3, 2).into(),
        Tanh.into(),
        Conv2d::new(2, 3).rectangle(2, 3).bias(Bias::None).into(),
        Relu.into(),
        Reshape::flat().into(),
        Dense::new(4).into(),
        Softmax.into(),
    ];
    check_network(&[2, 5, 7], &deep, Loss::mean_squared_error());
    check_network(&[2, 5, 7], &deep, Loss::binary_cross_entropy());
}

/// The gradient of the input of a layer that has no output to learn from is not asked
/// for: a network without parameters has no gradients.
#[test]
fn a_network_without_parameters_has_no_gradients() {
    let network = network::<f32>(&[3], &[Tanh.into(), Softmax.into()]);
    let mut workspace = Workspace::new(&network, 2);
    network.forward(&[0.0; 6], &mut workspace, Mode::training());
    network.backward(&[0.0; 6], 2, &mut workspace, &mut []);
    assert_eq!(workspace.output().len(), 2 * 3);
    assert!(workspace.output().iter().all(|y| (y - 1.0 / 3.0).abs() <= f32::EPSILON));
}
