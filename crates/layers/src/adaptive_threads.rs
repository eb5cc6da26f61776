use std::time::Duration;

/// Chooses the number of threads for the next step from the durations of the steps so far.
///
/// Threads that share a step wait for the slowest at its end. When another program takes one
/// thread's core for a time slice of several milliseconds, the others wait as long as several steps
/// take; fewer threads, each with a core, are then faster. So when two windows of steps in a row
/// are much slower than the fastest step on all threads, half of the threads are tried, then half
/// of those, as long as that is faster; after a rest all threads are watched again. The number of
/// threads changes no bit of a result.
/// threads are watched again. The number of threads changes no bit of a result.
#[derive(Debug)]
pub(crate) struct AdaptiveThreads {
    all: usize,
    threads: usize,
    phase: Phase,
    window: Window,
    /// Seconds of the fastest step on all threads.
    fastest: f64,
    /// Whether the last window watched was slow. One slow window may be a single interruption, or
    /// the other program may have started in the middle of it.
    slow: bool,
    /// How many windows the next rest lasts.
    rest: u32,
}

#[derive(Debug)]
enum Phase {
    /// All threads, until a window is slow.
    Watch,
    /// Fewer than the `threads` before, whose steps took `mean` seconds.
    Trial { threads: usize, mean: f64 },
    /// Nothing changes for this many more windows.
    Rest { windows: u32 },
}

/// Consecutive steps on the same number of threads.
#[derive(Debug, Default)]
struct Window {
    steps: u32,
    time: Duration,
}

/// The shortest window: several of the system's time slices, which are 1 to 6 ms.
const WINDOW: Duration = Duration::from_millis(25);

/// The steps of a window if steps are long.
const WINDOW_STEPS: u32 = 4;

/// A mean step this many times as long as the fastest one means that threads wait for a core. On a
/// quiet machine the ratio is 1.0 to 1.1.
const CROWDED: f64 = 1.5;

/// The windows of the shortest and of the longest rest. Where nothing else changes, one window in
/// 64 runs on the wrong number of threads and costs half of its time.
const RESTS: [u32; 2] = [8, 64];

impl AdaptiveThreads {
    /// For steps that at most `threads` threads can share.
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            all: threads,
            threads,
            phase: Phase::Watch,
            window: Window::default(),
            fastest: f64::INFINITY,
            slow: false,
            rest: RESTS[0],
        }
    }

    /// Whether there is anything to choose, and so durations are worth measuring.
    pub(crate) fn has_choice(&self) -> bool {
        self.all > 1
    }

    /// The most threads that the next step should use; `usize::MAX` for all of them.
    pub(crate) fn limit(&self) -> usize {
        if self.threads == self.all { usize::MAX } else { self.threads }
    }

    /// Records the duration of a step on [`AdaptiveThreads::limit`] threads. All steps must do the
    /// same work.
    pub(crate) fn after(&mut self, duration: Duration) {
        if self.threads == self.all {
            self.fastest = self.fastest.min(duration.as_secs_f64());
        }
        if let Some(mean) = self.window.add(duration) {
            self.judge(mean);
        }
    }

    /// Decides what follows a window whose steps took `mean` seconds on average.
    fn judge(&mut self, mean: f64) {
        match self.phase {
            Phase::Watch if mean <= CROWDED * self.fastest => {
                self.slow = false;
                self.rest = RESTS[0].max(self.rest / 2);
            }
            Phase::Watch if self.slow => self.try_fewer(mean),
            Phase::Watch => self.slow = true,
            Phase::Trial { mean: before, .. } if mean < before && self.threads > 1 => {
                self.try_fewer(mean);
            }
            Phase::Trial { mean: before, .. } if mean < before => self.start_rest(),
            Phase::Trial { threads, mean: before } => {
                self.threads = threads;
                if threads == self.all {
                    // Fewer threads are no faster: the steps themselves became slower, and no core
                    // is shared.
                    self.fastest = before;
                }
                self.start_rest();
            }
            Phase::Rest { windows: 1 } => {
                self.threads = self.all;
                self.phase = Phase::Watch;
            }
            Phase::Rest { ref mut windows } => *windows -= 1,
        }
    }

    fn try_fewer(&mut self, mean: f64) {
        self.phase = Phase::Trial { threads: self.threads, mean };
        self.threads /= 2;
    }

    /// Each rest is twice as long as the one before, unless there was a quiet window between them.
    fn start_rest(&mut self) {
        self.phase = Phase::Rest { windows: self.rest };
        self.rest = RESTS[1].min(2 * self.rest);
    }
}

