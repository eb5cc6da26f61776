//! What is known of a network's outputs, and which losses are functions of such numbers.

use layers::{
    AvgPool2d, Conv2d, Dense, Dropout, Flatten, LayerSpec, Loss, NetworkSpec, Outputs, Relu,
    Residual, Sigmoid, Softmax, Tanh,
};

#[test]
fn what_is_known_of_outputs_and_the_layer_that_makes_them() {
    let any = Outputs::Any;
    let dropped = Outputs::DroppedProbabilities;
    let cases: [(Vec<LayerSpec>, _); 14] = [
        (vec![Flatten.into(), Dense::new(3).into()], (any, 1)),
        (vec![Dense::new(3).into(), Sigmoid.into(), Flatten.into()], (Outputs::Probabilities, 1)),
        (vec![Dense::new(3).into(), Softmax.into()], (Outputs::Probabilities, 1)),
        (vec![Sigmoid.into(), Dropout::new(0.5).into()], (dropped, 1)),
        (vec![Softmax.into(), Dropout::new(0.5).into(), Relu.into()], (dropped, 1)),
        (vec![Sigmoid.into(), Dropout::new(0.5).into(), Dense::new(3).into()], (any, 2)),
        (vec![Dropout::new(0.5).into()], (any, 0)),
        (vec![Sigmoid.into(), Relu.into()], (Outputs::Probabilities, 0)),
        (
            vec![Sigmoid.into(), AvgPool2d::new(2).into(), Flatten.into()],
            (Outputs::Probabilities, 0),
        ),
        (vec![Sigmoid.into(), Tanh.into()], (Outputs::UnitInterval, 1)),
        (vec![Conv2d::new(3, 3).into(), Relu.into()], (any, 1)),
        (vec![Dense::new(3).into(), Tanh.into()], (any, 1)),
        (vec![Sigmoid.into(), Residual::new().add(Sigmoid).into()], (any, 1)),
        (vec![AvgPool2d::new(2).into(), Flatten.into()], (Outputs::UnitInterval, 1)),
    ];
    for (layers, expected) in cases {
        let spec = NetworkSpec { input: vec![1, 4, 4], layers };
        assert_eq!(spec.outputs(), expected, "{spec:?}");
    }
}

#[test]
fn losses_fit_what_they_are_functions_of() {
    let (any, dropped) = (Outputs::Any, Outputs::DroppedProbabilities);
    let all = [any, Outputs::UnitInterval, Outputs::Probabilities, dropped];
    for (loss, expected) in [
        (Loss::mean_squared_error(), [true, true, true, true]),
        (Loss::binary_cross_entropy(), [false, true, true, false]),
        (Loss::binary_cross_entropy_with_logits(), [true, true, false, false]),
        (Loss::softmax_cross_entropy(), [true, true, false, false]),
    ] {
        assert_eq!(all.map(|outputs| loss.fits(outputs)), expected, "{loss:?}");
    }
}
