//! Receipts: what ties each line of metrics to the lines before it, to the experiment, the data and
//! the arithmetic, so that none of them can be changed without a trace.

use std::fmt::Write as _;

use layers::{ARITHMETIC, sha256};

use super::metrics::{EpochMetrics, Score};
use crate::dataset::Digests;
use crate::experiment::Experiment;

/// What all receipts of a run have in common.
#[derive(Clone, Debug)]
pub(super) struct Receipts {
    experiment: String,
    data: String,
    arithmetic: u32,
}

impl Receipts {
    /// Of an experiment on these data, in the arithmetic of this program.
    ///
    /// # Errors
    /// If something in the experiment cannot be written as TOML.
    pub(super) fn new(experiment: &Experiment, data: &Digests) -> anyhow::Result<Self> {
        let experiment = experiment.digest()?;
        Ok(Self { experiment, data: data.whole(), arithmetic: ARITHMETIC })
    }

    /// Of another version of the arithmetic.
    pub(super) fn in_arithmetic(&self, version: u32) -> Self {
        Self { arithmetic: version, ..self.clone() }
    }

    /// The receipt of a line of metrics, given that of the line before, and that of the member's
    /// last line where the line is a committee's. The line's own receipt and its times do not
    /// matter.
    ///
    /// It is the SHA-256 of a text, a line for each of these; numbers that are no integers are
    /// written as the 16 hexadecimal digits of their 64 bits.
    pub(super) fn of(
        &self,
        metrics: &EpochMetrics,
        before: Option<&str>,
        member: Option<&str>,
    ) -> String {
        let Self { experiment, data, arithmetic } = self;
        let EpochMetrics { epoch, weights_sha256, .. } = metrics;
        let bits = |number: f64| format!("{:016x}", number.to_bits());
        let mut text = format!(
            "asterism receipt 1\n\
             before {}\n\
             arithmetic {arithmetic}\n\
             experiment {experiment}\n\
             data {data}\n\
             epoch {epoch}\n\
             train_error {}\n",
            before.unwrap_or("none"),
            bits(metrics.train_error),
        );
        for (part, score) in [("validation", metrics.validation), ("test", metrics.test)] {
            let Some(Score { error, correct, total }) = score else { continue };
            let _ = writeln!(
                text,
                "{part}_error {}\n{part}_correct {correct}\n{part}_total {total}",
                bits(error)
            );
        }
        if let Some(best) = metrics.best_epoch {
            let _ = writeln!(text, "best_epoch {best}");
        }
        let rate = bits(metrics.learning_rate);
        let _ = writeln!(text, "learning_rate {rate}\nweights_sha256 {weights_sha256}");
        if let Some(member) = member {
            let _ = writeln!(text, "member {member}");
        }
        sha256(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use layers::sha256;

    use super::Receipts;
    use crate::train::metrics::{EpochMetrics, Score};

    fn line(epoch: usize) -> EpochMetrics {
        EpochMetrics {
            epoch,
            train_error: 0.5,
            train_seconds: 3.0,
            samples_per_second: 20_000.0,
            validation: None,
            test: Some(Score { error: -0.0, correct: 90, total: 100 }),
            best_epoch: None,
            learning_rate: 0.1,
            weights_sha256: "cc".into(),
            receipt: String::new(),
        }
    }

    #[test]
    fn a_chain_is_what_the_documentation_says() {
        let receipts = Receipts { experiment: "aa".into(), data: "bb".into(), arithmetic: 1 };
        let text = |before: &str, epoch| {
            format!(
                "asterism receipt 1\nbefore {before}\narithmetic 1\nexperiment aa\ndata bb\n\
                 epoch {epoch}\ntrain_error 3fe0000000000000\ntest_error 8000000000000000\n\
                 test_correct 90\ntest_total 100\nlearning_rate 3fb999999999999a\n\
                 weights_sha256 cc\n"
            )
        };
        let first = sha256(text("none", 1).as_bytes());
        assert_eq!(receipts.of(&line(1), None, None), first);
        let second = sha256(text(&first, 2).as_bytes());
        assert_eq!(receipts.of(&line(2), Some(&first), None), second);
        let of_member = sha256((text(&first, 2) + "member dd\n").as_bytes());
        assert_eq!(receipts.of(&line(2), Some(&first), Some("dd")), of_member);
        // With validation images, their lines stand before those of the test images, if there are
        // these.
        let test = "test_error 8000000000000000\ntest_correct 90\ntest_total 100\n";
        let validation = test.replace("test", "validation");
        let both = EpochMetrics { validation: line(1).test, best_epoch: Some(1), ..line(1) };
        let lines = format!("{validation}{test}best_epoch 1\n");
        let expected = sha256(text("none", 1).replace(test, &lines).as_bytes());
        assert_eq!(receipts.of(&both, None, None), expected);
        let untested = EpochMetrics { test: None, best_epoch: None, ..both };
        let expected = sha256(text("none", 1).replace(test, &validation).as_bytes());
        assert_eq!(receipts.of(&untested, None, None), expected);
    }

    #[test]
    fn every_claim_counts_and_no_time_does() {
        let receipts = Receipts { experiment: "aa".into(), data: "bb".into(), arithmetic: 1 };
        let original = receipts.of(&line(1), None, None);
        let error = |error| Some(Score { error, correct: 90, total: 100 });
        let lines = [
            EpochMetrics { epoch: 2, ..line(1) },
            EpochMetrics { train_error: 0.5_f64.next_up(), ..line(1) },
            EpochMetrics { test: error(0.0), ..line(1) },
            EpochMetrics { test: Some(Score { error: -0.0, correct: 91, total: 100 }), ..line(1) },
            EpochMetrics { test: Some(Score { error: -0.0, correct: 90, total: 101 }), ..line(1) },
            EpochMetrics { validation: error(-0.0), ..line(1) },
            EpochMetrics { best_epoch: Some(1), ..line(1) },
            EpochMetrics { learning_rate: 0.1_f64.next_up(), ..line(1) },
            EpochMetrics { weights_sha256: "c".into(), ..line(1) },
        ];
        for line in lines {
            assert_ne!(receipts.of(&line, None, None), original, "{line:?}");
        }
        let others = [
            Receipts { experiment: "ab".into(), ..receipts.clone() },
            Receipts { data: "ba".into(), ..receipts.clone() },
            receipts.in_arithmetic(2),
        ];
        for other in others {
            assert_ne!(other.of(&line(1), None, None), original, "{other:?}");
        }
        let slower = EpochMetrics { train_seconds: 9.0, samples_per_second: 1.0, ..line(1) };
        assert_eq!(receipts.of(&slower, None, None), original);
    }
}
