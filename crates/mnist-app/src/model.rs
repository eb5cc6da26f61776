//! Networks from files, whatever their precision.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use layers::{Loss, Network, NetworkSpec, metadata_of, network_of};
use tensor::Element;

use crate::dataset::Samples;
use crate::evaluation::{Evaluation, Evaluator};

/// A network that was saved, and what it was trained to make small.
#[derive(Debug)]
pub struct Model {
    path: PathBuf,
    network: AnyNetwork,
    loss: Option<Loss>,
}

/// A network of either precision.
#[derive(Debug)]
enum AnyNetwork {
    F32(Network<f32>),
    F64(Network<f64>),
}

impl Model {
    /// The model in a file, or in a run's folder as `model.safetensors`.
    ///
    /// # Errors
    /// If there is none; the message names the file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let path = if path.is_dir() { in_folder(path)? } else { path.to_owned() };
        let name = || named(&path);
        let bytes = std::fs::read(&path).with_context(name)?;
        let metadata = metadata_of(&bytes).with_context(name)?;
        // Without a word on the precision: f64 holds the numbers of either.
        let single = metadata.get("precision").is_some_and(|precision| precision == "f32");
        let network = if single {
            AnyNetwork::F32(network_of(&bytes).with_context(name)?)
        } else {
            AnyNetwork::F64(network_of(&bytes).with_context(name)?)
        };
        let loss = metadata.get("loss").and_then(|text| serde_json::from_str(text).ok());
        Ok(Self { path, network, loss })
    }

    /// The file that it is from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The loss that it was trained with, if its file says so.
    pub fn loss(&self) -> Option<Loss> {
        self.loss
    }

    /// The layers.
    pub fn spec(&self) -> &NetworkSpec {
        match &self.network {
            AnyNetwork::F32(network) => network.spec(),
            AnyNetwork::F64(network) => network.spec(),
        }
    }

    /// Runs all samples through the network. Without a loss of its own the squared error
    /// is measured.
    ///
    /// # Errors
    /// If the network does not take such images, or does not tell such classes apart.
    pub fn evaluate(&self, samples: &Samples) -> anyhow::Result<Evaluation> {
        let loss = self.loss.unwrap_or(Loss::MeanSquaredError);
        let evaluation = match &self.network {
            AnyNetwork::F32(network) => evaluate(network, loss, samples),
            AnyNetwork::F64(network) => evaluate(network, loss, samples),
        };
        evaluation.with_context(|| named(&self.path))
    }
}

fn evaluate<T: Element>(
    network: &Network<T>,
    loss: Loss,
    samples: &Samples,
) -> anyhow::Result<Evaluation> {
    samples.fit(network)?;
    Ok(Evaluator::new(network).evaluate(network, loss, samples))
}

fn in_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("model.safetensors");
    if path.is_file() {
        return Ok(path);
    }
    bail!(
        "{}: expected the folder of a run that has ended, with model.safetensors in it, \
         found no such file",
        named(folder)
    )
}

fn named(path: &Path) -> String {
    format!("model {}", path.display())
}
