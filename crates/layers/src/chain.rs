use std::ops::Range;

use tensor::{Element, Shape, ShapeError};

use crate::builtin::LayerSpec;
use crate::layer::{Context, Layer, Parameter, Pass, Work, larger};
use crate::spec::Fused;

/// Layers one after another, and where the numbers of each lie.
///
/// Of a pass over `n` samples, the numbers of a layer lie in the chain's memory at `n`
/// times the places that are given for one sample: the outputs, each followed by what
/// its layer keeps, and behind them the gradients of two neighbouring outputs.
#[derive(Debug)]
pub(crate) struct Chain<T> {
    input_shape: Shape,
    layers: Vec<Placed<T>>,
    gradients: [Range<usize>; 2],
}

/// A layer and where its numbers lie.
#[derive(Debug)]
pub(crate) struct Placed<T> {
    pub(crate) layer: Box<dyn Layer<T>>,
    pub(crate) parameters: Range<usize>,
    pub(crate) state: Range<usize>,
    observed: Range<usize>,
    /// Of one sample: the output, and what the layer keeps.
    output: Range<usize>,
    memory: Range<usize>,
    /// The layer works in the memory of the layer before it.
    pub(crate) in_place: bool,
    pub(crate) work: Work,
    /// The layer that does the work of the next one too, if that is done in this one.
    with_next: Option<Box<dyn Layer<T>>>,
}

/// Where a buffer of `len` numbers for a sample ends that starts at `start`, and where
/// the next one may start: at a whole number of vectors.
fn place(start: usize, len: usize) -> (Range<usize>, usize) {
    (start..start + len, (start + len).next_multiple_of(16))
}

fn len(all: &[Parameter]) -> usize {
    all.iter().map(|array| array.shape.len()).sum()
}

impl<T: Element> Chain<T> {
    /// The layers for inputs of this shape.
    ///
    /// # Errors
    /// The layer that does not fit, the reason, and the shapes up to there, the input's
    /// first.
    pub(crate) fn build(
        input_shape: Shape,
        specs: &[LayerSpec],
    ) -> Result<Self, (usize, ShapeError, Vec<Shape>)> {
        let mut shapes = vec![input_shape];
        let mut layers: Vec<Placed<T>> = Vec::new();
        let [mut parameters, mut state, mut observed, mut next] = [0; 4];
        for (index, spec) in specs.iter().enumerate() {
            let mut layer = match spec.build::<T>(shapes[index]) {
                Ok(layer) => layer,
                Err(cause) => return Err((index, cause, shapes)),
            };
            let total = layer
                .parameters()
                .iter()
                .try_fold(parameters, |sum, p| p.shape.checked_len()?.checked_add(sum));
            if total.is_none_or(|total| total > Shape::MOST_NUMBERS)
                || layer.output_shape().checked_len().is_none()
            {
                return Err((index, too_large(layer.output_shape()), shapes));
            }
            shapes.push(layer.output_shape());
            let range = |end: &mut usize, len| {
                *end += len;
                *end - len..*end
            };
            let in_place = layer.in_place().is_some()
                && layers
                    .last()
                    .is_some_and(|before| !before.layer.needs_output() || layer.keeps_values());
            let mut work = Work::Here;
            if let Some(before) = layers.last_mut().filter(|before| before.work == Work::Here) {
                match Fused::build(&specs[index - 1], spec, shapes[index - 1]) {
                    Some(Fused::InFirst(both)) if in_place => {
                        (before.with_next, work) = (Some(both), Work::InBefore);
                    }
                    Some(Fused::InSecond(both)) if before.in_place => {
                        (layer, before.work) = (both, Work::InNext);
                    }
                    _ => {}
                }
            }
            let output_len = layer.output_shape().len();
            let (output, memory);
            match layers.last() {
                Some(before) if in_place => {
                    output = before.output.start..before.output.start + output_len;
                    memory = next..next;
                }
                _ => {
                    (output, next) = place(next, output_len);
                    (memory, next) = place(next, layer.memory());
                }
            }
            layers.push(Placed {
                parameters: range(&mut parameters, len(&layer.parameters())),
                state: range(&mut state, len(&layer.state())),
                observed: range(&mut observed, layer.observed()),
                layer,
                output,
                memory,
                in_place,
                work,
                with_next: None,
            });
        }
        let largest = shapes[1..].iter().map(Shape::len).max().unwrap_or(0);
        let (first, next) = place(next, largest);
        let (second, _) = place(next, largest);
        Ok(Self { input_shape, layers, gradients: [first, second] })
    }

