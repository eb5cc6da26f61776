//! Saved networks, of either precision.

pub(crate) mod chosen;
mod data;
mod metadata;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use layers::{Loss, Network, load_weights};
use tensor::Element;

use crate::dataset::{Classes, Digests, Samples};
use crate::escape::quoted;
use crate::evaluation::vote::{Outputs, Vote};
use crate::evaluation::{Evaluation, Evaluator, mean};
use crate::experiment::Precision;
use crate::experiment::build::refuse_loss;
use crate::input::or_if_missing;
use crate::memory;
use crate::preprocessing::{Form, Normalization, Normalize, Preprocessing, Style};
use crate::run_folder::{FinishedRun, ModelFile, ModelFiles, model_files, named};
use crate::train::committee_digest;
use crate::weights_file::WeightsFile;

pub(crate) use data::ModelData;
pub(crate) use metadata::{FORM, MISTAKES, Metadata, NORMALIZATION};

/// A saved network, or the networks of a committee, which answer as one.
#[derive(Debug)]
pub struct Model {
    path: PathBuf,
    /// One, or the members of a committee.
    networks: Vec<SavedNetwork>,
    /// The committee's run, if the model was named by its folder.
    committee: Option<FinishedRun>,
}

/// A network with the metadata of its file, and its run, if it was named by the run's folder.
#[derive(Debug)]
pub(crate) struct SavedNetwork {
    network: AnyNetwork,
    classes: Classes,
    about: Metadata,
    run: Option<FinishedRun>,
}

/// A network of either precision.
#[derive(Debug)]
enum AnyNetwork {
    F32(Network<f32>),
    F64(Network<f64>),
}

