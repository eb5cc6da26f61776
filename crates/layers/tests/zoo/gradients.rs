//! Finite differences of every layer of the zoo, on random odd shapes.

use layers::{
    AvgPool2d, BatchNorm2d, Bias, Conv2d, Dropout, Flatten, Gelu, GlobalAvgPool2d, LayerSpec,
    LeakyRelu, MaxPool2d, Padding, Residual, Silu, Tanh, gradient_check,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use tensor::Shape;

use crate::samples::normal;

/// Central differences with steps of 1e-5: their own error is of the order 1e-10, and a
/// normalisation divides it by small variances.
const BOUND: f64 = 1e-7;

fn convolutions() -> impl Strategy<Value = (LayerSpec, Vec<usize>)> {
    let sizes = (1..=3usize, 1..=3usize, 1..=3usize, 3..=8usize, 3..=9usize);
    let kernel = (1..=3usize, 1..=3usize, 1..=3usize, 0..=2usize);
    let bias = prop_oneof![Just(Bias::None), Just(Bias::PerChannel), Just(Bias::Untied)];
    (sizes, kernel, bias).prop_map(|((groups, c, d, h, w), (kh, kw, stride, padding), bias)| {
        let padding = match padding {
            0 => Padding::Valid,
            1 => Padding::Same,
            _ => Padding::Zeros(kh - 1, kw / 2),
        };
        let layer = Conv2d::new(groups * d, 1).rectangle(kh, kw).stride(stride).groups(groups);
        (layer.padding(padding).bias(bias).into(), vec![groups * c, h, w])
    })
}

fn pools() -> impl Strategy<Value = (LayerSpec, Vec<usize>)> {
    let sizes = (1..=3usize, 3..=7usize, 3..=9usize);
    (sizes, 1..=3usize, 1..=3usize, 1..=3usize, 0..4usize).prop_map(
        |((c, h, w), kh, kw, stride, which)| {
            let layer = match which {
                0 => MaxPool2d::new(1).rectangle(kh, kw).stride(stride).into(),
                1 => MaxPool2d::new(2).into(),
                2 => AvgPool2d::new(1).rectangle(kh, kw).stride(stride).into(),
                _ => GlobalAvgPool2d.into(),
            };
            (layer, vec![c, h, w])
        },
    )
}

fn others() -> impl Strategy<Value = (LayerSpec, Vec<usize>)> {
    let inside = || {
        let first = Conv2d::new(3, 3).padding(Padding::Same).bias(Bias::None);
        Residual::new().add(first).add(BatchNorm2d::new()).add(Tanh)
    };
    let any: [LayerSpec; 8] = [
        BatchNorm2d::new().into(),
        Gelu.into(),
        Silu.into(),
        LeakyRelu::new(0.2).into(),
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

proptest! {
    #![proptest_config(Config { rng_seed: RngSeed::Fixed(4), ..Config::with_cases(200) })]

    #[test]
    fn every_layer_has_the_gradient_of_its_function(
        (spec, input) in prop_oneof![convolutions(), pools(), others()],
        n in 2..=3usize,
        seed in 0..1000u64,
    ) {
        // The padding of a few convolutions is as large as the kernel.
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