    pub(crate) fn input_shape(&self) -> Shape {
        self.input_shape
    }

    pub(crate) fn output_shape(&self) -> Shape {
        self.layers.last().map_or(self.input_shape, |last| last.layer.output_shape())
    }

    pub(crate) fn layers(&self) -> &[Placed<T>] {
        &self.layers
    }

    /// How many parameters the first `layers` layers have.
    pub(crate) fn parameters_of(&self, layers: usize) -> usize {
        self.layers[..layers].last().map_or(0, |placed| placed.parameters.end)
    }

    pub(crate) fn observed(&self) -> usize {
        self.layers.last().map_or(0, |placed| placed.observed.end)
    }

    /// How many numbers the layers gather.
    pub(crate) fn state(&self) -> usize {
        self.layers.last().map_or(0, |placed| placed.state.end)
    }

    /// How many numbers the memory has for one sample.
    pub(crate) fn memory(&self) -> usize {
        self.gradients[1].end
    }

    /// Name, shape and place of each array that `arrays` tells of a layer: the layer's
    /// place in the chain, a dot, and the array.
    pub(crate) fn named(
        &self,
        arrays: impl Fn(&dyn Layer<T>) -> Vec<Parameter>,
    ) -> Vec<(Parameter, Range<usize>)> {
        let mut all = Vec::new();
        let mut start = 0;
        for (index, placed) in self.layers.iter().enumerate() {
            for array in arrays(&*placed.layer) {
                let end = start + array.shape.len();
                let name = format!("{index}.{}", array.name);
                all.push((Parameter { name, ..array }, start..end));
                start = end;
            }
        }
        all
    }

    /// What [`Layer::scratch`] says, whichever layer's.
    pub(crate) fn scratch(&self, samples: usize, threads: usize) -> [usize; 2] {
        let rooms = self.layers.iter().map(|placed| placed.running().scratch(samples, threads));
        rooms.fold([0; 2], larger)
    }

    /// Where a layer's output lies in the memory, for one sample.
    pub(crate) fn output_place(&self, layer: usize) -> Range<usize> {
        self.layers[layer].output.clone()
    }

    /// Where the backward pass starts from, for one sample.
    pub(crate) fn gradient_place(&self) -> Range<usize> {
        self.gradients[0].clone()
    }

    /// What [`Layer::gather`] says, for each layer.
    pub(crate) fn gather(&self, state: &mut [T], observed: &[T]) {
        for placed in &self.layers {
            let observed = &observed[placed.observed.clone()];
            placed.layer.gather(&mut state[placed.state.clone()], observed);
        }
    }

    /// What [`Layer::settle`] says, for each layer.
    pub(crate) fn settle(&self, state: &mut [T], observed: &[T]) {
        for placed in &self.layers {
            let observed = &observed[placed.observed.clone()];
            placed.layer.settle(&mut state[placed.state.clone()], observed);
        }
    }

    /// Runs all layers forward; the memory keeps what the backward pass needs.
    pub(crate) fn forward(&self, parameters: &[T], input: &[T], context: Context<'_, T>) {
        let n = input.len() / self.input_shape.len();
        let Context { scratch, mode, state, observed, memory } = context;
        let mut before = None;
        for (index, placed) in self.layers.iter().enumerate() {
            if placed.work != Work::Here {
                continue;
            }
            let mode = mode.of_layer(index);
            let layer = placed.running();
            match layer.in_place() {
                Some(layer) if placed.in_place => {
                    layer.forward_in_place(&mut memory[of(n, &placed.output)], mode);
                }
                _ => {
                    let (earlier, later) = memory.split_at_mut(n * placed.output.start);
                    let (output, keeps) = placed.split(n, later);
                    let context = Context {
                        scratch: &mut *scratch,
                        mode,
                        state: &state[placed.state.clone()],
                        observed: &mut observed[placed.observed.clone()],
                        memory: keeps,
                    };
                    let input = before.map_or(input, |place| &earlier[of(n, place)]);
                    let parameters = &parameters[placed.parameters.clone()];
                    layer.forward(parameters, input, output, context);
                }
            }
            before = Some(&placed.output);
        }
    }

