use serde::{Deserialize, Deserializer, Serialize};
use tensor::{Element, Shape, ShapeError, map};

use super::{LayerSpec, LayerText};
use crate::bounded::listed;
use crate::chain::Chain;
use crate::layer::{Context, Layer, Parameter, Pass};
use crate::layer_config::{LayerConfig, OwnLayers};
use crate::operation::Operation;

/// A residual block, layers with a skip connection around them: `y = x + f(x)` (He et al., 2016).
///
/// The layers inside must keep the shape. Their outputs stay in the memory that the workspace lends
/// the block from the forward to the backward pass, so nothing is computed twice. Their parameters
/// have the names of a PyTorch `Sequential` inside another: `"3.0.weight"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Text<()>")]
pub struct Residual {
    layers: Vec<LayerSpec>,
}

impl Residual {
    /// A block without layers: `.add` gives it some.
    pub fn new() -> Self {
        Self { layers: Vec::new() }
    }

    /// The same with one more layer inside.
    #[allow(clippy::should_implement_trait)]
    pub fn add(mut self, layer: impl Into<LayerSpec>) -> Self {
        self.layers.push(layer.into());
        self
    }

    /// The layers inside.
    pub fn layers(&self) -> &[LayerSpec] {
        &self.layers
    }

    pub(super) fn set_classes(&mut self, classes: usize) {
        self.layers.iter_mut().for_each(|layer| layer.set_classes(classes));
    }
}

impl Default for Residual {
    fn default() -> Self {
        Self::new()
    }
}

/// A [`Residual`] as it is read from text.
#[derive(Deserialize)]
#[serde(rename = "Residual", deny_unknown_fields, bound = "O: OwnLayers")]
struct Text<O> {
    layers: Vec<LayerText<O>>,
}

impl<O> From<Text<O>> for Residual {
    fn from(text: Text<O>) -> Self {
        Self { layers: text.layers.into_iter().map(LayerSpec::from).collect() }
    }
}

impl LayerConfig for Residual {
    const TYPE: &'static str = "residual";

    fn summary(&self) -> String {
        let inside: Vec<_> = self.layers.iter().map(LayerSpec::summary).collect();
        format!("Residual [{}]", listed(&inside))
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        if self.layers.is_empty() {
            return Err(ShapeError::new("Residual", "at least one layer inside", 0));
        }
        let chain = Chain::build(input, &self.layers).map_err(|(layer, cause, _)| {
            let found = format!("{}, for layer {layer} inside: {cause}", cause.found());
            ShapeError::new("Residual", cause.expected(), found)
        })?;
        if chain.output_shape() != input {
            let expected = format!("layers that keep the shape {input}");
            return Err(ShapeError::new("Residual", expected, chain.output_shape()));
        }
        Ok(Box::new(ResidualLayer(chain)))
    }

    fn count(&self) -> usize {
        1 + self.layers.iter().map(LayerSpec::count).sum::<usize>()
    }

    fn read<'de, O: OwnLayers, D: Deserializer<'de>>(settings: D) -> Result<Self, D::Error> {
        Text::<O>::deserialize(settings).map(Self::from)
    }
}

#[derive(Debug)]
struct ResidualLayer<T>(Chain<T>);

impl<T: Element> ResidualLayer<T> {
    fn samples(&self, numbers: usize) -> usize {
        numbers / self.0.input_shape().len()
    }
}

/// The arrays without their ranges.
fn arrays(named: Vec<(Parameter, std::ops::Range<usize>)>) -> Vec<Parameter> {
    named.into_iter().map(|(array, _)| array).collect()
}

impl<T: Element> Layer<T> for ResidualLayer<T> {
    fn input_shape(&self) -> Shape {
        self.0.input_shape()
    }

    fn output_shape(&self) -> Shape {
        self.0.input_shape()
    }

    fn parameters(&self) -> Vec<Parameter> {
        arrays(self.0.named(|layer| layer.parameters()))
    }

    fn buffers(&self) -> Vec<Parameter> {
        arrays(self.0.named(|layer| layer.buffers()))
    }

    fn batch_statistics(&self) -> usize {
        self.0.batch_statistics()
    }

    fn normalized_over(&self) -> Option<usize> {
        self.0.layers().iter().filter_map(|placed| placed.layer.normalized_over()).min()
    }

    fn update_buffers(&self, buffers: &mut [T], batch_statistics: &[T]) {
        self.0.update_buffers(buffers, batch_statistics);
    }

    fn set_buffers(&self, buffers: &mut [T], batch_statistics: &[T]) {
        self.0.set_buffers(buffers, batch_statistics);
    }

    fn memory(&self) -> usize {
        self.0.memory()
    }

    fn scratch(&self, samples: usize, threads: usize) -> [usize; 2] {
        self.0.scratch(samples, threads)
    }

    fn operation(&self) -> Option<Operation<'_, T>> {
        let layers = self.0.layers().iter().map(|placed| &*placed.layer);
        Some(Operation::Residual(layers.collect()))
    }

    fn forward(&self, parameters: &[T], input: &[T], output: &mut [T], context: Context<'_, T>) {
        let n = self.samples(input.len());
        let Context { scratch, mode, buffers, batch_statistics, memory } = context;
        let inner = Context { scratch, mode, buffers, batch_statistics, memory: &mut *memory };
        self.0.forward(parameters, input, inner);
        let last = self.0.output_range(self.0.layers().len() - 1);
        output.copy_from_slice(&memory[n * last.start..n * last.end]);
        map::add(output, input);
    }

    fn backward(
        &self,
        parameters: &[T],
        pass: Pass<'_, T>,
        gradients: &mut [T],
        mut input_gradient: Option<&mut [T]>,
        context: Context<'_, T>,
    ) {
        let (chain, n) = (&self.0, self.samples(pass.input.len()));
        let start = n * chain.gradient_range().start;
        context.memory[start..][..pass.output_gradient.len()].copy_from_slice(pass.output_gradient);
        let inside = input_gradient.as_deref_mut();
        let layers = chain.layers().len();
        chain.walk_back(
            pass.input,
            layers,
            inside,
            context,
            |(layer, range), pass, target, context| {
                let (parameters, gradients) = (&parameters[range.clone()], &mut gradients[range]);
                layer.backward(parameters, pass, gradients, target, context);
            },
        );
        if let Some(input_gradient) = input_gradient {
            map::add(input_gradient, pass.output_gradient);
        }
    }

    fn needs_output(&self) -> bool {
        false
    }
}
