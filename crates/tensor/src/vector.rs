//! What kernels do with vectors: load and store them, multiply and add, sum their lanes.

use std::marker::PhantomData;

use fearless_simd::{Simd, SimdBase, SimdCombine, SimdFloat, SimdFrom, SimdSplit};

use crate::Element;
use crate::simd::SimdRegisters;

/// The vector at `at` in `numbers`.
#[inline(always)]
pub(crate) fn load<S: Simd, V: SimdBase<S>>(simd: S, numbers: &[V::Element], at: usize) -> V {
    V::from_slice(simd, &numbers[at..at + V::LEN])
}

/// The first `len < LEN` lanes from `at` in `numbers`, the others zero.
#[inline(always)]
pub(crate) fn load_partial<S: Simd, V>(simd: S, numbers: &[V::Element], at: usize, len: usize) -> V
where
    V: SimdFloat<S, Element: Element>,
{
    let mut vector = V::simd_from(simd, V::Element::ZERO);
    vector.as_mut_slice()[..len].copy_from_slice(&numbers[at..at + len]);
    vector
}

/// The vector that starts with the `rest` numbers at `at`; the other lanes are those that follow,
/// or zero.
#[inline(always)]
pub(crate) fn load_rest<S: Simd, T: Element>(
    simd: S,
    numbers: &[T],
    at: usize,
    rest: usize,
) -> T::Wide<S> {
    if at + T::Wide::<S>::LEN <= numbers.len() {
        load(simd, numbers, at)
    } else {
        load_partial(simd, numbers, at, rest)
    }
}

/// Writes `vector` at `at` in `numbers`.
#[inline(always)]
pub(crate) fn store<S: Simd, V: SimdBase<S>>(vector: V, numbers: &mut [V::Element], at: usize) {
    vector.store_slice(&mut numbers[at..at + V::LEN]);
}

/// `a · b + c`, rounded once.
///
/// Where the processor has no instruction for it, it takes some thirty, too many to inline in each
/// place: there it is a call.
#[inline(always)]
pub(crate) fn fused<S: Simd, V: SimdFloat<S>>(_: S, a: V, b: V, c: V) -> V {
    #[inline(never)]
    fn emulated<S: Simd, V: SimdFloat<S>>(a: V, b: V, c: V) -> V {
        a.mul_add_precise(b, c)
    }
    if S::LARGE || S::MEDIUM { a.mul_add_precise(b, c) } else { emulated(a, b, c) }
}

/// The sum of the lanes, by halves: lane `i` and lane `i + LEN/2`, and so on.
#[inline(always)]
pub(crate) fn sum_lanes<S: Simd, V: SimdFloat<S, Element: Element>>(vector: V) -> V::Element {
    let mut sum = vector;
    if V::LEN >= 16 {
        sum = sum + sum.slide::<8>(sum);
    }
    if V::LEN >= 8 {
        sum = sum + sum.slide::<4>(sum);
    }
    sum = sum + sum.slide::<2>(sum);
    sum = sum + sum.slide::<1>(sum);
    sum.as_slice()[0]
}

/// [`sum_lanes`] of four vectors with fewer shuffles: each step halves the lanes of two vectors at
/// once.
#[inline(always)]
pub(crate) fn sums_of_four<S: Simd, V: SimdFloat<S, Element: Element>>(
    [a, b, c, d]: [V; 4],
) -> [V::Element; 4] {
    #[inline(always)]
    fn halve<S: Simd, V: SimdFloat<S>>(a: V, b: V) -> V {
        let (low, high) = a.interleave(b);
        low + high
    }
    // From here on, lane 4 · i + n is lane i of vector n.
    let mut sum = halve(halve(a, c), halve(b, d));
    if V::LEN >= 16 {
        sum = sum + sum.slide::<8>(sum);
    }
    if V::LEN >= 8 {
        sum = sum + sum.slide::<4>(sum);
    }
    let sums = sum.as_slice();
    [sums[0], sums[1], sums[2], sums[3]]
}

/// Applies a function of single vectors to the numbers at each index: `N` numbers are changed, `R`
/// are only read.
///
/// Where `changed` ends in a part of a vector, the other lanes of all are zero.
///
/// # Panics
/// If a slice is shorter than the first of `changed`.
#[inline(always)]
pub(crate) fn for_each_vector<S: Simd, T: Element, const N: usize, const R: usize>(
    simd: S,
    changed: [&mut [T]; N],
    read: [&[T]; R],
    f: impl Fn([T::Wide<S>; N], [T::Wide<S>; R]) -> [T::Wide<S>; N],
) {
    let (lanes, len) = (T::Wide::<S>::LEN, changed[0].len());
    let (whole, zero) = (len / lanes * lanes, T::Wide::<S>::simd_from(simd, T::ZERO));
    let (mut old, mut others, mut at) = ([zero; N], [zero; R], 0);
    while at < whole {
        for n in 0..N {
            old[n] = load(simd, changed[n], at);
        }
        for r in 0..R {
            others[r] = load(simd, read[r], at);
        }
        let new = f(old, others);
        for n in 0..N {
            store(new[n], changed[n], at);
        }
        at += lanes;
    }
    let rest = len - whole;
    if rest > 0 {
        for n in 0..N {
            old[n] = load_partial(simd, changed[n], whole, rest);
        }
        for r in 0..R {
            others[r] = load_partial(simd, read[r], whole, rest);
        }
        let new = f(old, others);
        for n in 0..N {
            changed[n][whole..].copy_from_slice(&new[n].as_slice()[..rest]);
        }
    }
}

