//! How much memory a command may take, checked before it takes any.
//!
//! The sizes are those that [`Footprint`] computes. Where memory is short, fewer images are
//! evaluated at a time, which changes no bit of an answer. What does not fit even so is refused
//! with a message, before the system would kill the process without one.

use std::fs;

use anyhow::bail;
use layers::{Footprint, TrainerConfig};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};
use tensor::Element;

/// How many samples are evaluated as a batch, and on how many threads. Neither changes a bit: a
/// sample's answer is the same alone and in any batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EvaluationPlan {
    /// Samples that run through the network together, on one thread.
    pub(crate) samples: usize,
    /// Threads, each with memory of its own.
    pub(crate) threads: usize,
}

/// The most memory of a thread's batch, unless a single image takes more: beyond the caches of a
/// core, larger batches gain nothing.
const WORTH_SHARING: u64 = 64 << 20;

/// The most images in a batch, for the same reason.
const MOST_TOGETHER: usize = 64;

/// The bytes that this process can still allocate: the least of what the machine, its control group
/// and its limit of address space leave. None if the system reports none of them.
pub(crate) fn available() -> Option<u64> {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory);
    let machine = (system.total_memory() > 0).then(|| system.available_memory());
    let group = system.cgroup_limits().map(|limits| limits.free_memory);
    [machine, group, address_space()].into_iter().flatten().min()
}

/// What is left of the address space, where it is limited (`ulimit -v`).
fn address_space() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let most: u64 = line.split_whitespace().next()?.parse().ok()?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    let taken: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(most.saturating_sub(taken.saturating_mul(1024)))
}

/// What a command takes beside the numbers that are computed beforehand.
const BESIDE: u64 = 8 << 20;

/// Whether so much memory is free.
pub(crate) fn suffices(bytes: u64) -> bool {
    let bytes = bytes.saturating_add(BESIDE);
    available().is_none_or(|most| bytes <= most)
}

/// Refuses what takes more memory than is free; `remedy` says what would take less.
///
/// # Errors
/// If it does; the message gives both sizes.
pub(crate) fn require(what: &str, bytes: u64, remedy: &str) -> anyhow::Result<()> {
    let bytes = bytes.saturating_add(BESIDE);
    match available() {
        Some(most) if bytes > most => bail!(
            "{what}: expected at most the {} of memory that are free, found that it takes {}; \
             {remedy}",
            size_text(most),
            size_text(bytes)
        ),
        _ => Ok(()),
    }
}

/// The bytes that training steps take beside the network, which is allocated already.
fn step_bytes<T: Element>(footprint: &Footprint<T>, config: &TrainerConfig) -> u64 {
    let training = footprint.training(config, rayon::current_num_threads());
    training.saturating_sub(footprint.network())
}

/// The bytes that a training and the file of a checkpoint take beside the network.
pub(crate) fn training_bytes<T: Element>(footprint: &Footprint<T>, config: &TrainerConfig) -> u64 {
    step_bytes(footprint, config).saturating_add(footprint.trainer_file(config))
}

/// Refuses a training that takes more memory than is free; `others` are the bytes that are not the
/// trainer's.
///
/// # Errors
/// If it does; the message says what most of it is for and what would take less.
pub(crate) fn require_for_training<T: Element>(
    footprint: &Footprint<T>,
    config: &TrainerConfig,
    others: u64,
) -> anyhow::Result<()> {
    let TrainerConfig { batch_size, shard_size, .. } = *config;
    let threads = rayon::current_num_threads();
    let shards = config.shards();
    let all = step_bytes(footprint, config).saturating_add(others);
    let of_shards = footprint.shard(config, threads);
    let working = threads.min(shards);
    let at_once = of_shards.saturating_mul(working as u64);
    let remedy = if at_once > all / 2 {
        let threads = if working > 1 { ", or fewer --threads" } else { "" };
        format!(
            "most of it is for {} of {}, {} each: choose a smaller --shard-size{threads}",
            counted(working, "shard"),
            counted(shard_size, "image"),
            size_text(of_shards)
        )
    } else if shards > 1 {
        format!(
            "most of it is for the gradients of {shards} shards of {} each: choose a smaller \
             --batch-size or a larger --shard-size",
            counted(shard_size, "image")
        )
    } else {
        format!("most of it is for {} parameters: choose fewer", footprint.parameters())
    };
    require(&format!("training with batch size {batch_size}"), all, &remedy)
}

/// A count with its noun, `3 images`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// How a network evaluates `samples` samples in the memory that is free beside `taken` bytes.
///
/// # Errors
/// If there is too little for one sample.
pub(crate) fn evaluation_plan<T: Element>(
    footprint: &Footprint<T>,
    samples: usize,
    taken: u64,
) -> anyhow::Result<EvaluationPlan> {
    let fits = |samples| footprint.inference(samples) <= WORTH_SHARING;
    let most = samples.clamp(1, MOST_TOGETHER);
    let mut count = (1..=most).rev().find(|&count| fits(count)).unwrap_or(1);
    let mut threads = rayon::current_num_threads().min(samples.div_ceil(count)).max(1);
    let needed = |count, threads: usize| {
        footprint.inference(count).saturating_mul(threads as u64).saturating_add(taken)
    };
    let most = available().unwrap_or(u64::MAX).saturating_sub(BESIDE);
    while needed(count, threads) > most && (count > 1 || threads > 1) {
        if count > 1 { count /= 2 } else { threads -= 1 }
    }
    let one = needed(count, threads);
    // A thread takes address space of its own, even when idle.
    let remedy = match rayon::current_num_threads() {
        1 => "choose a smaller network or smaller images",
        _ => "choose fewer --threads, a smaller network or smaller images",
    };
    require("the answer to one image", one, remedy)?;
    Ok(EvaluationPlan { samples: count, threads })
}

/// `1536 << 20` as `1.5 GiB`.
pub(crate) fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut size, mut units) = (bytes as f64 / 1024.0, UNITS.iter());
    let mut unit = units.next().unwrap_or(&"");
    for larger in units {
        if size < 1000.0 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    if bytes == u64::MAX { "more than any machine has".into() } else { format!("{size:.1} {unit}") }
}
