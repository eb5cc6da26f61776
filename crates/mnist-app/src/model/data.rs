//! The images to test models on: the models' own, unless `--data` names others.

use std::path::Path;

use anyhow::{Context, anyhow, bail};

use super::Model;
use crate::console::{Console, notice};
use crate::dataset::{Classes, DataSource, Part, Samples};
use crate::escape::Escape;
use crate::input::is_there;
use crate::preprocessing::Form;
use crate::run_folder::{FinishedRun, named};

/// Images for models, and messages about them.
pub(crate) struct ModelData {
    /// The same samples for each model, labelled in the order of its classes.
    pub(crate) samples: Vec<Samples>,
    /// Why they may not be the models' own data.
    other: Option<String>,
    notes: Vec<String>,
}

impl ModelData {
    /// The first `limit` images of one part of the data that `--data` names, or of the models' own.
    ///
    /// # Errors
    /// If it is not known where the data are, or they do not fit a model.
    pub(crate) fn of(
        models: &[Model],
        part: Part,
        (flag, limit): (Option<&Path>, Option<usize>),
    ) -> anyhow::Result<Self> {
        let (first, others) = models.split_first().context("no models")?;
        let source = match flag {
            // What the program has in it needs no folder.
            Some(path) if path == Path::new("mnist") && !is_there(path) => DataSource::Mnist,
            Some(_) => DataSource::of(flag, None)?,
            None => own_source(first, others)?,
        };
        let samples = with_names(source.load(part, &same_form(models)?)?, models, part)?;
        let other = other_data(models, part, (&source, &samples));
        let fitted = models.iter().map(|model| model.fit(samples.clone()));
        let mut fitted: Vec<_> = fitted.collect::<anyhow::Result<_>>()?;
        drop(samples);
        let told = &mut fitted[0];
        if part == Part::Test && told.knows_learned_classes() {
            told.note_classes_without_images(part, |_| true);
        }
        let notes = told.notes().iter().cloned();
        let notes = notes.chain(models.iter().flat_map(Model::notes)).collect();
        let samples = fitted.into_iter().map(|samples| samples.first(limit)).collect();
        Ok(Self { samples, other, notes })
    }

    /// All messages, a line each.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.notes.iter().chain(&self.other).cloned().collect()
    }

    /// Prints the messages, unless `quiet`: that the data are others is the first line of the
    /// output, or goes to standard error where the output is JSON.
    ///
    /// # Errors
    /// If it cannot be printed.
    pub(crate) fn tell(
        &self,
        console: &mut Console,
        (json, quiet): (bool, bool),
    ) -> anyhow::Result<()> {
        if quiet {
            return Ok(());
        }
        self.notes.iter().for_each(notice);
        match &self.other {
            Some(line) if json => notice(line),
            Some(line) => console.line(line)?,
            None => {}
        }
        Ok(())
    }
}

/// The form of the pictures that all models take.
fn same_form(models: &[Model]) -> anyhow::Result<Form> {
    let form = models[0].form();
    if let Some(other) = models.iter().find(|model| model.form() != form) {
        bail!(
            "{}: expected a model whose pictures have the form that those of {} have, found another \
             form; test each alone",
            named(other.path()),
            models[0].path().escaped()
        );
    }
    Ok(form)
}

/// Where a model's data are, if that is known.
fn source_of(model: &Model) -> Option<DataSource> {
    match (model.run(), model.digests()) {
        (Some(run), _) => Some(run.data().map_or(DataSource::Mnist, DataSource::At)),
        (None, Some(digests)) => digests.are_mnist().then_some(DataSource::Mnist),
        (None, None) => None,
    }
}

fn is_same(a: &DataSource, b: &DataSource) -> bool {
    let real = |folder: &Path| folder.canonicalize().ok();
    match (a, b) {
        (DataSource::At(a), DataSource::At(b)) if a != b => {
            real(a).is_some_and(|a| real(b) == Some(a))
        }
        _ => a == b,
    }
}

