//! Batch normalisation (Ioffe and Szegedy, 2015) of samples `(N, C, P)`: each channel is normalised
//! to mean 0 and variance 1, then scaled and shifted.
//!
//! A channel is finished before the next one begins, so that the later passes over its planes read
//! them from the caches. A ReLU behind it is computed in the same passes, with the bits of
//! [`Relu`](crate::activation::Relu) and its gradient.
//!
//! # Panics
//! Every function panics if numbers are not whole samples `(C, P)`, or a constant or a result is
//! not `(C)`.

use fearless_simd::{Select, Simd, SimdBase, SimdFrom};

use crate::Element;
use crate::element::kernels::per_element;
use crate::simd::Kernel;
use crate::sums::{Numbers, Rows, Terms, Tree, sums};
use crate::vector::{fused, load, load_rest, store};

/// What [`forward`] measures of each channel: its mean, its unbiased variance (0 for a single
/// number), and `1 / √(variance + ε)` with the biased variance.
pub type Measured<'a, T> = [&'a mut [T]; 3];

/// `y = weight_c (x − mean_c) / √(variance_c + ε) + bias_c`; with `rectify`, negative outputs are
/// 0.
#[track_caller]
pub fn forward<T: Element>(
    x: &[T],
    shape: [usize; 2],
    epsilon: T,
    [weight, bias]: [&[T]; 2],
    rectify: bool,
    measured: Measured<'_, T>,
    y: &mut [T],
) {
    let [mean, variance, inverse] = &measured;
    let constants = [weight.len(), bias.len(), mean.len(), variance.len(), inverse.len()];
    check([x.len(), y.len()], shape, &constants);
    let operation = Operation::Forward { epsilon, weight, bias, measured, y };
    Normalize { x, shape, rectify, operation }.launch();
}

/// `y = scale_c (x − mean_c) + shift_c`; with `rectify`, negative outputs are 0.
#[track_caller]
pub fn scale<T: Element>(
    x: &[T],
    shape: [usize; 2],
    [mean, scale, shift]: [&[T]; 3],
    rectify: bool,
    y: &mut [T],
) {
    check([x.len(), y.len()], shape, &[mean.len(), scale.len(), shift.len()]);
    Normalize { x, shape, rectify, operation: Operation::Scale { mean, scale, shift, y } }.launch();
}

/// The gradients of [`forward`]'s weight, bias and, if it is asked for, `x`, from that of `y`. With
/// `r = 1 / √(variance + ε)`, `x̂ = (x − mean) r` and means over the channel, the last is
/// `weight r (g − mean(g) − x̂ mean(g x̂))`. With `rectify`, `g` counts only where `y > 0`.
#[track_caller]
pub fn backward<T: Element>(
    (x, g): (&[T], &[T]),
    shape: [usize; 2],
    [weight, bias, mean, inverse]: [&[T]; 4],
    rectify: bool,
    [weight_gradient, bias_gradient]: [&mut [T]; 2],
    x_gradient: Option<&mut [T]>,
) {
    let constants = [weight.len(), bias.len(), mean.len(), inverse.len()];
    check([x.len(), g.len()], shape, &constants);
    let result = x_gradient.as_ref().map_or(x.len(), |gradient| gradient.len());
    check([x.len(), result], shape, &[weight_gradient.len(), bias_gradient.len()]);
    let constants = [weight, bias, mean, inverse];
    let operation =
        Operation::Backward { g, constants, weight_gradient, bias_gradient, x_gradient };
    Normalize { x, shape, rectify, operation }.launch();
}

#[track_caller]
fn check([from, to]: [usize; 2], [channels, plane]: [usize; 2], constants: &[usize]) {
    let fits = from == to && channels * plane > 0 && from % (channels * plane) == 0;
    assert!(
        fits && constants.iter().all(|&len| len == channels),
        "normalize: {from} numbers to {to}, samples of {channels} planes of {plane}, \
         constants {constants:?}"
    );
}

/// One of the operations and its operands.
pub struct Normalize<'a, T> {
    x: &'a [T],
    shape: [usize; 2],
    rectify: bool,
    operation: Operation<'a, T>,
}

enum Operation<'a, T> {
    Forward {
        epsilon: T,
        weight: &'a [T],
        bias: &'a [T],
        measured: Measured<'a, T>,
        y: &'a mut [T],
    },
    Scale {
        mean: &'a [T],
        scale: &'a [T],
        shift: &'a [T],
        y: &'a mut [T],
    },
    Backward {
        g: &'a [T],
        constants: [&'a [T]; 4],
        weight_gradient: &'a mut [T],
        bias_gradient: &'a mut [T],
        x_gradient: Option<&'a mut [T]>,
    },
}

