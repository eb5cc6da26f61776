//! Vectors whose numbers lie side by side in memory, or in two pieces.

use std::marker::PhantomData;

use fearless_simd::{Simd, SimdBase, SimdCombine, SimdFloat, SimdSplit};

use crate::Element;
use crate::microkernel::{load, load_part, store, sum_lanes};

/// How the lanes of a vector of positions lie in memory: in pieces of neighbours.
pub(crate) trait Lanes<S: Simd, T: Element> {
    /// What is computed with.
    type Vector: SimdFloat<S, Element = T>;
    /// Lanes of a piece.
    const LEN: usize;
    /// Pieces of a vector, one or two.
    const PIECES: usize;

    /// The vector whose pieces are at `at` in the views; one piece is in the first.
    fn load(simd: S, views: [&[T]; 2], at: usize) -> Self::Vector;
    /// Of each piece the first `len < LEN` lanes, the others zero.
    fn load_part(simd: S, views: [&[T]; 2], at: usize, len: usize) -> Self::Vector;
    /// Writes the pieces to their places; one piece to the first.
    fn store(vector: Self::Vector, numbers: &mut [T], at: [usize; 2]);
    /// The sums of the pieces' lanes, by halves; of one piece the first.
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
    fn load_part(simd: S, [view, _]: [&[V::Element]; 2], at: usize, len: usize) -> V {
        load_part(simd, view, at, len)
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

/// A vector of 512 bits in two halves: rows that are too short for whole ones, or would
/// waste lanes, are still multiplied with all lanes.
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
    fn load_part(simd: S, [low, high]: [&[T]; 2], at: usize, len: usize) -> T::Wide<S> {
        let low: T::Narrow<S> = load_part(simd, low, at, len);
        low.combine(load_part::<S, T::Narrow<S>>(simd, high, at, len))
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
