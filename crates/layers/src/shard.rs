use std::sync::{Mutex, MutexGuard, PoisonError};

use tensor::{Buffer, Element};

use crate::answer::score;
use crate::backward_start::BackwardStart;
use crate::builtin::LayerSpec;
use crate::dataset::{Dataset, gather};
use crate::layer::{Draw, Mode, larger};
use crate::network::Network;
use crate::step::{NonFinite, NonFiniteValue, all_finite};
use crate::trainer_config::TrainerConfig;
use crate::workspace::Workspace;

/// What a step keeps of a shard: the samples that go through the network together.
#[derive(Debug)]
pub(crate) struct Shard<T> {
    /// What the layers measured.
    pub(crate) batch_statistics: Vec<T>,
    /// How many samples were classified correctly.
    pub(crate) correct: usize,
    /// The first sample whose loss is not finite, or a gradient that is not.
    pub(crate) failure: Option<NonFinite>,
}

impl<T: Element> Shard<T> {
    pub(crate) fn new(network: &Network<T>) -> Self {
        let batch_statistics = vec![T::ZERO; network.chain().batch_statistics()];
        Self { batch_statistics, correct: 0, failure: None }
    }

    /// Makes it a shard without samples.
    pub(crate) fn clear(&mut self) {
        (self.correct, self.failure) = (0, None);
    }

    /// Checks the gradients of the shard that begins with sample `first`.
    pub(crate) fn check(&mut self, network: &Network<T>, gradients: &[T], first: usize) {
        if all_finite(gradients) {
            return;
        }
        let (value, sample) = (NonFiniteValue::Gradient, Some(first));
        let layer = network.last_non_finite(gradients);
        self.failure = Some(NonFinite { value, sample, layer });
    }
}

/// The memory in which a thread computes one shard after another, so that the workspace stays in
/// its caches.
#[derive(Debug)]
pub(crate) struct Worker<T> {
    workspace: Workspace<T>,
    inputs: Buffer<T>,
    targets: Vec<T>,
}

impl<T: Element> Worker<T> {
    fn new(network: &Network<T>, workspace: Workspace<T>) -> Self {
        let (inputs, outputs) = (network.input_shape().len(), network.output_shape().len());
        Self {
            inputs: Buffer::zeros(workspace.capacity().saturating_mul(inputs)),
            targets: vec![T::ZERO; workspace.capacity().saturating_mul(outputs)],
            workspace,
        }
    }

    /// Limits its operations to this many threads.
    pub(crate) fn limit_threads(&mut self, threads: usize) {
        self.workspace.limit_threads(threads);
    }

    /// Gathers the samples of a shard, `losses.len()` of them from `first` on, and runs the network
    /// forward.
    pub(crate) fn forward(
        &mut self,
        network: &Network<T>,
        data: &impl Dataset<T>,
        draw: Draw,
        config: &TrainerConfig,
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
        shard.correct = score(&config.loss, self.workspace.output(), targets, losses);
        if config.class_weights.is_some() {
            let each = losses.iter_mut().zip(targets.chunks_exact(outputs));
            each.for_each(|(loss, target)| *loss *= config.weight_of(target));
        }
        shard.batch_statistics.copy_from_slice(self.workspace.batch_statistics());
        shard.failure = self.failure(network, losses, first);
    }

    /// Starts the backward pass of the `n` samples that went forward, with the gradient of `scale`
    /// times the sum of their losses; returns their inputs, and the workspace for the rest of the
    /// pass.
    pub(crate) fn start_backward(
        &mut self,
        network: &Network<T>,
        start: BackwardStart,
        config: &TrainerConfig,
        n: usize,
        scale: f64,
    ) -> (&[T], &mut Workspace<T>) {
        let outputs = network.output_shape().len();
        let (y, gradient) = self.workspace.output_gradient(network.spec().layers.len());
        let (loss, targets) = (&config.loss, &self.targets[..n * outputs]);
        if config.class_weights.is_none() {
            start.gradient(loss, [y, targets], outputs, scale, gradient);
        } else {
            let samples = y.chunks_exact(outputs).zip(targets.chunks_exact(outputs));
            for ((y, t), gradient) in samples.zip(gradient.chunks_exact_mut(outputs)) {
                start.gradient(loss, [y, t], outputs, scale * config.weight_of(t), gradient);
            }
        }
        (&self.inputs[..n * network.input_shape().len()], &mut self.workspace)
    }

    fn failure(&self, network: &Network<T>, losses: &[f64], first: usize) -> Option<NonFinite> {
        let sample = losses.iter().position(|loss| !loss.is_finite())?;
        let summaries = network.spec().layers.iter().map(LayerSpec::summary);
        let layer = summaries.enumerate().find(|&(index, _)| {
            let output = self.workspace.layer_output(index);
            let len = output.len() / losses.len();
            output[sample * len..][..len].iter().any(|value| !value.is_finite())
        });
        Some(NonFinite { value: NonFiniteValue::Loss, sample: Some(first + sample), layer })
    }
}

/// The workers that are free.
#[derive(Debug)]
pub(crate) struct Workers<T> {
    free: Mutex<Vec<Worker<T>>>,
    /// How many samples a worker has room for.
    capacity: usize,
}

impl<T: Element> Workers<T> {
    /// One worker for all threads, which share the operations on a shard of up to `capacity`
    /// samples.
    pub(crate) fn shared(network: &Network<T>, capacity: usize) -> Self {
        let worker = Worker::new(network, Workspace::parallel(network, capacity));
        Self { free: Mutex::new(vec![worker]), capacity }
    }

    /// `count` workers, one for each thread, for shards of up to `capacity` samples.
    pub(crate) fn of_threads(network: &Network<T>, count: usize, capacity: usize) -> Self {
        let mut workers = Self { free: Mutex::default(), capacity };
        let all = (0..count).map(|_| workers.another(network)).collect();
        *workers.all() = all;
        workers
    }

    fn another(&self, network: &Network<T>) -> Worker<T> {
        Worker::new(network, Workspace::new(network, self.capacity))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Worker<T>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All workers; between two steps none is lent.
    pub(crate) fn all(&mut self) -> &mut Vec<Worker<T>> {
        self.free.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends a worker that is free.
    ///
    /// No lock is held meanwhile, and nobody waits for a worker: `use_it` calls a data set's code
    /// to gather samples, and a thread that waits for others in there may begin another shard
    /// before it returns to this one. So more workers than threads may be in use; a missing one is
    /// made.
    pub(crate) fn lend(&self, network: &Network<T>, use_it: impl FnOnce(&mut Worker<T>)) {
        let free = self.lock().pop();
        let mut worker = free.unwrap_or_else(|| self.another(network));
        use_it(&mut worker);
        self.lock().push(worker);
    }

    /// Gives each worker as much scratch memory as the largest has, so that a thread which joins
    /// later does not allocate.
    pub(crate) fn equip(&mut self) {
        let mut rooms = [0; 2];
        for worker in self.all() {
            rooms = larger(rooms, worker.workspace.scratch().room());
        }
        for worker in self.all() {
            worker.workspace.scratch().make_room(rooms);
        }
    }
}
