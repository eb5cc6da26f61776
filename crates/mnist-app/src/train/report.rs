//! What a training prints.

use std::path::Path;
use std::time::Duration;

use layers::Network;
use tensor::Element;

use super::Options;
use super::metrics::{EpochMetrics, Score};
use super::stopping::Stop;
use crate::dataset::{DataSource, Samples};
use crate::escape::{Escape, shell_word};
use crate::evaluation::report::{accuracy, percent};
use crate::experiment::Experiment;
use crate::experiment::build::trainer_config;
use crate::layer_rows::layer_rows;
use crate::memory::size_text;
use crate::run_folder::REPORT;
use crate::width::{WIDTH, cut, wrap, wrap_lines};

/// What a run is about to do, given its training, validation and test images and its folder.
pub(super) fn beginning<T: Element>(
    experiment: &Experiment,
    network: &Network<T>,
    (train, validation, test): (&Samples, Option<&Samples>, &Samples),
    (options, folder): (&Options, &Path),
) -> String {
    let Experiment { name, description, seed, epochs, .. } = experiment;
    let mut title = format!("{}, seed {seed}: {}", name.escaped(), description.escaped());
    title.truncate(title.trim_end_matches([':', ' ']).len());
    let source = match experiment.data_path() {
        Some(folder) => folder.escaped(),
        None => DataSource::Mnist.to_string(),
    };
    let [_, height, width] = train.shape();
    let of_validation = validation
        .map_or(String::new(), |validation| format!("{} validation images, ", validation.len()));
    let data = format!(
        "data: {source}, {} training images, {of_validation}{} test images of {height}×{width} pixels, {}",
        train.len(),
        test.len(),
        classes(train)
    );
    let table = network.table();
    let rows = table.iter().map(|(summary, shape, parameters)| {
        row(summary, &shape.to_string(), &parameters.to_string())
    });
    let head = row("layer", "output", "parameters");
    let rows: Vec<_> = std::iter::once(head).chain(layer_rows(rows)).collect();
    let (batch, samples) = (experiment.batch_size.get().min(train.len()), train.len());
    let threads = rayon::current_num_threads();
    let parts = [Some(train), validation, Some(test)].into_iter().flatten();
    let images: usize = parts.map(|part| part.len() * part.shape().iter().product::<usize>()).sum();
    let config = trainer_config(experiment, samples);
    let training = network.spec().footprint::<T>().map(|own| own.training(&config, threads));
    let work = format!(
        "{} parameters, {}, epochs: {epochs}, steps in each: {}, images in a step: {batch}, \
         threads: {threads}, SIMD: {}, memory: {} of images, {} to train",
        network.parameters().len(),
        T::NAME,
        samples.div_ceil(batch),
        options.simd.name(),
        size_text(images as u64),
        size_text(training.unwrap_or_default())
    );
    let run = format!("run: {}", folder.escaped());
    let rows = rows.into_iter().map(|row| format!("    {row}").trim_end().to_owned());
    let lines = [wrap(&title), wrap(&data)].into_iter().chain(rows).chain([wrap(&work), run]);
    lines.map(|line| line + "\n").collect()
}

fn row(layer: &str, output: &str, parameters: &str) -> String {
    format!("{:<45}{output:<16}{parameters:>11}", cut(layer, 44))
}

/// `10 classes: 0, 1, 2, …`
fn classes(samples: &Samples) -> String {
    /// The most characters of all names together.
    const MOST: usize = 40;
    let names = samples.classes();
    let count = names.count();
    let listed: Vec<_> = (0..count.min(MOST)).map(|label| names.name(label).escaped()).collect();
    let text = format!("{count} classes: {}", cut(&listed.join(", "), MOST));
    match samples.of_each_class().iter().filter(|&&count| count == 0).count() {
        0 => text,
        unused => format!("{text}; {unused} of them without training images"),
    }
}

/// The notebook's line for an epoch, followed by the results of the validation images, or of the
/// test images where there are no others, and speed.
pub(super) fn epoch_line(metrics: &EpochMetrics, epochs: usize) -> String {
    let (part, Score { error: mean, correct, total }) = match metrics.validation {
        Some(score) => ("validation:", score),
        None => ("test: error", metrics.looked_at()),
    };
    let line = format!(
        "{:>2}/{epochs}, error={}  {part} {}, {} right  {}, {:.0}/s",
        metrics.epoch,
        error(metrics.train_error),
        error(mean),
        percent(correct, total),
        seconds(metrics.train_seconds),
        metrics.samples_per_second,
    );
    cut(&line, WIDTH)
}

/// Why a run ended before its last epoch, and what it kept, if there is something to say; `score` is
/// what that has on the validation images.
pub(super) fn choice_lines(
    metrics: &EpochMetrics,
    stop: Option<Stop>,
    score: Option<Score>,
) -> String {
    let mut text = String::new();
    let epoch = metrics.epoch;
    if let Some(Stop::Patience(patience)) = stop {
        let epochs = if patience == 1 { "epoch" } else { "epochs" };
        text += &format!(
            "Ended after epoch {epoch}, after {patience} {epochs} without a better validation \
             accuracy.\n"
        );
    }
    if let Some(Score { correct, total, error }) = score {
        let kept = metrics.best_epoch.map_or(String::new(), |best| format!("kept: epoch {best}, "));
        text += &format!(
            "{kept}{correct} of {total} validation images right ({}), error {error:.4}\n",
            percent(correct, total)
        );
    }
    text
}

