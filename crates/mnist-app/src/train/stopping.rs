//! When a training ends before its last epoch, and which epoch has been the best.

use serde::{Deserialize, Serialize};

use super::metrics::{EpochMetrics, Score};
use crate::experiment::Experiment;

/// The best epoch so far, by the validation images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Best {
    /// Counted from 1.
    pub(super) epoch: usize,
    pub(super) score: Score,
}

impl Best {
    /// The best epoch after one with these metrics, given that before it; none without validation
    /// images. An epoch is better if more of them are right, or as many and their error is lower.
    pub(super) fn after(before: Option<Self>, metrics: &EpochMetrics) -> Option<Self> {
        let score = metrics.validation?;
        match before {
            Some(best) if !score.is_better_than(&best.score) => before,
            _ => Some(Self { epoch: metrics.epoch, score }),
        }
    }

    /// The best epoch of all these lines.
    pub(super) fn of(lines: &[EpochMetrics]) -> Option<Self> {
        lines.iter().fold(None, Self::after)
    }
}

/// What ends a training before its last epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The target accuracy is reached.
    Target,
    /// So many epochs were not better than the best before them.
    Patience(usize),
}

/// Why a training ends after an epoch or a vote with these metrics, if it does before the last one
/// that is planned; `best` is the best epoch so far.
pub(super) fn stop(
    experiment: &Experiment,
    last: &EpochMetrics,
    best: Option<Best>,
) -> Option<Stop> {
    let accuracy = last.looked_at().accuracy();
    if experiment.target_accuracy.is_some_and(|target| accuracy >= target) {
        return Some(Stop::Target);
    }
    let patience = experiment.patience.filter(|_| experiment.committee.is_none())?.get();
    let without = last.epoch.saturating_sub(best?.epoch);
    (without >= patience).then_some(Stop::Patience(patience))
}

/// The same of a training that has come to these lines. Of one with validation images, only a line
/// that has the test's results too can be the last.
pub(super) fn stop_after(experiment: &Experiment, lines: &[EpochMetrics]) -> Option<Stop> {
    let last = lines.last().filter(|last| last.test.is_some())?;
    stop(experiment, last, Best::of(lines))
}

#[cfg(test)]
mod tests {
    use super::{Best, Stop, stop_after};
    use crate::experiment::Experiment;
    use crate::presets;
    use crate::train::metrics::{EpochMetrics, Score};

    fn line(epoch: usize, correct: usize, error: f64, is_tested: bool) -> EpochMetrics {
        let score = Score { error, correct, total: 100 };
        EpochMetrics {
            epoch,
            train_error: 0.5,
            train_seconds: 1.0,
            samples_per_second: 1.0,
            validation: Some(score),
            test: is_tested.then_some(score),
            best_epoch: None,
            learning_rate: 0.1,
            weights_sha256: String::new(),
            receipt: String::new(),
        }
    }

    #[test]
    fn more_right_is_better_and_of_as_many_the_lower_error() {
        let lines = [
            line(1, 80, 0.5, false),
            line(2, 80, 0.5, false),
            line(3, 80, 0.4, false),
            line(4, 79, 0.1, false),
            line(5, 81, 0.9, false),
        ];
        let epochs = [1, 2, 3, 4, 5].map(|count| Best::of(&lines[..count]).unwrap().epoch);
        assert_eq!(epochs, [1, 1, 3, 3, 5]);
        assert_eq!(Best::of(&[]), None);
    }

    #[test]
    fn patience_counts_epochs_since_the_best() {
        let mut experiment: Experiment = presets::experiment("notebook").unwrap();
        let lines = [line(1, 80, 0.5, true), line(2, 70, 0.5, true), line(3, 70, 0.6, true)];
        assert_eq!(stop_after(&experiment, &lines), None);
        experiment.patience = 2.try_into().ok();
        assert_eq!(stop_after(&experiment, &lines[..2]), None);
        assert_eq!(stop_after(&experiment, &lines), Some(Stop::Patience(2)));
        // What was not tested is not the last.
        let untested = [lines[0].clone(), lines[1].clone(), line(3, 70, 0.6, false)];
        assert_eq!(stop_after(&experiment, &untested), None);
        experiment.target_accuracy = Some(0.7);
        assert_eq!(stop_after(&experiment, &lines), Some(Stop::Target));
        experiment.target_accuracy = Some(0.71);
        assert_eq!(stop_after(&experiment, &lines[..2]), None);
    }
}
