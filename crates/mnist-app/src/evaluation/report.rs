//! An evaluation in words.

use std::fmt::Write as _;

use layers::{Domain, Loss};

use super::answers::{Evaluation, mean};
use crate::dataset::{Classes, Samples};
use crate::escape::Escape;
use crate::statistics::wilson_interval;
use crate::width::cut;

/// How many test images the notebook lists at its end.
pub const NOTEBOOK_IMAGES: usize = 20;

/// The most classes in a table; of more, only the most notable are shown.
const MOST_CLASSES: usize = 20;

/// The notebook's last lines: the errors of the first test images, and their mean.
pub fn notebook_lines(evaluation: &Evaluation, samples: &Samples) -> String {
    let mut text = String::new();
    let errors = &evaluation.losses[..NOTEBOOK_IMAGES.min(samples.len())];
    for (index, error) in errors.iter().enumerate() {
        let name = |label: u8| samples.classes().name(usize::from(label)).escaped();
        let found = evaluation.predictions[index].map_or("none".into(), name);
        let label = name(samples.labels()[index]);
        let _ = writeln!(text, "pred: {found}, true: {label}, error={error:.4}");
    }
    let _ = writeln!(text, "mean error of these {}={:.4}", errors.len(), mean(errors));
    text
}

/// How many test images were right, which classes were not, and why the error alone does not show
/// this.
pub fn accuracy_lines(evaluation: &Evaluation, samples: &Samples, loss: &Loss) -> String {
    let (correct, total) = (evaluation.correct(samples), samples.len());
    let mut text = accuracy(correct, total) + "\n";
    text.push_str(&balanced_line(evaluation, samples));
    text.push_str(&unanswered_line(evaluation));
    let (classes, confusion) = (samples.classes(), evaluation.confusion(samples));
    let _ = writeln!(text, "{}", right_line(classes, &confusion));
    text.push_str(&confused_line(classes, &confusion));
    let constant = Constant::of(samples, loss);
    let error = evaluation.error();
    let outputs = classes.count();
    let mut what = match loss.domain() {
        Domain::Logits => "−ln of the right output's share, the mean".into(),
        _ => format!("a mean over {outputs} outputs, of which {} should be 0", outputs - 1),
    };
    if loss.class_weights().is_some() {
        what.push_str(", each times its class's weight");
    }
    let _ = writeln!(
        text,
        "The error alone does not show this: it is {what}. An answer that is the same for every \
         image, each {}'s share of them, has an error of {:.4} and gets {} right ({}); this \
         network has {error:.4}.",
        noun(classes),
        constant.error,
        constant.correct,
        percent(constant.correct, total),
    );
    text
}

/// From how many times the images of the smallest class on those of the largest make a test set
/// uneven.
const UNEVEN: f64 = 1.5;

/// The mean of the shares of each class that were right (the recalls), over the classes that occur,
/// where these are uneven: the largest has at least [`UNEVEN`] times the images of the smallest.
pub fn balanced_accuracy(evaluation: &Evaluation, samples: &Samples) -> Option<f64> {
    let confusion = evaluation.confusion(samples);
    let rows = confusion.iter().enumerate();
    let rows = rows.map(|(label, row)| (row[label], row.iter().sum::<usize>()));
    let occurring: Vec<_> = rows.filter(|&(_, images)| images > 0).collect();
    let sizes = || occurring.iter().map(|&(_, images)| images);
    let (smallest, largest) = (sizes().min()?, sizes().max()?);
    let recalls = occurring.iter().map(|&(right, images)| right as f64 / images as f64);
    let mean = recalls.sum::<f64>() / occurring.len() as f64;
    (largest as f64 >= UNEVEN * smallest as f64).then_some(mean)
}

/// The same in words, or nothing.
pub fn balanced_line(evaluation: &Evaluation, samples: &Samples) -> String {
    balanced_accuracy(evaluation, samples).map_or_else(String::new, |mean| {
        format!(
            "balanced accuracy {:.2} %, the mean of the classes' own, as they differ in size\n",
            100.0 * mean
        )
    })
}

/// How many images have no answer; empty if all have.
fn unanswered_line(evaluation: &Evaluation) -> String {
    let Some((first, count)) = evaluation.unanswered() else { return String::new() };
    format!(
        "no answer to {count} of them, which count as wrong: the network's outputs are not \
         finite, first for image {first}\n"
    )
}

