//! `inspect`: the numbers in a network on their way forward and backward, layer by layer,
//! so that one sees why it learns or why it does not.

mod passes;
mod report;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use layers::{Loss, Network, metadata_of, network_of};
use tensor::{Element, reduce};

use crate::cli::InspectFlags;
use crate::dataset::{self, Misfit, Part, Samples};
use crate::evaluation::mean;
use crate::experiment::consistency::{self, Cut};
use crate::experiment::{Experiment, Precision};
use crate::networks::{self, Which};
use crate::train::set_initial_weights;
use crate::{model, presets, threads};

use passes::Passes;
use report::{InputLine, Line, Setting};

/// Runs the first training images through the network that the flags name, or through each
/// of a committee's networks, forward and backward, and prints what its layers made of them.
///
/// # Errors
/// If something that the flags name is not what it should be.
pub fn run(flags: &InspectFlags) -> anyhow::Result<()> {
    threads::simd_level()?;
    let subject = Subject::read(flags)?;
    threads::run_on(None, 1, || match subject.precision {
        Precision::F32 => inspect::<f32>(flags, &subject),
        Precision::F64 => inspect::<f64>(flags, &subject),
    })
}

fn inspect<T: Element>(flags: &InspectFlags, subject: &Subject) -> anyhow::Result<()> {
    const SAMPLES: usize = 256;
    let networks = subject.networks::<T>()?;
    let data = dataset::folder(flags.data.as_deref(), subject.data())?;
    let count = flags.samples.map_or(SAMPLES, Into::into);
    let mut samples = Samples::load(&data, Part::Train)?.first(Some(count));
    let which = |index| Which { network: index + 1, networks: networks.len() };
    for (index, (network, _)) in networks.iter().enumerate() {
        let misfit = |misfit| anyhow!("{}: {misfit}", subject.place(which(index), &misfit));
        samples = samples.fit(network).map_err(misfit)?;
        passes::refuse_too_many(network, samples.len())?;
    }
    if let Weights::Start(experiment, config) = &subject.weights {
        let networks: Vec<_> = networks.iter().map(|(network, _)| network).collect();
        consistency::check(experiment, config.as_deref(), &networks, Cut::whole(samples.len()))?;
    }
    let mut lines = Vec::new();
    for (index, (network, seed)) in networks.iter().enumerate() {
        lines.extend(look_into(subject, (network, *seed), which(index), &samples)?);
    }
    report::show(&lines, flags.json)
}

/// The lines of one network.
fn look_into<T: Element>(
    subject: &Subject,
    (network, seed): (&Network<T>, u64),
    which: Which,
    samples: &Samples,
) -> anyhow::Result<Vec<Line>> {
    let (inputs, targets) = batch(samples, network);
    let mut passes = Passes::new(network, &inputs, seed)?;
    passes.forward();
    passes.backward(subject.loss, &targets);

    let (losses, correct) = score(subject.loss, passes.output(), &targets, samples.len());
    let setting = Setting {
        name: subject.name.clone(),
        which,
        origin: subject.origin.clone(),
        trained: subject.trained(),
        seed,
        precision: T::NAME,
        samples: samples.len(),
        loss: subject.loss.name(),
        mean_loss: mean(&losses),
        correct,
    };
    let mut lines = vec![Line::Setting(setting)];
    lines.push(Line::Input(InputLine::new(network.input_shape().dims(), &inputs)));
    lines.extend(passes.lines().into_iter().map(Line::Layer));
    Ok(lines)
}

/// What is to be inspected.
struct Subject {
    name: String,
    /// The file or preset, for messages.
    origin: String,
    precision: Precision,
    loss: Loss,
    weights: Weights,
}

/// Where the weights come from.
enum Weights {
    /// The bytes of a `model.safetensors`, or of each of a committee's.
    Models(Vec<Vec<u8>>),
    /// Those that a training run starts with; and the experiment's file, if it has one.
    Start(Box<Experiment>, Option<PathBuf>),
}

impl Subject {
    fn read(flags: &InspectFlags) -> anyhow::Result<Self> {
        let mut subject = match &flags.model {
            Some(path) => Self::of_model(path)?,
            None => Self::of_experiment(flags)?,
        };
        subject.precision = flags.precision.unwrap_or(subject.precision);
        Ok(subject)
    }

