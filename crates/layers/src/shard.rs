use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use tensor::{Buffer, Element};

use crate::layer::{Draw, Mode};
use crate::loss::{Loss, is_right};
use crate::network::Network;
use crate::spec::LayerSpec;
use crate::trainer::{Batch, NonFinite};
use crate::workspace::Workspace;

/// What a step keeps of the samples that went through the network together.
#[derive(Debug)]
pub(crate) struct Shard<T> {
    /// What the layers measured.
    pub(crate) observed: Vec<T>,
    /// How many samples had their largest output where the target has.
    pub(crate) correct: usize,
    /// The first sample whose loss is not finite.
    pub(crate) failure: Option<NonFinite>,
}

impl<T: Element> Shard<T> {
    pub(crate) fn new(network: &Network<T>) -> Self {
        let observed = vec![T::ZERO; network.chain().observed()];
        Self { observed, correct: 0, failure: None }
    }

    /// Makes it a shard without samples.
    pub(crate) fn clear(&mut self) {
        (self.correct, self.failure) = (0, None);
    }
}

/// Where a thread works on shards, one after another: what one leaves in the caches of the
/// workspace, the next one finds there.
#[derive(Debug)]
pub(crate) struct Desk<T> {
    workspace: Workspace<T>,
    inputs: Buffer<T>,
    targets: Vec<T>,
}

impl<T: Element> Desk<T> {
    pub(crate) fn new(network: &Network<T>, workspace: Workspace<T>) -> Self {
        let (inputs, outputs) = (network.input_shape().len(), network.output_shape().len());
        Self {
            inputs: Buffer::zeros(workspace.capacity() * inputs),
            targets: vec![T::ZERO; workspace.capacity() * outputs],
            workspace,
        }
    }

    /// Keeps its operations to at most so many threads.
    pub(crate) fn limit_threads(&mut self, threads: usize) {
        self.workspace.limit_threads(threads);
    }

    /// Gives each of some desks as much scratch memory as any has: a thread that comes later
    /// than others need not allocate.
    pub(crate) fn equip(desks: &mut [Mutex<Self>]) {
        let mut rooms = [0; 2];
        for desk in &mut *desks {
            let room = of(desk).workspace.scratch().room();
            rooms = [rooms[0].max(room[0]), rooms[1].max(room[1])];
        }
        for desk in desks {
            of(desk).workspace.scratch().make_room(rooms);
        }
    }

    /// The inputs of the last pass, and the workspace for the way back.
    pub(crate) fn pass(&mut self, network: &Network<T>, n: usize) -> (&[T], &mut Workspace<T>) {
        (&self.inputs[..n * network.input_shape().len()], &mut self.workspace)
    }

    /// Gathers a shard's samples, `losses.len()` of them from the draw's first on, and runs
    /// forward.
    pub(crate) fn forward(
        &mut self,
        network: &Network<T>,
        batch: &impl Batch<T>,
        draw: Draw,
        loss: Loss,
        (shard, losses): (&mut Shard<T>, &mut [f64]),
    ) {
        let n = losses.len();
        let outputs = network.output_shape().len();
        let inputs = &mut self.inputs[..n * network.input_shape().len()];
        let targets = &mut self.targets[..n * outputs];
        batch.gather(draw.first_sample as usize, inputs, targets);
        network.forward(inputs, &mut self.workspace, Mode::Training(draw));
        shard.clear();
        let samples = self.workspace.output().chunks_exact(outputs);
        for ((y, t), value) in samples.zip(targets.chunks_exact(outputs)).zip(&mut *losses) {
            *value = loss.value(y, t);
            shard.correct += usize::from(is_right(y, t));
        }
        shard.observed.copy_from_slice(self.workspace.observed());
        shard.failure = self.failure(network, losses, draw.first_sample as usize);
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

    fn failure(&self, network: &Network<T>, losses: &[f64], first: usize) -> Option<NonFinite> {
        let sample = losses.iter().position(|loss| !loss.is_finite())?;
        let summaries = network.spec().layers.iter().map(LayerSpec::summary);
        let layer = summaries.enumerate().find(|&(index, _)| {
            let output = self.workspace.layer_output(index);
            let len = output.len() / losses.len();
            output[sample * len..][..len].iter().any(|value| !value.is_finite())
        });
        Some(NonFinite { sample: first + sample, layer })
    }
}

/// A desk that nobody else can be at.
pub(crate) fn of<T>(desk: &mut Mutex<Desk<T>>) -> &mut Desk<T> {
    desk.get_mut().unwrap_or_else(PoisonError::into_inner)
}

/// A desk that no thread works at: there are as many as threads.
pub(crate) fn free<T>(desks: &[Mutex<Desk<T>>]) -> MutexGuard<'_, Desk<T>> {
    loop {
        for desk in desks {
            match desk.try_lock() {
                Ok(desk) => return desk,
                Err(TryLockError::Poisoned(desk)) => return desk.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
    }
}
