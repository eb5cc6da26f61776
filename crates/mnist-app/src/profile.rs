//! `profile`: how long each layer takes, and how near it comes to what the processor
//! can do.

mod report;

use std::num::NonZeroUsize;
use std::time::Instant;

use layers::random::{Purpose, Stream};
use layers::{
    FusedInto, Inputs, Layer, LayerRun, LayerSpec, Mode, Network, NetworkLayer, Role, Trainer,
    TrainerConfig,
};
use tensor::simd::Level;
use tensor::{Buffer, Element, Scratch, peak};

use crate::augmentation::{Augmentation, Augmenter};
use crate::commands::profile::Flags;
use crate::experiment::consistency::{self, Cut};
use crate::experiment::{Experiment, Precision};
use crate::memory;
use crate::networks::{self, Which};
use crate::threads::{self, Asked};

use report::{Direction, LayerLine, Line, Report};

/// Measures the layers of the network that the flags name, or of each of a committee's
/// networks, and prints what it found.
///
/// The images are drawn at random: no layer takes longer for one number than for
/// another.
///
/// # Errors
/// If something that the flags name is not what it should be.
pub fn run(flags: &Flags) -> anyhow::Result<()> {
    let simd = threads::simd_level()?;
    let experiment = flags.chosen.experiment(&flags.overrides())?;
    Asked::or_one(flags.common.threads)?.share(experiment.shards(), || match experiment.precision {
        Precision::F32 => profile::<f32>(flags, &experiment, simd),
        Precision::F64 => profile::<f64>(flags, &experiment, simd),
    })
}

fn profile<T: Element>(flags: &Flags, experiment: &Experiment, simd: Level) -> anyhow::Result<()> {
    let config = flags.chosen.config.as_deref();
    let networks = networks::build::<T>(experiment, config)?;
    let cut = Cut::batch(experiment);
    consistency::check(experiment, config, &networks, cut)?;
    let configs: Vec<_> = networks
        .iter()
        .map(|network| bounded_config(experiment, network))
        .collect::<Result<_, _>>()?;
    let mut report = Report::new(flags.json);
    let each = networks.into_iter().zip(configs);
    for (which, (mut network, config)) in Which::each(experiment).zip(each) {
        let experiment = experiment.member(which.network);
        network.initialize(experiment.init, experiment.seed);
        measure(flags, (&experiment, which), network, (&config, simd), &mut report)?;
    }
    Ok(())
}

/// Measures one network.
fn measure<T: Element>(
    flags: &Flags,
    (experiment, which): (&Experiment, Which),
    network: Network<T>,
    (config, simd): (&TrainerConfig, Level),
    report: &mut Report,
) -> anyhow::Result<()> {
    const REPETITIONS: usize = 200;
    let shards = config.shards();
    let threads = rayon::current_num_threads();
    // As in a training step: only the operations of a single shard are shared.
    let layer_threads = if shards == 1 { threads } else { 1 };
    let repetitions = flags.repetitions.map_or(REPETITIONS, NonZeroUsize::get);

    let peak = |threads| 2.0 * peak::multiply_adds_per_second::<T>(simd, threads);
    let layer_peak = peak(layer_threads);
    let step_peak = if layer_threads == threads { layer_peak } else { peak(threads) };
    report.show(&Line::Setting {
        preset: experiment.name.clone(),
        which,
        precision: T::NAME,
        simd: simd.name(),
        batch_size: config.batch_size,
        shard_size: config.shard_size,
        threads,
        layer_threads,
        repetitions,
        data: "random",
        peak_gflops: layer_peak / 1e9,
    })?;
    let mut bench = Bench {
        samples: config.shard_size,
        simd,
        peak: layer_peak,
        repetitions,
        steps_in_layers: config.steps_in_layers(),
        scratch: if shards == 1 { Scratch::parallel() } else { Scratch::sequential() },
        stream: Stream::new(experiment.seed, Purpose::Shuffle, 0),
    };
    let lines = bench.layers(&network);
    let in_step = || lines.iter().filter(|line| line.in_step);
    let shard_seconds = in_step().map(|line| line.seconds).sum();
    let operations = in_step().map(|line| line.operations).sum::<f64>();
    report.show_layers(lines)?;
    let input_shape = network.input_shape();
    let step_seconds = step_seconds(network, config, repetitions, &mut bench.stream)?;
    report.show(&step_line(
        config,
        threads,
        [shard_seconds, step_seconds],
        operations,
        step_peak,
    ))?;
    if let (Some(augmentation), &[channels, height, width]) =
        (experiment.augmentation, input_shape.dims())
    {
        let shape = [channels, height, width];
        let seconds = augmentation_seconds::<T>(augmentation, shape, repetitions);
        // A shard's images are deformed on the thread that takes it.
        let of_batch = seconds * config.batch_size as f64 / threads.min(shards) as f64;
        report.show(&Line::Augmentation {
            seconds_per_sample: seconds,
            of_step: of_batch / (of_batch + step_seconds),
        })?;
    }
    Ok(())
}

