//! A network as a list of steps, which every format walks.

use anyhow::Context;
use layers::{Layer, LayerRun, Mode, Network, Operation, Parameter};
use tensor::{Element, Scratch, Shape};

/// A layer with its place and its numbers.
#[derive(Debug)]
pub(crate) struct Step<'a, T: Element> {
    /// The layer's place, as in the names of its arrays: `"3"`, or `"3.0"` inside a block.
    pub(crate) place: String,
    pub(crate) operation: Operation<'a, T>,
    pub(crate) input: Shape,
    pub(crate) output: Shape,
    /// Its parameters and then its buffers; none of a block, whose steps inside have them.
    pub(crate) arrays: Vec<Array<'a, T>>,
    /// The steps inside a block.
    pub(crate) inside: Vec<Self>,
    layer: &'a dyn Layer<T>,
    parameters: &'a [T],
    buffers: &'a [T],
}

/// An array of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Array<'a, T> {
    /// Its name in the layer, such as `"weight"`.
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) numbers: &'a [T],
}

/// The layers of a network, first to last.
///
/// # Errors
/// If there is one of a type that exports do not know.
pub(crate) fn steps<T: Element>(network: &Network<T>) -> anyhow::Result<Vec<Step<'_, T>>> {
    network
        .layers()
        .map(|layer| {
            let (index, summary) = (layer.index, layer.spec.summary());
            Step::new(index.to_string(), layer.layer, layer.parameters, layer.buffers).with_context(
                || format!("layer {index}: expected a layer that is built in, found {summary}"),
            )
        })
        .collect()
}

impl<'a, T: Element> Step<'a, T> {
    fn new(
        place: String,
        layer: &'a dyn Layer<T>,
        parameters: &'a [T],
        buffers: &'a [T],
    ) -> Option<Self> {
        let operation = layer.operation()?;
        let (mut arrays, mut inside) = (Vec::new(), Vec::new());
        if let Operation::Residual(layers) = &operation {
            let (mut parameters, mut buffers) = (parameters, buffers);
            for (index, &layer) in layers.iter().enumerate() {
                let own = cut(&mut parameters, &layer.parameters());
                let buffers = cut(&mut buffers, &layer.buffers());
                inside.push(Self::new(format!("{place}.{index}"), layer, own, buffers)?);
            }
        } else {
            arrays.extend(named(layer.parameters(), parameters));
            arrays.extend(named(layer.buffers(), buffers));
        }
        let (input, output) = (layer.input_shape(), layer.output_shape());
        Some(Self { place, operation, input, output, arrays, inside, layer, parameters, buffers })
    }

    /// The array of this name.
    pub(crate) fn array(&self, name: &str) -> Option<&Array<'a, T>> {
        self.arrays.iter().find(|array| array.name == name)
    }

    /// What the layer puts out for one sample.
    fn run(&self, input: &[T], scratch: &mut Scratch<T>) -> Vec<T> {
        let mut run = LayerRun::new(self.layer, 1, Mode::Inference);
        run.parameters.copy_from_slice(self.parameters);
        run.buffers.copy_from_slice(self.buffers);
        let [numbers, indices] = self.layer.scratch(1, 1);
        scratch.make_room([numbers, indices]);
        run.forward(input, scratch);
        run.output.to_vec()
    }
}

/// What each step puts out for one sample, in the order in which they are computed: the steps inside
/// a block before the block itself.
pub(crate) fn trace<T: Element>(steps: &[Step<'_, T>], input: &[T]) -> Vec<(String, Vec<T>)> {
    fn walk<T: Element>(
        steps: &[Step<'_, T>],
        input: &[T],
        (scratch, outputs): (&mut Scratch<T>, &mut Vec<(String, Vec<T>)>),
    ) {
        let mut input = input.to_vec();
        for step in steps {
            walk(&step.inside, &input, (scratch, outputs));
            input = step.run(&input, scratch);
            outputs.push((step.place.clone(), input.clone()));
        }
    }
    let mut outputs = Vec::new();
    walk(steps, input, (&mut Scratch::sequential(), &mut outputs));
    outputs
}

/// The arrays with their numbers, which lie one after another.
fn named<T>(arrays: Vec<Parameter>, mut numbers: &[T]) -> impl Iterator<Item = Array<'_, T>> {
    arrays.into_iter().map(move |array| {
        let numbers = cut(&mut numbers, std::slice::from_ref(&array));
        Array { name: array.name, shape: array.shape, numbers }
    })
}

/// Cuts the numbers of these arrays off the front.
fn cut<'a, T>(numbers: &mut &'a [T], arrays: &[Parameter]) -> &'a [T] {
    let len = arrays.iter().map(|array| array.shape.len()).sum();
    let (first, rest) = numbers.split_at(len);
    *numbers = rest;
    first
}
