//! Products of matrices and vectors, all row-major.
//!
//! With `X (N, I)`, weights `W (O, I)` and outputs `Y (N, O)` these are the passes of a dense
//! layer: `Y = X Wᵀ + b`, `∂E/∂X = G W`, `∂E/∂W = Gᵀ X`. Any size may be 0; an empty sum is 0.

use fearless_simd::{Simd, SimdBase, SimdFrom};

use crate::dots::Dots;
use crate::element::kernels::per_element;
use crate::microkernel::{Grid, Offset, Product, multiply, multiply_narrow};
use crate::packing::{pack, packed_len};
use crate::simd::{Kernel, SimdRegisters};
use crate::threads::{self, Divide};
use crate::vector::{Whole, fused, load, load_partial, store};
use crate::{Element, Scratch};

/// `C = A Bᵀ + bias`, the bias added to each row of `C`.
///
/// # Shapes
/// `a (N, I)`, `b (O, I)`, `bias (O)` or none, `c (N, O)`.
///
/// # Panics
/// If the length of a slice is not that of its shape.
#[track_caller]
pub fn multiply_transposed<T: Element>(
    a: &[T],
    b: &[T],
    bias: Option<&[T]>,
    c: &mut [T],
    [n, i, o]: [usize; 3],
    scratch: &Scratch<T>,
) {
    assert_eq!((a.len(), b.len(), c.len()), (n * i, o * i, n * o), "A, B and C: lengths");
    assert!(bias.is_none_or(|bias| bias.len() == o), "bias: expected {o} numbers");
    let parts = threads::parts(work([n, i, o]), scratch.threads());
    let operation = Dots { a, b, bias, c, n, i, o };
    threads::run_divided(operation, parts, Dots::launch);
}

/// `y = W x + bias`.
///
/// # Shapes
/// `weights (O, I)`, `x (I)`, `bias (O)` or none, `y (O)`.
///
/// # Panics
/// If the length of a slice is not that of its shape.
#[track_caller]
pub fn multiply_vector<T: Element>(
    weights: &[T],
    x: &[T],
    bias: Option<&[T]>,
    y: &mut [T],
    scratch: &Scratch<T>,
) {
    let shape = [1, x.len(), y.len()];
    multiply_transposed(x, weights, bias, y, shape, scratch);
}

/// `C = A B`.
///
/// # Shapes
/// `a (N, R)`, `b (R, P)`, `c (N, P)`.
///
/// # Panics
/// If the length of a slice is not that of its shape.
#[track_caller]
pub fn multiply_matrix<T: Element>(
    a: &[T],
    b: &[T],
    c: &mut [T],
    [n, r, p]: [usize; 3],
    scratch: &mut Scratch<T>,
) {
    assert_eq!((a.len(), b.len(), c.len()), (n * r, r * p, n * p), "A, B and C: lengths");
    rows_product((a, [r, 1]), b, c, [n, r, p], scratch);
}

/// `C = Aᵀ B`.
///
/// # Shapes
/// `a (R, N)`, `b (R, P)`, `c (N, P)`.
///
/// # Panics
/// If the length of a slice is not that of its shape.
#[track_caller]
pub fn multiply_from_transposed<T: Element>(
    a: &[T],
    b: &[T],
    c: &mut [T],
    [r, n, p]: [usize; 3],
    scratch: &mut Scratch<T>,
) {
    assert_eq!((a.len(), b.len(), c.len()), (r * n, r * p, n * p), "A, B and C: lengths");
    rows_product((a, [1, n]), b, c, [n, r, p], scratch);
}

/// How many numbers and indices of scratch memory [`multiply_matrix`] and
/// [`multiply_from_transposed`] take on `threads` threads for the product of `(N, R)` and `(R, P)`.
/// The other products take none.
pub fn scratch([n, r, p]: [usize; 3], threads: usize) -> [usize; 2] {
    threads::rooms(threads::parts(work([n, r, p]), threads), [packed_len(n, r), r])
}

/// Multiply-adds of a product.
fn work(sizes: [usize; 3]) -> usize {
    sizes.iter().fold(1, |work: usize, &size| work.saturating_mul(size))
}

fn rows_product<T: Element>(
    (a, a_strides): (&[T], [usize; 2]),
    b: &[T],
    c: &mut [T],
    [n, r, p]: [usize; 3],
    scratch: &mut Scratch<T>,
) {
    if p == 0 || n == 0 || r == 0 {
        c.fill(T::ZERO);
        return;
    }
    let parts = threads::parts(work([n, r, p]), scratch.threads());
    let (numbers, taps) = scratch.take(self::scratch([n, r, p], scratch.threads()));
    let operation = RowsProduct { a, a_strides, b, c, n, r, p, numbers, taps };
    threads::run_divided(operation, parts, RowsProduct::launch);
}

/// A rank-one update, with the product with the transpose in the same pass over `W`: `y = Wᵀ g`,
/// then `W ← W − rate · g xᵀ`.
///
/// The bits are those of [`multiply_matrix`] for `y`, followed by a step of gradient descent with
/// the rounded gradient `g xᵀ`.
///
/// # Shapes
/// `weights (O, I)`, `g (O)`, `x (I)`, `y (I)` or none.
///
/// # Panics
/// If the length of a slice is not that of its shape.
#[track_caller]
pub fn rank_one_step<T: Element>(
    weights: &mut [T],
    g: &[T],
    x: &[T],
    rate: T,
    y: Option<&mut [T]>,
) {
    assert_eq!(weights.len(), g.len() * x.len(), "W: length");
    assert!(y.as_ref().is_none_or(|y| y.len() == x.len()), "y: expected {} numbers", x.len());
    Update { weights, g, x, rate, y }.launch();
}

