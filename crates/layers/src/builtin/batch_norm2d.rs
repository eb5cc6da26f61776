use serde::{Deserialize, Serialize};
use tensor::{Element, Shape, ShapeError, normalize};

use super::normalization::{epsilon, scale_and_shift};
use crate::layer::{Context, Layer, Mode, Parameter, Pass, Role};
use crate::layer_config::{LayerConfig, image_axes};
use crate::operation::Operation;
use crate::tagged::{fraction, not_negative};

/// Normalises each channel to mean 0 and variance 1, then applies a learned scale and shift:
/// `y = weight (x − mean) / √(variance + ε) + bias` (Ioffe and Szegedy, 2015).
///
/// In training, mean and variance are the channel's over the **shard**: the samples that go through
/// the network together, not the whole batch. So the shard size is part of what the network
/// computes; 16 samples or more work well. In inference they are running statistics, which each
/// step moves towards the mean of what its shards measured:
/// `running ← running + momentum (measured − running)`, with the unbiased estimate of the variance.
/// With one shard this is what PyTorch computes for a batch.
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

impl Default for BatchNorm2d {
    /// PyTorch's defaults: momentum 0.1, ε 1e-5.
    fn default() -> Self {
        Self { momentum: momentum(), epsilon: epsilon() }
    }
}

impl BatchNorm2d {
    /// PyTorch's defaults: momentum 0.1, ε 1e-5.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with another momentum: how far each step moves the running statistics.
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

impl LayerConfig for BatchNorm2d {
    const TYPE: &'static str = "batch_norm2d";

    fn summary(&self) -> String {
        "BatchNorm2d".into()
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        Ok(Box::new(self.layer(input, false)?))
    }
}

impl BatchNorm2d {
    /// The layer that also does the work of a ReLU behind it.
    pub(crate) fn build_rectified<T: Element>(&self, input: Shape) -> Option<Box<dyn Layer<T>>> {
        Some(Box::new(self.layer(input, true).ok()?))
    }

    fn layer(self, input: Shape, rectify: bool) -> Result<BatchNorm2dLayer, ShapeError> {
        let [channels, height, width] = image_axes("BatchNorm2d", input)?;
        let plane = height * width;
        Ok(BatchNorm2dLayer { spec: self, shape: input, channels, plane, rectify })
    }
}

#[derive(Debug)]
struct BatchNorm2dLayer {
    spec: BatchNorm2d,
    shape: Shape,
    channels: usize,
    plane: usize,
    /// Whether negative outputs become 0.
    rectify: bool,
}

impl BatchNorm2dLayer {
    /// The input's gradient where mean and variance do not depend on the input, as in inference:
    /// `g weight / √(variance + ε)`.
    fn constant_statistics<T: Element>(
        &self,
        (x, g): (&[T], &[T]),
        [weight, bias, mean, inverse]: [&[T]; 4],
        gradient: &mut [T],
    ) {
        let planes = x.chunks_exact(self.plane).zip(g.chunks_exact(self.plane));
        for (place, (to, (x, g))) in gradient.chunks_exact_mut(self.plane).zip(planes).enumerate() {
            let c = place % self.channels;
            let scale = weight[c] * inverse[c];
            for ((to, &x), &g) in to.iter_mut().zip(x).zip(g) {
                let passes = !self.rectify || (x - mean[c]).mul_add(scale, bias[c]) > T::ZERO;
                *to = if passes { g * scale } else { T::ZERO };
            }
        }
    }
}

/// How many arrays `(C)` a forward pass measures; the first two have the order of the buffers.
const MEASURED: usize = 3;

/// The numbers as three arrays `(C)`.
fn split<T>(numbers: &mut [T], channels: usize) -> [&mut [T]; MEASURED] {
    let (first, rest) = numbers.split_at_mut(channels);
    let (second, third) = rest.split_at_mut(channels);
    [first, second, third]
}

impl<T: Element> Layer<T> for BatchNorm2dLayer {
    fn input_shape(&self) -> Shape {
        self.shape
    }

