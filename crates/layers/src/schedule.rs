use std::f64::consts::PI;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::tagged::{bounded, fraction, name_or_table, not_negative};

/// The learning rate over a training run: a pure function of the step, of the number of steps, and
/// of the experiment's rate.
///
/// In text, a schedule is a name, `"one_cycle"`, or a table, `{ type = "cosine", warmup = 0.1 }`.
/// All but one-cycle may begin with a warm-up: the rate grows linearly to the experiment's over
/// that fraction of the steps, whole steps, and the rest of the schedule follows over the remaining
/// steps.
///
/// Fractions are taken as they are written: 0.07 of 100 steps are 7, though neither 0.07 nor its
/// product with 100 is exact in binary.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Schedule {
    /// The same rate throughout.
    Constant {
        /// The fraction of the steps in which the rate grows, 0 by default.
        warmup: f64,
    },
    /// A rate that is multiplied by a factor at some steps, as PyTorch's `MultiStepLR`.
    Step {
        /// When, as ascending fractions of the steps after the warm-up: from the first step,
        /// counted from 0, that is not less than this fraction of them.
        at: Vec<f64>,
        /// The factor, 0.1 by default.
        factor: f64,
        /// The fraction of the steps in which the rate grows, 0 by default.
        warmup: f64,
    },
    /// Half a cosine from the rate down to a fraction of it (Loshchilov and Hutter, 2017), as
    /// PyTorch's `CosineAnnealingLR`: the fraction would be reached by the step after the last.
    Cosine {
        /// The fraction of the rate that it goes down to, 0 by default.
        end: f64,
        /// The fraction of the steps in which the rate grows, 0 by default.
        warmup: f64,
    },
    /// Half a cosine up to the rate and half a cosine down to almost nothing (Smith and Topin,
    /// 2018), as PyTorch's `OneCycleLR`: of `total` steps counted from 0, the rate is reached at
    /// `rise · total − 1` and the last rate at `total − 1`. A rise of less than one step ends
    /// before the run, which begins on the way down; a rise of a single step begins with the rate
    /// (PyTorch divides by zero there).
    OneCycle {
        /// The fraction of the steps in which the rate grows, 0.3 by default.
        rise: f64,
        /// The first rate is the rate divided by this, 25 by default.
        start_divisor: f64,
        /// The last rate is the first one divided by this, 10,000 by default.
        end_divisor: f64,
    },
}

/// The form that serde derives, from which [`Schedule`] is read.
#[derive(Deserialize)]
#[serde(remote = "Schedule", rename_all = "snake_case", deny_unknown_fields)]
enum Table {
    Constant {
        #[serde(default, deserialize_with = "fraction")]
        warmup: f64,
    },
    Step {
        #[serde(deserialize_with = "ascending")]
        at: Vec<f64>,
        #[serde(default = "factor", deserialize_with = "not_negative")]
        factor: f64,
        #[serde(default, deserialize_with = "fraction")]
        warmup: f64,
    },
    Cosine {
        #[serde(default, deserialize_with = "not_negative")]
        end: f64,
        #[serde(default, deserialize_with = "fraction")]
        warmup: f64,
    },
    OneCycle {
        #[serde(default = "rise", deserialize_with = "fraction")]
        rise: f64,
        #[serde(default = "start_divisor", deserialize_with = "divisor")]
        start_divisor: f64,
        #[serde(default = "end_divisor", deserialize_with = "divisor")]
        end_divisor: f64,
    },
}

fn factor() -> f64 {
    0.1
}

fn rise() -> f64 {
    0.3
}

fn start_divisor() -> f64 {
    25.0
}

fn end_divisor() -> f64 {
    10_000.0
}

fn divisor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    bounded(deserializer, "a finite number of at least 1", |x| x >= 1.0 && x.is_finite())
}

fn ascending<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let at = Vec::<f64>::deserialize(deserializer)?;
    if at.iter().all(|at| (0.0..=1.0).contains(at)) && at.is_sorted() {
        return Ok(at);
    }
    let expected = &"ascending fractions from 0 to 1";
    Err(de::Error::invalid_value(de::Unexpected::Seq, expected))
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Whole(#[serde(with = "Table")] Schedule);
        name_or_table(deserializer).map(|Whole(schedule)| schedule)
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Constant { warmup: 0.0 }
    }
}

impl Schedule {
    /// A cosine down to 0, without warm-up.
    pub fn cosine() -> Self {
        Self::Cosine { end: 0.0, warmup: 0.0 }
    }

