//! Layers that draw and layers that gather: dropout and batch normalisation, in networks
//! that are trained, cut into shards, kept in files and resumed.

use layers::{
    BatchNorm2d, Conv2d, Dense, Draw, Dropout, Flatten, GroupNorm, LayerRun, LayerSpec, Loss, Mode,
    Network, Optimizer, Relu, Residual, Subset, Trainer, TrainerConfig, Workspace, load_weights,
    network_of, save_weights,
};
use tensor::{Element, Scratch};

use crate::samples::{arrays, bits, network, normal, random, samples};

/// Drops `p` of 1000 ones in each of 3 samples.
fn dropped(p: f64, mode: Mode) -> Vec<f32> {
    let network = Network::<f32>::builder([1000]).add(Dropout::new(p)).build().expect("fits");
    let mut workspace = Workspace::new(&network, 3);
    network.forward(&[1.0; 3000], &mut workspace, mode);
    workspace.output().to_vec()
}

#[test]
fn dropout_keeps_the_mean_and_inference_changes_nothing() {
    let output = dropped(0.25, Mode::training());
    let kept = output.iter().filter(|&&y| y > 0.0).count();
    assert!(output.iter().all(|&y| y == 0.0 || y == 1.0 / 0.75));
    // Four standard deviations of 24.
    assert!((2155..=2345).contains(&kept), "{kept} of 3000 kept");
    assert_eq!(dropped(0.25, Mode::Inference), [1.0; 3000]);
    assert_eq!(dropped(0.0, Mode::training()), [1.0; 3000]);
}

#[test]
fn masks_differ_by_seed_step_sample_and_layer_and_by_nothing_else() {
    let at = |draw| dropped(0.5, Mode::Training(draw));
    let draw = Draw { seed: 1 << 40, step: 3, first_sample: 5, ..Draw::default() };
    let first = at(draw);
    assert_eq!(first, at(draw));
    let [a, b, c] = [&first[..1000], &first[1000..2000], &first[2000..]];
    assert!(a != b && b != c && a != c, "samples");
    // The next shard begins with the sample that came second.
    assert_eq!(at(Draw { first_sample: 6, ..draw })[..2000], first[1000..]);
    for other in [
        Draw { seed: draw.seed + 1, ..draw },
        Draw { seed: 0, ..draw },
        Draw { step: 4, ..draw },
        Draw { layer: 1, ..draw },
    ] {
        let agreeing = at(other).iter().zip(&first).filter(|(a, b)| a == b).count();
        assert!((1300..=1700).contains(&agreeing), "{other:?}: {agreeing} of 3000 equal");
    }
}

fn spec() -> Network<f64> {
    let block =
        Residual::new().add(Conv2d::new(3, 1)).add(BatchNorm2d::new()).add(Dropout::new(0.2));
    network(
        &[2, 5, 7],
        &[
            Conv2d::new(3, 3).into(),
            BatchNorm2d::new().momentum(0.25).into(),
            Relu.into(),
            block.into(),
            Flatten.into(),
            Dropout::new(0.4).into(),
            Dense::new(3).into(),
        ],
    )
}

fn trainer(network: Network<f64>, shard_size: usize) -> Trainer<f64> {
    let config =
        TrainerConfig::new(Loss::softmax_cross_entropy(), Optimizer::adam(), [7, shard_size]);
    Trainer::new(network, TrainerConfig { seed: 11, ..config })
}

fn steps(trainer: &mut Trainer<f64>, steps: std::ops::Range<u64>) -> [Vec<u8>; 2] {
    for step in steps {
        let samples = random(trainer.network(), 7, step);
        trainer.step(&samples, 0.01).expect("finite losses");
    }
    [bits(trainer.network().parameters()), bits(trainer.network().buffers())]
}

#[test]
fn threads_and_a_resumed_run_change_no_bit() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| steps(&mut trainer(spec(), 2), 0..5))
    };
    let expected = run(1);
    assert!(run(2) == expected && run(3) == expected);
    let mut first = trainer(spec(), 2);
    steps(&mut first, 0..3);
    let state = first.state().clone();
    let file = save_weights(first.network(), &[]).expect("a file");
    let mut second = trainer(network_of(&file).expect("the network"), 2);
    second.restore(state);
    assert!(steps(&mut second, 3..5) == expected);
}

#[test]
fn without_normalisation_shards_draw_the_same_masks() {
    // Sums of the same numbers in another order: equal but for rounding.
    let network = || network::<f64>(&[40], &[Dropout::new(0.5).into(), Dense::new(3).into()]);
    let whole = {
        let mut whole = trainer(network(), 7);
        steps(&mut whole, 0..2);
        whole.network().parameters().to_vec()
    };
    let mut cut = trainer(network(), 3);
    steps(&mut cut, 0..2);
    for (a, b) in cut.network().parameters().iter().zip(&whole) {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }
}

