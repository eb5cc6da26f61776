//! Ctrl-C and SIGTERM: the first ends a training after its current step, the second at once.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::console::notice;
use crate::escape::shell_word;

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
        let folder = shell_word(folder);
        write!(f, "interrupted {place}; to go on: mnist-app train --resume {folder}")
    }
}

impl std::error::Error for Interrupted {}

/// A command that writes one file was ended by a signal, and wrote nothing.
#[derive(Debug)]
pub struct Stopped {
    /// The number of the signal.
    pub signal: u8,
}

impl Stopped {
    /// The exit status of a process that ended so.
    pub fn status(&self) -> u8 {
        STATUS + self.signal
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted; nothing was written")
    }
}

impl std::error::Error for Stopped {}

/// What a shell adds to the number of a signal.
const STATUS: u8 = 128;

struct Signals {
    /// The number of the last one, 0 if there was none.
    received: Arc<AtomicUsize>,
    /// How many ask for it.
    deferred: AtomicUsize,
    /// The run's folder, as soon as there is one, and where the run stands.
    folder: Mutex<Option<(PathBuf, &'static str)>>,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

/// How often a thread of its own looks for a signal that is not deferred. It prints, which a
/// handler of signals must not.
const WAIT: Duration = Duration::from_millis(50);

/// From now on the first signal ends the process with status 130 or 143, unless it is deferred, and
/// the second one at once.
///
/// # Errors
/// If the system refuses.
pub(crate) fn install() -> anyhow::Result<()> {
    let again = Arc::new(AtomicBool::new(false));
    let received = Arc::new(AtomicUsize::new(0));
    for (signal, number) in [(SIGINT, 2_u8), (SIGTERM, 15)] {
        let status = (STATUS + number).into();
        // In this order: the first signal sets what the second one asks.
        flag::register_conditional_shutdown(signal, status, again.clone())
            .and_then(|_| flag::register_usize(signal, received.clone(), number.into()))
            .and_then(|_| flag::register(signal, again.clone()))
            .context("signals: expected handlers for SIGINT and SIGTERM")?;
    }
    let (deferred, folder) = (AtomicUsize::new(0), Mutex::default());
    if SIGNALS.set(Signals { received, deferred, folder }).is_ok() {
        let watch = thread::Builder::new().name("signals".into()).stack_size(1 << 16);
        watch.spawn(watch_signals).context("signals: expected a thread")?;
    }
    Ok(())
}

/// Ends the process after a signal that is not deferred.
fn watch_signals() {
    loop {
        thread::sleep(WAIT);
        let Some(signals) = SIGNALS.get() else { return };
        let Some(signal) = received() else { continue };
        if signals.deferred.load(Ordering::SeqCst) > 0 {
            continue;
        }
        match known() {
            Some((folder, place)) => {
                let place = place.to_owned();
                notice(Interrupted { signal, folder, place });
            }
            None => notice("interrupted before the run began; nothing was written"),
        }
        std::process::exit((STATUS + signal).into());
    }
}

/// The run's folder, as soon as there is one.
pub(crate) fn folder() -> Option<PathBuf> {
    known().map(|(folder, _)| folder)
}

fn known() -> Option<(PathBuf, &'static str)> {
    let known = &SIGNALS.get()?.folder;
    known.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Sets the run's folder, for messages, and where the run stands, such as `while loading`, when a
/// signal comes that is not deferred.
pub(crate) fn set_folder(folder: &Path, place: &'static str) {
    if let Some(signals) = SIGNALS.get() {
        let mut known = signals.folder.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((folder.to_owned(), place));
    }
}

/// Where a run stands that reads its data.
pub(crate) const LOADING: &str = "while loading";

/// As long as this value lives, the first signal does not end the process: [`received`] tells it.
#[derive(Debug)]
pub(crate) struct Deferred(());

/// Defers signals.
pub(crate) fn defer() -> Deferred {
    if let Some(signals) = SIGNALS.get() {
        signals.deferred.fetch_add(1, Ordering::SeqCst);
    }
    Deferred(())
}

impl Drop for Deferred {
    fn drop(&mut self) {
        if let Some(signals) = SIGNALS.get() {
            signals.deferred.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// The number of the signal that was received, if one was.
pub(crate) fn received() -> Option<u8> {
    let number = SIGNALS.get()?.received.load(Ordering::Relaxed);
    u8::try_from(number).ok().filter(|&number| number > 0)
}
