//! The tables of a report.

use std::fmt::Write as _;

use crate::dataset::{Classes, Samples};
use crate::escape::Escape;
use crate::evaluation::Evaluation;
use crate::evaluation::report::percent;
use crate::html::{self, Cell, table};
use crate::passes::minus;
use crate::train::{EpochMetrics, Score};
use crate::width::cut;

/// The most rows of a table of epochs.
const MOST_ROWS: usize = 250;
/// The most classes in a confusion matrix.
const MOST_CLASSES: usize = 26;

/// A number with four digits behind the point, or an exponent where these say little; all its
/// digits are in the page too.
pub(super) fn digits(number: f64) -> Cell {
    let shown = match number.abs() {
        size if size == 0.0 || (1e-3..1e4).contains(&size) => format!("{number:.4}"),
        _ => format!("{number:.2e}"),
    };
    Cell::Digits { shown: minus(&shown), all: all_digits(number) }
}

/// A number with so many digits behind the point.
pub(super) fn rounded(number: f64, places: usize) -> Cell {
    Cell::Digits { shown: format!("{number:.places$}"), all: all_digits(number) }
}

/// The name of a class, cut where it would leave no room for numbers.
pub(super) fn class_name(classes: &Classes, label: usize) -> String {
    cut(&classes.name(label).escaped(), 24)
}

/// As `metrics.jsonl` has it.
fn all_digits(number: f64) -> String {
    serde_json::to_string(&number).unwrap_or_default()
}

pub(super) fn count(count: usize) -> Cell {
    Cell::Number(count.to_string())
}

/// Of many lines, which are shown: at most so many, the first and the last among them.
fn shown(lines: &[EpochMetrics]) -> Vec<&EpochMetrics> {
    let apart = lines.len().div_ceil(MOST_ROWS).max(1);
    let last = lines.len().saturating_sub(1);
    let some = lines.iter().enumerate().filter(|(place, _)| place % apart == 0 || *place == last);
    some.map(|(_, line)| line).collect()
}

/// The lines of metrics, and the same with their digests, folded; `what` is what a line is of.
pub(super) fn epochs(lines: &[EpochMetrics], what: &str) -> String {
    let some = shown(lines);
    // Of a run with validation images, only the last line has test results: they stand at the top.
    let [of_validation, of_test] =
        [|line: &EpochMetrics| line.validation, |line: &EpochMetrics| line.test];
    let parts = [("validation error", of_validation), ("test error", of_test)];
    let is_whole = |(_, score): &(_, fn(&EpochMetrics) -> Option<Score>)| {
        some.iter().all(|line| score(line).is_some())
    };
    let parts: Vec<_> = parts.into_iter().filter(is_whole).collect();
    let row = |line: &&EpochMetrics| {
        let mut row = vec![count(line.epoch), digits(line.train_error)];
        for Score { error, correct, total } in parts.iter().filter_map(|(_, score)| score(line)) {
            let accuracy = Cell::Number(percent(correct, total));
            row.extend([digits(error), count(correct), count(total), accuracy]);
        }
        row.extend([
            digits(line.learning_rate),
            rounded(line.train_seconds, 3),
            rounded(line.samples_per_second, 0),
        ]);
        row
    };
    let mut head = vec![what, "training error"];
    for (name, _) in &parts {
        head.extend([name, "right", "of", "accuracy"]);
    }
    head.extend(["learning rate", "seconds", "images/s"]);
    let rows: Vec<_> = some.iter().map(row).collect();
    let caption = match some.len() == lines.len() {
        true => "The lines of metrics.jsonl".to_owned(),
        false => format!("{} of the {} lines of metrics.jsonl", some.len(), lines.len()),
    };
    let digest = |text: &str| Cell::Html(format!("<code>{}</code>", html::text(&text.escaped())));
    let rows_of_digests: Vec<_> = some
        .iter()
        .map(|line| vec![count(line.epoch), digest(&line.weights_sha256), digest(&line.receipt)])
        .collect();
    let digests = table(
        "Digests and receipts",
        &[what, "SHA-256 of the weights", "receipt"],
        &rows_of_digests,
    );
    table(&caption, &head, &rows)
        + &format!(
            "<details>\n<summary>Digests and receipts, line by line</summary>\n{digests}</details>\n"
        )
}

/// How often each class was taken for each.
pub(super) fn confusion(evaluation: &Evaluation, samples: &Samples) -> String {
    let (classes, confusion) = (samples.classes(), evaluation.confusion(samples));
    let mut section = String::from("<h2 id=\"confusion\">What was taken for what</h2>\n");
    if let Some((first, count)) = evaluation.unanswered() {
        let _ = writeln!(
            section,
            "<p class=\"notice\">{count} images have no answer, which counts as wrong: the \
             network's outputs are not finite, first for image {first}.</p>"
        );
    }
    section
        + &match classes.count() > MOST_CLASSES {
            true => frequent(classes, &confusion),
            false => matrix(classes, &confusion),
        }
}

