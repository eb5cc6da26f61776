use std::ops::Range;

use tensor::{Buffer, Element, Scratch};

use crate::layer::{Context, Mode};
use crate::network::Network;

/// The memory of one pass through a network: outputs of all layers, gradients, scratch.
///
/// Nothing is allocated after the first pass. A network serves several workspaces at
/// once, each on its own thread.
#[derive(Clone, Debug)]
pub struct Workspace<T> {
    capacity: usize,
    samples: usize,
    mode: Mode,
    input_len: usize,
    /// The numbers of all layers, as the network's chain places them.
    memory: Buffer<T>,
    observed: Vec<T>,
    scratch: Scratch<T>,
    /// Of one sample: each layer's output, and the gradient of the last one.
    outputs: Vec<Range<usize>>,
    gradient: usize,
}

impl<T: Element> Workspace<T> {
    /// Memory for passes of up to `capacity` samples on the calling thread.
    pub fn new(network: &Network<T>, capacity: usize) -> Self {
        Self::with_scratch(network, capacity, Scratch::sequential())
    }

    /// The same without room for gradients: for [`Network::predict`] alone. A backward pass
    /// in it panics.
    pub fn for_inference(network: &Network<T>, capacity: usize) -> Self {
        let numbers = network.chain().gradient_place().start;
        Self::with_memory(network, (capacity, numbers), Scratch::sequential())
    }

    /// The same, for passes whose operations may use all threads of the current pool.
    pub fn parallel(network: &Network<T>, capacity: usize) -> Self {
        Self::with_scratch(network, capacity, Scratch::parallel())
    }

    fn with_scratch(network: &Network<T>, capacity: usize, scratch: Scratch<T>) -> Self {
        Self::with_memory(network, (capacity, network.chain().memory()), scratch)
    }

    /// With memory of `numbers` numbers for each sample.
    fn with_memory(
        network: &Network<T>,
        (capacity, numbers): (usize, usize),
        scratch: Scratch<T>,
    ) -> Self {
        let chain = network.chain();
        Self {
            capacity,
            samples: 0,
            mode: Mode::Inference,
            input_len: network.input_shape().len(),
            memory: Buffer::zeros(capacity.saturating_mul(numbers)),
            observed: vec![T::ZERO; chain.observed()],
            scratch,
            outputs: (0..chain.layers().len()).map(|layer| chain.output_place(layer)).collect(),
            gradient: chain.gradient_place().start,
        }
    }

    /// How many samples a pass may have.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many samples the last forward pass had.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The output of the network in the last forward pass.
    pub fn output(&self) -> &[T] {
        self.layer_output(self.outputs.len() - 1)
    }

    /// The output of a layer in the last forward pass; where the next layer works in
    /// the same memory, that layer's, and where the next layer does this one's work too,
    /// this one's input.
    pub fn layer_output(&self, layer: usize) -> &[T] {
        let place = &self.outputs[layer];
        &self.memory[self.samples * place.start..self.samples * place.end]
    }

    /// Where the backward pass through `layers` layers expects the gradient of their
    /// output, with that output beside it.
    pub fn output_gradient(&mut self, layers: usize) -> (&[T], &mut [T]) {
        let (n, place) = (self.samples, &self.outputs[layers - 1]);
        let (outputs, gradients) = self.memory.split_at_mut(n * self.gradient);
        (&outputs[n * place.start..n * place.end], &mut gradients[..n * place.len()])
    }

    /// What the layers measured in the last forward pass for training.
    pub(crate) fn observed(&self) -> &[T] {
        &self.observed
    }

    /// What the operations work in.
    pub(crate) fn scratch(&mut self) -> &mut Scratch<T> {
        &mut self.scratch
    }

    /// Keeps operations to at most so many of the threads that they may use.
    pub(crate) fn limit_threads(&mut self, threads: usize) {
        self.scratch.limit_threads(threads);
    }

    /// Begins a pass with an input of so many numbers.
    #[track_caller]
    pub(crate) fn start(&mut self, network: &Network<T>, numbers: usize, mode: Mode) {
        let (len, capacity) = (self.input_len, self.capacity);
        assert!(
            numbers.is_multiple_of(len) && numbers / len <= capacity,
            "input: expected at most {capacity} samples of {}, got {numbers} numbers",
            network.input_shape(),
        );
        self.samples = numbers / len;
        self.mode = mode;
    }

    /// What the layers of a network with this state work with.
    pub(crate) fn context<'a>(&'a mut self, state: &'a [T]) -> Context<'a, T> {
        let Self { scratch, mode, observed, memory, .. } = self;
        Context { scratch, mode: *mode, state, observed, memory }
    }
}
