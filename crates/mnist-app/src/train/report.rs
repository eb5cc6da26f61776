//! What a training prints.

use std::io::IsTerminal;
use std::path::Path;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use layers::{Epoch, Network};
use tensor::Element;

use super::metrics::EpochMetrics;
use crate::escape::Escape;
use crate::evaluation::report::{accuracy, percent};
use crate::experiment::Experiment;
use crate::layer_rows::layer_rows;

/// What a run is about to do, given the numbers of training and test images.
pub(super) fn beginning<T: Element>(
    experiment: &Experiment,
    network: &Network<T>,
    [train, test]: [usize; 2],
    folder: &Path,
) -> String {
    let Experiment { name, description, seed, .. } = experiment;
    let mut text = format!("{}, seed {seed}: {}\n", name.escaped(), description.escaped());
    let table = network.table();
    let rows = table.iter().map(|(summary, shape, parameters)| {
        format!("{summary:<36}{:<14}{parameters:>9}", shape.to_string())
    });
    for row in layer_rows(rows) {
        text.push_str(&format!("    {row}\n"));
    }
    let parameters = network.parameters().len();
    let folder = folder.escaped();
    text + &format!(
        "{parameters} parameters, {train} training images, {test} test images\nrun: {folder}\n"
    )
}

/// The notebook's line for an epoch, followed by speed and test results.
pub(super) fn epoch_line(metrics: &EpochMetrics, epochs: usize) -> String {
    format!(
        "{:>2}/{epochs}, error={:.4}   {:.3} s, {:.0} samples/s   test: error {:.4}, {} right",
        metrics.epoch,
        metrics.train_error,
        metrics.train_seconds,
        metrics.samples_per_second,
        metrics.test_error,
        percent(metrics.test_correct, metrics.test_total),
    )
}

/// The result of the vote of a committee's members so far.
pub(super) fn vote_line(members: usize, metrics: &EpochMetrics) -> String {
    let accuracy = accuracy(metrics.test_correct, metrics.test_total);
    format!("vote of {members}: {accuracy}, mean −ln p {:.4}\n", metrics.test_error)
}

/// A bar that counts so many samples in each epoch.
pub(super) fn progress_bar(quiet: bool, samples: usize) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len}");
    let bar = ProgressBar::new(samples as u64).with_finish(ProgressFinish::AndClear);
    style.map_or(bar.clone(), |style| bar.with_style(style.progress_chars("=> ")))
}

/// Sets the bar back for an epoch.
pub(super) fn begin_epoch(bar: &ProgressBar, epoch: &Epoch, epochs: usize) {
    bar.set_message(format!("{}/{epochs}", epoch.number()));
    bar.reset();
}