impl Model {
    /// The model in a file, or in a run's folder as `model.safetensors`; in the folder of
    /// a committee, its members.
    ///
    /// # Errors
    /// If there is none, it is incomplete, or parts of it are of another run; the message names the
    /// file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let ModelFiles { files, committee } = model_files(path)?;
        let path = if let [place] = files.as_slice() { &place.file } else { path }.to_owned();
        let networks =
            files.into_iter().map(SavedNetwork::open).collect::<anyhow::Result<Vec<_>>>()?;
        for member in &networks[1..] {
            let first = &networks[0];
            ensure!(
                (&member.classes, &member.about.digests) == (&first.classes, &first.about.digests),
                "{}: expected members of the same data and classes, found different ones: some \
                 are of another run",
                named(&path)
            );
        }
        let mut model = Self { path, networks, committee };
        model.check_committee().with_context(|| named(&model.path))?;
        Ok(model)
    }

    /// A committee of these models.
    #[cfg(test)]
    pub(crate) fn committee_of(models: Vec<Self>) -> Self {
        let path = models[0].path.clone();
        let networks = models.into_iter().flat_map(|model| model.networks).collect();
        Self { path, networks, committee: None }
    }

    /// Checks that the members are those that their committee ended with, as far as its files say.
    fn check_committee(&mut self) -> anyhow::Result<()> {
        let Some(committee) = &mut self.committee else { return Ok(()) };
        let digests = self.networks.iter().map(|member| member.about.weights_sha256.as_deref());
        let digests: Option<Vec<_>> = digests.collect();
        digests.map_or(Ok(()), |digests| committee.check_end(&committee_digest(&digests)))
    }

    /// The file or the folder that it is from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The classes that its outputs stand for.
    pub fn classes(&self) -> &Classes {
        &self.networks[0].classes
    }

    /// The digests of its data, if its file has them.
    pub(crate) fn digests(&self) -> Option<&Digests> {
        self.networks[0].about.digests.as_ref()
    }

    /// Its run, if it was named by the run's folder.
    pub(crate) fn run(&self) -> Option<&FinishedRun> {
        self.networks[0].run()
    }

    /// Its networks.
    pub(crate) fn networks(&self) -> &[SavedNetwork] {
        &self.networks
    }

    /// Messages about metadata that are not used and defaults for those that are missing, a line
    /// each.
    pub(crate) fn notes(&self) -> Vec<String> {
        const MOST: usize = 10;
        let Metadata { unknown, loss, precision, .. } = &self.networks[0].about;
        let mut notes = Vec::new();
        let more = |count: usize| match count.saturating_sub(MOST) {
            0 => String::new(),
            rest => format!(" and {rest} more"),
        };
        if !unknown.is_empty() {
            let shown: Vec<_> = unknown.iter().take(MOST).map(|key| quoted(key)).collect();
            let rest = more(unknown.len());
            notes.push(format!(
                "not used, as this version does not know them: the keys {}{rest} in \
                 __metadata__",
                shown.join(", ")
            ));
        }
        if loss.is_none() {
            notes.push("it does not say its loss, so its error is the mean squared error".into());
        }
        if precision.is_none() {
            notes.push("it does not say its precision, so it is computed in f64".into());
        }
        let name = named(&self.path);
        let runs = self.committee.iter().chain(self.networks.iter().filter_map(SavedNetwork::run));
        let of_runs: Vec<_> = runs.flat_map(FinishedRun::notes).cloned().collect();
        let rest = of_runs.len().saturating_sub(MOST);
        notes.extend((rest > 0).then(|| format!("{rest} more files of its run are not there")));
        let of_file = notes.into_iter().map(|note| format!("{name}: {note}"));
        of_file.chain(of_runs.into_iter().take(MOST)).collect()
    }

    /// The name of the loss whose mean is its error.
    pub fn error_name(&self) -> &'static str {
        match self.networks.as_slice() {
            [one] => one.loss().name(),
            _ => "−ln p",
        }
    }

    /// How its outputs become probabilities.
    pub fn outputs(&self) -> Outputs {
        match self.networks.as_slice() {
            [one] => one.outputs(),
            _ => Outputs::Probabilities,
        }
    }

    /// The samples, labelled as the model knows their classes.
    ///
    /// # Errors
    /// If it takes images of another shape, or has other classes.
    pub fn fit(&self, samples: Samples) -> anyhow::Result<Samples> {
        let fit = |samples, saved: &SavedNetwork| saved.fit(samples);
        self.networks.iter().try_fold(samples, fit).with_context(|| named(&self.path))
    }

    /// What its experiment said of the form of its pictures.
    pub(crate) fn form(&self) -> Form {
        self.networks[0].about.form
    }

    /// How the bytes of its pictures become numbers; of a committee's members, which have the same
    /// training images, it is the same.
    pub(crate) fn normalization(&self) -> &Normalization {
        &self.networks[0].about.normalization
    }

    /// How a picture becomes its input.
    ///
    /// # Errors
    /// If its input is no picture.
    pub(crate) fn preprocessing(&self) -> anyhow::Result<Preprocessing> {
        let input = &self.networks[0].spec().input;
        let shape = match *input.as_slice() {
            [channels @ (1 | 3), height, width] => Some([channels, height, width]),
            // A dense network takes the pixels of a square picture one after another.
            [pixels] => {
                Some(pixels.isqrt()).filter(|side| side * side == pixels).map(|s| [1, s, s])
            }
            _ => None,
        };
        let shape = shape.with_context(|| {
            format!(
                "{}: expected a network of pictures, input = [C, H, W] with 1 or 3 channels C, \
                 found {input:?}",
                named(&self.path)
            )
        })?;
        let is_mnist = self.digests().is_some_and(Digests::are_mnist);
        let style = self.form().style.or(is_mnist.then_some(Style::Digit)).unwrap_or_default();
        let preprocessing = self.form().preprocessing(shape);
        ensure!(
            preprocessing.shape() == shape || self.form().size.is_none(),
            "{}: expected the size of its input, {input:?}, under \"preprocessing\" in \
             __metadata__, found {:?}",
            named(&self.path),
            preprocessing.size
        );
        let size = [shape[1], shape[2]];
        let normalization = self.normalization().clone();
        Ok(Preprocessing { style, size, normalization, ..preprocessing })
    }

    /// The probabilities of the classes, given what it puts out for a picture.
    pub(crate) fn probabilities(&self, outputs: &[f64]) -> Vec<f64> {
        match self.networks.as_slice() {
            [one] => one.probabilities(outputs),
            _ => outputs.to_vec(),
        }
    }

    /// The probability that half of its wrong answers on its test images had less than, where its
    /// file says it; of a committee the mean over the members.
    pub(crate) fn mistakes_probability(&self) -> Option<f64> {
        let of_each = self.networks.iter().map(|saved| saved.about.mistakes_probability);
        let of_each: Option<Vec<_>> = of_each.collect();
        of_each.map(|of_each| mean(&of_each))
    }

    /// Evaluates the network, or the vote of the committee, on all samples. Where neither the file
    /// nor the run names a loss, it is the mean squared error.
    ///
    /// # Errors
    /// If there is too little memory for one sample.
    ///
    /// # Panics
    /// If the samples are not from [`Model::fit`] and do not fit.
    pub fn evaluate(&self, samples: &Samples) -> anyhow::Result<Evaluation> {
        if let [one] = self.networks.as_slice() {
            return one.evaluate(samples);
        }
        let mut vote = Vote::default();
        for member in &self.networks {
            vote.add(member.outputs(), &member.evaluate(samples)?);
        }
        Ok(vote.evaluation(samples))
    }
}

