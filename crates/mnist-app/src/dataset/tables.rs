//! A data set as tables in CSV: one file, or one of each part in a folder.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use super::left_out::{Kind, LeftOut};
use super::samples::{Part, Samples};
use super::source::Wanted;
use super::{class_folders, words};
use crate::arrays::csv::{self, Difference, FirstRow};
use crate::escape::{Escape, quoted};
use crate::input::Input;
use crate::preprocessing::Form;

/// The tables of a data set.
pub(super) struct Tables {
    place: PathBuf,
    /// The file of each part, in the order of [`Part::ALL`].
    parts: [Option<PathBuf>; Part::ALL.len()],
    /// The file of images that are not divided.
    whole: Option<PathBuf>,
    /// Other tables in the folder.
    others: Vec<PathBuf>,
}

impl Tables {
    /// A table of images that are not divided.
    pub(super) fn of_file(file: &Path) -> Self {
        let (place, whole) = (file.to_owned(), Some(file.to_owned()));
        Self { place, parts: Default::default(), whole, others: Vec::new() }
    }

    /// The tables in a folder, if there is one for training, or a single one.
    pub(super) fn of_folder(folder: &Path) -> anyhow::Result<Option<Self>> {
        let place = folder.to_owned();
        let mut tables = Self { place, parts: Default::default(), whole: None, others: Vec::new() };
        for (name, path) in class_folders::entries(folder)? {
            let Some(stem) = stem(&name).filter(|_| path.is_file()) else { continue };
            let part = Part::ALL.into_iter().position(|part| is_of(&stem, part));
            match part.map(|at| &mut tables.parts[at]) {
                None => tables.others.push(path),
                Some(Some(other)) => {
                    return Err(anyhow!(
                        "{}: expected one table of this part, found {} beside it; remove one of \
                         them",
                        other.escaped(),
                        path.escaped()
                    ));
                }
                Some(file) => *file = Some(path),
            }
        }
        if tables.parts.iter().all(Option::is_none) && tables.others.len() == 1 {
            tables.whole = tables.others.pop();
        }
        let is_there = tables.whole.is_some() || tables.parts[0].is_some();
        Ok(is_there.then_some(tables))
    }

    /// The folder that they are in, or the file.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// The parts whose images have labels; none if they are not divided.
    pub(super) fn given(&self, form: &Form) -> anyhow::Result<Vec<Part>> {
        let mut given = Vec::new();
        let mut train = None;
        for (part, file) in Part::ALL.into_iter().zip(&self.parts) {
            let Some(file) = file else { continue };
            let row = first_row(file, form)?;
            // Labels to learn from are asked for when they are read.
            if part != Part::Train && !row.has_labels() {
                continue;
            }
            match &train {
                None => train = Some((file, row)),
                Some((other, first)) => check_order(file, &row, (other, first))?,
            }
            given.push(part);
        }
        Ok(given)
    }

    /// The shapes of all images, `(C, H, W)`, each once.
    pub(super) fn shapes(&self, form: &Form) -> anyhow::Result<Vec<[usize; 3]>> {
        let mut shapes = Vec::new();
        let given = self.given(form)?;
        let of_parts = Part::ALL.into_iter().zip(&self.parts);
        let of_parts = of_parts.filter(|(part, _)| given.contains(part)).map(|(_, file)| file);
        for file in of_parts.chain([&self.whole]).flatten() {
            let shape = first_row(file, form)?.shape();
            if !shapes.contains(&shape) {
                shapes.push(shape);
            }
        }
        Ok(shapes)
    }

    /// Reads one part, or all images if they are not divided.
    pub(super) fn load(&self, wanted: &Wanted<'_>) -> anyhow::Result<Samples> {
        let part = Part::ALL.into_iter().position(|part| Some(part) == wanted.part);
        let file = part.map_or(&self.whole, |at| &self.parts[at]);
        let file = file.as_ref().with_context(|| {
            let name = wanted.part.map_or("", Part::words);
            format!("{}: expected a table of {name} images, found none", self.place.escaped())
        })?;
        let read = || csv::read(BufReader::new(Input::open(file)?), wanted.form.size);
        let table = read().with_context(|| file.escaped())?;
        words::samples(file, table)?.in_form(wanted)
    }

    /// What is not used.
    pub(super) fn left_out(&self, form: &Form) -> anyhow::Result<Vec<String>> {
        let mut notes = Vec::new();
        for file in self.parts[1..].iter().flatten() {
            if !first_row(file, form)?.has_labels() {
                notes.push(format!(
                    "{}: not used: it has no labels; mnist-app predict answers it",
                    file.escaped()
                ));
            }
        }
        let mut left_out = LeftOut::default();
        self.others.iter().for_each(|path| left_out.add(Kind::Beside, path));
        notes.extend(left_out.line(&self.place));
        Ok(notes)
    }
}

/// Checks that the pixels of a table are in the order of those of the table for training.
fn check_order(
    file: &Path,
    row: &FirstRow,
    (train, first): (&Path, &FirstRow),
) -> anyhow::Result<()> {
    let name =
        |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().escaped();
    let (own, other) = (name(file), name(train));
    let found = match row.difference(first) {
        None => return Ok(()),
        Some(Difference::Name(column, [found, expected])) => format!(
            "column {column} is {} in {own}, {} in {other}; bring the columns to one order",
            quoted(&found),
            quoted(&expected)
        ),
        Some(Difference::Order) => "the numbers in the names of one are not in order, and the \
                                    other has no such names; name the columns of both, as pixel0"
            .into(),
    };
    bail!(
        "{}: expected the same columns of pixels as in {other}, found others: {found}",
        file.escaped()
    );
}

fn first_row(file: &Path, form: &Form) -> anyhow::Result<FirstRow> {
    let read = || FirstRow::read(BufReader::new(Input::open(file)?), form.size);
    read().with_context(|| file.escaped())
}

/// The name of a table in lower case, without its ending.
fn stem(name: &str) -> Option<String> {
    let name = name.to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    Some(name.strip_suffix(".csv")?.to_owned())
}

/// Whether a table of this name is of the part: `train`, or `mnist_train`.
fn is_of(stem: &str, part: Part) -> bool {
    part.names().iter().any(|name| {
        let before = stem.strip_suffix(name);
        before.is_some_and(|before| before.is_empty() || before.ends_with(['_', '-', '.', ' ']))
    })
}
