//! Networks with every layer and setting, and the size of their weights.

/// As JSON.
pub(super) const NETWORKS: &[(&str, f64)] = &[
    // Direct sums: strides, dilation, groups, paddings, biases.
    (r#"{"input": [1, 9, 8], "layers": [{"type": "conv2d", "kernels": 3, "size": 3}]}"#, 1.0),
    (
        r#"{"input": [4, 9, 8], "layers": [{"type": "conv2d", "kernels": 6, "size": [3, 2], "groups": 2, "stride": [2, 1], "dilation": [1, 3], "padding": [[1, 2], [0, 3]], "bias": "untied"}]}"#,
        1.0,
    ),
    (
        r#"{"input": [3, 7, 6], "layers": [{"type": "conv2d", "kernels": 3, "size": 3, "groups": 3, "padding": "same", "bias": "none"}, {"type": "conv2d", "kernels": 2, "size": 1, "stride": 50}]}"#,
        1.0,
    ),
    (
        r#"{"input": [2, 5, 5], "layers": [{"type": "conv2d", "kernels": 2, "size": 2, "padding": [[4, 0], [3, 5]], "stride": [1, 3]}]}"#,
        1e-30,
    ),
    // By columns: few channels or kernels. With and without padding, partial strips.
    (
        r#"{"input": [3, 27, 26], "layers": [{"type": "conv2d", "kernels": 12, "size": 3, "padding": [1, 2]}]}"#,
        1.0,
    ),
    (
        r#"{"input": [8, 22, 29], "layers": [{"type": "conv2d", "kernels": 12, "size": 3, "bias": "none"}]}"#,
        1.0,
    ),
    (
        r#"{"input": [4, 26, 26], "layers": [{"type": "conv2d", "kernels": 8, "size": 3, "bias": "untied"}]}"#,
        1.0,
    ),
    // By tiles: all sizes of the last tile; biases; more rows of tiles than are done at a time.
    (r#"{"input": [16, 26, 26], "layers": [{"type": "conv2d", "kernels": 16, "size": 3}]}"#, 1.0),
    (
        r#"{"input": [32, 15, 13], "layers": [{"type": "conv2d", "kernels": 33, "size": 3, "padding": "same", "bias": "none"}]}"#,
        1.0,
    ),
    (
        r#"{"input": [24, 16, 25], "layers": [{"type": "conv2d", "kernels": 32, "size": 3, "padding": [[3, 0], [0, 1]], "bias": "untied"}]}"#,
        1.0,
    ),
    (
        r#"{"input": [64, 28, 6], "layers": [{"type": "conv2d", "kernels": 64, "size": 3, "padding": 1}, {"type": "batch_norm2d"}, {"type": "relu"}]}"#,
        0.1,
    ),
    // Transposed convolutions: phases, groups, paddings; by columns and by tiles.
    (
        r#"{"input": [3, 4, 5], "layers": [{"type": "conv_transpose2d", "kernels": 2, "size": 3}]}"#,
        1.0,
    ),
    (
        r#"{"input": [4, 5, 3], "layers": [{"type": "conv_transpose2d", "kernels": 6, "size": [4, 3], "groups": 2, "stride": [3, 2], "dilation": [2, 3], "padding": [[1, 2], [0, 1]], "output_padding": [2, 1], "bias": "untied"}]}"#,
        1.0,
    ),
    (
        r#"{"input": [2, 3, 3], "layers": [{"type": "conv_transpose2d", "kernels": 3, "size": 2, "stride": 5, "output_padding": 4, "bias": "none"}]}"#,
        1.0,
    ),
    (
        r#"{"input": [9, 3, 9], "layers": [{"type": "conv_transpose2d", "kernels": 4, "size": 5, "stride": 2, "padding": 2, "output_padding": 1}]}"#,
        1.0,
    ),
    (
        r#"{"input": [12, 22, 22], "layers": [{"type": "conv_transpose2d", "kernels": 8, "size": 3}]}"#,
        1.0,
    ),
    (
        r#"{"input": [16, 24, 23], "layers": [{"type": "conv_transpose2d", "kernels": 24, "size": 3, "padding": [[1, 0], [2, 1]], "bias": "none"}]}"#,
        1.0,
    ),
    (
        r#"{"input": [32, 13, 14], "layers": [{"type": "conv_transpose2d", "kernels": 32, "size": 3, "padding": 1, "bias": "untied"}]}"#,
        1.0,
    ),
    // Pooling.
    (r#"{"input": [2, 9, 7], "layers": [{"type": "max_pool2d", "size": 2}]}"#, 1.0),
    (
        r#"{"input": [2, 16, 32], "layers": [{"type": "conv2d", "kernels": 2, "size": 1}, {"type": "relu"}, {"type": "max_pool2d", "size": 2}]}"#,
        1.0,
    ),
    (
        r#"{"input": [2, 9, 7], "layers": [{"type": "conv2d", "kernels": 2, "size": 1}, {"type": "max_pool2d", "size": [3, 2], "stride": [2, 3], "padding": 1, "ceil_mode": true}]}"#,
        1.0,
    ),
    (
        r#"{"input": [2, 9, 7], "layers": [{"type": "avg_pool2d", "size": [3, 2], "stride": [2, 3], "padding": [1, 1], "ceil_mode": true}]}"#,
        1.0,
    ),
    (
        r#"{"input": [2, 9, 7], "layers": [{"type": "avg_pool2d", "size": [3, 4], "stride": 2, "padding": [[1, 0], [2, 1]], "ceil_mode": true, "count_include_pad": false}]}"#,
        1.0,
    ),
    (
        r#"{"input": [2, 20, 25], "layers": [{"type": "avg_pool2d", "size": [9, 12], "stride": [5, 7], "padding": [3, 4], "ceil_mode": true}]}"#,
        1.0,
    ),
    (
        r#"{"input": [2, 20, 25], "layers": [{"type": "avg_pool2d", "size": [12, 25], "stride": [2, 1], "count_include_pad": false, "padding": [5, 0]}]}"#,
        1.0,
    ),
    (
        r#"{"input": [3, 61, 83], "layers": [{"type": "conv2d", "kernels": 2, "size": 1}, {"type": "global_avg_pool2d"}]}"#,
        1.0,
    ),
    (
        r#"{"input": [3, 7, 7], "layers": [{"type": "global_avg_pool2d"}, {"type": "dense", "outputs": 4}]}"#,
        1.0,
    ),
    // Dense layers: rows of whole and of partial lanes.
    (r#"{"input": [16], "layers": [{"type": "dense", "outputs": 3}]}"#, 1.0),
    (
        r#"{"input": [53], "layers": [{"type": "dense", "outputs": 33}, {"type": "dense", "outputs": 5}]}"#,
        1.0,
    ),
    (
        r#"{"input": [5], "layers": [{"type": "dense", "outputs": 33}, {"type": "dense", "outputs": 5}]}"#,
        1e-25,
    ),
    // Normalisations.
    (
        r#"{"input": [6, 5, 7], "layers": [{"type": "conv2d", "kernels": 6, "size": 1}, {"type": "group_norm", "groups": 3}, {"type": "batch_norm2d", "epsilon": 0.001}]}"#,
        1.0,
    ),
    (
        r#"{"input": [6, 45, 47], "layers": [{"type": "group_norm", "groups": 2, "epsilon": 0.01}, {"type": "batch_norm2d"}, {"type": "relu"}]}"#,
        1.0,
    ),
    (
        r#"{"input": [20], "layers": [{"type": "dense", "outputs": 37}, {"type": "layer_norm"}, {"type": "softmax"}]}"#,
        1.0,
    ),
    (r#"{"input": [2, 36, 40], "layers": [{"type": "layer_norm", "epsilon": 0.0}]}"#, 1.0),
    // Functions of small, usual, large and huge numbers.
    (FUNCTIONS, 0.001),
    (FUNCTIONS, 1.0),
    (FUNCTIONS, 30.0),
    (FUNCTIONS, 1e20),
    (r#"{"input": [9], "layers": [{"type": "dense", "outputs": 9}, {"type": "softmax"}]}"#, 40.0),
    (
        r#"{"input": [9], "layers": [{"type": "dense", "outputs": 9}, {"type": "dense", "outputs": 9}, {"type": "dense", "outputs": 9}, {"type": "softmax"}]}"#,
        1e20,
    ),
    // Blocks in blocks; a block that begins in place, one of nothing but the same numbers.
    (
        r#"{"input": [4, 8, 8], "layers": [{"type": "residual", "layers": [{"type": "relu"}, {"type": "conv2d", "kernels": 4, "size": 3, "padding": "same"}, {"type": "residual", "layers": [{"type": "batch_norm2d"}, {"type": "relu"}, {"type": "residual", "layers": [{"type": "dropout", "p": 0.5}]}]}, {"type": "tanh"}]}, {"type": "flatten"}, {"type": "residual", "layers": [{"type": "dense", "outputs": 256}, {"type": "gelu"}]}, {"type": "reshape", "shape": [16, 4, 4]}, {"type": "max_pool2d", "size": 2}, {"type": "flatten"}, {"type": "dense", "outputs": 3}]}"#,
        0.5,
    ),
    // The notebook's network.
    (
        r#"{"input": [1, 28, 28], "layers": [{"type": "conv2d", "kernels": 6, "size": 3, "bias": "untied"}, {"type": "sigmoid"}, {"type": "reshape"}, {"type": "dense", "outputs": 20}, {"type": "tanh"}, {"type": "dense", "outputs": 10}, {"type": "sigmoid"}]}"#,
        1.0,
    ),
    // The geometries of `accurate`.
    (
        r#"{"input": [1, 28, 28], "layers": [{"type": "conv2d", "kernels": 32, "size": 3, "bias": "none"}, {"type": "batch_norm2d"}, {"type": "relu"}, {"type": "conv2d", "kernels": 32, "size": 3, "bias": "none"}, {"type": "batch_norm2d"}, {"type": "relu"}, {"type": "conv2d", "kernels": 32, "size": 5, "bias": "none", "stride": 2, "padding": [2, 2]}, {"type": "batch_norm2d"}, {"type": "relu"}, {"type": "dropout", "p": 0.4}, {"type": "conv2d", "kernels": 64, "size": 3, "bias": "none"}, {"type": "batch_norm2d"}, {"type": "relu"}, {"type": "global_avg_pool2d"}, {"type": "dense", "outputs": 10}]}"#,
        0.1,
    ),
];

/// Each activation of all numbers of a dense layer.
const FUNCTIONS: &str = r#"{"input": [9], "layers": [
    {"type": "dense", "outputs": 40}, {"type": "leaky_relu", "slope": 0.3},
    {"type": "dense", "outputs": 40}, {"type": "gelu"},
    {"type": "dense", "outputs": 40}, {"type": "silu"},
    {"type": "dense", "outputs": 40}, {"type": "elu", "alpha": 0.7},
    {"type": "dense", "outputs": 40}, {"type": "softplus"},
    {"type": "dense", "outputs": 40}, {"type": "hard_swish"},
    {"type": "dense", "outputs": 40}, {"type": "relu"},
    {"type": "dense", "outputs": 40}, {"type": "tanh"},
    {"type": "dense", "outputs": 40}, {"type": "sigmoid"}
]}"#;
