//! What a run says at its end, in words.

use std::fmt::Write as _;

use layers::Loss;

use crate::dataset::{CLASSES, Samples};
use crate::evaluation::{Evaluation, mean};
use crate::statistics::wilson_interval;

/// How many test images the notebook ends with.
pub const NOTEBOOK_IMAGES: usize = 20;

/// The notebook's last lines: the first test images with their errors, and the mean of
/// these.
pub fn notebook_lines(evaluation: &Evaluation, samples: &Samples) -> String {
    let mut text = String::new();
    let errors = &evaluation.losses[..NOTEBOOK_IMAGES.min(samples.len())];
    for (index, error) in errors.iter().enumerate() {
        let (found, label) = (evaluation.predictions[index], samples.labels()[index]);
        let _ = writeln!(text, "pred: {found}, true: {label}, error={error:.4}");
    }
    let _ = writeln!(text, "mean error of these {}={:.4}", errors.len(), mean(errors));
    text
}

/// How many test images were right, which digits were not, and what the error alone
/// says of that.
pub fn accuracy_lines(evaluation: &Evaluation, samples: &Samples, loss: Loss) -> String {
    let (correct, total) = (evaluation.correct(samples), samples.len());
    let mut text = accuracy(correct, total) + "\n";
    let confusion = evaluation.confusion(samples);
    text.push_str("right by digit:");
    for (digit, row) in confusion.iter().enumerate() {
        let _ = write!(text, " {digit}: {} of {},", row[digit], row.iter().sum::<usize>());
    }
    text.pop();
    text.push('\n');
    text.push_str(&confused_line(&confusion));
    let constant = Constant::of(samples, loss);
    let error = evaluation.error();
    let _ = writeln!(
        text,
        "The error alone does not show this: it is a mean over {CLASSES} outputs, of which {} should be \
         0. An answer that is the same for every image, each digit's share of them, has an \
         error of {:.4} and gets {} right ({}); this network has {error:.4}.",
        CLASSES - 1,
        constant.error,
        constant.correct,
        percent(constant.correct, total),
    );
    text
}

/// Rows of digits, columns of what they were taken for.
pub fn confusion_table(evaluation: &Evaluation, samples: &Samples) -> String {
    let mut text = String::from("digit  images  right           taken for");
    for digit in 0..CLASSES {
        let _ = write!(text, "{digit:>6}");
    }
    text.push('\n');
    for (digit, row) in evaluation.confusion(samples).iter().enumerate() {
        let images = row.iter().sum();
        let share = percent(row[digit], images);
        let _ = write!(text, "{digit:>5}  {images:>6}  {:>5}  {share:>8}           ", row[digit]);
        for count in row {
            let _ = write!(text, "{count:>6}");
        }
        text.push('\n');
    }
    text
}

/// `9870`, `10000` as `9870 of 10000 test images right (98.70 %), 95 % interval 98.46 to
/// 98.90 %`.
pub fn accuracy(correct: usize, total: usize) -> String {
    let [low, high] = wilson_interval(correct, total).map(|end| 100.0 * end);
    format!(
        "{correct} of {total} test images right ({}), 95 % interval {low:.2} to {high:.2} %",
        percent(correct, total)
    )
}

/// `3457`, `10000` as `34.57 %`.
pub fn percent(part: usize, whole: usize) -> String {
    format!("{:.2} %", 100.0 * part as f64 / whole.max(1) as f64)
}

/// Which digit was most often taken for which other one, and which were never seen.
fn confused_line(confusion: &[[usize; CLASSES]; CLASSES]) -> String {
    let mut worst = (0, 0, 0);
    for (digit, row) in confusion.iter().enumerate() {
        for (other, &count) in row.iter().enumerate() {
            if other != digit && count > worst.0 {
                worst = (count, digit, other);
            }
        }
    }
    let (count, digit, other) = worst;
    if count == 0 {
        return "No digit was taken for another one.\n".into();
    }
    let images: usize = confusion[digit].iter().sum();
    let never: Vec<_> = (0..CLASSES)
        .filter(|&digit| confusion.iter().all(|row| row[digit] == 0))
        .map(|digit| digit.to_string())
        .collect();
    let never = if never.is_empty() {
        String::new()
    } else {
        format!("; nothing was ever taken for {}", never.join(", "))
    };
    format!("Most often wrong: {digit} taken for {other}, {count} of {images} times{never}.\n")
}

/// What the answer would be worth that gives every image the digits' shares.
#[derive(Debug, PartialEq)]
struct Constant {
    error: f64,
    correct: usize,
}

impl Constant {
    fn of(samples: &Samples, loss: Loss) -> Self {
        let mut counts = [0; CLASSES];
        samples.labels().iter().for_each(|&label| counts[usize::from(label)] += 1);
        let total = samples.len() as f64;
        let answer = counts.map(|count| count as f64 / total);
        let error = |digit: usize| {
            let mut target = [0.0; CLASSES];
            target[digit] = 1.0;
            loss.value(&answer, &target)
        };
        let errors = counts.iter().enumerate().map(|(digit, &count)| count as f64 * error(digit));
        Self {
            error: errors.sum::<f64>() / total,
            correct: counts.into_iter().max().unwrap_or_default(),
        }
    }
}