impl SavedNetwork {
    fn open(ModelFile { file, run }: ModelFile) -> anyhow::Result<Self> {
        Self::read(&file, run).with_context(|| named(&file))
    }

    fn read(file: &Path, run: Option<FinishedRun>) -> anyhow::Result<Self> {
        let weights = WeightsFile::open(file).map_err(|error| {
            or_if_missing(error, "name a model.safetensors or the folder of a run")
        })?;
        Self::of(weights, run)
    }

    pub(crate) fn of(weights: WeightsFile, run: Option<FinishedRun>) -> anyhow::Result<Self> {
        let metadata = weights.header.metadata();
        let mut about = Metadata::of(&metadata)?;
        if let Some(FinishedRun { experiment, .. }) = &run {
            about.precision = about.precision.or(Some(experiment.precision));
            about.loss.get_or_insert_with(|| experiment.loss.clone());
        }
        let network = AnyNetwork::read(weights, &mut about)?;
        let refused = about.loss.as_ref().and_then(|loss| match &network {
            AnyNetwork::F32(network) => refuse_loss(loss, network),
            AnyNetwork::F64(network) => refuse_loss(loss, network),
        });
        if let Some(refused) = refused {
            bail!("\"loss\" in __metadata__: {}", refused.complaint);
        }
        let classes = Classes::from_metadata(&metadata, network.outputs())?;
        let mut saved = Self { network, classes, about, run };
        saved.check_normalization()?;
        saved.check_run()?;
        Ok(saved)
    }

    /// Checks that its pictures are normalised as their form says.
    fn check_normalization(&self) -> anyhow::Result<()> {
        let Metadata { form, normalization, .. } = &self.about;
        let asked = form.normalize.unwrap_or_default();
        let is_asked = (asked == Normalize::Standard) == (*normalization != Normalization::Unit);
        ensure!(
            is_asked && normalization.suits(&self.spec().input),
            "{NORMALIZATION:?} in __metadata__: expected a mean and a deviation above 0 of each \
             channel where {FORM:?} says \"normalize\": \"standard\", and none elsewhere, found {}",
            serde_json::to_string(normalization)?
        );
        Ok(())
    }

    /// Checks that this is the network that the run trained, as far as its files say.
    fn check_run(&mut self) -> anyhow::Result<()> {
        let is_first = |run: &FinishedRun| self.spec() == run.experiment.networks.first();
        let same_network = self.run.as_ref().is_some_and(is_first);
        let Some(run) = &mut self.run else { return Ok(()) };
        let Metadata { precision, loss, seed, weights_sha256, config_sha256, .. } = &self.about;
        let experiment = &run.experiment;
        let differs = |what: &str| {
            anyhow!("expected the model of its run, found one of another {what}; {}", run.remedy())
        };
        ensure!(same_network, differs("network"));
        ensure!(seed.is_none_or(|seed| seed == experiment.seed), differs("seed"));
        ensure!(loss.as_ref().is_none_or(|loss| *loss == experiment.loss), differs("loss"));
        ensure!(precision.is_none_or(|own| own == experiment.precision), differs("precision"));
        if let Some(digest) = weights_sha256 {
            run.check_end(digest)?;
        }
        config_sha256.as_ref().map_or(Ok(()), |digest| run.check_config(digest))
    }

    fn run(&self) -> Option<&FinishedRun> {
        self.run.as_ref()
    }

    pub(crate) fn fit(&self, samples: Samples) -> anyhow::Result<Samples> {
        let samples = samples.relabelled(&self.classes)?;
        let fitting = match &self.network {
            AnyNetwork::F32(network) => samples.fit(network),
            AnyNetwork::F64(network) => samples.fit(network),
        };
        let fitting = fitting.map_err(|misfit| anyhow!("network: {misfit}"))?;
        Ok(fitting.normalized(self.about.normalization.clone()))
    }

    /// The loss that it was trained with; the mean squared error if neither its file nor its run
    /// says.
    pub(crate) fn loss(&self) -> &Loss {
        const OTHERWISE: &Loss = &Loss::mean_squared_error();
        self.about.loss.as_ref().unwrap_or(OTHERWISE)
    }

