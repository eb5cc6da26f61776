//! The answers of a network to samples, and how many are right.

use layers::{Loss, Network, answer};
use tensor::{Element, reduce};

use crate::dataset::{Classes, Samples};
use crate::memory::{self, EvaluationPlan};

/// The memory for evaluating a network, one part for each thread.
#[derive(Debug)]
pub struct Evaluator<T>(layers::Evaluator<T>);

/// The results of a network on some samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The loss of each sample.
    pub losses: Vec<f64>,
    /// The predicted class of each sample: the first of its largest outputs. None where
    /// [`layers::answer`] gives none, which counts as wrong.
    pub predictions: Vec<Option<u8>>,
    /// The outputs, sample after sample, one number for each class.
    pub outputs: Vec<f64>,
}

impl Evaluation {
    /// The first sample whose loss is not finite.
    pub fn first_non_finite(&self) -> Option<usize> {
        self.losses.iter().position(|loss| !loss.is_finite())
    }
}

impl<T: Element> Evaluator<T> {
    /// For networks like this one and about `samples` samples, in the memory that is free beside
    /// `taken` bytes.
    ///
    /// # Errors
    /// If there is too little memory for one sample.
    pub fn new(network: &Network<T>, samples: usize, taken: u64) -> anyhow::Result<Self> {
        let footprint = network.spec().footprint::<T>()?;
        let EvaluationPlan { samples, threads } =
            memory::evaluation_plan(&footprint, samples, taken)?;
        Ok(Self(layers::Evaluator::new(network, samples, threads)))
    }

    /// Runs all samples through the network.
    ///
    /// # Panics
    /// If the network does not take such images, or has not one output for each class:
    /// see [`Samples::fit`].
    pub fn evaluate(&mut self, network: &Network<T>, loss: &Loss, samples: &Samples) -> Evaluation {
        self.evaluate_while(network, loss, samples, || true).expect("all samples")
    }

    /// [`Evaluator::evaluate`] as long as `go_on`, which each thread asks before each batch; `None`
    /// if it did not come to the end.
    ///
    /// # Panics
    /// As [`Evaluator::evaluate`].
    pub(crate) fn evaluate_while(
        &mut self,
        network: &Network<T>,
        loss: &Loss,
        samples: &Samples,
        go_on: impl Fn() -> bool + Sync,
    ) -> Option<Evaluation> {
        let found = self.0.evaluate_while(network, loss, samples, go_on);
        let layers::Evaluation { losses, outputs, .. } = found?;
        let rows = outputs.chunks_exact(network.output_shape().len());
        Some(Evaluation { predictions: rows.map(predicted).collect(), losses, outputs })
    }
}

/// The class that these outputs predict, if they do.
pub(crate) fn predicted<T: Element>(outputs: &[T]) -> Option<u8> {
    answer(outputs).and_then(|class| u8::try_from(class).ok())
}

impl Evaluation {
    /// The same answers with the classes reordered from the order of `from` to that of `to`, which
    /// has the same names.
    pub(crate) fn in_order(mut self, from: &Classes, to: &Classes) -> Self {
        let places: Vec<_> =
            (0..to.count()).filter_map(|to_label| from.label(&to.name(to_label))).collect();
        assert_eq!(places.len(), from.count(), "evaluation: names of classes");
        if places.is_sorted() {
            return self;
        }
        let mut row = vec![0.0; places.len()];
        for outputs in self.outputs.chunks_exact_mut(places.len()) {
            row.copy_from_slice(outputs);
            outputs.iter_mut().zip(&places).for_each(|(output, &place)| *output = row[place]);
        }
        for prediction in self.predictions.iter_mut().flatten() {
            let place = places.iter().position(|&place| place == usize::from(*prediction));
            // There are at most 256 classes, so the index fits.
            *prediction = place.and_then(|place| u8::try_from(place).ok()).unwrap_or(*prediction);
        }
        self
    }

    /// The mean of the losses.
    pub fn error(&self) -> f64 {
        mean(&self.losses)
    }

    /// Whether each sample was taken for what it is.
    pub(crate) fn right(&self, samples: &Samples) -> impl Iterator<Item = bool> {
        let pairs = self.predictions.iter().zip(samples.labels());
        pairs.map(|(prediction, label)| *prediction == Some(*label))
    }

    /// How many samples were taken for what they are.
    pub fn correct(&self, samples: &Samples) -> usize {
        self.right(samples).filter(|&is_right| is_right).count()
    }

    /// The first sample without an answer, and how many there are.
    pub fn unanswered(&self) -> Option<(usize, usize)> {
        let first = self.predictions.iter().position(Option::is_none)?;
        Some((first, self.predictions.iter().filter(|prediction| prediction.is_none()).count()))
    }

    /// The confusion matrix: how often each class (row) was predicted as each class (column); the
    /// last column counts samples without an answer.
    pub fn confusion(&self, samples: &Samples) -> Vec<Vec<usize>> {
        let classes = samples.classes().count();
        let mut counts = vec![vec![0; classes + 1]; classes];
        for (&label, &prediction) in samples.labels().iter().zip(&self.predictions) {
            counts[usize::from(label)][prediction.map_or(classes, usize::from)] += 1;
        }
        counts
    }
}

/// The mean, summed as by [`reduce::sum`]; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    reduce::sum(values) / values.len().max(1) as f64
}