fn matrix(classes: &Classes, confusion: &[Vec<usize>]) -> String {
    let names: Vec<_> = (0..classes.count()).map(|label| class_name(classes, label)).collect();
    let mut html = String::from(
        "<p>A row is what images show, a column what they were taken for: right answers are on \
         the diagonal. Colours are by the share of the row.</p>\n<div class=\"scroll\" \
         role=\"region\" aria-label=\"Confusion matrix\" tabindex=\"0\">\n\
         <table class=\"confusion\">\n<caption>Confusion matrix</caption>\n<thead><tr>\
         <th scope=\"col\">shows</th>",
    );
    for name in &names {
        let _ = write!(html, "<th scope=\"col\" class=\"number\">{}</th>", html::text(name));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for (label, (name, row)) in names.iter().zip(confusion).enumerate() {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", html::text(name));
        let images: usize = row.iter().sum();
        for (taken, &count) in row[..names.len()].iter().enumerate() {
            let kind = if taken == label { 'r' } else { 'w' };
            let level = level(count, images);
            let _ = write!(html, "<td class=\"number {kind}{level}\">{count}</td>");
        }
        html.push_str("</tr>\n");
    }
    html + "</tbody>\n</table>\n</div>\n"
}

/// From 0 to 5, by the root of the share, so that few can be told from none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 5")]
fn level(count: usize, images: usize) -> usize {
    let share = count as f64 / images.max(1) as f64;
    (share.sqrt() * 5.0).ceil().min(5.0) as usize
}

/// The most frequent mistakes, of many classes.
fn frequent(classes: &Classes, confusion: &[Vec<usize>]) -> String {
    let mut mistakes: Vec<_> = confusion
        .iter()
        .enumerate()
        .flat_map(|(label, row)| {
            let taken = row[..classes.count()].iter().enumerate();
            taken.map(move |(taken, &count)| (count, label, taken))
        })
        .filter(|&(count, label, taken)| count > 0 && label != taken)
        .collect();
    mistakes.sort_by_key(|&(count, label, taken)| (std::cmp::Reverse(count), label, taken));
    let row = |&(times, label, taken): &(usize, usize, usize)| {
        let [shows, taken] = [label, taken].map(|label| Cell::Text(class_name(classes, label)));
        let share = Cell::Number(percent(times, confusion[label].iter().sum()));
        vec![shows, taken, count(times), share]
    };
    let rows: Vec<_> = mistakes.iter().take(MOST_CLASSES).map(row).collect();
    let caption =
        format!("The {} most frequent of {} kinds of mistakes", rows.len(), mistakes.len());
    table(&caption, &["shows", "taken for", "times", "share of the class"], &rows)
}

/// Precision and recall of each class.
pub(super) fn classes(evaluation: &Evaluation, samples: &Samples) -> String {
    let (classes, confusion) = (samples.classes(), evaluation.confusion(samples));
    let row = |label: usize| {
        let right = confusion[label][label];
        let images: usize = confusion[label].iter().sum();
        let taken: usize = confusion.iter().map(|row| row[label]).sum();
        let share = |of: usize| match of {
            0 => Cell::Number("–".into()),
            _ => Cell::Number(percent(right, of)),
        };
        vec![
            Cell::Text(class_name(classes, label)),
            count(images),
            count(taken),
            count(right),
            share(taken),
            share(images),
        ]
    };
    let rows: Vec<_> = (0..classes.count()).map(row).collect();
    let head = ["class", "images", "answers", "right", "precision", "recall"];
    "<h2 id=\"classes\">Precision and recall</h2>\n<p>Precision is the share of the answers of a \
     class that are right, recall the share of its images that are recognised.</p>\n"
        .to_owned()
        + &table("Precision and recall of each class", &head, &rows)
}

#[cfg(test)]
mod tests {
    use super::{level, shown};
    use crate::train::EpochMetrics;

    #[test]
    fn few_mistakes_can_be_told_from_none() {
        assert_eq!(
            [(0, 100), (1, 1000), (50, 100), (100, 100), (0, 0)].map(|(a, b)| level(a, b)),
            [0, 1, 4, 5, 0]
        );
    }

    #[test]
    fn of_many_epochs_the_first_and_the_last_are_shown() {
        let line = |epoch| EpochMetrics {
            epoch,
            train_error: 0.0,
            train_seconds: 0.0,
            samples_per_second: 0.0,
            validation: None,
            test: None,
            best_epoch: None,
            learning_rate: 0.0,
            weights_sha256: String::new(),
            receipt: String::new(),
        };
        let lines: Vec<_> = (1..=1000).map(line).collect();
        let found = shown(&lines);
        assert!(found.len() <= 251, "{}", found.len());
        assert_eq!((found[0].epoch, found.last().unwrap().epoch), (1, 1000));
    }
}
