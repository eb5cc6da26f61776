//! Models in other formats, each run before it gets its name.
//!
//! `steps` is the network that every format walks, `subject` what else belongs to a model. A format
//! is a folder that implements [`Format`]; `python` is what those in Python share. `destination` is where an export stands until it gets its
//! name, `check` whether it answers as the model does, `tools` what runs it.

mod check;
pub(crate) mod code;
mod destination;
mod edges;
pub(crate) mod npz;
pub(crate) mod onnx;
mod python;
pub(crate) mod pytorch;
pub(crate) mod steps;
pub(crate) mod subject;
mod tools;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::dataset::Samples;
use crate::escape::Escape;
use check::{Agreement, Expected, Runner};
use destination::Destination;
use subject::Subject;

/// A format of models.
pub(crate) trait Format: Sync {
    /// Whether it is a file or a folder.
    fn kind(&self) -> Kind;

    /// What is written for a model. `pictures` are for formats that [test themselves](Self::tests_itself).
    ///
    /// # Errors
    /// If the format cannot hold it.
    fn write(&self, subject: &Subject, pictures: &Pictures) -> anyhow::Result<Written>;

    /// Whether what is written holds pictures with the model's answers.
    fn tests_itself(&self) -> bool {
        false
    }

    /// How exact its answers are, and which they are.
    fn answers(&self) -> Answers;

    /// Makes what was written at `path` ready to run, with files of its own in the folder
    /// `workshop`.
    ///
    /// # Errors
    /// If the tool is there, and refuses what was written.
    fn prepare(&self, path: &Path, workshop: &Path) -> anyhow::Result<Prepared>;
}

/// What a format writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file whose name ends so: `"onnx"`.
    File(&'static str),
    /// A folder.
    Folder,
}

/// A few pictures, to be written into a file that tests itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pictures {
    /// Their bytes, one picture `(C, H, W)` after another.
    pub(crate) bytes: Vec<u8>,
    /// The network's outputs for each.
    pub(crate) outputs: Vec<f32>,
}

impl Pictures {
    /// How many a file holds.
    pub(crate) const COUNT: usize = 16;
}

/// What was written, and what is to be said of it.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) contents: Contents,
    /// A line each: what was narrowed or is not the same.
    pub(crate) notes: Vec<String>,
}

/// What is written.
#[derive(Debug)]
pub(crate) enum Contents {
    File(Vec<u8>),
    /// The names and the contents of the files of a folder.
    Folder(Vec<(&'static str, Vec<u8>)>),
}

/// What a format answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// The network's outputs, with the same bits.
    SameBits,
    /// The logits and then the probabilities of each picture, rounded differently.
    LogitsAndProbabilities,
}

/// Whether an export can be run.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// The program and its first arguments. It is called in two ways:
    ///
    /// - `outputs PICTURES ANSWERS` reads the bytes of pictures `(N, C, H, W)` from the one file and
    ///   writes the answers for each, as `f32` with the least significant byte first, to the other;
    /// - `layers PICTURES ANSWERS` reads one picture and writes what each step puts out, in the
    ///   order of [`steps::trace`].
    Program(Vec<OsString>),
    /// What is missing on this machine: `"rustc, which compiles it"`.
    Missing(String),
}

/// An export that has its name.
#[derive(Debug)]
pub(crate) struct Exported {
    pub(crate) notes: Vec<String>,
    /// How many bytes were written.
    pub(crate) bytes: usize,
    pub(crate) checked: Checked,
}

/// Whether an export was checked.
#[derive(Debug)]
pub(crate) enum Checked {
    /// It answers as the model does.
    Agrees(Agreement),
    /// What is missing on this machine.
    Missing(String),
    /// It was not asked for.
    NotAsked,
}

/// Writes a model as a file or a folder, and gives it its name if it answers as the model does.
///
/// # Errors
/// If it cannot be written or answers otherwise; nothing is left behind then.
pub(crate) fn export(
    format: &dyn Format,
    subject: &Subject,
    (path, pictures): (&Path, &Pictures),
    samples: Option<&Samples>,
) -> anyhow::Result<Exported> {
    let destination = Destination::new(path, format.kind() == Kind::Folder)?;
    let Written { contents, notes } = format.write(subject, pictures)?;
    destination.write(&contents)?;
    let checked = match samples {
        None => Checked::NotAsked,
        Some(samples) => {
            let workshop: PathBuf = destination.workshop();
            let prepared = format.prepare(&destination.unnamed(), &workshop);
            match prepared.with_context(|| path.escaped())? {
                Prepared::Missing(what) => Checked::Missing(what),
                Prepared::Program(program) => {
                    let expected = Expected::new(subject, format.answers(), samples)?;
                    let runner = Runner { program: &program, workshop: &workshop };
                    let agreement = runner.check((subject, samples), &expected, format.answers());
                    Checked::Agrees(agreement.with_context(|| path.escaped())?)
                }
            }
        }
    };
    destination.name()?;
    let bytes = match &contents {
        Contents::File(bytes) => bytes.len(),
        Contents::Folder(files) => files.iter().map(|(_, bytes)| bytes.len()).sum(),
    };
    Ok(Exported { notes, bytes, checked })
}

/// The first of the samples, with the model's outputs.
///
/// # Errors
/// If memory is short.
pub(crate) fn pictures(subject: &Subject, samples: &Samples) -> anyhow::Result<Pictures> {
    let samples = samples.clone().first(Some(Pictures::COUNT));
    let expected = Expected::new(subject, Answers::SameBits, &samples)?;
    let bytes = (0..samples.len()).flat_map(|index| samples.image(index)).copied().collect();
    Ok(Pictures { bytes, outputs: expected.answers().to_vec() })
}
