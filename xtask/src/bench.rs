//! `cargo xtask bench`: measures Asterism, alone or side by side with its peers.
//!
//! - `cargo xtask bench` prints the table of all workloads beside the processor's
//!   multiply-add peak, then runs the criterion benchmarks; `--quick` leaves these out.
//! - `cargo xtask bench --peers` measures the same work in PyTorch, SciPy and ONNX
//!   Runtime, in turn with ours, and prints one table of ratios. The interpreter is that
//!   of `--python PATH` or of the variable `ASTERISM_PYTHON`, else `python3`. `--runs N` does
//!   so several times, and adds a table of the medians with their range.
//! - `cargo xtask bench --growth FILE.svg` draws how fast a correlation is as batch, image,
//!   kernels and threads grow; `docs/growth.svg` was made so.
//!
//! `--filter TEXT` keeps the workloads whose names contain the text, `--seconds S` is the
//! time for each measurement, `--json FILE` writes the numbers too.

mod peer;
mod peers;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::process::{cargo, release, run as run_command};

/// Runs the benchmarks that the flags ask for.
pub fn run(flags: Vec<OsString>) -> anyhow::Result<ExitCode> {
    let options = Options::parse(flags)?;
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
    fn parse(flags: Vec<OsString>) -> anyhow::Result<Self> {
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
            let mut value = || flags.next().with_context(|| format!("{name}: expected a value"));
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
                _ => bail!(
                    "{name}: expected --quick, --peers, --growth FILE, --python PATH, --filter TEXT, \
                     --seconds S, --rounds N, --runs N or --json FILE"
                ),
            }
        }
        for (name, count) in [("--rounds", options.rounds), ("--runs", options.runs)] {
            if count == 0 {
                bail!("{name}: expected at least 1, found 0");
            }
        }
        Ok(options)
    }
}

fn number<N: std::str::FromStr>(flag: &str, text: &OsString) -> anyhow::Result<N> {
    let text = text.to_string_lossy();
    text.parse().ok().with_context(|| format!("{flag}: expected a number, found {text:?}"))
}
