//! Measures our programs and the peers' alternately in one session, so that other load on the
//! machine affects all of them alike.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::Options;
use super::program::Program;
use crate::process::{cargo, line, release, root, run};
use crate::temporary_folder::TemporaryFolder;

const SCRIPTS: [&str; 4] = ["pytorch.py", "jax.py", "scipy_notebook.py", "onnxruntime_infer.py"];

/// The largest allowed difference between results, as a fraction of the largest element: what
/// rounding to single precision explains in sums of 50,000 terms and in ten training steps.
const TOLERANCE: f64 = 5e-5;

/// The pause between two measurements, for threads that spin for a while after their work.
const PAUSE: Duration = Duration::from_millis(30);

/// Measures everything and prints the table.
pub fn compare(options: &Options) -> anyhow::Result<()> {
    run(&mut cargo(&["build", "--release", "-p", "mnist-app"]))?;
    let folder = TemporaryFolder::create("bench")?;
    let fixtures = folder.path().join("fixtures.safetensors");
    run(Command::new(release("serve")?).arg("--write").arg(&fixtures))?;
    let mut programs = start(options, &fixtures)?;
    check(&mut programs)?;
    let (ours, peers): (Vec<_>, Vec<_>) =
        programs.iter().partition(|program| program.name() == "Asterism");
    let versions: Vec<_> = peers
        .iter()
        .filter(|peer| peer.threads == 1)
        .map(|peer| format!("{} {}", peer.name(), peer.about["version"].as_str().unwrap_or("?")))
        .collect();
    let about = &ours[0].about;
    let machine = about["machine"].as_str().unwrap_or("?").to_owned();
    let simd = about["simd"].as_str().unwrap_or("?").to_owned();
    let workloads: Vec<_> = ours[0]
        .workloads()
        .filter(|name| name.contains(&options.filter))
        .filter(|name| peers.iter().any(|peer| peer.workloads().any(|known| known == *name)))
        .map(str::to_owned)
        .collect();
    println!("{machine}, {simd}; {}; `cargo xtask bench --peers`", versions.join(", "));
    let mut runs = Vec::new();
    for _ in 0..options.runs {
        println!(
            "\n| workload | peer | ours, 1 thread | 2 threads | theirs, 1 thread | 2 threads | 1 : 1 | 2 : 2 | best : best |"
        );
        println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
        let mut rows = Vec::new();
        for workload in &workloads {
            let times = measure(&mut programs, workload, options)?;
            rows.extend(print(workload, &times));
        }
        if "notebook, 15 epochs".contains(&options.filter) {
            rows.extend(print("notebook, 15 epochs", &whole_program(options, folder.path())?));
        }
        runs.push(rows);
    }
    println!("\nMedians; the ratios are their time over ours, above 1 where we are faster.");
    runs.iter().for_each(|rows| print_epochs(rows));
    if runs.len() > 1 {
        print_summary(&runs);
    }
    if let Some(path) = &options.json {
        let runs: Vec<Vec<Value>> =
            runs.iter().map(|rows| rows.iter().map(Row::json).collect()).collect();
        let text = format!(
            "{:#}\n",
            json!({ "machine": machine, "simd": simd, "peers": versions, "runs": runs })
        );
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Each program with one thread and with two.
fn start(options: &Options, fixtures: &Path) -> anyhow::Result<Vec<Program>> {
    let mut programs = Vec::new();
    for threads in [1, 2] {
        programs.push(Program::start(Command::new(release("serve")?), threads)?);
        for script in SCRIPTS {
            let mut command = Command::new(&options.python);
            command.arg(root().join("benches/peers").join(script));
            command.arg("--fixtures").arg(fixtures);
            programs.push(Program::start(command, threads)?);
        }
    }
    Ok(programs)
}

/// Compares the peers' results with ours.
fn check(programs: &mut [Program]) -> anyhow::Result<()> {
    for peer in programs.iter_mut().filter(|peer| peer.name() != "Asterism") {
        let answer = peer.request(&json!({ "check": true }))?;
        let differences = answer["differences"].as_object().context("no differences")?;
        let mut worst = 0.0_f64;
        for (workload, difference) in differences {
            // A difference that is not a number is `null` in JSON.
            let difference = difference.as_f64().unwrap_or(f64::INFINITY);
            if difference > TOLERANCE {
                bail!("{workload}: {} differs from ours by {difference:.1e}", peer.name());
            }
            worst = worst.max(difference);
        }
        if peer.threads == 1 {
            eprintln!(
                "{}: the same results in {} workloads, to {worst:.1e} of the largest number",
                peer.name(),
                differences.len()
            );
        }
    }
    Ok(())
}

/// Seconds of a workload by program and number of threads: the median of each round, and the best
/// time.
#[derive(Default)]
struct Times {
    medians: BTreeMap<(String, usize), Vec<f64>>,
    best: BTreeMap<(String, usize), f64>,
    variants: BTreeMap<(String, usize), String>,
}

impl Times {
    fn median(&self, program: &str, threads: usize) -> Option<f64> {
        let mut times = self.medians.get(&(program.to_owned(), threads))?.clone();
        times.sort_by(f64::total_cmp);
        Some(times[times.len() / 2])
    }

    fn best(&self, program: &str, threads: usize) -> Option<f64> {
        self.best.get(&(program.to_owned(), threads)).copied()
    }

    fn add(&mut self, program: &str, threads: usize, median: f64, best: f64) {
        let key = (program.to_owned(), threads);
        self.medians.entry(key.clone()).or_default().push(median);
        let shortest = self.best.entry(key).or_insert(best);
        *shortest = shortest.min(best);
    }
}

/// Measures all programs in turn, in several rounds and in alternating order: the first one with
/// two threads may find a processor asleep.
fn measure(programs: &mut [Program], workload: &str, options: &Options) -> anyhow::Result<Times> {
    let mut times = Times::default();
    for _ in 0..options.rounds {
        for program in programs.iter_mut() {
            if program.workloads().any(|known| known == workload) {
                let (median, best, variant) = program.measure(workload, options.seconds)?;
                times.add(program.name(), program.threads, median, best);
                times.variants.insert((program.name().to_owned(), program.threads), variant);
                std::thread::sleep(PAUSE);
            }
        }
        programs.reverse();
    }
    Ok(times)
}

/// A workload and one peer: seconds with one thread and with two.
struct Row {
    workload: String,
    peer: String,
    ours: [Option<f64>; 2],
    theirs: [Option<f64>; 2],
    ours_best: [Option<f64>; 2],
    theirs_best: [Option<f64>; 2],
    /// The peer's fastest variant with one thread and with two; its whole program has only one.
    variants: [Option<String>; 2],
}

impl Row {
    /// Their time over ours, the better of one thread and two on each side.
    fn ratio(&self) -> Option<f64> {
        ratio(best(self.ours), best(self.theirs))
    }

    /// The peer, and the variant that its time belongs to.
    fn peer(&self) -> String {
        let [one, two] = self.theirs;
        let variant = &self.variants[usize::from(two < one)];
        match variant {
            None => self.peer.clone(),
            Some(variant) => format!("{}, {variant}", self.peer),
        }
    }

    fn json(&self) -> Value {
        json!({ "workload": self.workload, "peer": self.peer, "ours": self.ours,
                "theirs": self.theirs, "ours_best": self.ours_best,
                "theirs_best": self.theirs_best, "variants": self.variants,
                "ratio": self.ratio() })
    }
}

fn ratio(ours: Option<f64>, theirs: Option<f64>) -> Option<f64> {
    Some(theirs? / ours?)
}

fn best(times: [Option<f64>; 2]) -> Option<f64> {
    times.into_iter().flatten().reduce(f64::min)
}

/// Prints the rows of a workload, one for each peer, and returns them.
fn print(workload: &str, times: &Times) -> Vec<Row> {
    let mut names: Vec<_> = times.medians.keys().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    let mut rows = Vec::new();
    for peer in names.into_iter().filter(|&name| name != "Asterism") {
        let both = |name| [times.median(name, 1), times.median(name, 2)];
        let shortest = |name| [times.best(name, 1), times.best(name, 2)];
        let variant = |threads| times.variants.get(&(peer.to_owned(), threads)).cloned();
        let row = Row {
            workload: workload.to_owned(),
            peer: peer.to_owned(),
            ours: both("Asterism"),
            theirs: both(peer),
            ours_best: shortest("Asterism"),
            theirs_best: shortest(peer),
            variants: [variant(1), variant(2)],
        };
        let Row { ours, theirs, .. } = row;
        let times = ours.into_iter().chain(theirs).map(|time| cell(time, duration));
        let ratios = [ratio(ours[0], theirs[0]), ratio(ours[1], theirs[1]), row.ratio()];
        let ratios = ratios.map(|ratio| cell(ratio, two_digits));
        let cells: Vec<String> = times.chain(ratios).collect();
        println!("| {workload} | {} | {} |", row.peer(), cells.join(" | "));
        rows.push(row);
    }
    rows
}

/// For several runs, with the better of one thread and two on each side: the median times, the
/// median, lowest and highest ratio, and the ratio of the shortest times, which other programs have
/// disturbed least.
fn print_summary(runs: &[Vec<Row>]) {
    println!("\n{} runs, the better of one thread and two on each side:\n", runs.len());
    println!("| workload | peer | ours | theirs | ratio | lowest to highest | shortest times |");
    println!("|---|---|--:|--:|--:|--:|--:|");
    for (index, row) in runs[0].iter().enumerate() {
        let sorted = |number: &dyn Fn(&Row) -> Option<f64>| {
            let mut numbers: Vec<_> = runs.iter().filter_map(|rows| number(&rows[index])).collect();
            numbers.sort_by(f64::total_cmp);
            numbers
        };
        let median = |numbers: &[f64]| numbers.get(numbers.len() / 2).copied();
        let (ours, theirs) = (sorted(&|row| best(row.ours)), sorted(&|row| best(row.theirs)));
        let ratios = sorted(&|row| row.ratio());
        let (Some(lowest), Some(highest)) = (ratios.first(), ratios.last()) else { continue };
        let shortest = sorted(&|row| best(row.ours_best)).first().copied();
        let their_best = sorted(&|row| best(row.theirs_best)).first().copied();
        println!(
            "| {} | {} | {} | {} | {} | {lowest:.2} to {highest:.2} | {} |",
            row.workload,
            row.peer(),
            cell(median(&ours), duration),
            cell(median(&theirs), duration),
            cell(median(&ratios), two_digits),
            cell(ratio(shortest, their_best), two_digits),
        );
    }
}

/// The time of an epoch of 60,000 images, from the time of one step.
fn print_epochs(rows: &[Row]) {
    for row in rows {
        let size = row.workload.strip_prefix("step/lenet/").and_then(|size| size.parse().ok());
        let Some(size): Option<usize> = size else { continue };
        let steps = 60_000_usize.div_ceil(size);
        let epoch = |step: Option<f64>| cell(step.map(|step| step * steps as f64), two_digits);
        println!(
            "LeNet, batch {size}: an epoch is {steps} steps; with one and two threads ours \
             takes {} and {} s, {} {} and {} s.",
            epoch(row.ours[0]),
            epoch(row.ours[1]),
            row.peer,
            epoch(row.theirs[0]),
            epoch(row.theirs[1]),
        );
    }
}

/// A cell of a table.
fn cell(number: Option<f64>, text: fn(f64) -> String) -> String {
    number.map_or("–".into(), text)
}

fn two_digits(number: f64) -> String {
    format!("{number:.2}")
}

/// Runs the notebook's whole program from the same initial weights, and times the training alone.
fn whole_program(options: &Options, folder: &Path) -> anyhow::Result<Times> {
    let mut times = Times::default();
    let weights = folder.join("init.safetensors");
    for threads in [1, 2] {
        let threads_text = threads.to_string();
        let mut theirs = Command::new(&options.python);
        theirs.arg(root().join("benches/peers/scipy_notebook.py"));
        theirs.args(["--epochs", "15", "--threads", &threads_text, "--data"]);
        theirs.arg(root().join("data/mnist")).arg("--save-init").arg(&weights);
        let theirs = epochs(&mut theirs)?;
        let mut ours = Command::new(release("mnist-app")?);
        ours.args(["train", "--preset", "notebook", "--epochs", "15", "--threads", &threads_text]);
        ours.args(["--quiet", "--json", "--init"]).arg(&weights);
        let run = folder.join("run");
        ours.arg("--out").arg(&run);
        let ours = epochs(&mut ours)?;
        std::fs::remove_dir_all(&run).with_context(|| run.display().to_string())?;
        let (error, expected) = (ours.first_error, theirs.first_error);
        let is_near = (error - expected).abs() <= 0.02 * expected;
        if !is_near {
            bail!("the notebook's first epoch: ours has error {error}, SciPy's {expected}");
        }
        times.add("Asterism", threads, ours.seconds, ours.seconds);
        times.add("SciPy", threads, theirs.seconds, theirs.seconds);
    }
    Ok(times)
}

struct Epochs {
    seconds: f64,
    first_error: f64,
}

/// Runs a program that prints a line of JSON for each epoch.
fn epochs(command: &mut Command) -> anyhow::Result<Epochs> {
    let text = line(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start: {text}"))?;
    if !output.status.success() {
        bail!("{}: {text}", output.status);
    }
    let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .with_context(|| text.clone())?;
    let seconds = lines.iter().map(|line| line["train_seconds"].as_f64()).sum::<Option<f64>>();
    let first = lines.first().and_then(|line| line["train_error"].as_f64());
    let (Some(seconds), Some(first_error)) = (seconds, first) else {
        bail!("expected train_seconds and train_error of each epoch: {text}");
    };
    Ok(Epochs { seconds, first_error })
}

/// Seconds, printed in the unit that suits them.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.1} µs", 1e6 * s),
        s if s < 1.0 => format!("{:.2} ms", 1e3 * s),
        s => format!("{s:.2} s"),
    }
}
