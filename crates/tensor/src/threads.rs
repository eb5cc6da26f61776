//! The only file that knows how work is spread over threads.
//!
//! An operation is divided into parts whose outputs are disjoint; each output element
//! is computed by one thread in one order, so the number of threads changes no bit.

use rayon::prelude::*;

/// Multiply-adds below which an operation stays on the calling thread.
///
/// Waking a sleeping rayon worker and waiting for it costs 5 to 10 µs; at about
/// 50 multiply-adds per nanosecond this much work takes 10 µs on one thread, so a
/// half of it is worth the wake-up from here on.
const WORTH_A_WAKE_UP: usize = 500_000;

/// Into how many parts to cut an operation of `work` multiply-adds.
pub(crate) fn parts(work: usize, threads: usize) -> usize {
    if work < WORTH_A_WAKE_UP { 1 } else { threads.max(1) }
}

/// An operation that can be cut in two with disjoint outputs.
pub(crate) trait Divide: Sized + Send {
    /// Cuts off about `parts - right` of `parts` equal parts; `None` if the operation
    /// is too small to be cut.
    fn divide(self, left: usize, parts: usize) -> Result<(Self, Self), Self>;
}

/// Calls `run` on `parts` parts of `operation`, side by side.
pub(crate) fn run_divided<D: Divide>(operation: D, parts: usize, run: fn(D)) {
    if parts < 2 {
        return run(operation);
    }
    let left = parts / 2;
    match operation.divide(left, parts) {
        Err(whole) => run(whole),
        Ok((first, second)) => {
            rayon::join(
                || run_divided(first, left, run),
                || run_divided(second, parts - left, run),
            );
        }
    }
}

/// Where to cut `count` things so that `left` of `parts` parts come first; `None` if
/// one side would be empty. Cuts at multiples of `unit`.
pub(crate) fn cut(count: usize, left: usize, parts: usize, unit: usize) -> Option<usize> {
    let at = (count * left / parts).next_multiple_of(unit);
    (at > 0 && at < count).then_some(at)
}

/// Calls `f(index, a, b)` for chunk `index` of `a` and of `b`, on the threads of the
/// current pool. The last chunks may be shorter.
pub fn for_each_chunk<A: Send, B: Send>(
    (a, a_size): (&mut [A], usize),
    (b, b_size): (&mut [B], usize),
    f: impl Fn(usize, &mut [A], &mut [B]) + Send + Sync,
) {
    let chunks = a.par_chunks_mut(a_size).zip(b.par_chunks_mut(b_size));
    chunks.with_max_len(1).enumerate().for_each(|(index, (a, b))| f(index, a, b));
}

/// The same with chunks of a third slice.
pub fn for_each_chunk3<A: Send, B: Send, C: Send>(
    (a, a_size): (&mut [A], usize),
    (b, b_size): (&mut [B], usize),
    (c, c_size): (&mut [C], usize),
    f: impl Fn(usize, &mut [A], &mut [B], &mut [C]) + Send + Sync,
) {
    let chunks = a.par_chunks_mut(a_size).zip(b.par_chunks_mut(b_size));
    let chunks = chunks.zip(c.par_chunks_mut(c_size));
    chunks.with_max_len(1).enumerate().for_each(|(index, ((a, b), c))| f(index, a, b, c));
}

/// Calls `f(first, parts)` with the same part of each slice, `size` numbers from `first`
/// on, on the threads of the current pool. The last part may be shorter, and a slice
/// that is shorter than the first one has empty parts beyond its end.
pub fn for_each_part<T: Send, const K: usize>(
    slices: [&mut [T]; K],
    size: usize,
    f: impl Fn(usize, [&mut [T]; K]) + Sync,
) {
    each_part(slices, 0, size, &f);
}

fn each_part<T: Send, const K: usize>(
    mut slices: [&mut [T]; K],
    first: usize,
    size: usize,
    f: &(impl Fn(usize, [&mut [T]; K]) + Sync),
) {
    let count = slices[0].len().div_ceil(size);
    if count < 2 {
        return f(first, slices);
    }
    let at = count / 2 * size;
    let mut rights: [&mut [T]; K] = std::array::from_fn(|_| Default::default());
    let lefts = std::array::from_fn(|k| {
        let slice = std::mem::take(&mut slices[k]);
        let (left, right) = slice.split_at_mut(at.min(slice.len()));
        rights[k] = right;
        left
    });
    rayon::join(|| each_part(lefts, first, size, f), || each_part(rights, first + at, size, f));
}
