//! Passes without samples: every layer takes them, and its parameters' gradients are 0.

use layers::{LayerSpec, Loss, gradient_check};
use tensor::Shape;

use crate::every_layer::examples;

#[test]
fn every_layer_takes_no_sample() {
    let mut met = Vec::new();
    for (input, layers) in examples() {
        let mut shape = Shape::new(input);
        for spec in layers {
            let layer = spec.build::<f64>(shape).expect("it fits");
            let parameters: usize = layer.parameters().iter().map(|p| p.shape.len()).sum();
            // The gradients are NaN before, and all differences 0.
            let check = gradient_check(&*layer, &vec![1.0; parameters], &[], &[]);
            assert_eq!((check.parameters, check.input), (0.0, 0.0), "{}", spec.summary());
            met.push(spec.type_name());
            shape = layer.output_shape();
        }
    }
    let missing = LayerSpec::TYPES.iter().find(|name| !met.contains(name));
    assert_eq!(missing, None, "expected a network with it in examples/06-every-layer.rs");
}

#[test]
fn a_loss_of_no_numbers_is_0_and_has_a_gradient_of_none() {
    for loss in [
        Loss::mean_squared_error(),
        Loss::binary_cross_entropy(),
        Loss::binary_cross_entropy_with_logits(),
        Loss::softmax_cross_entropy(),
        Loss::huber(),
    ] {
        loss.gradient::<f64>(&[], &[], 1.0, &mut []);
        assert_eq!(loss.value::<f64>(&[], &[]), 0.0, "{loss:?}");
    }
}
