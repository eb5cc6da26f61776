//! A network as one file of a programming language that needs nothing else, with the same bits.
//!
//! `program` is the network as a list of calls, `buffers` where their numbers lie, `kernels` the
//! functions that are called; [`Rust`] and [`C`] write them down.

mod buffers;
mod c;
mod compiler;
mod kernels;
mod program;
mod rust;
#[cfg(test)]
mod tests;

pub(crate) use c::C;
pub(crate) use rust::Rust;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::ensure;
use layers::Network;

use super::steps::steps;
use super::subject::Subject;
use super::{Contents, Written};
use crate::evaluation::vote::Outputs;
use crate::experiment::Precision;
use program::Program;

/// The file of a format: what it says of itself, in lines that both languages take for comments, and
/// the source of the network.
fn written(
    format: &str,
    subject: &Subject,
    source: impl FnOnce(&Program) -> String,
) -> anyhow::Result<Written> {
    let network = network(subject, format)?;
    let program = program(subject, &network)?;
    let mut text = String::new();
    for line in header(subject, &network, &program) {
        let _ = writeln!(text, "{}", format!("// {line}").trim_end());
    }
    text += &source(&program);
    Ok(Written { contents: Contents::File(text.into_bytes()), notes: Vec::new() })
}

/// The network, whose numbers must be those that the file has.
fn network(subject: &Subject, format: &str) -> anyhow::Result<Network<f32>> {
    let precision = subject.only_member(format)?.precision();
    ensure!(
        precision == Precision::F32,
        "--to {format}: expected a network of --precision f32, found one of f64; train it with f32"
    );
    subject.network(format)
}

/// What the file says of itself, a line each.
fn header(subject: &Subject, network: &Network<f32>, program: &Program) -> Vec<String> {
    let [c, h, w] = subject.picture;
    let constants: usize = program.constants.iter().map(|constant| constant.numbers.len()).sum();
    vec![
        format!("A trained network, written by Asterism {}.", env!("CARGO_PKG_VERSION")),
        format!("The SHA-256 of its weights is {}.", network.digest()),
        String::new(),
        format!("It takes pictures of {c} x {h} x {w} bytes (channels, rows, columns), and gives"),
        "the same bits as the program that trained it, on every processor.".into(),
        format!("Before training, pictures were brought to this form: {}", preparation(subject)),
        String::new(),
        format!("Constants: {} bytes. Buffers: {} bytes.", 4 * constants, 4 * program.room()),
        format!("A picture takes {} multiply-adds.", program.multiply_adds),
    ]
}

/// The form of pictures in a comment; nothing in it may end one.
fn preparation(subject: &Subject) -> String {
    subject.preparation().unwrap_or_default().replace("*/", "* /")
}

/// The program of the network.
fn program(subject: &Subject, network: &Network<f32>) -> anyhow::Result<Program> {
    Ok(Program::of(subject.pixels(), subject.normalization(), &steps(network)?))
}

/// The kernels that are called, and whether one of them makes probabilities of the outputs: the
/// softmax of logits.
fn kernels_of(subject: &Subject, program: &Program) -> (BTreeSet<&'static str>, bool) {
    let is_logits = subject.members().iter().all(|member| member.outputs() == Outputs::Logits);
    let softmax = is_logits.then_some("softmax");
    (program.kernels().chain(softmax).collect(), is_logits)
}

/// Items with commas between them, in lines of at most 100 characters.
fn lines(items: impl Iterator<Item = String>, indent: &str) -> String {
    let (mut text, mut line) = (String::new(), String::from(indent));
    for item in items {
        if line.len() + item.len() > 98 && line.len() > indent.len() {
            let _ = writeln!(text, "{}", line.trim_end());
            line.truncate(indent.len());
        }
        let _ = write!(line, "{item}, ");
    }
    let _ = writeln!(text, "{}", line.trim_end());
    text
}