    fn output_shape(&self) -> Shape {
        self.shape
    }

    fn parameters(&self) -> Vec<Parameter> {
        scale_and_shift(self.channels)
    }

    fn buffers(&self) -> Vec<Parameter> {
        vec![
            Parameter::new("running_mean", self.channels, Role::Constant(0.0)),
            Parameter::new("running_var", self.channels, Role::Variance),
        ]
    }

    fn batch_statistics(&self) -> usize {
        MEASURED * self.channels
    }

    fn normalized_over(&self) -> Option<usize> {
        Some(self.plane)
    }

    fn update_buffers(&self, buffers: &mut [T], batch_statistics: &[T]) {
        let momentum = T::from_f64(self.spec.momentum);
        for (running, &of_batch) in buffers.iter_mut().zip(batch_statistics) {
            *running = (of_batch - *running).mul_add(momentum, *running);
        }
    }

    fn set_buffers(&self, buffers: &mut [T], batch_statistics: &[T]) {
        buffers.copy_from_slice(&batch_statistics[..buffers.len()]);
    }

    fn operation(&self) -> Option<Operation<'_, T>> {
        (!self.rectify).then_some(Operation::BatchNorm { epsilon: self.spec.epsilon })
    }

    fn forward(&self, parameters: &[T], input: &[T], output: &mut [T], context: Context<'_, T>) {
        let shape = [self.channels, self.plane];
        let (weight, bias) = parameters.split_at(self.channels);
        let epsilon = T::from_f64(self.spec.epsilon);
        match context.mode {
            Mode::Training(_) => {
                let measured = split(context.batch_statistics, self.channels);
                let parameters = [weight, bias];
                let rectify = self.rectify;
                normalize::forward(input, shape, epsilon, parameters, rectify, measured, output);
            }
            Mode::Inference => {
                let (mean, variance) = context.buffers.split_at(self.channels);
                let scale = context.scratch.numbers(self.channels);
                for ((scale, &weight), &variance) in scale.iter_mut().zip(weight).zip(variance) {
                    *scale = weight * (T::ONE / (variance + epsilon).sqrt());
                }
                normalize::scale(input, shape, [mean, scale, bias], self.rectify, output);
            }
        }
    }

    fn backward(
        &self,
        parameters: &[T],
        pass: Pass<'_, T>,
        gradients: &mut [T],
        input_gradient: Option<&mut [T]>,
        context: Context<'_, T>,
    ) {
        let (weight, bias) = parameters.split_at(self.channels);
        let gradients = <[&mut [T]; 2]>::from(gradients.split_at_mut(self.channels));
        let (numbers, shape) = ((pass.input, pass.output_gradient), [self.channels, self.plane]);
        if context.mode == Mode::Inference {
            let (mean, variance) = context.buffers.split_at(self.channels);
            let inverse = context.scratch.numbers(self.channels);
            let epsilon = T::from_f64(self.spec.epsilon);
            for (inverse, &variance) in inverse.iter_mut().zip(variance) {
                *inverse = T::ONE / (variance + epsilon).sqrt();
            }
            let constants = [weight, bias, mean, inverse];
            normalize::backward(numbers, shape, constants, self.rectify, gradients, None);
            if let Some(input_gradient) = input_gradient {
                self.constant_statistics(numbers, constants, input_gradient);
            }
            return;
        }
        let (mean, rest) = context.batch_statistics.split_at(self.channels);
        let (_, inverse) = rest.split_at(self.channels);
        let constants = [weight, bias, mean, inverse];
        normalize::backward(numbers, shape, constants, self.rectify, gradients, input_gradient);
    }

    fn scratch(&self, _samples: usize, _threads: usize) -> [usize; 2] {
        [self.channels, 0]
    }

    fn needs_output(&self) -> bool {
        false
    }
}
