//! Several networks that answer as one.
//!
//! Each network's outputs are taken as probabilities; their geometric mean over the
//! networks, divided by its sum over the classes, is the answer, and its largest class the
//! prediction (the logarithmic opinion pool: Genest and Zidek, *Combining Probability
//! Distributions*, 1986). Who is sure that it is not this class counts, where in an
//! arithmetic mean only those count who are sure of one.

use layers::{Domain, LayerSpec, Loss, NetworkSpec, softmax};
use tensor::Element;
use tensor::activation::{Activation, Sigmoid};

use super::answers::{Evaluation, predicted};
use crate::dataset::Samples;

/// How a network's outputs become probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// They are probabilities.
    Probabilities,
    /// By the softmax.
    Logits,
    /// Each for itself, by the sigmoid.
    BinaryLogits,
}

impl Outputs {
    /// Of a network with these layers, trained with this loss.
    ///
    /// Behind a sigmoid or a softmax they are probabilities. Else the loss tells: its
    /// targets are probabilities, and so is what it compares with them; a loss that takes
    /// logits makes probabilities of them first. Without a loss they are taken for logits
    /// of a softmax, as it is usual to train a network that ends in neither.
    pub fn of(network: &NetworkSpec, loss: Option<&Loss>) -> Self {
        match (network.layers.last(), loss.map(Loss::domain)) {
            (Some(LayerSpec::Sigmoid(_) | LayerSpec::Softmax(_)), _) => Self::Probabilities,
            (_, Some(Domain::Numbers | Domain::Probabilities)) => Self::Probabilities,
            (_, Some(Domain::BinaryLogits)) => Self::BinaryLogits,
            (_, Some(Domain::Logits) | None) => Self::Logits,
        }
    }

    /// The probabilities of one sample as a vote of this network alone has them: of what are no
    /// logits, their shares of their sum.
    pub(crate) fn shares(self, outputs: &[f64]) -> Vec<f64> {
        let mut vote = Vote::default();
        vote.add_rows(self, outputs, outputs.len());
        vote.probabilities(outputs.len())
    }

    /// Writes the probabilities of one sample.
    fn probabilities(self, outputs: &[f64], probabilities: &mut [f64]) {
        match self {
            Self::Logits => softmax(outputs, probabilities),
            Self::Probabilities => probabilities.copy_from_slice(outputs),
            Self::BinaryLogits => {
                probabilities.copy_from_slice(outputs);
                Sigmoid.apply(probabilities);
            }
        }
    }
}

/// The sum of the networks' log-probabilities for the same samples.
///
/// In `f64` and in the order of the networks, so that the same networks in the same order
/// give the same bits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vote {
    /// Of the logarithms of the probabilities.
    sums: Vec<f64>,
    voters: usize,
}

impl Vote {
    /// Adds a network's outputs.
    ///
    /// # Panics
    /// If they are for another number of samples or classes than those before.
    #[track_caller]
    pub fn add(&mut self, outputs: Outputs, evaluation: &Evaluation) {
        let classes = evaluation.outputs.len() / evaluation.predictions.len().max(1);
        self.add_rows(outputs, &evaluation.outputs, classes);
    }

    /// Adds a network's outputs for so many classes, sample after sample.
    #[track_caller]
    fn add_rows(&mut self, outputs: Outputs, rows: &[f64], classes: usize) {
        if self.voters == 0 {
            self.sums = vec![0.0; rows.len()];
        }
        assert_eq!(self.sums.len(), rows.len(), "vote: numbers of outputs");
        self.voters += 1;
        let mut probabilities = vec![0.0; classes];
        let rows = rows.chunks_exact(classes.max(1));
        for (row, sums) in rows.zip(self.sums.chunks_exact_mut(classes.max(1))) {
            outputs.probabilities(row, &mut probabilities);
            for (sum, probability) in sums.iter_mut().zip(&probabilities) {
                // Finite where a probability has rounded to 0, so that no network has a veto. A NaN
                // stays one, which `f64::max` would drop.
                let floor = f64::MIN_POSITIVE;
                *sum += Element::ln(if *probability < floor { floor } else { *probability });
            }
        }
    }