per_element!(Normalize);

impl<T: Element> Kernel for Normalize<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if self.rectify {
            self.run_with::<S, true>(simd);
        } else {
            self.run_with::<S, false>(simd);
        }
    }
}

impl<T: Element> Normalize<'_, T> {
    #[inline(always)]
    fn run_with<S: Simd, const RECTIFY: bool>(self, simd: S) {
        let Self { x, shape, operation, .. } = self;
        let [channels, plane] = shape;
        let samples = x.len() / (channels * plane);
        // Of no numbers all sums are 0, and so are the means.
        let count = (samples * plane).max(1);
        let share = T::ONE / T::from_f64(count as f64);
        let zero = T::Wide::<S>::simd_from(simd, T::ZERO);
        match operation {
            Operation::Forward { epsilon, weight, bias, measured, y } => {
                let [mean, variance, inverse] = measured;
                let (mut tree, mut pair) = (Tree::new(zero), Tree::new(zero));
                let unbiased = T::ONE / T::from_f64((count - 1).max(1) as f64);
                for c in 0..channels {
                    let planes = Planes::of(shape, samples, c);
                    let [sum] = sums(simd, [x, x], planes.0, Numbers, &mut tree);
                    let rounded = sum * share;
                    // The rounding error of the mean is subtracted from mean and squares.
                    let terms = Deviations { mean: rounded };
                    let [squares, left] = sums(simd, [x, x], planes.0, terms, &mut pair);
                    mean[c] = rounded + left * share;
                    let squares = squares - left * left * share;
                    let squares = if squares < T::ZERO { T::ZERO } else { squares };
                    inverse[c] = T::ONE / (squares * share + epsilon).sqrt();
                    variance[c] = squares * unbiased;
                    let affine = Affine::new(simd, mean[c], weight[c] * inverse[c], bias[c]);
                    planes.write(simd, [x, x], Output::<S, T, RECTIFY>(affine), y);
                }
            }
            Operation::Scale { mean, scale, shift, y } => {
                for c in 0..channels {
                    let planes = Planes::of(shape, samples, c);
                    let affine = Affine::new(simd, mean[c], scale[c], shift[c]);
                    planes.write(simd, [x, x], Output::<S, T, RECTIFY>(affine), y);
                }
            }
            Operation::Backward {
                g,
                constants,
                weight_gradient,
                bias_gradient,
                mut x_gradient,
            } => {
                let [weight, bias, mean, inverse] = constants;
                let mut tree = Tree::new(zero);
                for c in 0..channels {
                    let planes = Planes::of(shape, samples, c);
                    let output = Affine::new(simd, mean[c], weight[c] * inverse[c], bias[c]);
                    let passed = Passed::<S, T, RECTIFY>(output);
                    let [products, sum] = sums(simd, [x, g], planes.0, passed, &mut tree);
                    weight_gradient[c] = products * inverse[c];
                    bias_gradient[c] = sum;
                    if let Some(y) = x_gradient.as_deref_mut() {
                        let factor = weight[c] * inverse[c];
                        let scale = -(factor * inverse[c] * weight_gradient[c] * share);
                        let shift = -(factor * bias_gradient[c] * share);
                        let affine = Affine::new(simd, mean[c], scale, shift);
                        let factor = T::Wide::<S>::simd_from(simd, factor);
                        let gradient = InputGradient { passed, factor, affine };
                        planes.write(simd, [x, g], gradient, y);
                    }
                }
            }
        }
    }
}

/// The planes of one channel.
#[derive(Clone, Copy)]
struct Planes(Rows);

impl Planes {
    fn of([channels, plane]: [usize; 2], samples: usize, c: usize) -> Self {
        Self(Rows { first: c * plane, pitch: channels * plane, count: samples, len: plane })
    }

    /// Writes a function of `x` and `g`.
    #[inline(always)]
    fn write<S: Simd, T: Element>(
        self,
        simd: S,
        [x, g]: [&[T]; 2],
        function: impl Function<S, T>,
        y: &mut [T],
    ) {
        let lanes = T::Wide::<S>::LEN;
        let Rows { first, pitch, count, len } = self.0;
        let rest = len % lanes;
        for sample in 0..count {
            let start = first + sample * pitch;
            let (x, g, y) = (&x[start..], &g[start..], &mut y[start..]);
            let mut at = 0;
            while at < len - rest {
                let numbers = [load(simd, x, at), load(simd, g, at)];
                store(function.apply(simd, numbers), y, at);
                at += lanes;
            }
            if rest > 0 {
                let numbers = [load_rest(simd, x, at, rest), load_rest(simd, g, at, rest)];
                let result = function.apply(simd, numbers);
                // Numbers after the rest are written later, if they belong to the same sample.
                if first + at + lanes <= pitch {
                    store(result, y, at);
                } else {
                    y[at..at + rest].copy_from_slice(&result.as_slice()[..rest]);
                }
            }
        }
    }
}

