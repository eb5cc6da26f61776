//! Batch normalization (Ioffe and Szegedy, 2015) of samples `(N, C, P)`: each channel brought
//! to mean 0 and variance 1, then to a scale and a shift of its own.
//!
//! A channel is finished before the next one is begun: what the first pass over its planes
//! reads, the others find in the near caches.
//!
//! # Panics
//! Every function panics if numbers are not whole samples `(C, P)`, or a constant or a result
//! is not `(C)`.

use fearless_simd::{Select, Simd, SimdBase, SimdFrom};

use crate::Element;
use crate::microkernel::{fused, load, load_part, store, sum_lanes, views};
use crate::simd::Kernel;

/// What [`forward`] measures of each channel: its mean, its unbiased variance (of a single
/// number, for which there is none, 0), and `1 / √(variance + ε)` of the other variance.
pub type Measured<'a, T> = [&'a mut [T]; 3];

/// `y = weight_c (x − mean_c) / √(variance_c + ε) + bias_c`.
#[track_caller]
pub fn forward<T: Element>(
    x: &[T],
    shape: [usize; 2],
    epsilon: T,
    [weight, bias]: [&[T]; 2],
    measured: Measured<'_, T>,
    y: &mut [T],
) {
    let [mean, variance, inverse] = &measured;
    let constants = [weight.len(), bias.len(), mean.len(), variance.len(), inverse.len()];
    check([x.len(), y.len()], shape, &constants);
    let work = Work::Forward { epsilon, weight, bias, measured, y };
    T::normalize(Normalize { x, shape, work });
}

/// `y = scale_c (x − mean_c) + shift_c`.
#[track_caller]
pub fn scale<T: Element>(x: &[T], shape: [usize; 2], [mean, scale, shift]: [&[T]; 3], y: &mut [T]) {
    check([x.len(), y.len()], shape, &[mean.len(), scale.len(), shift.len()]);
    T::normalize(Normalize { x, shape, work: Work::Scale { mean, scale, shift, y } });
}

/// The gradients of [`forward`]'s weight and bias, and of `x` if it is asked for, from that
/// of `y`: with `r = 1 / √(variance + ε)`, `x̂ = (x − mean) r` and means over the channel
/// `weight r (g − mean(g) − x̂ mean(g x̂))`.
#[track_caller]
pub fn backward<T: Element>(
    (x, g): (&[T], &[T]),
    shape: [usize; 2],
    [weight, mean, inverse]: [&[T]; 3],
    [weight_gradient, bias_gradient]: [&mut [T]; 2],
    x_gradient: Option<&mut [T]>,
) {
    let constants = [weight.len(), mean.len(), inverse.len()];
    check([x.len(), g.len()], shape, &constants);
    let result = x_gradient.as_ref().map_or(x.len(), |gradient| gradient.len());
    check([x.len(), result], shape, &[weight_gradient.len(), bias_gradient.len()]);
    let constants = [weight, mean, inverse];
    let work = Work::Backward { g, constants, weight_gradient, bias_gradient, x_gradient };
    T::normalize(Normalize { x, shape, work });
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

/// An operation on samples `(C, P)` and its operands.
pub struct Normalize<'a, T> {
    x: &'a [T],
    shape: [usize; 2],
    work: Work<'a, T>,
}

enum Work<'a, T> {
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
        constants: [&'a [T]; 3],
        weight_gradient: &'a mut [T],
        bias_gradient: &'a mut [T],
        x_gradient: Option<&'a mut [T]>,
    },
}

impl<T: Element> Kernel for Normalize<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { x, shape, work } = self;
        let [channels, plane] = shape;
        let samples = x.len() / (channels * plane);
        let share = |count: usize| T::ONE / T::from_f64(count as f64);
        let count = samples * plane;
        match work {
            Work::Forward { epsilon, weight, bias, measured, y } => {
                let [mean, variance, inverse] = measured;
                for c in 0..channels {
                    let planes = Planes::<S, T>::of(simd, shape, samples, c);
                    mean[c] = planes.sum(simd, x, Term::Number) * share(count);
                    let squares = planes.sum(simd, x, Term::Square { mean: mean[c] });
                    inverse[c] = T::ONE / (squares * share(count) + epsilon).sqrt();
                    variance[c] = squares * share((count - 1).max(1));
                    let constants = [mean[c], weight[c] * inverse[c], bias[c]];
                    planes.scale(simd, x, constants, None, y);
                }
            }
            Work::Scale { mean, scale, shift, y } => {
                for c in 0..channels {
                    let planes = Planes::<S, T>::of(simd, shape, samples, c);
                    planes.scale(simd, x, [mean[c], scale[c], shift[c]], None, y);
                }
            }
            Work::Backward { g, constants, weight_gradient, bias_gradient, mut x_gradient } => {
                let [weight, mean, inverse] = constants;
                for c in 0..channels {
                    let planes = Planes::<S, T>::of(simd, shape, samples, c);
                    let products = planes.sum(simd, x, Term::Product { mean: mean[c], g });
                    weight_gradient[c] = products * inverse[c];
                    bias_gradient[c] = planes.sum(simd, g, Term::Number);
                    if let Some(y) = x_gradient.as_deref_mut() {
                        let factor = weight[c] * inverse[c];
                        let scale = -(factor * inverse[c] * weight_gradient[c] * share(count));
                        let shift = -(factor * bias_gradient[c] * share(count));
                        planes.scale(simd, x, [mean[c], scale, shift], Some((g, factor)), y);
                    }
                }
            }
        }
    }
}

/// The planes of one channel.
struct Planes<S: Simd, T: Element> {
    /// Where the first one starts, and from one to the next.
    first: usize,
    pitch: usize,
    samples: usize,
    /// Numbers of a plane in whole vectors, and the rest.
    whole: usize,
    rest: usize,
    /// The lanes that hold the rest.
    used: <T::Wide<S> as SimdBase<S>>::Mask,
}

