//! Runs that are left after any step and go on from a file, to the same bits.

use layers::{
    BatchNorm2d, Conv2d, Dense, Dropout, EpochProgress, EpochReport, EpochRun, Epochs, Evaluator,
    Flatten, Inputs, Loss, Optimizer, Relu, Trainer, TrainerConfig, load_trainer,
    load_trainer_and_best, save_trainer, save_trainer_and_best,
};
use tensor::Element;
use tensor::reduce::Total;

use crate::samples::{bits, network, normal};

const SAMPLES: usize = 11;

/// With all that a trainer can keep.
fn trainer<T: Element>() -> Trainer<T> {
    let layers = [
        Conv2d::new(2, 3).into(),
        BatchNorm2d::default().into(),
        Relu.into(),
        Flatten.into(),
        Dropout::new(0.2).into(),
        Dense::new(2).into(),
    ];
    let mut config = TrainerConfig::new(Loss::softmax_cross_entropy(), Optimizer::adam(), [4, 2]);
    config.average = Some(0.9);
    Trainer::new(network(&[1, 5, 4], &layers), config)
}

/// Trains three epochs; with `left`, in two trainers, the second of which goes on after so many
/// steps from the first one's file.
fn train<T: Element>(left: Option<usize>) -> (Trainer<T>, Vec<EpochReport>) {
    let inputs: Vec<T> = normal(SAMPLES * 20, 3);
    let labels: Vec<_> = (0..SAMPLES).map(|at| at % 2).collect();
    let data = Inputs::numbers(inputs).with_classes(&labels, 2).expect("a data set");
    let mut reports = Vec::new();
    let mut trainer = trainer::<T>();
    let mut steps = 0;
    for epoch in Epochs::new(3, 0.01) {
        let mut run = EpochRun::new(&epoch, &trainer, SAMPLES);
        while !run.is_done() {
            if left == Some(steps) {
                let file = save_trainer(&trainer, &[("note", "mine".into())]).expect("a file");
                trainer = self::trainer();
                load_trainer(&mut trainer, &file).expect("a trainer like it");
                let EpochProgress { steps, losses, correct } = run.progress();
                let (count, parts) = losses.parts();
                let losses = Total::restore(count, &parts).expect("whole parts");
                let progress = EpochProgress { steps: *steps, losses, correct: *correct };
                let anew = EpochRun::new(&epoch, &trainer, SAMPLES);
                run = anew.resume(progress).expect("as many steps");
            }
            run.step(&mut trainer, &data).expect("finite losses");
            steps += 1;
        }
        reports.push(run.report(&trainer).expect("finite parameters"));
    }
    (trainer, reports)
}

fn a_run_goes_on_after_any_step<T: Element>() {
    let (whole, reports) = train::<T>(None);
    for left in 0..9 {
        let (resumed, found) = train::<T>(Some(left));
        assert_eq!(found, reports, "{left}");
        assert_eq!(resumed.state(), whole.state(), "{left}");
        assert!(bits(resumed.network().parameters()) == bits(whole.network().parameters()));
        assert!(bits(resumed.network().buffers()) == bits(whole.network().buffers()));
    }
}

#[test]
fn a_run_goes_on_after_any_step_to_the_same_bits() {
    a_run_goes_on_after_any_step::<f32>();
    a_run_goes_on_after_any_step::<f64>();
}

#[test]
fn what_is_stopped_has_no_result_and_changes_nothing() {
    let inputs: Vec<f32> = normal(SAMPLES * 20, 3);
    let data = Inputs::numbers(inputs).with_classes(&[0; SAMPLES], 2).expect("a data set");
    let trainer = trainer::<f32>();
    let loss = &trainer.config().loss;
    let mut evaluator = Evaluator::new(trainer.network(), 2, 2);
    assert!(evaluator.evaluate_while(trainer.network(), loss, &data, || false).is_none());
    let evaluation = evaluator.evaluate_while(trainer.network(), loss, &data, || true);
    assert_eq!(evaluation, Some(evaluator.evaluate(trainer.network(), loss, &data)));
    let mut network = trainer.network().clone();
    assert!(!trainer.measure_buffers_while(&mut network, &data, || false));
    assert!(network.buffers() == trainer.network().buffers());
    assert!(trainer.measure_buffers_while(&mut network, &data, || true));
    assert!(network.buffers() != trainer.network().buffers());
}

