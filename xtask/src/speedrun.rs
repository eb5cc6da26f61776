//! `cargo xtask speedrun`: how accurate a preset becomes and how long it trains, over several
//! seeds.
//!
//! Builds the program in release mode, trains each seed from 1 on in a process of its own, and
//! prints a Markdown table: accuracy and time of each seed, their mean and spread, the machine, and
//! the command.
//!
//! Without a target, all epochs of the preset are trained, and the accuracy is that after the last
//! one. With a target, each run ends after the first epoch that reaches it, the seconds are those
//! to the target, and a seed that misses it is a failure.

mod machine;
mod table;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::Usage;
use crate::process::{cargo, line, notice, print, release, root, run as run_command};
use crate::temporary_folder::TemporaryFolder;

const HELP: &str = "\
cargo xtask speedrun [FLAGS]     trains several seeds and prints a table of their results
    --preset NAME                a built-in experiment (default: fast)
    --target P                   the fraction of the test images to reach, or none: all
                                 epochs (default: none)
    --seeds N                    seeds 1 to N (default: 5)
    --threads N                  threads of each run (default: all)
Exit status: 0 done, 1 a seed missed the target or a run failed, 2 wrong usage.
";

/// Trains as the flags say; a seed that misses the target is a failure.
pub fn run(flags: Vec<OsString>) -> anyhow::Result<ExitCode> {
    if flags.iter().any(|flag| flag == "--help" || flag == "-h") {
        print(HELP)?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse(flags)
        .map_err(|complaint| Usage(format!("{complaint}; see cargo xtask speedrun --help")))?;
    run_command(&mut cargo(&["build", "--release", "-p", "mnist-app"]))?;
    let folder = TemporaryFolder::create("speedrun")?;
    let mut runs = Vec::new();
    for seed in 1..=options.seeds {
        let run = train(&options, seed, &folder.path().join(format!("seed-{seed}")))?;
        notice(table::progress(&run));
        runs.push(run);
    }
    print(table::markdown(&options, &runs, &machine::describe()))?;
    let missed = runs.iter().filter(|run| !run.reached(options.target)).count();
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What to train.
#[derive(Clone, Debug, PartialEq)]
struct Options {
    preset: String,
    /// Absent: all epochs are trained.
    target: Option<f64>,
    seeds: u64,
    threads: Option<u64>,
}

impl Options {
    fn parse(flags: Vec<OsString>) -> Result<Self, String> {
        let mut options = Self { preset: "fast".into(), target: None, seeds: 5, threads: None };
        let mut flags = flags.into_iter().map(|flag| flag.to_string_lossy().into_owned());
        while let Some(flag) = flags.next() {
            let mut value = |expected: &str| {
                flags.next().ok_or_else(|| format!("{flag}: expected {expected}, found nothing"))
            };
            match flag.as_str() {
                "--preset" => options.preset = value("the name of a preset")?,
                "--target" => options.target = target(&value("a fraction or none")?)?,
                "--seeds" => options.seeds = count("--seeds", &value("a number")?, 10_000)?,
                "--threads" => {
                    options.threads = Some(count("--threads", &value("a number")?, 1024)?);
                }
                _ => {
                    return Err(format!(
                        "{flag}: expected --preset NAME, --target P, --seeds N or --threads N"
                    ));
                }
            }
        }
        Ok(options)
    }

    /// The command that does the same again.
    fn line(&self) -> String {
        let Self { preset, target, seeds, threads } = self;
        let target = target.map_or("none".into(), |target| target.to_string());
        let threads = threads.map_or(String::new(), |threads| format!(" --threads {threads}"));
        let flags = format!("--preset {preset} --target {target} --seeds {seeds}{threads}");
        format!("cargo xtask speedrun {flags}")
    }
}

fn target(text: &str) -> Result<Option<f64>, String> {
    if text == "none" {
        return Ok(None);
    }
    match text.parse() {
        Ok(target) if (0.0..=1.0).contains(&target) => Ok(Some(target)),
        _ => Err(format!("--target: expected a fraction from 0 to 1, or none, found {text:?}")),
    }
}

fn count(flag: &str, text: &str, most: u64) -> Result<u64, String> {
    match text.parse() {
        Ok(count) if (1..=most).contains(&count) => Ok(count),
        _ => Err(format!("{flag}: expected a whole number from 1 to {most}, found {text:?}")),
    }
}

/// The result of one seed.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    seed: u64,
    epochs: u64,
    /// The fraction of correct answers after the last epoch that was trained.
    accuracy: f64,
    /// Its 95 % interval.
    interval: [f64; 2],
    /// The seconds of all epochs' training alone.
    train_seconds: f64,
    /// The seconds from the start of the process to its end.
    process_seconds: f64,
    threads: u64,
    simd: String,
    version: String,
}

impl Run {
    /// Whether there is no target, or the run has reached it.
    fn reached(&self, target: Option<f64>) -> bool {
        target.is_none_or(|target| self.accuracy >= target)
    }

    /// Reads the contents of `summary.json` and `metrics.jsonl`.
    fn read(summary: &str, metrics: &str, process_seconds: f64) -> anyhow::Result<Self> {
        let summary: Value = serde_json::from_str(summary).context("summary.json")?;
        let missing = |key: &str| format!("summary.json: expected {key}, found {summary}");
        let number = |key: &str| summary[key].as_f64().with_context(|| missing(key));
        let whole = |key: &str| summary[key].as_u64().with_context(|| missing(key));
        let text = |key: &str| summary[key].as_str().with_context(|| missing(key));
        let ends = [0, 1].map(|end| summary["test_accuracy_interval"][end].as_f64());
        let [Some(low), Some(high)] = ends else { bail!(missing("test_accuracy_interval")) };
        let mut train_seconds = 0.0;
        for line in metrics.lines() {
            let line: Value = serde_json::from_str(line).context("metrics.jsonl")?;
            let seconds = line["train_seconds"].as_f64();
            train_seconds += seconds
                .with_context(|| format!("metrics.jsonl: expected train_seconds, found {line}"))?;
        }
        Ok(Self {
            seed: whole("seed")?,
            epochs: whole("epoch")?,
            accuracy: number("test_accuracy")?,
            interval: [low, high],
            train_seconds,
            process_seconds,
            threads: whole("threads")?,
            simd: text("simd")?.into(),
            version: text("version")?.into(),
        })
    }
}

/// Trains one seed in a process of its own.
fn train(options: &Options, seed: u64, folder: &Path) -> anyhow::Result<Run> {
    let mut train = Command::new(release("mnist-app")?);
    train.args(["train", "--preset", &options.preset, "--seed", &seed.to_string()]);
    if let Some(target) = options.target {
        train.args(["--target-accuracy", &target.to_string()]);
    }
    if let Some(threads) = options.threads {
        train.args(["--threads", &threads.to_string()]);
    }
    train.arg("--json").arg("--out").arg(folder).current_dir(root());
    // Its output is in its folder too; its error messages go where ours do.
    train.stdout(Stdio::null());
    let start = Instant::now();
    run_command(&mut train)?;
    let seconds = start.elapsed().as_secs_f64();
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    };
    Run::read(&read("summary.json")?, &read("metrics.jsonl")?, seconds)
        .with_context(|| line(&train))
}

