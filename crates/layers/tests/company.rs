//! An answer does not depend on its company: one sample's outputs and loss have the same bits
//! alone and in any batch, wherever it stands there, on every level and number of threads.
//!
//! One test function: the level is a property of the process.

use layers::{Init, LayerSpec, Loss, Network, NetworkSpec, Workspace};
use tensor::Element;
use tensor::simd::{Level, set_level};

/// Every type of layer, with the ways in which each is computed: of one network a name, how
/// many samples, and its text.
const NETWORKS: &[(&str, usize, &str)] = &[
    (
        "the notebook's, with one block and with several in its dense layers",
        64,
        r#"{ "input": [1, 28, 28], "layers": [
            { "type": "conv2d", "kernels": 6, "size": 3, "bias": "untied" }, "sigmoid",
            { "type": "reshape" }, { "type": "dense", "outputs": 100 }, "tanh",
            { "type": "dense", "outputs": 10 }, "softmax" ] }"#,
    ),
    (
        "a dense layer that threads share for one sample",
        17,
        r#"{ "input": [5003], "layers": [
            { "type": "dense", "outputs": 103 }, "silu", { "type": "dense", "outputs": 7 } ] }"#,
    ),
    (
        "kernels of 5 × 5, then small planes of many channels, some with a stride",
        64,
        r#"{ "input": [1, 20, 19], "layers": [
            { "type": "conv2d", "kernels": 8, "size": 5 }, "relu",
            { "type": "max_pool2d", "size": 2 },
            { "type": "conv2d", "kernels": 18, "size": 3, "stride": 2, "padding": [2, 1] },
            { "type": "leaky_relu" }, { "type": "dropout", "p": 0.4 },
            { "type": "conv2d", "kernels": 40, "size": 3, "bias": "none" }, "gelu",
            "global_avg_pool2d", "flatten", { "type": "dense", "outputs": 5 } ] }"#,
    ),
    (
        "columns of 4, batch normalisation, groups and a residual block",
        64,
        r#"{ "input": [3, 15, 14], "layers": [
            { "type": "conv2d", "kernels": 8, "size": 3, "padding": "same" },
            "batch_norm2d", "relu",
            { "type": "residual", "layers": [
                { "type": "conv2d", "kernels": 8, "size": 3, "padding": "same", "groups": 4 },
                "batch_norm2d", "silu" ] },
            { "type": "avg_pool2d", "size": 3 }, "sigmoid",
            "flatten", { "type": "dense", "outputs": 6 } ] }"#,
    ),
    (
        "the opposite of a convolution, and what normalises sample by sample",
        17,
        r#"{ "input": [6, 7, 9], "layers": [
            { "type": "group_norm", "groups": 3 }, { "type": "hard_swish" },
            { "type": "conv_transpose2d", "kernels": 8, "size": 3, "stride": 2 },
            { "type": "layer_norm" }, { "type": "elu" },
            { "type": "conv2d", "kernels": 5, "size": 3, "dilation": 2, "padding": [1, 3] },
            { "type": "max_pool2d", "size": 3, "stride": 2, "padding": 1 }, "softplus",
            "flatten", { "type": "dense", "outputs": 4 } ] }"#,
    ),
    (
        "tiles of 4 × 4",
        17,
        r#"{ "input": [16, 26, 26], "layers": [
            { "type": "conv2d", "kernels": 16, "size": 3 }, { "type": "max_pool2d", "size": 6 },
            "flatten", { "type": "dense", "outputs": 3 } ] }"#,
    ),
];

/// How many samples go through a network together.
const TOGETHER: &[usize] = &[1, 2, 3, 5, 16, 17, 64];

const LOSSES: [Loss; 3] = [
    Loss::mean_squared_error(),
    Loss::binary_cross_entropy_with_logits(),
    Loss::smooth_cross_entropy(0.1),
];

/// Numbers in (-1, 1), no two alike.
fn numbers<T: Element>(len: usize) -> Vec<T> {
    let number = |at: usize| (at as f64 * 0.618_033_988_749_895).fract() * 2.0 - 1.0;
    (1..=len).map(|at| T::from_f64(number(at))).collect()
}

fn network<T: Element>(text: &str) -> Network<T> {
    let spec: NetworkSpec = serde_json::from_str(text).expect("a network");
    let mut network = spec.build().expect("layers that fit");
    network.initialize(Init::He, 5);
    // Means and variances as if it had learned.
    for (at, number) in network.buffers_mut().iter_mut().enumerate() {
        *number = T::from_f64(0.3 + 0.1 * (at % 9) as f64);
    }
    network
}

/// Outputs and losses of all samples, `together` at a time, but the first `first` of them.
fn answers<T: Element>(
    network: &Network<T>,
    inputs: &[T],
    together: usize,
    first: usize,
) -> Vec<Vec<u8>> {
    let (len, classes) = (network.input_shape().len(), network.output_shape().len());
    let mut target = vec![T::ZERO; classes];
    target[classes - 1] = T::ONE;
    let mut workspace = Workspace::parallel(network, together);
    let (start, rest) = inputs.split_at(first.min(together) * len);
    let mut answers = Vec::new();
    for batch in start.chunks(len * together).chain(rest.chunks(len * together)) {
        for output in network.predict(batch, &mut workspace).chunks_exact(classes) {
            let mut bytes = Vec::new();
            T::extend_le_bytes(output, &mut bytes);
            let losses = LOSSES.map(|loss| loss.value(output, &target));
            f64::extend_le_bytes(&losses, &mut bytes);
            answers.push(bytes);
        }
    }
    answers
}

fn answers_are_those_alone<T: Element>() {
    // The fastest first: what the portable level is compared with need not be computed on it.
    let levels: Vec<_> = Level::available().collect();
    for &(name, samples, text) in NETWORKS {
        let network = network::<T>(text);
        let inputs = numbers(samples * network.input_shape().len());
        let mut alone: Option<Vec<Vec<u8>>> = None;
        for &level in levels.iter().rev() {
            set_level(level).expect("an available level");
            // The portable level takes twenty times as long as the others.
            let is_slow = level == Level::Portable && alone.is_some();
            let (samples, sizes) = if is_slow { (9, &[1, 9][..]) } else { (samples, TOGETHER) };
            let inputs = &inputs[..samples * network.input_shape().len()];
            for threads in if is_slow { 2..=2 } else { 1..=3 } {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let pool = pool.expect("a pool of threads");
                for &together in sizes.iter().filter(|&&together| together <= samples) {
                    // Each sample at two places of a batch.
                    for first in 0..together.min(2) {
                        let found = pool.install(|| answers(&network, inputs, together, first));
                        assert_eq!(found.len(), samples);
                        let alone = alone.get_or_insert_with(|| found.clone());
                        let other = found.iter().zip(&*alone).position(|(a, b)| a != b);
                        assert!(
                            other.is_none(),
                            "{name}, {}: sample {other:?} of {together} together, the first \
                             {first} before, on {level} with {threads} threads",
                            T::NAME
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn an_answer_does_not_depend_on_its_company() {
    for name in LayerSpec::TYPES {
        let is_met = NETWORKS.iter().any(|(_, _, text)| text.contains(&format!("\"{name}\"")));
        assert!(is_met, "{name}: expected in a network of this test");
    }
    answers_are_those_alone::<f32>();
    answers_are_those_alone::<f64>();
}
