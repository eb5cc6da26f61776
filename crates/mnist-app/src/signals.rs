//! Ctrl-C and SIGTERM: the first ends a training after its current step, the second at once.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::escape::Escape;

/// A training ended after a signal, and can go on.
#[derive(Debug)]
pub struct Interrupted {
    /// The number of the signal.
    pub signal: u8,
    /// The run's folder.
    pub folder: PathBuf,
    /// Where it ended.
    pub place: String,
}

impl Interrupted {
    /// The exit status of a process that ended so.
    pub fn status(&self) -> u8 {
        STATUS + self.signal
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, place, .. } = self;
        let folder = folder.escaped();
        let is_plain = |c: char| c.is_alphanumeric() || "/._-+:\\".contains(c);
        let folder = match folder.chars().all(is_plain) {
            true => folder,
            false => format!("'{}'", folder.replace('\'', r"'\''")),
        };
        write!(f, "interrupted {place}; to go on: mnist-app train --resume {folder}")
    }
}

impl std::error::Error for Interrupted {}

/// What a shell adds to the number of a signal.
const STATUS: u8 = 128;

struct Signals {
    /// The number of the last one, 0 if there was none.
    received: Arc<AtomicUsize>,
    /// Whether the next one ends the process.
    at_once: Arc<AtomicBool>,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

/// From now on, signals end the process with status 130 or 143, unless they are deferred.
///
/// # Errors
/// If the system refuses.
pub(crate) fn install() -> anyhow::Result<()> {
    let at_once = Arc::new(AtomicBool::new(true));
    let received = Arc::new(AtomicUsize::new(0));
    for (signal, number) in [(SIGINT, 2), (SIGTERM, 15)] {
        // In this order: the first signal sets what the second one asks.
        flag::register_conditional_shutdown(signal, i32::from(STATUS) + number, at_once.clone())
            .and_then(|_| flag::register_usize(signal, received.clone(), number as usize))
            .and_then(|_| flag::register(signal, at_once.clone()))
            .context("signals: expected handlers for SIGINT and SIGTERM")?;
    }
    let _ = SIGNALS.set(Signals { received, at_once });
    Ok(())
}

/// As long as this value lives, the first signal does not end the process: [`received`] tells it.
#[derive(Debug)]
pub(crate) struct Deferred(());

/// Defers signals.
pub(crate) fn defer() -> Deferred {
    if let Some(signals) = SIGNALS.get() {
        signals.at_once.store(false, Ordering::SeqCst);
    }
    Deferred(())
}

impl Drop for Deferred {
    fn drop(&mut self) {
        if let Some(signals) = SIGNALS.get() {
            signals.at_once.store(true, Ordering::SeqCst);
        }
    }
}

/// The number of the signal that was received, if one was.
pub(crate) fn received() -> Option<u8> {
    let number = SIGNALS.get()?.received.load(Ordering::Relaxed);
    u8::try_from(number).ok().filter(|&number| number > 0)
}
