//! How long the layers of a network take, one by one, on the samples of one shard.

use std::time::Instant;

use layers::random::Stream;
use layers::{FusedInto, Layer, LayerRun, LayerSpec, Mode, Network, NetworkLayer, Role};
use tensor::simd::Level;
use tensor::{Buffer, Element, Scratch};

use super::report::{Direction, LayerLine};

/// Measures layers on samples of one shard.
pub(super) struct Bench<T> {
    pub(super) samples: usize,
    pub(super) simd: Level,
    /// Operations a second.
    pub(super) peak: f64,
    pub(super) repetitions: usize,
    /// Whether a training step leaves the descent to the layers.
    pub(super) steps_in_layers: bool,
    pub(super) scratch: Scratch<T>,
    pub(super) stream: Stream,
}

/// A layer that is measured.
struct Measured<'a, T> {
    layer: NetworkLayer<'a, T>,
    run: LayerRun<'a, T>,
    /// Whether a layer before it has parameters, so that its input's gradient is wanted.
    after_parameters: bool,
}

impl<T> Measured<'_, T> {
    /// Whether a call computes both gradients, of the parameters and of the input.
    fn is_both(&self, direction: Direction) -> bool {
        direction == Direction::BothGradients
            || direction == Direction::GradientsAndStep && self.after_parameters
    }
}

impl<T: Element> Bench<T> {
    /// All layers, first to last, each on the output of the one before it.
    pub(super) fn layers(&mut self, network: &Network<T>) -> Vec<LayerLine> {
        let mut lines = Vec::new();
        let mut input = pixels(&mut self.stream, self.samples * network.input_shape().len());
        let mut after_parameters = false;
        for layer in network.layers() {
            let run = layer.run(layer.running, self.samples, Mode::training());
            let mut measured = Measured { layer, run, after_parameters };
            let first = lines.len();
            lines.push(self.forward(&mut measured, &input));
            self.backward(&mut measured, &input, &mut lines);
            let elsewhere = match layer.fused_into {
                FusedInto::None => None,
                FusedInto::Next => Some("in the next layer"),
                FusedInto::Previous => Some("in the layer before"),
            };
            if let Some(elsewhere) = elsewhere {
                for line in &mut lines[first..] {
                    (line.in_step, line.kernel) = (false, Some(elsewhere.into()));
                }
            }
            after_parameters |= !layer.parameters.is_empty();
            input = measured.run.output;
        }
        lines
    }

    fn forward(&mut self, measured: &mut Measured<'_, T>, input: &[T]) -> LayerLine {
        let (repetitions, scratch) = (self.repetitions, &mut self.scratch);
        let Measured { layer, run, .. } = measured;
        run.forward(input, scratch);
        let seconds = match layer.running.in_place() {
            Some(running) if layer.in_place => {
                let mut data = Buffer::from(input);
                let restore = |data: &mut Buffer<T>| data.copy_from_slice(input);
                let call = |data: &mut Buffer<T>| running.forward_in_place(data, Mode::training());
                median(repetitions, &mut data, restore, call)
            }
            _ => median(repetitions, run, |_| {}, |run| run.forward(input, scratch)),
        };
        let sizes = [layer.parameters.len() + input.len(), run.output.len()];
        self.line(measured, Direction::Forward, seconds, sizes)
    }

    /// The calls of the backward pass that a training step may make.
    fn backward(
        &mut self,
        measured: &mut Measured<'_, T>,
        input: &[T],
        lines: &mut Vec<LayerLine>,
    ) {
        let gradient = &mut measured.run.output_gradient;
        gradient.fill_with(|| T::from_f64(self.stream.normal() * 1e-3));
        let parameters = measured.layer.parameters.len();
        let sizes = [input.len() + gradient.len(), parameters];
        let (learns, after_parameters) = (parameters > 0, measured.after_parameters);
        if learns {
            let seconds = self.gradients(&mut measured.run, input, false);
            let mut line = self.line(measured, Direction::ParameterGradient, seconds, sizes);
            line.in_step = !self.steps_in_layers && !after_parameters;
            lines.push(line);
        }
        if after_parameters {
            let mut line = self.input_gradient(measured, input);
            line.in_step = !(self.steps_in_layers && learns);
            lines.push(line);
        }
        if learns && self.steps_in_layers {
            let seconds = self.gradients_and_step(measured, input);
            let more = if after_parameters { input.len() } else { 0 };
            let sizes = [sizes[0] + parameters, sizes[1] + more];
            lines.push(self.line(measured, Direction::GradientsAndStep, seconds, sizes));
        }
    }

    /// The call that ends with the gradient of the input.
    fn input_gradient(&mut self, measured: &mut Measured<'_, T>, input: &[T]) -> LayerLine {
        let NetworkLayer { running: layer, in_place, parameters, .. } = measured.layer;
        let run = &mut measured.run;
        let seconds = match layer.in_place() {
            Some(layer) if in_place => {
                let LayerRun { output, output_gradient, .. } = &*run;
                let mut data = output_gradient.clone();
                let restore = |data: &mut Buffer<T>| data.copy_from_slice(output_gradient);
                let call =
                    |data: &mut Buffer<T>| layer.backward_in_place(output, data, Mode::training());
                median(self.repetitions, &mut data, restore, call)
            }
            _ => self.gradients(run, input, true),
        };
        let outputs = measured.run.output.len();
        let (direction, read) = if !parameters.is_empty() {
            (Direction::BothGradients, input.len() + parameters.len())
        } else if layer.keeps_values() {
            (Direction::InputGradient, 0)
        } else if layer.needs_output() {
            (Direction::InputGradient, outputs)
        } else {
            (Direction::InputGradient, input.len())
        };
        self.line(measured, direction, seconds, [read + outputs, parameters.len() + input.len()])
    }