    /// Runs the first `layers` layers backward from the gradient of their output, which
    /// lies at [`Chain::gradient_place`]: as far as there are parameters, or to the
    /// gradient of the input if that is asked for. `step` does the backward pass of a layer
    /// with the parameters in that range.
    pub(crate) fn walk_back(
        &self,
        input: &[T],
        layers: usize,
        mut input_gradient: Option<&mut [T]>,
        context: Context<'_, T>,
        mut step: impl FnMut(
            (&dyn Layer<T>, Range<usize>),
            Pass<'_, T>,
            Option<&mut [T]>,
            Context<'_, T>,
        ),
    ) {
        let n = input.len() / self.input_shape.len();
        let Context { scratch, mode, state, observed, memory } = context;
        let (memory, gradients) = memory.split_at_mut(n * self.gradients[0].start);
        let (mut gradient, mut next) =
            gradients.split_at_mut(n * (self.gradients[1].start - self.gradients[0].start));
        let learned = |placed: &Placed<T>| !placed.parameters.is_empty();
        let learned = self.layers[..layers].iter().position(learned);
        let Some(first) = input_gradient.as_ref().map(|_| 0).or(learned) else { return };
        for (index, placed) in self.layers[..layers].iter().enumerate().skip(first).rev() {
            let is_last = index + 1 == layers;
            match placed.work {
                Work::InNext if !is_last => continue,
                Work::InBefore => continue,
                _ => {}
            }
            let layer = if is_last { &*placed.layer } else { placed.running() };
            let mode = mode.of_layer(index);
            let output_gradient = &mut gradient[..n * placed.layer.output_shape().len()];
            match layer.in_place() {
                Some(layer) if placed.in_place => {
                    let output = &memory[of(n, &placed.output)];
                    layer.backward_in_place(output, output_gradient, mode);
                }
                _ => {
                    let (earlier, later) = memory.split_at_mut(n * placed.output.start);
                    let (output, keeps) = placed.split(n, later);
                    let before = index.checked_sub(1).map(|before| &self.layers[before].output);
                    let input = before.map_or(input, |place| &earlier[of(n, place)]);
                    let pass = Pass { input, output, output_gradient };
                    let context = Context {
                        scratch: &mut *scratch,
                        mode,
                        state: &state[placed.state.clone()],
                        observed: &mut observed[placed.observed.clone()],
                        memory: keeps,
                    };
                    let target = if index > first {
                        Some(&mut next[..input.len()])
                    } else {
                        input_gradient.take()
                    };
                    step((layer, placed.parameters.clone()), pass, target, context);
                    std::mem::swap(&mut gradient, &mut next);
                }
            }
        }
    }
}

impl<T: Element> Placed<T> {
    /// The layer that does the work of this one and, where that is done here, of its neighbour.
    pub(crate) fn running(&self) -> &dyn Layer<T> {
        self.with_next.as_deref().unwrap_or(&*self.layer)
    }

    /// The output and what the layer keeps, in memory that begins with the output.
    fn split<'a>(&self, n: usize, memory: &'a mut [T]) -> (&'a mut [T], &'a mut [T]) {
        let (output, rest) = memory.split_at_mut(n * self.output.len());
        let gap = n * (self.memory.start - self.output.end);
        (output, &mut rest[gap..][..n * self.memory.len()])
    }
}

/// The place of `n` samples.
fn of(n: usize, place: &Range<usize>) -> Range<usize> {
    n * place.start..n * place.end
}

pub(crate) fn too_large(shape: Shape) -> ShapeError {
    let most = Shape::MOST_NUMBERS;
    let expected = format!("at most {most} parameters, and numbers in a sample");
    ShapeError::new("network", expected, format!("more, up to where a sample is {shape}"))
}
