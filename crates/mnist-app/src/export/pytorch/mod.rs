//! `--to pytorch`: the weights as a `state_dict`, the network that they belong to, and a program
//! that predicts with it.

mod modules;

use std::path::Path;

use tensor::Element;

use super::python::{NO_BYTECODE, constants, needed, prepare, reader, tuple};
use super::steps::steps;
use super::subject::Subject;
use super::{Answers, Contents, Format, Kind, Pictures, Prepared, Written};
use crate::evaluation::vote::Outputs;
use crate::experiment::Precision;
use crate::preprocessing::Normalization;

/// The format.
#[derive(Debug)]
pub(crate) struct PyTorch;

const NAME: &str = "pytorch";

impl Format for PyTorch {
    fn kind(&self) -> Kind {
        Kind::Folder
    }

    fn write(&self, subject: &Subject, _: &Pictures) -> anyhow::Result<Written> {
        let member = subject.only_member(NAME)?;
        let model = match member.precision() {
            Precision::F32 => model::<f32>(subject),
            Precision::F64 => model::<f64>(subject),
        }?;
        let predict = include_str!("predict.py").replace("#: read", &reader(subject));
        let contents = Contents::Folder(vec![
            ("model.safetensors", member.file()?),
            ("model.py", model.into_bytes()),
            ("predict.py", predict.into_bytes()),
        ]);
        Ok(Written { contents, notes: Vec::new() })
    }

    fn answers(&self) -> Answers {
        Answers::LogitsAndProbabilities
    }

    fn prepare(&self, path: &Path, workshop: &Path) -> anyhow::Result<Prepared> {
        let modules = &["torch", "numpy", "safetensors"];
        prepare((include_str!("check.py"), modules, &[NO_BYTECODE]), path, workshop)
    }
}

/// The text of `model.py`.
fn model<T: Element>(subject: &Subject) -> anyhow::Result<String> {
    let network = subject.network::<T>(NAME)?;
    let steps = steps(&network)?;
    let modules = modules::lines(&steps, network.spec(), 2);
    let double = if T::NAME == "f64" { ".double()" } else { "" };
    let text = format!("nn.Sequential(\n{modules}    ){double}");
    let classes = needed(include_str!("classes.py"), &text);
    let mut imports = vec!["import torch", "from torch import nn"];
    if classes.contains("F.") {
        imports.push("from torch.nn import functional as F");
    }
    let classes = if classes.is_empty() { classes } else { format!("\n\n{classes}\n") };
    let sum = "    p = p.clamp(min=1e-307)\n    return p / p.sum(dim=1, keepdim=True)";
    let mut probabilities = match subject.only_member(NAME)?.outputs() {
        Outputs::Logits => "    return outputs.softmax(dim=1)".to_owned(),
        Outputs::Probabilities => sum.replacen("p.clamp", "outputs.double().clamp", 1),
        Outputs::BinaryLogits => sum.replacen("p.clamp", "outputs.double().sigmoid().clamp", 1),
    };
    if steps.last().is_some_and(|last| last.output.rank() != 1) {
        probabilities.insert_str(0, "    outputs = outputs.flatten(1)\n");
    }
    Ok(include_str!("model.py")
        .replace("#: imports", &imports.join("\n"))
        .replace("#: constants\n", &constants(subject))
        .replace("#: classes\n", &classes)
        .replace("#: network", &text)
        .replace("#: numbers", &numbers::<T>(subject))
        .replace("#: probabilities", &probabilities))
}

/// The function that makes an input of the bytes of pictures.
fn numbers<T: Element>(subject: &Subject) -> String {
    let mut text = "def numbers(pictures):\n    \"\"\"Bytes (N, C, H, W) as the network takes \
                    them.\"\"\"\n    x = torch.as_tensor(pictures.copy())\n    \
                    assert x.dtype == torch.uint8, \"expected bytes from 0 to 255\"\n    \
                    x = x.float() / 255\n"
        .to_owned();
    if T::NAME == "f64" {
        text += "    x = x.double()\n";
    }
    if *subject.normalization() != Normalization::Unit {
        text +=
            "    mean, deviation = (torch.tensor(n).to(x)[:, None] for n in (MEAN, DEVIATION))\n";
        text += "    x = (x.reshape(len(x), len(MEAN), -1) - mean) / deviation\n";
    }
    let input = &subject.members()[0].spec().input;
    let same_shape = *input == subject.picture && *subject.normalization() == Normalization::Unit;
    text + &match same_shape {
        true => "    return x".to_owned(),
        false => format!("    return x.reshape(-1, *{})", tuple(input)),
    }
}

#[cfg(test)]
mod tests;
