//! Training steps: the same bits fused or in two passes, on any number of threads, in a
//! batch that is not full; and losses that are not finite.

use layers::{
    Bias, BinaryCrossEntropy, ClassWeights, Conv2d, Dense, Epochs, LayerSpec, Loss, Mode, Network,
    NonFinite, NonFiniteValue, Optimizer, Reshape, Sigmoid, Tanh, Trainer, TrainerConfig,
    Workspace,
};
use tensor::{Element, map};

use crate::samples::{arrays, bits, nan, network, normal, random, samples};

fn notebook<T: Element>() -> Network<T> {
    let layers: [LayerSpec; 7] = [
        Conv2d::new(3, 3).bias(Bias::Untied).into(),
        Sigmoid.into(),
        Reshape::flat().into(),
        Dense::new(19).into(),
        Tanh.into(),
        Dense::new(5).into(),
        Sigmoid.into(),
    ];
    network(&[1, 11, 9], &layers)
}

fn config(batch_size: usize, shard_size: usize) -> TrainerConfig {
    let (loss, optimizer) = (Loss::binary_cross_entropy(), Optimizer::sgd());
    TrainerConfig::new(loss, optimizer, [batch_size, shard_size])
}

fn in_pool<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    pool.install(run)
}

fn fused_is_two_passes<T: Element>(n: usize) {
    let rate = T::from_f64(0.37);
    let mut fused = notebook::<T>();
    let mut plain = fused.clone();
    let layers = fused.spec().layers.len();
    let input = normal(n * fused.input_shape().len(), 1);
    let g = normal::<T>(n * fused.output_shape().len(), 2);

    let mut gradients = nan(plain.parameters().len());
    let mut workspace = Workspace::new(&plain, n);
    plain.forward(&input, &mut workspace, Mode::training());
    workspace.output_gradient(layers).1.copy_from_slice(&g);
    plain.backward(&input, layers, &mut workspace, &mut gradients);
    map::add_scaled(plain.parameters_mut(), -rate, &gradients);

    fused.forward(&input, &mut workspace, Mode::training());
    workspace.output_gradient(layers).1.copy_from_slice(&g);
    fused.backward_and_step(&input, layers, rate, &mut workspace, &mut gradients).unwrap();
    assert!(bits(fused.parameters()) == bits(plain.parameters()), "{n} samples of {}", T::NAME);
    assert!(bits(fused.parameters()) != bits(notebook::<T>().parameters()));
}

#[test]
fn the_fused_step_has_the_bits_of_backward_and_step() {
    for n in [1, 3] {
        fused_is_two_passes::<f32>(n);
        fused_is_two_passes::<f64>(n);
    }
}

/// The digest after three steps, the second on a batch that is not full.
fn digest<T: Element>(config: TrainerConfig, threads: usize) -> String {
    in_pool(threads, || {
        let mut trainer = Trainer::new(notebook::<T>(), config);
        for (step, len) in [12, 7, 12].into_iter().enumerate() {
            let samples = random(trainer.network(), len, step as u64);
            trainer.step(&samples, 0.5).expect("finite losses");
        }
        trainer.network().digest()
    })
}

#[test]
fn threads_change_no_bit_and_shards_do() {
    let one = digest::<f32>(config(12, 4), 1);
    for threads in [2, 3, 7] {
        assert_eq!(digest::<f32>(config(12, 4), threads), one, "{threads} threads");
    }
    assert_ne!(digest::<f32>(config(12, 5), 1), one, "shards of 5 instead of 4");
    let whole = digest::<f64>(config(12, 12), 1);
    assert_eq!(digest::<f64>(config(12, 12), 3), whole, "one shard on 3 threads");
}

/// A batch large enough for its operations to be spread over the threads.
#[test]
fn threads_inside_an_operation_change_no_bit() {
    let digest = |threads| {
        in_pool(threads, || {
            let layers = [Conv2d::new(7, 5).into(), Reshape::flat().into(), Dense::new(11).into()];
            let network = network::<f32>(&[3, 27, 30], &layers);
            let samples = random(&network, 5, 1);
            let config = TrainerConfig { loss: Loss::mean_squared_error(), ..config(5, 5) };
            let mut trainer = Trainer::new(network, config);
            for _ in 0..2 {
                trainer.step(&samples, 0.01).expect("finite losses");
            }
            trainer.network().digest()
        })
    };
    let one = digest(1);
    for threads in [2, 3, 7] {
        assert_eq!(digest(threads), one, "{threads} threads");
    }
}

