use std::fmt::Write as _;
use std::ops::Range;

use sha2::{Digest, Sha256};
use tensor::{Element, Shape, ShapeError};

use crate::init::Init;
use crate::layer::{Context, Layer, Mode, Parameter, Pass};
use crate::random::{Purpose, Stream};
use crate::spec::{BuildError, LayerSpec, NetworkSpec};
use crate::workspace::Workspace;

/// A list of layers and one flat vector of all their parameters.
#[derive(Debug)]
pub struct Network<T> {
    spec: NetworkSpec,
    input_shape: Shape,
    layers: Vec<Placed<T>>,
    parameters: Vec<T>,
}

/// A layer and where its numbers lie.
#[derive(Debug)]
pub(crate) struct Placed<T> {
    pub(crate) layer: Box<dyn Layer<T>>,
    pub(crate) parameters: Range<usize>,
    /// The layer works in the memory of the layer before it.
    pub(crate) in_place: bool,
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
}

impl NetworkSpec {
    /// The network with all parameters 0.
    ///
    /// # Errors
    /// If a layer cannot take the output of the one before it.
    pub fn build<T: Element>(&self) -> Result<Network<T>, BuildError> {
        let fail = |layer, cause, shapes: &[Shape]| {
            Err(BuildError { layer, cause, table: self.table(shapes) })
        };
        if self.input.is_empty() || self.input.len() >= Shape::MAX_RANK || self.input.contains(&0) {
            let expected = "an input sample with one to three axes, none of them 0";
            return fail(0, ShapeError::new("network", expected, format!("{:?}", self.input)), &[]);
        }
        let input_shape = Shape::new(&self.input);
        if checked_len(input_shape).is_none() {
            return fail(0, too_large(input_shape), &[]);
        }
        let mut shapes = vec![input_shape];
        let mut layers: Vec<Placed<T>> = Vec::new();
        let mut end = 0;
        for (index, spec) in self.layers.iter().enumerate() {
            let layer = match spec.build::<T>(shapes[index]) {
                Ok(layer) => layer,
                Err(cause) => return fail(index, cause, &shapes),
            };
            shapes.push(layer.output_shape());
            let start = end;
            let arrays = layer.parameters();
            let total =
                arrays.iter().try_fold(end, |sum, p| checked_len(p.shape)?.checked_add(sum));
            match total.filter(|&total| total <= MOST_NUMBERS) {
                Some(total) if checked_len(layer.output_shape()).is_some() => end = total,
                _ => return fail(index, too_large(layer.output_shape()), &shapes[..=index]),
            }
            let in_place = layer.in_place().is_some()
                && layers
                    .last()
                    .is_some_and(|before| !before.layer.needs_output() || layer.keeps_values());
            layers.push(Placed { layer, parameters: start..end, in_place });
        }
        if layers.is_empty() {
            return fail(0, ShapeError::new("network", "at least one layer", 0), &shapes);
        }
        let parameters = vec![T::ZERO; end];
        Ok(Network { spec: self.clone(), input_shape, layers, parameters })
    }

    /// The layers with their output shapes as far as they are known.
    fn table(&self, shapes: &[Shape]) -> String {
        let mut table = format!("     {:<36}{:?}", "input", self.input);
        for (index, layer) in self.layers.iter().enumerate() {
            let shape = shapes.get(index + 1).map_or_else(String::new, ToString::to_string);
            let mark = if index + 1 == shapes.len() { "→" } else { " " };
            let _ = write!(table, "\n {mark} {index:>2} {:<36}{shape}", layer.summary());
        }
        table
    }
}

/// The most parameters of a network, and the most numbers of a sample in it. What asks
/// for more is a slip or a damaged file, and would end in a failed allocation.
const MOST_NUMBERS: usize = 1 << 28;

fn checked_len(shape: Shape) -> Option<usize> {
    let product = shape.dims().iter().try_fold(1_usize, |len, &size| len.checked_mul(size));
    product.filter(|&len| len <= MOST_NUMBERS)
}

fn too_large(shape: Shape) -> ShapeError {
    let expected = format!("at most {MOST_NUMBERS} parameters, and numbers in a sample");
    ShapeError::new("network", expected, format!("more in or before samples of {shape}"))
}

impl<T: Element> Network<T> {
    /// A builder for networks whose input samples have this shape.
    pub fn builder(input: impl Into<Shape>) -> NetworkBuilder<T> {
        let input = input.into().dims().to_vec();
        let spec = NetworkSpec { input, layers: Vec::new() };
        NetworkBuilder { spec, element: std::marker::PhantomData }
    }