/// Of one channel: the mean and the unbiased variance of shards of 2, 2, and 1 samples.
#[test]
fn running_statistics_are_the_weighted_mean_of_the_shards() {
    let network = || {
        let layers = [BatchNorm2d::new().into(), Flatten.into(), Dense::new(2).into()];
        network::<f64>(&[1, 3, 4], &layers)
    };
    let config = TrainerConfig::new(Loss::mean_squared_error(), Optimizer::sgd(), [5, 2]);
    let mut trainer = Trainer::new(network(), config);
    let [inputs, targets] = arrays(trainer.network(), 5, 0);
    let [mut mean, mut variance] = [0.0, 0.0];
    for shard in inputs.chunks(24) {
        let (n, sum) = (shard.len() as f64, shard.iter().sum::<f64>());
        let squares: f64 = shard.iter().map(|x| (x - sum / n) * (x - sum / n)).sum();
        mean += n / 60.0 * sum / n;
        variance += n / 60.0 * squares / (n - 1.0);
    }
    assert_eq!(trainer.network().buffers(), [0.0, 1.0]);
    trainer.step(&samples([inputs, targets], 5), 0.01).expect("finite losses");
    let [running_mean, running_var] = trainer.network().buffers() else { panic!("two numbers") };
    assert!((running_mean - 0.1 * mean).abs() < 1e-12, "{running_mean}");
    assert!((running_var - (0.9 + 0.1 * variance)).abs() < 1e-12, "{running_var}");
    assert_eq!(trainer.averaged_network().buffers(), trainer.network().buffers());
}

/// Statistics of averaged parameters are those that the shards of its own pass have, at any
/// number of threads.
#[test]
fn the_state_of_an_averaged_network_is_measured_for_it() {
    let layers: [LayerSpec; 5] = [
        Conv2d::new(2, 2).into(),
        BatchNorm2d::new().into(),
        Residual::new().add(BatchNorm2d::new()).into(),
        Flatten.into(),
        Dense::new(2).into(),
    ];
    let config = TrainerConfig::new(Loss::mean_squared_error(), Optimizer::sgd(), [5, 2]);
    let config = TrainerConfig { average: Some(0.9), ..config };
    let mut trainer = Trainer::new(network(&[1, 3, 4], &layers), config);
    let many = arrays(trainer.network(), 350, 0);
    for step in 1..4 {
        let samples = random(trainer.network(), 5, step);
        trainer.step(&samples, 0.1).expect("finite losses");
    }
    let on = |threads, count| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let mut averaged = trainer.averaged_network();
            let first: Vec<_> = (0..count).collect();
            let many = samples(many.clone(), 350);
            trainer.measure_buffers(&mut averaged, &Subset::new(&many, &first));
            averaged
        })
    };
    // 5 samples are shards of 2, 2 and 1, 350 of them more than go through at a time.
    for count in [5, 350] {
        let averaged = on(1, count);
        assert!(on(3, count).buffers() == averaged.buffers());
        assert_eq!(averaged.parameters(), trainer.averaged_network().parameters());
        let mut first = network::<f64>(&[1, 3, 4], &layers[..1]);
        let parameters = first.parameters().len();
        first.parameters_mut().copy_from_slice(&averaged.parameters()[..parameters]);
        let mut workspace = Workspace::new(&first, 2);
        let mut expected = [0.0; 4];
        for at in (0..count).step_by(2) {
            let n = (count - at).min(2);
            let output = first.predict(&many[0][at * 12..(at + n) * 12], &mut workspace);
            for channel in 0..2 {
                let numbers: Vec<_> =
                    output.chunks_exact(6).skip(channel).step_by(2).flatten().collect();
                let len = numbers.len() as f64;
                let mean = numbers.iter().copied().sum::<f64>() / len;
                let squares: f64 = numbers.iter().map(|&x| (x - mean) * (x - mean)).sum();
                expected[channel] += mean * n as f64 / count as f64;
                expected[2 + channel] += squares / (len - 1.0) * n as f64 / count as f64;
            }
        }
        for (found, expected) in averaged.buffers().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        // The second normalisation sees what the first has normalised: its bias.
        let bias = &averaged.parameters()[parameters + 2..parameters + 4];
        for (mean, bias) in averaged.buffers()[4..6].iter().zip(bias) {
            assert!((mean - bias).abs() < 1e-12, "{mean} {bias}");
        }
        assert_ne!(averaged.buffers(), trainer.averaged_network().buffers());
    }
}