/// The data that all models were made for.
fn own_source(first: &Model, others: &[Model]) -> anyhow::Result<DataSource> {
    if let Some(other) = others.iter().find(|other| !same_data(first, other)) {
        bail!(
            "{}: expected a model of the data of {}, {}, found one of other data, {}; name the \
             data to test both on with --data DIR",
            named(other.path()),
            first.path().escaped(),
            data_text(first),
            data_text(other)
        );
    }
    let sources = [first].into_iter().chain(others);
    let sources: Vec<_> = sources.filter_map(|model| Some((model, source_of(model)?))).collect();
    let is_there = |source: &DataSource| matches!(source, DataSource::At(path) if path.exists());
    match sources.iter().find(|(_, source)| is_there(source)).or(sources.first()) {
        Some((model, DataSource::At(folder))) => {
            DataSource::of(None, Some(folder)).with_context(|| named(model.path()))
        }
        Some((_, DataSource::Mnist)) => Ok(DataSource::Mnist),
        None => Err(anyhow!(
            "{}: expected MNIST's data or a run's folder, which says where its data are, found a \
             file of {}; name the data with --data DIR, or MNIST's with --data mnist",
            named(first.path()),
            data_text(first)
        )),
    }
}

/// Whether two models are of the same data, by their digests; without these, by their folder.
fn same_data(a: &Model, b: &Model) -> bool {
    match (a.digests(), b.digests()) {
        (Some(a), Some(b)) => a == b,
        _ => source_of(a).zip(source_of(b)).is_some_and(|(a, b)| is_same(&a, &b)),
    }
}

/// A model's data in words.
fn data_text(model: &Model) -> String {
    let home =
        model.run().and_then(FinishedRun::data).map(|folder| format!("in {}, ", folder.escaped()));
    let home = home.unwrap_or_default();
    match model.digests() {
        Some(digests) => format!("data {home}sha256 {}", digests.whole()),
        None => format!("data {home}without a digest"),
    }
}

/// Gives numeric labels the class names that they had when a model was trained: those that its
/// run's experiment lists, or the model's own if these are its very samples.
fn with_names(samples: Samples, models: &[Model], part: Part) -> anyhow::Result<Samples> {
    if !samples.classes().is_numbered() {
        return Ok(samples);
    }
    let is_own =
        |model: &Model| model.digests().is_some_and(|own| own.part(part) == samples.digest());
    let names = |model: &'_ Model| match (model.run(), model.classes()) {
        (Some(run), _) if run.experiment.classes.is_some() => run.experiment.classes.clone(),
        (_, classes @ Classes::Named(names)) if is_own(model) && !samples.are_among(classes) => {
            Some(names.clone())
        }
        _ => None,
    };
    let say: Vec<_> = models.iter().filter_map(|model| Some((model, names(model)?))).collect();
    // What a model says about its own data takes precedence.
    let of_own: Vec<_> = say.iter().filter(|(model, _)| is_own(model)).collect();
    let say = if of_own.is_empty() { say.iter().collect() } else { of_own };
    let Some((first, names)) = say.first() else { return Ok(samples) };
    if let Some((other, others)) = say.iter().find(|(_, others)| others != names) {
        bail!(
            "{}: expected the labels of {} to stand for {}, as {} says, found that they stand for \
             {}; test each model alone",
            named(other.path()),
            samples.labels_place(),
            Classes::Named(names.clone()),
            first.path().escaped(),
            Classes::Named(others.clone())
        );
    }
    samples.named(names).with_context(|| named(first.path()))
}

/// Which models are of other data than these, or do not say of which, in one line.
fn other_data(
    models: &[Model],
    part: Part,
    (source, samples): (&DataSource, &Samples),
) -> Option<String> {
    const MOST: usize = 3;
    let kind = part.words();
    let complaint = |model: &Model| {
        let path = model.path().escaped();
        match model.digests() {
            Some(own) if own.part(part) == samples.digest() => None,
            Some(own) => Some(format!("not those of {path} (sha256 {})", own.part(part))),
            None => Some(format!(
                "perhaps not those of {path}, which does not say what data it was trained on"
            )),
        }
    };
    let complaints: Vec<_> = models.iter().filter_map(complaint).collect();
    let shown = complaints[..complaints.len().min(MOST)].join("; ");
    let rest = complaints.len().saturating_sub(MOST);
    let rest = if rest == 0 { String::new() } else { format!("; and {rest} more models") };
    let digest = samples.digest();
    (!complaints.is_empty()).then(|| {
        format!("other data: the {kind} images of {source} (sha256 {digest}): {shown}{rest}")
    })
}
