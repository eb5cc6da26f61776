use serde::{Deserialize, Serialize};
use tensor::{Element, Shape, ShapeError, normalize, reduce};

use super::normalization::{epsilon, scale_and_shift};
use crate::layer::{Context, Layer, Parameter, Pass};
use crate::layer_config::LayerConfig;
use crate::operation::Operation;
use crate::tagged::not_negative;

/// Divides the channels of each sample into groups, normalises each group to mean 0 and variance 1,
/// and applies a learned scale and shift to each channel:
/// `y = weight_c (x − mean_g) / √(variance_g + ε) + bias_c` (Wu and He, 2018).
///
/// Mean and variance are a sample's own, so training and inference compute the same, and the shard
/// size does not matter, as it does for [`BatchNorm2d`](crate::BatchNorm2d).
///
/// A group has at least two numbers, since one number has no variance.
///
/// # Shapes
/// Input and output `(C, …)`, of any further axes; `weight`, `bias` `(C)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNorm {
    groups: usize,
    #[serde(default = "epsilon", deserialize_with = "not_negative")]
    epsilon: f64,
}

/// [`GroupNorm`] with one group: all numbers of a sample are normalised to mean 0 and variance 1
/// (Ba, Kiros and Hinton, 2016). Each channel has a scale and a shift, as in PyTorch's
/// `GroupNorm(1, C)`; for inputs with one axis this is PyTorch's `LayerNorm`.
///
/// # Shapes
/// As [`GroupNorm`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNorm {
    #[serde(default = "epsilon", deserialize_with = "not_negative")]
    epsilon: f64,
}

impl GroupNorm {
    /// This many groups, with PyTorch's ε of 1e-5.
    pub fn new(groups: usize) -> Self {
        Self { groups, epsilon: epsilon() }
    }

    fn build<T: Element>(
        self,
        name: &'static str,
        input: Shape,
    ) -> Result<Box<dyn Layer<T>>, ShapeError> {
        let Self { groups, epsilon } = self;
        let Some(&channels) = input.dims().first().filter(|_| !input.is_empty()) else {
            return Err(ShapeError::new(name, "an input of at least one number", input));
        };
        if groups == 0 || !channels.is_multiple_of(groups) {
            let expected = format!("a number of groups that divides {channels} channels");
            return Err(ShapeError::new(name, expected, groups));
        }
        if input.len() == groups {
            let expected = "more than one number in each group to normalise over";
            return Err(ShapeError::new(name, expected, input));
        }
        Ok(Box::new(GroupNormLayer { epsilon, shape: input, channels, groups }))
    }
}

impl LayerNorm {
    /// With PyTorch's ε of 1e-5.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Default for LayerNorm {
    fn default() -> Self {
        Self { epsilon: epsilon() }
    }
}

impl LayerConfig for GroupNorm {
    const TYPE: &'static str = "group_norm";

    fn summary(&self) -> String {
        format!("GroupNorm {} groups", self.groups)
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        Self::build(*self, "GroupNorm", input)
    }
}

impl LayerConfig for LayerNorm {
    const TYPE: &'static str = "layer_norm";

    fn summary(&self) -> String {
        "LayerNorm".into()
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        GroupNorm { groups: 1, epsilon: self.epsilon }.build("LayerNorm", input)
    }
}

/// The passes are those of batch normalisation over one sample: once with the groups as channels,
/// for mean, variance and what depends on them, and once with the channels, for scale and shift.
#[derive(Debug)]
struct GroupNormLayer {
    epsilon: f64,
    shape: Shape,
    channels: usize,
    groups: usize,
}

/// Cuts `len` numbers off the front.
fn take<'a, T>(numbers: &mut &'a mut [T], len: usize) -> &'a mut [T] {
    let (first, rest) = std::mem::take(numbers).split_at_mut(len);
    *numbers = rest;
    first
}

impl GroupNormLayer {
    /// The shapes of a sample: `(channels, plane)` and `(groups, plane)`.
    fn shapes(&self) -> [[usize; 2]; 2] {
        [self.channels, self.groups].map(|count| [count, self.shape.len() / count])
    }

    /// Copies each group's number to all of its channels.
    fn spread<T: Element>(&self, of_groups: &[T], of_channels: &mut [T]) {
        let group = self.channels / self.groups;
        for (channels, &number) in of_channels.chunks_exact_mut(group).zip(of_groups) {
            channels.fill(number);
        }
    }
}

impl<T: Element> Layer<T> for GroupNormLayer {
    fn input_shape(&self) -> Shape {
        self.shape
    }

    fn output_shape(&self) -> Shape {
        self.shape
    }

