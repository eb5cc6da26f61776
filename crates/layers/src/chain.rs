use std::ops::Range;

use tensor::{Element, Shape, ShapeError};

use crate::layer::{Context, Layer, Parameter, Pass, larger};

/// The settings of a layer, from which a chain builds it.
pub(crate) trait Link {
    /// The layer for inputs of this shape.
    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError>;

    /// Whether this layer and the next one are fused: which of them is fused into the other, and
    /// the layer that does the work of both, with the same bits and with the parameters, buffers
    /// and memory of the other. `None` if fusing gains nothing.
    ///
    /// `input` is the input shape of this layer, which must accept it.
    fn fused<T: Element>(
        &self,
        next: &Self,
        input: Shape,
    ) -> Option<(FusedInto, Box<dyn Layer<T>>)>;
}

/// The neighbour that a layer is fused into, whose passes then do the work of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FusedInto {
    /// None: the layer has passes of its own.
    None,
    /// The next layer, which reads this one's input.
    Next,
    /// The previous layer, whose output and output gradient are this one's.
    Previous,
}

/// Layers one after another, and where the numbers of each lie.
///
/// Ranges are given for one sample; in a pass over `n` samples the numbers lie at `n` times the
/// range in the chain's memory. First come the outputs, each followed by what its layer keeps for
/// the backward pass; then the gradients of two neighbouring outputs.
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
    /// The layer that does the work of this one and of a neighbour fused into it.
    fused: Option<Box<dyn Layer<T>>>,
    pub(crate) fused_into: FusedInto,
    /// Whether the layer works in the memory of the layer before it.
    pub(crate) in_place: bool,
    pub(crate) parameters: Range<usize>,
    pub(crate) buffers: Range<usize>,
    batch_statistics: Range<usize>,
    /// For one sample: the output, and what the layer keeps for the backward pass.
    output: Range<usize>,
    memory: Range<usize>,
}

/// The range of `len` numbers of a sample from `start` on, and where the next range may begin:
/// after a whole number of vectors.
fn range(start: usize, len: usize) -> (Range<usize>, usize) {
    (start..start + len, (start + len).next_multiple_of(16))
}

fn len(all: &[Parameter]) -> usize {
    all.iter().map(|array| array.shape.len()).sum()
}

/// What is wrong with a layer's own description, if anything.
fn broken_promise<T: Element>(layer: &dyn Layer<T>, input: Shape) -> Option<ShapeError> {
    if layer.input_shape() != input {
        return Some(ShapeError::new("input_shape", input, layer.input_shape()));
    }
    let arrays: Vec<_> = layer.parameters().into_iter().chain(layer.buffers()).collect();
    let names = || arrays.iter().map(|array| &array.name);
    let twice = names().enumerate().find(|(at, name)| names().take(*at).any(|n| n == *name));
    twice.map(|(_, name)| {
        ShapeError::new("parameters", "a unique name for each array", format!("two {name:?}"))
    })
}