/// The confusion matrix; of many classes only the most frequent mistakes. Above it, how many images
/// have no answer, if any.
pub fn confusion_table(evaluation: &Evaluation, samples: &Samples) -> String {
    let (classes, confusion) = (samples.classes(), evaluation.confusion(samples));
    unanswered_line(evaluation) + &table(classes, &confusion)
}

fn table(classes: &Classes, confusion: &[Vec<usize>]) -> String {
    if classes.count() > MOST_CLASSES {
        return mistakes(classes, confusion);
    }
    let names: Vec<_> =
        (0..classes.count()).map(|label| cut(&classes.name(label).escaped(), 12)).collect();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let (first, column) = (longest.max(5), (longest + 1).max(6));
    let mut text = format!("{:<first$}  images  right           taken for", noun(classes));
    for name in &names {
        let _ = write!(text, "{name:>column$}");
    }
    text.push('\n');
    for (label, (name, row)) in names.iter().zip(confusion).enumerate() {
        let (images, right) = (row.iter().sum(), row[label]);
        let share = percent(right, images);
        let _ = write!(text, "{name:>first$}  {images:>6}  {right:>5}  {share:>8}           ");
        for count in &row[..names.len()] {
            let _ = write!(text, "{count:>column$}");
        }
        text.push('\n');
    }
    text
}

/// The most frequent mistakes, a line each.
fn mistakes(classes: &Classes, confusion: &[Vec<usize>]) -> String {
    let mut mistakes: Vec<_> = confusion
        .iter()
        .enumerate()
        .flat_map(|(label, row)| {
            let taken = row[..classes.count()].iter().enumerate();
            let others = taken.filter(move |&(taken, _)| taken != label);
            others.map(move |(taken, &count)| (count, label, taken))
        })
        .filter(|&(count, ..)| count > 0)
        .collect();
    mistakes.sort_by_key(|&(count, label, taken)| (std::cmp::Reverse(count), label, taken));
    let mut text = String::from("times  share of the class  what was taken for what\n");
    for &(count, label, taken) in mistakes.iter().take(MOST_CLASSES) {
        let share = percent(count, confusion[label].iter().sum());
        let [label, taken] = [label, taken].map(|label| classes.name(label).escaped());
        let _ = writeln!(text, "{count:>5}  {share:>18}  {label} taken for {taken}");
    }
    if mistakes.len() > MOST_CLASSES {
        let rest = &mistakes[MOST_CLASSES..];
        let times: usize = rest.iter().map(|&(count, ..)| count).sum();
        let _ = writeln!(text, "{times:>5}  {:>18}  {} other mistakes", "", rest.len());
    }
    text
}

/// `digit` or `class`.
fn noun(classes: &Classes) -> &'static str {
    if classes.count() == 10 && classes.are_numbers() { "digit" } else { "class" }
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

/// A probability as `99.87 %`. What is not certain is not called so: at most `> 99.99 %`.
pub fn percent_of(probability: f64) -> String {
    match 100.0 * probability {
        percent if percent > 99.99 && percent < 100.0 => "> 99.99 %".into(),
        percent if percent > 0.0 && percent < 0.01 => "< 0.01 %".into(),
        percent => format!("{percent:.2} %"),
    }
}

/// How many images of each class were right; of many classes, only those with the lowest accuracy.
fn right_line(classes: &Classes, confusion: &[Vec<usize>]) -> String {
    let mut rows: Vec<_> = confusion
        .iter()
        .enumerate()
        .map(|(label, row)| (label, row[label], row.iter().sum::<usize>()))
        .collect();
    let noun = noun(classes);
    let mut title = format!("right by {noun}:");
    if rows.len() > MOST_CLASSES {
        rows.retain(|&(_, _, images)| images > 0);
        // Compares right / images without a division.
        rows.sort_by(|a, b| (a.1 * b.2).cmp(&(b.1 * a.2)));
        rows.truncate(MOST_CLASSES / 2);
        title = format!("least right of {} classes:", classes.count());
    }
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(label, right, images)| {
            format!(" {}: {right} of {images}", classes.name(label).escaped())
        })
        .collect();
    title + &rows.join(",")
}

