//! Passes without samples: every layer takes them, and its parameters' gradients are 0.

use layers::{
    AvgPool2d, BatchNorm2d, Bias, Conv2d, ConvTranspose2d, Dense, Dropout, Elu, Flatten, Gelu,
    GlobalAvgPool2d, GroupNorm, HardSwish, LayerNorm, LayerSpec, LeakyRelu, Loss, MaxPool2d, Relu,
    Reshape, Residual, Sigmoid, Silu, Softmax, Softplus, Tanh, gradient_check,
};
use tensor::Shape;

fn all() -> Vec<(LayerSpec, Vec<usize>)> {
    let image = || vec![2, 6, 7];
    let inside = Residual::new().add(Conv2d::new(2, 1)).add(BatchNorm2d::new());
    vec![
        (Conv2d::new(3, 3).into(), image()),
        (Conv2d::new(16, 2).bias(Bias::Untied).into(), image()),
        (Conv2d::new(3, 2).bias(Bias::None).into(), image()),
        (MaxPool2d::new(2).into(), image()),
        (AvgPool2d::new(3).into(), image()),
        (GlobalAvgPool2d.into(), vec![2, 9, 8]),
        (BatchNorm2d::new().into(), image()),
        (Dense::new(5).into(), vec![7]),
        (Sigmoid.into(), image()),
        (Tanh.into(), image()),
        (Relu.into(), image()),
        (LeakyRelu::new(0.1).into(), image()),
        (Gelu.into(), image()),
        (Silu.into(), image()),
        (Softmax.into(), vec![7]),
        (Dropout::new(0.5).into(), image()),
        (Flatten.into(), image()),
        (Reshape::flat().into(), image()),
        (inside.into(), image()),
        (ConvTranspose2d::new(3, 2).stride(2).into(), image()),
        (GroupNorm::new(2).into(), image()),
        (LayerNorm::new().into(), vec![7]),
        (Elu::default().into(), image()),
        (Softplus.into(), image()),
        (HardSwish.into(), image()),
    ]
}

/// So that a new layer is not forgotten: here and in [`all`].
fn place(layer: &LayerSpec) -> usize {
    match layer {
        LayerSpec::Conv2d(_) => 0,
        LayerSpec::MaxPool2d(_) => 1,
        LayerSpec::AvgPool2d(_) => 2,
        LayerSpec::GlobalAvgPool2d(_) => 3,
        LayerSpec::BatchNorm2d(_) => 4,
        LayerSpec::Dense(_) => 5,
        LayerSpec::Sigmoid(_) => 6,
        LayerSpec::Tanh(_) => 7,
        LayerSpec::Relu(_) => 8,
        LayerSpec::LeakyRelu(_) => 9,
        LayerSpec::Gelu(_) => 10,
        LayerSpec::Silu(_) => 11,
        LayerSpec::Softmax(_) => 12,
        LayerSpec::Dropout(_) => 13,
        LayerSpec::Flatten(_) => 14,
        LayerSpec::Reshape(_) => 15,
        LayerSpec::Residual(_) => 16,
        LayerSpec::ConvTranspose2d(_) => 17,
        LayerSpec::GroupNorm(_) => 18,
        LayerSpec::LayerNorm(_) => 19,
        LayerSpec::Elu(_) => 20,
        LayerSpec::Softplus(_) => 21,
        LayerSpec::HardSwish(_) => 22,
    }
}

#[test]
fn every_layer_takes_no_sample() {
    let mut seen: Vec<_> = all().iter().map(|(layer, _)| place(layer)).collect();
    seen.dedup();
    assert_eq!(seen, (0..23).collect::<Vec<_>>());
    for (spec, input) in all() {
        let layer = spec.build::<f64>(Shape::new(&input)).expect("it fits");
        let parameters: usize = layer.parameters().iter().map(|p| p.shape.len()).sum();
        // The gradients are NaN before, and all differences 0.
        let check = gradient_check(&*layer, &vec![1.0; parameters], &[], &[]);
        assert_eq!((check.parameters, check.input), (0.0, 0.0), "{}", spec.summary());
    }
}

#[test]
fn a_loss_of_no_numbers_has_a_gradient_of_none() {
    for loss in [
        Loss::mean_squared_error(),
        Loss::binary_cross_entropy(),
        Loss::binary_cross_entropy_with_logits(),
        Loss::softmax_cross_entropy(),
        Loss::huber(),
    ] {
        loss.gradient::<f64>(&[], &[], 1.0, &mut []);
    }
}
