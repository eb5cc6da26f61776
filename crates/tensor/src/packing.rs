//! Weights in the order in which a broadcast product reads them: see
//! [`multiply`](crate::microkernel::multiply).

use fearless_simd::{Simd, SimdBase, SimdFrom};

use crate::Element;
use crate::simd::RegisterFile;
use crate::vector::{load, store, views};

/// The most rows of a block.
pub(crate) const LARGEST_BLOCK: usize = 8;

/// How many rows the next block has, if `rest` rows are left.
#[inline(always)]
pub(crate) fn block<S: Simd>(simd: S, rest: usize) -> usize {
    match (RegisterFile::of(simd), rest) {
        (RegisterFile::Small, _) => 2,
        (_, 1) => 1,
        (_, 2) => 2,
        (_, 3..=4) | (RegisterFile::Medium, _) => 4,
        // Nine as six and three: a block of one row reads as many numbers as it multiplies.
        (_, 5..=6 | 9..=10) => 6,
        _ => 8,
    }
}

/// How many numbers [`pack`] needs for `rows` rows of `taps` weights.
pub(crate) fn packed_len(rows: usize, taps: usize) -> usize {
    rows.next_multiple_of(LARGEST_BLOCK).saturating_mul(taps)
}

/// Writes weights `(rows, taps)` in the order in which a broadcast product reads them: block of
/// rows by block, tap by tap in a block, and the block's rows side by side; zeros where a block is
/// larger than the number of rows left.
///
/// `write(row, column, size)` writes the weight of tap `r` to `column[r · size]`.
#[inline(always)]
pub(crate) fn pack<S: Simd, T: Element>(
    simd: S,
    [rows, taps]: [usize; 2],
    packed: &mut [T],
    write: impl Fn(usize, &mut [T], usize),
) {
    if taps == 0 {
        return;
    }
    for_each_block(simd, rows, |first, size| {
        let panel = &mut packed[first * taps..][..size * taps];
        for m in 0..size {
            let column = &mut panel[m..];
            if first + m < rows {
                write(first + m, column, size);
            } else {
                column.iter_mut().step_by(size).for_each(|weight| *weight = T::ZERO);
            }
        }
    });
}

/// Calls `f(first, size)` for each block of packed rows, whose weights start at `first · taps`.
#[inline(always)]
pub(crate) fn for_each_block<S: Simd>(simd: S, rows: usize, mut f: impl FnMut(usize, usize)) {
    let mut first = 0;
    while first < rows {
        let size = block(simd, rows - first);
        f(first, size);
        first += size;
    }
}

/// [`pack`] for weights that lie row by row: blocks of 2, 4 and 8 rows are transposed in registers,
/// which saves a tenth of the time of one image.
#[inline(always)]
pub(crate) fn pack_rows<S: Simd, T: Element>(
    simd: S,
    weights: &[T],
    [rows, taps]: [usize; 2],
    packed: &mut [T],
) {
    let (mut first, mut at) = (0, 0);
    while first < rows && taps > 0 {
        let size = block(simd, rows - first);
        let used = size.min(rows - first);
        let weights = &weights[first * taps..][..used * taps];
        let panel = &mut packed[at..][..size * taps];
        match (used, size) {
            (8, 8) => transpose::<S, T, 8>(simd, weights, taps, panel),
            (4, 4) => transpose::<S, T, 4>(simd, weights, taps, panel),
            (2, 2) => transpose::<S, T, 2>(simd, weights, taps, panel),
            _ => {
                panel.fill(T::ZERO);
                for (m, row) in weights.chunks_exact(taps).enumerate() {
                    for (slot, &weight) in panel[m..].iter_mut().step_by(size).zip(row) {
                        *slot = weight;
                    }
                }
            }
        }
        first += size;
        at += size * taps;
    }
}

/// `columns[r][m] = rows[m][r]` for `M` rows, a power of two.
///
/// `M` consecutive vectors are shuffled like a deck of cards, the first half into the second: each
/// time, the highest bit of the row index becomes the lowest bit of the position.
#[inline(always)]
fn transpose<S: Simd, T: Element, const M: usize>(
    simd: S,
    rows: &[T],
    len: usize,
    columns: &mut [T],
) {
    let lanes = T::Narrow::<S>::LEN;
    let zero = T::Narrow::<S>::simd_from(simd, T::ZERO);
    let mut starts = [0; M];
    for m in 0..M {
        starts[m] = m * len;
    }
    let views = views(rows, starts);
    let mut at = 0;
    while at + lanes <= len {
        let mut deck = [zero; M];
        for m in 0..M {
            deck[m] = load(simd, views[m], at);
        }
        for _ in 0..M.ilog2() {
            let mut shuffled = [zero; M];
            for m in 0..M / 2 {
                (shuffled[2 * m], shuffled[2 * m + 1]) = deck[m].interleave(deck[m + M / 2]);
            }
            deck = shuffled;
        }
        let target = &mut columns[at * M..][..M * lanes];
        for m in 0..M {
            store(deck[m], target, m * lanes);
        }
        at += lanes;
    }
    for (r, column) in columns.chunks_exact_mut(M).enumerate().skip(at) {
        for m in 0..M {
            column[m] = rows[m * len + r];
        }
    }
}
