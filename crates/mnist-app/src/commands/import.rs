//! `import`: weights that were trained elsewhere become a model.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use layers::{Network, NetworkSpec, WeightsHeader, load_weights_of};
use tensor::Element;

use super::{Common, ExperimentFlags, Overrides, output_file};
use crate::console::Console;
use crate::dataset::Classes;
use crate::escape::{Escape, quoted};
use crate::experiment::build::{self, Batches};
use crate::experiment::{Experiment, Origin, Precision};
use crate::files::Partial;
use crate::input::{Input, or_if_missing, require_utf8};
use crate::memory;
use crate::model::{Metadata, NORMALIZATION, SavedNetwork};
use crate::preprocessing::{Normalization, Normalize};
use crate::weights_file::WeightsFile;

/// Makes a model of weights that were trained elsewhere
///
/// FILE is a `state_dict` of PyTorch in safetensors, of torch.nn.Sequential or under its names:
/// 0.weight, 0.bias, … with the number of the layer, perhaps all with something before it, as in
/// module.0.weight. Its network is that of the experiment, or the one that the file describes, as
/// those of this program and of `export` do. Numbers of 16 and of 64 bits are converted.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(mut_arg("preset", |preset| preset.help("The built-in experiment that the weights are for; `mnist-app presets` lists them")))]
#[command(mut_arg("config", |config| config.help("The experiment that the weights are for, in TOML as the presets are")))]
pub struct Flags {
    /// a `state_dict` in safetensors
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    chosen: ExperimentFlags,
    /// The model's file, new or to be replaced
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    #[command(flatten)]
    common: Common,
}

/// What is known of the weights before they are read.
struct Source {
    header: WeightsHeader,
    /// What its names begin with.
    prefix: String,
    about: Metadata,
    experiment: Option<(Experiment, Origin)>,
}

/// Writes the model.
///
/// # Errors
/// If the weights are not those of the network, or the model cannot be written.
pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    require_utf8("FILE", &flags.file)?;
    require_utf8("--out", &flags.out)?;
    output_file::require_place("--out", &flags.out)?;
    let (file, out) = (flags.file.escaped(), flags.out.escaped());
    let real = |path: &PathBuf| path.canonicalize().ok();
    ensure!(
        real(&flags.out).is_none_or(|out| Some(out) != real(&flags.file)),
        "--out {out}: expected another file than the one that is imported, found that one"
    );
    let weights = WeightsFile::open(&flags.file)
        .map_err(|error| or_if_missing(error, "name what safetensors.torch.save_file wrote"))
        .with_context(|| file.clone())?;
    let source = Source::of(flags, &weights.header).with_context(|| file.clone())?;
    let Imported { model, digest, lines } = match source.precision() {
        Precision::F32 => import::<f32>(&source, weights),
        Precision::F64 => import::<f64>(&source, weights),
    }
    .with_context(|| file.clone())?;
    let written = Partial::write(&flags.out, &model).and_then(Partial::rename);
    written.with_context(|| format!("--out {out}: expected a place for the model"))?;
    let mut console = Console::default();
    if !flags.common.quiet {
        lines.iter().try_for_each(|line| console.line(line))?;
    }
    console.line(format_args!("{out}: weights sha256 {digest}"))
}

impl Source {
    fn of(flags: &Flags, header: &WeightsHeader) -> anyhow::Result<Self> {
        let about = Metadata::of(&header.metadata())?;
        let prefix = header.prefix();
        let header = header.renamed(&prefix)?;
        let chosen = &flags.chosen;
        let experiment = match chosen.preset.is_some() || chosen.config.is_some() {
            true => Some(chosen.experiment(&Overrides::default())?),
            false => None,
        };
        let mut source = Self { header, prefix, about, experiment };
        source.settle()?;
        Ok(source)
    }

    /// The precision of the model.
    fn precision(&self) -> Precision {
        let of_file = match self.header.types().contains_key("f64") {
            true => Precision::F64,
            false => Precision::F32,
        };
        match &self.experiment {
            Some((experiment, _)) => experiment.precision,
            None => self.about.precision.unwrap_or(of_file),
        }
    }

    /// Checks that the experiment is one of a single network, and fills in what it leaves to the
    /// data, if the file says that.
    fn settle(&mut self) -> anyhow::Result<()> {
        let Some((experiment, origin)) = &mut self.experiment else { return Ok(()) };
        ensure!(
            experiment.committee.is_none(),
            "{origin}: expected an experiment of one network, found a committee; write the network \
             of these weights into an experiment of its own"
        );
        if !experiment.networks.are_open() {
            return Ok(());
        }
        let Some(described) = self.header.described::<()>()? else {
            bail!(
                "{origin}: expected input = [C, H, W] and outputs in numbers, found that they are \
                 left to the data, and the weights do not say them either; write them into the \
                 experiment"
            );
        };
        if let [channels, height, width] = *described.input {
            let outputs = empty::<f32>(&described)?.output_shape().len();
            experiment.fill([channels, height, width], outputs);
        }
        ensure!(
            *experiment.networks.first() == described,
            "{origin}: expected the network that the file describes, found another one; import \
             without --config and --preset"
        );
        Ok(())
    }

