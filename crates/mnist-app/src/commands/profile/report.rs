//! What `profile` prints.

use std::fmt::Write as _;

use serde::Serialize;

use crate::console::Console;
use crate::escape::Escape;
use crate::experiment::NetworkNumber;
use crate::layer_rows::layer_rows;
use crate::width::cut;

/// What is printed, line by line.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Line {
    /// What is measured, and on what.
    Setting {
        preset: String,
        #[serde(flatten)]
        number: NetworkNumber,
        precision: &'static str,
        simd: &'static str,
        batch_size: usize,
        shard_size: usize,
        threads: usize,
        /// Threads that share the operations of a layer.
        layer_threads: usize,
        repetitions: usize,
        data: &'static str,
        /// Multiply-adds count as two operations.
        peak_gflops: f64,
    },
    Layer(LayerLine),
    /// All layers, once for each shard, against the whole training step.
    Step {
        shards: usize,
        shard_seconds: f64,
        step_seconds: f64,
        layers_of_step: f64,
        gflops: f64,
        of_peak: f64,
    },
    /// What deforming the images adds to the step.
    Augmentation {
        seconds_per_sample: f64,
        /// Share of the time of the step with it.
        of_step: f64,
    },
}

/// One layer in one direction, for one shard.
#[derive(Serialize)]
pub(super) struct LayerLine {
    pub(super) layer: usize,
    pub(super) name: String,
    pub(super) pass: Direction,
    /// Whether a training step of this experiment makes this call.
    pub(super) in_step: bool,
    pub(super) seconds: f64,
    pub(super) seconds_per_sample: f64,
    /// Only multiply-adds with weights count; absent for layers without weights.
    pub(super) gflops: Option<f64>,
    pub(super) of_peak: Option<f64>,
    /// Of the operands, each counted once.
    pub(super) bytes_read: usize,
    pub(super) bytes_written: usize,
    pub(super) kernel: Option<String>,
    #[serde(skip)]
    pub(super) operations: f64,
}

/// What is computed of a layer.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Direction {
    Forward,
    ParameterGradient,
    InputGradient,
    /// Of the parameters and of the input, in one call.
    BothGradients,
    /// The gradients that are wanted, and a step of plain descent, in one call.
    GradientsAndStep,
}

impl Direction {
    fn words(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::ParameterGradient => "gradient of parameters",
            Self::InputGradient => "gradient of input",
            Self::BothGradients => "both gradients",
            Self::GradientsAndStep => "gradients and step",
        }
    }
}

/// Prints lines as a table or as JSON.
pub(super) struct Report {
    json: bool,
    console: Console,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self { json, console: Console::default() }
    }

    pub(super) fn show(&mut self, line: &Line) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string(line)? } else { words(line) };
        self.console.line(text)
    }

    /// Those of all layers, in their order.
    pub(super) fn show_layers(&mut self, lines: Vec<LayerLine>) -> anyhow::Result<()> {
        if self.json {
            return lines.into_iter().try_for_each(|line| self.show(&Line::Layer(line)));
        }
        let layers: Vec<_> = lines.chunk_by(|a, b| a.layer == b.layer).collect();
        let rows = layers.into_iter().map(|passes| {
            let rows: Vec<_> = passes.iter().map(layer_words).collect();
            rows.join("\n")
        });
        layer_rows(rows).try_for_each(|row| self.console.line(row))
    }
}

fn words(line: &Line) -> String {
    match line {
        Line::Setting {
            preset,
            number,
            precision,
            simd,
            batch_size,
            shard_size,
            threads,
            layer_threads,
            repetitions,
            data,
            peak_gflops,
        } => format!(
            "{}: batch {batch_size}, shard {shard_size}, {precision}, {data} images\n\
             SIMD {simd}, threads: {threads} for a step, {layer_threads} for a layer; \
             multiply-add peak {peak_gflops:.1} GFLOP/s\n\
             each layer for one shard, median of {repetitions}; what a step does not call has a dot\n\n\
             {:<44}{:<24}{:>10}{:>12}{:>10}{:>9}{:>11}{:>11}  kernel",
            number.heading(&preset.escaped()),
            "layer",
            " pass",
            "µs",
            "µs/sample",
            "GFLOP/s",
            "of peak",
            "read KiB",
            "write KiB",
        ),
        Line::Layer(line) => layer_words(line),
        Line::Step { shards, shard_seconds, step_seconds, layers_of_step, gflops, of_peak } => {
            format!(
                "\nall layers of a training step: {:.1} µs for a shard, {shards} of them in a step\n\
                 whole training step: {:.1} µs, the layers {:.0} % of it; {gflops:.1} GFLOP/s, \
                 {:.1} % of the peak of its threads",
                shard_seconds * 1e6,
                step_seconds * 1e6,
                layers_of_step * 100.0,
                of_peak * 100.0,
            )
        }
        Line::Augmentation { seconds_per_sample, of_step } => format!(
            "augmentation: {:.1} µs an image, {:.1} % of a step with it",
            seconds_per_sample * 1e6,
            of_step * 100.0,
        ),
    }
}

fn layer_words(line: &LayerLine) -> String {
    let kib = |bytes: usize| bytes as f64 / 1024.0;
    let mut text = format!(
        "{:<44}{}{:<23}{:>10.2}{:>12.3}",
        cut(&format!("{:>2} {}", line.layer, line.name), 43),
        if line.in_step { ' ' } else { '·' },
        line.pass.words(),
        line.seconds * 1e6,
        line.seconds_per_sample * 1e6,
    );
    let _ = match line.gflops.zip(line.of_peak) {
        Some((rate, share)) => write!(text, "{rate:>10.2}{:>7.1} %", share * 100.0),
        None => write!(text, "{:>10}{:>9}", "", ""),
    };
    let (read, written) = (kib(line.bytes_read), kib(line.bytes_written));
    let _ =
        write!(text, "{read:>11.1}{written:>11.1}  {}", line.kernel.as_deref().unwrap_or_default());
    text.trim_end().to_owned()
}