    /// Seconds of the layer's backward pass with a step of descent.
    fn gradients_and_step(&mut self, measured: &mut Measured<'_, T>, input: &[T]) -> f64 {
        let mut input_gradient = measured.after_parameters.then(|| Buffer::zeros(input.len()));
        let (run, scratch) = (&mut measured.run, &mut self.scratch);
        let call = |run: &mut LayerRun<'_, T>| {
            // With a rate of 0 the work is the same, but no parameter changes.
            run.backward_and_step(input, T::ZERO, input_gradient.as_deref_mut(), scratch);
        };
        median(self.repetitions, run, |_| {}, call)
    }

    /// Seconds of the layer's backward pass.
    fn gradients(&mut self, run: &mut LayerRun<'_, T>, input: &[T], of_input: bool) -> f64 {
        let mut input_gradient = of_input.then(|| Buffer::zeros(input.len()));
        let scratch = &mut self.scratch;
        let call = |run: &mut LayerRun<'_, T>| {
            run.backward(input, input_gradient.as_deref_mut(), scratch);
        };
        median(self.repetitions, run, |_| {}, call)
    }

    /// A line about `seconds`, given how many numbers were read and written.
    fn line(
        &self,
        measured: &Measured<'_, T>,
        direction: Direction,
        seconds: f64,
        [read, written]: [usize; 2],
    ) -> LayerLine {
        let NetworkLayer { index, spec, running, in_place, .. } = measured.layer;
        let products = (self.samples * multiply_adds(running)) as f64;
        let operations = if measured.is_both(direction) { 4.0 } else { 2.0 } * products;
        let rate = (operations > 0.0).then_some(operations / seconds);
        // Nothing is moved where the layer works in place and leaves the values as they are.
        let moves = !(in_place && running.keeps_values());
        let bytes = |numbers: usize| if moves { numbers * size_of::<T>() } else { 0 };
        LayerLine {
            layer: index,
            name: spec.summary(),
            pass: direction,
            in_step: true,
            seconds,
            seconds_per_sample: seconds / self.samples as f64,
            gflops: rate.map(|rate| rate / 1e9),
            of_peak: rate.map(|rate| rate / self.peak),
            bytes_read: bytes(read),
            bytes_written: bytes(written),
            kernel: self.kernel(measured, direction),
            operations,
        }
    }

    /// How a direction is computed. A correlation names its algorithm, of two gradients that of the
    /// kernels first.
    fn kernel(&self, measured: &Measured<'_, T>, direction: Direction) -> Option<String> {
        let NetworkLayer { spec, running, in_place, .. } = measured.layer;
        if in_place {
            return Some("in place".into());
        }
        let Some(correlation) = running.correlation() else {
            let LayerSpec::Dense(_) = spec else { return None };
            let name = match direction {
                Direction::Forward => "dot products",
                Direction::GradientsAndStep if self.samples == 1 => "rank-1 update",
                _ => "row products",
            };
            return Some(name.into());
        };
        let plan = correlation.plan::<T>(self.simd, self.samples);
        let (of_kernels, of_input) = (plan.kernel_gradient, plan.input_gradient);
        Some(match direction {
            Direction::Forward => plan.forward.to_string(),
            Direction::InputGradient => of_input.to_string(),
            _ if measured.is_both(direction) => format!("{of_kernels}; {of_input}"),
            _ => of_kernels.to_string(),
        })
    }
}

/// Multiply-adds of the forward pass for one sample: for each output, one for each input
/// that a weight connects it with. Each of the gradients takes as many.
fn multiply_adds<T: Element>(layer: &dyn Layer<T>) -> usize {
    let fan_in = |role| if let Role::Weight { fan_in, .. } = role { fan_in } else { 0 };
    let inputs: usize = layer.parameters().iter().map(|parameter| fan_in(parameter.role)).sum();
    inputs * layer.output_shape().len()
}

/// The median time of a call in seconds, over `repetitions` runs, each of enough calls that reading
/// the clock does not matter. Before each run `restore` undoes what the calls changed.
pub(super) fn median<D: ?Sized>(
    repetitions: usize,
    data: &mut D,
    restore: impl Fn(&mut D),
    mut call: impl FnMut(&mut D),
) -> f64 {
    /// More calls would let gradients that are scaled in place underflow.
    const MOST_CALLS: usize = 32;
    const RUN_SECONDS: f64 = 20e-6;
    let mut time = |calls: usize| {
        restore(data);
        let start = Instant::now();
        (0..calls).for_each(|_| call(data));
        start.elapsed().as_secs_f64()
    };
    // The first call runs with cold caches.
    time(1);
    let mut calls = 1;
    while calls < MOST_CALLS && time(calls) < RUN_SECONDS {
        calls *= 2;
    }
    let mut runs: Vec<f64> = (0..repetitions).map(|_| time(calls) / calls as f64).collect();
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}

/// Numbers from 0 to 1, a fifth of them not 0, as in the images of MNIST.
pub(super) fn pixels<T: Element>(stream: &mut Stream, len: usize) -> Buffer<T> {
    let mut pixel = || if stream.below(5) == 0 { stream.uniform() } else { 0.0 };
    let mut pixels = Buffer::zeros(len);
    pixels.fill_with(|| T::from_f64(pixel()));
    pixels
}