/// The numbers from each start on, all views of the same length: one bounds check serves all of
/// them.
#[inline(always)]
pub(crate) fn views<T, const N: usize>(numbers: &[T], starts: [usize; N]) -> [&[T]; N] {
    let [views] = groups_of_views(numbers, [starts]);
    views
}

/// [`views`] in `P` groups.
#[inline(always)]
pub(crate) fn groups_of_views<T, const N: usize, const P: usize>(
    numbers: &[T],
    starts: [[usize; N]; P],
) -> [[&[T]; N]; P] {
    let mut last = 0;
    for p in 0..P {
        for n in 0..N {
            last = last.max(starts[p][n]);
        }
    }
    let len = numbers.len() - last;
    let mut views = [[numbers; N]; P];
    for p in 0..P {
        for n in 0..N {
            views[p][n] = &numbers[starts[p][n]..][..len];
        }
    }
    views
}

/// How the lanes of a vector of positions lie in memory: in pieces of neighbouring numbers.
pub(crate) trait Lanes<S: Simd, T: Element> {
    /// The vector used for computing.
    type Vector: SimdFloat<S, Element = T>;
    /// Lanes of a piece.
    const LEN: usize;
    /// The pieces of a vector: one or two.
    const PIECES: usize;

    /// The vector whose pieces are at `at` in the views; a single piece is in the first view.
    fn load(simd: S, views: [&[T]; 2], at: usize) -> Self::Vector;
    /// The first `len < LEN` lanes of each piece, the others zero.
    fn load_partial(simd: S, views: [&[T]; 2], at: usize, len: usize) -> Self::Vector;
    /// Writes the pieces to their places; a single piece to the first.
    fn store(vector: Self::Vector, numbers: &mut [T], at: [usize; 2]);
    /// The sums of each piece's lanes, by halves; for a single piece, the first.
    fn sums(vector: Self::Vector) -> [T; 2];
}

/// All lanes side by side.
pub(crate) struct Whole<V>(PhantomData<V>);

impl<S: Simd, V: SimdFloat<S, Element: Element>> Lanes<S, V::Element> for Whole<V> {
    type Vector = V;
    const LEN: usize = V::LEN;
    const PIECES: usize = 1;

    #[inline(always)]
    fn load(simd: S, [view, _]: [&[V::Element]; 2], at: usize) -> V {
        load(simd, view, at)
    }

    #[inline(always)]
    fn load_partial(simd: S, [view, _]: [&[V::Element]; 2], at: usize, len: usize) -> V {
        load_partial(simd, view, at, len)
    }

    #[inline(always)]
    fn store(vector: V, numbers: &mut [V::Element], [at, _]: [usize; 2]) {
        store(vector, numbers, at);
    }

    #[inline(always)]
    fn sums(vector: V) -> [V::Element; 2] {
        [sum_lanes(vector), V::Element::ZERO]
    }
}

/// A vector of 512 bits in two halves: rows that are too short for whole vectors, or would waste
/// lanes of them, still use all lanes.
pub(crate) struct Halves<T>(PhantomData<T>);

impl<S: Simd, T: Element> Lanes<S, T> for Halves<T> {
    type Vector = T::Wide<S>;
    const LEN: usize = T::Narrow::<S>::LEN;
    const PIECES: usize = 2;

    #[inline(always)]
    fn load(simd: S, [low, high]: [&[T]; 2], at: usize) -> T::Wide<S> {
        let low: T::Narrow<S> = load(simd, low, at);
        low.combine(load::<S, T::Narrow<S>>(simd, high, at))
    }

    #[inline(always)]
    fn load_partial(simd: S, [low, high]: [&[T]; 2], at: usize, len: usize) -> T::Wide<S> {
        let low: T::Narrow<S> = load_partial(simd, low, at, len);
        low.combine(load_partial::<S, T::Narrow<S>>(simd, high, at, len))
    }

    #[inline(always)]
    fn store(vector: T::Wide<S>, numbers: &mut [T], at: [usize; 2]) {
        let (low, high) = vector.split();
        store(low, numbers, at[0]);
        store(high, numbers, at[1]);
    }

    #[inline(always)]
    fn sums(vector: T::Wide<S>) -> [T; 2] {
        let (low, high) = vector.split();
        [sum_lanes(low), sum_lanes(high)]
    }
}
