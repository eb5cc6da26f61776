use serde::{Deserialize, Serialize};
use tensor::{Element, Shape, ShapeError, normalize, reduce};

use crate::layer::{Context, Layer, Mode, Parameter, Pass, Role};
use crate::spec::Buildable;
use crate::tagged::{fraction, not_negative};

/// Each channel brought to mean 0 and variance 1, then to a learned scale and shift:
/// `y = weight (x − mean) / √(variance + ε) + bias` (Ioffe and Szegedy, 2015).
///
/// In training mean and variance are those of the channel over the **shard**: the samples
/// that go through the network together, not the whole batch. So the shard size is part
/// of what the network computes; 16 samples and more serve well. In inference they are
/// running statistics, which each step moves towards the mean of what its shards
/// measured: `running ← running + momentum (measured − running)`, of the variance the
/// unbiased estimate. With one shard that is what PyTorch does with a batch.
///
/// # Shapes
/// Input and output `(C, H, W)`; `weight`, `bias`, `running_mean`, `running_var` `(C)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm2d {
    #[serde(default = "momentum", deserialize_with = "fraction")]
    momentum: f64,
    #[serde(default = "epsilon", deserialize_with = "not_negative")]
    epsilon: f64,
}

fn momentum() -> f64 {
    0.1
}

fn epsilon() -> f64 {
    1e-5
}

impl Default for BatchNorm2d {
    /// PyTorch's momentum of 0.1 and ε of 1e-5.
    fn default() -> Self {
        Self { momentum: momentum(), epsilon: epsilon() }
    }
}

impl BatchNorm2d {
    /// With PyTorch's momentum of 0.1 and ε of 1e-5.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with running statistics that take in this part of each step's.
    ///
    /// # Panics
    /// If `momentum` is not from 0 to less than 1.
    #[track_caller]
    pub fn momentum(self, momentum: f64) -> Self {
        let fits = (0.0..1.0).contains(&momentum);
        assert!(fits, "BatchNorm2d: expected a momentum from 0 to less than 1, got {momentum}");
        Self { momentum, ..self }
    }
}

impl Buildable for BatchNorm2d {
    fn summary(&self) -> String {
        "BatchNorm2d".into()
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        let expected = "an input with three axes (C, H, W)";
        let [channels, height, width] =
            input.axes().ok_or_else(|| ShapeError::new("BatchNorm2d", expected, input))?;
        let plane = height * width;
        Ok(Box::new(BatchNorm2dLayer { spec: *self, shape: input, channels, plane }))
    }
}

#[derive(Debug)]
struct BatchNorm2dLayer {
    spec: BatchNorm2d,
    shape: Shape,
    channels: usize,
    plane: usize,
}

/// What a forward pass measures, `(C)` each: the state's two first, in its order.
const MEASURED: usize = 3;

impl BatchNorm2dLayer {
    fn samples<'a, T>(&self, numbers: &'a [T]) -> std::slice::ChunksExact<'a, T> {
        numbers.chunks_exact(self.shape.len())
    }

    /// Mean, unbiased variance and `1 / √(variance + ε)` of each channel of a shard.
    fn measure<T: Element>(&self, input: &[T], observed: &mut [T]) {
        let [mean, variance, inverse] = split(observed, self.channels);
        let count = input.len() / self.channels;
        let one_of = |count: usize| T::ONE / T::from_f64(count as f64);
        mean.fill(T::ZERO);
        self.samples(input).for_each(|x| reduce::add_row_sums(x, self.plane, mean));
        mean.iter_mut().for_each(|mean| *mean *= one_of(count));
        variance.fill(T::ZERO);
        for x in self.samples(input) {
            normalize::add_row_squares(x, self.plane, mean, variance);
        }
        for (variance, inverse) in variance.iter_mut().zip(inverse) {
            *inverse = self.inverse(*variance * one_of(count));
            // Of one number there is no unbiased estimate; its square, 0, must do.
            *variance *= one_of((count - 1).max(1));
        }
    }

    fn inverse<T: Element>(&self, variance: T) -> T {
        T::ONE / (variance + T::from_f64(self.spec.epsilon)).sqrt()
    }
}

