//! A forward and a backward pass that keep all intermediate values.

use layers::{BackwardStart, LayerRun, LayerSpec, Loss, Mode, Network, NetworkLayer};
use tensor::{Element, Scratch, Shape};

/// Samples on their way through a network as one shard.
///
/// Unlike in a [`layers::Workspace`], each layer has memory of its own for both passes: nothing
/// works in place, and the gradient of every output is still there at the end.
pub(crate) struct Passes<'a, T> {
    network: &'a Network<T>,
    input: &'a [T],
    stages: Vec<Stage<'a, T>>,
    scratch: Scratch<T>,
}

/// A layer and its numbers for all samples.
pub(crate) struct Stage<'a, T> {
    pub(crate) layer: NetworkLayer<'a, T>,
    pub(crate) run: LayerRun<'a, T>,
    pub(crate) samples: usize,
    /// For each output of an activation, whether its derivative is close to 0 there.
    saturated: Option<Vec<bool>>,
}

impl<'a, T: Element> Passes<'a, T> {
    /// For the samples in `input`.
    pub(crate) fn new(network: &'a Network<T>, input: &'a [T], mode: Mode) -> Self {
        let samples = input.len() / network.input_shape().len();
        let stage = |layer: NetworkLayer<'a, T>| Stage {
            layer,
            run: layer.run(layer.layer, samples, mode),
            samples,
            saturated: None,
        };
        let stages = network.layers().map(stage).collect();
        Self { network, input, stages, scratch: Scratch::sequential() }
    }

    /// Runs all layers forward.
    pub(crate) fn forward(&mut self) {
        let mut input = self.input;
        for stage in &mut self.stages {
            stage.run.forward(input, &mut self.scratch);
            stage.find_saturated(input, &mut self.scratch);
            input = &stage.run.output;
        }
    }

    /// Runs all layers backward from the gradient of `scale` times the sum of the samples' losses.
    pub(crate) fn backward(&mut self, loss: &Loss, targets: &[T], scale: f64) {
        let Self { stages, .. } = self;
        let spec = self.network.spec();
        let len = self.network.output_shape().len();
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
        self.walk_back(start.layers());
    }

    /// Runs all layers backward from this gradient of the output.
    pub(crate) fn backward_from(&mut self, gradient: &[T]) {
        if let Some(stage) = self.stages.last_mut() {
            stage.run.output_gradient.copy_from_slice(gradient);
        }
        self.walk_back(self.stages.len());
    }

    /// Runs the first `layers` layers backward, last to first.
    fn walk_back(&mut self, layers: usize) {
        let Self { input, stages, scratch, .. } = self;
        for index in (0..layers).rev() {
            let (before, rest) = stages.split_at_mut(index);
            let (input, gradient) = match before.last_mut() {
                Some(Stage { run, .. }) => (&run.output[..], Some(&mut run.output_gradient[..])),
                None => (*input, None),
            };
            rest[0].run.backward(input, gradient, scratch);
        }
    }

    /// The gradient of the input, which a training step has no use for; after a backward pass.
    pub(crate) fn input_gradient(&mut self) -> Vec<T> {
        let mut gradient = vec![T::ZERO; self.input.len()];
        if let Some(first) = self.stages.first_mut() {
            first.run.backward(self.input, Some(&mut gradient), &mut self.scratch);
        }
        gradient
    }

    /// The network's outputs.
    pub(crate) fn output(&self) -> &[T] {
        self.stages.last().map_or(self.input, |stage| &stage.run.output)
    }

    /// The layers, first to last.
    pub(crate) fn stages(&self) -> &[Stage<'a, T>] {
        &self.stages
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

    /// For each output of an activation, whether the derivative is below 1 % of its largest value.
    pub(crate) fn saturated_outputs(&self) -> Option<&[bool]> {
        self.saturated.as_deref()
    }

    /// The share of outputs where the derivative is below 1 % of its largest value; of activations.
    pub(crate) fn saturated(&self) -> Option<f64> {
        let flags = self.saturated.as_ref()?;
        Some(flags.iter().filter(|&&flag| flag).count() as f64 / flags.len() as f64)
    }

    /// Whether it is an activation that squashes large numbers of either sign: where one of these
    /// is flat it has saturated, while others are flat on one side by design.
    pub(crate) fn squashes(&self) -> bool {
        matches!(self.layer.spec, LayerSpec::Sigmoid(_) | LayerSpec::Tanh(_))
    }

    /// How many units there are: channels if the output is an image, else numbers.
    pub(crate) fn units(&self) -> usize {
        unit(self.layer.layer.output_shape()).1
    }

    /// How many units are saturated everywhere in every sample; of activations.
    pub(crate) fn dead(&self) -> Option<usize> {
        let flags = self.saturated.as_ref()?;
        Some(dead(flags, self.layer.layer.output_shape(), self.samples))
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

/// The root of the mean of the squares.
pub(crate) fn root_mean_square<T: Element>(numbers: &[T]) -> f64 {
    let squares = numbers.iter().map(|x| x.to_f64() * x.to_f64());
    (squares.sum::<f64>() / numbers.len() as f64).sqrt()
}

/// A number with a minus sign instead of hyphens, as in formulas.
pub(crate) fn minus(number: &str) -> String {
    number.replace('-', "−")
}

/// Three digits after the point, or an exponent where these say little.
pub(crate) fn short(x: f64) -> String {
    let size = x.abs();
    if size == 0.0 || (1e-2..1e3).contains(&size) { format!("{x:.3}") } else { format!("{x:.1e}") }
}
