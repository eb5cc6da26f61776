use serde::{Deserialize, Serialize};
use tensor::{Element, Shape, ShapeError, map, reduce};

use crate::layer::{Context, Layer, Pass};
use crate::layer_config::{LayerConfig, Outputs};
use crate::operation::Operation;

/// Probabilities from logits: `y_i = exp x_i / Σ_j exp x_j`, over one axis `(I)`.
///
/// The largest logit is subtracted first, so that no exponential overflows. A logit of −∞ has the
/// probability 0, and a single logit of +∞ the probability 1. All outputs are NaN if there are
/// several logits of +∞, several and all of them −∞, or a NaN: then the probabilities are
/// undefined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Softmax;

impl LayerConfig for Softmax {
    const TYPE: &'static str = "softmax";

    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        match input.dims() {
            &[classes] if classes > 0 => Ok(Box::new(SoftmaxLayer { classes })),
            _ => Err(ShapeError::new("Softmax", "an input with one axis (I)", input)),
        }
    }

    fn outputs(&self, _: Outputs) -> Option<Outputs> {
        Some(Outputs::Probabilities)
    }
}

#[derive(Debug)]
struct SoftmaxLayer {
    classes: usize,
}

impl<T: Element> Layer<T> for SoftmaxLayer {
    fn input_shape(&self) -> Shape {
        Shape::from(self.classes)
    }

    fn output_shape(&self) -> Shape {
        Shape::from(self.classes)
    }

    fn operation(&self) -> Option<Operation<'_, T>> {
        Some(Operation::Softmax)
    }

    fn forward(&self, _: &[T], input: &[T], output: &mut [T], _: Context<'_, T>) {
        let rows = input.chunks_exact(self.classes).zip(output.chunks_exact_mut(self.classes));
        for (x, y) in rows {
            softmax(x, y);
        }
    }

    /// `∂E/∂x_i = y_i (g_i − Σ_j y_j g_j)`.
    fn backward(
        &self,
        _: &[T],
        pass: Pass<'_, T>,
        _: &mut [T],
        input_gradient: Option<&mut [T]>,
        _: Context<'_, T>,
    ) {
        let Some(input_gradient) = input_gradient else { return };
        let rows = pass.output.chunks_exact(self.classes);
        let rows = rows.zip(pass.output_gradient.chunks_exact(self.classes));
        for ((y, g), gradient) in rows.zip(input_gradient.chunks_exact_mut(self.classes)) {
            let mean = reduce::dot(y, g);
            for ((gradient, &y), &g) in gradient.iter_mut().zip(y).zip(g) {
                *gradient = y * (g - mean);
            }
        }
    }
}

/// The softmax of one row: `y_i = exp x_i / Σ_j exp x_j`; infinite logits as in [`Softmax`].
///
/// # Panics
/// If the slices differ in length.
#[track_caller]
pub fn softmax<T: Element>(x: &[T], y: &mut [T]) {
    assert_eq!(x.len(), y.len(), "softmax: length");
    let Some(largest) = largest(x) else {
        y.fill(T::from_f64(f64::NAN));
        return;
    };
    for (y, &x) in y.iter_mut().zip(x) {
        *y = below(x, largest);
    }
    map::exp(y);
    let sum = y.iter().fold(T::ZERO, |sum, &y| sum + y);
    for y in y {
        *y /= sum;
    }
}

/// The largest logit; `None` if there is a NaN, or if several are equal and infinite: their
/// differences are undefined.
pub(crate) fn largest<T: Element>(logits: &[T]) -> Option<T> {
    let largest = logits[reduce::argmax(logits)?];
    let is_known = largest.is_finite() || logits.iter().filter(|&&x| x == largest).count() == 1;
    is_known.then_some(largest)
}

/// `x − largest`; 0 for the largest itself, even if it is infinite.
pub(crate) fn below<T: Element>(x: T, largest: T) -> T {
    if x == largest { T::ZERO } else { x - largest }
}
