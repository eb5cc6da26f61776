//! A forward and a backward pass that keep everything.

use layers::{Context, Draw, Layer, LayerSpec, Loss, Mode, Network, Pass};
use tensor::{Element, Scratch, Shape};

use super::report::{LayerLine, Statistics};

/// Samples on their way through a network as one batch in one shard, in the mode of
/// training.
///
/// Unlike in a [`layers::Workspace`], each layer has memory of its own both ways: nothing
/// works in place, and the gradient of every output is still there at the end.
pub(super) struct Passes<'a, T> {
    input: &'a [T],
    samples: usize,
    stages: Vec<Stage<T>>,
    scratch: Scratch<T>,
}

/// A layer and its numbers for all samples.
struct Stage<T> {
    spec: LayerSpec,
    layer: Box<dyn Layer<T>>,
    mode: Mode,
    parameters: Vec<T>,
    state: Vec<T>,
    observed: Vec<T>,
    memory: Vec<T>,
    output: Vec<T>,
    output_gradient: Vec<T>,
    gradients: Vec<T>,
    /// For each output whether the function's derivative is next to nothing there; of
    /// layers that are such a function.
    saturated: Option<Vec<bool>>,
}

impl<'a, T: Element> Passes<'a, T> {
    /// For the samples in `input`; `seed` is what dropouts draw from.
    pub(super) fn new(network: &Network<T>, input: &'a [T], seed: u64) -> anyhow::Result<Self> {
        let samples = input.len() / network.input_shape().len();
        let (mut parameters, mut state) = (network.parameters(), network.state());
        let mut shape = network.input_shape();
        let mut stages = Vec::new();
        for (index, spec) in network.spec().layers.iter().enumerate() {
            let layer = spec.build::<T>(shape)?;
            shape = layer.output_shape();
            let draw = Draw { seed, layer: index as u64 + 1, ..Draw::default() };
            let parameters = take(&mut parameters, layer.parameters().iter().map(|p| p.shape));
            stages.push(Stage {
                spec: spec.clone(),
                mode: Mode::Training(draw),
                state: take(&mut state, layer.state().iter().map(|p| p.shape)),
                observed: vec![T::ZERO; layer.observed()],
                memory: vec![T::ZERO; samples * layer.memory()],
                output: vec![T::ZERO; samples * shape.len()],
                output_gradient: vec![T::ZERO; samples * shape.len()],
                gradients: vec![T::ZERO; parameters.len()],
                parameters,
                saturated: None,
                layer,
            });
        }
        Ok(Self { input, samples, stages, scratch: Scratch::sequential() })
    }

    /// Runs all layers forward.
    pub(super) fn forward(&mut self) {
        let mut input = self.input;
        for stage in &mut self.stages {
            stage.forward(input, &mut self.scratch);
            stage.find_saturated(input, &mut self.scratch);
            input = &stage.output;
        }
    }

    /// Runs all layers backward from the gradient of the samples' mean loss.
    pub(super) fn backward(&mut self, loss: &Loss, targets: &[T]) {
        let Self { input, samples, stages, scratch } = self;
        let scale = 1.0 / *samples as f64;
        let last = stages.len() - 1;
        stages[last].start_backward(loss, targets, scale, *samples);
        let in_sigmoid = matches!(stages[last].spec, LayerSpec::Sigmoid(_));
        let mut next = last;
        if let Some(loss) = loss.of_logits().filter(|_| in_sigmoid && last > 0) {
            next -= 1;
            stages[next].start_backward(&loss, targets, scale, *samples);
        }
        for index in (0..=next).rev() {
            let (before, rest) = stages.split_at_mut(index);
            let (input, gradient) = match before.last_mut() {
                Some(stage) => (&stage.output[..], Some(&mut stage.output_gradient[..])),
                None => (*input, None),
            };
            rest[0].backward(input, gradient, scratch);
        }
    }

    /// The network's outputs.
    pub(super) fn output(&self) -> &[T] {
        self.stages.last().map_or(self.input, |stage| &stage.output)
    }

    /// What there is to say of each layer.
    pub(super) fn lines(&self) -> Vec<LayerLine> {
        let stages = self.stages.iter().enumerate();
        stages.map(|(index, stage)| stage.line(index, self.samples)).collect()
    }
}

impl<T: Element> Stage<T> {
    fn forward(&mut self, input: &[T], scratch: &mut Scratch<T>) {
        let Self { layer, parameters, state, observed, memory, output, mode, .. } = self;
        let context = Context { scratch, mode: *mode, state, observed, memory };
        layer.forward(parameters, input, output, context);
    }

    /// Writes the gradient of `scale` times the sum of the losses.
    fn start_backward(&mut self, loss: &Loss, targets: &[T], scale: f64, samples: usize) {
        let len = targets.len() / samples;
        let rows = self.output.chunks_exact(len).zip(targets.chunks_exact(len));
        for ((y, t), gradient) in rows.zip(self.output_gradient.chunks_exact_mut(len)) {
            loss.gradient(y, t, scale, gradient);
        }
    }

    fn backward(
        &mut self,
        input: &[T],
        input_gradient: Option<&mut [T]>,
        scratch: &mut Scratch<T>,
    ) {
        let Self { layer, parameters, state, observed, memory, mode, gradients, .. } = self;
        let pass = Pass { input, output: &self.output, output_gradient: &self.output_gradient };
        let context = Context { scratch, mode: *mode, state, observed, memory };
        layer.backward(parameters, pass, gradients, input_gradient, context);
    }

    /// Asks the layer itself for its derivative: what it makes of a gradient of ones.
    fn find_saturated(&mut self, input: &[T], scratch: &mut Scratch<T>) {
        const SHARE: f64 = 0.01;
        let Some(largest) = self.spec.largest_derivative() else { return };
        let mut derivatives = vec![T::ZERO; input.len()];
        self.output_gradient.fill(T::ONE);
        self.backward(input, Some(&mut derivatives), scratch);
        let small = |derivative: &T| derivative.to_f64().abs() < SHARE * largest;
        self.saturated = Some(derivatives.iter().map(small).collect());
    }

    fn line(&self, index: usize, samples: usize) -> LayerLine {
        let shape = self.layer.output_shape();
        let share = |flags: &Vec<bool>| {
            flags.iter().filter(|&&flag| flag).count() as f64 / flags.len() as f64
        };
        let learns = !self.parameters.is_empty();
        LayerLine {
            layer: index,
            name: self.spec.summary(),
            shape: shape.dims().to_vec(),
            output: Statistics::of(&self.output),
            saturated: self.saturated.as_ref().map(share),
            units: unit(shape).1,
            dead: self.saturated.as_ref().map(|flags| dead(flags, shape, samples)),
            gradient_rms: root_mean_square(&self.output_gradient),
            parameters: self.parameters.len(),
            parameter_gradient: learns
                .then(|| root_mean_square(&self.gradients) / root_mean_square(&self.parameters)),
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

/// Takes the numbers of arrays of these shapes from the front.
fn take<T: Element>(rest: &mut &[T], shapes: impl Iterator<Item = Shape>) -> Vec<T> {
    let (own, others) = rest.split_at(shapes.map(|shape| shape.len()).sum());
    *rest = others;
    own.to_vec()
}