    /// Another network with the same layers and numbers.
    pub(crate) fn duplicate(&self) -> Self {
        let build = self.spec.build();
        let mut network = build.unwrap_or_else(|_| unreachable!("the layers have fitted once"));
        network.parameters.copy_from_slice(&self.parameters);
        network
    }

    /// What the network was built from.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// The shape of one input sample.
    pub fn input_shape(&self) -> Shape {
        self.input_shape
    }

    /// The shape of one output sample.
    pub fn output_shape(&self) -> Shape {
        self.layers.last().map_or(self.input_shape, |last| last.layer.output_shape())
    }

    /// All parameters, layer by layer.
    pub fn parameters(&self) -> &[T] {
        &self.parameters
    }

    /// All parameters, layer by layer.
    pub fn parameters_mut(&mut self) -> &mut [T] {
        &mut self.parameters
    }

    /// Name, shape and place of each array of parameters, in order. The names are those
    /// of a PyTorch `Sequential`: the layer's place in the list, a dot, and the array.
    pub fn named_parameters(&self) -> Vec<(Parameter, Range<usize>)> {
        let mut all = Vec::new();
        for (index, placed) in self.layers.iter().enumerate() {
            let mut start = placed.parameters.start;
            for parameter in placed.layer.parameters() {
                let end = start + parameter.shape.len();
                let name = format!("{index}.{}", parameter.name);
                all.push((Parameter { name, ..parameter }, start..end));
                start = end;
            }
        }
        all
    }

    /// The layers' summaries with their output shapes and numbers of parameters.
    pub fn table(&self) -> Vec<(String, Shape, usize)> {
        let rows = self.spec.layers.iter().zip(&self.layers);
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
        let mut bytes = Vec::with_capacity(size_of_val(self.parameters.as_slice()));
        T::extend_le_bytes(&self.parameters, &mut bytes);
        Sha256::digest(&bytes).iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
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
        let n = workspace.start(self, input.len());
        for (index, placed) in self.layers.iter().enumerate() {
            let parameters = &self.parameters[placed.parameters.clone()];
            let (before, data, scratch) = workspace.forward_buffers(index, n);
            match placed.layer.in_place() {
                Some(layer) if placed.in_place => layer.forward_in_place(data),
                _ => {
                    let input = before.unwrap_or(input);
                    placed.layer.forward(parameters, input, data, Context { scratch, mode });
                }
            }
        }
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
        gradients[self.parameters_of(layers).end..].fill(T::ZERO);
        self.walk_back(input, layers, workspace, |placed, pass, input_gradient, context| {
            let range = placed.parameters.clone();
            let parameters = &self.parameters[range.clone()];
            placed.layer.backward(parameters, pass, &mut gradients[range], input_gradient, context);
        });
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
        self.walk_back(input, layers, workspace, |placed, pass, input_gradient, context| {
            let range = placed.parameters.clone();
            placed.layer.backward_and_step(
                &mut parameters[range.clone()],
                rate,
                pass,
                &mut gradients[range],
                input_gradient,
                context,
            );
        });
        self.parameters = parameters;
    }

    fn parameters_of(&self, layers: usize) -> Range<usize> {
        0..self.layers[..layers].last().map_or(0, |placed| placed.parameters.end)
    }

    fn walk_back(
        &self,
        input: &[T],
        layers: usize,
        workspace: &mut Workspace<T>,
        mut step: impl FnMut(&Placed<T>, Pass<'_, T>, Option<&mut [T]>, Context<'_, T>),
    ) {
        let n = workspace.samples();
        assert_eq!(input.len(), n * self.input_shape.len(), "input: length");
        let learned = |placed: &Placed<T>| !placed.parameters.is_empty();
        let Some(first) = self.layers[..layers].iter().position(learned) else { return };
        for index in (first..layers).rev() {
            let placed = &self.layers[index];
            let is_first = index == first;
            let buffers = workspace.backward_buffers(index, n);
            match placed.layer.in_place() {
                Some(layer) if placed.in_place => {
                    layer.backward_in_place(buffers.output, buffers.gradient);
                }
                _ => {
                    let pass = Pass {
                        input: buffers.input.unwrap_or(input),
                        output: buffers.output,
                        output_gradient: buffers.gradient,
                    };
                    let input_gradient = (!is_first).then_some(buffers.input_gradient);
                    let context = Context { scratch: buffers.scratch, mode: Mode::Training };
                    step(placed, pass, input_gradient, context);
                    workspace.swap_gradients();
                }
            }
        }
    }

    pub(crate) fn layers(&self) -> &[Placed<T>] {
        &self.layers
    }
}
