//! `evaluate`: how saved networks do on the test images, each alone and all together.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use super::flags::count;
use super::{Common, output_file};
use crate::console::{Console, notice};
use crate::dataset::{Part, Samples};
use crate::escape::Escape;
use crate::evaluation::Evaluation;
use crate::evaluation::report;
use crate::evaluation::sheet::MistakesSheet;
use crate::evaluation::vote::Vote;
use crate::files::Partial;
use crate::input::require_utf8;
use crate::model::{Model, ModelData};
use crate::run_folder::named;
use crate::statistics::wilson_interval;
use crate::threads::ThreadCount;

/// How well the test images were told apart, for `--json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Accuracy {
    test_correct: usize,
    test_total: usize,
    test_accuracy: f64,
    test_accuracy_interval: [f64; 2],
    /// Where the classes differ in their numbers of images.
    #[serde(skip_serializing_if = "Option::is_none")]
    balanced_accuracy: Option<f64>,
    test_error: f64,
}

/// A line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    /// The file; of the vote there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    /// How many models voted.
    #[serde(skip_serializing_if = "Option::is_none")]
    vote_of: Option<usize>,
    #[serde(flatten)]
    accuracy: Accuracy,
}

/// Tests one or more models, and their vote
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// a model.safetensors or the folder of a run; several answer together too
    #[arg(value_name = "MODEL", required = true)]
    models: Vec<PathBuf>,
    /// Draw the most confident mistakes, with true and predicted class, as a sheet; of several
    /// models, those of their vote
    #[arg(long, value_name = "FILE.png", value_parser = output_file::png)]
    mistakes: Option<PathBuf>,
    #[command(flatten)]
    test: TestFlags,
}

/// How models are tested.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TestFlags {
    /// Test on these images instead of the model's own; mnist is MNIST, which needs no folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Use only the first N test images
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    test_limit: Option<NonZeroUsize>,
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    let sheet = flags.mistakes.as_deref();
    if let Some(file) = sheet {
        output_file::require_place("--mistakes", file)?;
    }
    let (flags, (models, found, asked)) = (&flags.test, flags.test.read(&flags.models)?);
    require_same_names(&models)?;
    asked.divide(found.samples[0].len(), || {
        let mut console = Console::default();
        found.tell(&mut console, (flags.json, flags.common.quiet))?;
        let evaluation = if let [model] = models.as_slice() {
            alone(flags, model, (&found.samples[0], &mut console))?
        } else {
            together(flags, &models, (&found.samples, &mut console))?
        };
        let Some(file) = sheet else { return Ok(()) };
        let sheet = MistakesSheet::new(&evaluation, &models, &found.samples[0])?;
        let written = Partial::write(file, &sheet.png).and_then(Partial::rename);
        written.with_context(|| format!("--mistakes {}", file.escaped()))?;
        if !flags.common.quiet {
            sheet.note.iter().for_each(notice);
            let line = format!("{}: {}", file.escaped(), sheet.heading);
            if flags.json { notice(line) } else { console.line(line)? }
        }
        Ok(())
    })
}

impl TestFlags {
    /// The models, all read before the first is tested, so that an error shows at once; the images
    /// to test them on; and the number of threads.
    pub(super) fn read(
        &self,
        models: &[PathBuf],
    ) -> anyhow::Result<(Vec<Model>, ModelData, ThreadCount)> {
        let asked = ThreadCount::of(self.common.threads)?;
        let (models, found) = asked.share(1, || {
            if self.json {
                models.iter().try_for_each(|path| require_utf8("model", path))?;
            }
            let models: Vec<_> =
                models.iter().map(|path| Model::open(path)).collect::<Result<_, _>>()?;
            let limit = self.test_limit.map(Into::into);
            let found = ModelData::of(&models, Part::Test, (self.data.as_deref(), limit))?;
            Ok((models, found))
        })?;
        Ok((models, found, asked))
    }
}

impl Accuracy {
    pub(super) fn new(evaluation: &Evaluation, samples: &Samples) -> Self {
        let (correct, total) = (evaluation.correct(samples), samples.len());
        Self {
            test_correct: correct,
            test_total: total,
            test_accuracy: correct as f64 / total as f64,
            test_accuracy_interval: wilson_interval(correct, total),
            balanced_accuracy: report::balanced_accuracy(evaluation, samples),
            test_error: evaluation.error(),
        }
    }
}

/// Checks that the models can vote: they must have the same classes, in any order.
fn require_same_names(models: &[Model]) -> anyhow::Result<()> {
    let Some((first, others)) = models.split_first() else { return Ok(()) };
    match others.iter().find(|other| !other.classes().same_names(first.classes())) {
        None => Ok(()),
        Some(other) => bail!(
            "{}: expected the classes of {} to vote with it, {}, found {}; evaluate each alone",
            named(other.path()),
            first.path().escaped(),
            first.classes(),
            other.classes()
        ),
    }
}

fn alone(
    flags: &TestFlags,
    model: &Model,
    (samples, console): (&Samples, &mut Console),
) -> anyhow::Result<Evaluation> {
    let evaluation = model.evaluate(samples)?;
    if flags.json {
        console.line(json_of(model, &evaluation, samples)?)?;
    } else {
        console.line(model_line(model, &evaluation, samples))?;
        console.print(report::balanced_line(&evaluation, samples))?;
        console.print(report::confusion_table(&evaluation, samples))?;
    }
    Ok(evaluation)
}

fn together(
    flags: &TestFlags,
    models: &[Model],
    (of_each, console): (&[Samples], &mut Console),
) -> anyhow::Result<Evaluation> {
    let mut vote = Vote::default();
    // The vote has the classes in the order of the first model.
    let first = &of_each[0];
    for (model, samples) in models.iter().zip(of_each) {
        let evaluation = model.evaluate(samples)?;
        let in_order = evaluation.clone().in_order(samples.classes(), first.classes());
        vote.add(model.outputs(), &in_order);
        if flags.json {
            console.line(json_of(model, &evaluation, samples)?)?;
        } else {
            let line = model_line(model, &evaluation, samples);
            console.line(format_args!("{}: {line}", model.path().escaped()))?;
        }
    }
    let evaluation = vote.evaluation(first);
    if flags.json {
        let accuracy = Accuracy::new(&evaluation, first);
        let line = Line { model: None, vote_of: Some(models.len()), accuracy };
        console.line(serde_json::to_string(&line)?)?;
        return Ok(evaluation);
    }
    let (correct, total) = (evaluation.correct(first), first.len());
    console.line(format_args!(
        "vote of these {}: {}, mean −ln p {:.4}",
        models.len(),
        report::accuracy(correct, total),
        evaluation.error()
    ))?;
    console.print(report::balanced_line(&evaluation, first))?;
    console.print(report::confusion_table(&evaluation, first))?;
    Ok(evaluation)
}

fn model_line(model: &Model, evaluation: &Evaluation, samples: &Samples) -> String {
    format!(
        "{}, mean {} {:.4}",
        report::accuracy(evaluation.correct(samples), samples.len()),
        model.error_name(),
        evaluation.error()
    )
}

fn json_of(model: &Model, evaluation: &Evaluation, samples: &Samples) -> anyhow::Result<String> {
    let path = model.path().to_string_lossy();
    let accuracy = Accuracy::new(evaluation, samples);
    Ok(serde_json::to_string(&Line { model: Some(&path), vote_of: None, accuracy })?)
}
