//! One sample on its way through a network and back: the formulas with its numbers in them.
//!
//! Every number is the library's own, from both passes in the model's precision; only the finite
//! differences are computed in `f64`, and the sums that are shown beside the library's.

mod backward;
mod calculation;
mod choice;
mod forward;
pub(crate) mod html;
mod loss;
mod nudge;
mod number;
mod scene;
mod taps;
#[cfg(test)]
mod tests;
pub(crate) mod text;

use anyhow::Context as _;
use layers::{BackwardStart, LayerSpec, Loss, Mode, Network, NetworkSpec};
use serde::Serialize;
use tensor::{Correlation, Element};

use crate::passes::{Passes, Stage};

pub(crate) use choice::Choice;

use calculation::{Calculation, Named, Step};
use loss::LossWalk;
use nudge::Nudges;
use scene::{Scene, name};

/// What is explained.
pub(crate) struct Subject<'a> {
    /// The picture as numbers, in `f64`.
    pub(crate) input: &'a [f64],
    pub(crate) loss: &'a Loss,
    /// The class that is the target; the predicted one if it is not known.
    pub(crate) label: Option<u8>,
    /// The names of the classes, in the order of the outputs.
    pub(crate) classes: &'a [String],
    pub(crate) choice: Choice,
}

/// Everything that is shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Walk {
    pub(crate) precision: &'static str,
    /// The class with the largest output.
    pub(crate) predicted: usize,
    /// The class that is the target, and whether it is known.
    pub(crate) label: usize,
    pub(crate) label_is_known: bool,
    pub(crate) classes: Vec<String>,
    #[serde(skip)]
    pub(crate) layers: Vec<LayerWalk>,
    #[serde(skip)]
    pub(crate) loss: LossWalk,
}

/// A layer in both passes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LayerWalk {
    /// Its number; of a layer inside another, both: `3.1`.
    pub(crate) layer: String,
    pub(crate) name: String,
    pub(crate) input_shape: Vec<usize>,
    pub(crate) output_shape: Vec<usize>,
    pub(crate) formula: String,
    pub(crate) gradient_formulas: Vec<&'static str>,
    /// Why this output is shown.
    pub(crate) rule: String,
    pub(crate) forward: Step,
    pub(crate) backward: Vec<Step>,
    #[serde(skip)]
    pub(crate) maps: Maps,
    #[serde(skip)]
    pub(crate) correlation: Option<Weights>,
}

/// All numbers of a layer for the sample.
#[derive(Clone, Debug)]
pub(crate) struct Maps {
    /// The output that is shown.
    pub(crate) at: usize,
    pub(crate) input: Vec<f64>,
    pub(crate) output: Vec<f64>,
    pub(crate) input_gradient: Vec<f64>,
    pub(crate) output_gradient: Vec<f64>,
}

/// The correlation of a convolution, with its numbers.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    pub(crate) geometry: Correlation,
    pub(crate) kernels: Vec<f64>,
    /// None, one for each kernel, or one for each output.
    pub(crate) bias: Vec<f64>,
}

impl Walk {
    /// Runs the sample through the network, forward and backward.
    ///
    /// # Errors
    /// If the network has no such place as is chosen, or an output that is not finite.
    pub(crate) fn new<T: Element>(
        network: &Network<T>,
        wide: &Network<f64>,
        subject: &Subject<'_>,
    ) -> anyhow::Result<Self> {
        let Subject { loss, classes, choice, .. } = *subject;
        choice.check(network.spec().layers.len())?;
        let input: Vec<T> = subject.input.iter().map(|&x| T::from_f64(x)).collect();
        let mut passes = Passes::new(network, &input, Mode::Inference);
        passes.forward();
        let output = passes.output().to_vec();
        let predicted = layers::answer(&output)
            .context("expected outputs that are numbers, found one that is not")?;
        let label = subject.label.map_or(predicted, usize::from);
        let mut target = vec![T::ZERO; output.len()];
        target[label] = T::ONE;
        passes.backward(loss, &target, 1.0);
        let input_gradient = passes.input_gradient();

        let start = BackwardStart::new(network.spec(), loss).layers();
        let mut layers = Vec::new();
        let place = Place { choice, prefix: String::new(), outer: None };
        walk(&passes, (&input, &input_gradient), &place, &mut layers)?;
        if let Some(last) = layers.last_mut().filter(|_| start < passes.stages().len()) {
            skip_last(last, &target, loss);
        }
        let last = passes.stages().last().map_or(&[][..], |stage| &stage.run.output_gradient[..]);
        let class = |place: usize| classes[place].clone();
        let mut loss_walk = LossWalk::new(loss, [&output, &target, last], label, class);

        let target: Vec<f64> = target.iter().map(|t| t.to_f64()).collect();
        let input: Vec<f64> = input.iter().map(|x| x.to_f64()).collect();
        let nudges = Nudges::new(wide, (&input, &target), loss);
        let steps = layers.iter_mut().flat_map(|layer| &mut layer.backward);
        steps.chain([&mut loss_walk.gradient]).for_each(|step| nudges.apply(step));
        Ok(Self {
            precision: T::NAME,
            predicted,
            label,
            label_is_known: subject.label.is_some(),
            classes: classes.to_vec(),
            layers,
            loss: loss_walk,
        })
    }
}

