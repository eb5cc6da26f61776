//! How many threads and which vector instructions a command uses.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use anyhow::anyhow;
use rayon::ThreadPoolBuilder;
use tensor::simd::{Level, level_from_environment};

use crate::usage::Usage;

/// The most threads that can be asked for.
pub(crate) const MOST: usize = 1024;

/// Up to this many threads are started as requested, even on fewer processors: enough to check that
/// their number changes no bit.
const FEW: usize = 4;

/// The environment variable that sets the number of threads where no flag does.
const VARIABLE: &str = "RAYON_NUM_THREADS";

/// A number of threads, as requested.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadCount(usize);

impl ThreadCount {
    /// From the flag, else from the environment; else as many as there are processors.
    ///
    /// # Errors
    /// If the environment variable is not a valid number.
    pub(crate) fn of(flag: Option<NonZeroUsize>) -> Result<Self, Usage> {
        let threads = flag.map_or_else(of_environment, |threads| Ok(Some(threads.get())))?;
        Ok(Self(threads.unwrap_or_else(|| processors().min(MOST))))
    }

    /// The same, but one thread without the flag.
    ///
    /// # Errors
    /// As of [`ThreadCount::of`]: an invalid variable is an error even where it is not used.
    pub(crate) fn or_one(flag: Option<NonZeroUsize>) -> Result<Self, Usage> {
        let one = flag.unwrap_or(NonZeroUsize::MIN);
        Self::of(flag)?;
        Ok(Self(one.get()))
    }

    /// Runs `work`, which consists of `parts` parts done in parallel; where there is only one, the
    /// threads share its operations. No more threads are started than can have work.
    ///
    /// # Errors
    /// If the system refuses to start the threads, and those of `work`.
    pub(crate) fn share<R: Send>(
        self,
        parts: usize,
        work: impl FnOnce() -> anyhow::Result<R> + Send,
    ) -> anyhow::Result<R> {
        self.run(started(self.0, processors(), parts), work)
    }

    /// Runs `work`, which consists of `parts` parts done in parallel, each on one thread. No more
    /// threads are started than there are parts.
    ///
    /// # Errors
    /// As of [`ThreadCount::share`].
    pub(crate) fn divide<R: Send>(
        self,
        parts: usize,
        work: impl FnOnce() -> anyhow::Result<R> + Send,
    ) -> anyhow::Result<R> {
        self.run(self.0.min(parts.max(1)), work)
    }

    fn run<R: Send>(
        self,
        threads: usize,
        work: impl FnOnce() -> anyhow::Result<R> + Send,
    ) -> anyhow::Result<R> {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| {
            // The text of this error includes that of its cause.
            anyhow!("--threads: expected {threads} threads, found that the system refuses: {error}")
        })?;
        pool.install(|| tensor::threads::awake(work))
    }
}

fn processors() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}

/// The number of threads that the environment variable sets.
fn of_environment() -> Result<Option<usize>, Usage> {
    let Some(word) = std::env::var_os(VARIABLE) else { return Ok(None) };
    let text = word.to_string_lossy();
    let threads: Option<usize> = text.trim().parse().ok();
    let threads = threads.filter(|threads| (1..=MOST).contains(threads));
    threads.map(Some).ok_or_else(|| {
        let found: String = text.chars().take(80).collect();
        Usage(format!("{VARIABLE}: expected a whole number from 1 to {MOST}, found {found:?}"))
    })
}

/// How many of the requested threads are started for work in `parts` parts.
fn started(asked: usize, processors: usize, parts: usize) -> usize {
    if asked <= FEW { asked } else { asked.min(parts.max(processors)) }
}

/// The vector instructions, as the environment variable `ASTERISM_SIMD` sets them.
///
/// # Errors
/// If this processor has none of that name.
pub fn simd_level() -> anyhow::Result<Level> {
    level_from_environment().map_err(|error| Usage(format!("ASTERISM_SIMD: {error}")).into())
}

#[cfg(test)]
mod tests {
    use super::{MOST, started};

    #[test]
    fn threads_that_can_have_no_work_are_not_started() {
        for (asked, processors, parts, expected) in [
            (1, 8, 4, 1),
            (3, 2, 1, 3),
            (4, 2, 1, 4),
            (5, 2, 1, 2),
            (1000, 2, 1, 2),
            (1000, 2, 5, 5),
            (1000, 64, 4, 64),
            (1000, 2, 300, 300),
            (MOST, 2, usize::MAX, MOST),
        ] {
            assert_eq!(started(asked, processors, parts), expected, "{asked} {parts}");
        }
    }
}