/// A step on fewer samples than the batch size is the step of a trainer with that batch
/// size, whatever a larger step left in memory before.
#[test]
fn a_batch_that_is_not_full_is_a_smaller_batch() {
    for samples in [1, 3, 4, 5, 11] {
        let mut large = Trainer::new(notebook::<f32>(), config(12, 4));
        let full = random(large.network(), 12, 1);
        large.step(&full, 0.5).expect("finite losses");

        let mut small = Trainer::new(notebook::<f32>(), config(12, 4));
        small.step(&full, 0.5).expect("finite losses");
        let mut small = Trainer::new(small.into_network(), config(samples, 4));

        let batch = random(large.network(), samples, 2);
        let found = large.step(&batch, 0.5).expect("finite losses");
        let expected = small.step(&batch, 0.5).expect("finite losses");
        assert_eq!(found, expected, "{samples} samples");
        assert_eq!(found.losses.len(), samples);
        assert_eq!(large.network().digest(), small.network().digest(), "{samples} samples");
    }
}

/// The report speaks of the network before the step.
#[test]
fn the_report_has_each_samples_loss_and_the_number_of_right_ones() {
    for shard_size in [2, 7] {
        let network = notebook::<f64>();
        let [inputs, targets] = arrays(&network, 7, 3);
        let mut workspace = Workspace::new(&network, 7);
        let outputs = network.predict(&inputs, &mut workspace);
        let rows = outputs.chunks_exact(5).zip(targets.chunks_exact(5));
        let argmax = tensor::reduce::argmax::<f64>;
        let (losses, right): (Vec<_>, Vec<_>) = rows
            .map(|(y, t)| (Loss::binary_cross_entropy().value(y, t), argmax(y) == argmax(t)))
            .unzip();

        let mut trainer = Trainer::new(network, config(7, shard_size));
        let report = trainer.step(&samples([inputs, targets], 7), 0.1).expect("finite losses");
        assert_eq!(report.losses, losses);
        assert_eq!(report.correct, right.iter().filter(|&&right| right).count());
    }
}

/// Where a sigmoid has rounded to 1 its derivative is 0 and that of the cross-entropy
/// huge; their product is `p − t` all the same.
#[test]
fn a_saturated_sigmoid_still_learns_from_the_cross_entropy() {
    let mut network = network::<f32>(&[1], &[Dense::new(1).into(), Sigmoid.into()]);
    network.parameters_mut().copy_from_slice(&[0.0, 60.0]);
    let samples = samples([vec![1.0], vec![0.0]], 1);
    let mut trainer = Trainer::new(network, config(1, 1));
    trainer.step(&samples, 0.5).expect("a finite loss");
    assert_eq!(trainer.network().parameters(), [-0.5, 59.5]);
}

/// The sigmoid and the cross-entropy are one function of the sigmoid's input, weights included.
#[test]
fn probabilities_and_their_logits_learn_the_same() {
    for class_weights in [None, Some(ClassWeights::new(&[0.5, 0.0, 2.0, 1.0, 3.0]))] {
        let loss = Loss::from(BinaryCrossEntropy { class_weights });
        let of_logits = loss.of_logits().expect("that of logits");
        let trained = |layers: &[LayerSpec], loss| {
            let network = network::<f64>(&[4], layers);
            let samples = random(&network, 3, 5);
            let mut trainer = Trainer::new(network, TrainerConfig { loss, ..config(3, 2) });
            trainer.step(&samples, 0.5).expect("finite losses");
            trainer.into_network().parameters().to_vec()
        };
        let dense = LayerSpec::from(Dense::new(5));
        let probabilities = trained(&[dense.clone(), Sigmoid.into()], loss);
        let logits = trained(&[dense], of_logits);
        for (a, b) in probabilities.iter().zip(&logits) {
            assert!((a - b).abs() < 1e-14, "{a}, {b}");
        }
    }
}

/// The loss of a sample times the weight of its class, by hand: the outputs are 0, each class has a
/// probability of one half, and the losses are ln 2.
#[test]
fn the_loss_of_a_sample_is_multiplied_by_the_weight_of_its_class() {
    for (shard_size, average) in [(2, None), (1, None), (2, Some(0.5))] {
        let mut network = network::<f64>(&[1], &[Dense::new(2).into()]);
        network.parameters_mut().fill(0.0);
        let config = TrainerConfig {
            loss: Loss::softmax_cross_entropy(),
            class_weights: Some(ClassWeights::new(&[1.0, 3.0])),
            average,
            ..config(2, shard_size)
        };
        let mut trainer = Trainer::new(network, config);
        let samples = samples([vec![1.0, 1.0], vec![1.0, 0.0, 0.0, 1.0]], 2);
        let report = trainer.step(&samples, 1.0).expect("finite losses");
        let ln_2 = std::f64::consts::LN_2;
        assert_eq!(report.losses, [ln_2, 3.0 * ln_2]);
        // The mean of 1 · (½ − 1) and 3 · (½ − 0), and of 1 · (½ − 0) and 3 · (½ − 1).
        assert_eq!(trainer.network().parameters(), [-0.5, 0.5, -0.5, 0.5]);
    }
}