/// The median time in which an image of `(C, H, W)` is deformed.
fn augmentation_seconds<T: Element>(
    augmentation: Augmentation,
    shape: [usize; 3],
    repetitions: usize,
) -> f64 {
    let [channels, height, width] = shape;
    let augmenter = Augmenter::new(augmentation, [height, width], 0);
    let image: Vec<u8> =
        (0..channels * height * width).map(|at| (at * 37).to_le_bytes()[0]).collect();
    let mut output = vec![T::ZERO; image.len()];
    let mut sample = 0;
    median(
        repetitions,
        &mut output[..],
        |_| {},
        |output| {
            sample += 1;
            augmenter.write(&image, (1, sample), output);
        },
    )
}

/// The layers against the whole step, given the operations of a shard and the peak.
fn step_line(
    config: &TrainerConfig,
    threads: usize,
    [shard_seconds, step_seconds]: [f64; 2],
    operations: f64,
    peak: f64,
) -> Line {
    let shards = config.shards();
    // The last shard may be smaller.
    let whole_shards = config.batch_size as f64 / config.shard_size as f64;
    let layers_seconds = shard_seconds * whole_shards / threads.min(shards) as f64;
    let rate = operations * whole_shards / step_seconds;
    Line::Step {
        shards,
        shard_seconds,
        step_seconds,
        layers_of_step: layers_seconds / step_seconds,
        gflops: rate / 1e9,
        of_peak: rate / peak,
    }
}

/// The settings of the training step, if all buffers fit into memory.
fn bounded_config<T: Element>(
    experiment: &Experiment,
    network: &Network<T>,
) -> anyhow::Result<TrainerConfig> {
    let footprint = network.spec().footprint::<T>()?;
    let config = memory::trainer_config(experiment, experiment.batch_size.get());
    let images = (config.batch_size as u64).saturating_mul(footprint.image());
    memory::ask_for_training(&footprint, &config, images)?;
    // Before the steps, the layers are measured one by one on a shard.
    let what = format!("the layers with shard size {}", config.shard_size);
    memory::ask(&what, footprint.inspection(config.shard_size), "choose a smaller --shard-size")?;
    Ok(config)
}

/// Measures layers on samples of one shard.
struct Bench<T> {
    samples: usize,
    simd: Level,
    /// Operations a second.
    peak: f64,
    repetitions: usize,
    /// Whether a training step leaves the descent to the layers.
    steps_in_layers: bool,
    scratch: Scratch<T>,
    stream: Stream,
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
    fn layers(&mut self, network: &Network<T>) -> Vec<LayerLine> {
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

    /// What of the backward pass a training step may ask for.
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
            // The rate changes nothing of the work, and no parameter.
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
        // Nothing is moved where the output is the input.
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

    /// How a direction is computed: a correlation as it says itself, of both gradients that of the
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

/// The median time of a call in seconds, over `repetitions` runs of as many calls as let
/// the clock be forgotten. Before each run `restore` puts right what calls change.
fn median<D: ?Sized>(
    repetitions: usize,
    data: &mut D,
    restore: impl Fn(&mut D),
    mut call: impl FnMut(&mut D),
) -> f64 {
    /// More would let gradients that are scaled in place sink below what a number holds.
    const MOST_CALLS: usize = 32;
    const RUN_SECONDS: f64 = 20e-6;
    let mut time = |calls: usize| {
        restore(data);
        let start = Instant::now();
        (0..calls).for_each(|_| call(data));
        start.elapsed().as_secs_f64()
    };
    // The first call finds nothing in the caches.
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
fn pixels<T: Element>(stream: &mut Stream, len: usize) -> Buffer<T> {
    let mut pixel = || if stream.below(5) == 0 { stream.uniform() } else { 0.0 };
    let mut pixels = Buffer::zeros(len);
    pixels.fill_with(|| T::from_f64(pixel()));
    pixels
}

/// The median time of a training step: with learning rate 0, which changes nothing of
/// the work, and no weight.
fn step_seconds<T: Element>(
    network: Network<T>,
    config: &TrainerConfig,
    repetitions: usize,
    stream: &mut Stream,
) -> anyhow::Result<f64> {
    let (samples, outputs) = (config.batch_size, network.output_shape().len());
    let inputs = pixels::<T>(stream, samples * network.input_shape().len());
    let labels: Vec<_> = (0..samples).map(|sample| sample % outputs).collect();
    let batch = Inputs::numbers(&*inputs).with_classes(&labels, outputs)?;
    let mut trainer = Trainer::new(network, config.clone());
    trainer.step(&batch, 0.0)?;
    let step = |trainer: &mut Trainer<T>| {
        // That the first one had a finite loss says that all have.
        let _ = trainer.step(&batch, 0.0);
    };
    Ok(median(repetitions, &mut trainer, |_| {}, step))
}
