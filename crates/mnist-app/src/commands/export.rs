//! `export`: a model in another format, which is run on the test images before it gets its name.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::Common;
use super::flags::count;
use crate::console::{Console, notice};
use crate::dataset::{Part, Samples};
use crate::escape::Escape;
use crate::export::code::{C, Rust};
use crate::export::npz::Npz;
use crate::export::onnx::{Input, Onnx};
use crate::export::pytorch::PyTorch;
use crate::export::subject::Subject;
use crate::export::{self, Checked, Exported, Format, Kind, Pictures};
use crate::input::require_utf8;
use crate::model::{Model, ModelData};
use crate::signals::{self, Stopped};
use crate::threads::ThreadCount;
use crate::usage::Usage;

/// Writes a model for PyTorch, NumPy, ONNX runtimes, Rust or C, and checks that it answers the same
///
/// What was written is run on the model's test images before it gets its name: with rustc, with cc,
/// or with the Python that `ASTERISM_PYTHON` names. If an answer differs, nothing is written, and the
/// message says from which layer on the numbers part. Without these tools it is written, and said
/// that it was not checked.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// a model.safetensors or the folder of a run
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The format
    #[arg(long, value_name = "FORMAT")]
    to: To,
    /// The file to write, or the folder for pytorch and npz
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// What pictures an ONNX model takes: bytes from 0 to 255, which it scales itself, or numbers
    /// from 0 to 1 [default: u8]
    #[arg(long, value_name = "TYPE")]
    input: Option<Input>,
    /// Check it on the first N test images only
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    check: Option<NonZeroUsize>,
    /// Do not check it
    #[arg(long, conflicts_with = "check")]
    no_check: bool,
    /// Check it on these images instead of the model's own; mnist is MNIST, which needs no folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print a JSON object instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: Common,
}

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    /// A folder with the weights, the network and a program for PyTorch
    Pytorch,
    /// A folder with the weights and a program for NumPy alone
    Npz,
    /// A file for ONNX runtimes
    Onnx,
    /// A file of Rust without dependencies
    Rust,
    /// A file of C99 without libraries
    C,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Line<'a> {
    out: &'a str,
    format: String,
    bytes: usize,
    /// How many pictures were answered as the model answers them; null if none was tried.
    checked: Option<usize>,
    /// Why it was not checked.
    unchecked: Option<String>,
    /// The largest difference of an output, in units of the largest output.
    largest_difference: Option<f64>,
    /// How many pictures have two best logits too close to tell, and another class.
    ties: Option<usize>,
    notes: &'a [String],
}

/// # Errors
/// If the model cannot be read or written in this format, or what was written answers otherwise.
pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    let format = flags.format()?;
    if flags.json {
        require_utf8("--out", &flags.out)?;
    }
    signals::install()?;
    let _deferred = signals::defer();
    let asked = ThreadCount::of(flags.common.threads)?;
    let (subject, samples) = asked.share(1, || flags.read(&*format))?;
    let parts = samples.as_ref().map_or(1, Samples::len);
    let exported = asked.divide(parts, || {
        let pictures = flags.pictures(&*format, &subject, samples.as_ref())?;
        if let Some(signal) = signals::received() {
            return Err(Stopped { signal }.into());
        }
        let checked = samples.as_ref().filter(|_| !flags.no_check);
        export::export(&*format, &subject, (&flags.out, &pictures), checked)
    })?;
    flags.tell(&exported)
}

impl Flags {
    /// # Errors
    /// If flags do not belong together, or the name is that of another kind of file.
    fn format(&self) -> anyhow::Result<Box<dyn Format>> {
        if self.input.is_some() && self.to != To::Onnx {
            let complaint = "--input: expected only with --to onnx; the other formats take bytes";
            return Err(Usage(complaint.into()).into());
        }
        let format: Box<dyn Format> = match self.to {
            To::Onnx => Box::new(Onnx { input: self.input.unwrap_or_default() }),
            To::Pytorch => Box::new(PyTorch),
            To::Npz => Box::new(Npz),
            To::Rust => Box::new(Rust),
            To::C => Box::new(C),
        };
        if let Kind::File(ending) = format.kind() {
            let found = self.out.extension();
            if !found.is_some_and(|found| found.eq_ignore_ascii_case(ending)) {
                return Err(Usage(format!(
                    "--out {}: expected a file whose name ends with .{ending}",
                    self.out.escaped()
                ))
                .into());
            }
        }
        Ok(format)
    }

    /// The model, and the samples to check what is written on, if there are.
    fn read(&self, format: &dyn Format) -> anyhow::Result<(Subject, Option<Samples>)> {
        let models = [Model::open(&self.model)?];
        let found = if self.no_check && !format.tests_itself() {
            None
        } else {
            let limit = self.check.map(Into::into);
            let found = ModelData::of(&models, Part::Test, (self.data.as_deref(), limit));
            if self.no_check && self.data.is_none() {
                // The model's own data need not be there.
                found.ok()
            } else {
                Some(found.with_context(|| match (self.no_check, &self.data) {
                    (true, _) => "the images that the file tests itself with".to_owned(),
                    (_, Some(_)) => "the images to check it on".to_owned(),
                    (_, None) => "the images to check it on (--no-check does without)".to_owned(),
                })?)
            }
        };
        let [model] = models;
        let (messages, samples) = match found {
            Some(found) => (found.messages(), found.samples.into_iter().next()),
            None => (model.notes(), None),
        };
        if !self.common.quiet {
            messages.iter().for_each(notice);
        }
        Ok((Subject::new(model), samples))
    }

    /// The pictures for a format that tests itself: the first of the test images, or, where these
    /// are not there, noise.
    fn pictures(
        &self,
        format: &dyn Format,
        subject: &Subject,
        samples: Option<&Samples>,
    ) -> anyhow::Result<Pictures> {
        if !format.tests_itself() {
            return Ok(Pictures::default());
        }
        if let Some(samples) = samples {
            return export::pictures(subject, samples);
        }
        if !self.common.quiet {
            notice(
                "the pictures that it tests itself with are noise, as the model's data are not there",
            );
        }
        export::pictures(subject, &subject.noise(Pictures::COUNT))
    }

    fn tell(&self, exported: &Exported) -> anyhow::Result<()> {
        let Exported { notes, bytes, checked } = exported;
        let (out, mut console) = (self.out.escaped(), Console::default());
        let unchecked = match checked {
            Checked::Agrees(_) => None,
            Checked::Missing(what) => Some(format!("expected {what}")),
            Checked::NotAsked => Some("--no-check".into()),
        };
        let agreement = match checked {
            Checked::Agrees(agreement) => Some(agreement),
            _ => None,
        };
        if !self.common.quiet && !self.json {
            notes.iter().for_each(notice);
        }
        if let Some(why) = unchecked.as_ref().filter(|_| !self.no_check) {
            notice(format_args!("{out}: not checked: {why}"));
        }
        if self.json {
            let format = self.to.to_possible_value().map(|value| value.get_name().to_owned());
            let line = Line {
                out: &self.out.to_string_lossy(),
                format: format.unwrap_or_default(),
                bytes: *bytes,
                checked: agreement.map(|agreement| agreement.pictures),
                unchecked,
                largest_difference: agreement.map(|agreement| agreement.largest_difference),
                ties: agreement.map(|agreement| agreement.ties),
                notes,
            };
            return console.line(serde_json::to_string(&line)?);
        }
        let checked = match agreement {
            None => "not checked".into(),
            Some(agreement) => agreement.to_string(),
        };
        console.line(format_args!("{out}: {bytes} bytes, {checked}"))
    }
}