/// Three arrays `(C)`.
fn split<T>(numbers: &mut [T], channels: usize) -> [&mut [T]; MEASURED] {
    let (first, rest) = numbers.split_at_mut(channels);
    let (second, third) = rest.split_at_mut(channels);
    [first, second, third]
}

fn products<T: Element>(a: &[T], b: &[T], out: &mut [T]) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = a * b;
    }
}

impl<T: Element> Layer<T> for BatchNorm2dLayer {
    fn input_shape(&self) -> Shape {
        self.shape
    }

    fn output_shape(&self) -> Shape {
        self.shape
    }

    fn parameters(&self) -> Vec<Parameter> {
        let shape = Shape::from(self.channels);
        vec![
            Parameter { name: "weight".into(), shape, role: Role::Constant(1.0) },
            Parameter { name: "bias".into(), shape, role: Role::Constant(0.0) },
        ]
    }

    fn state(&self) -> Vec<Parameter> {
        let shape = Shape::from(self.channels);
        vec![
            Parameter { name: "running_mean".into(), shape, role: Role::Constant(0.0) },
            Parameter { name: "running_var".into(), shape, role: Role::Constant(1.0) },
        ]
    }

    fn observed(&self) -> usize {
        MEASURED * self.channels
    }

    fn gather(&self, state: &mut [T], observed: &[T]) {
        let momentum = T::from_f64(self.spec.momentum);
        for (state, &observed) in state.iter_mut().zip(observed) {
            *state = (observed - *state).mul_add(momentum, *state);
        }
    }

    fn forward(&self, parameters: &[T], input: &[T], output: &mut [T], context: Context<'_, T>) {
        let (weight, bias) = parameters.split_at(self.channels);
        let scale = context.scratch.numbers(self.channels);
        let mean = match context.mode {
            Mode::Training(_) => {
                self.measure(input, context.observed);
                let (statistics, inverse) = context.observed.split_at(2 * self.channels);
                products(weight, inverse, scale);
                &statistics[..self.channels]
            }
            Mode::Inference => {
                let (mean, variance) = context.state.split_at(self.channels);
                for ((scale, &weight), &variance) in scale.iter_mut().zip(weight).zip(variance) {
                    *scale = weight * self.inverse(variance);
                }
                mean
            }
        };
        for (x, y) in self.samples(input).zip(output.chunks_exact_mut(self.shape.len())) {
            normalize::scale_rows(x, self.plane, [mean, scale, bias], y);
        }
    }

    /// With `x̂ = (x − mean) r`, `r = 1 / √(variance + ε)` and means over the shard:
    /// `∂E/∂x = weight r (g − mean(g) − x̂ mean(g x̂))`.
    fn backward(
        &self,
        parameters: &[T],
        pass: Pass<'_, T>,
        gradients: &mut [T],
        input_gradient: Option<&mut [T]>,
        context: Context<'_, T>,
    ) {
        let (channels, plane) = (self.channels, self.plane);
        let (mean, rest) = context.observed.split_at(channels);
        let inverse = &rest[channels..];
        let (weight_gradient, bias_gradient) = gradients.split_at_mut(channels);
        weight_gradient.fill(T::ZERO);
        bias_gradient.fill(T::ZERO);
        for (x, g) in self.samples(pass.input).zip(self.samples(pass.output_gradient)) {
            normalize::add_row_products(g, x, plane, mean, weight_gradient);
            reduce::add_row_sums(g, plane, bias_gradient);
        }
        for (gradient, &inverse) in weight_gradient.iter_mut().zip(inverse) {
            *gradient *= inverse;
        }
        let Some(input_gradient) = input_gradient else { return };
        let [factor, scale, shift] = split(context.scratch.numbers(MEASURED * channels), channels);
        let share = T::ONE / T::from_f64((pass.input.len() / channels) as f64);
        for c in 0..channels {
            factor[c] = parameters[c] * inverse[c];
            scale[c] = -(factor[c] * inverse[c] * weight_gradient[c] * share);
            shift[c] = -(factor[c] * bias_gradient[c] * share);
        }
        let samples = self.samples(pass.input).zip(self.samples(pass.output_gradient));
        for ((x, g), y) in samples.zip(input_gradient.chunks_exact_mut(self.shape.len())) {
            normalize::combine_rows((g, factor), x, plane, [mean, scale, shift], y);
        }
    }

    fn needs_output(&self) -> bool {
        false
    }
}
