use std::ops::Range;
use std::sync::Arc;

use tensor::{Buffer, Element, Shape};

use crate::builtin::LayerSpec;
use crate::chain::{Chain, FusedInto};
use crate::digest::sha256_of_numbers;
use crate::footprint::Footprint;
use crate::init::Init;
use crate::layer::{Layer, Mode, Parameter, start_values};
use crate::layer_run::LayerRun;
use crate::random::{Purpose, Stream};
use crate::spec::{BuildError, NetworkSpec};
use crate::step::{NonFinite, NonFiniteValue, all_finite};

/// A list of layers, one flat vector of all their parameters, and one of their buffers: what layers
/// update in training without the optimizer.
///
/// Clones have their own numbers and share the built layers.
#[derive(Clone, Debug)]
pub struct Network<T> {
    spec: NetworkSpec,
    chain: Arc<Chain<T>>,
    parameters: Buffer<T>,
    buffers: Vec<T>,
}

/// A layer of a network.
#[derive(Clone, Copy, Debug)]
pub struct NetworkLayer<'a, T> {
    /// Its index in the network, from 0.
    pub index: usize,
    /// What it was built from.
    pub spec: &'a LayerSpec,
    /// The layer by itself.
    pub layer: &'a dyn Layer<T>,
    /// The layer that runs in passes: it also does the work of a neighbour fused into it.
    pub running: &'a dyn Layer<T>,
    /// The neighbour that it is fused into itself.
    pub fused_into: FusedInto,
    /// Whether it works in the memory of the layer before it.
    pub in_place: bool,
    /// Its parameters: see [`Layer::parameters`].
    pub parameters: &'a [T],
    /// Its buffers: see [`Layer::buffers`].
    pub buffers: &'a [T],
}

impl<'a, T: Element> NetworkLayer<'a, T> {
    /// A run of `layer`, one of the two above, with these numbers, for `samples` samples.
    pub fn run(&self, layer: &'a dyn Layer<T>, samples: usize, mode: Mode) -> LayerRun<'a, T> {
        let mut run = LayerRun::new(layer, samples, mode.of_layer(self.index));
        run.parameters.copy_from_slice(self.parameters);
        run.buffers.copy_from_slice(self.buffers);
        run
    }
}

/// Collects the layers of a [`Network`].
#[derive(Clone, Debug)]
pub struct NetworkBuilder<T> {
    spec: NetworkSpec,
    element: std::marker::PhantomData<T>,
}

impl<T: Element> NetworkBuilder<T> {
    /// The same with one more layer.
    #[allow(clippy::should_implement_trait)]
    pub fn add(mut self, layer: impl Into<LayerSpec>) -> Self {
        self.spec.layers.push(layer.into());
        self
    }

    /// The network with all parameters 0.
    ///
    /// # Errors
    /// If a layer does not accept the output of the one before it.
    pub fn build(self) -> Result<Network<T>, BuildError> {
        self.spec.build()
    }

    /// How much memory the network and its passes would take.
    ///
    /// # Errors
    /// If a layer does not accept the output of the one before it.
    pub fn footprint(&self) -> Result<Footprint<T>, BuildError> {
        self.spec.footprint()
    }
}

impl NetworkSpec {
    /// The network with all parameters 0.
    ///
    /// # Errors
    /// If a layer does not accept the output of the one before it.
    pub fn build<T: Element>(&self) -> Result<Network<T>, BuildError> {
        self.footprint().map(Footprint::build)
    }
}

impl<T: Element> Network<T> {
    /// A builder for networks whose input samples have this shape.
    pub fn builder(input: impl Into<Shape>) -> NetworkBuilder<T> {
        let input = input.into().dims().to_vec();
        let spec = NetworkSpec { input, layers: Vec::new() };
        NetworkBuilder { spec, element: std::marker::PhantomData }
    }

    /// The description that the network was built from.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// The layers, first to last.
    pub fn layers(&self) -> impl Iterator<Item = NetworkLayer<'_, T>> {
        let layers = self.spec.layers.iter().zip(self.chain.layers()).enumerate();
        layers.map(|(index, (spec, placed))| NetworkLayer {
            index,
            spec,
            layer: &*placed.layer,
            running: placed.running(),
            fused_into: placed.fused_into,
            in_place: placed.in_place,
            parameters: &self.parameters[placed.parameters.clone()],
            buffers: &self.buffers[placed.buffers.clone()],
        })
    }

    /// The shape of one input sample.
    pub fn input_shape(&self) -> Shape {
        self.chain.input_shape()
    }

