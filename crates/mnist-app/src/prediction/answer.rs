//! What a model says of a picture.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Picture, Place};
use crate::dataset::Classes;
use crate::escape::Escape;

/// How many classes are named, the most probable first.
const MOST_NAMED: usize = 3;

/// What a model says of a picture; a line of `--json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Answer {
    /// As it was named.
    pub(crate) file: String,
    /// The picture's place in the file.
    pub(crate) index: usize,
    #[serde(skip)]
    pub(crate) place: Place,
    /// The name of the class; empty if the outputs are no numbers.
    pub(crate) class: String,
    /// Its place among the classes, if there is one.
    pub(crate) label: Option<u8>,
    pub(crate) probability: Option<f64>,
    /// The most probable classes.
    pub(crate) top: Vec<Candidate>,
    /// The network's last numbers; of a committee the probabilities.
    pub(crate) outputs: Vec<f64>,
    /// Why the answer is not to be trusted.
    pub(crate) warning: Option<String>,
}

/// A class and its probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Candidate {
    pub(crate) class: String,
    pub(crate) probability: f64,
}

impl Answer {
    pub(super) fn new(
        picture: &Picture,
        (outputs, probabilities, prediction): (&[f64], &[f64], Option<u8>),
        (classes, mistakes): (&Classes, Option<f64>),
    ) -> Self {
        let mut order: Vec<_> = (0..probabilities.len()).collect();
        // Of equal ones the first, as the prediction is.
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]).then(a.cmp(&b)));
        let candidate = |&label: &usize| Candidate {
            class: classes.name(label),
            probability: probabilities[label],
        };
        let probability = prediction.map(|label| probabilities[usize::from(label)]);
        let doubt = match (probability, mistakes) {
            (None, _) => Some("no answer: an output is not a number".to_owned()),
            (Some(found), Some(middle)) if found < middle => Some(format!(
                "a probability below {:.1} %, as half of the model's mistakes on its test images had",
                100.0 * middle
            )),
            _ => None,
        };
        let warnings: Vec<_> = picture.warning.clone().into_iter().chain(doubt).collect();
        Self {
            file: picture.file.clone(),
            index: picture.place.index(),
            place: picture.place,
            class: prediction.map_or_else(String::new, |label| classes.name(label.into())),
            label: prediction,
            probability,
            top: order.iter().take(MOST_NAMED).map(candidate).collect(),
            outputs: outputs.to_vec(),
            warning: (!warnings.is_empty()).then(|| warnings.join("; ")),
        }
    }

    /// `new.jpg: cat 98.1 %, dog 1.2 %, bird 0.4 %`; of one of several digits `new.jpg, 0: …`, of a
    /// file of many `new.npz[7]: …`.
    pub(crate) fn text(&self) -> String {
        let mut text = self.file.escaped();
        let _ = match self.place {
            Place::Alone => Ok(()),
            Place::Digit { index, .. } => write!(text, ", {index}"),
            Place::OfMany { index } => write!(text, "[{index}]"),
        };
        text += ": ";
        for (place, Candidate { class, probability }) in self.top.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            let _ = write!(text, "{comma}{} {:.1} %", class.escaped(), 100.0 * probability);
        }
        if let Some(warning) = &self.warning {
            let _ = write!(text, "; do not trust it: {warning}");
        }
        text
    }
}

/// The digits of one picture read as a number, with a blank between lines, and between classes
/// whose names are no single characters: `new.jpg: 2017`.
pub(crate) fn number(answers: &[Answer]) -> String {
    let is_long = answers.iter().any(|answer| answer.class.chars().nth(1).is_some());
    let mut text =
        format!("{}:", answers.first().map(|first| first.file.escaped()).unwrap_or_default());
    let mut before = None;
    for answer in answers {
        let line = match answer.place {
            Place::Digit { line, .. } => Some(line),
            _ => None,
        };
        if is_long || before != Some(line) {
            text.push(' ');
        }
        before = Some(line);
        text += match &*answer.class.escaped() {
            "" => "?",
            class => class,
        };
    }
    text
}

/// The answers as CSV, with a line of names.
///
/// # Errors
/// If memory is short.
pub(crate) fn csv(answers: &[Answer]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["file", "index", "class", "label", "probability", "warning"])?;
    for answer in answers {
        let Answer { file, index, class, label, probability, warning, .. } = answer;
        let label = label.map(|label| label.to_string()).unwrap_or_default();
        let probability = probability.map(|x| x.to_string()).unwrap_or_default();
        let warning = warning.as_deref().unwrap_or_default();
        writer.write_record([file, &*index.to_string(), class, &label, &probability, warning])?;
    }
    Ok(writer.into_inner().map_err(csv::IntoInnerError::into_error)?)
}