/// Where layers are: in the network, or inside of one of its layers.
struct Place {
    choice: Choice,
    /// What comes before their numbers, `3.`.
    prefix: String,
    /// The layer that they are inside of, and where their parameters begin among its own.
    outer: Option<(usize, usize)>,
}

/// Adds these layers, first to last, each followed by those inside of it.
fn walk<T: Element>(
    passes: &Passes<'_, T>,
    (mut input, mut input_gradient): (&[T], &[T]),
    place: &Place,
    layers: &mut Vec<LayerWalk>,
) -> anyhow::Result<()> {
    let mut offset = place.outer.map_or(0, |(_, start)| start);
    for stage in passes.stages() {
        let index = stage.layer.index;
        let run = &stage.run;
        let numbered = place.outer.is_none().then_some(index);
        let shape = run.layer().output_shape();
        let (at, rule) = place.choice.of(numbered, (shape, &run.output))?;
        let (layer, start) = match place.outer {
            Some((layer, _)) => (layer, offset),
            None => (index, 0),
        };
        let mut scene = Scene {
            spec: stage.layer.spec,
            run,
            input,
            input_gradient,
            at,
            layer,
            inside: place.outer.map(|_| start),
            through: None,
        };
        let label = format!("{}{index}", place.prefix);
        if let LayerSpec::Residual(block) = stage.layer.spec {
            let spec = NetworkSpec {
                input: run.layer().input_shape().dims().to_vec(),
                layers: block.layers().to_vec(),
            };
            let mut network = spec.build::<T>()?;
            network.parameters_mut().copy_from_slice(&run.parameters);
            network.buffers_mut().copy_from_slice(&run.buffers);
            let mut inner = Passes::new(&network, input, Mode::Inference);
            inner.forward();
            inner.backward_from(&run.output_gradient);
            let back = inner.input_gradient();
            scene.through = Some([inner.output(), &back]);
            layers.push(layer_walk(&scene, stage, label.clone(), rule));
            let place = Place {
                choice: Choice::default(),
                prefix: format!("{label}."),
                outer: Some((layer, start)),
            };
            walk(&inner, (input, &back), &place, layers)?;
        } else {
            layers.push(layer_walk(&scene, stage, label, rule));
        }
        offset += run.parameters.len();
        (input, input_gradient) = (&run.output, &run.output_gradient);
    }
    Ok(())
}

fn layer_walk<T: Element>(
    scene: &Scene<'_, T>,
    stage: &Stage<'_, T>,
    layer: String,
    rule: String,
) -> LayerWalk {
    let wide = |numbers: &[T]| -> Vec<f64> { numbers.iter().map(|x| x.to_f64()).collect() };
    let (run, formula) = (scene.run, forward::formula(scene.spec));
    let has_bias = scene.array("bias").is_some();
    let gradient_formulas = backward::formulas(scene.spec).iter().copied();
    let gradient_formulas = gradient_formulas.filter(|of| has_bias || !of.starts_with("∂E/∂B"));
    LayerWalk {
        layer,
        name: stage.layer.spec.summary(),
        input_shape: scene.input_shape().dims().to_vec(),
        output_shape: scene.output_shape().dims().to_vec(),
        formula: if has_bias { formula.to_owned() } else { formula.replace("B_d + ", "") },
        gradient_formulas: gradient_formulas.collect(),
        rule,
        forward: forward::step(scene),
        backward: backward::steps(scene),
        maps: Maps {
            at: scene.at,
            input: wide(scene.input),
            output: wide(&run.output),
            input_gradient: wide(scene.input_gradient),
            output_gradient: wide(&run.output_gradient),
        },
        correlation: run.layer().correlation().map(|&geometry| Weights {
            geometry,
            kernels: wide(scene.parameters("weight")),
            bias: wide(scene.parameters("bias")),
        }),
    }
}

/// Of a last sigmoid and a binary cross-entropy, the derivatives cancel: the backward pass begins
/// before the sigmoid.
fn skip_last<T: Element>(last: &mut LayerWalk, target: &[T], loss: &Loss) {
    last.gradient_formulas =
        vec!["∂E/∂x = (y − t) / n: those of loss and sigmoid, multiplied, cancel to this"];
    let at = last.maps.at;
    let count = target.len();
    for step in &mut last.backward {
        let output = Named::new(name("Y", count.into(), at), last.maps.output[at]);
        let target = Named::new(format!("t[{at}]"), target[at].to_f64());
        step.formula = format!("({} − {}) / {count}", output.name, target.name);
        let weight = loss
            .class_weights()
            .map(|weights| Named::new(format!("weight of class {at}"), weights.as_slice()[at]));
        let scale = weight.as_ref().map_or(1.0, |weight| weight.value);
        let value = Some(scale * (output.value - target.value) / count as f64);
        if let Some(weight) = &weight {
            step.formula += &format!(" · {}", weight.name);
        }
        let numbers = [output, target].into_iter().chain(weight).collect();
        step.calculation = Calculation::Function { numbers, value };
    }
}
