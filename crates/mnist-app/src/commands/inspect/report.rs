//! What `inspect` prints.

use std::fmt::Write as _;

use layers::NetworkLayer;
use serde::Serialize;
use tensor::{Element, Shape};

use crate::console::Console;
use crate::escape::Escape;
use crate::evaluation::report::percent;
use crate::experiment::NetworkNumber;
use crate::layer_rows::layer_rows;
use crate::passes::{Stage, root_mean_square, short};
use crate::width::cut;

/// What is printed, line by line.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Line {
    Setting(Setting),
    Input(InputLine),
    Layer(LayerLine),
}

/// The network, the images, and its loss and accuracy on them.
#[derive(Serialize)]
pub(super) struct Setting {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) number: NetworkNumber,
    pub(super) origin: String,
    /// Whether the weights are those of a model, not initial ones.
    pub(super) trained: bool,
    pub(super) seed: u64,
    pub(super) precision: &'static str,
    pub(super) samples: usize,
    pub(super) loss: &'static str,
    pub(super) mean_loss: f64,
    pub(super) correct: usize,
}

/// The images.
#[derive(Serialize)]
pub(super) struct InputLine {
    shape: Vec<usize>,
    #[serde(flatten)]
    values: Statistics,
}

/// A layer in both passes.
#[derive(Serialize)]
pub(super) struct LayerLine {
    layer: usize,
    name: String,
    /// Of the output for one image.
    shape: Vec<usize>,
    #[serde(flatten)]
    output: Statistics,
    /// The share of outputs where the derivative is below 1 % of its largest value; of
    /// activations.
    saturated: Option<f64>,
    /// Channels if the output is an image, else numbers.
    units: usize,
    /// Units that are saturated everywhere in every image.
    dead: Option<usize>,
    /// Root mean square of the gradient of the mean loss with respect to the output.
    gradient_rms: f64,
    parameters: usize,
    /// The norm of the parameters' gradient divided by the norm of the parameters.
    parameter_gradient: Option<f64>,
}

/// Statistics of all numbers of all images.
#[derive(Serialize)]
pub(super) struct Statistics {
    mean: f64,
    std: f64,
    min: f64,
    max: f64,
}

impl Statistics {
    fn of<T: Element>(numbers: &[T]) -> Self {
        let numbers = || numbers.iter().map(|x| x.to_f64());
        let count = numbers().count() as f64;
        let mean = numbers().sum::<f64>() / count;
        let variance = numbers().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
        // `f64::min` and `f64::max` forget a NaN.
        let any_nan = numbers().any(f64::is_nan);
        let known = |x| if any_nan { f64::NAN } else { x };
        Self {
            mean,
            std: variance.sqrt(),
            min: known(numbers().fold(f64::INFINITY, f64::min)),
            max: known(numbers().fold(f64::NEG_INFINITY, f64::max)),
        }
    }

    fn columns(&self) -> String {
        [self.mean, self.std, self.min, self.max].map(|x| format!("{:>9}", short(x))).concat()
    }
}

impl LayerLine {
    pub(super) fn of<T: Element>(stage: &Stage<'_, T>) -> Self {
        let NetworkLayer { index, spec, layer, parameters, .. } = stage.layer;
        let learns = !parameters.is_empty();
        Self {
            layer: index,
            name: spec.summary(),
            shape: layer.output_shape().dims().to_vec(),
            output: Statistics::of(&stage.run.output),
            saturated: stage.saturated(),
            units: stage.units(),
            dead: stage.dead(),
            gradient_rms: root_mean_square(&stage.run.output_gradient),
            parameters: parameters.len(),
            parameter_gradient: learns
                .then(|| root_mean_square(&stage.run.gradients) / root_mean_square(parameters)),
        }
    }
}

impl InputLine {
    pub(super) fn new<T: Element>(shape: &[usize], numbers: &[T]) -> Self {
        Self { shape: shape.to_vec(), values: Statistics::of(numbers) }
    }
}

/// Prints the lines as a table or as JSON.
pub(super) fn show(lines: &[Line], (console, json): (&mut Console, bool)) -> anyhow::Result<()> {
    if json {
        return lines.iter().try_for_each(|line| console.line(serde_json::to_string(line)?));
    }
    let name_len = |line: &Line| match line {
        Line::Layer(line) => line.name.chars().count(),
        _ => 0,
    };
    // Room for the longest name, which is cut if it is very long.
    let width = lines.iter().map(name_len).max().unwrap_or(0).clamp(SHORTEST, 44) + 1;
    // The layers of a network come after its input.
    for part in lines.chunk_by(|_, next| matches!(next, Line::Layer(_))) {
        let Some((first, layers)) = part.split_first() else { continue };
        console.line(words(first, width))?;
        layer_rows(layers.iter().map(|line| words(line, width)))
            .try_for_each(|row| console.line(row))?;
    }
    console.line(LEGEND)
}

/// The least width of the names of layers.
const SHORTEST: usize = 33;

const LEGEND: &str = "
saturated  share of outputs where the derivative is below 1 % of its largest value
dead       units saturated for every image: kernels where the output is an image, else numbers
gradient   of the mean loss with respect to the outputs: root mean square
relative   the norm of the parameters' gradient, divided by the norm of the parameters";

fn words(line: &Line, width: usize) -> String {
    match line {
        Line::Setting(setting) => setting_words(setting, width),
        Line::Input(line) => {
            let shape = Shape::new(&line.shape).to_string();
            format!("   {:<width$}{shape:<12}{}", "input", line.values.columns())
        }
        Line::Layer(line) => layer_words(line, width),
    }
}

fn setting_words(setting: &Setting, width: usize) -> String {
    let Setting { seed, precision, samples, loss, mean_loss, correct, .. } = setting;
    let head = width + 3;
    let name = setting.number.heading(&setting.name.escaped());
    let state =
        if setting.trained { "trained".into() } else { format!("as drawn from seed {seed}") };
    format!(
        "{name}, {state}: {samples} training images, {precision}\n\
         mean {loss} {mean_loss:.4}, {correct} right ({})\n\n\
         {:<head$}{:<12}{:>9}{:>9}{:>9}{:>9}{:>11}{:>9}{:>10}{:>10}",
        percent(*correct, *samples),
        "layer",
        "output",
        "mean",
        "std",
        "min",
        "max",
        "saturated",
        "dead",
        "gradient",
        "relative",
    )
}

fn layer_words(line: &LayerLine, width: usize) -> String {
    let shape = Shape::new(&line.shape).to_string();
    let mut text = format!("{:>2} {:<width$}{shape:<12}", line.layer, cut(&line.name, width - 1));
    text.push_str(&line.output.columns());
    let _ = match line.saturated.zip(line.dead) {
        Some((share, dead)) => {
            let dead = format!("{dead}/{}", line.units);
            write!(text, "{:>9.2} %{dead:>9}", share * 100.0)
        }
        None => write!(text, "{:>20}", ""),
    };
    let _ = write!(text, "{:>10.1e}", line.gradient_rms);
    if let Some(ratio) = line.parameter_gradient {
        let _ = write!(text, "{ratio:>10.1e}");
    }
    text
}
