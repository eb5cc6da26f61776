use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::process::line;

/// A running program that measures workloads when asked, one line of JSON for each
/// question and answer: `serve`, or a script of `benches/peers/`.
pub struct Peer {
    command: String,
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// What it said of itself.
    pub about: Value,
    /// How many threads it uses.
    pub threads: usize,
}

impl Peer {
    /// Starts the program and waits until it has said what it is.
    ///
    /// # Errors
    /// If it cannot be started, or ends before that.
    pub fn start(mut command: Command, threads: usize) -> anyhow::Result<Self> {
        command.args(["--threads", &threads.to_string()]);
        let line = line(&command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start: {line}"))?;
        let (questions, answers) = (child.stdin.take(), child.stdout.take());
        let answers = BufReader::new(answers.context("no output")?);
        let about = Value::Null;
        let mut peer = Self { command: line, child, questions, answers, about, threads };
        peer.about = peer.answer()?;
        Ok(peer)
    }

    /// The program's name.
    pub fn name(&self) -> &str {
        self.about["program"].as_str().unwrap_or_default()
    }

    /// The workloads that it knows.
    pub fn workloads(&self) -> impl Iterator<Item = &str> {
        self.about["workloads"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// Asks one question.
    ///
    /// # Errors
    /// If the program has ended.
    pub fn ask(&mut self, question: &Value) -> anyhow::Result<Value> {
        let ended = || format!("{} has ended", self.command);
        let questions = self.questions.as_mut().with_context(ended)?;
        writeln!(questions, "{question}").with_context(ended)?;
        self.answer()
    }

    /// Seconds of one call of a workload: the median, the best, and which variant it was.
    pub fn measure(&mut self, workload: &str, seconds: f64) -> anyhow::Result<(f64, f64, String)> {
        let answer = self.ask(&json!({ "workload": workload, "seconds": seconds }))?;
        let number = |key: &str| {
            answer[key].as_f64().with_context(|| format!("{}: no {key}: {answer}", self.command))
        };
        let variant = answer["variant"].as_str().unwrap_or_default().to_owned();
        Ok((number("median")?, number("best")?, variant))
    }

    fn answer(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            let status = self.child.wait()?;
            bail!("ended without an answer ({status}): {}", self.command);
        }
        serde_json::from_str(&line).with_context(|| format!("{}: no JSON: {line}", self.command))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input is the end of its work.
        self.questions = None;
        let _ = self.child.wait();
    }
}
