//! What of the machine a command may use.

use std::num::NonZeroUsize;

use anyhow::Context;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tensor::simd::{Level, level_from_environment};

use crate::cli::Usage;

/// A pool of this many threads; of as many as the processor has if none are asked for.
///
/// # Errors
/// If the system does not give them.
pub fn pool(threads: Option<NonZeroUsize>) -> anyhow::Result<ThreadPool> {
    let builder = ThreadPoolBuilder::new().num_threads(threads.map_or(0, NonZeroUsize::get));
    builder.build().context("--threads: the system refuses to start them")
}

/// The vector instructions that the environment asks for.
///
/// # Errors
/// If there are none of that name on this processor.
pub fn simd_level() -> anyhow::Result<Level> {
    level_from_environment().map_err(|error| Usage(format!("ASTERISM_SIMD: {error}")).into())
}
