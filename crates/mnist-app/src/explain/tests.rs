//! Every kind of layer has a walk whose numbers are right.

use layers::{
    BatchNorm2d, BinaryCrossEntropyWithLogits, ClassWeights, Conv2d, Dense, Flatten, Init,
    LayerSpec, Loss, Network, NetworkSpec, Padding, Relu, Residual, Sigmoid, SoftmaxCrossEntropy,
};
use tensor::Element;

use super::calculation::{Calculation, Step};
use super::{Choice, Subject, Walk, html, text};
use crate::model::chosen::ChosenPicture;
use crate::preprocessing::Normalization;
use crate::width::WIDTH;

#[allow(dead_code)]
#[path = "../../../layers/examples/06-every-layer.rs"]
mod every_layer;

const CLASSES: usize = 3;

/// The networks of the example, each with a dense layer with three outputs at its end, and one with
/// a batch normalisation inside a residual block.
fn specs() -> Vec<NetworkSpec> {
    let block = Residual::new()
        .add(Conv2d::new(2, 3).padding(Padding::Same))
        .add(BatchNorm2d::new())
        .add(Relu)
        .add(Residual::new().add(Conv2d::new(2, 3).padding(Padding::Same)));
    let nested: every_layer::Example = (&[2, 9, 7], vec![Relu.into(), block.into()]);
    let ends = || [Flatten.into(), Dense::new(CLASSES).into()];
    let examples = every_layer::examples().into_iter().chain([nested]);
    let spec = |(input, layers): every_layer::Example| NetworkSpec {
        input: input.to_vec(),
        layers: layers.into_iter().chain(ends()).collect(),
    };
    examples.map(spec).collect()
}

/// A network whose running statistics are not those it starts with.
fn network<T: Element>(spec: &NetworkSpec) -> Network<T> {
    let mut network = spec.build::<T>().unwrap();
    network.initialize(Init::He, 3);
    for (at, number) in network.buffers_mut().iter_mut().enumerate() {
        *number += T::from_f64(0.1 + 0.05 * (at % 5) as f64);
    }
    network
}

fn wide<T: Element>(network: &Network<T>) -> Network<f64> {
    let mut wide = network.spec().build::<f64>().unwrap();
    let convert = |from: &[T], to: &mut [f64]| {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = from.to_f64());
    };
    convert(network.parameters(), wide.parameters_mut());
    convert(network.buffers(), wide.buffers_mut());
    wide
}

fn pixels(spec: &NetworkSpec) -> Vec<u8> {
    let len: usize = spec.input.iter().product();
    (0..len).map(|at| u8::try_from((at * 37 + at / 5) % 256).unwrap()).collect()
}

fn input(spec: &NetworkSpec) -> Vec<f64> {
    pixels(spec).iter().map(|&x| f64::from(f32::from(x) / 255.0)).collect()
}

fn walk<T: Element>(spec: &NetworkSpec, loss: &Loss, label: Option<u8>, choice: Choice) -> Walk {
    let network = network::<T>(spec);
    let classes = ["ant", "bee", "cat"].map(String::from);
    let subject = Subject { input: &input(spec), loss, label, classes: &classes, choice };
    Walk::new(&network, &wide(&network), &subject).unwrap()
}

fn steps(walk: &Walk) -> impl Iterator<Item = &Step> {
    let of_layers =
        walk.layers.iter().flat_map(|layer| [&layer.forward].into_iter().chain(&layer.backward));
    of_layers.chain([&walk.loss.gradient])
}

/// What is shown comes to the library's number, and so does the finite difference.
#[track_caller]
fn check(walk: &Walk, epsilon: f64) {
    for step in steps(walk) {
        assert!(step.value.is_finite(), "{step:?}");
        if let Calculation::Sum(sum) = &step.calculation {
            // Minimal filtering rounds more than the sum as it is written.
            let bound = 64.0 * epsilon * sum.size();
            assert!((sum.total() - step.value).abs() <= bound, "{step:?}");
        }
        if let Calculation::Function { numbers, value } = &step.calculation {
            // Probabilities, and differences from them, are as exact as 1 is.
            let size = numbers.iter().fold(1.0, |size: f64, number| size.max(number.value.abs()));
            let apart = (value.expect("a value") - step.value).abs();
            assert!(apart <= 4000.0 * epsilon * size, "{step:?}");
        }
        if let Some(nudge) = &step.nudge {
            let size = nudge.gradient.abs().max(1e-3);
            let apart = (nudge.gradient - step.value).abs();
            assert!(apart <= 4000.0 * epsilon * size, "{step:?}");
            assert!(nudge.digits().is_none_or(|digits| digits >= 5), "{nudge:?}");
        }
    }
}

