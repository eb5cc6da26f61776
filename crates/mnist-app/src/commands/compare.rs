//! `compare`: whether one of two saved networks is better on the same test images.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::evaluate::{Accuracy, TestFlags};
use crate::console::Console;
use crate::dataset::Samples;
use crate::escape::Escape;
use crate::evaluation::Evaluation;
use crate::evaluation::report;
use crate::model::Model;
use crate::statistics::{SIGNIFICANCE, mcnemar};

/// Tells by McNemar's test whether one of two models is better
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// the first model, a model.safetensors or the folder of a run
    #[arg(value_name = "A")]
    a: PathBuf,
    /// the second model
    #[arg(value_name = "B")]
    b: PathBuf,
    #[command(flatten)]
    test: TestFlags,
}

pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    let (models, found, asked) = flags.test.read(&[flags.a.clone(), flags.b.clone()])?;
    let flags = &flags.test;
    let [a, b] = models.as_slice() else { unreachable!("the command line has two models") };
    asked.divide(found.samples[0].len(), || {
        let mut console = Console::default();
        found.tell(&mut console, (flags.json, flags.common.quiet))?;
        let [of_a, of_b] = found.samples.as_slice() else { unreachable!("samples of two models") };
        let sides = [(&a.evaluate(of_a)?, of_a), (&b.evaluate(of_b)?, of_b)];
        let table = Table::of(sides);
        let text = if flags.json {
            let names = [a, b].map(|model| model.path().to_string_lossy().into_owned());
            json(names, sides, table)? + "\n"
        } else {
            words([a, b], table)
        };
        console.print(text)
    })
}

/// How many samples both models got right, only one of them, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Table {
    both_right: usize,
    only_a: usize,
    only_b: usize,
    both_wrong: usize,
}

/// The model that the test shows to be better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Better {
    A,
    B,
}

impl Table {
    /// From the answers to the same samples, which each side has labelled in the order of its
    /// model's classes.
    fn of(sides: [(&Evaluation, &Samples); 2]) -> Self {
        let mut table = Self { both_right: 0, only_a: 0, only_b: 0, both_wrong: 0 };
        let [a, b] = sides.map(|(evaluation, samples)| evaluation.right(samples));
        for sides in a.zip(b) {
            *match sides {
                (true, true) => &mut table.both_right,
                (true, false) => &mut table.only_a,
                (false, true) => &mut table.only_b,
                (false, false) => &mut table.both_wrong,
            } += 1;
        }
        table
    }

    fn total(self) -> usize {
        self.both_right + self.only_a + self.only_b + self.both_wrong
    }

    fn p_value(self) -> f64 {
        mcnemar(self.only_a, self.only_b)
    }

    fn better(self) -> Option<Better> {
        let better = if self.only_a > self.only_b { Better::A } else { Better::B };
        (self.p_value() < SIGNIFICANCE).then_some(better)
    }
}

fn words([a, b]: [&Model; 2], table: Table) -> String {
    let total = table.total();
    let Table { both_right, only_a, only_b, both_wrong } = table;
    let mut text = String::new();
    for (name, model, only) in [("A", a, only_a), ("B", b, only_b)] {
        let accuracy = report::accuracy(both_right + only, total);
        let _ = writeln!(text, "{name}: {}: {accuracy}", model.path().escaped());
    }
    let _ = writeln!(text, "{:>12}{:>10}{:>10}", "", "B right", "B wrong");
    let _ = writeln!(text, "{:>12}{both_right:>10}{only_a:>10}", "A right");
    let _ = writeln!(text, "{:>12}{only_b:>10}{both_wrong:>10}", "A wrong");
    let p = p_text(table.p_value());
    let _ = writeln!(text, "McNemar's exact test, two-sided: {p}");
    let verdict = match table.better() {
        Some(Better::A) => "A is better than B".into(),
        Some(Better::B) => "B is better than A".into(),
        None => format!("no difference that these {total} images can show"),
    };
    let _ = writeln!(text, "{verdict} (at {} %)", 100.0 * SIGNIFICANCE);
    text
}

fn p_text(p: f64) -> String {
    if p >= 0.001 { format!("p = {p:.4}") } else { format!("p = {p:.1e}") }
}

/// One model of a comparison, for `--json`.
#[derive(Serialize)]
struct Side {
    model: String,
    #[serde(flatten)]
    accuracy: Accuracy,
}

/// All of a comparison, for `--json`.
#[derive(Serialize)]
struct Comparison {
    a: Side,
    b: Side,
    #[serde(flatten)]
    table: Table,
    p_value: f64,
    /// Null if the test shows no difference.
    better: Option<Better>,
}

fn json(
    [a, b]: [String; 2],
    [of_a, of_b]: [(&Evaluation, &Samples); 2],
    table: Table,
) -> anyhow::Result<String> {
    let side = |model, (evaluation, samples): (&Evaluation, &Samples)| Side {
        model,
        accuracy: Accuracy::new(evaluation, samples),
    };
    let (p_value, better) = (table.p_value(), table.better());
    let comparison = Comparison { a: side(a, of_a), b: side(b, of_b), table, p_value, better };
    Ok(serde_json::to_string(&comparison)?)
}

#[cfg(test)]
mod tests {
    use super::{Better, Table, p_text};

    #[test]
    fn a_difference_counts_from_five_percent_on() {
        for (only_a, only_b, expected) in [
            (0, 0, None),
            (0, 5, None),
            (0, 6, Some(Better::B)),
            (6, 0, Some(Better::A)),
            (25, 10, Some(Better::A)),
            (60, 70, None),
        ] {
            let table = Table { both_right: 90, only_a, only_b, both_wrong: 3 };
            assert_eq!(table.better(), expected, "{only_a} {only_b}");
        }
    }

    #[test]
    fn small_p_values_keep_their_digits() {
        assert_eq!(p_text(1.0), "p = 1.0000");
        assert_eq!(p_text(0.03125), "p = 0.0312");
        assert_eq!(p_text(4.43e-6), "p = 4.4e-6");
    }
}
