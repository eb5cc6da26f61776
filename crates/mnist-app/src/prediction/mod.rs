//! What a model says of pictures without labels.
//!
//! `pictures` finds and decodes what the command line names, `arrays` reads files that hold several
//! pictures, and what may be one of them, `answer` is what is said of one
//! picture, as text, JSON and CSV.

mod answer;
mod arrays;
mod pictures;

use crate::dataset::Samples;
use crate::model::Model;

pub(crate) use answer::{Answer, csv, number};
pub(crate) use arrays::{Contents, is_alone};
pub(crate) use pictures::{Picture, Place, STANDARD_INPUT, listed};

/// How many pictures are held and answered at a time. It changes no bit of an answer.
pub(crate) const TOGETHER: usize = 256;

/// The answers of a model to these pictures, which have been brought to its inputs' form.
///
/// # Errors
/// If there is too little memory.
pub(crate) fn answers(model: &Model, pictures: &[Picture]) -> anyhow::Result<Vec<Answer>> {
    if pictures.is_empty() {
        return Ok(Vec::new());
    }
    let preprocessing = model.preprocessing()?;
    let shape = preprocessing.shape();
    let planes = pictures.iter().flat_map(|picture| &picture.planes).copied().collect();
    let samples = Samples::unlabelled(planes, shape, model.classes().clone());
    let samples = samples.normalized(preprocessing.normalization);
    let evaluation = model.evaluate(&samples)?;
    let outputs = evaluation.outputs.chunks_exact(model.classes().count());
    let each = pictures.iter().zip(outputs).zip(&evaluation.predictions);
    Ok(each
        .map(|((picture, outputs), &prediction)| {
            let probabilities = model.probabilities(outputs);
            let answer = (outputs, &*probabilities, prediction);
            Answer::new(picture, answer, (model.classes(), model.mistakes_probability()))
        })
        .collect())
}
