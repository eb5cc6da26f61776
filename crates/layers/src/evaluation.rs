use std::sync::atomic::{AtomicBool, Ordering};

use tensor::{Buffer, Element, reduce, threads};

use crate::answer::score;
use crate::dataset::{Dataset, gather};
use crate::loss::Loss;
use crate::network::Network;
use crate::workspace::Workspace;

/// How many samples [`Network::evaluate`] sends through a network together.
const TOGETHER: usize = 16;

/// How well a network did on some samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The loss of each sample.
    pub losses: Vec<f64>,
    /// The outputs, sample after sample.
    pub outputs: Vec<f64>,
    /// How many samples were classified correctly.
    pub correct: usize,
}

impl Evaluation {
    /// The mean of the losses; 0 if there are no samples.
    pub fn loss(&self) -> f64 {
        reduce::sum(&self.losses) / self.losses.len().max(1) as f64
    }

    /// The fraction of the samples that were classified correctly; 0 if there are none.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.losses.len().max(1) as f64
    }
}

/// The memory in which networks of one architecture are evaluated, a part of it for each thread.
///
/// A sample's outputs have the same bits whichever samples are computed with it, so neither the
/// number of threads nor that of samples together changes a bit.
#[derive(Debug)]
pub struct Evaluator<T> {
    together: usize,
    parts: Vec<Part<T>>,
}

#[derive(Debug)]
struct Part<T> {
    workspace: Workspace<T>,
    inputs: Buffer<T>,
    targets: Vec<T>,
    correct: usize,
}

impl<T: Element> Evaluator<T> {
    /// For networks such as this one, on `threads` threads, each of which takes `together` samples
    /// at a time.
    ///
    /// # Panics
    /// If `together` or `threads` is 0.
    #[track_caller]
    pub fn new(network: &Network<T>, together: usize, threads: usize) -> Self {
        assert!(together > 0 && threads > 0, "evaluator: expected at least 1 sample and thread");
        let part = |_| Part {
            workspace: Workspace::for_inference(network, together),
            inputs: Buffer::zeros(together * network.input_shape().len()),
            targets: vec![T::ZERO; together * network.output_shape().len()],
            correct: 0,
        };
        Self { together, parts: (0..threads).map(part).collect() }
    }

    /// Runs all samples through the network.
    ///
    /// # Panics
    /// If the samples' numbers of inputs or outputs are not the network's.
    pub fn evaluate(
        &mut self,
        network: &Network<T>,
        loss: &Loss,
        data: &impl Dataset<T>,
    ) -> Evaluation {
        self.evaluate_while(network, loss, data, || true).expect("all samples")
    }

    /// [`Evaluator::evaluate`] as long as `go_on`, which each thread asks before each batch; `None`
    /// if it did not come to the end.
    ///
    /// # Panics
    /// As [`Evaluator::evaluate`].
    pub fn evaluate_while(
        &mut self,
        network: &Network<T>,
        loss: &Loss,
        data: &impl Dataset<T>,
        go_on: impl Fn() -> bool + Sync,
    ) -> Option<Evaluation> {
        let stopped = AtomicBool::new(false);
        let (together, width) = (self.together, network.output_shape().len());
        let mut losses = vec![0.0; data.len()];
        let mut outputs = vec![0.0; data.len() * width];
        let chunks = data.len().div_ceil(together);
        let len = chunks.div_ceil(self.parts.len()).max(1) * together;
        self.parts.iter_mut().for_each(|part| part.correct = 0);
        let threads = self.parts.len();
        threads::for_each_chunk3(
            (&mut losses, len),
            (&mut outputs, len * width),
            (&mut self.parts, 1),
            threads,
            |index, losses, outputs, part| {
                let chunks = losses.chunks_mut(together).zip(outputs.chunks_mut(together * width));
                for (chunk, results) in chunks.enumerate() {
                    if !go_on() {
                        stopped.store(true, Ordering::Relaxed);
                        return;
                    }
                    let first = index * len + chunk * together;
                    part[0].evaluate(network, loss, (data, first), results);
                }
            },
        );
        let correct = self.parts.iter().map(|part| part.correct).sum();
        (!stopped.into_inner()).then_some(Evaluation { losses, outputs, correct })
    }
}

impl<T: Element> Part<T> {
    fn evaluate(
        &mut self,
        network: &Network<T>,
        loss: &Loss,
        (data, first): (&impl Dataset<T>, usize),
        (losses, widened): (&mut [f64], &mut [f64]),
    ) {
        let (n, input_len) = (losses.len(), network.input_shape().len());
        let width = network.output_shape().len();
        let inputs = &mut self.inputs[..n * input_len];
        let targets = &mut self.targets[..n * width];
        gather(data, first, (&mut *inputs, input_len), (&mut *targets, width));
        let outputs = network.predict(inputs, &mut self.workspace);
        for (widened, output) in widened.iter_mut().zip(outputs) {
            *widened = output.to_f64();
        }
        self.correct += score(loss, outputs, targets, losses);
    }
}

impl<T: Element> Network<T> {
    /// Runs all samples through the network, on all threads of the current pool.
    ///
    /// # Panics
    /// If the samples' numbers of inputs or outputs are not the network's.
    pub fn evaluate(&self, data: &impl Dataset<T>, loss: &Loss) -> Evaluation {
        let threads = threads::available().min(data.len().div_ceil(TOGETHER)).max(1);
        Evaluator::new(self, TOGETHER, threads).evaluate(self, loss, data)
    }
}