/// The most frequent mistake, and the classes that were never predicted.
fn confused_line(classes: &Classes, confusion: &[Vec<usize>]) -> String {
    let mut worst = (0, 0, 0);
    for (label, row) in confusion.iter().enumerate() {
        for (other, &count) in row[..classes.count()].iter().enumerate() {
            if other != label && count > worst.0 {
                worst = (count, label, other);
            }
        }
    }
    let (count, label, other) = worst;
    if count == 0 {
        return format!("No {} was taken for another one.\n", noun(classes));
    }
    let images: usize = confusion[label].iter().sum();
    let never: Vec<_> = (0..classes.count())
        .filter(|&label| confusion.iter().all(|row| row[label] == 0))
        .map(|label| classes.name(label).escaped())
        .collect();
    let never = match never.len() {
        0 => String::new(),
        count if count > MOST_CLASSES => format!("; nothing was ever taken for {count} others"),
        _ => format!("; nothing was ever taken for {}", never.join(", ")),
    };
    let [label, other] = [label, other].map(|label| classes.name(label).escaped());
    format!("Most often wrong: {label} taken for {other}, {count} of {images} times{never}.\n")
}

/// The results of a constant answer: for every image, each class's share of the images.
#[derive(Debug, PartialEq)]
struct Constant {
    error: f64,
    correct: usize,
}

impl Constant {
    fn of(samples: &Samples, loss: &Loss) -> Self {
        let counts = samples.of_each_class();
        let total = samples.len() as f64;
        let shares = counts.iter().map(|&count| count as f64 / total);
        // With label smoothing, the shares of the targets: those are not 0 for any class.
        let smoothing = match loss {
            Loss::SoftmaxCrossEntropy(own) => own.label_smoothing,
            _ => 0.0,
        };
        let even = smoothing / counts.len() as f64;
        let shares = shares.map(|share| (1.0 - smoothing) * share + even);
        let ln = |share: f64| share.max(f64::MIN_POSITIVE).ln();
        let answer: Vec<_> = match loss.domain() {
            Domain::Logits => shares.map(ln).collect(),
            Domain::BinaryLogits => shares.map(|share| ln(share) - ln(1.0 - share)).collect(),
            Domain::Numbers | Domain::Probabilities => shares.collect(),
        };
        let error = |label: usize| {
            let mut target = vec![0.0; answer.len()];
            target[label] = 1.0;
            loss.value(&answer, &target)
        };
        let errors = counts.iter().enumerate().map(|(label, &count)| count as f64 * error(label));
        Self {
            error: errors.sum::<f64>() / total,
            correct: counts.into_iter().max().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use layers::{ClassWeights, Loss, SoftmaxCrossEntropy};

    use super::Constant;
    use crate::dataset::{Part, Samples};
    use crate::preprocessing::Form;

    #[test]
    fn the_constant_answer_is_the_shares_whatever_makes_probabilities_of_it() {
        let here = tempfile::tempdir().unwrap();
        // Three images of one pixel, labelled 0, 0, 1.
        let images = [0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, 7, 8, 9];
        let labels = [0, 0, 8, 1, 0, 0, 0, 3, 0, 0, 1];
        std::fs::write(here.path().join("t10k-images-idx3-ubyte"), images).unwrap();
        std::fs::write(here.path().join("t10k-labels-idx1-ubyte"), labels).unwrap();
        let samples = Samples::load(here.path(), Part::Test, &Form::default()).unwrap();
        let (often, seldom) = (2.0_f64 / 3.0, 1.0_f64 / 3.0);
        let entropy = -(often * often.ln() + seldom * seldom.ln());
        let weights = ClassWeights::new(&[1.0, 3.0]);
        let weighted =
            Loss::from(SoftmaxCrossEntropy { label_smoothing: 0.0, class_weights: Some(weights) });
        for (loss, expected) in [
            (Loss::softmax_cross_entropy(), entropy),
            (weighted, -(often * often.ln() + 3.0 * seldom * seldom.ln())),
            (Loss::binary_cross_entropy_with_logits(), entropy),
            (Loss::binary_cross_entropy(), entropy),
            (Loss::mean_squared_error(), often * seldom * seldom + seldom * often * often),
        ] {
            let found = Constant::of(&samples, &loss);
            assert!((found.error - expected).abs() < 1e-12, "{loss:?}: {found:?}, {expected}");
            assert_eq!(found.correct, 2);
        }
    }
}