#[test]
fn every_layer_is_walked_through_both_ways() {
    let mut met = Vec::new();
    for spec in specs() {
        let loss = Loss::softmax_cross_entropy();
        let walk_32 = walk::<f32>(&spec, &loss, Some(1), Choice::default());
        check(&walk_32, f64::from(f32::EPSILON));
        check(&walk::<f64>(&spec, &loss, Some(1), Choice::default()), f64::EPSILON);
        assert!(walk_32.layers.iter().all(|layer| !layer.backward.is_empty()), "{spec:?}");
        met.extend(spec.layers.iter().map(LayerSpec::type_name));
        let text = text::lines(&walk_32, "a picture", None);
        let long = text.lines().find(|line| line.chars().count() > WIDTH);
        assert_eq!(long, None, "{text}");
        for layer in &walk_32.layers {
            // Once forward and once backward.
            assert_eq!(text.matches(&format!("\n{:>2} ", layer.layer)).count(), 2, "{text}");
        }
        page_shows_all(&walk_32, &spec);
    }
    let missing = LayerSpec::TYPES.iter().find(|name| !met.contains(name));
    assert_eq!(missing, None);
}

/// The page has the library's number of every step.
#[track_caller]
fn page_shows_all(walk: &Walk, spec: &NetworkSpec) {
    let [channels, height, width] = spec.input[..] else { panic!("a picture") };
    let pixels = pixels(spec);
    let shape = [channels, height, width];
    let (name, label, notes) = ("a <picture>".to_owned(), None, vec![]);
    let normalization = Normalization::Unit;
    let picture = ChosenPicture { name, shape, pixels, normalization, label, notes };
    let page = html::page(walk, &picture).unwrap();
    assert!(page.contains("a &lt;picture&gt;") && !page.contains("a <picture>"));
    for step in steps(walk) {
        let found = page.split("data-name=\"").skip(1).any(|rest| {
            let value = rest.split("value=\"").nth(1).and_then(|value| value.split('"').next());
            let value = value.and_then(|value| value.parse::<f32>().ok()).map(f64::from);
            rest.starts_with(&format!("{}\"", step.name)) && value == Some(step.value)
        });
        assert!(found, "{}", step.name);
    }
}

#[test]
fn inner_layers_are_numbered_and_their_weights_nudged() {
    let spec = specs().pop().unwrap();
    let walk = walk::<f32>(&spec, &Loss::softmax_cross_entropy(), None, Choice::default());
    let numbers: Vec<_> = walk.layers.iter().map(|layer| &*layer.layer).collect();
    assert_eq!(numbers, ["0", "1", "1.0", "1.1", "1.2", "1.3", "1.3.0", "2", "3"]);
    let nudged = |layer: usize| {
        walk.layers[layer].backward.iter().filter(|step| step.nudge.is_some()).count()
    };
    // Weight and bias of both convolutions, scale and shift of the normalisation.
    assert_eq!([2, 3, 4, 6].map(nudged), [2, 2, 0, 2]);
}

#[test]
fn every_loss_has_its_numbers() {
    let layers = vec![Flatten.into(), Dense::new(CLASSES).into(), Sigmoid.into()];
    for loss in Loss::ALL.iter().cloned().chain([Loss::smooth_cross_entropy(0.1)]) {
        let spec = NetworkSpec { input: vec![1, 4, 4], layers: layers.clone() };
        let walk = walk::<f64>(&spec, &loss, Some(2), Choice::default());
        let total: f64 = walk.loss.rows.iter().map(|row| row.term).sum();
        assert!((total - walk.loss.value).abs() < 1e-14, "{loss:?}");
        check(&walk, f64::EPSILON);
        let cancels = loss.of_logits().is_some();
        let last = walk.layers.last().unwrap();
        assert_eq!(last.gradient_formulas[0].contains("cancel"), cancels);
    }
}