    fn parameters(&self) -> Vec<Parameter> {
        scale_and_shift(self.channels)
    }

    /// Mean and inverse deviation of each group.
    fn memory(&self) -> usize {
        2 * self.groups
    }

    fn operation(&self) -> Option<Operation<'_, T>> {
        Some(Operation::GroupNorm { groups: self.groups, epsilon: self.epsilon })
    }

    fn forward(&self, parameters: &[T], input: &[T], output: &mut [T], context: Context<'_, T>) {
        let ([as_channels, as_groups], len) = (self.shapes(), self.shape.len());
        let (weight, bias) = parameters.split_at(self.channels);
        let epsilon = T::from_f64(self.epsilon);
        let mut numbers = context.scratch.numbers(5 * self.groups + 2 * self.channels);
        let [ones, zeros, mean, variance, inverse] =
            [(); 5].map(|()| take(&mut numbers, self.groups));
        let [means, scales] = [(); 2].map(|()| take(&mut numbers, self.channels));
        ones.fill(T::ONE);
        zeros.fill(T::ZERO);
        // Without a backward pass no memory need be lent.
        let is_kept = !context.memory.is_empty();
        let samples = input.chunks_exact(len).zip(output.chunks_exact_mut(len));
        for (sample, (x, y)) in samples.enumerate() {
            let measured = [&mut *mean, &mut *variance, &mut *inverse];
            normalize::forward(x, as_groups, epsilon, [ones, zeros], false, measured, y);
            self.spread(mean, means);
            self.spread(inverse, scales);
            scales.iter_mut().zip(weight).for_each(|(scale, &weight)| *scale *= weight);
            normalize::scale(x, as_channels, [means, scales, bias], false, y);
            if is_kept {
                let memory = &mut context.memory[sample * 2 * self.groups..][..2 * self.groups];
                let (kept_mean, kept_inverse) = memory.split_at_mut(self.groups);
                kept_mean.copy_from_slice(mean);
                kept_inverse.copy_from_slice(inverse);
            }
        }
    }

    fn backward(
        &self,
        parameters: &[T],
        pass: Pass<'_, T>,
        gradients: &mut [T],
        mut input_gradient: Option<&mut [T]>,
        context: Context<'_, T>,
    ) {
        let ([as_channels, as_groups], len) = (self.shapes(), self.shape.len());
        let (weight, bias) = parameters.split_at(self.channels);
        let samples = pass.input.len() / len;
        let room = Layer::<T>::scratch(self, samples, 1)[0];
        let mut numbers = context.scratch.numbers(room);
        let [ones, zeros, unused, unused_too] = [(); 4].map(|()| take(&mut numbers, self.groups));
        let [means, inverses] = [(); 2].map(|()| take(&mut numbers, self.channels));
        let scaled = take(&mut numbers, len);
        let parts = take(&mut numbers, samples * 2 * self.channels);
        ones.fill(T::ONE);
        zeros.fill(T::ZERO);
        for sample in 0..samples {
            let range = sample * len..(sample + 1) * len;
            let (x, g) = (&pass.input[range.clone()], &pass.output_gradient[range.clone()]);
            let memory = &context.memory[sample * 2 * self.groups..][..2 * self.groups];
            let (mean, inverse) = memory.split_at(self.groups);
            self.spread(mean, means);
            self.spread(inverse, inverses);
            let part = &mut parts[sample * 2 * self.channels..][..2 * self.channels];
            let part = <[&mut [T]; 2]>::from(part.split_at_mut(self.channels));
            let constants = [weight, bias, means, inverses];
            normalize::backward((x, g), as_channels, constants, false, part, None);
            let Some(input_gradient) = input_gradient.as_deref_mut() else { continue };
            let planes =
                scaled.chunks_exact_mut(as_channels[1]).zip(g.chunks_exact(as_channels[1]));
            for ((scaled, g), &weight) in planes.zip(weight) {
                scaled.iter_mut().zip(g).for_each(|(scaled, &g)| *scaled = g * weight);
            }
            let constants = [&*ones, &*zeros, mean, inverse];
            let part = [&mut *unused, &mut *unused_too];
            let to = Some(&mut input_gradient[range]);
            normalize::backward((x, scaled), as_groups, constants, false, part, to);
        }
        reduce::sum_pairwise(parts, [samples, 2 * self.channels], 0, gradients);
    }

    fn scratch(&self, samples: usize, _: usize) -> [usize; 2] {
        let backward = samples.saturating_mul(2 * self.channels).saturating_add(self.shape.len());
        [backward.saturating_add(5 * self.groups + 2 * self.channels), 0]
    }

    fn needs_output(&self) -> bool {
        false
    }
}
