//! Sums of many numbers, all in the same order.
//!
//! Numbers lie in rows, and each row is divided into blocks of 64 vectors. The vectors of a block
//! are dealt to four sums in turn, the numbers after a row's whole vectors go to the last of them,
//! and the four are added in pairs. Blocks, row by row, are added pairwise in a tree, with what
//! exceeds a power of two last. The lanes of the resulting vector are added by halves.
//!
//! So each number goes through `16 + 2 + log₂ blocks + 4` additions, and the error of a sum is at
//! most half of that in units of `ε Σ|x|`, however many numbers there are. The readable twin is
//! [`reference::sum`](crate::reference::sum).

use std::ops::Add;

use fearless_simd::{Select, Simd, SimdBase, SimdFrom};

use crate::Element;
use crate::vector::{load, load_rest, sum_lanes};

/// Pairwise sums in a tree, `((0 + 1) + (2 + 3)) + …`, `N` sums side by side.
#[derive(Clone, Debug)]
pub(crate) struct Tree<V, const N: usize> {
    /// If bit b of `filled` is set, `levels[b]` is the sum of 2^b addends. Other levels are never
    /// read, so one tree serves many sums; making it would take longer than some of them.
    levels: [[V; N]; LEVELS],
    filled: usize,
}

const LEVELS: usize = usize::BITS as usize;

impl<V: Copy + Add<Output = V>, const N: usize> Tree<V, N> {
    #[inline(always)]
    pub(crate) fn new(zero: V) -> Self {
        Self { levels: [[zero; N]; LEVELS], filled: 0 }
    }

    /// Adds a sum of `2^level` addends; the number of addends before it must be a multiple of that.
    #[inline(always)]
    pub(crate) fn add(&mut self, mut sum: [V; N], mut level: usize) {
        let addends = 1 << level;
        while self.filled >> level & 1 == 1 {
            sum = both(self.levels[level], sum);
            level += 1;
        }
        self.levels[level] = sum;
        self.filled += addends;
    }

    /// The sum; `None` if nothing was added.
    #[inline(always)]
    pub(crate) fn sum(&self) -> Option<[V; N]> {
        let mut sum = None;
        for level in 0..LEVELS - self.filled.leading_zeros() as usize {
            if self.filled >> level & 1 == 1 {
                let left = self.levels[level];
                sum = Some(match sum {
                    Some(right) => both(left, right),
                    None => left,
                });
            }
        }
        sum
    }

    /// How many addends it has, and the sums of the parts of the tree that are whole, the largest
    /// part first: what [`Tree::restore`] needs to go on.
    pub(crate) fn parts(&self) -> (usize, Vec<[V; N]>) {
        let filled = (0..LEVELS).rev().filter(|level| self.filled >> level & 1 == 1);
        (self.filled, filled.map(|level| self.levels[level]).collect())
    }

    /// Sets it to a tree with these [`Tree::parts`]; `None` if they are not as many as this number
    /// of addends has.
    pub(crate) fn restore(zero: V, addends: usize, parts: &[[V; N]]) -> Option<Self> {
        if parts.len() != addends.count_ones() as usize {
            return None;
        }
        let mut tree = Self { levels: [[zero; N]; LEVELS], filled: addends };
        let filled = (0..LEVELS).rev().filter(|level| addends >> level & 1 == 1);
        filled.zip(parts).for_each(|(level, part)| tree.levels[level] = *part);
        Some(tree)
    }

    /// Resets it to a tree without addends.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.filled = 0;
    }
}

#[inline(always)]
fn both<V: Copy + Add<Output = V>, const N: usize>(left: [V; N], right: [V; N]) -> [V; N] {
    let mut sum = left;
    for n in 0..N {
        sum[n] = left[n] + right[n];
    }
    sum
}

/// Rows of numbers that are summed together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    /// The start of the first row, and the distance between neighbouring rows.
    pub(crate) first: usize,
    pub(crate) pitch: usize,
    pub(crate) count: usize,
    pub(crate) len: usize,
}

/// The `N` terms of each number that are summed.
pub(crate) trait Terms<S: Simd, T: Element, const N: usize>: Copy {
    /// The sums with the terms of the numbers `[x, g]` added.
    fn added_to(self, simd: S, sums: [T::Wide<S>; N], numbers: [T::Wide<S>; 2]) -> [T::Wide<S>; N];
}