#[test]
fn what_rounding_changes_is_said() {
    let layers = vec![Flatten.into(), Dense::new(CLASSES).into()];
    let spec = NetworkSpec { input: vec![1, 4, 4], layers };
    let mut network = network::<f32>(&spec);
    *network.parameters_mut().last_mut().unwrap() = 6.0;
    let (loss, classes) = (Loss::softmax_cross_entropy(), ["ant", "bee", "cat"].map(String::from));
    let choice = Choice::default();
    let input = &input(&spec);
    let subject = Subject { input, loss: &loss, label: Some(2), classes: &classes, choice };
    let walk = Walk::new(&network, &wide(&network), &subject).unwrap();
    // A probability near 1 less the target: nearly all digits cancel.
    assert!(walk.loss.gradient.value.abs() < 0.02);
    let text = text::lines(&walk, "a picture", None);
    let text = text.split("gradient of the output").nth(1).unwrap();
    let (formula, library) = (text.find("= the formula"), text.find("rounding "));
    assert!(formula.is_some() && formula < library && library < text.find("nudged"), "{text}");
}

#[test]
fn class_weights_are_in_the_formula() {
    let layers = vec![Flatten.into(), Dense::new(CLASSES).into()];
    let spec = NetworkSpec { input: vec![1, 4, 4], layers };
    let weights = || Some(ClassWeights::new(&[1.0, 2.0, 0.5]));
    let smooth =
        |label_smoothing| SoftmaxCrossEntropy { label_smoothing, class_weights: weights() };
    let binary = BinaryCrossEntropyWithLogits { class_weights: weights() };
    for loss in [
        Loss::SoftmaxCrossEntropy(smooth(0.0)),
        Loss::SoftmaxCrossEntropy(smooth(0.1)),
        Loss::BinaryCrossEntropyWithLogits(binary),
    ] {
        let walk = walk::<f64>(&spec, &loss, Some(2), Choice::default());
        check(&walk, f64::EPSILON);
        let step = &walk.loss.gradient;
        let Calculation::Function { numbers, .. } = &step.calculation else { panic!("{step:?}") };
        let number = |start: &str| {
            let found = numbers.iter().find(|number| number.name.starts_with(start));
            found.map(|number| number.value)
        };
        let (p, w) = (number("p[2]").unwrap(), number("w[2]").unwrap());
        let target = number("s[2]").or_else(|| number("t[2]")).unwrap();
        let expected = match number("Σ_j w_j ") {
            Some(sum) => p * sum - w * target,
            None => w * (p - target) / number("n").unwrap(),
        };
        assert!((expected - step.value).abs() < 1e-14, "{step:?}");
        assert!(step.formula.contains("w[2]"), "{step:?}");
    }
}

#[test]
fn places_are_chosen_or_refused() {
    let spec = specs().remove(0);
    let loss = Loss::softmax_cross_entropy();
    let choice = |layer, kernel, at| Choice { layer: Some(layer), kernel, at };
    let walk = walk::<f32>(&spec, &loss, None, choice(0, Some(2), Some([5, 7])));
    assert_eq!(walk.layers[0].forward.name, "Y_2[5,7]");
    let network = network::<f32>(&spec);
    for (choice, expected) in [
        (choice(9, None, None), "--layer: expected a layer from 0 to 3, found 9"),
        (choice(0, Some(6), None), "--kernel: expected from 0 to 5"),
        (choice(0, None, Some([26, 0])), "--at: expected from 0,0 to 25,25"),
        (choice(3, None, Some([0, 0])), "choose one of them with --kernel"),
    ] {
        let classes = ["ant", "bee", "cat"].map(String::from);
        let (input, label) = (input(&spec), None);
        let subject = Subject { input: &input, loss: &loss, label, classes: &classes, choice };
        let found = Walk::new(&network, &wide(&network), &subject).unwrap_err().to_string();
        assert!(found.contains(expected), "{found}");
    }
}