    /// The precision of its numbers.
    pub(crate) fn precision(&self) -> Precision {
        self.about.precision()
    }

    /// The digest of its weights, in their precision.
    pub(crate) fn digest(&self) -> String {
        match &self.network {
            AnyNetwork::F32(network) => network.digest(),
            AnyNetwork::F64(network) => network.digest(),
        }
    }

    /// The name of its experiment, if its file says so.
    pub(crate) fn preset(&self) -> Option<&str> {
        self.about.preset.as_deref()
    }

    /// The same network, converted to this precision.
    pub(crate) fn network_as<T: Element>(&self) -> anyhow::Result<Network<T>> {
        match &self.network {
            AnyNetwork::F32(network) => converted(network),
            AnyNetwork::F64(network) => converted(network),
        }
    }

    pub(crate) fn spec(&self) -> &layers::NetworkSpec {
        match &self.network {
            AnyNetwork::F32(network) => network.spec(),
            AnyNetwork::F64(network) => network.spec(),
        }
    }

    /// The probabilities of the classes, given the outputs for one sample; of what are no logits,
    /// their shares of their sum.
    pub(crate) fn probabilities(&self, outputs: &[f64]) -> Vec<f64> {
        self.outputs().shares(outputs)
    }

    pub(crate) fn outputs(&self) -> Outputs {
        Outputs::of(self.spec(), self.about.loss.as_ref())
    }

    /// Its file, anew.
    ///
    /// # Errors
    /// If a number is not finite.
    pub(crate) fn file(&self) -> anyhow::Result<Vec<u8>> {
        match &self.network {
            AnyNetwork::F32(network) => self.about.file(network, &self.classes),
            AnyNetwork::F64(network) => self.about.file(network, &self.classes),
        }
    }

    fn evaluate(&self, samples: &Samples) -> anyhow::Result<Evaluation> {
        let loss = self.loss();
        match &self.network {
            AnyNetwork::F32(network) => evaluate(network, loss, samples),
            AnyNetwork::F64(network) => evaluate(network, loss, samples),
        }
    }
}

fn evaluate<T: Element>(
    network: &Network<T>,
    loss: &Loss,
    samples: &Samples,
) -> anyhow::Result<Evaluation> {
    Ok(Evaluator::new(network, samples.len(), 0)?.evaluate(network, loss, samples))
}

impl AnyNetwork {
    /// The network of a file, with the numbers as they were written. Where the metadata do not say
    /// in which precision, the digest of the weights does.
    fn read(weights: WeightsFile, about: &mut Metadata) -> anyhow::Result<Self> {
        if about.precision == Some(Precision::F32) {
            let network = network(weights)?;
            about.check_weights(&network)?;
            return Ok(Self::F32(network));
        }
        let wide: Network<f64> = network(weights)?;
        if about.precision.is_none() && about.check_weights(&wide).is_err() {
            let network = converted(&wide)?;
            about.check_weights(&network)?;
            about.precision = Some(Precision::F32);
            return Ok(Self::F32(network));
        }
        about.check_weights(&wide)?;
        Ok(Self::F64(wide))
    }

    fn outputs(&self) -> usize {
        match self {
            Self::F32(network) => network.output_shape().len(),
            Self::F64(network) => network.output_shape().len(),
        }
    }
}

fn network<T: Element>(weights: WeightsFile) -> anyhow::Result<Network<T>> {
    let footprint = weights.header.footprint::<T>()?;
    let bytes = footprint.network().saturating_add(footprint.file());
    memory::require("reading it", bytes, "choose a smaller model")?;
    let mut network = footprint.build();
    load_weights(&mut network, &weights.read()?)?;
    Ok(network)
}

fn converted<A: Element, B: Element>(network: &Network<A>) -> anyhow::Result<Network<B>> {
    let footprint = network.spec().footprint::<B>()?;
    let what = format!("the network in {}", B::NAME);
    memory::require(&what, footprint.network(), "choose a smaller model")?;
    let mut other = footprint.build();
    let convert = |from: &[A], to: &mut [B]| {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = B::from_f64(from.to_f64()));
    };
    convert(network.parameters(), other.parameters_mut());
    convert(network.buffers(), other.buffers_mut());
    let mut numbers = other.parameters().iter().chain(other.buffers());
    ensure!(
        numbers.all(|number| number.is_finite()),
        "--precision {}: expected weights that are finite in it, found some that are not",
        B::NAME
    );
    Ok(other)
}