    fn of_model(path: &Path) -> anyhow::Result<Self> {
        let files = model::files_of(path)?;
        let named = |path: &Path| format!("model {}", path.display());
        let read = |file: &PathBuf| std::fs::read(file).with_context(|| named(file));
        let models = files.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
        let origin = named(if let [file] = files.as_slice() { file } else { path });
        // What a committee's members have in common.
        let metadata = metadata_of(&models[0]).with_context(|| named(&files[0]))?;
        let (precision, loss) = model::precision_and_loss(&metadata);
        Ok(Self {
            name: metadata.get("preset").unwrap_or(&origin).clone(),
            origin,
            precision,
            loss: loss.unwrap_or(Loss::MeanSquaredError),
            weights: Weights::Models(models),
        })
    }

    fn of_experiment(flags: &InspectFlags) -> anyhow::Result<Self> {
        let mut experiment = match &flags.config {
            Some(file) => Experiment::read(file)?,
            None => presets::experiment(flags.preset.as_deref().unwrap_or(presets::DEFAULT))?,
        };
        experiment.seed = flags.seed.unwrap_or(experiment.seed);
        Ok(Self {
            name: experiment.name.clone(),
            origin: networks::origin(&experiment, flags.config.as_deref()),
            precision: experiment.precision,
            loss: experiment.loss,
            weights: Weights::Start(Box::new(experiment), flags.config.clone()),
        })
    }

    /// The folder of the images that an experiment is about, if it says so.
    fn data(&self) -> Option<&Path> {
        match &self.weights {
            Weights::Models(_) => None,
            Weights::Start(experiment, _) => experiment.data.as_deref(),
        }
    }

    /// Where the images do not fit.
    fn place(&self, which: Which, misfit: &Misfit) -> String {
        match &self.weights {
            Weights::Models(_) => format!("{}: {which}", self.origin),
            Weights::Start(experiment, config) => {
                networks::place(experiment, config.as_deref(), which, misfit.layer)
            }
        }
    }

    fn trained(&self) -> bool {
        matches!(self.weights, Weights::Models(_))
    }

    /// The networks with the seed that they were drawn from at the start; with a model's,
    /// its dropouts draw from here.
    fn networks<T: Element>(&self) -> anyhow::Result<Vec<(Network<T>, u64)>> {
        let (experiment, config) = match &self.weights {
            Weights::Models(models) => {
                let network = |bytes: &Vec<u8>| Ok((network_of(bytes)?, 0));
                let networks = models.iter().map(network).collect::<anyhow::Result<_>>();
                return networks.with_context(|| self.origin.clone());
            }
            Weights::Start(experiment, config) => (experiment, config.as_deref()),
        };
        let networks = networks::build::<T>(experiment, config)?.into_iter().enumerate();
        let start = |(index, mut network)| {
            let experiment = experiment.member(index + 1);
            set_initial_weights(&mut network, &experiment)?;
            Ok((network, experiment.seed))
        };
        networks.map(start).collect()
    }
}

/// All samples as inputs and targets.
fn batch<T: Element>(samples: &Samples, network: &Network<T>) -> (Vec<T>, Vec<T>) {
    let (input, output) = (network.input_shape().len(), network.output_shape().len());
    let mut inputs = vec![T::ZERO; samples.len() * input];
    let mut targets = vec![T::ZERO; samples.len() * output];
    let pairs = inputs.chunks_exact_mut(input).zip(targets.chunks_exact_mut(output));
    for (index, (input, target)) in pairs.enumerate() {
        samples.write_image(index, input);
        samples.write_target(index, target);
    }
    (inputs, targets)
}

/// The losses, and how many samples have their largest output where the target has.
fn score<T: Element>(loss: Loss, outputs: &[T], targets: &[T], count: usize) -> (Vec<f64>, usize) {
    let len = targets.len() / count;
    let pairs = || outputs.chunks_exact(len).zip(targets.chunks_exact(len));
    let losses = pairs().map(|(y, t)| loss.value(y, t)).collect();
    let right = pairs().filter(|(y, t)| reduce::argmax(y) == reduce::argmax(t));
    (losses, right.count())
}
