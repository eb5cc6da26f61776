//! The most confident mistakes as a sheet of pictures.

use super::Evaluation;
use super::mistakes::Mistake;
use super::report::percent_of;
use super::vote::Outputs;
use crate::dataset::Samples;
use crate::escape::Escape;
use crate::model::Model;
use crate::picture::{Captions, Picture, Sheet, Tile};
use crate::width::cut;

/// A sheet of mistakes, as PNG.
pub(crate) struct MistakesSheet {
    pub(crate) png: Vec<u8>,
    /// What is on it.
    pub(crate) heading: String,
    /// That names of classes could not be written, if so.
    pub(crate) note: Option<String>,
}

/// How wide pictures are drawn, about, in pixels.
const WIDTH: usize = 140;
const COLUMNS: usize = 7;
/// The most pictures.
const MOST: usize = 49;

impl MistakesSheet {
    /// The mistakes in the answers of a model, or in the vote of several.
    ///
    /// # Errors
    /// If the images have no pixels.
    pub(crate) fn new(
        evaluation: &Evaluation,
        models: &[Model],
        samples: &Samples,
    ) -> anyhow::Result<Self> {
        let (outputs, by) = match models {
            [model] => (model.outputs(), model.path().escaped()),
            models => (Outputs::Probabilities, format!("the vote of {} models", models.len())),
        };
        let mistakes = evaluation.mistakes(outputs, samples);
        let heading = heading(mistakes.len(), samples.len());
        let mut lines = vec![heading.clone(), cut_in_ascii(&format!("by {by}"))];
        if let Some((_, count)) = evaluation.unanswered() {
            lines.push(format!("and no answer to {count}, as the outputs are not finite"));
        }
        let [_, width] = at_width(&Picture::of_sample(samples.shape(), samples.image(0))).size();
        // What comes before a name takes six letters.
        let captions = Captions::of(samples.classes(), Sheet::characters(width) - 6);
        let tile = |mistake: &Mistake| {
            let picture = Picture::of_sample(samples.shape(), samples.image(mistake.index));
            let [label, predicted] = [mistake.label, mistake.predicted].map(|x| captions.name(x));
            Tile {
                picture: at_width(&picture),
                caption: vec![
                    format!("true: {label}"),
                    format!("pred: {predicted}"),
                    percent_of(mistake.probability),
                    format!("test:{}", mistake.index),
                ],
            }
        };
        let tiles = mistakes.iter().take(MOST).map(tile).collect();
        let sheet = Sheet { heading: lines, tiles, columns: COLUMNS };
        let note = (captions.replaced() > 0).then(|| {
            format!(
                "the names of {} of {} classes have letters that the sheet's font lacks: they go \
                 by their numbers, from 0",
                captions.replaced(),
                samples.classes().count()
            )
        });
        Ok(Self { png: sheet.picture().png()?, heading, note })
    }
}

fn heading(mistakes: usize, samples: usize) -> String {
    match mistakes {
        0 => format!("no mistakes, of {samples} test images"),
        1 => format!("the only mistake, of {samples} test images"),
        2..=MOST => format!("all {mistakes} mistakes, of {samples} test images"),
        _ => format!("the {MOST} most confident of {mistakes} mistakes, of {samples} test images"),
    }
}

/// A picture of about [`WIDTH`]: enlarged by whole pixels, or shrunk.
fn at_width(picture: &Picture) -> Picture {
    let [height, width] = picture.size();
    match WIDTH / width.max(1) {
        0 => picture.resized([(height * WIDTH / width).max(1), WIDTH]),
        factor => picture.enlarged(factor),
    }
}

/// A line that is no wider than a sheet.
fn cut_in_ascii(line: &str) -> String {
    cut(line, 120).replace('…', "...")
}