    /// The joint answer: the outputs are its probabilities, the prediction is the first class with
    /// the largest, and the loss is `−ln` of the right class's, the softmax cross-entropy.
    ///
    /// # Panics
    /// If there are no networks, or they were given another number of samples.
    #[track_caller]
    pub fn evaluation(&self, samples: &Samples) -> Evaluation {
        assert!(self.voters > 0, "vote: no networks");
        let classes = self.sums.len() / samples.len().max(1);
        let outputs = self.probabilities(classes);
        let rows = || outputs.chunks_exact(classes.max(1));
        assert_eq!(rows().len(), samples.len(), "vote: numbers of samples");
        let predictions = rows().map(predicted).collect();
        let likelihood = |(row, &label): (&[f64], &u8)| {
            // −ln p, finite where p has rounded to 0.
            Loss::binary_cross_entropy().value(&[row[usize::from(label)]], &[1.0])
        };
        let losses = rows().zip(samples.labels()).map(likelihood).collect();
        Evaluation { losses, predictions, outputs }
    }

    /// The probabilities of so many classes, sample after sample.
    fn probabilities(&self, classes: usize) -> Vec<f64> {
        let mut probabilities = vec![0.0; self.sums.len()];
        let mut means = vec![0.0; classes];
        let rows = self.sums.chunks_exact(classes.max(1));
        for (sums, probabilities) in rows.zip(probabilities.chunks_exact_mut(classes.max(1))) {
            for (mean, sum) in means.iter_mut().zip(sums) {
                *mean = sum / self.voters as f64;
            }
            softmax(&means, probabilities);
        }
        probabilities
    }
}

#[cfg(test)]
mod tests {
    use layers::{Dense, LayerSpec, Loss, NetworkSpec, Relu, Sigmoid, Softmax};

    use super::Outputs;

    #[test]
    fn the_last_layer_tells_what_outputs_are_and_then_the_loss() {
        let softmax = Some(Loss::softmax_cross_entropy());
        let dense = || LayerSpec::from(Dense::new(10));
        for (last, loss, expected) in [
            (dense(), softmax, Outputs::Logits),
            (dense(), None, Outputs::Logits),
            (Relu.into(), None, Outputs::Logits),
            (dense(), Some(Loss::binary_cross_entropy_with_logits()), Outputs::BinaryLogits),
            (dense(), Some(Loss::mean_squared_error()), Outputs::Probabilities),
            (Sigmoid.into(), Some(Loss::binary_cross_entropy()), Outputs::Probabilities),
            (Sigmoid.into(), None, Outputs::Probabilities),
            (Softmax.into(), None, Outputs::Probabilities),
            (Softmax.into(), Some(Loss::mean_squared_error()), Outputs::Probabilities),
        ] {
            let network = NetworkSpec { input: vec![784], layers: vec![dense(), last.clone()] };
            assert_eq!(Outputs::of(&network, loss.as_ref()), expected, "{last:?} {loss:?}");
        }
    }

    #[test]
    fn probabilities_are_those_of_the_definitions() {
        let logits = [0.3, -1.7, 2.0];
        let exponentials = logits.map(f64::exp);
        let sum: f64 = exponentials.iter().sum();
        for (outputs, expected) in [
            (Outputs::Probabilities, logits),
            (Outputs::Logits, exponentials.map(|e| e / sum)),
            (Outputs::BinaryLogits, logits.map(|x| 1.0 / (1.0 + (-x).exp()))),
        ] {
            let mut found = [f64::NAN; 3];
            outputs.probabilities(&logits, &mut found);
            let pairs = found.iter().zip(expected);
            assert!(pairs.map(|(a, b)| (a - b).abs()).all(|d| d < 1e-15), "{outputs:?}: {found:?}");
        }
    }
}
