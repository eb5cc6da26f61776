//! What a preset's network answers to an image has the same bits alone and among others, on
//! every level and number of threads: outputs, losses and classes.
//!
//! One test function: the level is a property of the process.

use layers::{Loss, Network, NetworkSpec, Workspace};
use mnist_app::dataset::{DataSource, Part, Samples};
use mnist_app::evaluation::{Evaluation, Evaluator};
use mnist_app::preprocessing::Form;
use mnist_app::presets;
use tensor::simd::{Level, set_level};
use tensor::{Element, reduce};

/// The answers to so many images, one after another.
fn alone<T: Element>(
    network: &Network<T>,
    loss: &Loss,
    samples: &Samples,
    count: usize,
) -> Evaluation {
    let mut workspace = Workspace::for_inference(network, 1);
    let mut input = vec![T::ZERO; network.input_shape().len()];
    let mut target = vec![T::ZERO; network.output_shape().len()];
    let mut all = Evaluation { losses: Vec::new(), predictions: Vec::new(), outputs: Vec::new() };
    for index in 0..count {
        samples.write_image(index, &mut input);
        samples.write_target(index, &mut target);
        let output = network.predict(&input, &mut workspace);
        all.losses.push(loss.value(output, &target));
        let class = reduce::argmax(output).map(|class| u8::try_from(class).expect("a digit"));
        all.predictions.push(class);
        all.outputs.extend(output.iter().map(|output| output.to_f64()));
    }
    all
}

/// That the answers to the first images are those alone, to the bit.
#[track_caller]
fn assert_same(found: &Evaluation, alone: &Evaluation, what: &str) {
    let bits = |numbers: &[f64]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let count = found.losses.len();
    let outputs = &alone.outputs[..found.outputs.len()];
    assert!(bits(&found.outputs) == bits(outputs), "{what}: outputs");
    assert!(bits(&found.losses) == bits(&alone.losses[..count]), "{what}: losses");
    assert!(found.predictions == alone.predictions[..count], "{what}: predictions");
}

/// One network on the first images, so many of them at most.
fn check<T: Element>(what: &str, spec: &NetworkSpec, loss: &Loss, samples: &Samples, most: usize) {
    let mut network = spec.build::<T>().expect("layers that fit");
    network.initialize(layers::Init::He, 1);
    let samples = samples.clone().fit(&network).expect("images that fit");
    let answers = |threads, count: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let samples = samples.clone().first(Some(count));
        pool.expect("a pool of threads").install(|| {
            let evaluator = Evaluator::new(&network, count, 0);
            evaluator.expect("memory").evaluate(&network, loss, &samples)
        })
    };
    // The fastest first: the portable level is compared with it, on a few images.
    let levels: Vec<_> = Level::available().collect();
    let mut expected: Option<Evaluation> = None;
    for &level in levels.iter().rev() {
        set_level(level).expect("an available level");
        if let Some(expected) = expected.as_ref().filter(|_| level == Level::Portable) {
            assert_same(&answers(2, 2), expected, &format!("{what} on {level}"));
            continue;
        }
        let alone = alone(&network, loss, &samples, most);
        let expected = expected.get_or_insert_with(|| alone.clone());
        assert_same(&alone, expected, &format!("{what} on {level}, one by one"));
        for (threads, count) in [(1, 2), (1, 17), (2, 65), (3, 5), (3, 64)] {
            let count = count.min(most);
            let found = answers(threads, count);
            let what = format!("{what} on {level}, {count} images, {threads} threads");
            assert_eq!(found.losses.len(), count, "{what}");
            assert_same(&found, expected, &what);
        }
    }
}

#[test]
fn the_answer_to_an_image_does_not_depend_on_those_beside_it() {
    let samples = DataSource::Mnist.load(Part::Test, &Form::default()).unwrap().first(Some(65));
    let mut met: Vec<NetworkSpec> = Vec::new();
    for name in presets::names() {
        let mut experiment = presets::experiment(name).unwrap();
        experiment.fill([1, 28, 28], 10);
        for spec in experiment.networks.all() {
            if !met.contains(spec) {
                // Six convolutions take a hundred times as long as one.
                let (single, double) = if spec.layers.len() > 20 { (17, 2) } else { (65, 5) };
                check::<f32>(name, spec, &experiment.loss, &samples, single);
                check::<f64>(&format!("{name} in f64"), spec, &experiment.loss, &samples, double);
                met.push(spec.clone());
            }
        }
    }
    assert!(met.len() >= 5, "{} networks", met.len());
}
