//! The bar that shows how far a run is, on a terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use layers::{Epoch, EpochProgress, EpochRun, StepReport};

/// A line on standard error, if that is a terminal, that is written anew up to ten times a second.
/// It has no colours.
pub(super) struct Bar {
    bar: ProgressBar,
    is_hidden: bool,
    /// How many samples and epochs the run has, and how many runs follow that take as long.
    samples: usize,
    epochs: usize,
    runs_left: usize,
    began: Instant,
    drawn: Instant,
    /// Samples since it began.
    done: usize,
    epoch: Counts,
}

/// Sums of the epoch so far.
#[derive(Default)]
struct Counts {
    number: usize,
    steps: u64,
    samples: usize,
    loss: f64,
    correct: usize,
}

/// How long a line stays. Between two of them a step costs two clock readings.
const PAUSE: Duration = Duration::from_millis(100);

impl Bar {
    /// For a run of `epochs` epochs of `samples` samples, the first of `[number, runs]`; nothing
    /// is shown if `quiet`.
    pub(super) fn new(
        quiet: bool,
        [samples, batch_size]: [usize; 2],
        epochs: usize,
        [number, runs]: [usize; 2],
    ) -> Self {
        let is_hidden = quiet || !std::io::stderr().is_terminal();
        let bar = match is_hidden {
            true => ProgressBar::hidden(),
            false => ProgressBar::new(samples.div_ceil(batch_size) as u64),
        };
        let style = ProgressStyle::with_template("{prefix} [{bar:12}] {pos}/{len} {wide_msg}");
        let bar = bar.with_finish(ProgressFinish::AndClear);
        let bar = match style {
            Ok(style) => bar.with_style(style.progress_chars("=> ")),
            Err(_) => bar,
        };
        let now = Instant::now();
        let (epoch, runs_left) = (Counts::default(), runs - number);
        Self { bar, is_hidden, samples, epochs, runs_left, began: now, drawn: now, done: 0, epoch }
    }

    /// Sets the bar back for an epoch, or to where that stands.
    pub(super) fn begin(&mut self, epoch: &Epoch, run: &EpochRun) {
        let EpochProgress { steps, losses, correct } = run.progress();
        let (number, samples, loss) = (epoch.number(), run.samples(), losses.value());
        self.epoch = Counts { number, steps: *steps as u64, samples, loss, correct: *correct };
        self.bar.set_message("");
        self.bar.reset();
        self.bar.set_position(self.epoch.steps);
        self.bar.set_prefix(format!("epoch {number}/{}", self.epochs));
    }

    /// Counts a step.
    pub(super) fn step(&mut self, report: &StepReport<'_>) {
        if self.is_hidden {
            return;
        }
        let counts = &mut self.epoch;
        counts.steps += 1;
        counts.samples += report.losses.len();
        counts.loss += report.losses.iter().sum::<f64>();
        counts.correct += report.correct;
        self.done += report.losses.len();
        if self.drawn.elapsed() >= PAUSE {
            self.drawn = Instant::now();
            self.draw();
        }
    }

    /// Says that the network is being tested, after the last step; first on the validation images,
    /// where there are some.
    pub(super) fn test(&self, has_validation: bool) {
        self.bar.set_position(self.bar.length().unwrap_or(0));
        self.bar.set_message(if has_validation { "validating" } else { "testing" });
    }

    /// Prints something without the bar in its way.
    pub(super) fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        self.bar.suspend(print)
    }

    fn draw(&self) {
        let Counts { number, steps, samples, loss, correct } = self.epoch;
        let seconds = self.began.elapsed().as_secs_f64();
        // Tests between the epochs are part of the time.
        let rate = self.done as f64 / seconds;
        let left = (self.epochs - number) * self.samples + self.samples.saturating_sub(samples);
        let left = left + self.runs_left * self.epochs * self.samples;
        let count = samples as f64;
        self.bar.set_position(steps);
        self.bar.set_message(format!(
            "loss {:.4}, {:.1} % right, {rate:.0}/s, {} left",
            loss / count,
            100.0 * correct as f64 / count,
            clock(left as f64 / rate)
        ));
    }
}

/// `1:05` of 65 seconds, `2:00:00` of two hours.
fn clock(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).map_or(0, |time| time.as_secs());
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::clock;

    #[test]
    fn times_are_as_on_a_clock() {
        for (seconds, expected) in [(0.4, "0:00"), (65.0, "1:05"), (7384.9, "2:03:04")] {
            assert_eq!(clock(seconds), expected);
        }
        assert_eq!(clock(f64::INFINITY), "0:00");
    }
}
