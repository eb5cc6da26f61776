//! When a checkpoint is due.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// How often `--checkpoint-every` asks for a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Every {
    /// After each so many steps of the run, and after each epoch.
    Steps(NonZeroU64),
    /// As soon as so much time has passed since the last one.
    Time(Duration),
}

impl Every {
    /// What the flag may say.
    pub(crate) const EXPECTED: &str =
        "steps, seconds or minutes from 1 on, such as 500, 30s or 10m";

    /// Reads the flag's value.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        const LONGEST: u64 = 1 << 32;
        let (number, unit) = match text.strip_suffix('s') {
            Some(number) => (number, Some(1)),
            None => text.strip_suffix('m').map_or((text, None), |number| (number, Some(60))),
        };
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: NonZeroU64 = number.parse().ok().filter(|_| digits)?;
        match unit {
            None => Some(Self::Steps(number)),
            Some(seconds) if number.get() <= LONGEST => {
                Some(Self::Time(Duration::from_secs(number.get() * seconds)))
            }
            Some(_) => None,
        }
    }
}

/// When the next checkpoint is due.
#[derive(Debug)]
pub(super) struct Pace {
    every: Option<Every>,
    last: Instant,
}

impl Pace {
    /// How much time passes at least between the checkpoints after two epochs, unless more are
    /// asked for: one takes some 10 ms, which short epochs would notice.
    const AFTER_EPOCHS: Duration = Duration::from_secs(5);

    /// After a first checkpoint.
    pub(super) fn new(every: Option<Every>) -> Self {
        Self { every, last: Instant::now() }
    }

    /// Begins to wait for the next one.
    pub(super) fn restart(&mut self) {
        self.last = Instant::now();
    }

    /// Whether one is due after a step, the run's `steps`th.
    pub(super) fn is_due_after_step(&self, steps: u64) -> bool {
        match self.every {
            None => false,
            Some(Every::Steps(every)) => steps.is_multiple_of(every.get()),
            Some(Every::Time(every)) => self.last.elapsed() >= every,
        }
    }

    /// Whether one is due after an epoch.
    pub(super) fn is_due_after_epoch(&self) -> bool {
        match self.every {
            Some(Every::Steps(_)) => true,
            Some(Every::Time(every)) => self.last.elapsed() >= every.min(Self::AFTER_EPOCHS),
            None => self.last.elapsed() >= Self::AFTER_EPOCHS,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Every;

    #[test]
    fn steps_seconds_and_minutes_are_read() {
        let steps = |count: u64| Some(Every::Steps(count.try_into().unwrap()));
        let time = |seconds| Some(Every::Time(Duration::from_secs(seconds)));
        for (text, expected) in [
            ("1", steps(1)),
            ("500", steps(500)),
            ("30s", time(30)),
            ("2m", time(120)),
            ("0", None),
            ("0s", None),
            ("", None),
            ("s", None),
            ("+3", None),
            ("-3", None),
            ("1.5m", None),
            ("3h", None),
            ("99999999999m", None),
        ] {
            assert_eq!(Every::parse(text), expected, "{text}");
        }
    }
}