    /// The shape of one output sample.
    pub fn output_shape(&self) -> Shape {
        self.chain.output_shape()
    }

    /// All parameters, layer by layer.
    pub fn parameters(&self) -> &[T] {
        &self.parameters
    }

    /// All parameters, layer by layer.
    pub fn parameters_mut(&mut self) -> &mut [T] {
        &mut self.parameters
    }

    /// The buffers, layer by layer: what layers update in training, such as running statistics.
    pub fn buffers(&self) -> &[T] {
        &self.buffers
    }

    /// The buffers, layer by layer: what layers update in training, such as running statistics.
    pub fn buffers_mut(&mut self) -> &mut [T] {
        &mut self.buffers
    }

    /// Name, shape and range of each array of parameters, in order. The names are those
    /// of a PyTorch `Sequential`: the layer's index in the list, a dot, and the array.
    pub fn named_parameters(&self) -> Vec<(Parameter, Range<usize>)> {
        self.chain.named(|layer| layer.parameters())
    }

    /// Name, shape and range of each array of [`Network::buffers`], likewise.
    pub fn named_buffers(&self) -> Vec<(Parameter, Range<usize>)> {
        self.chain.named(|layer| layer.buffers())
    }

    /// Each layer's summary, output shape and number of parameters.
    pub fn table(&self) -> Vec<(String, Shape, usize)> {
        self.layers()
            .map(|layer| (layer.spec.summary(), layer.layer.output_shape(), layer.parameters.len()))
            .collect()
    }

    /// Draws all parameters anew, in order, from the random stream of `seed`.
    pub fn initialize(&mut self, init: Init, seed: u64) {
        let mut stream = Stream::new(seed, Purpose::Initialization, 0);
        for (parameter, range) in self.named_parameters() {
            init.fill(parameter.role, &mut stream, &mut self.parameters[range]);
        }
    }

    /// Checks that all parameters are finite.
    ///
    /// # Errors
    /// If not; the error names the first layer with one that is not.
    pub fn require_finite_parameters(&self) -> Result<(), NonFinite> {
        if all_finite(&self.parameters) {
            return Ok(());
        }
        let broken = self.layers().find(|layer| !all_finite(layer.parameters));
        let layer = broken.map(|layer| (layer.index, layer.spec.summary()));
        Err(NonFinite { value: NonFiniteValue::Parameter, sample: None, layer })
    }

    /// The last layer, of those whose `gradients` these are, with one that is not finite.
    pub(crate) fn last_non_finite(&self, gradients: &[T]) -> Option<(usize, String)> {
        let placed = self.chain.layers().iter().zip(&self.spec.layers).enumerate();
        let mut placed = placed.rev();
        let broken =
            placed.find(|(_, (placed, _))| !all_finite(&gradients[placed.parameters.clone()]));
        broken.map(|(index, (_, spec))| (index, spec.summary()))
    }

    /// The SHA-256 of all parameters in order, little-endian, in the network's precision.
    pub fn digest(&self) -> String {
        sha256_of_numbers(&self.parameters)
    }

    /// Moves the buffers towards the statistics of a step's shards: see
    /// [`Layer::update_buffers`](crate::Layer::update_buffers).
    pub(crate) fn update_buffers(&mut self, batch_statistics: &[T]) {
        self.chain.update_buffers(&mut self.buffers, batch_statistics);
    }

    /// Sets the buffers to the shards' statistics: see
    /// [`Layer::set_buffers`](crate::Layer::set_buffers).
    pub(crate) fn set_buffers(&mut self, batch_statistics: &[T]) {
        self.chain.set_buffers(&mut self.buffers, batch_statistics);
    }

    pub(crate) fn chain(&self) -> &Arc<Chain<T>> {
        &self.chain
    }

    /// The layers, the parameters, which may be changed, and the buffers.
    pub(crate) fn numbers_mut(&mut self) -> (&Chain<T>, &mut [T], &[T]) {
        (&self.chain, &mut self.parameters, &self.buffers)
    }
}

impl<T: Element> Footprint<T> {
    /// The network with all parameters 0.
    pub fn build(self) -> Network<T> {
        let Self { spec, chain } = self;
        let parameters = Buffer::zeros(chain.parameters_of(chain.layers().len()));
        let arrays = chain.named(|layer| layer.buffers());
        let buffers = arrays.iter().flat_map(|(array, _)| start_values(array)).collect();
        Network { spec, chain: Arc::new(chain), parameters, buffers }
    }
}
