//! Layers as text, and what they say of inputs that they cannot take.

use layers::{Dense, LayerSpec, Loss, NetworkSpec, Optimizer, Relu, Residual, Tanh};
use tensor::Shape;

#[test]
fn every_layer_is_read_and_written() {
    let text = r#"{
        "input": [2, 12, 16],
        "layers": [
            {"type":"conv2d","kernels":4,"size":3,"padding":[[1,1],[0,2]],"stride":[2,2],"dilation":1,"groups":2,"bias":"none"},
            {"type":"batch_norm2d","momentum":0.1,"epsilon":1e-5},
            {"type":"leaky_relu","slope":0.1},
            {"type":"residual","layers":[
                {"type":"conv2d","kernels":4,"size":[3,1],"padding":[1,0],"bias":"per_channel"},
                {"type":"gelu"}
            ]},
            {"type":"max_pool2d","size":2},
            {"type":"silu"},
            {"type":"avg_pool2d","size":[1,2],"stride":1},
            {"type":"dropout","p":0.5},
            {"type":"global_avg_pool2d"},
            {"type":"flatten"},
            {"type":"layer_norm","epsilon":1e-5},
            {"type":"elu","alpha":1.0},
            {"type":"softplus"},
            {"type":"hard_swish"},
            {"type":"reshape","shape":[4,1,1]},
            {"type":"conv_transpose2d","kernels":6,"size":[2,3],"padding":[0,1],"output_padding":[1,0],"stride":2,"bias":"per_channel"},
            {"type":"group_norm","groups":3,"epsilon":1e-5},
            {"type":"max_pool2d","size":3,"stride":1,"padding":1,"ceil_mode":true},
            {"type":"avg_pool2d","size":2,"padding":1,"count_include_pad":false}
        ]
    }"#;
    let spec: NetworkSpec = serde_json::from_str(text).expect("a network");
    let network = spec.build::<f32>().expect("layers that fit");
    let shapes: Vec<_> = network.table().iter().map(|(_, shape, _)| shape.to_string()).collect();
    let first = ["(4, 6, 8)"; 4];
    assert_eq!(shapes[..4], first);
    assert_eq!(shapes[4..10], ["(4, 3, 4)", "(4, 3, 4)", "(4, 3, 3)", "(4, 3, 3)", "(4)", "(4)"]);
    assert_eq!(shapes[10..15], ["(4)", "(4)", "(4)", "(4)", "(4, 1, 1)"]);
    assert_eq!(shapes[15..], ["(6, 3, 1)", "(6, 3, 1)", "(6, 3, 1)", "(6, 2, 1)"]);
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    let written = serde_json::to_string(&spec).expect("text");
    assert_eq!(json(&written), json(text));
}

