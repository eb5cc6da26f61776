//! What of the machine a command may use.

use std::num::NonZeroUsize;

use anyhow::Context;
use rayon::ThreadPoolBuilder;
use tensor::simd::{Level, level_from_environment};

use crate::cli::Usage;

/// Runs `work` in a pool of this many threads; of as many as the processor has if none are
/// asked for.
///
/// # Errors
/// If the system does not give them, and those of the work.
pub fn run_on<R: Send>(
    threads: Option<NonZeroUsize>,
    work: impl FnOnce() -> anyhow::Result<R> + Send,
) -> anyhow::Result<R> {
    let builder = ThreadPoolBuilder::new().num_threads(threads.map_or(0, NonZeroUsize::get));
    let pool = builder.build().context("--threads: the system refuses to start them")?;
    pool.install(|| tensor::threads::awake(work))
}

/// The vector instructions that the environment asks for.
///
/// # Errors
/// If there are none of that name on this processor.
pub fn simd_level() -> anyhow::Result<Level> {
    level_from_environment().map_err(|error| Usage(format!("ASTERISM_SIMD: {error}")).into())
}
