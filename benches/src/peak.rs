//! The most multiply-adds that this processor does: the ceiling that kernels are
//! measured against.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use fearless_simd::{Simd, SimdFloat, f32x8, f32x16};
use tensor::simd::Level;

/// Steps of each accumulator in one sample.
const STEPS: usize = 20_000;

/// What accumulators start from.
const START: [f32; 16] = [0.25; 16];

/// Fused multiply-adds of `f32` a second on `threads` threads together, at `level`.
///
/// Each thread runs a loop of nothing but independent fused multiply-adds on numbers in
/// registers, with several numbers of accumulators and both vector widths; the fastest of
/// all samples counts.
pub fn multiply_adds_per_second(level: Level, threads: usize) -> f64 {
    // The portable level emulates each multiply-add, and needs fewer of them.
    let (steps, samples) = if level == Level::Portable { (STEPS / 50, 20) } else { (STEPS, 400) };
    let barrier = Barrier::new(threads);
    let one_thread = |_| {
        barrier.wait();
        on_level(level, Peak { steps, samples })
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|index| scope.spawn(move || one_thread(index))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(0.0)).sum()
    })
}

struct Peak {
    steps: usize,
    samples: usize,
}

impl Peak {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f64 {
        let Self { steps, samples } = self;
        let mut best = 0.0_f64;
        for _ in 0..samples {
            for rate in [
                rate::<S, f32x16<S>, 8>(simd, steps),
                rate::<S, f32x16<S>, 12>(simd, steps),
                rate::<S, f32x16<S>, 5>(simd, steps),
                rate::<S, f32x8<S>, 8>(simd, steps),
                rate::<S, f32x8<S>, 12>(simd, steps),
            ] {
                best = best.max(rate);
            }
        }
        best
    }
}

/// Multiply-adds a second with `N` accumulators.
#[inline(always)]
fn rate<S: Simd, V: SimdFloat<S, Element = f32>, const N: usize>(simd: S, steps: usize) -> f64 {
    let factor = V::splat(simd, black_box(0.5));
    let summand = V::splat(simd, black_box(1.0));
    // The compiler must not see two accumulators that start equal: it would keep one.
    let mut accumulators: [V; N] =
        std::array::from_fn(|_| V::from_slice(simd, &black_box(START)[..V::LEN]));
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
    // All lanes, or those that nobody reads are not computed.
    black_box(sum.as_slice());
    (steps * N * V::LEN) as f64 / seconds
}

fn on_level(level: Level, peak: Peak) -> f64 {
    #[inline(always)]
    fn on<S: Simd>(simd: S, peak: Peak) -> f64 {
        simd.vectorize(
            #[inline(always)]
            || peak.run(simd),
        )
    }

    let best = fearless_simd::Level::new();
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        match level {
            Level::Avx512 => {
                if let Some(avx512) = best.as_avx512() {
                    return on(avx512, peak);
                }
            }
            Level::Avx2 => {
                if let Some(avx2) = best.as_avx2() {
                    return on(avx2, peak);
                }
            }
            Level::Portable | Level::Neon => {}
        }
        best.as_sse2().map_or(0.0, |sse2| on(sse2, peak))
    }
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    {
        let _ = level;
        fearless_simd::dispatch!(best, simd => on(simd, peak))
    }
}