    /// One-cycle with the defaults.
    pub fn one_cycle() -> Self {
        Self::OneCycle { rise: rise(), start_divisor: start_divisor(), end_divisor: end_divisor() }
    }

    /// Whether the rate of a step depends on how many steps there are in all: a run with such a
    /// schedule cannot be made longer.
    pub fn depends_on_length(&self) -> bool {
        *self != Self::Constant { warmup: 0.0 }
    }

    /// The learning rate of step `step`, counted from 0, of `total`; after the last step, that of
    /// the last.
    ///
    /// `rate` is the experiment's rate, from which the schedule derives all others.
    pub fn rate(&self, rate: f64, step: usize, total: usize) -> f64 {
        let last = total.saturating_sub(1);
        let (step, total) = (step.min(last) as f64, total as f64);
        match self {
            Self::Constant { warmup } => rate * warm(*warmup, step, total).0,
            Self::Step { at, factor, warmup } => {
                let (part, [step, total]) = warm(*warmup, step, total);
                let reached = at.iter().filter(|&&at| step >= steps_of(at, total));
                reached.fold(rate * part, |rate, _| rate * factor)
            }
            Self::Cosine { end, warmup } => {
                let (part, [step, total]) = warm(*warmup, step, total);
                anneal(rate * part, rate * part * end, step / total)
            }
            Self::OneCycle { rise, start_divisor, end_divisor } => {
                let first = rate / start_divisor;
                let top = steps_of(*rise, total) - 1.0;
                if step <= top {
                    anneal(first, rate, if top > 0.0 { step / top } else { 1.0 })
                } else {
                    anneal(rate, first / end_divisor, (step - top) / (total - 1.0 - top))
                }
            }
        }
    }
}

/// The fraction of the rate that the warm-up has reached, and step and total without the warm-up.
fn warm(warmup: f64, step: f64, total: f64) -> (f64, [f64; 2]) {
    let steps = steps_of(warmup, total).floor();
    if step < steps {
        ((step + 1.0) / (steps + 1.0), [0.0, total - steps])
    } else {
        (1.0, [step - steps, (total - steps).max(1.0)])
    }
}

/// `fraction · total`, rounded to a whole number if the fraction as it is written gives one: the
/// fraction was rounded to binary once, and the product once more.
fn steps_of(fraction: f64, total: f64) -> f64 {
    let product = fraction * total;
    let nearest = product.round();
    if (product - nearest).abs() <= f64::EPSILON * nearest { nearest } else { product }
}

