//! Receipts: what ties each line of metrics to the lines before it, to the experiment, the data and
//! the arithmetic, so that none of them can be changed without a trace.

use std::fmt::Write as _;

use layers::{ARITHMETIC, sha256};

use super::metrics::EpochMetrics;
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
        let EpochMetrics { epoch, test_correct, test_total, weights_sha256, .. } = metrics;
        let bits = |number: f64| format!("{:016x}", number.to_bits());
        let mut text = format!(
            "asterism receipt 1\n\
             before {}\n\
             arithmetic {arithmetic}\n\
             experiment {experiment}\n\
             data {data}\n\
             epoch {epoch}\n\
             train_error {}\n\
             test_error {}\n\
             test_correct {test_correct}\n\
             test_total {test_total}\n\
             learning_rate {}\n\
             weights_sha256 {weights_sha256}\n",
            before.unwrap_or("none"),
            bits(metrics.train_error),
            bits(metrics.test_error),
            bits(metrics.learning_rate),
        );
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
    use crate::train::metrics::EpochMetrics;

    fn line(epoch: usize) -> EpochMetrics {
        EpochMetrics {
            epoch,
            train_error: 0.5,
            train_seconds: 3.0,
            samples_per_second: 20_000.0,
            test_error: -0.0,
            test_correct: 90,
            test_total: 100,
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
    }

    #[test]
    fn every_claim_counts_and_no_time_does() {
        let receipts = Receipts { experiment: "aa".into(), data: "bb".into(), arithmetic: 1 };
        let original = receipts.of(&line(1), None, None);
        let changes: [fn(&mut EpochMetrics); 7] = [
            |line| line.epoch += 1,
            |line| line.train_error = line.train_error.next_up(),
            |line| line.test_error = 0.0,
            |line| line.test_correct += 1,
            |line| line.test_total += 1,
            |line| line.learning_rate = line.learning_rate.next_up(),
            |line| line.weights_sha256 = "c".into(),
        ];
        for change in changes {
            let mut line = line(1);
            change(&mut line);
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
