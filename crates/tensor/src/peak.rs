//! The peak rate of multiply-adds of this processor: the upper bound for kernels.

use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::Barrier;
use std::time::Instant;

use fearless_simd::{Simd, SimdFloat};

use crate::Element;
use crate::element::kernels::{Kernels, per_element};
use crate::simd::{Kernel, Level};

/// Steps of each accumulator in one sample.
const STEPS: usize = 20_000;

/// Fused multiply-adds of `T` per second on `threads` threads together, at `level`. Takes about a
/// fifth of a second.
///
/// Each thread runs a loop of nothing but independent fused multiply-adds on numbers in registers,
/// with several numbers of accumulators and both vector widths; the fastest of all samples counts.
/// A level that the processor does not have is measured as the portable one.
pub fn multiply_adds_per_second<T: Element>(level: Level, threads: usize) -> f64 {
    // The portable level emulates each multiply-add, so fewer are measured.
    let (steps, samples) = if level == Level::Portable { (STEPS / 50, 20) } else { (STEPS, 400) };
    let barrier = Barrier::new(threads);
    let one_thread = || {
        barrier.wait();
        let mut best = 0.0;
        let peak = Peak { steps, samples, best: &mut best, element: PhantomData };
        T::run::<Peak<'static, f32>>(level, peak);
        best
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(one_thread)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(0.0)).sum()
    })
}

/// The measurement on one thread.
pub struct Peak<'a, T> {
    steps: usize,
    samples: usize,
    best: &'a mut f64,
    element: PhantomData<T>,
}

per_element!(on a level: Peak);

impl<T: Element> Kernel for Peak<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { steps, samples, best, .. } = self;
        for _ in 0..samples {
            for rate in [
                rate::<S, T::Wide<S>, 8>(simd, steps),
                rate::<S, T::Wide<S>, 12>(simd, steps),
                rate::<S, T::Wide<S>, 5>(simd, steps),
                rate::<S, T::Narrow<S>, 8>(simd, steps),
                rate::<S, T::Narrow<S>, 12>(simd, steps),
            ] {
                *best = best.max(rate);
            }
        }
    }
}

/// Multiply-adds a second with `N` accumulators.
#[inline(always)]
fn rate<S: Simd, V: SimdFloat<S, Element: Element>, const N: usize>(simd: S, steps: usize) -> f64 {
    let constant = |value| black_box(V::Element::from_constant(value));
    let factor = V::simd_from(simd, constant(0.5));
    let summand = V::simd_from(simd, constant(1.0));
    // If two accumulators started equal, the compiler would keep only one.
    let mut accumulators: [V; N] =
        std::array::from_fn(|_| V::from_slice(simd, &[constant(0.25); 16][..V::LEN]));
    let start = Instant::now();
    for _ in 0..steps {
        for accumulator in &mut accumulators {
            *accumulator = accumulator.mul_add_precise(factor, summand);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let mut sum = accumulators[0];
    for &accumulator in &accumulators[1..] {
        sum += accumulator;
    }
    // All lanes, since the compiler drops those that are never read.
    black_box(sum.as_slice());
    (steps * N * V::LEN) as f64 / seconds
}
