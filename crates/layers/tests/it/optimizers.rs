//! Optimizers and schedules against PyTorch, in double precision; and what a run needs to
//! go on where it was left.

use layers::{
    Dense, InMemory, Loss, Network, Optimizer, Schedule, Tanh, Trainer, TrainerConfig, TrainerState,
};
use serde::Deserialize;

use crate::fixtures::{Fixtures, assert_close};
use crate::pytorch::read;
use crate::samples::{bits, network, random, samples};

#[derive(Deserialize)]
struct Description {
    optimizer: Optimizer,
    rate: f64,
    clip_norm: Option<f64>,
    average: Option<f64>,
}

/// The network of the problem that the fixtures' optimizers solve.
fn start(fixtures: &Fixtures) -> Network<f64> {
    let problem = fixtures.case("problem");
    let mut network = Network::builder([5])
        .add(Dense::new(11))
        .add(Tanh)
        .add(Dense::new(3))
        .build()
        .expect("fits");
    for (parameter, range) in network.named_parameters() {
        network.parameters_mut()[range].copy_from_slice(&problem.numbers(&parameter.name));
    }
    network
}

fn batches(fixtures: &Fixtures) -> Vec<InMemory<'static, f64>> {
    let problem = fixtures.case("problem");
    let [steps, len] = problem.array("inputs").shape[..2] else { panic!("two axes") };
    let (inputs, targets) = (problem.numbers("inputs"), problem.numbers("targets"));
    let steps = inputs.chunks(inputs.len() / steps).zip(targets.chunks(targets.len() / steps));
    steps.map(|(inputs, targets)| samples([inputs.to_vec(), targets.to_vec()], len)).collect()
}

#[test]
fn twenty_steps_of_every_optimizer_agree_with_pytorch() {
    let (fixtures, descriptions) = read::<Description>("optimizers.safetensors");
    let batches = batches(&fixtures);
    for (case, description) in descriptions {
        for shard_size in [7, 2] {
            let Description { optimizer, rate, clip_norm, average } = description;
            let config = TrainerConfig::new(Loss::mean_squared_error(), optimizer, [7, shard_size]);
            let config = TrainerConfig { clip_norm, average, ..config };
            let mut trainer = Trainer::new(start(&fixtures), config);
            let expected = fixtures.case(&case).array("parameters");
            let rows = expected.numbers.chunks(expected.shape[1]);
            for (step, (batch, expected)) in batches.iter().zip(rows).enumerate() {
                trainer.step(batch, rate).expect("finite losses");
                let found = trainer.network().parameters();
                assert_close(found, expected, 1e-12, &format!("{case}, step {step}"));
            }
            let averaged = trainer.averaged_network();
            let expected = &fixtures.case(&case).array("average").numbers;
            assert_close(averaged.parameters(), expected, 1e-12, &format!("{case}, average"));
        }
    }
}

#[derive(Deserialize)]
struct ScheduleDescription {
    schedule: Schedule,
    rate: f64,
}

#[test]
fn schedules_agree_with_pytorch() {
    let (fixtures, descriptions) = read("schedules.safetensors");
    for (case, ScheduleDescription { schedule, rate }) in descriptions {
        let expected = &fixtures.case(&case).array("rates").numbers;
        let total = expected.len();
        let found: Vec<_> = (0..total).map(|step| schedule.rate(rate, step, total)).collect();
        for (step, (found, expected)) in found.iter().zip(expected).enumerate() {
            let close = (found - expected).abs() <= 1e-9 * expected + 1e-15 * rate;
            assert!(close, "{case}, step {step}: expected {expected}, got {found}");
        }
    }
}

