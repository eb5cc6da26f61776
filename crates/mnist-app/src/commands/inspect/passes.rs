//! A forward and a backward pass that keep all intermediate values.

use layers::{BackwardStart, Draw, LayerRun, Loss, Mode, Network, NetworkLayer};
use tensor::{Element, Scratch, Shape};

use super::report::{LayerLine, Statistics};

/// Samples on their way through a network as one batch in one shard, in the mode of
/// training.
///
/// Unlike in a [`layers::Workspace`], each layer has memory of its own for both passes: nothing
/// works in place, and the gradient of every output is still there at the end.
pub(super) struct Passes<'a, T> {
    network: &'a Network<T>,
    input: &'a [T],
    samples: usize,
    stages: Vec<Stage<'a, T>>,
    scratch: Scratch<T>,
}

/// A layer and its numbers for all samples.
struct Stage<'a, T> {
    layer: NetworkLayer<'a, T>,
    run: LayerRun<'a, T>,
    /// For each output of an activation, whether its derivative is close to 0 there.
    saturated: Option<Vec<bool>>,
}

impl<'a, T: Element> Passes<'a, T> {
    /// For the samples in `input`; dropout draws from `seed`.
    pub(super) fn new(network: &'a Network<T>, input: &'a [T], seed: u64) -> Self {
        let samples = input.len() / network.input_shape().len();
        let mode = Mode::Training(Draw { seed, ..Draw::default() });
        let stage = |layer: NetworkLayer<'a, T>| Stage {
            layer,
            run: layer.run(layer.layer, samples, mode),
            saturated: None,
        };
        let stages = network.layers().map(stage).collect();
        Self { network, input, samples, stages, scratch: Scratch::sequential() }
    }

    /// Runs all layers forward.
    pub(super) fn forward(&mut self) {
        let mut input = self.input;
        for stage in &mut self.stages {
            stage.run.forward(input, &mut self.scratch);
            stage.find_saturated(input, &mut self.scratch);
            input = &stage.run.output;
        }
    }

    /// Runs all layers backward from the gradient of the samples' mean loss.
    pub(super) fn backward(&mut self, loss: &Loss, targets: &[T]) {
        let Self { input, samples, stages, scratch, .. } = self;
        let spec = self.network.spec();
        let (len, scale) = (targets.len() / *samples, 1.0 / *samples as f64);
        let start = BackwardStart::new(spec, loss);
        let last = stages.len() - 1;
        let (before, rest) = stages.split_at_mut(last);
        let LayerRun { output, output_gradient, .. } = &mut rest[0].run;
        // The gradient of the output is shown in any case.
        let shown = BackwardStart::at_output(spec);
        shown.gradient(loss, [output, targets], len, scale, output_gradient);
        if let Some(stage) = before.get_mut(start.layers() - 1) {
            start.gradient(loss, [output, targets], len, scale, &mut stage.run.output_gradient);
        }
        for index in (0..start.layers()).rev() {
            let (before, rest) = stages.split_at_mut(index);
            let (input, gradient) = match before.last_mut() {
                Some(Stage { run, .. }) => (&run.output[..], Some(&mut run.output_gradient[..])),
                None => (*input, None),
            };
            rest[0].run.backward(input, gradient, scratch);
        }
    }

    /// The network's outputs.
    pub(super) fn output(&self) -> &[T] {
        self.stages.last().map_or(self.input, |stage| &stage.run.output)
    }

    /// A line about each layer.
    pub(super) fn lines(&self) -> Vec<LayerLine> {
        self.stages.iter().map(|stage| stage.line(self.samples)).collect()
    }
}

impl<T: Element> Stage<'_, T> {
    /// Finds the derivative by the layer's own backward pass of a gradient of ones.
    fn find_saturated(&mut self, input: &[T], scratch: &mut Scratch<T>) {
        const SHARE: f64 = 0.01;
        let Some(largest) = self.layer.spec.largest_derivative() else { return };
        let mut derivatives = vec![T::ZERO; input.len()];
        self.run.output_gradient.fill(T::ONE);
        self.run.backward(input, Some(&mut derivatives), scratch);
        let small = |derivative: &T| derivative.to_f64().abs() < SHARE * largest;
        self.saturated = Some(derivatives.iter().map(small).collect());
    }

    fn line(&self, samples: usize) -> LayerLine {
        let NetworkLayer { index, spec, layer, parameters, .. } = self.layer;
        let shape = layer.output_shape();
        let share = |flags: &Vec<bool>| {
            flags.iter().filter(|&&flag| flag).count() as f64 / flags.len() as f64
        };
        let learns = !parameters.is_empty();
        LayerLine {
            layer: index,
            name: spec.summary(),
            shape: shape.dims().to_vec(),
            output: Statistics::of(&self.run.output),
            saturated: self.saturated.as_ref().map(share),
            units: unit(shape).1,
            dead: self.saturated.as_ref().map(|flags| dead(flags, shape, samples)),
            gradient_rms: root_mean_square(&self.run.output_gradient),
            parameters: parameters.len(),
            parameter_gradient: learns
                .then(|| root_mean_square(&self.run.gradients) / root_mean_square(parameters)),
        }
    }
}

/// How many numbers of a sample belong to one unit, and how many units there are: of an
/// image, a unit is a channel.
fn unit(shape: Shape) -> (usize, usize) {
    match *shape.dims() {
        [channels, height, width] => (height * width, channels),
        _ => (1, shape.len()),
    }
}

/// How many units are saturated everywhere in every sample.
fn dead(saturated: &[bool], shape: Shape, samples: usize) -> usize {
    let (len, units) = unit(shape);
    let everywhere = |start: usize| saturated[start * len..][..len].iter().all(|&flag| flag);
    let is_dead = |unit: &usize| (0..samples).all(|n| everywhere(n * units + unit));
    (0..units).filter(is_dead).count()
}

fn root_mean_square<T: Element>(numbers: &[T]) -> f64 {
    let squares = numbers.iter().map(|x| x.to_f64() * x.to_f64());
    (squares.sum::<f64>() / numbers.len() as f64).sqrt()
}
