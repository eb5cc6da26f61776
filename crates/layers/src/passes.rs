//! The passes of a network through a workspace.

use std::ops::Range;

use tensor::Element;

use crate::chain::Chain;
use crate::layer::{Context, Layer, Mode, Pass};
use crate::network::Network;
use crate::step::{NonFinite, NonFiniteValue, all_finite};
use crate::workspace::Workspace;

impl<T: Element> Network<T> {
    /// The outputs for whole samples of `input`, `(N, …)`.
    ///
    /// # Panics
    /// If `input` does not hold whole samples, or holds more of them than the workspace has room
    /// for; if the workspace belongs to a network that is neither this one nor a clone of it.
    #[track_caller]
    pub fn predict<'w>(&self, input: &[T], workspace: &'w mut Workspace<T>) -> &'w [T] {
        self.forward(input, workspace, Mode::Inference);
        workspace.output()
    }

    /// Runs all layers forward; the workspace keeps what the backward pass needs.
    ///
    /// # Panics
    /// As [`Network::predict`].
    #[track_caller]
    pub fn forward(&self, input: &[T], workspace: &mut Workspace<T>, mode: Mode) {
        workspace.start(self.chain(), input.len(), mode);
        self.chain().forward(self.parameters(), input, workspace.context(self.buffers()));
    }

    /// Runs the first `layers` layers backward, from the gradient of their output in
    /// [`Workspace::output_gradient`] down to the first layer with parameters; writes the gradients
    /// of all parameters to `gradients`.
    ///
    /// # Panics
    /// If the length of `input` or `gradients` is not that of the forward pass; if the workspace
    /// belongs to another network.
    #[track_caller]
    pub fn backward(
        &self,
        input: &[T],
        layers: usize,
        workspace: &mut Workspace<T>,
        gradients: &mut [T],
    ) {
        let (chain, parameters) = (self.chain(), self.parameters());
        assert_eq!(gradients.len(), parameters.len(), "gradients: length");
        gradients[chain.parameters_of(layers)..].fill(T::ZERO);
        walk_back(
            (chain, self.buffers()),
            (input, layers),
            workspace,
            |(layer, range), pass, input_gradient, context| {
                let parameters = &parameters[range.clone()];
                layer.backward(parameters, pass, &mut gradients[range], input_gradient, context);
            },
        );
    }

    /// [`Network::backward`] with a step of gradient descent on each layer's parameters as soon as
    /// their gradient is known, `parameters ← parameters − rate · gradients`, with the same bits as
    /// if it were taken afterwards.
    ///
    /// # Errors
    /// If the gradient of the output of a layer with parameters is not finite: that layer and those
    /// before it take no step.
    ///
    /// # Panics
    /// As [`Network::backward`].
    #[track_caller]
    pub fn backward_and_step(
        &mut self,
        input: &[T],
        layers: usize,
        rate: T,
        workspace: &mut Workspace<T>,
        gradients: &mut [T],
    ) -> Result<(), NonFinite> {
        let (chain, parameters, buffers) = self.numbers_mut();
        assert_eq!(gradients.len(), parameters.len(), "gradients: length");
        let n = workspace.samples();
        let mut failure = None;
        walk_back(
            (chain, buffers),
            (input, layers),
            workspace,
            |(layer, range), pass, input_gradient, context| {
                if failure.is_some() {
                    return;
                }
                if !range.is_empty() && !all_finite(pass.output_gradient) {
                    failure = Some((range.start, first_sample(pass.output_gradient, n)));
                    return;
                }
                layer.backward_and_step(
                    &mut parameters[range.clone()],
                    rate,
                    pass,
                    &mut gradients[range],
                    input_gradient,
                    context,
                );
            },
        );
        let Some((start, sample)) = failure else { return Ok(()) };
        let mut placed = self.chain().layers().iter();
        let index = placed.position(|placed| placed.parameters.contains(&start));
        let layer = index.map(|index| (index, self.spec().layers[index].summary()));
        Err(NonFinite { value: NonFiniteValue::Gradient, sample, layer })
    }
}

/// The first of `n` samples with a number that is not finite.
fn first_sample<T: Element>(numbers: &[T], n: usize) -> Option<usize> {
    numbers.chunks(numbers.len() / n).position(|of_sample| !all_finite(of_sample))
}

#[track_caller]
fn walk_back<T: Element>(
    (chain, buffers): (&Chain<T>, &[T]),
    (input, layers): (&[T], usize),
    workspace: &mut Workspace<T>,
    step: impl FnMut((&dyn Layer<T>, Range<usize>), Pass<'_, T>, Option<&mut [T]>, Context<'_, T>),
) {
    workspace.check(chain);
    let n = workspace.samples();
    assert_eq!(input.len(), n * chain.input_shape().len(), "input: length");
    chain.walk_back(input, layers, None, workspace.context(buffers), step);
}