/// `c[n][p] = Σ_r a[n · a_strides[0] + r · a_strides[1]] · b[r][p]`.
pub struct RowsProduct<'a, T> {
    a: &'a [T],
    a_strides: [usize; 2],
    b: &'a [T],
    c: &'a mut [T],
    n: usize,
    r: usize,
    p: usize,
    numbers: &'a mut [T],
    taps: &'a mut [usize],
}

impl<T: Element> Divide for RowsProduct<'_, T> {
    /// By rows of `C`.
    fn divide(self, left: usize, parts: usize) -> Result<(Self, Self), Self> {
        let Self { a, a_strides, b, n, r, p, .. } = self;
        let Some(cut) = threads::cut(n, left, parts, 2) else { return Err(self) };
        let c = self.c.split_at_mut(cut * p);
        let numbers = self.numbers.split_at_mut(self.numbers.len() * left / parts);
        let taps = self.taps.split_at_mut(self.taps.len() * left / parts);
        let part =
            |a, c, n, numbers, taps| RowsProduct { a, a_strides, b, c, n, r, p, numbers, taps };
        Ok((
            part(a, c.0, cut, numbers.0, taps.0),
            part(&a[cut * a_strides[0]..], c.1, n - cut, numbers.1, taps.1),
        ))
    }
}

per_element!(RowsProduct);

impl<T: Element> Kernel for RowsProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { a, a_strides, b, n, r, p, .. } = self;
        if p < T::Narrow::<S>::LEN {
            for (row, c) in self.c.chunks_exact_mut(p).enumerate() {
                for (column, c) in c.iter_mut().enumerate() {
                    *c = (0..r).fold(T::ZERO, |sum, k| {
                        b[k * p + column].mul_add(a[row * a_strides[0] + k * a_strides[1]], sum)
                    });
                }
            }
            return;
        }
        let taps = &mut self.taps[..r];
        for (k, tap) in taps.iter_mut().enumerate() {
            *tap = k * p;
        }
        let packed = &mut self.numbers[..packed_len(n, r)];
        pack(simd, [n, r], packed, |row, column, size| {
            let a = &a[row * a_strides[0]..];
            for k in 0..r {
                column[k * size] = a[k * a_strides[1]];
            }
        });
        let product = Product {
            rows: n,
            packed,
            input: b,
            taps,
            grid: Grid::line(p),
            output_stride: p,
            packed_taps: [0, r],
            continues: false,
            offset: Offset::None,
        };
        if S::LARGE && p >= T::Wide::<S>::LEN {
            multiply::<S, T, Whole<T::Wide<S>>>(simd, &product, self.c);
        } else {
            multiply_narrow(simd, &product, self.c);
        }
    }
}

/// See [`rank_one_step`].
pub struct Update<'a, T> {
    weights: &'a mut [T],
    g: &'a [T],
    x: &'a [T],
    rate: T,
    y: Option<&'a mut [T]>,
}

per_element!(Update);

impl<T: Element> Kernel for Update<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        if let Some(y) = &mut self.y {
            y.fill(T::ZERO);
        }
        let mut first = 0;
        while first < self.g.len() {
            first += if self.g.len() - first >= 4 {
                self.rows::<S, 4>(simd, first)
            } else {
                self.rows::<S, 1>(simd, first)
            };
        }
    }
}

impl<T: Element> Update<'_, T> {
    /// The rows from `first` on, `M` at a time, so that `y` is read and written less often.
    #[inline(always)]
    fn rows<S: Simd, const M: usize>(&mut self, simd: S, first: usize) -> usize {
        let lanes = T::Wide::<S>::LEN;
        let len = self.x.len();
        let whole = len / lanes * lanes;
        let rate = T::Wide::<S>::simd_from(simd, -self.rate);
        let mut g = [T::Wide::<S>::simd_from(simd, T::ZERO); M];
        for m in 0..M {
            g[m] = T::Wide::<S>::simd_from(simd, self.g[first + m]);
        }
        let rows = &mut self.weights[first * len..(first + M) * len];
        let mut at = 0;
        while at < whole {
            let x: T::Wide<S> = load(simd, self.x, at);
            let mut sum = match &self.y {
                Some(y) => load(simd, y, at),
                None => T::Wide::<S>::simd_from(simd, T::ZERO),
            };
            for m in 0..M {
                let weight: T::Wide<S> = load(simd, rows, m * len + at);
                sum = fused(simd, weight, g[m], sum);
                store(fused(simd, g[m] * x, rate, weight), rows, m * len + at);
            }
            if let Some(y) = &mut self.y {
                store(sum, y, at);
            }
            at += lanes;
        }
        if whole < len {
            let rest = len - whole;
            let x: T::Wide<S> = load_partial(simd, self.x, whole, rest);
            let mut sum = match &self.y {
                Some(y) => load_partial(simd, y, whole, rest),
                None => T::Wide::<S>::simd_from(simd, T::ZERO),
            };
            for m in 0..M {
                let weight: T::Wide<S> = load_partial(simd, rows, m * len + whole, rest);
                sum = fused(simd, weight, g[m], sum);
                let next = fused(simd, g[m] * x, rate, weight);
                rows[m * len + whole..][..rest].copy_from_slice(&next.as_slice()[..rest]);
            }
            if let Some(y) = &mut self.y {
                y[whole..].copy_from_slice(&sum.as_slice()[..rest]);
            }
        }
        M
    }
}