/// Planes whose sums are computed side by side: one alone would wait for each addition.
const TOGETHER: usize = 4;

impl<S: Simd, T: Element> Planes<S, T> {
    #[inline(always)]
    fn of(simd: S, [channels, plane]: [usize; 2], samples: usize, c: usize) -> Self {
        let lanes = T::Wide::<S>::LEN;
        let rest = plane % lanes;
        let zero = T::Wide::<S>::simd_from(simd, T::ZERO);
        let mut ones = zero;
        ones.as_mut_slice()[..rest].fill(T::ONE);
        let (first, pitch, whole) = (c * plane, channels * plane, plane - rest);
        Self { first, pitch, samples, whole, rest, used: ones.simd_gt(zero) }
    }

    /// The sum of the channel's terms, plane by plane in order.
    #[inline(always)]
    fn sum(&self, simd: S, x: &[T], term: Term<'_, T>) -> T {
        let (mut sum, mut sample) = (T::ZERO, 0);
        while sample + TOGETHER <= self.samples {
            for plane in self.sums::<TOGETHER>(simd, x, term, sample) {
                sum += plane;
            }
            sample += TOGETHER;
        }
        while sample < self.samples {
            sum += self.sums::<1>(simd, x, term, sample)[0];
            sample += 1;
        }
        sum
    }

    /// The sums of `P` planes.
    #[inline(always)]
    fn sums<const P: usize>(&self, simd: S, x: &[T], term: Term<'_, T>, sample: usize) -> [T; P] {
        let lanes = T::Wide::<S>::LEN;
        let mut starts = [0; P];
        for p in 0..P {
            starts[p] = self.first + (sample + p) * self.pitch;
        }
        let x = views(x, starts);
        let g = match term {
            Term::Product { g, .. } => views(g, starts),
            _ => x,
        };
        let mut sums = [T::Wide::<S>::simd_from(simd, T::ZERO); P];
        let mut at = 0;
        while at < self.whole {
            for p in 0..P {
                let numbers = [load(simd, x[p], at), load(simd, g[p], at)];
                sums[p] = term.added_to(simd, sums[p], numbers);
            }
            at += lanes;
        }
        if self.rest > 0 {
            for p in 0..P {
                let numbers = [self.load_rest(simd, x[p]), self.load_rest(simd, g[p])];
                sums[p] = self.used.select(term.added_to(simd, sums[p], numbers), sums[p]);
            }
        }
        let mut totals = [T::ZERO; P];
        for p in 0..P {
            totals[p] = sum_lanes(sums[p]);
        }
        totals
    }

    /// The vector that starts with the rest of a plane, which `numbers` starts with.
    #[inline(always)]
    fn load_rest(&self, simd: S, numbers: &[T]) -> T::Wide<S> {
        if self.whole + T::Wide::<S>::LEN <= numbers.len() {
            load(simd, numbers, self.whole)
        } else {
            load_part(simd, numbers, self.whole, self.rest)
        }
    }

    /// `y = factor g + scale (x − mean) + shift`.
    #[inline(always)]
    fn scale(&self, simd: S, x: &[T], constants: [T; 3], gradient: Option<(&[T], T)>, y: &mut [T]) {
        let lanes = T::Wide::<S>::LEN;
        let [mean, scale, shift] = [
            T::Wide::<S>::simd_from(simd, constants[0]),
            T::Wide::<S>::simd_from(simd, constants[1]),
            T::Wide::<S>::simd_from(simd, constants[2]),
        ];
        for sample in 0..self.samples {
            let start = self.first + sample * self.pitch;
            let x = &x[start..];
            let (g, factor) = match gradient {
                Some((g, factor)) => (&g[start..], Some(T::Wide::<S>::simd_from(simd, factor))),
                None => (x, None),
            };
            let y = &mut y[start..];
            let mut at = 0;
            while at < self.whole {
                let centred = load::<S, T::Wide<S>>(simd, x, at) - mean;
                let mut result = fused(simd, centred, scale, shift);
                if let Some(factor) = factor {
                    result = fused(simd, load(simd, g, at), factor, result);
                }
                store(result, y, at);
                at += lanes;
            }
            if self.rest > 0 {
                let mut result = fused(simd, self.load_rest(simd, x) - mean, scale, shift);
                if let Some(factor) = factor {
                    result = fused(simd, self.load_rest(simd, g), factor, result);
                }
                // What lies behind the rest is written later, if it is of the same sample.
                if self.first + at + lanes <= self.pitch {
                    store(result, y, at);
                } else {
                    y[at..at + self.rest].copy_from_slice(&result.as_slice()[..self.rest]);
                }
            }
        }
    }
}

/// What a sum adds up.
#[derive(Clone, Copy)]
enum Term<'a, T> {
    /// `x`.
    Number,
    /// `(x − mean)²`.
    Square { mean: T },
    /// `g (x − mean)`.
    Product { mean: T, g: &'a [T] },
}

impl<T: Element> Term<'_, T> {
    /// Of the numbers `[x, g]`.
    #[inline(always)]
    fn added_to<S: Simd>(&self, simd: S, sum: T::Wide<S>, [x, g]: [T::Wide<S>; 2]) -> T::Wide<S> {
        match *self {
            Self::Number => sum + x,
            Self::Square { mean } => {
                let centred = x - T::Wide::<S>::simd_from(simd, mean);
                fused(simd, centred, centred, sum)
            }
            Self::Product { mean, .. } => {
                let centred = x - T::Wide::<S>::simd_from(simd, mean);
                fused(simd, centred, g, sum)
            }
        }
    }
}