fn survives_a_file<T: Element>() {
    let mut network = spec().spec().build::<T>().expect("fits");
    let parameters = normal(network.parameters().len(), 1);
    network.parameters_mut().copy_from_slice(&parameters);
    // No variance is below 0.
    let state = normal::<T>(network.buffers().len(), 2)
        .into_iter()
        .map(|x| if x < T::ZERO { -x } else { x });
    network.buffers_mut().copy_from_slice(&state.collect::<Vec<_>>());
    let file = save_weights(&network, &[]).expect("a file");
    let read = network_of::<T>(&file).expect("the network");
    assert!(read.buffers() == network.buffers() && read.parameters() == network.parameters());
    let names: Vec<_> = network.named_buffers().into_iter().map(|(array, _)| array.name).collect();
    assert_eq!(names, ["1.running_mean", "1.running_var", "3.1.running_mean", "3.1.running_var"]);
}

#[test]
fn the_state_survives_a_file_under_the_names_of_pytorch() {
    survives_a_file::<f32>();
    survives_a_file::<f64>();
    let mut with = network::<f32>(&[1, 2, 3], &[BatchNorm2d::new().into()]);
    let without = network::<f32>(&[1, 2, 3], &[Flatten.into()]);
    let file = save_weights(&without, &[]).expect("a file");
    let error = load_weights(&mut with, &file).unwrap_err().to_string();
    assert!(error.contains("0.running_mean (1) is missing"), "{error}");
}

#[test]
fn the_memory_of_an_earlier_pass_changes_nothing() {
    let network = spec();
    let small = normal::<f64>(2 * 70, 3);
    let mut fresh = Workspace::new(&network, 5);
    let expected = network.predict(&small, &mut fresh).to_vec();
    let mut used = Workspace::new(&network, 5);
    network.forward(&normal(5 * 70, 4), &mut used, Mode::training());
    assert_eq!(network.predict(&small, &mut used), expected);
}

#[test]
fn a_backward_pass_of_inference_takes_running_statistics_as_constants() {
    let spec = || Network::<f64>::builder([2, 3, 4]).add(BatchNorm2d::new()).add(Relu);
    let groups = || Network::<f64>::builder([2, 3, 4]).add(GroupNorm::new(1)).add(Relu);
    for mut network in [spec().build().unwrap(), groups().build().unwrap()] {
        let vary = |numbers: &mut [f64]| {
            for (at, number) in numbers.iter_mut().enumerate() {
                *number += 0.3 + 0.1 * at as f64;
            }
        };
        vary(network.parameters_mut());
        vary(network.buffers_mut());
        let input: Vec<_> = (0..24).map(|at| f64::from(at * 7 % 13) / 5.0 - 1.0).collect();
        let layer = network.layers().next().unwrap();
        // The layer alone, and with the ReLU fused into it.
        for of in [layer.layer, layer.running] {
            let mut scratch = Scratch::sequential();
            let mut run = layer.run(of, 1, Mode::Inference);
            let factor = |at: usize| (at % 5) as f64 - 1.7;
            let mut sum = |run: &mut LayerRun<'_, f64>, input: &[f64]| -> f64 {
                run.forward(input, &mut scratch);
                run.output.iter().enumerate().map(|(at, y)| factor(at) * y).sum()
            };
            let mut slopes = Vec::new();
            const STEP: f64 = 1e-6;
            for at in 0..input.len() {
                let [above, below] = [STEP, -STEP].map(|by| {
                    let mut input = input.clone();
                    input[at] += by;
                    sum(&mut run, &input)
                });
                slopes.push((above - below) / (2.0 * STEP));
            }
            for at in 0..run.parameters.len() {
                let [above, below] = [STEP, -STEP].map(|by| {
                    run.parameters[at] += by;
                    let sum = sum(&mut run, &input);
                    run.parameters[at] -= by;
                    sum
                });
                slopes.push((above - below) / (2.0 * STEP));
            }
            sum(&mut run, &input);
            run.output_gradient.iter_mut().enumerate().for_each(|(at, g)| *g = factor(at));
            let mut gradient = vec![f64::NAN; input.len()];
            run.backward(&input, Some(&mut gradient), &mut scratch);
            gradient.extend_from_slice(&run.gradients);
            for (found, expected) in gradient.iter().zip(&slopes) {
                assert!((found - expected).abs() < 1e-6, "{found}, {expected}");
            }
            assert_eq!(gradient.len(), slopes.len());
        }
    }
}
