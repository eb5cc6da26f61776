use tensor::Scratch;

use crate::layer::{Layer, Mode};
use crate::layer_run::LayerRun;

/// How far the gradients of a layer or a loss are from finite differences. A figure is NaN where a
/// pass left a number unwritten, or read one that it must not read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GradientCheck {
    /// Of the parameters' gradient: the largest difference, relative to the largest element.
    pub parameters: f64,
    /// Of the input's gradient, likewise.
    pub input: f64,
}

impl GradientCheck {
    /// Whether both figures are at most `bound`; NaN never is.
    pub fn is_within(&self, bound: f64) -> bool {
        self.parameters <= bound && self.input <= bound
    }
}

/// Compares a layer's backward pass with central differences of its forward pass, in
/// `f64`, on the function `E = Σ weights · output`.
///
/// For differentiable layers both figures are around 1e-9. Where a layer has a kink (ReLU, a
/// maximum), keep the inputs further from it than 1e-5. Differences of numbers of about 1 have an
/// error of about 1e-11 themselves, so gradients are never compared relative to less than 1e-3:
/// choose weights and inputs of about 1, not of a millionth.
///
/// Everything that a pass must write is NaN before it, and so is the output in a backward pass that
/// does not [need](Layer::needs_output) it.
///
/// # Panics
/// If the slices do not have the lengths that the layer implies for a whole number of samples.
pub fn gradient_check(
    layer: &dyn Layer<f64>,
    parameters: &[f64],
    input: &[f64],
    weights: &[f64],
) -> GradientCheck {
    let n = input.len() / layer.input_shape().len();
    let mut run = LayerRun::new(layer, n, Mode::training());
    run.output_gradient.copy_from_slice(weights);
    let mut scratch = Scratch::sequential();
    let mut value = |parameters: &[f64], input: &[f64]| {
        run.parameters.copy_from_slice(parameters);
        run.output.fill(f64::NAN);
        run.forward(input, &mut scratch);
        run.output.iter().zip(weights).map(|(y, w)| y * w).sum::<f64>()
    };
    let parameter_differences = differences(parameters, |changed| value(changed, input));
    let input_differences = differences(input, |changed| value(parameters, changed));
    // This comes last, since it leaves behind what the backward pass needs.
    value(parameters, input);
    if !layer.needs_output() {
        run.output.fill(f64::NAN);
    }
    let mut input_gradient = vec![f64::NAN; input.len()];
    run.backward(input, Some(&mut input_gradient), &mut scratch);
    GradientCheck {
        parameters: distance(&run.gradients, &parameter_differences),
        input: distance(&input_gradient, &input_differences),
    }
}

/// The step of the central differences, whose error is of the order of its square.
const STEP: f64 = 1e-5;

/// `(f(x + h) − f(x − h)) / 2h` for each element of `x`.
pub(crate) fn differences(x: &[f64], mut f: impl FnMut(&[f64]) -> f64) -> Vec<f64> {
    let mut x = x.to_vec();
    (0..x.len())
        .map(|at| {
            let value = x[at];
            x[at] = value + STEP;
            let above = f(&x);
            x[at] = value - STEP;
            let below = f(&x);
            x[at] = value;
            (above - below) / (2.0 * STEP)
        })
        .collect()
}

/// The largest difference, relative to the largest expected value or to 1e-3 if that is larger; NaN
/// if any difference is.
pub(crate) fn distance(found: &[f64], expected: &[f64]) -> f64 {
    let largest = expected.iter().fold(1e-3_f64, |largest, x| largest.max(x.abs()));
    let differences = found.iter().zip(expected).map(|(f, e)| (f - e).abs());
    // `f64::max` would drop a NaN.
    let larger = |most: f64, d| if most.is_nan() || d <= most { most } else { d };
    differences.fold(0.0, larger) / largest
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn a_number_that_was_never_written_is_seen_wherever_it_is() {
        for place in 0..3 {
            let (mut found, expected) = ([1.0, 2.0, 3.0], [1.0, 2.5, 3.0]);
            assert_eq!(distance(&found, &expected), 0.5 / 3.0);
            found[place] = f64::NAN;
            assert!(distance(&found, &expected).is_nan(), "{place}");
            assert!(distance(&expected, &found).is_nan(), "{place}");
        }
    }
}
