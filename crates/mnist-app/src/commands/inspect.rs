//! `inspect`: the numbers in a network on their way forward and backward, layer by layer, which
//! show why it learns or does not.

mod report;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::anyhow;
use clap::{ArgGroup, Args};
use layers::{Draw, Loss, Mode, Network, is_right};
use tensor::Element;

use super::flags::{count, seed};
use super::{Common, ExperimentFlags, Overrides};
use crate::console::{Console, notice};
use crate::dataset::{Misfit, Part, Samples};
use crate::evaluation::mean;
use crate::experiment::build::{self, Batches, InitialWeights};
use crate::experiment::{Experiment, NetworkNumber, Origin, Precision};
use crate::memory;
use crate::model::{Model, ModelData, SavedNetwork};
use crate::passes::Passes;
use crate::run_folder::named;
use crate::threads::ThreadCount;

use report::{InputLine, LayerLine, Line, Setting};

/// Shows each layer's outputs and gradients
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(mut_arg("preset", |preset| preset.help("A built-in experiment; `mnist-app presets` lists them")))]
#[command(group = ArgGroup::new("network").args(["model", "preset", "config"]).required(true))]
pub struct Flags {
    /// a model.safetensors or the folder of a run; without one, the network of an experiment is
    /// shown as it is drawn at the start
    #[arg(value_name = "MODEL")]
    model: Option<PathBuf>,
    #[command(flatten)]
    chosen: ExperimentFlags,
    /// Other data than those that the model or the experiment is for
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How many images [default: 256]
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    samples: Option<NonZeroUsize>,
    /// The seed that an experiment's weights are drawn from
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true, conflicts_with = "model")]
    seed: Option<u64>,
    /// The type of the network's numbers
    #[arg(long)]
    precision: Option<Precision>,
    /// Print a JSON object a line instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: Common,
}

impl Flags {
    fn overrides(&self) -> Overrides {
        Overrides { seed: self.seed, ..Overrides::default() }
    }
}

/// Runs the first training images through the network that the flags name, or through each
/// of a committee's networks, forward and backward, and prints what its layers made of them.
///
/// # Errors
/// If something that the flags name is not what it should be.
pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    let mut subject = Subject::read(flags)?;
    ThreadCount::of(flags.common.threads)?.share(1, || match subject.precision {
        Precision::F32 => inspect::<f32>(flags, &mut subject),
        Precision::F64 => inspect::<f64>(flags, &mut subject),
    })
}

fn inspect<T: Element>(flags: &Flags, subject: &mut Subject) -> anyhow::Result<()> {
    let mut console = Console::default();
    // What is left to the data is filled in first.
    let mut loaded = None;
    if subject.is_open() {
        if let Weights::Start(experiment, origin) = &mut subject.weights {
            let source = build::data_source(flags.data.as_deref(), experiment, origin)?;
            let note = build::choose_form(experiment, &source)?;
            note.iter().filter(|_| !flags.common.quiet).for_each(notice);
        }
        let samples = subject.samples(flags, &mut console)?;
        if let Weights::Start(experiment, origin) = &mut subject.weights {
            build::fill(experiment, origin, &samples)?;
        }
        loaded = Some(samples);
    }
    let (networks, of_weights) = subject.networks::<T>()?;
    let mut samples = match loaded {
        Some(samples) => samples,
        None => subject.samples(flags, &mut console)?,
    };
    let number = |index| NetworkNumber { network: index + 1, networks: networks.len() };
    for (index, (network, _)) in networks.iter().enumerate() {
        let misfit = |misfit| anyhow!("{}: {misfit}", subject.place(number(index), &misfit));
        samples = samples.fit(network).map_err(misfit)?;
        let bytes = network.spec().footprint::<T>()?.inspection(samples.len());
        let what = match flags.samples.map(NonZeroUsize::get) {
            Some(asked) if asked > samples.len() => {
                format!("--samples {asked}, of which there are {},", samples.len())
            }
            _ => format!("--samples {}", samples.len()),
        };
        memory::require(&what, bytes, "choose fewer --samples")?;
    }
    if let Weights::Start(experiment, origin) = &subject.weights {
        build::require_classes(experiment, of_weights.as_ref(), &samples)?;
        let networks: Vec<_> = networks.iter().map(|(network, _)| network).collect();
        build::check(experiment, origin, &networks, Batches::one_shard(samples.len()))?;
    }
    let mut lines = Vec::new();
    for (index, (network, seed)) in networks.iter().enumerate() {
        lines.extend(look_into(subject, (network, *seed), number(index), &samples)?);
    }
    report::show(&lines, (&mut console, flags.json))
}

