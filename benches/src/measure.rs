use std::time::Instant;

/// How long a call took, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// The median sample.
    pub median: f64,
    /// The fastest sample, which varies less on a shared machine.
    pub best: f64,
    /// How many samples there were.
    pub samples: usize,
}

/// The least duration of a sample, so that the time to read the clock is negligible.
const SAMPLE_SECONDS: f64 = 200e-6;

/// Calls during this time do not count: the host of a virtual machine takes a tenth of a second to
/// give a processor to a thread that has slept.
const WARM_UP_SECONDS: f64 = 0.1;

/// The least number of samples, however long they take.
const MIN_SAMPLES: usize = 3;

/// Calls `call` for about `seconds`, in samples of as many calls as fill a fraction of a
/// millisecond, after a warm-up that does not count.
pub fn measure(seconds: f64, call: impl FnMut()) -> Timing {
    measure_after(WARM_UP_SECONDS, seconds, call)
}

fn measure_after(warm_up: f64, seconds: f64, mut call: impl FnMut()) -> Timing {
    let mut time = |calls: usize| {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        start.elapsed().as_secs_f64()
    };
    let (mut calls, start) = (1, Instant::now());
    while time(calls) < SAMPLE_SECONDS {
        calls *= 2;
    }
    while start.elapsed().as_secs_f64() < warm_up {
        time(calls);
    }
    let start = Instant::now();
    let mut samples = Vec::new();
    while samples.len() < MIN_SAMPLES || start.elapsed().as_secs_f64() < seconds {
        samples.push(time(calls) / calls as f64);
    }
    samples.sort_by(f64::total_cmp);
    Timing { median: samples[samples.len() / 2], best: samples[0], samples: samples.len() }
}

/// Runs `work` in a pool of `threads` threads that are kept awake, so that it can use all of them
/// at once.
///
/// # Panics
/// If the pool cannot be started.
pub fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.unwrap_or_else(|error| panic!("{threads} threads: {error}"));
    pool.install(|| tensor::threads::awake(work))
}

/// One thread, and two where the machine has them.
pub fn thread_counts() -> impl Iterator<Item = usize> {
    let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (1..=2).filter(move |&threads| threads <= all)
}

/// The processor and its number of threads.
pub fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or(std::env::consts::ARCH, |(_, name)| name);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{model}, {threads} hardware threads")
}

/// The largest difference between two elements, as a fraction of the largest expected element;
/// infinite if the lengths differ or a number is not finite.
pub fn largest_difference(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() || found.iter().chain(expected).any(|x| !x.is_finite()) {
        return f64::INFINITY;
    }
    let pairs = found.iter().zip(expected);
    let difference = pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    let largest = expected.iter().map(|x| f64::from(x.abs())).fold(0.0, f64::max);
    difference / largest.max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{MIN_SAMPLES, largest_difference, measure_after};

    #[test]
    fn a_timing_counts_calls_after_the_warm_up() {
        let mut calls = 0;
        let timing = measure_after(0.0, 0.0, || {
            calls += 1;
            std::thread::sleep(Duration::from_micros(250));
        });
        assert_eq!((timing.samples, calls), (MIN_SAMPLES, MIN_SAMPLES + 1));
        assert!(250e-6 <= timing.best && timing.best <= timing.median);
    }

    #[test]
    fn a_warm_up_lasts_as_long_as_it_must_and_does_not_count() {
        let start = Instant::now();
        let timing = measure_after(0.1, 0.0, || std::thread::sleep(Duration::from_micros(250)));
        assert!(start.elapsed() > Duration::from_millis(100));
        assert_eq!(timing.samples, MIN_SAMPLES);
    }

    #[test]
    fn differences_are_relative_to_the_largest_element() {
        assert_eq!(largest_difference(&[1.0, 3.0], &[1.0, 4.0]), 0.25);
        assert!(largest_difference(&[f32::NAN], &[1.0]).is_infinite());
        assert!(largest_difference(&[1.0, 2.0], &[f32::NAN, 2.0]).is_infinite());
        assert!(largest_difference(&[1.0], &[1.0, 2.0]).is_infinite());
    }
}
