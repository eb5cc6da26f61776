//! Curves of errors and accuracy over the epochs of a run.

use super::plot::{Curve, is_logarithmic, plot};
use crate::escape::Escape;
use crate::picture::terminal::Terminal;
use crate::train::ClaimedRun;
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
    let column = |value: &dyn Fn(&crate::train::EpochMetrics) -> f64| -> Vec<f64> {
        run.lines.iter().map(value).collect()
    };
    let test = Curve { mark: 'o', values: column(&|line| line.test_error) };
    let (errors, title) = match experiment.committee {
        Some(_) => (vec![test], format!("mean −ln p, o test {:.4}", last.test_error)),
        None => {
            let train = Curve { mark: '+', values: column(&|line| line.train_error) };
            let numbers =
                format!("+ training {:.4}, o test {:.4}", last.train_error, last.test_error);
            (vec![train, test], format!("error, mean {}: {numbers}", experiment.loss.name()))
        }
    };
    let scale = if is_logarithmic(&errors) { ", on a logarithmic scale" } else { "" };
    text += &(terminal.line(&(title + scale)) + &plot(&errors, step, width) + "\n");
    let accuracy = column(&|line| 100.0 * line.test_accuracy());
    let title = format!("accuracy in %: o test {:.2}", accuracy[accuracy.len() - 1]);
    let accuracy = Curve { mark: 'o', values: accuracy };
    text + &terminal.line(&title) + &plot(&[accuracy], step, width) + "\n"
}
