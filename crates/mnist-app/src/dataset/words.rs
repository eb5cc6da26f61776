//! Pictures with words as labels become samples.

use std::path::Path;

use anyhow::{Context, ensure};

use super::classes::{Classes, order};
use super::samples::{Place, Samples};
use crate::arrays::{Labelled, Labels};
use crate::escape::Escape;

/// The pictures of a file as samples.
pub(super) fn samples(file: &Path, read: Labelled) -> anyhow::Result<Samples> {
    let Labelled { pictures, labels, notes } = read;
    let place = file.escaped();
    let labels = labels.with_context(|| {
        format!(
            "{place}: expected a label of each picture, as y beside x in an archive, or as a column \
             label in a table, found none"
        )
    })?;
    ensure!(
        labels.places().len() == pictures.len(),
        "{place}: expected as many labels as pictures"
    );
    let (labels, classes) = classes(&labels).with_context(|| place.clone())?;
    let (images, labels_file) = (file.to_owned(), file.to_owned());
    let files = Place::Files { images, labels: labels_file };
    let mut samples = Samples::new((pictures.planes, labels), pictures.shape, classes, files);
    samples.notes = notes.into_iter().map(|note| format!("{place}: {note}")).collect();
    Ok(samples)
}

/// The label of each picture, and the classes. Whole numbers from 0 to 255 are labels themselves;
/// other words are names, in the order of class folders.
fn classes(labels: &Labels) -> anyhow::Result<(Vec<u8>, Classes)> {
    let words = labels.words();
    let number = |word: &String| word.parse().ok().filter(|byte: &u8| byte.to_string() == *word);
    let numbers: Option<Vec<u8>> = words.iter().map(number).collect();
    let (of_words, classes) = if let Some(numbers) = numbers {
        let largest = numbers.iter().copied().max().unwrap_or_default();
        (numbers, Classes::Numbered(usize::from(largest) + 1))
    } else {
        let (mut names, order) = (words.to_vec(), order(words));
        names.sort_by(|a, b| order(a, b));
        let classes = Classes::named(&names)?;
        let label = |word: &String| u8::try_from(classes.label(word)?).ok();
        let labels: Option<Vec<u8>> = words.iter().map(label).collect();
        (labels.context("expected each word among the names")?, classes)
    };
    let label = |&place: &u8| of_words[usize::from(place)];
    Ok((labels.places().iter().map(label).collect(), classes))
}