/// The step of every cross-entropy is that of finite differences of the weighted mean.
#[test]
fn weighted_steps_agree_with_finite_differences() {
    let weights = [0.5, 0.0, 2.0, 1.0, 3.0];
    for (loss, last) in [
        (Loss::smooth_cross_entropy(0.2), None),
        (Loss::binary_cross_entropy_with_logits(), None),
        (Loss::binary_cross_entropy(), Some(LayerSpec::from(Sigmoid))),
    ] {
        let layers: Vec<_> = [Dense::new(5).into()].into_iter().chain(last).collect();
        let network = network::<f64>(&[4], &layers);
        let inputs = normal::<f64>(7 * 4, 3);
        let mut targets = vec![0.0; 7 * 5];
        (0..7).for_each(|sample| targets[5 * sample + sample % 5] = 1.0);
        let data = samples([inputs, targets], 7);
        let mean = |network: &Network<f64>| {
            let losses = network.evaluate(&data, &loss).losses;
            let weighted = losses.iter().enumerate().map(|(at, loss)| weights[at % 5] * loss);
            weighted.sum::<f64>() / 7.0
        };
        let class_weights = Some(ClassWeights::new(&weights));
        let config = TrainerConfig { loss: loss.clone(), class_weights, ..config(7, 3) };
        let mut trainer = Trainer::new(network.clone(), config);
        trainer.step(&data, 1.0).expect("finite losses");
        let stepped = trainer.network().parameters();
        for (place, (before, after)) in network.parameters().iter().zip(stepped).enumerate() {
            let moved = |by: f64| {
                let mut moved = network.clone();
                moved.parameters_mut()[place] += by;
                mean(&moved)
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((before - after - slope).abs() < 1e-8, "{loss:?}: {} {slope}", before - after);
        }
    }
}

/// Two dense layers; the second multiplies its one input by the largest `f32`.
fn overflowing(loss: Loss, shard_size: usize) -> Trainer<f32> {
    let mut network = network::<f32>(&[1], &[Dense::new(1).into(), Dense::new(2).into()]);
    network.parameters_mut().copy_from_slice(&[1.0, 0.0, f32::MAX, 1.0, 0.0, 0.0]);
    Trainer::new(network, TrainerConfig { loss, ..config(5, shard_size) })
}

fn of_loss(sample: usize, layer: Option<(usize, String)>) -> NonFinite {
    NonFinite { value: NonFiniteValue::Loss, sample: Some(sample), layer }
}

fn failure(mut trainer: Trainer<f32>, inputs: &[f32]) -> NonFinite {
    let before = trainer.network().digest();
    let samples = samples([inputs.to_vec(), vec![0.0; 2 * inputs.len()]], inputs.len());
    let error = trainer.step(&samples, 0.1).expect_err("a loss that is not finite");
    assert_eq!(trainer.network().digest(), before, "the parameters are as before");
    error
}

#[test]
fn a_loss_that_is_not_finite_names_sample_and_layer_and_changes_nothing() {
    for shard_size in [2, 5] {
        let trainer = || overflowing(Loss::mean_squared_error(), shard_size);
        let error = failure(trainer(), &[0.0, 0.5, 1.0, 4.0, 9.0]);
        assert_eq!(error, of_loss(3, Some((1, "Dense 2 outputs".into()))));
        assert_eq!(
            error.to_string(),
            "loss: expected a finite number for sample 3, got NaN or infinity; \
             layer 1 (Dense 2 outputs) is the first whose output is not finite"
        );
        let error = failure(trainer(), &[0.0, 1.0, 0.0, 0.0, f32::NAN]);
        assert_eq!(error, of_loss(4, Some((0, "Dense 1 outputs".into()))));
    }
}

#[test]
fn a_loss_that_overflows_on_its_own_names_no_layer() {
    let mut network =
        network::<f64>(&[1], &[Dense::new(1).into(), Tanh.into(), Dense::new(1).into()]);
    network.parameters_mut().copy_from_slice(&[1.0, 0.0, 1e200, 0.0]);
    let config = TrainerConfig { loss: Loss::mean_squared_error(), ..config(2, 1) };
    let mut trainer = Trainer::new(network, config);
    let samples = samples([vec![0.0, 1.0], vec![0.0; 2]], 2);
    let error = trainer.step(&samples, 0.1).expect_err("a loss that is not finite");
    assert_eq!(error, of_loss(1, None));
    assert_eq!(
        error.to_string(),
        "loss: expected a finite number for sample 1, got NaN or infinity"
    );
}

#[test]
#[should_panic = "step: expected 1 to 12 samples, got 13"]
fn more_samples_than_the_batch_size_panic() {
    let mut trainer = Trainer::new(notebook::<f32>(), config(12, 4));
    let samples = random(trainer.network(), 13, 1);
    let _ = trainer.step(&samples, 0.1);
}

#[test]
#[should_panic = "input: expected at most 2 samples of (1, 11, 9), got 100 numbers"]
fn an_input_of_broken_samples_panics() {
    let network = notebook::<f32>();
    let mut workspace = Workspace::new(&network, 2);
    network.predict(&[0.0; 100], &mut workspace);
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let refused = |config: TrainerConfig| {
        let build = || Trainer::new(network::<f32>(&[2], &[Dense::new(2).into()]), config);
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(build));
        *panic.expect_err("a panic").downcast::<String>().expect("a message")
    };
    let new = |loss| TrainerConfig::new(loss, Optimizer::sgd(), [2, 2]);
    let usual = || new(Loss::mean_squared_error());
    for (config, wanted) in [
        (TrainerConfig { clip_norm: Some(-1.0), ..usual() }, "clip_norm: expected a finite number"),
        (TrainerConfig { average: Some(f64::NAN), ..usual() }, "average: expected a number from 0"),
        (new(Loss::smooth_cross_entropy(5.0)), "loss: invalid value"),
        (new(layers::Huber { delta: -1.0 }.into()), "expected a finite number above 0"),
    ] {
        let message = refused(config);
        assert!(message.contains(wanted), "{message}");
    }
}

