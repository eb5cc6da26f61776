//! The mistakes of which a network is surest.

use super::answers::Evaluation;
use super::vote::Outputs;
use crate::dataset::Samples;

/// A sample that was taken for another class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mistake {
    /// Its place among the samples, from 0.
    pub(crate) index: usize,
    /// The class that it shows.
    pub(crate) label: u8,
    /// The class that it was taken for.
    pub(crate) predicted: u8,
    /// The probability that was given to `predicted`.
    pub(crate) probability: f64,
    /// The probability that was given to `label`.
    pub(crate) of_label: f64,
}

impl Evaluation {
    /// All mistakes, the most confident first, of equal ones the first sample's. A sample without
    /// an answer is none of them: see [`Evaluation::unanswered`].
    ///
    /// `outputs` says what the outputs are, as [`Model::outputs`](crate::model::Model::outputs)
    /// does: probabilities are the softmax of logits, and of sigmoids and other probabilities their
    /// shares of their sum.
    ///
    /// # Panics
    /// If it is of other samples.
    pub(crate) fn mistakes(&self, outputs: Outputs, samples: &Samples) -> Vec<Mistake> {
        assert_eq!(self.predictions.len(), samples.len(), "mistakes: number of samples");
        let rows = self.outputs.chunks_exact(samples.classes().count());
        let answers = self.predictions.iter().zip(samples.labels()).zip(rows).enumerate();
        let mut mistakes = Vec::new();
        for (index, ((&prediction, &label), row)) in answers {
            let Some(predicted) = prediction.filter(|&predicted| predicted != label) else {
                continue;
            };
            let shares = outputs.shares(row);
            let [probability, of_label] =
                [predicted, label].map(|class| shares[usize::from(class)]);
            mistakes.push(Mistake { index, label, predicted, probability, of_label });
        }
        mistakes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        mistakes
    }

    /// The probability above which half of the mistakes were given theirs: the median, of an even
    /// number the mean of both in the middle; none without mistakes.
    pub(crate) fn mistakes_probability(&self, outputs: Outputs, samples: &Samples) -> Option<f64> {
        let mistakes = self.mistakes(outputs, samples);
        let upper = mistakes.get(mistakes.len() / 2)?.probability;
        let lower = mistakes[(mistakes.len() - 1) / 2].probability;
        Some((upper + lower) / 2.0).filter(|middle| middle.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use crate::dataset::{Part, Samples};
    use crate::evaluation::Evaluation;
    use crate::evaluation::answers::predicted;
    use crate::evaluation::vote::Outputs;
    use crate::preprocessing::Form;

    /// Five samples of one pixel, labelled 0, 1, 2, 0, 1.
    fn samples(folder: &std::path::Path) -> Samples {
        let images = [0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 1, 5, 6, 7, 8, 9];
        let labels = [0, 0, 8, 1, 0, 0, 0, 5, 0, 1, 2, 0, 1];
        std::fs::write(folder.join("t10k-images-idx3-ubyte"), images).unwrap();
        std::fs::write(folder.join("t10k-labels-idx1-ubyte"), labels).unwrap();
        Samples::load(folder, Part::Test, &Form::default()).unwrap()
    }

    fn evaluation(rows: [[f64; 3]; 5]) -> Evaluation {
        let predictions = rows.iter().map(|row| predicted(row)).collect();
        Evaluation { losses: vec![0.0; 5], predictions, outputs: rows.concat() }
    }

    #[test]
    fn mistakes_come_in_the_order_of_their_confidence() {
        let here = tempfile::tempdir().unwrap();
        let samples = samples(here.path());
        let (nan, ln) = (f64::NAN, f64::ln);
        let logits = evaluation([
            [0.0, ln(2.0), 0.0],
            [0.0, 5.0, 0.0],
            [ln(7.0), ln(2.0), 0.0],
            [nan, 0.0, 0.0],
            [ln(7.0), ln(2.0), 0.0],
        ]);
        let found = logits.mistakes(Outputs::Logits, &samples);
        let places: Vec<_> = found.iter().map(|m| (m.index, m.label, m.predicted)).collect();
        assert_eq!(places, [(2, 2, 0), (4, 1, 0), (0, 0, 1)]);
        for (mistake, expected) in found.iter().zip([[0.7, 0.1], [0.7, 0.2], [0.5, 0.25]]) {
            let found = [mistake.probability, mistake.of_label];
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{mistake:?}");
        }
    }

    #[test]
    fn the_middle_of_all_mistakes() {
        let here = tempfile::tempdir().unwrap();
        let samples = samples(here.path());
        let row = |class: usize, of_it: f64| {
            let mut row = [(1.0 - of_it) / 2.0; 3];
            row[class] = of_it;
            row
        };
        let of = |rows| evaluation(rows).mistakes_probability(Outputs::Probabilities, &samples);
        let right = [row(0, 0.9), row(1, 0.9), row(2, 0.9), row(0, 0.9), row(1, 0.9)];
        assert_eq!(of(right), None);
        let [a, b, ..] = right;
        let found = [of([a, b, row(1, 0.6), a, b]), of([a, b, row(1, 0.6), row(2, 0.8), b])];
        for (found, expected) in found.into_iter().zip([0.6, 0.7]) {
            assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?}");
        }
        assert!((of([a, b, row(1, 0.6), row(2, 0.8), row(0, 0.5)]).unwrap() - 0.6).abs() < 1e-12);
    }

    #[test]
    fn sigmoids_have_their_shares_of_their_sum() {
        let here = tempfile::tempdir().unwrap();
        let samples = samples(here.path());
        let right = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]];
        let [a, b, c, d] = right;
        let sigmoids = evaluation([a, b, c, d, [0.9, 0.3, 0.6]]);
        let found = sigmoids.mistakes(Outputs::Probabilities, &samples);
        assert_eq!(found.len(), 1);
        assert!((found[0].probability - 0.5).abs() < 1e-12, "{found:?}");
        assert!((found[0].of_label - 1.0 / 6.0).abs() < 1e-12, "{found:?}");
    }
}
