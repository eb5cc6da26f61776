//! What a network makes of samples that it does not learn from.

use layers::{Loss, Network, Workspace};
use rayon::prelude::*;
use tensor::{Buffer, Element, reduce};

use crate::dataset::Samples;

/// Samples that run through the network together. Fixed, so that the number of threads
/// changes no bit.
const CHUNK: usize = 64;

/// The memory to evaluate a network in, one part for each thread of the current pool.
#[derive(Debug)]
pub struct Evaluator<T> {
    slots: Vec<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    workspace: Workspace<T>,
    inputs: Buffer<T>,
    target: Vec<T>,
}

/// How a network did on some samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The loss of each sample.
    pub losses: Vec<f64>,
    /// The class that each sample was taken for: the first of its largest outputs.
    pub predictions: Vec<u8>,
    /// The outputs, sample after sample, one number for each class.
    pub outputs: Vec<f64>,
}

impl<T: Element> Evaluator<T> {
    /// For networks such as this one.
    pub fn new(network: &Network<T>) -> Self {
        let slot = |_| Slot {
            workspace: Workspace::new(network, CHUNK),
            inputs: Buffer::zeros(CHUNK * network.input_shape().len()),
            target: vec![T::ZERO; network.output_shape().len()],
        };
        let slots = (0..rayon::current_num_threads()).map(slot).collect();
        Self { slots }
    }

    /// Runs all samples through the network.
    ///
    /// # Panics
    /// If the network does not take such images, or has not one output for each class:
    /// see [`Samples::fit`].
    pub fn evaluate(&mut self, network: &Network<T>, loss: Loss, samples: &Samples) -> Evaluation {
        let mut losses = vec![0.0; samples.len()];
        let mut predictions = vec![0; samples.len()];
        let mut outputs = vec![0.0; samples.len() * samples.classes().count()];
        let chunks = samples.len().div_ceil(CHUNK);
        let part = chunks.div_ceil(self.slots.len()).max(1) * CHUNK;
        let outputs_of_chunk = CHUNK * samples.classes().count();
        let results = losses.par_chunks_mut(part).zip(predictions.par_chunks_mut(part));
        let results = results.zip(outputs.par_chunks_mut(part / CHUNK * outputs_of_chunk));
        results.zip(&mut self.slots).enumerate().for_each(
            |(index, (((losses, classes), outputs), slot))| {
                let chunks = losses.chunks_mut(CHUNK).zip(classes.chunks_mut(CHUNK));
                let chunks = chunks.zip(outputs.chunks_mut(outputs_of_chunk));
                for (chunk, ((losses, classes), outputs)) in chunks.enumerate() {
                    let first = index * part + chunk * CHUNK;
                    let results = (losses, classes, outputs);
                    slot.evaluate(network, loss, (samples, first), results);
                }
            },
        );
        Evaluation { losses, predictions, outputs }
    }
}

impl<T: Element> Slot<T> {
    fn evaluate(
        &mut self,
        network: &Network<T>,
        loss: Loss,
        (samples, first): (&Samples, usize),
        (losses, classes, widened): (&mut [f64], &mut [u8], &mut [f64]),
    ) {
        let Self { workspace, inputs, target } = self;
        let input_len = network.input_shape().len();
        let inputs = &mut inputs[..losses.len() * input_len];
        for (index, input) in inputs.chunks_exact_mut(input_len).enumerate() {
            samples.write_image(first + index, input);
        }
        let outputs = network.predict(inputs, workspace);
        for (widened, output) in widened.iter_mut().zip(outputs) {
            *widened = output.to_f64();
        }
        for (index, output) in outputs.chunks_exact(target.len()).enumerate() {
            samples.write_target(first + index, target);
            losses[index] = loss.value(output, target);
            classes[index] = reduce::argmax(output) as u8;
        }
    }
}

impl Evaluation {
    /// The mean of the losses.
    pub fn error(&self) -> f64 {
        mean(&self.losses)
    }

    /// How many samples were taken for what they are.
    pub fn correct(&self, samples: &Samples) -> usize {
        let pairs = self.predictions.iter().zip(samples.labels());
        pairs.filter(|(prediction, label)| prediction == label).count()
    }

    /// How often each class (row) was taken for each class (column).
    pub fn confusion(&self, samples: &Samples) -> Vec<Vec<usize>> {
        let classes = samples.classes().count();
        let mut counts = vec![vec![0; classes]; classes];
        for (&label, &prediction) in samples.labels().iter().zip(&self.predictions) {
            counts[usize::from(label)][usize::from(prediction)] += 1;
        }
        counts
    }
}

/// The mean, summed from the first to the last; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
