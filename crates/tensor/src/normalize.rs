//! What a normalisation does to rows of numbers, each row with its own constants: the
//! planes of a sample, one for each channel.
//!
//! # Panics
//! Every function panics if a slice of numbers has not `row` numbers for each constant.

use fearless_simd::{Simd, SimdBase, SimdFrom};

use crate::Element;
use crate::microkernel::{fused, load, load_part, store, sum_lanes};
use crate::simd::Kernel;

/// `sums_c ← sums_c + Σ (x − mean_c)²`.
#[track_caller]
pub fn add_row_squares<T: Element>(x: &[T], row: usize, mean: &[T], sums: &mut [T]) {
    check(x.len(), row, &[mean.len(), sums.len()]);
    T::normalize(Normalize { x, row, mean, work: Work::Sum { g: None, sums } });
}

/// `sums_c ← sums_c + Σ g (x − mean_c)`.
#[track_caller]
pub fn add_row_products<T: Element>(g: &[T], x: &[T], row: usize, mean: &[T], sums: &mut [T]) {
    check(x.len(), row, &[mean.len(), sums.len()]);
    assert_eq!(g.len(), x.len(), "normalize: lengths of the two operands");
    T::normalize(Normalize { x, row, mean, work: Work::Sum { g: Some(g), sums } });
}

/// `y = scale_c (x − mean_c) + shift_c`.
#[track_caller]
pub fn scale_rows<T: Element>(x: &[T], row: usize, [mean, scale, shift]: [&[T]; 3], y: &mut [T]) {
    check(x.len(), row, &[mean.len(), scale.len(), shift.len()]);
    assert_eq!(y.len(), x.len(), "normalize: length of the result");
    T::normalize(Normalize { x, row, mean, work: Work::Scale { gradient: None, scale, shift, y } });
}

/// `y = factor_c g + scale_c (x − mean_c) + shift_c`.
#[track_caller]
pub fn combine_rows<T: Element>(
    (g, factor): (&[T], &[T]),
    x: &[T],
    row: usize,
    [mean, scale, shift]: [&[T]; 3],
    y: &mut [T],
) {
    check(x.len(), row, &[mean.len(), scale.len(), shift.len(), factor.len()]);
    assert!(g.len() == x.len() && y.len() == x.len(), "normalize: lengths of the operands");
    let work = Work::Scale { gradient: Some((g, factor)), scale, shift, y };
    T::normalize(Normalize { x, row, mean, work });
}

#[track_caller]
fn check(numbers: usize, row: usize, constants: &[usize]) {
    let fits = row > 0 && constants.iter().all(|rows| rows * row == numbers);
    assert!(fits, "normalize: {numbers} numbers in rows of {row}, constants {constants:?}");
}

/// An operation on rows and its operands.
pub struct Normalize<'a, T> {
    x: &'a [T],
    row: usize,
    mean: &'a [T],
    work: Work<'a, T>,
}

enum Work<'a, T> {
    Sum { g: Option<&'a [T]>, sums: &'a mut [T] },
    Scale { gradient: Option<(&'a [T], &'a [T])>, scale: &'a [T], shift: &'a [T], y: &'a mut [T] },
}

impl<T: Element> Kernel for Normalize<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { x, row, mean, work } = self;
        match work {
            Work::Sum { g, sums } => {
                for (c, x) in x.chunks_exact(row).enumerate() {
                    let g = g.map(|g| &g[c * row..][..row]);
                    sums[c] += row_sum(simd, x, g, mean[c]);
                }
            }
            Work::Scale { gradient, scale, shift, y } => {
                for (c, x) in x.chunks_exact(row).enumerate() {
                    let y = &mut y[c * row..][..row];
                    let constants = [mean[c], scale[c], shift[c]];
                    match gradient {
                        Some((g, factor)) => {
                            let g = &g[c * row..][..row];
                            combine(simd, x, constants, Some((g, factor[c])), y);
                        }
                        None => combine(simd, x, constants, None, y),
                    }
                }
            }
        }
    }
}

/// `Σ g (x − mean)`, or `Σ (x − mean)²`.
#[inline(always)]
fn row_sum<S: Simd, T: Element>(simd: S, x: &[T], g: Option<&[T]>, mean: T) -> T {
    let lanes = T::Wide::<S>::LEN;
    let whole = x.len() / lanes * lanes;
    let means = T::Wide::<S>::simd_from(simd, mean);
    let mut sum = T::Wide::<S>::simd_from(simd, T::ZERO);
    let mut at = 0;
    while at < whole {
        let centred = load::<S, T::Wide<S>>(simd, x, at) - means;
        let other = match g {
            Some(g) => load(simd, g, at),
            None => centred,
        };
        sum = fused(simd, centred, other, sum);
        at += lanes;
    }
    for at in whole..x.len() {
        // One lane each, as a vector's part would.
        let centred = x[at] - mean;
        let other = match g {
            Some(g) => g[at],
            None => centred,
        };
        let lane = &mut sum.as_mut_slice()[at - whole];
        *lane = centred.mul_add(other, *lane);
    }
    sum_lanes(sum)
}

/// `factor g + scale (x − mean) + shift`.
#[inline(always)]
fn combine<S: Simd, T: Element>(
    simd: S,
    x: &[T],
    constants: [T; 3],
    gradient: Option<(&[T], T)>,
    y: &mut [T],
) {
    let lanes = T::Wide::<S>::LEN;
    let whole = x.len() / lanes * lanes;
    let [mean, scale, shift] = [
        T::Wide::<S>::simd_from(simd, constants[0]),
        T::Wide::<S>::simd_from(simd, constants[1]),
        T::Wide::<S>::simd_from(simd, constants[2]),
    ];
    let mut at = 0;
    while at < x.len() {
        let len = if at < whole { lanes } else { x.len() - whole };
        let numbers: T::Wide<S> =
            if len == lanes { load(simd, x, at) } else { load_part(simd, x, at, len) };
        let mut result = fused(simd, numbers - mean, scale, shift);
        if let Some((g, factor)) = gradient {
            let g = if len == lanes { load(simd, g, at) } else { load_part(simd, g, at, len) };
            result = fused(simd, g, T::Wide::<S>::simd_from(simd, factor), result);
        }
        if len == lanes {
            store(result, y, at);
        } else {
            y[at..].copy_from_slice(&result.as_slice()[..len]);
        }
        at += len;
    }
}