/// The term `x`.
#[derive(Clone, Copy)]
pub(crate) struct Numbers;

impl<S: Simd, T: Element> Terms<S, T, 1> for Numbers {
    #[inline(always)]
    fn added_to(self, _: S, [sum]: [T::Wide<S>; 1], [x, _]: [T::Wide<S>; 2]) -> [T::Wide<S>; 1] {
        [sum + x]
    }
}

/// Vectors of a block, and the number of sums that they are dealt to: with one sum, each addition
/// would wait for the one before.
const BLOCK: usize = 64;
const DEALT: usize = 4;

/// The sums of the terms of all numbers in the rows of `x` and `g`.
#[inline(always)]
pub(crate) fn sums<S: Simd, T: Element, const N: usize>(
    simd: S,
    [x, g]: [&[T]; 2],
    rows: Rows,
    terms: impl Terms<S, T, N>,
    tree: &mut Tree<T::Wide<S>, N>,
) -> [T; N] {
    let lanes = T::Wide::<S>::LEN;
    let rest = rows.len % lanes;
    let (whole, zero) = (rows.len - rest, T::Wide::<S>::simd_from(simd, T::ZERO));
    let mut ones = zero;
    ones.as_mut_slice()[..rest].fill(T::ONE);
    let used = ones.simd_gt(zero);
    tree.clear();
    // The sums of up to three blocks that are not yet in the tree: two in `pair`, one in `last`.
    let (mut waiting, mut pair, mut last) = (0, [zero; N], [zero; N]);
    for row in 0..rows.count {
        let start = rows.first + row * rows.pitch;
        let (x, g) = (&x[start..], &g[start..]);
        let mut at = 0;
        while at < rows.len {
            let end = rows.len.min(at + BLOCK * lanes);
            let whole = whole.min(end);
            let mut dealt = whole_vectors(simd, [&x[at..whole], &g[at..whole]], terms);
            if whole < end {
                let numbers = [load_rest(simd, x, whole, rest), load_rest(simd, g, whole, rest)];
                let added = terms.added_to(simd, dealt[DEALT - 1], numbers);
                for n in 0..N {
                    dealt[DEALT - 1][n] = used.select(added[n], dealt[DEALT - 1][n]);
                }
            }
            at = end;
            let [a, b, c, d] = dealt;
            let block = both(both(a, b), both(c, d));
            match waiting {
                0 => pair = block,
                1 => pair = both(pair, block),
                2 => last = block,
                _ => tree.add(both(pair, both(last, block)), 2),
            }
            waiting = (waiting + 1) % 4;
        }
    }
    if waiting > 0 {
        tree.add(pair, usize::from(waiting > 1));
    }
    if waiting > 2 {
        tree.add(last, 0);
    }
    let mut totals = [T::ZERO; N];
    if let Some(sums) = tree.sum() {
        for n in 0..N {
            totals[n] = sum_lanes(sums[n]);
        }
    }
    totals
}

/// The whole vectors of a block, dealt to four sums.
#[inline(always)]
fn whole_vectors<S: Simd, T: Element, const N: usize>(
    simd: S,
    [x, g]: [&[T]; 2],
    terms: impl Terms<S, T, N>,
) -> [[T::Wide<S>; N]; DEALT] {
    let lanes = T::Wide::<S>::LEN;
    let mut dealt = [[T::Wide::<S>::simd_from(simd, T::ZERO); N]; DEALT];
    let mut at = 0;
    while at + DEALT * lanes <= x.len() {
        let (x, g) = (&x[at..at + DEALT * lanes], &g[at..at + DEALT * lanes]);
        for k in 0..DEALT {
            let numbers = [load(simd, x, k * lanes), load(simd, g, k * lanes)];
            dealt[k] = terms.added_to(simd, dealt[k], numbers);
        }
        at += DEALT * lanes;
    }
    for k in 0..DEALT - 1 {
        if at < x.len() {
            let numbers = [load(simd, x, at), load(simd, g, at)];
            dealt[k] = terms.added_to(simd, dealt[k], numbers);
            at += lanes;
        }
    }
    dealt
}
