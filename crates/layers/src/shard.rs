use std::sync::{Mutex, MutexGuard, PoisonError};

use tensor::{Buffer, Element};

use crate::answer::is_right;
use crate::dataset::{Dataset, gather};
use crate::layer::{Draw, Mode};
use crate::loss::Loss;
use crate::network::Network;
use crate::spec::LayerSpec;
use crate::trainer::NonFinite;
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
    fn new(network: &Network<T>, workspace: Workspace<T>) -> Self {
        let (inputs, outputs) = (network.input_shape().len(), network.output_shape().len());
        Self {
            inputs: Buffer::zeros(workspace.capacity().saturating_mul(inputs)),
            targets: vec![T::ZERO; workspace.capacity().saturating_mul(outputs)],
            workspace,
        }
    }

    /// Keeps its operations to at most so many threads.
    pub(crate) fn limit_threads(&mut self, threads: usize) {
        self.workspace.limit_threads(threads);
    }

    /// The inputs of the last pass, and the workspace for the way back.
    pub(crate) fn pass(&mut self, network: &Network<T>, n: usize) -> (&[T], &mut Workspace<T>) {
        (&self.inputs[..n * network.input_shape().len()], &mut self.workspace)
    }

    /// Gathers a shard's samples, `losses.len()` of them from `first` on, and runs forward.
    pub(crate) fn forward(
        &mut self,
        network: &Network<T>,
        data: &impl Dataset<T>,
        draw: Draw,
        loss: &Loss,
        (shard, first, losses): (&mut Shard<T>, usize, &mut [f64]),
    ) {
        let n = losses.len();
        let (input_len, outputs) = (network.input_shape().len(), network.output_shape().len());
        let inputs = &mut self.inputs[..n * input_len];
        let targets = &mut self.targets[..n * outputs];
        gather(data, first, (&mut *inputs, input_len), (&mut *targets, outputs));
        let draw = Draw { first_sample: first as u64, ..draw };
        network.forward(inputs, &mut self.workspace, Mode::Training(draw));
        shard.clear();
        let samples = self.workspace.output().chunks_exact(outputs);
        for ((y, t), value) in samples.zip(targets.chunks_exact(outputs)).zip(&mut *losses) {
            *value = loss.value(y, t);
            shard.correct += usize::from(is_right(y, t));
        }
        shard.observed.copy_from_slice(self.workspace.observed());
        shard.failure = self.failure(network, losses, first);
    }

    /// Writes the gradient of `scale` times the sum of the losses.
    pub(crate) fn start_backward(
        &mut self,
        network: &Network<T>,
        layers: usize,
        loss: &Loss,
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
                loss.sigmoid_gradient(y, t, scale, gradient);
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

/// The desks that no thread works at.
#[derive(Debug)]
pub(crate) struct Desks<T> {
    free: Mutex<Vec<Desk<T>>>,
    /// Samples that a desk has room for.
    capacity: usize,
}

impl<T: Element> Desks<T> {
    /// One desk for all threads, which share the operations on a shard of `capacity` samples.
    pub(crate) fn shared(network: &Network<T>, capacity: usize) -> Self {
        let desk = Desk::new(network, Workspace::parallel(network, capacity));
        Self { free: Mutex::new(vec![desk]), capacity }
    }

    /// `count` desks, one for each thread, for shards of up to `capacity` samples.
    pub(crate) fn of_threads(network: &Network<T>, count: usize, capacity: usize) -> Self {
        let mut desks = Self { free: Mutex::default(), capacity };
        let all = (0..count).map(|_| desks.another(network)).collect();
        *desks.all() = all;
        desks
    }

    fn another(&self, network: &Network<T>) -> Desk<T> {
        Desk::new(network, Workspace::new(network, self.capacity))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Desk<T>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All desks, between two steps.
    pub(crate) fn all(&mut self) -> &mut Vec<Desk<T>> {
        self.free.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` at a desk that no other work is done at.
    ///
    /// Meanwhile no lock is held, and nobody waits for a desk: work calls code that is not
    /// ours, to gather samples, and a thread that waits in there for others may begin with
    /// another shard before it comes back to this one. So there may be more work begun than
    /// there are threads; the desk for it is made when it is first missed.
    pub(crate) fn work_at_one(&self, network: &Network<T>, work: impl FnOnce(&mut Desk<T>)) {
        let free = self.lock().pop();
        let mut desk = free.unwrap_or_else(|| self.another(network));
        work(&mut desk);
        self.lock().push(desk);
    }

    /// Gives each desk as much scratch memory as any has: a thread that comes later than others
    /// need not allocate.
    pub(crate) fn equip(&mut self) {
        let mut rooms = [0; 2];
        for desk in self.all() {
            let room = desk.workspace.scratch().room();
            rooms = [rooms[0].max(room[0]), rooms[1].max(room[1])];
        }
        for desk in self.all() {
            desk.workspace.scratch().make_room(rooms);
        }
    }
}
