//! The finite difference: what the loss does when one number is a little larger or smaller.

use layers::{Loss, Mode, Network};
use tensor::Scratch;

use super::calculation::{Knob, Nudge, Step};
use crate::passes::Passes;

/// How far a number is nudged, unless it is so large that this would be lost.
pub(crate) const STEP: f64 = 1e-5;

/// The network in `f64`, with one sample's numbers.
pub(super) struct Nudges<'a> {
    pub(super) network: &'a Network<f64>,
    pub(super) passes: Passes<'a, f64>,
    pub(super) input: &'a [f64],
    pub(super) loss: &'a Loss,
    pub(super) target: &'a [f64],
    /// The gradient of the input, by the backward pass.
    input_gradient: Vec<f64>,
}

impl<'a> Nudges<'a> {
    pub(super) fn new(
        network: &'a Network<f64>,
        (input, target): (&'a [f64], &'a [f64]),
        loss: &'a Loss,
    ) -> Self {
        let mut passes = Passes::new(network, input, Mode::Inference);
        passes.forward();
        passes.backward(loss, target, 1.0);
        let input_gradient = passes.input_gradient();
        Self { network, passes, input, loss, target, input_gradient }
    }

    /// Nudges the number that the step is the gradient of, if there is one.
    pub(super) fn apply(&self, step: &mut Step) {
        let Some(knob) = &step.knob else { return };
        let value = self.value(knob);
        let by = self.step(knob, value);
        let [above, below] = [by, -by].map(|by| self.loss_with(knob, by));
        step.nudge = Some(Nudge {
            name: step.name.trim_start_matches("∂E/∂").to_owned(),
            step: by,
            above,
            below,
            quotient: (above - below) / (2.0 * by),
            gradient: self.gradient(knob),
        });
    }

    /// A probability near 0 or 1 is nudged by less.
    fn step(&self, knob: &Knob, value: f64) -> f64 {
        let is_probability = self.loss.domain() == layers::Domain::Probabilities;
        match knob {
            Knob::Output { .. } if is_probability => {
                let room = value.min(1.0 - value).max(1e-12);
                STEP.min(room * 1e-3)
            }
            _ => STEP * (value.abs() / 1000.0).max(1.0),
        }
    }

    fn value(&self, knob: &Knob) -> f64 {
        match *knob {
            Knob::Parameter { layer, place } => self.passes.stages()[layer].run.parameters[place],
            Knob::Input { layer, place } => self.input_of(layer)[place],
            Knob::Output { place } => self.passes.output()[place],
        }
    }

    fn gradient(&self, knob: &Knob) -> f64 {
        let stages = self.passes.stages();
        match *knob {
            Knob::Parameter { layer, place } => stages[layer].run.gradients[place],
            Knob::Input { layer: 0, place } => self.input_gradient[place],
            Knob::Input { layer, place } => stages[layer - 1].run.output_gradient[place],
            Knob::Output { place } => {
                stages.last().map_or(f64::NAN, |stage| stage.run.output_gradient[place])
            }
        }
    }

    fn input_of(&self, layer: usize) -> &[f64] {
        match layer {
            0 => self.input,
            _ => &self.passes.stages()[layer - 1].run.output,
        }
    }

    /// The loss with one number changed by `by`.
    fn loss_with(&self, knob: &Knob, by: f64) -> f64 {
        let stages = self.passes.stages().len();
        let (from, place) = match *knob {
            Knob::Parameter { layer, place } | Knob::Input { layer, place } => (layer, place),
            Knob::Output { place } => (stages, place),
        };
        let mut numbers = self.input_of(from).to_vec();
        if !matches!(knob, Knob::Parameter { .. }) {
            numbers[place] += by;
        }
        let mut scratch = Scratch::sequential();
        for layer in self.network.layers().skip(from) {
            let mut run = layer.run(layer.layer, 1, Mode::Inference);
            if matches!(knob, Knob::Parameter { .. }) && layer.index == from {
                run.parameters[place] += by;
            }
            run.forward(&numbers, &mut scratch);
            numbers = run.output.to_vec();
        }
        self.loss.value(&numbers, self.target)
    }
}
