//! Networks that do not fit together: the message shows the table of all layers, the
//! culprit, what it expected and what it found.

use layers::{
    Bias, BuildError, Conv2d, Dense, LayerSpec, Network, NetworkSpec, Reshape, Sigmoid, Softmax,
    Tanh,
};
use tensor::Shape;

#[track_caller]
fn failure(input: &[usize], layers: &[LayerSpec]) -> BuildError {
    let spec = NetworkSpec { input: input.to_vec(), layers: layers.to_vec() };
    let single = spec.build::<f32>().expect_err("layers that do not fit");
    let double = spec.build::<f64>().expect_err("layers that do not fit");
    assert_eq!(single, double);
    single
}

#[test]
fn the_message_shows_the_table_the_culprit_expected_and_found() {
    let error = Network::<f32>::builder([1, 28, 28])
        .add(Conv2d::new(6, 3).bias(Bias::Untied))
        .add(Sigmoid)
        .add(Dense::new(100))
        .add(Tanh)
        .build()
        .expect_err("a dense layer on planes");
    assert_eq!(error.layer(), Some(2));
    assert_eq!(error.cause().expected(), "one axis, as Flatten before it gives: (4056)");
    assert_eq!(error.cause().found(), "(6, 26, 26)");
    let expected = "\
layer 2 does not fit: Dense: expected one axis, as Flatten before it gives: (4056), got (6, 26, 26)
     input                               [1, 28, 28]
    0 Conv2d 6 kernels 3×3, untied bias   (6, 26, 26)
    1 Sigmoid                             (6, 26, 26)
 →  2 Dense 100 outputs
    3 Tanh";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn each_layer_says_what_it_expects() {
    let conv = |size| LayerSpec::from(Conv2d::new(2, size));
    for (input, layers, culprit, cause) in [
        (
            vec![1, 4, 5],
            vec![conv(3), conv(3)],
            Some(1),
            "correlation: expected a kernel no larger than the input's (2, 3), got (3, 3)",
        ),
        (
            vec![20],
            vec![Sigmoid.into(), conv(3)],
            Some(1),
            "Conv2d: expected an input with three axes (C, H, W), got (20)",
        ),
        (
            vec![1, 4, 5],
            vec![conv(0)],
            Some(0),
            "correlation: expected sizes of at least 1, got input (1, 4, 5) and kernels (2, 1, 0, 0)",
        ),
        (
            vec![1, 4, 5],
            vec![Conv2d::new(0, 3).into()],
            Some(0),
            "Conv2d: expected at least one kernel, got 0",
        ),
        (
            vec![1, 4, 5],
            vec![Conv2d::new(2, 3).bias(Bias::None).initial_bias(1.0).into()],
            Some(0),
            "Conv2d: expected no initial_bias, as there is no bias, got 1",
        ),
        (
            vec![4],
            vec![Dense::new(0).into()],
            Some(0),
            "Dense: expected at least one output, got 0",
        ),
        (
            vec![4, 5],
            vec![Softmax.into()],
            Some(0),
            "Softmax: expected an input with one axis (I), got (4, 5)",
        ),
        (
            vec![2, 3],
            vec![Tanh.into(), Reshape::to([7]).into()],
            Some(1),
            "Reshape: expected a shape with 6 elements, as (2, 3) has, got (7)",
        ),
        (
            vec![2, 0],
            vec![Tanh.into()],
            None,
            "network: expected an input sample with one to three axes, none of them 0, got [2, 0]",
        ),
        (
            vec![1, 2, 3, 4],
            vec![Tanh.into()],
            None,
            "network: expected an input sample with one to three axes, none of them 0, \
             got [1, 2, 3, 4]",
        ),
        (vec![3], vec![], Some(0), "network: expected at least one layer, got 0"),
    ] {
        let error = failure(&input, &layers);
        assert_eq!((error.layer(), error.cause().to_string().as_str()), (culprit, cause));
    }
}

#[test]
fn shapes_parameters_and_names_of_the_notebooks_network() {
    let network = Network::<f32>::builder([1, 28, 28])
        .add(Conv2d::new(6, 3).bias(Bias::Untied))
        .add(Sigmoid)
        .add(Reshape::flat())
        .add(Dense::new(100))
        .add(Tanh)
        .add(Dense::new(10))
        .add(Sigmoid)
        .build()
        .expect("a network");
    let named: Vec<_> = network
        .named_parameters()
        .into_iter()
        .map(|(parameter, range)| (parameter.name, parameter.shape, range))
        .collect();
    let expected = [
        ("0.weight", Shape::from([6, 1, 3, 3]), 0..54),
        ("0.bias", Shape::from([6, 26, 26]), 54..4_110),
        ("3.weight", Shape::from([100, 4056]), 4_110..409_710),
        ("3.bias", Shape::from(100), 409_710..409_810),
        ("5.weight", Shape::from([10, 100]), 409_810..410_810),
        ("5.bias", Shape::from(10), 410_810..410_820),
    ];
    assert_eq!(named, expected.map(|(name, shape, range)| (name.to_owned(), shape, range)));
    assert_eq!(network.parameters().len(), 410_820);
    assert_eq!((network.input_shape(), network.output_shape()), ([1, 28, 28].into(), 10.into()));
}

#[test]
fn a_description_is_read_and_written_and_nothing_unknown_accepted() {
    let text = r#"{"input":[1,9,7],"layers":[{"type":"conv2d","kernels":2,"size":[3,2],"bias":"none"},{"type":"relu"},{"type":"reshape","shape":[84]},{"type":"dense","outputs":3,"initial_bias":-2.2},{"type":"softmax"}]}"#;
    let spec: NetworkSpec = serde_json::from_str(text).expect("a description");
    assert_eq!(serde_json::to_string(&spec).expect("JSON"), text);
    spec.build::<f64>().expect("a network");

    let unknown = text.replace("\"outputs\":3", "\"outputs\":3,\"momentum\":1");
    let error = serde_json::from_str::<NetworkSpec>(&unknown).expect_err("an unknown key");
    assert!(error.to_string().starts_with("unknown field `momentum`"), "{error}");
}
