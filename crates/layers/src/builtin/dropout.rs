use serde::{Deserialize, Serialize};
use tensor::random::{drop_out, share_of_words};
use tensor::{Element, Shape, ShapeError};

use crate::layer::{Context, Draw, InPlace, Layer, Mode, Pass};
use crate::layer_config::{LayerConfig, Outputs};
use crate::operation::Operation;
use crate::tagged::fraction;

/// In training, each number is set to 0 with probability `p`, and the others are divided by
/// `1 − p`; in inference nothing changes. Any shape.
///
/// Which numbers are dropped is a function of the trainer's seed, the step, the sample's place in
/// the step, the layer and the element: it does not depend on threads or shards, and a resumed run
/// draws the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    #[serde(deserialize_with = "fraction")]
    p: f64,
}

impl Dropout {
    /// Drops each number with probability `p`.
    ///
    /// # Panics
    /// If `p` is not from 0 to less than 1.
    #[track_caller]
    pub fn new(p: f64) -> Self {
        assert!((0.0..1.0).contains(&p), "Dropout: expected from 0 to less than 1, got {p}");
        Self { p }
    }
}

impl LayerConfig for Dropout {
    const TYPE: &'static str = "dropout";

    fn summary(&self) -> String {
        format!("Dropout {}", self.p)
    }

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        Ok(Box::new(DropoutLayer { shape: input, p: self.p }))
    }

    /// The numbers that are kept become larger.
    fn outputs(&self, inputs: Outputs) -> Option<Outputs> {
        Some(match inputs {
            Outputs::Any | Outputs::UnitInterval => Outputs::Any,
            Outputs::Probabilities | Outputs::DroppedProbabilities => Outputs::DroppedProbabilities,
        })
    }
}

#[derive(Debug)]
struct DropoutLayer {
    shape: Shape,
    p: f64,
}

impl DropoutLayer {
    /// Drops from the numbers, or from the gradients, of whole samples.
    fn drop_from<T: Element>(&self, numbers: &mut [T], mode: Mode) {
        let Mode::Training(draw) = mode else { return };
        let limit = share_of_words(self.p);
        let scale = T::from_f64(1.0 / (1.0 - self.p));
        for (sample, numbers) in numbers.chunks_exact_mut(self.shape.len()).enumerate() {
            let (key, counter) = place(draw, draw.first_sample + sample as u64);
            drop_out(numbers, counter, key, limit, scale);
        }
    }
}

/// Key and counter of a sample. The layer's number has a word of its own in the counter. Neither
/// 2³² steps nor 2³² samples in a step fit a counter.
fn place(draw: Draw, sample: u64) -> ([u32; 2], [u32; 3]) {
    let [sample, step, layer] = [sample, draw.step, draw.layer].map(|number| words(number)[0]);
    (words(draw.seed), [sample, step, layer])
}

/// The lower and the upper half of a number.
fn words(number: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
    [[a, b, c, d], [e, f, g, h]].map(u32::from_le_bytes)
}

impl<T: Element> Layer<T> for DropoutLayer {
    fn input_shape(&self) -> Shape {
        self.shape
    }

    fn output_shape(&self) -> Shape {
        self.shape
    }

    fn operation(&self) -> Option<Operation<'_, T>> {
        Some(Operation::Same)
    }

    fn forward(&self, _: &[T], input: &[T], output: &mut [T], context: Context<'_, T>) {
        output.copy_from_slice(input);
        self.drop_from(output, context.mode);
    }

    fn backward(
        &self,
        _: &[T],
        pass: Pass<'_, T>,
        _: &mut [T],
        input_gradient: Option<&mut [T]>,
        context: Context<'_, T>,
    ) {
        if let Some(gradient) = input_gradient {
            gradient.copy_from_slice(pass.output_gradient);
            self.drop_from(gradient, context.mode);
        }
    }

    fn needs_output(&self) -> bool {
        false
    }

    fn in_place(&self) -> Option<&dyn InPlace<T>> {
        Some(self)
    }
}

impl<T: Element> InPlace<T> for DropoutLayer {
    fn forward_in_place(&self, data: &mut [T], mode: Mode) {
        self.drop_from(data, mode);
    }

    fn backward_in_place(&self, _: &[T], gradient: &mut [T], mode: Mode) {
        self.drop_from(gradient, mode);
    }
}