/// The lines of one network.
fn look_into<T: Element>(
    subject: &Subject,
    (network, seed): (&Network<T>, u64),
    number: NetworkNumber,
    samples: &Samples,
) -> anyhow::Result<Vec<Line>> {
    let (inputs, targets) = batch(samples, network);
    let mode = Mode::Training(Draw { seed, ..Draw::default() });
    let mut passes = Passes::new(network, &inputs, mode);
    passes.forward();
    passes.backward(&subject.loss, &targets, 1.0 / samples.len() as f64);

    let (losses, correct) = score(&subject.loss, passes.output(), &targets, samples.len());
    let setting = Setting {
        name: subject.name.clone(),
        number,
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
    lines.extend(passes.stages().iter().map(|stage| Line::Layer(LayerLine::of(stage))));
    Ok(lines)
}

/// Networks, each with a seed.
type Seeded<T> = Vec<(Network<T>, u64)>;

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
    /// A model, or those of a committee's members.
    Model(Box<Model>),
    /// Those that a training of this experiment starts with.
    Start(Box<Experiment>, Origin),
}

impl Subject {
    fn read(flags: &Flags) -> anyhow::Result<Self> {
        let mut subject = match &flags.model {
            Some(path) => Self::of_model(path)?,
            None => Self::of_experiment(flags)?,
        };
        subject.precision = flags.precision.unwrap_or(subject.precision);
        Ok(subject)
    }

    fn of_model(path: &Path) -> anyhow::Result<Self> {
        let model = Model::open(path)?;
        let origin = named(model.path());
        // A committee's members have these in common.
        let first = &model.networks()[0];
        Ok(Self {
            name: first.preset().unwrap_or(&origin).to_owned(),
            precision: first.precision(),
            loss: first.loss().clone(),
            origin,
            weights: Weights::Model(Box::new(model)),
        })
    }

    fn of_experiment(flags: &Flags) -> anyhow::Result<Self> {
        let (experiment, origin) = flags.chosen.experiment(&flags.overrides())?;
        Ok(Self {
            name: experiment.name.clone(),
            origin: origin.to_string(),
            precision: experiment.precision,
            loss: experiment.loss.clone(),
            weights: Weights::Start(Box::new(experiment), origin),
        })
    }

    /// The first training images of its data.
    fn samples(&self, flags: &Flags, console: &mut Console) -> anyhow::Result<Samples> {
        const SAMPLES: usize = 256;
        let count = Some(flags.samples.map_or(SAMPLES, Into::into));
        let flag = flags.data.as_deref();
        let (experiment, origin) = match &self.weights {
            Weights::Model(model) => {
                let models = std::slice::from_ref(&**model);
                let mut found = ModelData::of(models, Part::Train, (flag, count))?;
                found.tell(console, (flags.json, flags.common.quiet))?;
                return Ok(found.samples.remove(0));
            }
            Weights::Start(experiment, origin) => (experiment, origin),
        };
        let samples =
            build::data_source(flag, experiment, origin)?.load(Part::Train, &experiment.form())?;
        if !flags.common.quiet {
            samples.notes().iter().for_each(notice);
        }
        let named = match &experiment.classes {
            Some(names) => samples.named(names)?,
            None => samples,
        };
        let learned = named.first(experiment.train_limit.map(Into::into));
        let normalization = learned.own_normalization(experiment.form().normalize);
        Ok(learned.first(count).normalized(normalization))
    }

    /// Whether an experiment leaves something to the data.
    fn is_open(&self) -> bool {
        matches!(&self.weights, Weights::Start(experiment, _) if experiment.networks.are_open())
    }

    /// Where the images do not fit, for messages.
    fn place(&self, number: NetworkNumber, misfit: &Misfit) -> String {
        match &self.weights {
            Weights::Model(_) => format!("{}: {number}", self.origin),
            Weights::Start(_, origin) => origin.network(number, misfit.layer),
        }
    }

    fn trained(&self) -> bool {
        matches!(self.weights, Weights::Model(_))
    }

    /// The networks, each with the seed of its initial weights, from which dropout draws; and the
    /// file of initial weights, if there is one.
    fn networks<T: Element>(&self) -> anyhow::Result<(Seeded<T>, Option<InitialWeights>)> {
        let (experiment, origin) = match &self.weights {
            Weights::Model(model) => {
                let network = |saved: &SavedNetwork| Ok((saved.network_as()?, 0));
                let networks = model.networks().iter().map(network);
                return Ok((networks.collect::<anyhow::Result<_>>()?, None));
            }
            Weights::Start(experiment, origin) => (experiment, origin),
        };
        let networks = build::networks::<T>(experiment, origin)?.into_iter().enumerate();
        let mut of_weights = None;
        let start = |(index, mut network)| {
            let experiment = experiment.member(index + 1);
            of_weights = build::set_initial_weights(&mut network, &experiment)?;
            Ok((network, experiment.seed))
        };
        let networks = networks.map(start).collect::<anyhow::Result<_>>()?;
        Ok((networks, of_weights))
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
fn score<T: Element>(loss: &Loss, outputs: &[T], targets: &[T], count: usize) -> (Vec<f64>, usize) {
    let len = targets.len() / count;
    let pairs = || outputs.chunks_exact(len).zip(targets.chunks_exact(len));
    let losses = pairs().map(|(y, t)| loss.value(y, t)).collect();
    let right = pairs().filter(|(y, t)| is_right(y, t));
    (losses, right.count())
}
