//! Measures workloads on request, as the scripts in `benches/peers/` do: a line of JSON for each
//! request and each response. `cargo xtask bench --peers` sends requests to both in turn.
//!
//! `serve --write FILE` writes the operands and data that peers compute with, and our results;
//! `serve --threads N` prints a line about itself and then answers
//! `{"workload": NAME, "seconds": S}` with `{"median": …, "best": …, "samples": …}`.

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;

use benches::{Workload, machine, measure, on_threads, write_peer_fixtures};
use lexopt::prelude::*;
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let mut threads = 1;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("write") => return write_peer_fixtures(Path::new(&arguments.value()?)),
            Long("threads") => threads = arguments.value()?.parse()?,
            _ => return Err(argument.unexpected().into()),
        }
    }
    serve(threads)
}

fn serve(threads: usize) -> Result<(), Box<dyn Error>> {
    let names: Vec<_> = Workload::all().iter().map(ToString::to_string).collect();
    let level = tensor::simd::level().name();
    answer(&json!({ "program": "Asterism", "version": env!("CARGO_PKG_VERSION"),
                    "simd": level, "machine": machine(), "workloads": names }))?;
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let name = request["workload"].as_str().unwrap_or_default();
        let seconds = request["seconds"].as_f64().unwrap_or(0.2);
        let workload = Workload::all().into_iter().find(|workload| workload.to_string() == name);
        let workload = workload.ok_or_else(|| format!("{name:?}: no such workload"))?;
        let timing = on_threads(threads, || measure(seconds, workload.prepare()));
        answer(&json!({ "median": timing.median, "best": timing.best,
                        "samples": timing.samples }))?;
    }
    Ok(())
}

fn answer(value: &Value) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{value}")?;
    output.flush()
}
