//! Curves of errors and accuracy over the epochs of a run.

use super::plot::{Curve, is_logarithmic, plot};
use crate::escape::Escape;
use crate::picture::terminal::Terminal;
use crate::train::{ClaimedRun, EpochMetrics, Score};
use crate::width::WIDTH;

/// The errors and the accuracy after each epoch of a run, or after each member of a committee.
pub(crate) fn text(run: &ClaimedRun, terminal: Terminal) -> String {
    let experiment = &run.experiment;
    let (step, planned) = match experiment.committee {
        Some(members) => ("member", members),
        None => ("epoch", experiment.epochs),
    };
    let heading = format!(
        "{}: {}, seed {}, {} of {planned} {step}s",
        run.folder.escaped(),
        experiment.name.escaped(),
        experiment.seed,
        run.lines.len()
    );
    let mut text = terminal.line(&heading) + "\n";
    let Some(last) = run.lines.last() else { return text };
    let width = terminal.columns.min(WIDTH);
    let column = |value: &dyn Fn(&EpochMetrics) -> f64| -> Vec<f64> {
        run.lines.iter().map(value).collect()
    };
    // A committee's lines are those of votes on the test images.
    let is_committee = experiment.committee.is_some();
    let (word, score): (_, fn(&EpochMetrics) -> Score) = match is_committee {
        true => (last.best_known_word(), EpochMetrics::best_known),
        false => (last.looked_at_word(), EpochMetrics::looked_at),
    };
    let tested = Curve { mark: 'o', values: column(&|line| score(line).error) };
    let error = score(last).error;
    let (errors, title) = match experiment.committee {
        Some(_) => (vec![tested], format!("mean −ln p, o {word} {error:.4}")),
        None => {
            let train = Curve { mark: '+', values: column(&|line| line.train_error) };
            let numbers = format!("+ training {:.4}, o {word} {error:.4}", last.train_error);
            (vec![train, tested], format!("error, mean {}: {numbers}", experiment.loss.name()))
        }
    };
    let scale = if is_logarithmic(&errors) { ", on a logarithmic scale" } else { "" };
    text += &(terminal.line(&(title + scale)) + &plot(&errors, step, width) + "\n");
    let accuracy = column(&|line| 100.0 * score(line).accuracy());
    let title = format!("accuracy in %: o {word} {:.2}", accuracy[accuracy.len() - 1]);
    let accuracy = Curve { mark: 'o', values: accuracy };
    text += &(terminal.line(&title) + &plot(&[accuracy], step, width) + "\n");
    if let Some(test) = last.test.filter(|_| !is_committee && last.validation.is_some()) {
        let of = last.best_epoch.map_or(String::new(), |best| format!(", of epoch {best}"));
        let (error, accuracy) = (test.error, 100.0 * test.accuracy());
        let line = format!("test, at the end{of}: error {error:.4}, accuracy {accuracy:.2} %");
        text += &terminal.line(&line);
    }
    text
}
