//! `profile`: how long each layer takes, and how near it comes to what the processor
//! can do.

mod bench;
mod report;

use std::num::NonZeroUsize;
use std::time::Instant;

use clap::Args;
use layers::random::{Purpose, Stream};
use layers::{Inputs, Network, Trainer, TrainerConfig};
use tensor::simd::Level;
use tensor::{Element, Scratch, peak};

use super::flags::{count, whole_number};
use super::{Common, ExperimentFlags, Overrides};
use crate::augmentation::{Augmentation, Augmenter};
use crate::dataset::Part;
use crate::experiment::build::{self, Batches};
use crate::experiment::{Experiment, NetworkNumber, Origin, Precision};
use crate::memory;
use crate::threads::{self, ThreadCount};

use bench::{Bench, median, pixels};
use report::{Line, Report};

/// Measures each layer of a network, forward and backward
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    #[command(flatten)]
    chosen: ExperimentFlags,
    /// Measurements of each line [default: 200]
    #[arg(long, value_name = "N", value_parser = repetitions, allow_negative_numbers = true)]
    repetitions: Option<NonZeroUsize>,
    /// Print a JSON object a line instead of a table
    #[arg(long)]
    json: bool,
    /// Images in a batch: one training step
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    batch_size: Option<NonZeroUsize>,
    /// Images that one thread runs through the network as a batch
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    shard_size: Option<NonZeroUsize>,
    /// The type of the network's numbers
    #[arg(long)]
    precision: Option<Precision>,
    #[command(flatten)]
    common: Common,
}

impl Flags {
    fn overrides(&self) -> Overrides {
        let Self { batch_size, shard_size, precision, .. } = *self;
        Overrides { batch_size, shard_size, precision, ..Overrides::default() }
    }
}

fn repetitions(text: &str) -> Result<NonZeroUsize, String> {
    whole_number(text, 1_000_000)
}

/// Measures the layers of the network that the flags name, or of each of a committee's
/// networks, and prints what it found.
///
/// The images are random: no layer takes longer for one number than for another.
///
/// # Errors
/// If something that the flags name is not what it should be.
pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    let simd = threads::simd_level()?;
    let (mut experiment, origin) = flags.chosen.experiment(&flags.overrides())?;
    if experiment.networks.are_open() {
        let source = build::data_source(None, &experiment, &origin)?;
        build::choose_form(&mut experiment, &source)?;
        let samples = source.load(Part::Train, &experiment.form())?;
        build::fill(&mut experiment, &origin, &samples)?;
    }
    ThreadCount::or_one(flags.common.threads)?.share(experiment.shards(), || {
        match experiment.precision {
            Precision::F32 => profile::<f32>(flags, (&experiment, &origin), simd),
            Precision::F64 => profile::<f64>(flags, (&experiment, &origin), simd),
        }
    })
}

fn profile<T: Element>(
    flags: &Flags,
    (experiment, origin): (&Experiment, &Origin),
    simd: Level,
) -> anyhow::Result<()> {
    let networks = build::networks::<T>(experiment, origin)?;
    build::check(experiment, origin, &networks, Batches::single_batch(experiment))?;
    let configs: Vec<_> = networks
        .iter()
        .map(|network| bounded_config(experiment, network))
        .collect::<Result<_, _>>()?;
    let mut report = Report::new(flags.json);
    let each = networks.into_iter().zip(configs);
    for (number, (mut network, config)) in NetworkNumber::each(&experiment.networks).zip(each) {
        let experiment = experiment.member(number.network);
        network.initialize(experiment.init, experiment.seed);
        measure(flags, (&experiment, number), network, (&config, simd), &mut report)?;
    }
    Ok(())
}

/// Measures one network.
fn measure<T: Element>(
    flags: &Flags,
    (experiment, number): (&Experiment, NetworkNumber),
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
        number,
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

/// The time of the layers compared with that of the whole step, given the operations of a shard and
/// the peak.
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
    let config = build::trainer_config(experiment, experiment.batch_size.get());
    let images = (config.batch_size as u64).saturating_mul(footprint.image());
    memory::require_for_training(&footprint, &config, images)?;
    // Before the steps, the layers are measured one by one on a shard.
    let what = format!("the layers with shard size {}", config.shard_size);
    memory::require(
        &what,
        footprint.inspection(config.shard_size),
        "choose a smaller --shard-size",
    )?;
    Ok(config)
}

/// The median time of a training step. The learning rate is 0, so that the work is the same but no
/// weight changes.
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
        // The first step had a finite loss, and all steps are the same.
        let _ = trainer.step(&batch, 0.0);
    };
    Ok(median(repetitions, &mut trainer, |_| {}, step))
}
