use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::process::line;

/// A running program that measures workloads on request, with one line of JSON for each request and
/// each response: `serve`, or a script in `benches/peers/`.
pub struct Program {
    command: String,
    child: Child,
    requests: Option<ChildStdin>,
    responses: BufReader<ChildStdout>,
    /// What it has said about itself.
    pub about: Value,
    /// How many threads it uses.
    pub threads: usize,
}

impl Program {
    /// Starts the program and waits for its first line.
    ///
    /// # Errors
    /// If it cannot be started, or ends before that line.
    pub fn start(mut command: Command, threads: usize) -> anyhow::Result<Self> {
        command.args(["--threads", &threads.to_string()]);
        let line = line(&command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start: {line}"))?;
        let (requests, responses) = (child.stdin.take(), child.stdout.take());
        let responses = BufReader::new(responses.context("no output")?);
        let about = Value::Null;
        let mut program = Self { command: line, child, requests, responses, about, threads };
        program.about = program.response()?;
        Ok(program)
    }

    /// The program's name.
    pub fn name(&self) -> &str {
        self.about["program"].as_str().unwrap_or_default()
    }

    /// The workloads that it can measure.
    pub fn workloads(&self) -> impl Iterator<Item = &str> {
        self.about["workloads"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// Sends a request and waits for the response.
    ///
    /// # Errors
    /// If the program has ended.
    pub fn request(&mut self, request: &Value) -> anyhow::Result<Value> {
        let ended = || format!("{} has ended", self.command);
        let requests = self.requests.as_mut().with_context(ended)?;
        writeln!(requests, "{request}").with_context(ended)?;
        self.response()
    }

    /// Seconds of one call of a workload, median and best, and the variant that was measured.
    pub fn measure(&mut self, workload: &str, seconds: f64) -> anyhow::Result<(f64, f64, String)> {
        let response = self.request(&json!({ "workload": workload, "seconds": seconds }))?;
        let number = |key: &str| {
            response[key]
                .as_f64()
                .with_context(|| format!("{}: no {key}: {response}", self.command))
        };
        let variant = response["variant"].as_str().unwrap_or_default().to_owned();
        Ok((number("median")?, number("best")?, variant))
    }

    fn response(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        if self.responses.read_line(&mut line)? == 0 {
            let status = self.child.wait()?;
            bail!("ended without a response ({status}): {}", self.command);
        }
        serde_json::from_str(&line).with_context(|| format!("{}: no JSON: {line}", self.command))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The program ends when its input ends.
        self.requests = None;
        let _ = self.child.wait();
    }
}
