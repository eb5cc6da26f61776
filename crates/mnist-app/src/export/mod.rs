//! Models in other formats, each run before it gets its name.
//!
//! `steps` is the network that every format walks, `subject` what else belongs to a model. A format
//! is a folder that implements [`Format`]; what runs the result and compares it is in `check`.

pub(crate) mod code;
pub(crate) mod steps;
pub(crate) mod subject;

use std::ffi::OsString;
use std::path::Path;

use subject::Subject;

/// A format of models.
pub(crate) trait Format: Sync {
    /// What is written for a model.
    ///
    /// # Errors
    /// If the format cannot hold it.
    fn write(&self, subject: &Subject, pictures: &Pictures) -> anyhow::Result<Contents>;

    /// How exact its answers are, and which they are.
    fn answers(&self) -> Answers;

    /// Makes what was written at `path` ready to run, with files of its own in the folder
    /// `workshop`.
    ///
    /// # Errors
    /// If the tool is there, and refuses what was written.
    fn prepare(&self, path: &Path, workshop: &Path) -> anyhow::Result<Prepared>;
}

/// A few pictures, to be written into a file that tests itself.
pub(crate) struct Pictures {
    /// Their bytes, one picture `(C, H, W)` after another.
    pub(crate) bytes: Vec<u8>,
    /// The network's outputs for each.
    pub(crate) outputs: Vec<f32>,
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
    /// The network's outputs, rounded differently.
    Outputs,
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
