//! `--to npz`: the weights as NumPy's arrays, and a program that predicts with them by formulas that
//! can be read.

mod archive;
mod layers;

use std::path::Path;

use tensor::Element;

use super::python::{NO_BYTECODE, constants, needed, prepare, reader, tuple};
use super::steps::{Step, steps};
use super::subject::Subject;
use super::{Answers, Contents, Format, Kind, Pictures, Prepared, Written};
use crate::evaluation::vote::Outputs;
use crate::experiment::Precision;
use crate::preprocessing::Normalization;

/// The format.
#[derive(Debug)]
pub(crate) struct Npz;

const NAME: &str = "npz";

impl Format for Npz {
    fn kind(&self) -> Kind {
        Kind::Folder
    }

    fn write(&self, subject: &Subject, _: &Pictures) -> anyhow::Result<Written> {
        match subject.only_member(NAME)?.precision() {
            Precision::F32 => write::<f32>(subject),
            Precision::F64 => write::<f64>(subject),
        }
    }

    fn answers(&self) -> Answers {
        Answers::LogitsAndProbabilities
    }

    fn prepare(&self, path: &Path, workshop: &Path) -> anyhow::Result<Prepared> {
        prepare((include_str!("check.py"), &["numpy"], &[NO_BYTECODE]), path, workshop)
    }
}

fn write<T: Element>(subject: &Subject) -> anyhow::Result<Written> {
    let network = subject.network::<T>(NAME)?;
    let steps = steps(&network)?;
    let program = program::<T>(subject, &steps)?;
    let contents = Contents::Folder(vec![
        ("weights.npz", archive::of(&steps)?),
        ("predict.py", program.into_bytes()),
    ]);
    Ok(Written { contents, notes: Vec::new() })
}

/// The text of `predict.py`.
fn program<T: Element>(subject: &Subject, steps: &[Step<'_, T>]) -> anyhow::Result<String> {
    let member = subject.only_member(NAME)?;
    let layers = layers::lines(steps, 1);
    let probabilities = match member.outputs() {
        Outputs::Logits => "    return softmax(outputs)",
        Outputs::Probabilities => {
            "    p = np.maximum(outputs, 1e-307)\n    \
             return p / p.sum(axis=1, keepdims=True)"
        }
        Outputs::BinaryLogits => {
            "    p = np.maximum(sigmoid(outputs), 1e-307)\n    \
             return p / p.sum(axis=1, keepdims=True)"
        }
    };
    let functions = needed(include_str!("functions.py"), &format!("{layers}{probabilities}"));
    let mut imports = vec!["import sys", "from pathlib import Path\n", "import numpy as np"];
    if functions.contains("math.") {
        imports.insert(0, "import math");
    }
    let is_flat = steps.last().is_none_or(|last| last.output.rank() == 1);
    let outputs = if is_flat {
        "run(LAYERS, numbers(pictures))"
    } else {
        "run(LAYERS, numbers(pictures)).reshape(len(pictures), -1)"
    };
    Ok(include_str!("predict.py")
        .replace("#: imports", &imports.join("\n"))
        .replace("#: constants\n", &constants(subject))
        .replace("#: functions", &functions)
        .replace("#: layers\n", &layers)
        .replace("#: numbers", &numbers(subject))
        .replace("#: outputs", outputs)
        .replace("#: probabilities", probabilities)
        .replace("#: read", &reader(subject)))
}

/// The function that makes an input of the bytes of pictures. In double precision, as NumPy's sums
/// of many numbers would lose digits else.
fn numbers(subject: &Subject) -> String {
    let mut text = "def numbers(pictures):\n    \"\"\"Bytes (N, C, H, W) as the network takes \
                    them.\"\"\"\n    assert pictures.dtype == np.uint8, \
                    \"expected bytes from 0 to 255\"\n    x = (pictures.astype(np.float32) / 255).astype(float)\n"
        .to_owned();
    let is_plain = *subject.normalization() == Normalization::Unit;
    if !is_plain {
        text += "    mean, deviation = (np.array(n)[:, None] for n in (MEAN, DEVIATION))\n";
        text += "    x = (x.reshape(len(x), len(MEAN), -1) - mean) / deviation\n";
    }
    let input = &subject.members()[0].spec().input;
    text + &match *input == subject.picture && is_plain {
        true => "    return x".to_owned(),
        false => format!("    return x.reshape(-1, *{})", tuple(input)),
    }
}

#[cfg(test)]
mod tests;
