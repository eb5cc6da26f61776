//! Networks from files, whatever their precision.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use layers::{Loss, Network, metadata_of, network_of};
use tensor::Element;

use crate::dataset::{Classes, Samples};
use crate::evaluation::{Evaluation, Evaluator};
use crate::experiment::Precision;
use crate::files;
use crate::printable::Shown;
use crate::vote::{Outputs, Vote};

/// A network that was saved, or the networks of a committee, which answer as one.
#[derive(Debug)]
pub struct Model {
    path: PathBuf,
    /// One, or the members of a committee.
    networks: Vec<Saved>,
}

/// A network, and what it was trained to make small, if its file says so.
#[derive(Debug)]
struct Saved {
    network: AnyNetwork,
    loss: Option<Loss>,
    classes: Classes,
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
    /// If there is none; the message names the file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let files = files_of(path)?;
        let networks = files.iter().map(|file| Saved::open(file)).collect::<anyhow::Result<_>>()?;
        let path = if let [file] = files.as_slice() { file } else { path };
        Ok(Self { path: path.to_owned(), networks })
    }

    /// The file or the folder that it is from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its outputs stand for.
    pub fn classes(&self) -> &Classes {
        &self.networks[0].classes
    }

    /// What the error of its evaluations is the mean of.
    pub fn error_name(&self) -> &'static str {
        match self.networks.as_slice() {
            [one] => one.loss_or_default().name(),
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
    /// If it does not take such images, or does not tell such classes apart.
    pub fn fit(&self, samples: Samples) -> anyhow::Result<Samples> {
        let fit = |samples, saved: &Saved| saved.fit(samples);
        self.networks.iter().try_fold(samples, fit).with_context(|| named(&self.path))
    }

    /// Runs all samples through the network, or has the committee vote on them. Without a
    /// loss of its own the squared error of a network is measured.
    ///
    /// # Panics
    /// If the samples are not from [`Model::fit`] and do not fit.
    pub fn evaluate(&self, samples: &Samples) -> Evaluation {
        if let [one] = self.networks.as_slice() {
            return one.evaluate(samples);
        }
        let mut vote = Vote::default();
        for member in &self.networks {
            vote.add(member.outputs(), &member.evaluate(samples));
        }
        vote.evaluation(samples)
    }
}

impl Saved {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let name = || named(path);
        let bytes = std::fs::read(path).with_context(name)?;
        let metadata = metadata_of(&bytes).with_context(name)?;
        let (precision, loss) = precision_and_loss(&metadata);
        let network = match precision {
            Precision::F32 => AnyNetwork::F32(network_of(&bytes).with_context(name)?),
            Precision::F64 => AnyNetwork::F64(network_of(&bytes).with_context(name)?),
        };
        let outputs = match &network {
            AnyNetwork::F32(network) => network.output_shape().len(),
            AnyNetwork::F64(network) => network.output_shape().len(),
        };
        let classes = Classes::of_model(&metadata, outputs).with_context(name)?;
        Ok(Self { network, loss, classes })
    }

    fn fit(&self, samples: Samples) -> anyhow::Result<Samples> {
        let samples = samples.relabelled(&self.classes)?;
        let fitting = match &self.network {
            AnyNetwork::F32(network) => samples.fit(network),
            AnyNetwork::F64(network) => samples.fit(network),
        };
        fitting.map_err(|misfit| anyhow!("network: {misfit}"))
    }

    fn loss_or_default(&self) -> Loss {
        self.loss.unwrap_or(Loss::MeanSquaredError)
    }

    fn outputs(&self) -> Outputs {
        let spec = match &self.network {
            AnyNetwork::F32(network) => network.spec(),
            AnyNetwork::F64(network) => network.spec(),
        };
        Outputs::of(spec, self.loss)
    }

    fn evaluate(&self, samples: &Samples) -> Evaluation {
        let loss = self.loss_or_default();
        match &self.network {
            AnyNetwork::F32(network) => evaluate(network, loss, samples),
            AnyNetwork::F64(network) => evaluate(network, loss, samples),
        }
    }
}

fn evaluate<T: Element>(network: &Network<T>, loss: Loss, samples: &Samples) -> Evaluation {
    Evaluator::new(network).evaluate(network, loss, samples)
}

/// What a model's metadata say of its precision, which is that of `f64` without a word,
/// since that holds the numbers of either, and of the loss.
pub(crate) fn precision_and_loss(metadata: &HashMap<String, String>) -> (Precision, Option<Loss>) {
    let single = metadata.get("precision").is_some_and(|precision| precision == "f32");
    let loss = metadata.get("loss").and_then(|text| serde_json::from_str(text).ok());
    (if single { Precision::F32 } else { Precision::F64 }, loss)
}

/// The file of a model, which may be named by the folder of its run; of a committee's
/// folder, those of its members.
///
/// # Errors
/// If a folder has none.
pub(crate) fn files_of(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let members = (1..).map(|member| path.join(files::member(member)));
    let members: Vec<_> = members.take_while(|member| member.is_dir()).collect();
    if members.is_empty() {
        return Ok(vec![file(path)?]);
    }
    members.iter().map(|member| file(member)).collect()
}

fn file(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let file = path.join("model.safetensors");
    if file.is_file() {
        return Ok(file);
    }
    bail!(
        "{}: expected the folder of a run that has ended, with model.safetensors in it, \
         found no such file",
        named(path)
    )
}

fn named(path: &Path) -> String {
    format!("model {}", path.shown())
}