/// Three dense layers of one unit. The outputs are 0, and what comes back overflows on its way to
/// the first layer.
fn exploding(optimizer: Optimizer, shard_size: usize) -> Trainer<f32> {
    let mut network = network::<f32>(&[1], &[1, 1, 1].map(|units| Dense::new(units).into()));
    network.parameters_mut().copy_from_slice(&[0.0, 0.0, 1e30, 0.0, 1e30, 0.0]);
    let loss = Loss::binary_cross_entropy_with_logits();
    Trainer::new(network, TrainerConfig { loss, optimizer, ..config(4, shard_size) })
}

#[test]
fn a_gradient_that_is_not_finite_stops_its_own_step() {
    let samples = samples([vec![0.0, 1.0, 1.0, 0.0], vec![0.0; 4]], 4);
    for (optimizer, shard_size) in
        [(Optimizer::sgd(), 4), (Optimizer::sgd(), 2), (Optimizer::adam(), 4)]
    {
        let mut trainer = exploding(optimizer, shard_size);
        let error = trainer.step(&samples, 1e-3).expect_err("a gradient that is not finite");
        assert_eq!(error.value, NonFiniteValue::Gradient);
        assert_eq!(error.sample, Some(0));
        assert_eq!(error.layer, Some((0, "Dense 1 outputs".into())));
        let text = "gradient: expected a finite number for sample 0, got NaN or infinity in layer 0 \
                    (Dense 1 outputs)";
        assert_eq!(error.to_string(), text);
        let (left, before) = (trainer.network().parameters(), [0.0, 0.0, 1e30, 0.0, 1e30, 0.0]);
        let unchanged = if trainer.config().steps_in_layers() { 2 } else { 6 };
        assert_eq!(left[..unchanged], before[..unchanged]);
        assert!(left.iter().all(|x| x.is_finite()));
    }
}

#[test]
fn parameters_that_a_step_breaks_are_noticed_after_it() {
    let samples = samples([vec![0.0, 1.0, 1.0, 0.5], vec![2.0; 4]], 4);
    let trainer = |shard_size| {
        let mut network = network::<f32>(&[1], &[Dense::new(1).into()]);
        network.parameters_mut().fill(1.0);
        let loss = Loss::mean_squared_error();
        Trainer::new(network, TrainerConfig { loss, ..config(4, shard_size) })
    };
    let expected = NonFinite {
        value: NonFiniteValue::Parameter,
        sample: None,
        layer: Some((0, "Dense 1 outputs".into())),
    };
    let rate = f64::from(f32::MAX);
    assert_eq!(trainer(2).step(&samples, 4.0 * rate).map(|_| ()), Err(expected.clone()));
    // A step in the layers is left to the next one, or to the end of the epoch.
    trainer(4).step(&samples, 4.0 * rate).expect("a step");
    let epoch = Epochs::new(1, 4.0 * rate).next().unwrap();
    assert_eq!(trainer(4).epoch(&samples, &epoch).map(|_| ()), Err(expected));
}
