//! The only file that decides how operations are divided among threads.
//!
//! An operation is divided into parts whose outputs are disjoint. Each output element is computed
//! by one thread in one order, so the number of threads changes no bit.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// An operation with fewer multiply-adds stays on the calling thread.
///
/// Waking a sleeping rayon worker and waiting for it costs 5 to 10 µs. At about 50 multiply-adds
/// per nanosecond this much work takes 10 µs on one thread, so from here on it pays to wake a
/// thread for half of it.
const WORTH_A_WAKE_UP: usize = 500_000;

/// How many threads the current pool has.
pub fn available() -> usize {
    rayon::current_num_threads()
}

/// Calls `run` with all threads of the current pool awake, as long as they get work at least every
/// millisecond.
///
/// A thread that falls asleep between the operations of a training step must be woken for the next
/// one. On a virtual machine its processor sleeps too, and continues when the host has time: that
/// can take longer than the operation. A thread that has found no work for longer naps, for a tenth
/// of a millisecond at first and five at most. While it waits it yields to other programs.
pub fn awake<R: Send>(run: impl FnOnce() -> R + Send) -> R {
    let others = available() - 1;
    if others == 0 {
        return run();
    }
    let keep_awake = KeepAwake::default();
    rayon::scope(|scope| {
        for _ in 0..others {
            scope.spawn(|_| keep_awake.wait());
        }
        let _end = keep_awake.begin(others);
        run()
    })
}

/// The state shared by the threads that [`awake`] keeps from sleeping.
#[derive(Default)]
struct KeepAwake {
    /// How many threads have joined.
    met: AtomicUsize,
    /// After this no thread may join: one that waits for another's part of an operation, and looks
    /// for work meanwhile, would not return to its own.
    begun: AtomicBool,
    done: AtomicBool,
}

/// Lets the threads sleep when it is dropped, also during a panic.
struct End<'a>(&'a KeepAwake);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Release);
    }
}

impl KeepAwake {
    /// How long a thread looks for work before it naps.
    const PATIENCE: Duration = Duration::from_millis(1);
    const NAPS: [Duration; 2] = [Duration::from_micros(100), Duration::from_millis(5)];

    /// Gives `others` threads a moment to join.
    fn begin(&self, others: usize) -> End<'_> {
        let start = Instant::now();
        while self.met.load(Ordering::Acquire) < others && start.elapsed() < Self::PATIENCE {
            thread::yield_now();
        }
        self.begun.store(true, Ordering::Release);
        End(self)
    }

    /// Takes part in the pool's work until the end.
    fn wait(&self) {
        if self.begun.load(Ordering::Acquire) {
            return;
        }
        self.met.fetch_add(1, Ordering::Release);
        let [shortest, longest] = Self::NAPS;
        let (mut since, mut nap) = (Instant::now(), shortest);
        while !self.done.load(Ordering::Acquire) {
            if rayon::yield_now() == Some(rayon::Yield::Executed) {
                (since, nap) = (Instant::now(), shortest);
            } else if since.elapsed() < Self::PATIENCE {
                thread::yield_now();
            } else {
                thread::sleep(nap);
                nap = longest.min(2 * nap);
            }
        }
    }
}

/// How many parts an operation of `work` multiply-adds is divided into.
pub(crate) fn parts(work: usize, threads: usize) -> usize {
    if work < WORTH_A_WAKE_UP { 1 } else { threads.max(1) }
}

/// The numbers and indices of scratch memory for this many parts of `numbers` and `indices` each.
pub(crate) fn rooms(parts: usize, [numbers, indices]: [usize; 2]) -> [usize; 2] {
    [parts.saturating_mul(numbers), parts.saturating_mul(indices)]
}

/// An operation that can be divided into two with disjoint outputs.
pub(crate) trait Divide: Sized + Send {
    /// Cuts off the first `left` of `parts` parts of about equal size.
    ///
    /// # Errors
    /// The operation itself, unchanged, if it is too small to be divided.
    fn divide(self, left: usize, parts: usize) -> Result<(Self, Self), Self>;
}

/// Calls `run` on `parts` parts of `operation` in parallel.
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

