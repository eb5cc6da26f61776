//! Finite differences of every layer, on random odd shapes.

use layers::{
    AvgPool2d, BatchNorm2d, Bias, Conv2d, ConvTranspose2d, Dropout, Elu, Flatten, Gelu,
    GlobalAvgPool2d, GroupNorm, HardSwish, Layer, LayerNorm, LayerRun, LayerSpec, LeakyRelu,
    MaxPool2d, Mode, Padding, Residual, Silu, Softplus, Tanh, gradient_check,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use tensor::{Element, Scratch, Shape};

use crate::samples::normal;

/// Central differences with steps of 1e-5: their own error is of the order 1e-10, and a
/// normalisation divides it by small variances.
const BOUND: f64 = 1e-7;

fn convolutions() -> impl Strategy<Value = (LayerSpec, Vec<usize>)> {
    let sizes = (1..=3usize, 1..=3usize, 1..=3usize, 3..=8usize, 3..=9usize);
    let kernel = (1..=3usize, 1..=3usize, 1..=3usize, 1..=3usize);
    let rest = (0..=3usize, 1..=3usize, 1..=2usize);
    let bias = prop_oneof![Just(Bias::None), Just(Bias::PerChannel), Just(Bias::Untied)];
    (sizes, kernel, rest, bias).prop_map(
        |((groups, c, d, h, w), (kh, kw, down, across), (padding, dilation, other), bias)| {
            let padding = match padding {
                0 => Padding::Valid,
                1 => Padding::Same,
                2 => Padding::Zeros(kh - 1, kw / 2),
                _ => Padding::Around([kh, 0], [1, kw + 1]),
            };
            let layer = Conv2d::new(groups * d, 1).rectangle(kh, kw).groups(groups);
            let layer = layer.stride([down, across]).dilation([dilation, other]);
            (layer.padding(padding).bias(bias).into(), vec![groups * c, h, w])
        },
    )
}

fn transposed() -> impl Strategy<Value = (LayerSpec, Vec<usize>)> {
    let sizes = (1..=2usize, 1..=2usize, 1..=3usize, 1..=5usize, 1..=5usize);
    let kernel = (1..=3usize, 1..=3usize, 1..=3usize, 1..=3usize, 1..=3usize);
    let rest = (0..=2usize, 0..=1usize, 0..=2usize);
    let bias = prop_oneof![Just(Bias::None), Just(Bias::PerChannel), Just(Bias::Untied)];
    (sizes, kernel, rest, bias).prop_map(
        |((groups, c, d, h, w), (kh, kw, down, across, dilation), rest, bias)| {
            let (before, after, more) = rest;
            let layer = ConvTranspose2d::new(groups * d, [kh, kw]).groups(groups);
            let layer = layer.stride([down, across]).dilation([dilation, 1]);
            let layer = layer.padding(Padding::Around([before, after], [after, before]));
            let layer = layer.output_padding([more % down, (more + 1) % across]);
            (layer.bias(bias).into(), vec![groups * c, h, w])
        },
    )
}

fn pools() -> impl Strategy<Value = (LayerSpec, Vec<usize>)> {
    let sizes = (1..=3usize, 3..=7usize, 3..=9usize);
    let windows = (1..=3usize, 1..=3usize, 1..=3usize, any::<bool>(), any::<bool>());
    (sizes, windows, 0..6usize).prop_map(|((c, h, w), windows, which)| {
        let (kh, kw, stride, ceil_mode, counted) = windows;
        let padding = Padding::Around([0, kh / 2], [kw / 2, 0]);
        let most = MaxPool2d::new(1).rectangle(kh, kw).stride(stride).ceil_mode(ceil_mode);
        let mean = AvgPool2d::new(1).rectangle(kh, kw).stride([stride, 2]).ceil_mode(ceil_mode);
        let layer = match which {
            0 => most.into(),
            1 => MaxPool2d::new(2).into(),
            2 => mean.into(),
            3 => most.padding(padding).into(),
            4 => mean.padding(padding).count_include_pad(counted).into(),
            _ => GlobalAvgPool2d.into(),
        };
        (layer, vec![c, h, w])
    })
}

fn others() -> impl Strategy<Value = (LayerSpec, Vec<usize>)> {
    let inside = || {
        let first = Conv2d::new(3, 3).padding(Padding::Same).bias(Bias::None);
        Residual::new().add(first).add(BatchNorm2d::new()).add(Tanh)
    };
    let any: [LayerSpec; 14] = [
        BatchNorm2d::new().into(),
        Gelu.into(),
        Silu.into(),
        LeakyRelu::new(0.2).into(),
        Elu::new(0.7).into(),
        Softplus.into(),
        HardSwish.into(),
        GroupNorm::new(1).into(),
        GroupNorm::new(2).into(),
        LayerNorm::new().into(),
        Dropout::new(0.3).into(),
        Flatten.into(),
        inside().add(Conv2d::new(2, 1)).into(),
        Residual::new().add(Gelu).add(Residual::new().add(Silu)).add(Dropout::new(0.5)).into(),
    ];
    (prop::sample::select(any.to_vec()), 3..=5usize, 3..=6usize)
        .prop_map(|(layer, h, w)| (layer, vec![2, h, w]))
}

#[test]
fn a_kernel_larger_than_the_plane_that_its_padding_surrounds() {
    for (spec, input, output) in [
        (Conv2d::new(2, 5).padding(Padding::Same), [3, 4, 4], [2, 4, 4]),
        (Conv2d::new(2, 5).padding(Padding::Same).stride(2), [1, 3, 4], [2, 2, 2]),
        (Conv2d::new(2, 1).rectangle(3, 7).padding(Padding::Zeros(1, 3)), [2, 1, 2], [2, 1, 2]),
    ] {
        let layer = LayerSpec::from(spec).build::<f64>(Shape::from(input)).expect("fits");
        assert_eq!(layer.output_shape(), Shape::from(output));
        let parameters = layer.parameters().iter().map(|p| p.shape.len()).sum();
        let numbers = [3 * layer.input_shape().len(), 3 * layer.output_shape().len()];
        let [input, weights] = numbers.map(|len| normal(len, len as u64));
        let check = gradient_check(&*layer, &normal(parameters, 1), &input, &weights);
        assert!(check.parameters <= BOUND && check.input <= BOUND, "{check:?}");
    }
}

/// What the layer answers to these samples together.
fn answers<T: Element>(layer: &dyn Layer<T>, parameters: &[T], input: &[T]) -> Vec<T> {
    let n = input.len() / layer.input_shape().len();
    let mut run = LayerRun::new(layer, n, Mode::Inference);
    run.parameters.copy_from_slice(parameters);
    run.forward(input, &mut Scratch::sequential());
    run.output.to_vec()
}

fn answers_alone<T: Element>(spec: &LayerSpec, input: &[usize], n: usize, seed: u64) {
    let Ok(layer) = spec.build::<T>(Shape::new(input)) else { return };
    let parameters = layer.parameters().iter().map(|p| p.shape.len()).sum();
    let parameters = normal::<T>(parameters, seed);
    let x = normal::<T>(n * layer.input_shape().len(), seed + 1);
    let together = answers(&*layer, &parameters, &x);
    let alone = x.chunks_exact(layer.input_shape().len());
    let alone: Vec<_> = alone.flat_map(|x| answers(&*layer, &parameters, x)).collect();
    assert!(together == alone, "{} on {input:?}, {n} samples, {}", spec.summary(), T::NAME);
}

proptest! {
    #![proptest_config(Config { rng_seed: RngSeed::Fixed(4), ..Config::with_cases(300) })]

    #[test]
    fn every_layer_has_the_gradient_of_its_function(
        (spec, input) in prop_oneof![convolutions(), transposed(), pools(), others()],
        n in 2..=3usize,
        seed in 0..1000u64,
    ) {
        // As many samples as lie side by side in a vector, and more.
        answers_alone::<f32>(&spec, &input, 9 * n, seed);
        answers_alone::<f64>(&spec, &input, 9 * n, seed);
        // A few kernels and windows do not fit.
        let Ok(layer) = spec.build::<f64>(Shape::new(&input)) else { return Ok(()) };
        let parameters = layer.parameters().iter().map(|p| p.shape.len()).sum();
        // All numbers further apart than the differences' step, and away from 0.
        let len = n * layer.input_shape().len();
        let mut order: Vec<_> = (0..len).collect();
        let noise = normal::<f64>(len, seed);
        order.sort_by(|&a, &b| noise[a].total_cmp(&noise[b]));
        let mut x = vec![0.0; len];
        for (rank, &at) in order.iter().enumerate() {
            x[at] = (rank as f64 - len as f64 / 2.0 + 0.25) * 4.0 / len as f64;
        }
        let weights = normal(n * layer.output_shape().len(), seed + 1);
        let check = gradient_check(&*layer, &normal(parameters, seed + 2), &x, &weights);
        let bounds = check.parameters <= BOUND && check.input <= BOUND;
        prop_assert!(bounds, "{} on {input:?}, {n} samples: {check:?}", spec.summary());
    }
}
