//! A file for ONNX runtimes: pictures in, logits and probabilities out.
//!
//! `network` writes a network's steps down as nodes, `answers` what comes before and behind them,
//! `graph` gathers nodes and arrays, and `proto` has the messages of the file.

mod answers;
mod graph;
mod network;
mod proto;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use layers::Network;
use prost::Message;

use super::python::prepare;
use super::subject::Subject;
use super::{Answers, Contents, Format, Kind, Pictures, Prepared, Written};
use crate::dataset::Digests;
use crate::experiment::Precision;
use crate::model::SavedNetwork;
use crate::train::committee_digest;
use graph::{opset, value};
use proto::{ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorProto};

/// The version of the file's form: the first in which arrays need not be inputs, too. Of ONNX 1.4,
/// as version 9 of the operators, which is the highest that is used.
const IR_VERSION: i64 = 4;

/// The name of the set of operators whose version is said: ONNX's own.
const DOMAIN: &str = "";

/// Runs what was written.
const PROGRAM: &str = include_str!("check_onnx.py");

/// The modules that it needs.
const MODULES: [&str; 3] = ["numpy", "onnx", "onnxruntime"];

/// A file for ONNX runtimes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Onnx {
    pub(crate) input: Input,
}

/// What pictures an ONNX model takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Input {
    /// Bytes from 0 to 255
    #[default]
    U8,
    /// Numbers from 0 to 1
    F32,
}

impl Input {
    /// In ONNX.
    fn kind(self) -> i32 {
        match self {
            Self::U8 => TensorProto::UINT8,
            Self::F32 => TensorProto::FLOAT,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::U8 => "uint8 pictures (N, C, H, W), from 0 to 255; the graph scales them",
            Self::F32 => {
                "float32 pictures (N, C, H, W), from 0 to 1: bytes / 255; the graph normalises them"
            }
        }
    }
}

impl Format for Onnx {
    fn kind(&self) -> Kind {
        Kind::File("onnx")
    }

    fn write(&self, subject: &Subject, _: &Pictures) -> anyhow::Result<Written> {
        let bytes = self.model(subject)?.encode_to_vec();
        let is_wide = subject.members().iter().any(|member| member.precision() == Precision::F64);
        let note = is_wide.then(|| "its weights are f64, and f32 in the ONNX file".to_owned());
        Ok(Written { contents: Contents::File(bytes), notes: note.into_iter().collect() })
    }

    fn answers(&self) -> Answers {
        Answers::LogitsAndProbabilities
    }

    fn prepare(&self, path: &Path, workshop: &Path) -> anyhow::Result<Prepared> {
        prepare((PROGRAM, &MODULES, &["-W", "ignore"]), path, workshop)
    }
}

impl Onnx {
    fn model(self, subject: &Subject) -> anyhow::Result<ModelProto> {
        let networks = subject.members().iter().map(SavedNetwork::network_as::<f32>);
        let networks: Vec<_> = networks.collect::<anyhow::Result<_>>().context("--to onnx")?;
        let numbers = |network: &Network<f32>| network.parameters().len() + network.buffers().len();
        let numbers = networks.iter().map(numbers).fold(0, usize::saturating_add);
        check_size(numbers.saturating_mul(size_of::<f32>()))?;
        let (graph, layers) = answers::graph(subject, &networks, self.input)?;
        let classes = subject.classes();
        let input = value("input", self.input.kind(), &subject.picture, Some(self.input.text()));
        let outputs = [
            (
                "logits",
                "before a last sigmoid or softmax; of a committee the logarithms of the \
                        probabilities",
            ),
            (
                "probabilities",
                "of the classes in the order of \"classes\" in the metadata, adding up \
                               to 1",
            ),
        ];
        let output = outputs
            .map(|(name, text)| value(name, TensorProto::FLOAT, &[classes.len()], Some(text)));
        let name = subject.members()[0].preset().unwrap_or("asterism");
        let graph = graph.finish(name, input, output.into());
        let version = env!("CARGO_PKG_VERSION");
        let opset =
            OperatorSetIdProto { domain: Some(DOMAIN.into()), version: Some(opset(&graph.node)) };
        let what = match networks.len() {
            1 => "A network".to_owned(),
            count => format!("A committee of {count} networks"),
        };
        let model = ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some("asterism".into()),
            producer_version: Some(version.into()),
            doc_string: Some(format!(
                "{what} that tells pictures of {} classes apart, trained with Asterism {version}. \
                 Input: {}. Outputs: logits and probabilities (N, {}). Nodes and weights have the \
                 names of the layers that they belong to, counted from 0.",
                classes.len(),
                self.input.text(),
                classes.len()
            )),
            graph: Some(graph),
            opset_import: vec![opset],
            metadata_props: self.metadata(subject, &networks, &layers)?,
        };
        check_size(model.encoded_len())?;
        Ok(model)
    }

    fn metadata(
        self,
        subject: &Subject,
        networks: &[Network<f32>],
        layers: &[String],
    ) -> anyhow::Result<Vec<StringStringEntryProto>> {
        let model = &subject.model;
        let members = subject.members();
        let digests: Vec<_> = members.iter().map(SavedNetwork::digest).collect();
        let digest = match digests.as_slice() {
            [only] => only.clone(),
            several => committee_digest(several),
        };
        let is_wide = members[0].precision() == Precision::F64;
        let mut all = vec![
            ("classes", serde_json::to_string(&subject.classes())?),
            ("input", self.input.text().to_owned()),
            ("preprocessing", subject.preparation()?),
            ("normalization", serde_json::to_string(subject.normalization())?),
            ("weights_sha256", digest),
            ("precision", if is_wide { "f64" } else { "f32" }.to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        all.extend(members[0].preset().map(|preset| ("preset", preset.to_owned())));
        all.extend(model.digests().into_iter().flat_map(Digests::metadata));
        if networks.len() == 1 {
            // The values that the layers put out, those inside a block before the block.
            all.push(("layers", serde_json::to_string(layers)?));
        }
        let entry = |(key, value): (&str, String)| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value),
        };
        Ok(all.into_iter().map(entry).collect())
    }
}

/// Checks that a file of this length is one message, as ONNX asks.
fn check_size(bytes: usize) -> anyhow::Result<()> {
    const MOST: usize = i32::MAX as usize;
    ensure!(
        bytes <= MOST,
        "--to onnx: expected at most {MOST} bytes, which is all that an ONNX file holds, found \
         {bytes}; choose another format"
    );
    Ok(())
}
