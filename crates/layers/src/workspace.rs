use tensor::{Element, Scratch};

use crate::network::Network;

/// The memory of one pass through a network: outputs of all layers, gradients, scratch.
///
/// Nothing is allocated after the first pass. A network serves several workspaces at
/// once, each on its own thread.
#[derive(Clone, Debug)]
pub struct Workspace<T> {
    capacity: usize,
    samples: usize,
    input_len: usize,
    /// Of each layer, numbers of one output sample and the buffer that holds it.
    outputs: Vec<(usize, usize)>,
    buffers: Vec<Vec<T>>,
    /// The gradient of the output at which the backward pass has arrived, and the
    /// memory for the next one.
    gradients: [Vec<T>; 2],
    scratch: Scratch<T>,
}

/// What a layer's backward pass reads and writes.
pub(crate) struct BackwardBuffers<'a, T> {
    pub(crate) input: Option<&'a [T]>,
    pub(crate) output: &'a [T],
    pub(crate) gradient: &'a mut [T],
    pub(crate) input_gradient: &'a mut [T],
    pub(crate) scratch: &'a mut Scratch<T>,
}

impl<T: Element> Workspace<T> {
    /// Memory for passes of up to `capacity` samples on the calling thread.
    pub fn new(network: &Network<T>, capacity: usize) -> Self {
        Self::with_scratch(network, capacity, Scratch::sequential())
    }

    /// The same, for passes whose operations may use all threads of the current pool.
    pub fn parallel(network: &Network<T>, capacity: usize) -> Self {
        Self::with_scratch(network, capacity, Scratch::parallel())
    }

    fn with_scratch(network: &Network<T>, capacity: usize, scratch: Scratch<T>) -> Self {
        let mut buffers: Vec<Vec<T>> = Vec::new();
        let mut outputs = Vec::new();
        for placed in network.layers() {
            let len = placed.layer.output_shape().len();
            if !placed.in_place {
                buffers.push(vec![T::ZERO; capacity * len]);
            }
            outputs.push((len, buffers.len() - 1));
        }
        let largest = outputs.iter().map(|&(len, _)| len).max().unwrap_or(0);
        let gradient = vec![T::ZERO; capacity * largest];
        let input_len = network.input_shape().len();
        let gradients = [gradient.clone(), gradient];
        Self { capacity, samples: 0, input_len, outputs, buffers, gradients, scratch }
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
    /// the same memory, that layer's.
    pub fn layer_output(&self, layer: usize) -> &[T] {
        let (len, buffer) = self.outputs[layer];
        &self.buffers[buffer][..self.samples * len]
    }

    /// Where the backward pass through `layers` layers expects the gradient of their
    /// output, with that output beside it.
    pub fn output_gradient(&mut self, layers: usize) -> (&[T], &mut [T]) {
        let (len, buffer) = self.outputs[layers - 1];
        let numbers = self.samples * len;
        (&self.buffers[buffer][..numbers], &mut self.gradients[0][..numbers])
    }

    #[track_caller]
    pub(crate) fn start(&mut self, network: &Network<T>, numbers: usize) -> usize {
        let (len, capacity) = (self.input_len, self.capacity);
        assert!(
            numbers.is_multiple_of(len) && numbers / len <= capacity,
            "input: expected at most {capacity} samples of {}, got {numbers} numbers",
            network.input_shape(),
        );
        self.samples = numbers / len;
        self.samples
    }

    /// The layer's input if it is a layer's output, its output, and scratch.
    pub(crate) fn forward_buffers(
        &mut self,
        layer: usize,
        n: usize,
    ) -> (Option<&[T]>, &mut [T], &mut Scratch<T>) {
        let (len, buffer) = self.outputs[layer];
        let input_len = self.input_len_of(layer);
        let (before, from) = self.buffers.split_at_mut(buffer);
        let input = before.last().map(|before| &before[..n * input_len]);
        (input, &mut from[0][..n * len], &mut self.scratch)
    }

    pub(crate) fn backward_buffers(&mut self, layer: usize, n: usize) -> BackwardBuffers<'_, T> {
        let (len, buffer) = self.outputs[layer];
        let input_len = self.input_len_of(layer);
        let (before, from) = self.buffers.split_at(buffer);
        let [gradient, input_gradient] = &mut self.gradients;
        BackwardBuffers {
            input: before.last().map(|before| &before[..n * input_len]),
            output: &from[0][..n * len],
            gradient: &mut gradient[..n * len],
            input_gradient: &mut input_gradient[..n * input_len],
            scratch: &mut self.scratch,
        }
    }

    /// Numbers of one input sample of a layer that reads another layer's output; 0 for
    /// the first layer, and for one that works in place and has no input of its own.
    fn input_len_of(&self, layer: usize) -> usize {
        match layer.checked_sub(1).map(|before| self.outputs[before]) {
            Some((len, buffer)) if buffer != self.outputs[layer].1 => len,
            _ => 0,
        }
    }

    pub(crate) fn swap_gradients(&mut self) {
        self.gradients.swap(0, 1);
    }
}