#[test]
fn wrong_values_are_refused_by_name() {
    for (layer, wanted) in [
        (r#"{"type":"dropout","p":1}"#, "expected a number from 0 to less than 1"),
        (r#"{"type":"dropout"}"#, "missing field `p`"),
        (r#"{"type":"leaky_relu","slope":-1}"#, "expected a finite number of at least 0"),
        (r#"{"type":"batch_norm2d","eps":1}"#, "unknown field `eps`"),
        (r#"{"type":"max_pool2d","size":2,"dilation":1}"#, "unknown field `dilation`"),
        (r#"{"type":"max_pool2d","size":2,"count_include_pad":true}"#, "unknown field `count_"),
        (r#"{"type":"elu","alpha":-1}"#, "expected a finite number of at least 0"),
        (r#"{"type":"group_norm"}"#, "missing field `groups`"),
        (r#"{"type":"conv2d","kernels":1,"size":3,"padding":[1,2,3]}"#, "[[above, below], "),
        (r#"{"type":"conv2d","kernels":1,"size":3,"padding":"full"}"#, "expected \"valid\""),
        (r#"{"type":"residual","layers":[{"type":"swish"}]}"#, "unknown variant `swish`"),
    ] {
        let text = format!(r#"{{"input":[1,5,5],"layers":[{layer}]}}"#);
        let error = serde_json::from_str::<NetworkSpec>(&text).expect_err(layer).to_string();
        assert!(error.contains(wanted), "{layer}: {error}");
    }
}

#[test]
fn shapes_that_do_not_fit_name_the_culprit() {
    for (layer, input, wanted) in [
        (
            r#"{"type":"max_pool2d","size":3}"#,
            "[1,2,5]",
            "a window no larger than the input's (2, 5), got (3, 3)",
        ),
        (
            r#"{"type":"avg_pool2d","size":3}"#,
            "[9]",
            "AvgPool2d: expected an input with three axes (C, H, W), got (9)",
        ),
        (
            r#"{"type":"global_avg_pool2d"}"#,
            "[9]",
            "GlobalAvgPool2d: expected an input with three axes",
        ),
        (
            r#"{"type":"max_pool2d","size":3,"padding":2}"#,
            "[1,5,5]",
            "pooling padding: expected at most half of the window, 1 rows and 1 columns on each side",
        ),
        (
            r#"{"type":"group_norm","groups":2}"#,
            "[3,5,5]",
            "GroupNorm: expected a number of groups that divides 3 channels, got 2",
        ),
        (
            r#"{"type":"group_norm","groups":3}"#,
            "[3,1,1]",
            "GroupNorm: expected more than one number in each group to normalise over, got (3, 1, 1)",
        ),
        (
            r#"{"type":"conv_transpose2d","kernels":2,"size":3,"stride":2,"output_padding":2}"#,
            "[3,5,5]",
            "ConvTranspose2d output_padding: expected less than the stride (2, 2), got (2, 2)",
        ),
        (
            r#"{"type":"conv_transpose2d","kernels":2,"size":1,"padding":3}"#,
            "[3,5,7]",
            "ConvTranspose2d: expected padding that leaves an output that is not empty, got (2, 0, 1)",
        ),
        (
            r#"{"type":"conv_transpose2d","kernels":2,"size":1,"padding":"same"}"#,
            "[3,5,7]",
            "ConvTranspose2d padding: expected \"valid\" or numbers of rows and columns, got \"same\"",
        ),
        (
            r#"{"type":"conv2d","kernels":4,"size":3,"dilation":3}"#,
            "[3,5,5]",
            "expected a kernel no larger than the input's (5, 5), got (7, 7)",
        ),
        (r#"{"type":"batch_norm2d"}"#, "[9]", "BatchNorm2d: expected an input with three axes"),
        (
            r#"{"type":"conv2d","kernels":4,"size":3,"groups":2}"#,
            "[3,5,5]",
            "a divisor of 3 channels and 4 kernels, got 2",
        ),
        (
            r#"{"type":"residual","layers":[]}"#,
            "[9]",
            "Residual: expected at least one layer inside, got 0",
        ),
        (
            r#"{"type":"residual","layers":[{"type":"tanh"},{"type":"conv2d","kernels":2,"size":3}]}"#,
            "[2,5,6]",
            "Residual: expected layers that keep the shape (2, 5, 6), got (2, 3, 4)",
        ),
        (
            r#"{"type":"residual","layers":[{"type":"tanh"},{"type":"dense","outputs":2}]}"#,
            "[2,5,6]",
            "got (2, 5, 6), for layer 1 inside: Dense",
        ),
    ] {
        let text = format!(r#"{{"input":{input},"layers":[{layer}]}}"#);
        let spec: NetworkSpec = serde_json::from_str(&text).expect(layer);
        let error = spec.build::<f32>().expect_err(layer).to_string();
        assert!(error.contains(wanted), "{layer}: {error}");
    }
}

#[test]
fn summaries_tell_what_is_not_usual() {
    let text = r#"[
        {"type":"conv2d","kernels":4,"size":3},
        {"type":"conv2d","kernels":4,"size":[3,5],"padding":"same","stride":2,"groups":2,"bias":"none"},
        {"type":"max_pool2d","size":2,"stride":2},
        {"type":"avg_pool2d","size":3,"stride":[2,1]},
        {"type":"leaky_relu"},
        {"type":"conv2d","kernels":4,"size":3,"padding":[[1,2],[0,3]],"dilation":2},
        {"type":"conv_transpose2d","kernels":4,"size":3,"padding":1,"stride":2,"output_padding":1},
        {"type":"avg_pool2d","size":3,"stride":2,"padding":1,"ceil_mode":true,"count_include_pad":false},
        {"type":"group_norm","groups":4},
        {"type":"elu","alpha":0.5}
    ]"#;
    let layers: Vec<LayerSpec> = serde_json::from_str(text).expect("layers");
    let summaries: Vec<_> = layers.iter().map(LayerSpec::summary).collect();
    assert_eq!(
        summaries,
        [
            "Conv2d 4 kernels 3×3",
            "Conv2d 4 kernels 3×5, stride 2×2, same, 2 groups, no bias",
            "MaxPool2d 2×2",
            "AvgPool2d 3×3, stride 2×1",
            "LeakyRelu slope 0.01",
            "Conv2d 4 kernels 3×3, dilation 2×2, padding [1, 2]×[0, 3]",
            "ConvTranspose2d 4 kernels 3×3, stride 2×2, output padding 1×1, padding 1×1",
            "AvgPool2d 3×3, stride 2×2, padding 1×1, ceil, padding not counted",
            "GroupNorm 4 groups",
            "Elu alpha 0.5",
        ]
    );
    let block = LayerSpec::from(Residual::new().add(Tanh).add(Tanh));
    assert_eq!(block.summary(), "Residual [Tanh; Tanh]");
    assert_eq!(block.build::<f32>(Shape::from(3)).expect("fits").output_shape(), Shape::from(3));
}

#[test]
fn the_type_may_stand_anywhere() {
    let dense = LayerSpec::from(Dense::new(3).initial_bias(-2.0));
    for text in [
        r#"{"type":"dense","outputs":3,"initial_bias":-2}"#,
        r#"{"outputs":3,"initial_bias":-2,"type":"dense"}"#,
        r#"{"outputs":3,"type":"dense","initial_bias":-2.0}"#,
    ] {
        assert_eq!(serde_json::from_str::<LayerSpec>(text).unwrap(), dense, "{text}");
    }
    let relu: LayerSpec = serde_json::from_str(r#"{"type":"relu"}"#).unwrap();
    assert_eq!(relu, Relu.into());
    let residual = r#"{"layers":[{"outputs":3,"type":"dense"}],"type":"residual"}"#;
    assert!(serde_json::from_str::<LayerSpec>(residual).is_ok());
}

#[test]
fn keys_that_a_type_does_not_know_are_refused_wherever_the_type_stands() {
    fn complaint<T: serde::de::DeserializeOwned + std::fmt::Debug>(text: &str) -> String {
        serde_json::from_str::<T>(text).expect_err(text).to_string()
    }
    for (before, after) in [("\"foreign\":3,", ""), ("", ",\"foreign\":3")] {
        let table = |name: &str| format!(r#"{{{before}"type":"{name}"{after}}}"#);
        for message in [
            complaint::<LayerSpec>(&table("relu")),
            complaint::<LayerSpec>(&table("batch_norm2d")),
            complaint::<Loss>(&table("mean_squared_error")),
            complaint::<Loss>(&table("softmax_cross_entropy")),
            complaint::<Optimizer>(&table("sgd")),
        ] {
            assert!(message.contains("unknown field `foreign`"), "{message}");
        }
    }
    assert!(complaint::<Loss>("{}").contains("missing field `type`"));
    assert!(complaint::<Loss>("{\"foreign\":3}").contains("missing field `type`"));
}
