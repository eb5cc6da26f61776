//! Sums in a fixed order.

use fearless_simd::{Simd, SimdBase, SimdFrom};

use crate::matrix::multiply_vector;
use crate::microkernel::{load, load_part, store, sum_lanes};
use crate::simd::Kernel;
use crate::{Element, Scratch};

/// `Σ a_i b_i` with 16 lanes of 32 bits (or 8 of 64), added by halves.
///
/// # Panics
/// If the slices differ in length.
#[track_caller]
pub fn dot<T: Element>(a: &[T], b: &[T]) -> T {
    let mut sum = [T::ZERO];
    multiply_vector(a, b, None, &mut sum, &Scratch::sequential());
    sum[0]
}

/// Adds to each element of `sums` the sum of its row of `x (O, I)`.
///
/// # Panics
/// If `x.len() != sums.len() · row`.
#[track_caller]
pub fn add_row_sums<T: Element>(x: &[T], row: usize, sums: &mut [T]) {
    assert_eq!(x.len(), sums.len() * row, "add_row_sums: length");
    T::row_sums(RowSums { x, row, sums });
}

/// See [`add_row_sums`].
pub struct RowSums<'a, T> {
    x: &'a [T],
    row: usize,
    sums: &'a mut [T],
}

impl<T: Element> Kernel for RowSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let lanes = T::Wide::<S>::LEN;
        let whole = self.row / lanes * lanes;
        for (row, sum) in self.x.chunks_exact(self.row).zip(self.sums) {
            let mut vector = T::Wide::<S>::simd_from(simd, T::ZERO);
            let mut at = 0;
            while at < whole {
                vector += load::<S, T::Wide<S>>(simd, row, at);
                at += lanes;
            }
            if whole < row.len() {
                vector += load_part::<S, T::Wide<S>>(simd, row, whole, row.len() - whole);
            }
            *sum += sum_lanes(vector);
        }
    }
}

/// The sum of the numbers in `f64`, in order.
pub fn sum<T: Element>(x: &[T]) -> f64 {
    x.iter().map(|x| x.to_f64()).sum()
}

/// The place of the largest number; the first of several. None if there is no number, or a
/// NaN among them: nobody knows what it would have been.
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

/// `sum[i] = Σ_s parts[s · stride + at + i]`, added pairwise in a fixed tree:
/// `((0 + 1) + (2 + 3)) + …`, a rest that is no power of two last.
///
/// # Panics
/// If `parts` is too short for `count` parts.
#[track_caller]
pub fn sum_parts<T: Element>(parts: &[T], [count, stride]: [usize; 2], at: usize, sum: &mut [T]) {
    let end = if count == 0 { 0 } else { (count - 1) * stride + at + sum.len() };
    assert!(at + sum.len() <= stride && end <= parts.len(), "sum_parts: {count} parts of {stride}");
    T::tree_sum(TreeSum { parts, count, stride, at, sum });
}

/// See [`sum_parts`].
pub struct TreeSum<'a, T> {
    parts: &'a [T],
    count: usize,
    stride: usize,
    at: usize,
    sum: &'a mut [T],
}

impl<T: Element> Kernel for TreeSum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let lanes = T::Wide::<S>::LEN;
        let len = self.sum.len();
        let whole = len / lanes * lanes;
        // Bit b of `filled` says that `levels[b]` is the sum of 2^b parts. What a level
        // holds before is never read, so the array is made once: making it for every
        // vector took half of the time.
        let mut levels = [T::Wide::<S>::simd_from(simd, T::ZERO); usize::BITS as usize];
        let mut at = 0;
        while at < len {
            let width = if at < whole { lanes } else { len - whole };
            let (mut filled, mut part) = (0_usize, 0);
            while part < self.count {
                // Four parts at a time stay in registers.
                let (mut sum, mut level) = if part + 4 <= self.count {
                    let left =
                        self.part(simd, part, at, width) + self.part(simd, part + 1, at, width);
                    let right = self.part(simd, part + 2, at, width);
                    (left + (right + self.part(simd, part + 3, at, width)), 2)
                } else {
                    (self.part(simd, part, at, width), 0)
                };
                part += 1 << level;
                while filled >> level & 1 == 1 {
                    sum = levels[level] + sum;
                    level += 1;
                }
                levels[level] = sum;
                filled = part;
            }
            let mut sum = T::Wide::<S>::simd_from(simd, T::ZERO);
            let mut any = false;
            for level in 0..usize::BITS as usize - filled.leading_zeros() as usize {
                if filled >> level & 1 == 1 {
                    sum = if any { levels[level] + sum } else { levels[level] };
                    any = true;
                }
            }
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
    /// The `width` numbers at `at` of a part, a whole vector or less.
    #[inline(always)]
    fn part<S: Simd>(&self, simd: S, part: usize, at: usize, width: usize) -> T::Wide<S> {
        let place = part * self.stride + self.at + at;
        if width == T::Wide::<S>::LEN {
            load(simd, self.parts, place)
        } else {
            load_part(simd, self.parts, place, width)
        }
    }
}
