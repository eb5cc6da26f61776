//! `cargo xtask bench`: measures Asterism, alone or side by side with its peers.
//!
//! Alone, it prints a table of all workloads beside the processor's peak rate of multiply-adds,
//! then runs the criterion benchmarks. With `--peers` it measures the same work in PyTorch, SciPy
//! and ONNX Runtime, alternating with ours, and prints one table of ratios. With `--growth` it
//! plots the speed of a correlation against batch, image, kernels and threads: `docs/growth.svg`.

mod peers;
mod program;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::Usage;
use crate::process::{cargo, print, release, run as run_command};

const HELP: &str = "\
cargo xtask bench [FLAGS]        measures all workloads, then runs the criterion benchmarks
    --quick                      no criterion benchmarks
    --peers                      compare with PyTorch, JAX, SciPy and ONNX Runtime instead
    --python PATH                the peers' interpreter (default: $ASTERISM_PYTHON, else python3)
    --rounds N                   with --peers: measurements of each workload (default: 5)
    --runs N                     with --peers: whole runs; several add a table of their medians
                                 and ranges (default: 1)
    --growth FILE.svg            plot the speed of a correlation against its sizes instead
    --filter TEXT                only workloads whose names contain the text
    --seconds S                  for each measurement (default: 0.2)
    --json FILE                  also write the numbers as JSON
Exit status: 0 done, 1 a measurement failed, 2 wrong usage.
";

/// Runs the benchmarks that the flags ask for.
pub fn run(flags: Vec<OsString>) -> anyhow::Result<ExitCode> {
    if flags.iter().any(|flag| flag == "--help" || flag == "-h") {
        print(HELP)?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse(flags)
        .map_err(|complaint| Usage(format!("{complaint}; see cargo xtask bench --help")))?;
    run_command(&mut cargo(&["build", "--release", "-p", "benches", "--bins"]))?;
    if options.peers {
        peers::compare(&options)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(path) = &options.growth {
        let mut growth = std::process::Command::new(release("growth")?);
        run_command(growth.arg(path).args(["--seconds", &options.seconds.to_string()]))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = std::process::Command::new(release("table")?);
    table.args(["--seconds", &options.seconds.to_string(), "--filter", &options.filter]);
    if let Some(path) = &options.json {
        table.arg("--json").arg(path);
    }
    run_command(&mut table)?;
    if !options.quick {
        run_command(cargo(&["bench", "-p", "benches", "--"]).arg(&options.filter))?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Options {
    quick: bool,
    peers: bool,
    python: OsString,
    filter: String,
    seconds: f64,
    rounds: usize,
    runs: usize,
    json: Option<PathBuf>,
    growth: Option<PathBuf>,
}

impl Options {
    fn parse(flags: Vec<OsString>) -> Result<Self, String> {
        let python = std::env::var_os("ASTERISM_PYTHON").unwrap_or_else(|| "python3".into());
        let mut options = Self {
            quick: false,
            peers: false,
            python,
            filter: String::new(),
            seconds: 0.2,
            rounds: 5,
            runs: 1,
            json: None,
            growth: None,
        };
        let mut flags = flags.into_iter();
        while let Some(flag) = flags.next() {
            let name = flag.to_string_lossy().into_owned();
            let mut value =
                || flags.next().ok_or_else(|| format!("{name}: expected a value, found nothing"));
            match name.as_str() {
                "--quick" => options.quick = true,
                "--peers" => options.peers = true,
                "--python" => options.python = value()?,
                "--filter" => options.filter = value()?.to_string_lossy().into_owned(),
                "--seconds" => options.seconds = number(&name, &value()?)?,
                "--rounds" => options.rounds = number(&name, &value()?)?,
                "--runs" => options.runs = number(&name, &value()?)?,
                "--json" => options.json = Some(value()?.into()),
                "--growth" => options.growth = Some(value()?.into()),
                _ => return Err(format!("{name}: no such flag")),
            }
        }
        for (name, count) in [("--rounds", options.rounds), ("--runs", options.runs)] {
            if count == 0 {
                return Err(format!("{name}: expected at least 1, found 0"));
            }
        }
        Ok(options)
    }
}

fn number<N: std::str::FromStr>(flag: &str, text: &OsString) -> Result<N, String> {
    let text = text.to_string_lossy();
    text.parse().map_err(|_| format!("{flag}: expected a number, found {text:?}"))
}