    /// The network, with all numbers 0.
    fn network<T: Element>(&self) -> anyhow::Result<Network<T>> {
        if let Some((experiment, origin)) = &self.experiment {
            let mut networks = build::networks::<T>(experiment, origin)?;
            build::check(experiment, origin, &networks, Batches::one_shard(1))?;
            return networks.pop().context("no network");
        }
        let described = self.header.described::<()>()?.context(
            "expected a file that describes its network under \"network\" in __metadata__, found \
             one that does not; name the experiment with --config or --preset",
        )?;
        empty(&described)
    }

    /// What the model's file says of these weights.
    fn about<T: Element>(&self, network: &Network<T>) -> anyhow::Result<Metadata> {
        let own = &self.about;
        // What is said of a training holds for the weights that it ended with, and no others.
        let is_same = own.weights_sha256.as_ref() == Some(&network.digest());
        let trained = if is_same { own.clone() } else { Metadata::default() };
        let precision = Some(self.precision());
        let Some((experiment, origin)) = &self.experiment else {
            let Metadata { preset, loss, form, normalization, .. } = own.clone();
            return Ok(Metadata { preset, precision, loss, form, normalization, ..trained });
        };
        let form = experiment.form();
        let normalization = match form.normalize.unwrap_or_default() {
            Normalize::Unit => Normalization::Unit,
            Normalize::Standard => {
                let is_said = own.normalization != Normalization::Unit;
                ensure!(
                    is_said,
                    "{}: normalize: expected weights that say the mean and the deviation of their \
                     images under {NORMALIZATION:?} in __metadata__, found none; add them there: \
                     {{\"type\":\"standard\",\"mean\":[…],\"deviation\":[…]}}",
                    origin.line(&["data".into(), "normalize".into()])
                );
                own.normalization.clone()
            }
        };
        let (preset, loss) = (Some(experiment.name.clone()), Some(experiment.loss.clone()));
        Ok(Metadata { preset, precision, loss, form, normalization, ..trained })
    }

    /// The classes: those of the experiment, or of the file, or numbers.
    fn classes(&self, outputs: usize) -> anyhow::Result<Classes> {
        let named = self.experiment.as_ref().and_then(|(experiment, origin)| {
            Some((experiment.classes.as_ref()?, origin.line(&["classes".into()])))
        });
        let Some((names, place)) = named else {
            return Classes::from_metadata(&self.header.metadata(), outputs);
        };
        ensure!(
            names.len() == outputs,
            "{place}: classes: expected {outputs} names, one for each output, found {}",
            names.len()
        );
        Classes::named(names).context(place)
    }
}

/// What the weights have become.
struct Imported {
    /// The bytes of the model's file.
    model: Vec<u8>,
    /// Of its weights.
    digest: String,
    /// What was done to them, a line each.
    lines: Vec<String>,
}

fn import<T: Element>(source: &Source, weights: WeightsFile) -> anyhow::Result<Imported> {
    let mut network = source.network::<T>()?;
    let mut lines = Vec::new();
    if !source.prefix.is_empty() {
        let prefix = quoted(&source.prefix);
        lines.push(format!("names of arrays, without {prefix}, with which all begin"));
    }
    let checked = source.header.check(&network);
    match lines.first() {
        Some(line) => checked.with_context(|| line.clone())?,
        None => checked?,
    }
    let footprint = network.spec().footprint::<T>()?;
    memory::require("the weights", footprint.file().saturating_mul(2), "choose a smaller model")?;
    load_weights_of(&mut network, &source.header, &weights.read()?)?;
    let others = source.header.types().into_iter().filter(|(name, _)| name != T::NAME);
    lines.extend(others.map(|(name, count)| {
        let arrays = if count == 1 { "array" } else { "arrays" };
        format!("converted from {name} to {}: {count} {arrays}", T::NAME)
    }));
    let classes = source.classes(network.output_shape().len())?;
    let model = source.about(&network)?.file(&network, &classes)?;
    // What is written can be read by every command.
    SavedNetwork::of(WeightsFile::of(Input::of_bytes(&model))?, None)?;
    Ok(Imported { model, digest: network.digest(), lines })
}

/// A network with all numbers 0, if there is enough memory for it.
fn empty<T: Element>(spec: &NetworkSpec) -> anyhow::Result<Network<T>> {
    let footprint = spec.footprint::<T>().map_err(|error| {
        // A table of the layers follows, for users of the library.
        let text = error.to_string();
        anyhow!("\"network\" in __metadata__: {}", text.lines().next().unwrap_or_default())
    })?;
    memory::require("the network", footprint.network(), "choose a smaller model")?;
    Ok(footprint.build())
}