#[test]
fn an_epoch_with_fewer_steps_than_were_taken_is_none() {
    let epoch = Epochs::new(1, 0.1).next().expect("an epoch");
    let run = EpochRun::new(&epoch, &trainer::<f32>(), SAMPLES);
    let steps = |steps| EpochProgress { steps, ..EpochProgress::default() };
    assert!(run.clone().resume(steps(3)).expect("three steps").is_done());
    assert!(run.resume(steps(4)).is_none());
}

#[test]
fn what_is_not_of_a_trainer_like_it_changes_nothing() {
    let mut trainer = trainer::<f32>();
    let before = (bits(trainer.network().parameters()), trainer.state().clone());
    let plain = |optimizer| {
        let config = TrainerConfig::new(Loss::softmax_cross_entropy(), optimizer, [4, 2]);
        let network = trainer.network().clone();
        save_trainer(&Trainer::new(network, config), &[]).expect("a file")
    };
    let (sgd, adam) = (plain(Optimizer::sgd()), plain(Optimizer::adam()));
    let double = save_trainer(&self::trainer::<f64>(), &[]).expect("a file");
    let weights = layers::save_weights(trainer.network(), &[]).expect("a file");
    for (file, expected) in [
        (&sgd, "momentum.0.weight (2, 1, 3, 3) is missing"),
        (&adam, "average.0.weight (2, 1, 3, 3) is missing"),
        (&double, "0.weight: expected (2, 1, 3, 3) of F32, got (2, 1, 3, 3) of F64"),
        (&weights, "expected the number of steps in __metadata__"),
    ] {
        let error = load_trainer(&mut trainer, file).expect_err("another trainer").to_string();
        assert!(error.contains(expected), "{error}");
        assert!((bits(trainer.network().parameters()), trainer.state().clone()) == before);
    }
    let error = save_trainer(&trainer, &[("steps", String::new())]).expect_err("a key of its own");
    assert!(error.to_string().contains("expected keys other than \"steps\""), "{error}");
}

#[test]
fn another_network_goes_with_a_trainer() {
    let (mut trainer, _) = train::<f32>(None);
    let mut best = trainer.network().clone();
    best.parameters_mut().iter_mut().for_each(|x| *x += 0.5);
    best.buffers_mut().iter_mut().for_each(|x| *x += 0.5);
    let file = save_trainer_and_best(&trainer, Some(&best), &[]).expect("a file");
    let alone = save_trainer(&trainer, &[]).expect("a file");
    let mut other = self::trainer::<f32>();
    let mut found = other.network().clone();
    load_trainer_and_best(&mut other, Some(&mut found), &file).expect("a trainer like it");
    let numbers = |network: &layers::Network<f32>| {
        [bits(network.parameters()), bits(network.buffers())].concat()
    };
    assert_eq!(numbers(&found), numbers(&best));
    assert_eq!(numbers(other.network()), numbers(trainer.network()));
    assert_eq!(other.state(), trainer.state());
    let again = save_trainer_and_best(&other, Some(&found), &[]).expect("a file");
    assert!(again == file && save_trainer(&other, &[]).expect("a file") == alone);
    // With and without it are two kinds of files.
    let before = numbers(&found);
    let error = load_trainer_and_best(&mut other, Some(&mut found), &alone).expect_err("no best");
    assert!(error.to_string().contains("best.0.weight (2, 1, 3, 3) is missing"), "{error}");
    assert_eq!(numbers(&found), before);
    let error = load_trainer(&mut trainer, &file).expect_err("one array too many").to_string();
    assert!(error.contains("best.0.weight"), "{error}");
}