/// Half a cosine from `start` at 0 to `end` at 1.
fn anneal(start: f64, end: f64, at: f64) -> f64 {
    end + (start - end) * (1.0 + libm::cos(PI * at)) / 2.0
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    fn rates(text: &str, total: usize) -> Vec<f64> {
        let schedule: Schedule = serde_json::from_str(text).unwrap();
        (0..total).map(|step| schedule.rate(2.0, step, total)).collect()
    }

    #[test]
    fn rates_by_hand() {
        assert_eq!(rates(r#""constant""#, 3), [2.0; 3]);
        let warm = r#"{"type":"constant","warmup":0.5}"#;
        assert_eq!(rates(warm, 6), [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]);
        let step = r#"{"type":"step","at":[0.5,0.75],"factor":0.5}"#;
        assert_eq!(rates(step, 8), [2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 0.5, 0.5]);
        let cosine = rates(r#"{"type":"cosine","end":0.5}"#, 4);
        let (high, low) = (1.5 + 0.125_f64.sqrt(), 1.5 - 0.125_f64.sqrt());
        for (found, expected) in cosine.iter().zip([2.0, high, 1.5, low]) {
            assert!((found - expected).abs() < 1e-15, "{cosine:?}");
        }
        // A warm-up for two of six steps, then a schedule of the four others.
        let warm = rates(r#"{"type":"cosine","end":0.5,"warmup":0.34}"#, 6);
        assert_eq!((&warm[..2], &warm[2..]), (&[2.0 / 3.0, 4.0 / 3.0][..], &cosine[..]));
        let warm = rates(r#"{"type":"step","at":[0.5,0.75],"factor":0.5,"warmup":0.34}"#, 6);
        assert_eq!(
            (&warm[..2], &warm[2..]),
            (&[2.0 / 3.0, 4.0 / 3.0][..], &[2.0, 2.0, 1.0, 0.5][..])
        );
    }

    #[test]
    fn fractions_of_a_run_are_those_that_are_written() {
        for total in 1..=400_usize {
            for hundredths in 0..100_u32 {
                let fraction = f64::from(hundredths) / 100.0;
                let constant = Schedule::Constant { warmup: fraction };
                let growing = (0..total).take_while(|&step| constant.rate(1.0, step, total) < 1.0);
                assert_eq!(growing.count(), hundredths as usize * total / 100, "{fraction}");
                let step = Schedule::Step { at: vec![fraction], factor: 0.5, warmup: 0.0 };
                let before = (0..total).take_while(|&at| step.rate(1.0, at, total) == 1.0);
                assert_eq!(
                    before.count(),
                    (hundredths as usize * total).div_ceil(100),
                    "{fraction}"
                );
            }
        }
    }

    /// What PyTorch's `OneCycleLR` computes, transcribed from its code.
    fn pytorch_one_cycle(rate: f64, pct_start: f64, [step, total]: [usize; 2]) -> f64 {
        let (initial, minimal) = (rate / 25.0, rate / 25.0 / 1e4);
        let phases =
            [(pct_start * total as f64 - 1.0, initial, rate), (total as f64 - 1.0, rate, minimal)];
        let mut start_step = 0.0;
        for (index, (end_step, start, end)) in phases.into_iter().enumerate() {
            if step as f64 <= end_step || index == 1 {
                let pct = (step as f64 - start_step) / (end_step - start_step);
                return end + (start - end) / 2.0 * (1.0 + (std::f64::consts::PI * pct).cos());
            }
            start_step = end_step;
        }
        unreachable!("the last phase has an answer")
    }

    #[test]
    fn one_cycle_is_pytorchs_for_every_length_and_rise() {
        for total in 1..=400 {
            for hundredths in 0..100_u32 {
                let rise = f64::from(hundredths) / 100.0;
                let schedule = Schedule::OneCycle { rise, start_divisor: 25.0, end_divisor: 1e4 };
                for step in 0..total {
                    // PyTorch divides by zero.
                    let alone = hundredths as usize * total == 100 && step == 0;
                    let expected =
                        if alone { 2.0 } else { pytorch_one_cycle(2.0, rise, [step, total]) };
                    let found = schedule.rate(2.0, step, total);
                    let close = (found - expected).abs() <= 1e-12;
                    assert!(close, "{found}, {expected}: rise {rise}, {step} of {total}");
                }
            }
        }
    }

    #[test]
    fn a_late_peak_of_few_steps_falls_to_the_last_rate() {
        for (rise, total) in [(0.95, 10), (0.99, 10), (0.9, 7), (0.5, 1), (0.3, 1)] {
            let schedule = Schedule::OneCycle { rise, start_divisor: 25.0, end_divisor: 1e4 };
            let last = schedule.rate(1.0, total - 1, total);
            assert!((last - 4e-6).abs() < 1e-12, "rise {rise} of {total}: {last}");
        }
    }

    #[test]
    fn every_rate_of_every_length_is_positive_and_no_more_than_the_experiments() {
        for text in [r#""constant""#, r#""cosine""#, r#""one_cycle""#] {
            for total in 1..40 {
                let all = rates(text, total);
                let fits = all.iter().all(|&rate| rate > 0.0 && rate <= 2.0);
                assert!(fits, "{text}: {all:?}");
            }
        }
        assert_eq!(Schedule::one_cycle().rate(2.0, 99, 10), Schedule::one_cycle().rate(2.0, 9, 10));
    }

    #[test]
    fn text_is_read_and_written() {
        let all = [
            Schedule::default(),
            Schedule::one_cycle(),
            Schedule::Cosine { end: 0.1, warmup: 0.2 },
            Schedule::Step { at: vec![0.5], factor: 0.1, warmup: 0.0 },
        ];
        for schedule in all {
            let text = serde_json::to_string(&schedule).unwrap();
            assert_eq!(serde_json::from_str::<Schedule>(&text).unwrap(), schedule);
        }
        for (text, wanted) in [
            (r#"{"type":"step","at":[0.5,0.2]}"#, "expected ascending fractions from 0 to 1"),
            (r#"{"type":"cosine","warmup":1}"#, "expected a number from 0 to less than 1"),
            (r#"{"type":"one_cycle","start_divisor":0}"#, "expected a finite number of at least 1"),
            (r#""linear""#, "unknown variant `linear`"),
        ] {
            let error = serde_json::from_str::<Schedule>(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