/// Every length from 1 to 400 and every hundredth of it, at one step each.
#[test]
fn schedules_of_every_length_agree_with_pytorch() {
    let fixtures = Fixtures::read("schedules.safetensors");
    let sampled = fixtures.case("sampled");
    // As the script that wrote them.
    let step = |total: usize, hundredth: usize| (31 * hundredth + 7 * total) % total;
    let check = |schedule: &Schedule, total, hundredth, expected: f64| {
        let found = schedule.rate(0.05, step(total, hundredth), total);
        let close = (found - expected).abs() <= 1e-12 * expected + 1e-16;
        assert!(close, "{schedule:?} of {total}: expected {expected}, got {found}");
    };
    let (start_divisor, end_divisor) = (25.0, 10_000.0);
    let mut left_out = 0;
    for (at, &expected) in sampled.array("one_cycle").numbers.iter().enumerate() {
        let (total, hundredth) = (at / 100 + 1, at % 100);
        if expected.is_nan() {
            // Where PyTorch divides by zero: a rise of a single step.
            assert_eq!(hundredth * total, 100, "{total}");
            left_out += 1;
            continue;
        }
        let rise = hundredth as f64 / 100.0;
        check(&Schedule::OneCycle { rise, start_divisor, end_divisor }, total, hundredth, expected);
    }
    assert!(left_out < 10, "{left_out}");
    for (name, end) in [("cosine", 0.0), ("cosine-0.1", 0.1)] {
        let rates = &sampled.array(name).numbers;
        assert_eq!(rates.len(), 400);
        for (at, &expected) in rates.iter().enumerate() {
            check(&Schedule::Cosine { end, warmup: 0.0 }, at + 1, 0, expected);
        }
    }
}

/// Enough parameters for three parts of the optimizer's pass.
fn wide() -> Network<f32> {
    network(&[151], &[Dense::new(211).into(), Tanh.into(), Dense::new(3).into()])
}

fn everything(optimizer: Optimizer) -> TrainerConfig {
    let config = TrainerConfig::new(Loss::mean_squared_error(), optimizer, [9, 2]);
    TrainerConfig { clip_norm: Some(0.1), average: Some(0.9), ..config }
}

fn in_pool<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool").install(run)
}

fn steps(trainer: &mut Trainer<f32>, steps: std::ops::Range<u64>) -> (Vec<u8>, TrainerState<f32>) {
    for step in steps {
        let samples = random(trainer.network(), 9, step);
        trainer.step(&samples, 0.01).expect("finite losses");
    }
    (bits(trainer.network().parameters()), trainer.state().clone())
}

#[test]
fn threads_change_no_bit_of_any_optimizer() {
    let nesterov = Optimizer::nesterov(0.9).with_weight_decay(0.1, false);
    let adamw = Optimizer::adamw().with_weight_decay(0.1, false);
    let [rmsprop, lion] = [Optimizer::rmsprop(), Optimizer::lion().with_weight_decay(0.1, false)];
    for optimizer in [Optimizer::sgd(), nesterov, Optimizer::adam(), adamw, rmsprop, lion] {
        let run = || steps(&mut Trainer::new(wide(), everything(optimizer)), 0..4);
        let one = in_pool(1, run);
        assert!(one == in_pool(2, run) && one == in_pool(3, run), "{optimizer:?}");
    }
}

#[test]
fn a_run_goes_on_from_its_state() {
    let config = everything(Optimizer::adam());
    let mut whole = Trainer::new(wide(), config.clone());
    let expected = steps(&mut whole, 0..6);
    let mut first = Trainer::new(wide(), config.clone());
    let (_, state) = steps(&mut first, 0..3);
    let mut second = Trainer::new(first.into_network(), config);
    second.restore(state);
    assert!(steps(&mut second, 3..6) == expected);
    let averages = [whole, second].map(|trainer| bits(trainer.averaged_network().parameters()));
    assert!(averages[0] == averages[1]);
}

#[test]
#[should_panic = "restore: lengths of momentum, squares and average"]
fn the_state_of_another_optimizer_is_refused() {
    let state = Trainer::new(wide(), everything(Optimizer::sgd())).state().clone();
    Trainer::new(wide(), everything(Optimizer::adam())).restore(state);
}
