//! Sums in a fixed order.

use fearless_simd::{Simd, SimdBase, SimdFrom};

use crate::element::kernels::per_element;
use crate::matrix::multiply_vector;
use crate::simd::Kernel;
use crate::sums::{Numbers, Rows, Tree, sums};
use crate::vector::{load, load_partial, store};
use crate::{Element, Scratch};

/// `Σ a_i b_i` with 16 lanes of 32 bits (or 8 of 64), which are added by halves.
///
/// It is the matrix product of two rows, not a tree: for `n` numbers of 32 bits the error is at
/// most `(n / 32 + 2) ε Σ |a_i b_i|`.
///
/// # Panics
/// If the slices differ in length.
#[track_caller]
pub fn dot<T: Element>(a: &[T], b: &[T]) -> T {
    let mut sum = [T::ZERO];
    multiply_vector(a, b, None, &mut sum, &Scratch::sequential());
    sum[0]
}

/// Adds to each element of `sums (O)` the sum of its row of `x (O, row)`, in the order of
/// [`reference::sum`](crate::reference::sum).
///
/// # Panics
/// If `x.len() != sums.len() · row`.
#[track_caller]
pub fn add_row_sums<T: Element>(x: &[T], row: usize, sums: &mut [T]) {
    assert_eq!(x.len(), sums.len() * row, "add_row_sums: length");
    let rows = |index| Rows { first: index * row, pitch: row, count: 1, len: row };
    RowSums { x, rows: &rows, sums }.launch();
}

/// Writes to each of `sums (C)` the sum of its planes over all samples of `x (N, C, P)`, in the
/// order of [`reference::sum`](crate::reference::sum), with planes as rows.
///
/// # Panics
/// If `x` is not whole samples of `sums.len()` planes.
#[track_caller]
pub fn sum_planes<T: Element>(x: &[T], plane: usize, sums: &mut [T]) {
    let sample = sums.len() * plane;
    let count = x.len().checked_div(sample).unwrap_or(0);
    assert_eq!(x.len(), count * sample, "sum_planes: length, of samples of {sample}");
    sums.fill(T::ZERO);
    let rows = |channel| Rows { first: channel * plane, pitch: sample, count, len: plane };
    RowSums { x, rows: &rows, sums }.launch();
}

/// Sums of rows; `rows` selects those that are added to each of `sums`.
pub struct RowSums<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) rows: &'a dyn Fn(usize) -> Rows,
    pub(crate) sums: &'a mut [T],
}

per_element!(RowSums);

impl<T: Element> Kernel for RowSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { x, rows, sums: results } = self;
        let mut tree = Tree::new(T::Wide::<S>::simd_from(simd, T::ZERO));
        for (index, result) in results.iter_mut().enumerate() {
            let [sum] = sums(simd, [x, x], rows(index), Numbers, &mut tree);
            *result += sum;
        }
    }
}

/// A running sum in `f64`, added pairwise in a tree: its error grows with the logarithm of the
/// number of addends.
#[derive(Clone, Debug)]
pub struct Total(Tree<f64, 1>);

impl Default for Total {
    fn default() -> Self {
        Self(Tree::new(0.0))
    }
}

impl Total {
    /// Adds a number.
    pub fn add(&mut self, number: f64) {
        self.0.add([number], 0);
    }

    /// Resets the sum to that of no numbers.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// How many numbers were added, and the sums of whole parts of the tree, the largest part
    /// first: with them [`Total::restore`] goes on to the same bits.
    pub fn parts(&self) -> (usize, Vec<f64>) {
        let (count, parts) = self.0.parts();
        (count, parts.into_iter().map(|[part]| part).collect())
    }

    /// The sum with these [`Total::parts`]. `None` if there are more or fewer of them than `count`
    /// numbers make: one for each 1 of its binary digits.
    pub fn restore(count: usize, parts: &[f64]) -> Option<Self> {
        let parts: Vec<_> = parts.iter().map(|&part| [part]).collect();
        Tree::restore(0.0, count, &parts).map(Self)
    }

    /// The sum of all numbers; 0 if there are none.
    pub fn value(&self) -> f64 {
        self.0.sum().map_or(0.0, |[sum]| sum)
    }
}

/// The sum of the numbers in `f64`, added as in [`Total`].
pub fn sum<T: Element>(x: &[T]) -> f64 {
    let mut total = Total::default();
    x.iter().for_each(|x| total.add(x.to_f64()));
    total.value()
}

/// The index of the largest number, the first of equal ones. `None` if there are no numbers, or a
/// NaN is among them.
pub fn argmax<T: Element>(x: &[T]) -> Option<usize> {
    let mut best = 0;
    for (place, &value) in x.iter().enumerate() {
        if value.to_f64().is_nan() {
            return None;
        }
        if value > x[best] {
            best = place;
        }
    }
    (!x.is_empty()).then_some(best)
}

/// `sum[i] = Σ_s addends[s · stride + at + i]`, added pairwise in a fixed tree:
/// `((0 + 1) + (2 + 3)) + …`, with what exceeds a power of two last.
///
/// # Panics
/// If `addends` is too short for `count` of them.
#[track_caller]
pub fn sum_pairwise<T: Element>(
    addends: &[T],
    [count, stride]: [usize; 2],
    at: usize,
    sum: &mut [T],
) {
    let end = if count == 0 { 0 } else { (count - 1) * stride + at + sum.len() };
    assert!(
        at + sum.len() <= stride && end <= addends.len(),
        "sum_pairwise: {count} addends of {stride}"
    );
    TreeSum { addends, count, stride, at, sum }.launch();
}

/// See [`sum_pairwise`].
pub struct TreeSum<'a, T> {
    addends: &'a [T],
    count: usize,
    stride: usize,
    at: usize,
    sum: &'a mut [T],
}

per_element!(TreeSum);

impl<T: Element> Kernel for TreeSum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let lanes = T::Wide::<S>::LEN;
        let len = self.sum.len();
        let whole = len / lanes * lanes;
        let zero = T::Wide::<S>::simd_from(simd, T::ZERO);
        let mut tree = Tree::<_, 1>::new(zero);
        let mut at = 0;
        while at < len {
            let width = if at < whole { lanes } else { len - whole };
            tree.clear();
            let mut next = 0;
            while next < self.count {
                // Four addends at a time stay in registers.
                let (sum, level) = if next + 4 <= self.count {
                    let left =
                        self.addend(simd, next, at, width) + self.addend(simd, next + 1, at, width);
                    let right = self.addend(simd, next + 2, at, width);
                    (left + (right + self.addend(simd, next + 3, at, width)), 2)
                } else {
                    (self.addend(simd, next, at, width), 0)
                };
                tree.add([sum], level);
                next += 1 << level;
            }
            let [sum] = tree.sum().unwrap_or([zero]);
            if width == lanes {
                store(sum, self.sum, at);
            } else {
                self.sum[at..].copy_from_slice(&sum.as_slice()[..width]);
            }
            at += width;
        }
    }
}

impl<T: Element> TreeSum<'_, T> {
    /// The `width` numbers at `at` of an addend: a whole vector or a part of one.
    #[inline(always)]
    fn addend<S: Simd>(&self, simd: S, index: usize, at: usize, width: usize) -> T::Wide<S> {
        let place = index * self.stride + self.at + at;
        if width == T::Wide::<S>::LEN {
            load(simd, self.addends, place)
        } else {
            load_partial(simd, self.addends, place, width)
        }
    }
}