#[cfg(test)]
mod tests {
    use super::{Options, Run};

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(Into::into).collect())
    }

    #[test]
    fn the_line_is_one_that_does_the_same() {
        let default = parse("").unwrap();
        assert_eq!(default.line(), "cargo xtask speedrun --preset fast --target none --seeds 5");
        for line in ["--preset lenet --target none", "--seeds 3 --threads 2", "--target 0.985"] {
            let options = parse(line).unwrap();
            let again = options.line().replace("cargo xtask speedrun", "");
            assert_eq!(parse(&again), Ok(options), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [
            ("--target 99", "--target: expected a fraction from 0 to 1, or none, found \"99\""),
            ("--target nan", "found \"nan\""),
            ("--target", "--target: expected a fraction or none, found nothing"),
            ("--seeds 0", "--seeds: expected a whole number from 1 to 10000, found \"0\""),
            ("--threads x", "--threads: "),
            ("--preset", "--preset: expected the name of a preset"),
            ("--epochs 3", "--epochs: expected --preset NAME"),
        ] {
            let found = parse(line).unwrap_err();
            assert!(found.contains(expected), "{line}: expected {expected:?} in {found:?}");
        }
    }

    #[test]
    fn a_run_is_read_from_its_files() {
        let summary = r#"{"seed":3,"epoch":2,"test_accuracy":0.5,"threads":1,"simd":"avx2",
            "test_accuracy_interval":[0.4,0.6],"train_seconds":0.25,"version":"0.1.0"}"#;
        let metrics = "{\"train_seconds\":0.5}\n{\"train_seconds\":0.25}\n";
        let run = Run::read(summary, metrics, 2.0).unwrap();
        assert_eq!((run.seed, run.epochs, run.interval), (3, 2, [0.4, 0.6]));
        assert_eq!((run.train_seconds, run.process_seconds), (0.75, 2.0));
        assert!(run.reached(None) && run.reached(Some(0.5)) && !run.reached(Some(0.51)));
        let short = summary.replace("0.4,", "");
        let error = Run::read(&short, metrics, 2.0).unwrap_err().to_string();
        assert!(error.contains("expected test_accuracy_interval"), "{error}");
        let error = Run::read(summary, "{}", 2.0).unwrap_err().to_string();
        assert!(error.contains("expected train_seconds"), "{error}");
    }
}
