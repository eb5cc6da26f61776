use std::sync::Arc;

use tensor::{Buffer, Element, Scratch};

use crate::chain::Chain;
use crate::layer::{Context, Mode};
use crate::network::Network;

/// The memory of a pass through a network: outputs of all layers, gradients, scratch memory.
///
/// It serves the network that it was made for and its clones; with another network, passes panic.
/// Nothing is allocated after the first pass. A network serves several workspaces at once, each on
/// its own thread.
#[derive(Clone, Debug)]
pub struct Workspace<T> {
    /// The layers, which are shared by the clones of a network.
    chain: Arc<Chain<T>>,
    capacity: usize,
    samples: usize,
    mode: Mode,
    /// The numbers of all layers, as the chain lays them out.
    memory: Buffer<T>,
    batch_statistics: Vec<T>,
    scratch: Scratch<T>,
}

impl<T: Element> Workspace<T> {
    /// Memory for passes over up to `capacity` samples on the calling thread.
    pub fn new(network: &Network<T>, capacity: usize) -> Self {
        Self::with_memory(network, (capacity, network.chain().memory()), Scratch::sequential())
    }

    /// The same without room for gradients, for [`Network::predict`] alone: a backward pass panics.
    pub fn for_inference(network: &Network<T>, capacity: usize) -> Self {
        let numbers = network.chain().gradient_range().start;
        Self::with_memory(network, (capacity, numbers), Scratch::sequential())
    }

    /// As [`Workspace::new`], for passes whose operations may use all threads of the current pool.
    pub fn parallel(network: &Network<T>, capacity: usize) -> Self {
        Self::with_memory(network, (capacity, network.chain().memory()), Scratch::parallel())
    }

    /// A workspace with `numbers` numbers of memory for each sample.
    fn with_memory(
        network: &Network<T>,
        (capacity, numbers): (usize, usize),
        scratch: Scratch<T>,
    ) -> Self {
        let chain = Arc::clone(network.chain());
        Self {
            capacity,
            samples: 0,
            mode: Mode::Inference,
            memory: Buffer::zeros(capacity.saturating_mul(numbers)),
            batch_statistics: vec![T::ZERO; chain.batch_statistics()],
            scratch,
            chain,
        }
    }

    /// The most samples of a pass.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many samples the last forward pass had.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The output of the network in the last forward pass.
    pub fn output(&self) -> &[T] {
        self.layer_output(self.chain.layers().len() - 1)
    }

    /// The output of a layer in the last forward pass. If the next layer works in place, it is that
    /// layer's output; if this layer is fused into the next one, it is this layer's input.
    pub fn layer_output(&self, layer: usize) -> &[T] {
        let range = self.chain.output_range(layer);
        &self.memory[self.samples * range.start..self.samples * range.end]
    }

    /// Where the backward pass through the first `layers` layers expects the gradient of their
    /// output, with that output beside it.
    pub fn output_gradient(&mut self, layers: usize) -> (&[T], &mut [T]) {
        let (n, range) = (self.samples, self.chain.output_range(layers - 1));
        let start = n * self.chain.gradient_range().start;
        let (outputs, gradients) = self.memory.split_at_mut(start);
        (&outputs[n * range.start..n * range.end], &mut gradients[..n * range.len()])
    }

    /// The statistics that the layers measured in the last forward pass in training.
    pub(crate) fn batch_statistics(&self) -> &[T] {
        &self.batch_statistics
    }

    /// What the operations work in.
    pub(crate) fn scratch(&mut self) -> &mut Scratch<T> {
        &mut self.scratch
    }

    /// Limits operations to this many of the threads that they may use.
    pub(crate) fn limit_threads(&mut self, threads: usize) {
        self.scratch.limit_threads(threads);
    }

    /// Panics unless the workspace belongs to these layers.
    #[track_caller]
    pub(crate) fn check(&self, chain: &Chain<T>) {
        let is_same = std::ptr::eq(&*self.chain, chain);
        assert!(
            is_same,
            "workspace: expected that of this network or of a clone, got another network's"
        );
    }

    /// Begins a pass with an input of this many numbers.
    #[track_caller]
    pub(crate) fn start(&mut self, chain: &Chain<T>, numbers: usize, mode: Mode) {
        self.check(chain);
        let (shape, capacity) = (chain.input_shape(), self.capacity);
        assert!(
            numbers.is_multiple_of(shape.len()) && numbers / shape.len() <= capacity,
            "input: expected at most {capacity} samples of {shape}, got {numbers} numbers",
        );
        self.samples = numbers / shape.len();
        self.mode = mode;
    }

    /// What the layers of a network with these buffers work with.
    pub(crate) fn context<'a>(&'a mut self, buffers: &'a [T]) -> Context<'a, T> {
        let Self { scratch, mode, batch_statistics, memory, .. } = self;
        Context { scratch, mode: *mode, buffers, batch_statistics, memory }
    }
}