/// Where to cut `count` things so that `left` of `parts` parts come first, at a multiple of `unit`;
/// `None` if one side would be empty.
pub(crate) fn cut(count: usize, left: usize, parts: usize, unit: usize) -> Option<usize> {
    let at = (count * left / parts).next_multiple_of(unit);
    (at > 0 && at < count).then_some(at)
}

/// Calls `f(index, a, b)` for chunk `index` of `a` and of `b`, on at most `threads` threads of the
/// current pool. There are as many chunks as `a` has. The last ones may be shorter; chunks beyond
/// the end of a slice are empty, and so are all chunks of size 0.
///
/// # Panics
/// If the chunks of `a` have size 0.
pub fn for_each_chunk<A: Send, B: Send>(
    a: (&mut [A], usize),
    b: (&mut [B], usize),
    threads: usize,
    f: impl Fn(usize, &mut [A], &mut [B]) + Send + Sync,
) {
    let none: (&mut [()], usize) = (&mut [], 0);
    for_each_chunk3(a, b, none, threads, |index, a, b, _| f(index, a, b));
}

/// The same with chunks of a third slice.
///
/// # Panics
/// If the chunks of `a` have size 0.
pub fn for_each_chunk3<A: Send, B: Send, C: Send>(
    a: (&mut [A], usize),
    b: (&mut [B], usize),
    c: (&mut [C], usize),
    threads: usize,
    f: impl Fn(usize, &mut [A], &mut [B], &mut [C]) + Send + Sync,
) {
    let chunks = a.0.len().div_ceil(a.1);
    let run = chunks_of_a_task(chunks, threads);
    each_chunk((a, b, c), 0..chunks, run, &f);
}

/// Three slices, and the sizes of their chunks.
type Chunked<'a, A, B, C> = ((&'a mut [A], usize), (&'a mut [B], usize), (&'a mut [C], usize));

/// The chunks with these indices: up to `run` of them one after another, these runs in parallel.
fn each_chunk<A: Send, B: Send, C: Send>(
    (mut a, mut b, mut c): Chunked<'_, A, B, C>,
    Range { start, end }: Range<usize>,
    run: usize,
    f: &(impl Fn(usize, &mut [A], &mut [B], &mut [C]) + Send + Sync),
) {
    if end - start <= run {
        for index in start..end {
            f(index, front(&mut a, 1), front(&mut b, 1), front(&mut c, 1));
        }
        return;
    }
    let count = (end - start).div_ceil(run) / 2 * run;
    let left =
        ((front(&mut a, count), a.1), (front(&mut b, count), b.1), (front(&mut c, count), c.1));
    let middle = start + count;
    rayon::join(
        || each_chunk(left, start..middle, run, f),
        || each_chunk((a, b, c), middle..end, run, f),
    );
}

/// Cuts the first chunks off a slice, or as much of them as there is.
fn front<'a, T>((slice, size): &mut (&'a mut [T], usize), chunks: usize) -> &'a mut [T] {
    let len = chunks.saturating_mul(*size).min(slice.len());
    slice.split_off_mut(..len).unwrap_or_default()
}

/// One, so that threads take chunks as they become free, unless `threads` are fewer than the
/// pool's: then there are no more tasks than that.
fn chunks_of_a_task(chunks: usize, threads: usize) -> usize {
    if threads >= available() { 1 } else { chunks.div_ceil(threads).max(1) }
}

/// Calls `f(first, parts)` with the same part of each slice, `size` numbers from `first`
/// on, on at most `threads` threads of the current pool. The last part may be shorter,
/// and a slice that is shorter than the first one has empty parts beyond its end.
pub fn for_each_part<T: Send, const K: usize>(
    slices: [&mut [T]; K],
    size: usize,
    threads: usize,
    f: impl Fn(usize, [&mut [T]; K]) + Sync,
) {
    each_part(slices, (0, size), threads, &f);
}