impl Window {
    /// The mean seconds of a step if this one ends the window.
    fn add(&mut self, duration: Duration) -> Option<f64> {
        self.steps += 1;
        self.time += duration;
        if self.time < WINDOW || self.steps < WINDOW_STEPS {
            return None;
        }
        let Self { steps, time } = std::mem::take(self);
        Some(time.as_secs_f64() / f64::from(steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds of step `index` on this many threads.
    type Machine = fn(usize, usize) -> f64;

    /// Two cores for us alone, and now and then a step that was interrupted.
    fn quiet(index: usize, threads: usize) -> f64 {
        let interrupted = if index.is_multiple_of(40) { 5.0 } else { 0.0 };
        interrupted + if threads == 1 { 1.75 } else { 0.9 + 0.01 * (index % 7) as f64 }
    }

    /// Another program has one of the two cores half of the time, in slices of 4 ms.
    fn crowded(index: usize, threads: usize) -> f64 {
        let waits = if threads > 1 && index.is_multiple_of(2) { 4.0 } else { 0.0 };
        waits + quiet(index, threads)
    }

    /// Both cores became slower for us.
    fn slowed(index: usize, threads: usize) -> f64 {
        1.6 * quiet(index, threads)
    }

    /// Runs `steps` steps; returns how many used fewer threads than there are.
    fn run(adaptive: &mut AdaptiveThreads, machine: Machine, steps: usize) -> usize {
        let mut on_fewer = 0;
        for index in 0..steps {
            let threads = adaptive.limit().min(adaptive.all);
            on_fewer += usize::from(threads < adaptive.all);
            adaptive.after(Duration::from_secs_f64(machine(index, threads) / 1e3));
        }
        on_fewer
    }

    #[test]
    fn a_quiet_machine_is_used_whole() {
        assert_eq!(run(&mut AdaptiveThreads::new(2), quiet, 20_000), 0);
    }

    #[test]
    fn one_thread_goes_on_while_a_neighbour_has_a_core() {
        let mut adaptive = AdaptiveThreads::new(2);
        run(&mut adaptive, quiet, 1_000);
        let on_two = 1_000 - run(&mut adaptive, crowded, 1_000);
        assert!(on_two < 80, "it is noticed soon: {on_two} steps on two threads");
        let on_two = 10_000 - run(&mut adaptive, crowded, 10_000);
        assert!((1..150).contains(&on_two), "two are tried seldom: {on_two} of 10000 steps");
        let on_one = run(&mut adaptive, quiet, 2_000);
        assert!(on_one < 1_000, "the neighbour's leaving is noticed: {on_one} steps on one");
        assert_eq!(run(&mut adaptive, quiet, 10_000), 0);
    }

    #[test]
    fn a_neighbour_who_was_there_first_is_noticed() {
        assert!(run(&mut AdaptiveThreads::new(2), crowded, 1_000) > 900);
    }

    #[test]
    fn slower_steps_are_no_neighbour() {
        let mut adaptive = AdaptiveThreads::new(2);
        run(&mut adaptive, quiet, 1_000);
        let on_one = run(&mut adaptive, slowed, 10_000);
        assert!((1..30).contains(&on_one), "one window on one thread: {on_one} steps");
    }

    #[test]
    fn threads_are_halved_while_that_is_faster() {
        let machine: Machine = |index, threads| match threads {
            9 if index < 100 => 1.0,
            9 => 4.0,
            4 => 3.0,
            2 => 2.0,
            _ => 2.5,
        };
        let mut adaptive = AdaptiveThreads::new(9);
        run(&mut adaptive, machine, 200);
        assert_eq!(adaptive.limit(), 2);
    }

    #[test]
    fn a_window_of_long_steps_has_several() {
        let machine: Machine = |index, threads| match (index, threads) {
            (100 | 101, 4) => 190.0,
            _ => 100.0,
        };
        assert_eq!(run(&mut AdaptiveThreads::new(4), machine, 1_000), 0);
    }

    #[test]
    fn one_thread_has_no_choice() {
        assert!(!AdaptiveThreads::new(1).has_choice());
        assert!(AdaptiveThreads::new(2).has_choice());
    }
}