/// `(x − mean)²` and `x − mean`.
#[derive(Clone, Copy)]
struct Deviations<T> {
    mean: T,
}

impl<S: Simd, T: Element> Terms<S, T, 2> for Deviations<T> {
    #[inline(always)]
    fn added_to(
        self,
        simd: S,
        [squares, sum]: [T::Wide<S>; 2],
        [x, _]: [T::Wide<S>; 2],
    ) -> [T::Wide<S>; 2] {
        let centred = x - T::Wide::<S>::simd_from(simd, self.mean);
        [fused(simd, centred, centred, squares), sum + centred]
    }
}

/// `scale (x − mean) + shift`.
#[derive(Clone, Copy)]
struct Affine<S: Simd, T: Element> {
    mean: T::Wide<S>,
    scale: T::Wide<S>,
    shift: T::Wide<S>,
}

impl<S: Simd, T: Element> Affine<S, T> {
    #[inline(always)]
    fn new(simd: S, mean: T, scale: T, shift: T) -> Self {
        Self {
            mean: T::Wide::<S>::simd_from(simd, mean),
            scale: T::Wide::<S>::simd_from(simd, scale),
            shift: T::Wide::<S>::simd_from(simd, shift),
        }
    }

    #[inline(always)]
    fn of(self, simd: S, x: T::Wide<S>) -> T::Wide<S> {
        fused(simd, x - self.mean, self.scale, self.shift)
    }
}

/// A function of `x` and `g`.
trait Function<S: Simd, T: Element>: Copy {
    fn apply(self, simd: S, numbers: [T::Wide<S>; 2]) -> T::Wide<S>;
}

/// The outputs as a function of `x`, rectified or not.
#[derive(Clone, Copy)]
struct Output<S: Simd, T: Element, const RECTIFY: bool>(Affine<S, T>);

impl<S: Simd, T: Element, const RECTIFY: bool> Function<S, T> for Output<S, T, RECTIFY> {
    #[inline(always)]
    fn apply(self, simd: S, [x, _]: [T::Wide<S>; 2]) -> T::Wide<S> {
        let (y, zero) = (self.0.of(simd, x), T::Wide::<S>::simd_from(simd, T::ZERO));
        if RECTIFY { y.simd_le(zero).select(zero, y) } else { y }
    }
}

/// The gradient before the ReLU, if there is one behind these outputs. The outputs are computed
/// again, which is faster than reading them.
#[derive(Clone, Copy)]
struct Passed<S: Simd, T: Element, const RECTIFY: bool>(Affine<S, T>);

impl<S: Simd, T: Element, const RECTIFY: bool> Function<S, T> for Passed<S, T, RECTIFY> {
    #[inline(always)]
    fn apply(self, simd: S, [x, g]: [T::Wide<S>; 2]) -> T::Wide<S> {
        let zero = T::Wide::<S>::simd_from(simd, T::ZERO);
        if RECTIFY { self.0.of(simd, x).simd_gt(zero).select(g, zero) } else { g }
    }
}

/// `g (x − mean)` and `g`.
impl<S: Simd, T: Element, const RECTIFY: bool> Terms<S, T, 2> for Passed<S, T, RECTIFY> {
    #[inline(always)]
    fn added_to(
        self,
        simd: S,
        [products, sum]: [T::Wide<S>; 2],
        [x, g]: [T::Wide<S>; 2],
    ) -> [T::Wide<S>; 2] {
        let g = self.apply(simd, [x, g]);
        [fused(simd, x - self.0.mean, g, products), sum + g]
    }
}

/// `factor g` and a function of `x`.
#[derive(Clone, Copy)]
struct InputGradient<S: Simd, T: Element, const RECTIFY: bool> {
    passed: Passed<S, T, RECTIFY>,
    factor: T::Wide<S>,
    affine: Affine<S, T>,
}

impl<S: Simd, T: Element, const RECTIFY: bool> Function<S, T> for InputGradient<S, T, RECTIFY> {
    #[inline(always)]
    fn apply(self, simd: S, [x, g]: [T::Wide<S>; 2]) -> T::Wide<S> {
        let g = self.passed.apply(simd, [x, g]);
        fused(simd, g, self.factor, self.affine.of(simd, x))
    }
}