impl<T: Element> Chain<T> {
    /// The layers for inputs of this shape.
    ///
    /// # Errors
    /// If a layer does not accept its input: its index, the reason, and the shapes up to there, the
    /// input's first.
    pub(crate) fn build(
        input_shape: Shape,
        links: &[impl Link],
    ) -> Result<Self, (usize, ShapeError, Vec<Shape>)> {
        let mut shapes = vec![input_shape];
        let mut layers: Vec<Placed<T>> = Vec::new();
        let [mut parameters, mut buffers, mut batch_statistics, mut next] = [0; 4];
        for (index, link) in links.iter().enumerate() {
            let layer = match link.build::<T>(shapes[index]) {
                Ok(layer) => layer,
                Err(cause) => return Err((index, cause, shapes)),
            };
            if let Some(cause) = broken_promise(&*layer, shapes[index]) {
                return Err((index, cause, shapes));
            }
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
            let append = |end: &mut usize, len| {
                *end += len;
                *end - len..*end
            };
            let in_place = layer.in_place().is_some()
                && layers
                    .last()
                    .is_some_and(|before| !before.layer.needs_output() || layer.keeps_values());
            let (mut fused_into, mut with_previous) = (FusedInto::None, None);
            let alone = |before: &&mut Placed<T>| {
                before.fused.is_none() && before.fused_into == FusedInto::None
            };
            if let Some(before) = layers.last_mut().filter(alone) {
                match links[index - 1].fused(link, shapes[index - 1]) {
                    Some((FusedInto::Next, both)) if before.in_place => {
                        (before.fused_into, with_previous) = (FusedInto::Next, Some(both));
                    }
                    Some((FusedInto::Previous, both)) if in_place => {
                        (before.fused, fused_into) = (Some(both), FusedInto::Previous);
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
                    (output, next) = range(next, output_len);
                    (memory, next) = range(next, layer.memory());
                }
            }
            layers.push(Placed {
                parameters: append(&mut parameters, len(&layer.parameters())),
                buffers: append(&mut buffers, len(&layer.buffers())),
                batch_statistics: append(&mut batch_statistics, layer.batch_statistics()),
                layer,
                fused: with_previous,
                fused_into,
                in_place,
                output,
                memory,
            });
        }
        let largest = shapes[1..].iter().map(Shape::len).max().unwrap_or(0);
        let (first, next) = range(next, largest);
        let (second, _) = range(next, largest);
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

    pub(crate) fn batch_statistics(&self) -> usize {
        self.layers.last().map_or(0, |placed| placed.batch_statistics.end)
    }

    /// How many numbers the buffers hold.
    pub(crate) fn buffers(&self) -> usize {
        self.layers.last().map_or(0, |placed| placed.buffers.end)
    }

    /// How many numbers the memory holds for one sample.
    pub(crate) fn memory(&self) -> usize {
        self.gradients[1].end
    }

    /// Name, shape and range of each array that `arrays` gives for a layer. The name is the layer's
    /// index in the chain, a dot, and the array's name.
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

    /// The scratch memory that every layer can work in, counted as by [`Layer::scratch`].
    pub(crate) fn scratch(&self, samples: usize, threads: usize) -> [usize; 2] {
        let rooms = self.layers.iter().map(|placed| placed.running().scratch(samples, threads));
        rooms.fold([0; 2], larger)
    }

    /// Where a layer's output lies in the memory, for one sample.
    pub(crate) fn output_range(&self, layer: usize) -> Range<usize> {
        self.layers[layer].output.clone()
    }

    /// Where the gradient lies that the backward pass starts from, for one sample.
    pub(crate) fn gradient_range(&self) -> Range<usize> {
        self.gradients[0].clone()
    }

    /// The layer that runs at `index` in passes through the first `layers` layers. Of two fused
    /// layers, nothing runs at the index of one, and a layer that does the work of both at that of
    /// the other.
    fn running(&self, index: usize, layers: usize) -> Option<&dyn Layer<T>> {
        let placed = &self.layers[index];
        let with_next =
            self.layers.get(index + 1).is_some_and(|next| next.fused_into == FusedInto::Previous);
        let is_last = index + 1 == layers;
        match placed.fused_into {
            FusedInto::Previous => None,
            FusedInto::Next if !is_last => None,
            _ if is_last && with_next => Some(&*placed.layer),
            _ => Some(placed.running()),
        }
    }

    /// The input of a layer: the network's, or one of the outputs before it.
    fn input_of<'a>(&self, index: usize, n: usize, input: &'a [T], outputs: &'a [T]) -> &'a [T] {
        let before = index.checked_sub(1).map(|before| &self.layers[before].output);
        before.map_or(input, |range| &outputs[of(n, range)])
    }

    /// Calls [`Layer::update_buffers`] of each layer.
    pub(crate) fn update_buffers(&self, buffers: &mut [T], batch_statistics: &[T]) {
        for placed in &self.layers {
            let batch_statistics = &batch_statistics[placed.batch_statistics.clone()];
            placed.layer.update_buffers(&mut buffers[placed.buffers.clone()], batch_statistics);
        }
    }

    /// Calls [`Layer::set_buffers`] of each layer.
    pub(crate) fn set_buffers(&self, buffers: &mut [T], batch_statistics: &[T]) {
        for placed in &self.layers {
            let batch_statistics = &batch_statistics[placed.batch_statistics.clone()];
            placed.layer.set_buffers(&mut buffers[placed.buffers.clone()], batch_statistics);
        }
    }

    /// Runs all layers forward; the memory keeps what the backward pass needs.
    pub(crate) fn forward(&self, parameters: &[T], input: &[T], context: Context<'_, T>) {
        let n = input.len() / self.input_shape.len();
        let Context { scratch, mode, buffers, batch_statistics, memory } = context;
        for (index, placed) in self.layers.iter().enumerate() {
            let Some(layer) = self.running(index, self.layers.len()) else { continue };
            let mode = mode.of_layer(index);
            match layer.in_place() {
                Some(layer) if placed.in_place => {
                    layer.forward_in_place(&mut memory[of(n, &placed.output)], mode);
                }
                _ => {
                    let (earlier, later) = memory.split_at_mut(n * placed.output.start);
                    let (output, memory) = placed.split(n, later);
                    let context = Context {
                        scratch: &mut *scratch,
                        mode,
                        buffers: &buffers[placed.buffers.clone()],
                        batch_statistics: &mut batch_statistics[placed.batch_statistics.clone()],
                        memory,
                    };
                    let parameters = &parameters[placed.parameters.clone()];
                    layer.forward(
                        parameters,
                        self.input_of(index, n, input, earlier),
                        output,
                        context,
                    );
                }
            }
        }
    }

    /// Runs the first `layers` layers backward from the gradient of their output, which lies at
    /// [`Chain::gradient_range`]: down to the first layer with parameters or, if it is asked for,
    /// to the gradient of the input. `step` does the backward pass of one layer, whose parameters
    /// lie in the given range.
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
        let Context { scratch, mode, buffers, batch_statistics, memory } = context;
        let (memory, gradients) = memory.split_at_mut(n * self.gradients[0].start);
        let (mut gradient, mut next) =
            gradients.split_at_mut(n * (self.gradients[1].start - self.gradients[0].start));
        let learned = |placed: &Placed<T>| !placed.parameters.is_empty();
        let learned = self.layers[..layers].iter().position(learned);
        let Some(first) = input_gradient.as_ref().map(|_| 0).or(learned) else { return };
        for (index, placed) in self.layers[..layers].iter().enumerate().skip(first).rev() {
            let Some(layer) = self.running(index, layers) else { continue };
            let mode = mode.of_layer(index);
            let output_gradient = &mut gradient[..n * placed.layer.output_shape().len()];
            match layer.in_place() {
                Some(layer) if placed.in_place => {
                    let output = &memory[of(n, &placed.output)];
                    layer.backward_in_place(output, output_gradient, mode);
                }
                _ => {
                    let (earlier, later) = memory.split_at_mut(n * placed.output.start);
                    let (output, memory) = placed.split(n, later);
                    let input = self.input_of(index, n, input, earlier);
                    let pass = Pass { input, output, output_gradient };
                    let context = Context {
                        scratch: &mut *scratch,
                        mode,
                        buffers: &buffers[placed.buffers.clone()],
                        batch_statistics: &mut batch_statistics[placed.batch_statistics.clone()],
                        memory,
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
    /// The layer that does the work of this one and of a neighbour fused into it.
    pub(crate) fn running(&self) -> &dyn Layer<T> {
        self.fused.as_deref().unwrap_or(&*self.layer)
    }

    /// The output, and what the layer keeps, in memory that begins with the output.
    fn split<'a>(&self, n: usize, memory: &'a mut [T]) -> (&'a mut [T], &'a mut [T]) {
        let (output, rest) = memory.split_at_mut(n * self.output.len());
        let gap = n * (self.memory.start - self.output.end);
        (output, &mut rest[gap..][..n * self.memory.len()])
    }
}

/// The range of `n` samples.
fn of(n: usize, range: &Range<usize>) -> Range<usize> {
    n * range.start..n * range.end
}

pub(crate) fn too_large(shape: Shape) -> ShapeError {
    let most = Shape::MOST_NUMBERS;
    let expected = format!("at most {most} parameters, and as many numbers in a sample");
    ShapeError::new("network", expected, format!("more, up to where a sample is {shape}"))
}
