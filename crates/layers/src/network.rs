use std::fmt::Write as _;
use std::ops::Range;

use tensor::{Buffer, Element, Shape, ShapeError};

use crate::bounded::shortened;
use crate::builtin::LayerSpec;
use crate::chain::{Chain, too_large};
use crate::digest::sha256_of_numbers;
use crate::footprint::Footprint;
use crate::init::Init;
use crate::layer::{Context, Layer, Mode, Parameter, Pass, Running};
use crate::random::{Purpose, Stream};
use crate::spec::{BuildError, NetworkSpec};
use crate::workspace::Workspace;

/// A list of layers, one flat vector of all their parameters, and one of their state:
/// what they gather and nobody optimises.
#[derive(Debug)]
pub struct Network<T> {
    spec: NetworkSpec,
    chain: Chain<T>,
    parameters: Buffer<T>,
    state: Vec<T>,
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
    /// If a layer cannot take the output of the one before it.
    pub fn build(self) -> Result<Network<T>, BuildError> {
        self.spec.build()
    }

    /// What the network and its passes would take of memory.
    ///
    /// # Errors
    /// If a layer cannot take the output of the one before it.
    pub fn footprint(&self) -> Result<Footprint<T>, BuildError> {
        self.spec.footprint()
    }
}

impl NetworkSpec {
    /// The network with all parameters 0.
    ///
    /// # Errors
    /// If a layer cannot take the output of the one before it.
    pub fn build<T: Element>(&self) -> Result<Network<T>, BuildError> {
        self.footprint().map(Network::new)
    }

    /// What the network and its passes would take of memory.
    ///
    /// # Errors
    /// If a layer cannot take the output of the one before it.
    pub fn footprint<T: Element>(&self) -> Result<Footprint<T>, BuildError> {
        let fail = |layer, cause, shapes: &[Shape]| {
            Err(BuildError { layer, cause, table: self.table(shapes) })
        };
        if self.input.is_empty() || self.input.len() >= Shape::MAX_RANK || self.input.contains(&0) {
            let expected = "an input sample with one to three axes, none of them 0";
            let found = shortened(&format!("{:?}", self.input));
            return fail(None, ShapeError::new("network", expected, found), &[]);
        }
        let input_shape = Shape::new(&self.input);
        if input_shape.checked_len().is_none() {
            return fail(None, too_large(input_shape), &[]);
        }
        let (count, most) = (self.count(), Self::MOST_LAYERS);
        if count > most {
            let expected = format!("at most {most}, those inside of others counted");
            let cause = ShapeError::new("layers", expected, count);
            return Err(BuildError { layer: None, cause, table: String::new() });
        }
        let chain = match Chain::<T>::build(input_shape, &self.layers) {
            Ok(chain) => chain,
            Err((layer, cause, shapes)) => return fail(Some(layer), cause, &shapes),
        };
        if chain.layers().is_empty() {
            return fail(
                Some(0),
                ShapeError::new("network", "at least one layer", 0),
                &[input_shape],
            );
        }
        Ok(Footprint { spec: self.clone(), chain })
    }

    /// The layers with their output shapes as far as they are known; of many, the first and
    /// those around the last whose shape is known.
    fn table(&self, shapes: &[Shape]) -> String {
        let input = shortened(&format!("{:?}", self.input));
        let mut table = format!("     {:<36}{input}", "input");
        let last_known = shapes.len().saturating_sub(1);
        let is_shown = |index: usize| {
            self.layers.len() <= 50 || index < 10 || index.abs_diff(last_known) <= 10
        };
        let mut left_out = 0;
        for (index, layer) in self.layers.iter().enumerate() {
            if !is_shown(index) {
                left_out += 1;
                continue;
            }
            if left_out > 0 {
                let _ = write!(table, "\n      … {left_out} layers");
                left_out = 0;
            }
            let shape = shapes.get(index + 1).map_or_else(String::new, ToString::to_string);
            let mark = if index + 1 == shapes.len() { "→" } else { " " };
            let row = format!(" {mark} {index:>2} {:<36}{shape}", layer.summary());
            let _ = write!(table, "\n{}", row.trim_end());
        }
        if left_out > 0 {
            let _ = write!(table, "\n      … {left_out} layers");
        }
        table
    }
}

impl<T: Element> Network<T> {
    /// A builder for networks whose input samples have this shape.
    pub fn builder(input: impl Into<Shape>) -> NetworkBuilder<T> {
        let input = input.into().dims().to_vec();
        let spec = NetworkSpec { input, layers: Vec::new() };
        NetworkBuilder { spec, element: std::marker::PhantomData }
    }

    /// The network with all parameters 0.
    pub(crate) fn new(Footprint { spec, chain }: Footprint<T>) -> Self {
        let parameters = Buffer::zeros(chain.parameters_of(chain.layers().len()));
        let mut state = Vec::new();
        for (array, range) in chain.named(|layer| layer.state()) {
            state.resize(range.end, T::from_f64(array.role.constant().unwrap_or(0.0)));
        }
        Self { spec, chain, parameters, state }
    }

    /// Another network with the same layers and numbers.
    pub(crate) fn duplicate(&self) -> Self {
        let build = self.spec.build();
        let mut network = build.unwrap_or_else(|_| unreachable!("the layers have fitted once"));
        network.parameters.copy_from_slice(&self.parameters);
        network.state.copy_from_slice(&self.state);
        network
    }

