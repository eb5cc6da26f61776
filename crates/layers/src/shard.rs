use tensor::{Buffer, Element, reduce};

use crate::layer::{Draw, Mode};
use crate::loss::Loss;
use crate::network::Network;
use crate::spec::LayerSpec;
use crate::trainer::{Batch, NonFinite};
use crate::workspace::Workspace;

/// Samples that go through the network together, on one thread, in their own workspace.
#[derive(Debug)]
pub(crate) struct Shard<T> {
    workspace: Workspace<T>,
    inputs: Buffer<T>,
    targets: Vec<T>,
    correct: usize,
}

impl<T: Element> Shard<T> {
    pub(crate) fn new(network: &Network<T>, workspace: Workspace<T>) -> Self {
        let (inputs, outputs) = (network.input_shape().len(), network.output_shape().len());
        Self {
            inputs: Buffer::zeros(workspace.capacity() * inputs),
            targets: vec![T::ZERO; workspace.capacity() * outputs],
            workspace,
            correct: 0,
        }
    }

    /// Makes it a shard without samples.
    pub(crate) fn clear(&mut self) {
        self.correct = 0;
    }

    /// Keeps its operations to at most so many threads.
    pub(crate) fn limit_threads(&mut self, threads: usize) {
        self.workspace.limit_threads(threads);
    }

    /// How many samples had their largest output where the target has.
    pub(crate) fn correct(&self) -> usize {
        self.correct
    }

    /// How many samples the last step had.
    pub(crate) fn samples(&self) -> usize {
        self.workspace.samples()
    }

    /// What the layers measured in the last step.
    pub(crate) fn observed(&self) -> &[T] {
        self.workspace.observed()
    }

    /// The inputs of the last step, and the workspace for the way back.
    pub(crate) fn pass(&mut self, network: &Network<T>, n: usize) -> (&[T], &mut Workspace<T>) {
        (&self.inputs[..n * network.input_shape().len()], &mut self.workspace)
    }

    /// Gathers its samples, `losses.len()` of them from the draw's first on, and runs forward.
    pub(crate) fn forward(
        &mut self,
        network: &Network<T>,
        batch: &impl Batch<T>,
        draw: Draw,
        loss: Loss,
        losses: &mut [f64],
    ) {
        let n = losses.len();
        let outputs = network.output_shape().len();
        let inputs = &mut self.inputs[..n * network.input_shape().len()];
        let targets = &mut self.targets[..n * outputs];
        batch.gather(draw.first_sample as usize, inputs, targets);
        network.forward(inputs, &mut self.workspace, Mode::Training(draw));
        self.correct = 0;
        let samples = self.workspace.output().chunks_exact(outputs);
        for ((y, t), value) in samples.zip(targets.chunks_exact(outputs)).zip(losses) {
            *value = loss.value(y, t);
            self.correct += usize::from(reduce::argmax(y) == reduce::argmax(t));
        }
    }

    /// Writes the gradient of `scale` times the sum of the losses.
    pub(crate) fn start_backward(
        &mut self,
        network: &Network<T>,
        layers: usize,
        loss: Loss,
        n: usize,
        scale: f64,
    ) {
        let outputs = network.output_shape().len();
        let targets = self.targets[..n * outputs].chunks_exact(outputs);
        let last = network.chain().layers().len();
        let cancels = layers < last;
        let (y, gradients) = self.workspace.output_gradient(last);
        let rows = y.chunks_exact(outputs).zip(targets);
        for ((y, t), gradient) in rows.zip(gradients.chunks_exact_mut(outputs)) {
            if cancels {
                Loss::sigmoid_gradient(y, t, scale, gradient);
            } else {
                loss.gradient(y, t, scale, gradient);
            }
        }
    }

    pub(crate) fn check(
        &self,
        network: &Network<T>,
        losses: &[f64],
        first: usize,
    ) -> Result<(), NonFinite> {
        let Some(sample) = losses.iter().position(|loss| !loss.is_finite()) else {
            return Ok(());
        };
        let summaries = network.spec().layers.iter().map(LayerSpec::summary);
        let layer = summaries.enumerate().find(|&(index, _)| {
            let output = self.workspace.layer_output(index);
            let len = output.len() / losses.len();
            output[sample * len..][..len].iter().any(|value| !value.is_finite())
        });
        Err(NonFinite { sample: first + sample, layer })
    }
}
