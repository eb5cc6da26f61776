//! Layers, losses and training with normalisation against PyTorch, in double precision
//! and in single precision within its rounding.

use std::collections::BTreeSet;

use layers::{
    Layer, LayerRun, Loss, Mode, NetworkSpec, Optimizer, Trainer, TrainerConfig, Workspace,
};
use tensor::simd::level;
use tensor::{Element, Scratch, Shape};

use crate::fixtures::{Case, assert_close, bound};
use crate::pytorch::{flat, read};
use crate::samples::{nan, samples};

fn layer_agrees<T: Element>(name: &str, case: &Case, layer: &dyn Layer<T>) {
    let parameters = flat::<T>(case, "before", &layer.parameters());
    let buffers = flat::<T>(case, "before", &layer.buffers());
    let input = case.numbers::<T>("input");
    let g = case.numbers::<T>("output_gradient");
    assert_eq!(case.array("output").shape[1..], *layer.output_shape().dims(), "{name}");
    let n = input.len() / layer.input_shape().len();
    // Ten: a residual block has several layers, and a normalisation divides by a root.
    let bound = 10.0 * bound::<T>(layer.input_shape().len().max(g.len()));
    let close = |found: &[T], expected: &[f64], array: &str| {
        assert_close(found, expected, bound, &format!("{name}, {array}"));
    };

    let mut scratch = Scratch::sequential();
    scratch.numbers(1000).copy_from_slice(&nan(1000));
    let run_in = |mode, buffers: &[T]| {
        let mut run = LayerRun::new(layer, n, mode);
        run.parameters.copy_from_slice(&parameters);
        run.buffers.copy_from_slice(buffers);
        run
    };
    let mut run = run_in(Mode::training(), &buffers);
    run.forward(&input, &mut scratch);
    close(&run.output, &case.array("output").numbers, "output");
    let mut input_gradient = nan(input.len());
    run.output_gradient.copy_from_slice(&g);
    run.backward(&input, Some(&mut input_gradient), &mut scratch);
    close(&input_gradient, &case.array("input_gradient").numbers, "input gradient");
    close(&run.gradients, &flat::<f64>(case, "gradient", &layer.parameters()), "gradient");

    layer.update_buffers(&mut run.buffers, &run.batch_statistics);
    close(&run.buffers, &flat::<f64>(case, "after", &layer.buffers()), "buffers");
    let mut inference = run_in(Mode::Inference, &run.buffers);
    inference.forward(&input, &mut scratch);
    close(&inference.output, &case.array("inference").numbers, "inference");
}

fn layers_agree<T: Element>() {
    let (fixtures, specs) = read::<NetworkSpec>("layer_shapes.safetensors");
    let mut plans = BTreeSet::new();
    for (name, case) in fixtures.cases() {
        let spec = &specs[name];
        let layer = spec.layers[0].build::<T>(Shape::new(&spec.input)).expect("a layer");
        layer_agrees(name, case, &*layer);
        if let Some(correlation) = layer.correlation() {
            let plan = correlation.plan::<T>(level(), 1);
            plans.extend([plan.forward.to_string(), plan.kernel_gradient.to_string()]);
        }
    }
    let filtered = ["tiles of 4 × 4", "columns of 4"].map(|plan| plans.contains(plan));
    assert_eq!(filtered, [T::NAME == "f32"; 2], "{plans:?}");
}

#[test]
fn layers_agree_with_pytorch() {
    layers_agree::<f64>();
    layers_agree::<f32>();
}

#[test]
fn losses_agree_with_pytorch() {
    let (fixtures, losses) = read::<Loss>("loss_settings.safetensors");
    for (name, case) in fixtures.cases() {
        let loss = &losses[name];
        let (x, t) = (case.numbers::<f64>("logits"), case.numbers("target"));
        let [n, classes] = case.array("logits").shape[..] else { panic!("two axes") };
        let scale = 1.0 / n as f64;
        let (mut value, mut gradient) = (0.0, Vec::new());
        for (x, t) in x.chunks_exact(classes).zip(t.chunks_exact(classes)) {
            value += scale * loss.value(x, t);
            let mut row = nan(classes);
            loss.gradient(x, t, scale, &mut row);
            gradient.extend(row);
        }
        let expected = case.array("value").numbers[0];
        assert!((value - expected).abs() <= 1e-12 * expected.max(1.0), "{name}: {value}");
        // With one class all gradients are 0, and so must ours be.
        assert_close(&gradient, &case.array("gradient").numbers, 1e-12, name);
    }
}

/// Five steps of AdamW on a batch in one shard, and what the network then says.
#[test]
fn training_agrees_with_pytorch() {
    let (fixtures, specs) = read::<NetworkSpec>("adamw_training.safetensors");
    for (name, case) in fixtures.cases() {
        let mut network = specs[name].build::<f64>().expect("a network");
        for (array, range) in network.named_parameters() {
            let numbers = case.numbers(&format!("before/{}", array.name));
            network.parameters_mut()[range].copy_from_slice(&numbers);
        }
        let n = case.array("inputs").shape[1];
        let loss = Loss::smooth_cross_entropy(0.1);
        let mut trainer =
            Trainer::new(network, TrainerConfig::new(loss, Optimizer::adamw(), [n, n]));
        let (inputs, targets) = (case.numbers::<f64>("inputs"), case.numbers::<f64>("targets"));
        let losses = case.array("losses");
        let steps = losses.numbers.len();
        let batches =
            inputs.chunks(inputs.len() / steps).zip(targets.chunks(targets.len() / steps));
        for ((inputs, targets), expected) in batches.zip(&losses.numbers) {
            let batch = samples([inputs.to_vec(), targets.to_vec()], n);
            let report = trainer.step(&batch, 0.01).expect("finite losses");
            let found = report.losses.iter().sum::<f64>() / n as f64;
            assert_close(&[found], &[*expected], 1e-9, name);
        }
        let network = trainer.into_network();
        let parameters = network.named_parameters().into_iter();
        let buffers = network.named_buffers().into_iter();
        for (arrays, numbers) in [
            (parameters.collect::<Vec<_>>(), network.parameters()),
            (buffers.collect(), network.buffers()),
        ] {
            for (array, range) in arrays {
                let expected = &case.array(&format!("after/{}", array.name)).numbers;
                assert_close(&numbers[range], expected, 1e-9, &format!("{name}, {}", array.name));
            }
        }
        let mut workspace = Workspace::new(&network, n);
        let output = network.predict(&inputs[..inputs.len() / steps], &mut workspace);
        assert_close(output, &case.array("inference").numbers, 1e-9, name);
    }
}