    /// What the network was built from.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// The layers, first to last, as passes run them.
    pub fn layers(&self) -> impl Iterator<Item = Running<'_, T>> {
        self.chain.layers().iter().map(|placed| Running {
            layer: placed.running(),
            in_place: placed.in_place,
            work: placed.work,
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

    /// What the layers gather while they learn, layer by layer: running statistics.
    pub fn state(&self) -> &[T] {
        &self.state
    }

    /// What the layers gather while they learn, layer by layer: running statistics.
    pub fn state_mut(&mut self) -> &mut [T] {
        &mut self.state
    }

    /// Name, shape and place of each array of parameters, in order. The names are those
    /// of a PyTorch `Sequential`: the layer's place in the list, a dot, and the array.
    pub fn named_parameters(&self) -> Vec<(Parameter, Range<usize>)> {
        self.chain.named(|layer| layer.parameters())
    }

    /// The same of the arrays of [`Network::state`].
    pub fn named_state(&self) -> Vec<(Parameter, Range<usize>)> {
        self.chain.named(|layer| layer.state())
    }

    /// The layers' summaries with their output shapes and numbers of parameters.
    pub fn table(&self) -> Vec<(String, Shape, usize)> {
        let rows = self.spec.layers.iter().zip(self.chain.layers());
        rows.map(|(spec, placed)| {
            (spec.summary(), placed.layer.output_shape(), placed.parameters.len())
        })
        .collect()
    }

    /// Draws all parameters anew, in their order, from the stream of `seed`.
    pub fn initialize(&mut self, init: Init, seed: u64) {
        let mut stream = Stream::new(seed, Purpose::Initialization, 0);
        for (parameter, range) in self.named_parameters() {
            init.fill(parameter.role, &mut stream, &mut self.parameters[range]);
        }
    }

    /// The SHA-256 of all parameters in order, little-endian, in the network's precision.
    pub fn digest(&self) -> String {
        sha256_of_numbers(&self.parameters)
    }

    /// The outputs for whole samples of `input`.
    ///
    /// # Panics
    /// If `input` does not hold whole samples, or more of them than the workspace.
    #[track_caller]
    pub fn predict<'w>(&self, input: &[T], workspace: &'w mut Workspace<T>) -> &'w [T] {
        self.forward(input, workspace, Mode::Inference);
        workspace.output()
    }

    /// Runs all layers forward; the workspace keeps what the backward pass needs.
    ///
    /// # Panics
    /// If `input` does not hold whole samples, or more of them than the workspace.
    #[track_caller]
    pub fn forward(&self, input: &[T], workspace: &mut Workspace<T>, mode: Mode) {
        workspace.start(self, input.len(), mode);
        self.chain.forward(&self.parameters, input, workspace.context(&self.state));
    }

    /// Moves the state towards what the shards of a step observed, as
    /// [`Layer::gather`](crate::Layer::gather) says.
    pub(crate) fn gather(&mut self, observed: &[T]) {
        self.chain.gather(&mut self.state, observed);
    }

    /// Sets the state to what shards observed, as [`Layer::settle`](crate::Layer::settle) says.
    pub(crate) fn settle(&mut self, observed: &[T]) {
        self.chain.settle(&mut self.state, observed);
    }

    /// Runs the first `layers` layers backward, from the gradient of their output that
    /// [`Workspace::output_gradient`] was given, as far as there are parameters;
    /// leaves the gradients of all parameters in `gradients`.
    ///
    /// # Panics
    /// If `input` or `gradients` has not the length of the forward pass.
    #[track_caller]
    pub fn backward(
        &self,
        input: &[T],
        layers: usize,
        workspace: &mut Workspace<T>,
        gradients: &mut [T],
    ) {
        assert_eq!(gradients.len(), self.parameters.len(), "gradients: length");
        gradients[self.chain.parameters_of(layers)..].fill(T::ZERO);
        self.walk_back(
            input,
            layers,
            workspace,
            |(layer, range), pass, input_gradient, context| {
                let parameters = &self.parameters[range.clone()];
                layer.backward(parameters, pass, &mut gradients[range], input_gradient, context);
            },
        );
    }

    /// [`Network::backward`], with a step of gradient descent on each layer's parameters
    /// as soon as its gradient is known: `parameters ← parameters − rate · gradients`,
    /// to the same bits.
    #[track_caller]
    pub fn backward_and_step(
        &mut self,
        input: &[T],
        layers: usize,
        rate: T,
        workspace: &mut Workspace<T>,
        gradients: &mut [T],
    ) {
        assert_eq!(gradients.len(), self.parameters.len(), "gradients: length");
        let mut parameters = std::mem::take(&mut self.parameters);
        self.walk_back(
            input,
            layers,
            workspace,
            |(layer, range), pass, input_gradient, context| {
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
        self.parameters = parameters;
    }

    fn walk_back(
        &self,
        input: &[T],
        layers: usize,
        workspace: &mut Workspace<T>,
        step: impl FnMut((&dyn Layer<T>, Range<usize>), Pass<'_, T>, Option<&mut [T]>, Context<'_, T>),
    ) {
        let n = workspace.samples();
        assert_eq!(input.len(), n * self.input_shape().len(), "input: length");
        self.chain.walk_back(input, layers, None, workspace.context(&self.state), step);
    }

    pub(crate) fn chain(&self) -> &Chain<T> {
        &self.chain
    }
}