fn each_part<T: Send, const K: usize>(
    mut slices: [&mut [T]; K],
    (first, size): (usize, usize),
    threads: usize,
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
    let few = threads / 2;
    let left = || each_part(lefts, (first, size), few.max(1), f);
    let right = || each_part(rights, (first + at, size), threads - few, f);
    if threads > 1 {
        rayon::join(left, right);
    } else {
        left();
        right();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Mutex;
    use std::thread::ThreadId;

    use super::*;

    /// The number of threads, in a pool of four, that `run` uses for what it is lent.
    fn threads_of(run: impl FnOnce(&(dyn Fn() + Sync)) + Send) -> usize {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().expect("a pool");
        let met = Mutex::new(HashSet::<ThreadId>::new());
        pool.install(|| {
            run(&|| {
                met.lock().expect("no panic").insert(thread::current().id());
            });
        });
        met.into_inner().expect("no panic").len()
    }

    #[test]
    fn each_chunk_is_met_once_on_no_more_threads_than_asked() {
        for (len, threads) in [(23, 1), (23, 2), (20, 3), (3, 3), (23, 4), (23, usize::MAX), (0, 1)]
        {
            let (mut a, mut b, mut c) = (vec![0; len], vec![0; 2 * len], vec![0; 3 * len]);
            let met = threads_of(|meet| {
                let (a, b, c) = (&mut a, &mut b, &mut c);
                for_each_chunk3((a, 4), (b, 8), (c, 12), threads, |index, a, b, c| {
                    meet();
                    a.iter_mut().chain(b).chain(c).for_each(|x| *x += index + 1);
                });
            });
            assert!(met <= threads, "{met} threads, asked for {threads}");
            for (numbers, size) in [(&a, 4), (&b, 8), (&c, 12)] {
                let expected: Vec<_> = (0..numbers.len()).map(|at| at / size + 1).collect();
                assert_eq!(*numbers, expected, "{len} numbers, {threads} threads");
            }
            let (mut d, mut e) = (a.clone(), b.clone());
            for_each_chunk((&mut d, 4), (&mut e, 8), threads, |index, d, e| {
                d.iter_mut().chain(e).for_each(|x| *x -= index + 1);
            });
            assert!(d.iter().chain(&e).all(|&x| x == 0), "{len} numbers, {threads} threads");
        }
    }

    #[test]
    fn chunks_without_elements_are_met_too() {
        let (mut a, mut none) = ([0; 5], [0; 0]);
        for_each_chunk3((&mut a, 2), (&mut none, 0), (&mut [1; 3], 2), 3, |index, a, b, c| {
            assert_eq!((b.len(), c.len()), (0, [2, 1, 0][index]));
            a.fill(index + 1);
        });
        assert_eq!(a, [1, 1, 2, 2, 3]);
    }

    #[test]
    fn work_with_threads_awake_comes_to_an_end() {
        fn leaves(depth: usize) -> usize {
            if depth == 0 {
                return 1;
            }
            let (left, right) = rayon::join(|| leaves(depth - 1), || leaves(depth - 1));
            left + right
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().expect("a pool");
        for _ in 0..200 {
            let nested = || (leaves(8), awake(|| leaves(8)));
            assert_eq!(pool.install(|| awake(nested)), (256, 256));
        }
        // From all of its threads at once.
        let of_each = pool.broadcast(|_| awake(|| leaves(8)));
        assert_eq!(of_each, [256; 4]);
        let failed = pool.install(|| {
            std::panic::catch_unwind(|| awake(|| assert_eq!(leaves(3), 9, "meant to fail")))
        });
        assert!(failed.is_err(), "a panic goes through, and the threads do not wait for more");
        assert_eq!(pool.install(|| leaves(8)), 256);
    }

    #[test]
    fn each_part_is_met_once_on_no_more_threads_than_asked() {
        for threads in [1, 2, 3, usize::MAX] {
            let (mut a, mut b) = (vec![0; 50], vec![0; 13]);
            let met = threads_of(|meet| {
                for_each_part([&mut a, &mut b], 4, threads, |first, [a, b]| {
                    meet();
                    assert!(first.is_multiple_of(4) && a.len() <= 4 && b.len() <= a.len());
                    a.iter_mut().chain(b).for_each(|x| *x += first + 1);
                });
            });
            assert!(met <= threads, "{met} threads, asked for {threads}");
            for numbers in [a, b] {
                let expected: Vec<_> = (0..numbers.len()).map(|at| at / 4 * 4 + 1).collect();
                assert_eq!(numbers, expected, "{threads} threads");
            }
        }
    }
}
