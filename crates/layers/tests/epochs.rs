//! Samples in memory, and what an epoch makes of them.

use layers::{
    Dataset, Dense, Epochs, Init, Inputs, Loss, Network, NonFinite, NonFiniteValue, Optimizer,
    Schedule, Subset, Tanh, Trainer, TrainerConfig,
};

fn written(data: &impl Dataset<f32>, index: usize, lens: [usize; 2]) -> [Vec<f32>; 2] {
    let [mut input, mut target] = lens.map(|len| vec![f32::NAN; len]);
    data.write(index, &mut input, &mut target);
    [input, target]
}

#[test]
fn samples_are_written_with_their_targets() {
    let bytes = Inputs::bytes(&[0, 51, 255, 0]).with_classes(&[2_u16, 0], 3).unwrap();
    assert_eq!(written(&bytes, 0, [2, 3]), [vec![0.0, 0.2], vec![0.0, 0.0, 1.0]]);
    assert_eq!(written(&bytes, 1, [2, 3]), [vec![1.0, 0.0], vec![1.0, 0.0, 0.0]]);
    let targets = vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
    let data = Inputs::numbers(&[1.0, 2.0, 3.0]).with_targets(targets, 2).unwrap();
    assert_eq!(written(&data, 1, [1, 2]), [vec![2.0], vec![0.3, 0.4]]);
    let subset = Subset::new(&data, &[2, 1]);
    assert_eq!((data.len(), subset.len()), (3, 2));
    assert_eq!(written(&subset, 0, [1, 2]), [vec![3.0], vec![0.5, 0.6]]);
}

#[test]
fn what_is_no_data_set_is_told() {
    let inputs = || Inputs::<f32>::bytes(&[0; 6]);
    let told = |data: Result<_, layers::DatasetError>| {
        data.map(|_: layers::InMemory<'_, f32>| ()).map_err(|error| error.to_string())
    };
    let classes = |labels: &[i64], classes| told(inputs().with_classes(labels, classes));
    let targets = |len, outputs| told(inputs().with_targets(vec![0.0; len], outputs));
    assert_eq!(classes(&[0, 1, 2], 3), Ok(()));
    assert_eq!(targets(6, 2), Ok(()));
    for (found, expected) in [
        (classes(&[], 3), "expected at least one sample, found no targets"),
        (classes(&[0, -1], 3), "expected classes from 0 to 2, found -1 for sample 1"),
        (classes(&[0, 1], 0), "expected at least one class, found 0, and 0 for sample 0"),
        (
            classes(&[0; 4], 3),
            "expected equally many inputs for each of 4 samples, as there are 4 targets, \
             found 6 in all",
        ),
        (targets(7, 2), "expected 2 targets for each sample, found 7 in all"),
        (targets(7, 0), "expected 0 targets for each sample, found 7 in all"),
    ] {
        assert_eq!(found, Err(format!("data set: {expected}")));
    }
}

const INPUTS: [f64; 10] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
const LABELS: [u8; 10] = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1];

fn trainer(batch_size: usize) -> Trainer<f64> {
    let network = Network::builder([1]).add(Dense::new(3)).add(Tanh).add(Dense::new(2));
    let mut network = network.build().expect("the layers fit");
    network.initialize(Init::Xavier, 1);
    let sizes = [batch_size, 2];
    Trainer::new(
        network,
        TrainerConfig::new(Loss::softmax_cross_entropy(), Optimizer::sgd(), sizes),
    )
}

#[test]
fn epochs_are_counted_and_shuffled_each_in_its_own_order() {
    let epochs: Vec<_> = Epochs::new(3, 0.1).collect();
    assert_eq!(epochs.iter().map(layers::Epoch::number).collect::<Vec<_>>(), [1, 2, 3]);
    let orders: Vec<_> = epochs.iter().map(|epoch| epoch.order(7, 10)).collect();
    assert!(orders[0] != orders[1] && orders[1] != orders[2]);
    let second = Epochs::new(3, 0.1).nth(1).expect("three epochs");
    assert_eq!(second.order(7, 10), orders[1]);
    let mut unsorted = Epochs::new(1, 0.1).shuffle(false);
    assert!(unsorted.next().expect("an epoch").order(7, 10).is_sorted());
}

#[test]
fn an_epoch_learns_from_each_sample_once_at_the_schedules_rates() {
    let data = Inputs::numbers(&INPUTS).with_classes(&LABELS, 2).expect("a data set");
    let mut trainer = trainer(4);
    let mut seen = Vec::new();
    let epochs = Epochs::new(40, 0.5).schedule(Schedule::Cosine { end: 0.0, warmup: 0.0 });
    let mut reports = Vec::new();
    for epoch in epochs {
        let report = trainer.epoch_with(&data, &epoch, |rate, step| {
            seen.push((rate, step.losses.len()));
        });
        reports.push(report.expect("finite losses"));
    }
    assert_eq!(seen[..3].iter().map(|(_, samples)| *samples).collect::<Vec<_>>(), [4, 4, 2]);
    assert_eq!((seen.len(), seen[0].0), (120, 0.5));
    assert!(seen.is_sorted_by(|(before, _), (after, _)| before > after));
    let (first, last) = (reports[0], reports[39]);
    assert_eq!((last.epoch, last.epochs, last.samples), (40, 40, 10));
    assert_eq!(last.learning_rate, seen[119].0);
    assert!(last.loss < first.loss && last.accuracy() >= 0.8, "{first}; {last}");
    assert!(last.to_string().starts_with("epoch 40 of 40: loss 0."), "{last}");
    let evaluation = trainer.network().evaluate(&data, &trainer.config().loss);
    assert_eq!((evaluation.losses.len(), evaluation.outputs.len()), (10, 20));
    assert!(evaluation.loss() < first.loss && evaluation.accuracy() >= 0.8);
}

#[test]
fn a_loss_that_is_not_finite_names_the_sample_in_the_data() {
    let mut inputs = INPUTS;
    inputs[6] = f64::NAN;
    let data = Inputs::numbers(&inputs).with_classes(&LABELS, 2).expect("a data set");
    let epoch = Epochs::new(1, 0.1).next().expect("an epoch");
    let error = trainer(3).epoch(&data, &epoch).expect_err("a loss that is not finite");
    assert_eq!(
        error,
        NonFinite {
            value: NonFiniteValue::Loss,
            sample: Some(6),
            layer: Some((0, "Dense 3 outputs".into())),
        }
    );
}

#[test]
#[should_panic = "data set: expected 1 inputs a sample, as the network has"]
fn samples_of_another_size_are_refused() {
    let data = Inputs::numbers(&INPUTS).with_classes(&LABELS[..5], 2).expect("a data set");
    let epoch = Epochs::new(1, 0.1).next().expect("an epoch");
    let _ = trainer(3).epoch(&data, &epoch);
}
