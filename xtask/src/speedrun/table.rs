//! The results in Markdown.

use std::fmt::Write as _;

use super::{Options, Run};

/// One run as a line of text.
pub(super) fn progress(run: &Run) -> String {
    let Run { seed, epochs, train_seconds, process_seconds, .. } = run;
    let accuracy = percent(run.accuracy);
    format!(
        "seed {seed}: {accuracy} after {epochs} epochs, {train_seconds:.2} s of training, \
         {process_seconds:.2} s in all"
    )
}

/// A row for each run, then mean, standard deviation and extremes, then the machine and the
/// command.
pub(super) fn markdown(options: &Options, runs: &[Run], machine: &str) -> String {
    let training = match options.target {
        Some(target) => format!("training to {}, s", percent(target)),
        None => "training, s".into(),
    };
    let mut text = format!(
        "| seed | epochs | test accuracy (95 % interval) | {training} | whole process, s |\n\
         |--:|--:|--:|--:|--:|\n"
    );
    for run in runs {
        let Run { seed, epochs, interval: [low, high], process_seconds, .. } = run;
        let accuracy = percent(run.accuracy);
        let [low, high] = [low, high].map(|end| 100.0 * end);
        let reached = run.reached(options.target);
        let seconds =
            if reached { format!("{:.2}", run.train_seconds) } else { "not reached".into() };
        let _ = writeln!(
            text,
            "| {seed} | {epochs} | {accuracy} ({low:.2} to {high:.2}) | {seconds} | \
             {process_seconds:.2} |"
        );
    }
    text.push_str(&spread(options, runs));
    if let Some(Run { threads, simd, version, .. }) = runs.first() {
        let plural = if *threads == 1 { "" } else { "s" };
        let _ = writeln!(
            text,
            "\n{machine}; {simd}, {threads} thread{plural}, mnist-app {version}. `{}`",
            options.line()
        );
    }
    let missed = runs.iter().filter(|run| !run.reached(options.target)).count();
    if let (Some(target), true) = (options.target, missed > 0) {
        let (count, target) = (runs.len(), percent(target));
        let _ = writeln!(
            text,
            "{missed} of {count} seeds did not reach {target} within the preset's epochs."
        );
    }
    text
}

/// The rows for all seeds together.
fn spread(options: &Options, runs: &[Run]) -> String {
    let column = |value: fn(&Run) -> f64| runs.iter().map(value).collect::<Vec<_>>();
    let accuracy = column(|run| 100.0 * run.accuracy);
    let process = column(|run| run.process_seconds);
    // A mean over the successful seeds alone would be too good.
    let all = runs.iter().all(|run| run.reached(options.target));
    let training = if all { column(|run| run.train_seconds) } else { Vec::new() };
    let columns = [(accuracy, 3, " %"), (training, 2, ""), (process, 2, "")];
    let row = |name: &str, of: fn(&[f64], usize) -> Option<String>| {
        let cells = columns.each_ref().map(|(values, digits, unit)| {
            of(values, *digits).map_or("–".into(), |value| format!("{value}{unit}"))
        });
        format!("| {name} | | {} |\n", cells.join(" | "))
    };
    let mean = row("mean", |values, digits| Some(format!("{:.digits$}", mean(values)?)));
    let deviation = row("standard deviation", |values, digits| {
        Some(format!("{:.digits$}", deviation(values)?))
    });
    let extremes = row("min to max", |values, _| {
        let (low, high) = extremes(values)?;
        Some(format!("{low:.2} to {high:.2}"))
    });
    mean + &deviation + &extremes
}

fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}

fn mean(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count)
}

/// The sample's standard deviation, `√(Σ (x − mean)² / (n − 1))`.
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

fn extremes(values: &[f64]) -> Option<(f64, f64)> {
    let low = values.iter().copied().reduce(f64::min)?;
    Some((low, values.iter().copied().reduce(f64::max)?))
}

#[cfg(test)]
mod tests {
    use super::{deviation, markdown};
    use crate::speedrun::{Options, Run};

    fn run(seed: u64, accuracy: f64, seconds: f64) -> Run {
        Run {
            seed,
            epochs: 2,
            accuracy,
            interval: [accuracy - 0.002, accuracy + 0.001],
            train_seconds: seconds,
            process_seconds: seconds + 1.0,
            threads: 2,
            simd: "avx2".into(),
            version: "0.1.0".into(),
        }
    }

    fn options(target: Option<f64>) -> Options {
        Options { preset: "lenet".into(), target, seeds: 2, threads: None }
    }

    #[test]
    fn the_table_has_a_row_for_each_seed_and_their_spread() {
        let runs = [run(1, 0.9901, 2.0), run(2, 0.9921, 4.0)];
        let expected = "\
| seed | epochs | test accuracy (95 % interval) | training to 99.00 %, s | whole process, s |
|--:|--:|--:|--:|--:|
| 1 | 2 | 99.01 % (98.81 to 99.11) | 2.00 | 3.00 |
| 2 | 2 | 99.21 % (99.01 to 99.31) | 4.00 | 5.00 |
| mean | | 99.110 % | 3.00 | 4.00 |
| standard deviation | | 0.141 % | 1.41 | 1.41 |
| min to max | | 99.01 to 99.21 % | 2.00 to 4.00 | 3.00 to 5.00 |

a processor; avx2, 2 threads, mnist-app 0.1.0. `cargo xtask speedrun --preset lenet --target 0.99 --seeds 2`
";
        assert_eq!(markdown(&options(Some(0.99)), &runs, "a processor"), expected);
        let all = markdown(&options(None), &runs, "a processor");
        assert!(all.contains("| training, s |") && all.contains("--target none"), "{all}");
    }

    #[test]
    fn a_seed_that_misses_the_target_is_shown_and_leaves_no_mean_time() {
        let runs = [run(1, 0.9901, 2.0), run(2, 0.9899, 4.0)];
        let text = markdown(&options(Some(0.99)), &runs, "a processor");
        assert!(text.contains("| 2 | 2 | 98.99 % (98.79 to 99.09) | not reached | 5.00 |"));
        assert!(text.contains("| mean | | 99.000 % | – | 4.00 |"), "{text}");
        assert!(text.ends_with("1 of 2 seeds did not reach 99.00 % within the preset's epochs.\n"));
    }

    #[test]
    fn one_run_has_no_spread() {
        assert_eq!(deviation(&[3.0]), None);
        assert_eq!(deviation(&[1.0, 2.0, 3.0, 4.0]), Some((5.0_f64 / 3.0).sqrt()));
        let text = markdown(&options(None), &[run(1, 0.5, 2.0)], "a processor");
        assert!(text.contains("| standard deviation | | – | – | – |"), "{text}");
    }
}
