//! What of the machine a command may use.

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use anyhow::Context;
use rayon::ThreadPoolBuilder;
use tensor::simd::{Level, level_from_environment};

use crate::cli::Usage;

/// The most threads that can be asked for.
pub(crate) const MOST: usize = 1024;

/// So many are started wherever they are asked for, be it on fewer processors.
const FEW: usize = 16;

/// What asks for a number of threads where no flag does.
const VARIABLE: &str = "RAYON_NUM_THREADS";

/// Runs `work` in a pool of this many threads; of as many as the environment says, else the
/// processor has, if none are asked for. No more are started than can have work that is to be
/// done side by side in `shards` parts.
///
/// # Errors
/// If the environment asks for a number that cannot be, the system does not give so many, and
/// those of the work.
pub fn run_on<R: Send>(
    threads: Option<NonZeroUsize>,
    shards: usize,
    work: impl FnOnce() -> anyhow::Result<R> + Send,
) -> anyhow::Result<R> {
    let processors = available_parallelism().map_or(1, NonZeroUsize::get);
    let asked = match threads {
        Some(threads) => threads.get(),
        None => match std::env::var_os(VARIABLE) {
            Some(word) => of_environment(&word)?,
            None => processors.min(MOST),
        },
    };
    let builder = ThreadPoolBuilder::new().num_threads(started(asked, processors, shards));
    let pool = builder.build().context("--threads: the system refuses to start them")?;
    pool.install(|| tensor::threads::awake(work))
}

/// The number of threads in this word.
fn of_environment(word: &OsStr) -> Result<usize, Usage> {
    let text = word.to_string_lossy();
    let threads = text.trim().parse().ok();
    threads.filter(|threads| (1..=MOST).contains(threads)).ok_or_else(|| {
        let found: String = text.chars().take(80).collect();
        Usage(format!("{VARIABLE}: expected a whole number from 1 to {MOST}, found {found:?}"))
    })
}

/// How many of the threads that are asked for can have work. A step has that of its shards, and
/// what is done in one part, or in as many as there are threads, is done no faster by more of
/// them than there are processors.
fn started(asked: usize, processors: usize, shards: usize) -> usize {
    asked.min(shards.max(processors).max(FEW))
}

/// The vector instructions that the environment asks for.
///
/// # Errors
/// If there are none of that name on this processor.
pub fn simd_level() -> anyhow::Result<Level> {
    level_from_environment().map_err(|error| Usage(format!("ASTERISM_SIMD: {error}")).into())
}

#[cfg(test)]
mod tests {
    use super::{FEW, MOST, started};

    #[test]
    fn threads_that_can_have_no_work_are_not_started() {
        for (asked, processors, shards, expected) in [
            (1, 8, 4, 1),
            (3, 2, 1, 3),
            (1000, 2, 1, FEW),
            (1000, 2, 4, FEW),
            (1000, 64, 4, 64),
            (1000, 2, 300, 300),
            (MOST, 2, usize::MAX, MOST),
        ] {
            assert_eq!(started(asked, processors, shards), expected, "{asked} {shards}");
        }
    }
}
