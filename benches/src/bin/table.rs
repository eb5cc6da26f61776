//! Prints how fast each workload runs, for each SIMD level and number of threads, beside the peak
//! rate of multiply-adds, which it measures first.
//!
//! `table [--json FILE] [--seconds S] [--filter TEXT]`: seconds for each row (default 0.2); only
//! workloads whose names contain the text.

use std::error::Error;
use std::path::PathBuf;

use benches::{Operands, Workload, check, machine, measure, on_threads, peak, thread_counts};
use lexopt::prelude::*;
use serde_json::{Value, json};
use tensor::Scratch;
use tensor::simd::{Level, set_level};

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read()?;
    println!("{}\n", machine());
    let peaks = peaks();
    println!("\n| workload | level | threads | median | best | GFLOP/s | of peak | images/s |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
    let mut rows = Vec::new();
    for workload in Workload::all() {
        if workload.to_string().contains(&options.filter) {
            rows.extend(measure_at(workload, &peaks, options.seconds)?);
        }
    }
    if let Some(path) = options.json {
        let peaks: Vec<Value> = peaks.iter().map(Peak::json).collect();
        let all = json!({ "machine": machine(), "peaks": peaks, "rows": rows });
        std::fs::write(&path, format!("{all:#}\n"))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// The peak rate of a level.
struct Peak {
    level: Level,
    threads: usize,
    multiply_adds: f64,
}

impl Peak {
    fn json(&self) -> Value {
        json!({ "level": self.level.name(), "threads": self.threads,
                "gflops": gflops(self.multiply_adds) })
    }
}

/// GFLOP/s, counting two operations for each multiply-add.
fn gflops(multiply_adds: f64) -> f64 {
    2e-9 * multiply_adds
}

/// Measures and prints the peaks of all levels.
fn peaks() -> Vec<Peak> {
    println!("| multiply-add peak | threads | GFLOP/s |");
    println!("|---|--:|--:|");
    let mut peaks = Vec::new();
    for level in Level::available() {
        for threads in thread_counts() {
            let multiply_adds = peak::multiply_adds_per_second::<f32>(level, threads);
            println!("| {level} | {threads} | {:.1} |", gflops(multiply_adds));
            peaks.push(Peak { level, threads, multiply_adds });
        }
    }
    peaks
}

/// Checks, measures and prints one workload at each level and number of threads.
fn measure_at(
    workload: Workload,
    peaks: &[Peak],
    seconds: f64,
) -> Result<Vec<Value>, Box<dyn Error>> {
    let expected = expected(workload);
    let mut rows = Vec::new();
    for &Peak { level, threads, multiply_adds } in peaks {
        if !workload.is_measured_at(level) {
            continue;
        }
        set_level(level)?;
        if let Some((operands, expected)) = &expected {
            on_threads(threads, || {
                check(&mut operands.clone(), &mut Scratch::parallel(), expected)
            })
            .map_err(|error| format!("{workload}, {level}, {threads} threads: {error}"))?;
        }
        let timing = on_threads(threads, || measure(seconds, workload.prepare()));
        let rate = workload.multiply_adds().map(|count| count as f64 / timing.best);
        let images = workload.images().map(|images| images as f64 / timing.best);
        let text = |number: Option<f64>, digits: usize, unit: &str| {
            number.map_or_else(String::new, |number| format!("{number:.digits$}{unit}"))
        };
        println!(
            "| {workload} | {level} | {threads} | {} | {} | {} | {} | {} |",
            duration(timing.median),
            duration(timing.best),
            text(rate.map(gflops), 2, ""),
            text(rate.map(|rate| 100.0 * rate / multiply_adds), 0, " %"),
            text(images, 0, ""),
        );
        rows.push(json!({
            "workload": workload.to_string(), "level": level.name(), "threads": threads,
            "median": timing.median, "best": timing.best, "samples": timing.samples,
            "gflops": rate.map(gflops), "of_peak": rate.map(|rate| rate / multiply_adds),
        }));
    }
    Ok(rows)
}

struct Options {
    json: Option<PathBuf>,
    seconds: f64,
    filter: String,
}

impl Options {
    fn read() -> Result<Self, lexopt::Error> {
        let mut options = Self { json: None, seconds: 0.2, filter: String::new() };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("json") => options.json = Some(arguments.value()?.into()),
                Long("seconds") => options.seconds = arguments.value()?.parse()?,
                Long("filter") => options.filter = arguments.value()?.string()?,
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(options)
    }
}

/// Operands of a correlation, and its expected result.
fn expected(workload: Workload) -> Option<(Operands, Vec<f32>)> {
    let Workload::Correlate(shape, pass) = workload else { return None };
    let operands = Operands::new(shape, pass);
    let expected = operands.reference();
    Some((operands, expected))
}

/// Seconds, printed in the unit that suits them.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.2} µs", 1e6 * s),
        s if s < 1.0 => format!("{:.3} ms", 1e3 * s),
        s => format!("{s:.3} s"),
    }
}