/// An error with as many digits as a line has room for.
fn error(error: f64) -> String {
    if error.abs() < 1e3 { format!("{error:.4}") } else { format!("{error:.2e}") }
}

fn seconds(seconds: f64) -> String {
    if seconds < 100.0 { format!("{seconds:.3} s") } else { format!("{seconds:.0} s") }
}

/// The result of the vote of a committee's members so far.
pub(super) fn vote_line(members: usize, metrics: &EpochMetrics) -> String {
    let Score { error, correct, total } = metrics.best_known();
    let accuracy = accuracy(correct, total);
    let line = format!("vote of {members}: {accuracy}, mean −ln p {error:.4}");
    wrap(&line) + "\n"
}

/// A page of the repository that explains what came of a run.
pub(super) enum Page {
    /// Why a network does not learn well.
    DoesNotLearn,
    /// What an accuracy says.
    Worth,
}

impl Page {
    fn name(&self) -> &'static str {
        match self {
            Self::DoesNotLearn => "docs/3-why-the-notebook-stops.md",
            Self::Worth => "docs/7-what-a-number-is-worth.md",
        }
    }
}

/// What a run has come to.
pub(super) struct Ending<'a> {
    /// How it did, in words.
    pub(super) text: &'a str,
    pub(super) page: Page,
    pub(super) metrics: &'a EpochMetrics,
    /// All of them, and those of the training.
    pub(super) seconds: [f64; 2],
    pub(super) folder: &'a Path,
    /// Whether a report will be made.
    pub(super) has_report: bool,
    pub(super) is_committee: bool,
}

/// What a run prints after its last line: how it did, what that says and where it is explained, the
/// digest of the weights, the time, and what to type next.
pub(super) fn end(ending: &Ending<'_>) -> String {
    let Ending { text, metrics, folder, has_report, is_committee, .. } = *ending;
    let [low, high] = metrics.best_known().interval().map(|end| 100.0 * end);
    let meaning = format!(
        "Of other images of this kind, expect it to get {low:.2} to {high:.2} % right. Why: {} \
         in Asterism's repository",
        ending.page.name()
    );
    let [all, training] = ending.seconds.map(in_words);
    let report = match has_report {
        true => format!("report: {}\n", folder.join(REPORT).escaped()),
        false => String::new(),
    };
    let folder = shell_word(folder);
    let explain = match is_committee {
        true => String::new(),
        false => {
            format!("      mnist-app explain {folder} test:0    one image, number by number\n")
        }
    };
    wrap_lines(&format!("{text}{meaning}\n"))
        + &format!(
            "weights sha256 {}\n\
             time: {all}, {training} of it training\n\
             {report}next: mnist-app evaluate {folder}          which were taken for which\n      \
             mnist-app inspect {folder}           layer by layer\n{explain}",
            metrics.weights_sha256
        )
}

/// `1.3 s`, `2 min 5 s` or `1 h 58 min`.
fn in_words(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Page, epoch_line, in_words};
    use crate::train::metrics::{EpochMetrics, Score};
    use crate::width::WIDTH;

    #[test]
    fn an_epochs_line_fits_whatever_its_numbers() {
        for (epochs, error, seconds, speed) in
            [(15, 0.6453, 0.066, 15152.0), (200, 1.2e30, 12345.6, 1234567.0), (9, 999.9, 9.0, 9.0)]
        {
            let score = Score { error, correct: 10_000, total: 10_000 };
            let metrics = EpochMetrics {
                epoch: epochs,
                train_error: error,
                train_seconds: seconds,
                samples_per_second: speed,
                validation: None,
                test: Some(score),
                best_epoch: None,
                learning_rate: 0.1,
                weights_sha256: String::new(),
                receipt: String::new(),
            };
            let validated = EpochMetrics { validation: Some(score), test: None, ..metrics.clone() };
            for (metrics, part) in [(metrics, "test: error"), (validated, "validation:")] {
                let line = epoch_line(&metrics, epochs);
                assert!(line.chars().count() <= WIDTH && !line.ends_with('…'), "{line}");
                assert!(line.starts_with(&format!("{epochs:>2}/{epochs}, error=")), "{line}");
                assert!(line.contains(&format!("  {part} ")), "{line}");
            }
        }
    }

    #[test]
    fn pages_are_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for page in [Page::DoesNotLearn, Page::Worth] {
            assert!(root.join(page.name()).is_file(), "{}", page.name());
        }
    }

    #[test]
    fn times_are_in_words() {
        for (seconds, expected) in [(1.26, "1.3 s"), (125.0, "2 min 5 s"), (7080.0, "1 h 58 min")] {
            assert_eq!(in_words(seconds), expected);
        }
    }
}
