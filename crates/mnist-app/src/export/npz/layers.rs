//! The layers of a network as calls of the functions in `functions.py`.

use layers::{Bias, Function, Operation};
use tensor::{Correlation, Element};

use crate::export::python::{Around, shape, tuple};
use crate::export::steps::Step;

/// The elements of the list of layers, a line each, at this depth.
pub(super) fn lines<T: Element>(steps: &[Step<'_, T>], depth: usize) -> String {
    let margin = "    ".repeat(depth);
    let line = |step: &Step<'_, T>| {
        let note = format!("  # {}: {}", step.place, shape(step.output));
        match step.operation {
            Operation::Residual(_) => {
                let inside = lines(&step.inside, depth + 1);
                format!("{margin}Residual([\n{inside}{margin}]),{note}\n")
            }
            _ => format!("{margin}{},{note}\n", call(step)),
        }
    };
    steps.iter().map(line).collect()
}

/// A layer that is no block, as a function of `x`.
fn call<T: Element>(step: &Step<'_, T>) -> String {
    let place = &step.place;
    let of = |text: String| format!("lambda x: {text}");
    match &step.operation {
        Operation::Correlation(geometry, bias) => {
            of(correlation(place, geometry) + added(*bias, place).as_str())
        }
        Operation::Adjoint(geometry, bias) => {
            of(adjoint(place, geometry) + added(*bias, place).as_str())
        }
        Operation::Max(pooling) => {
            let (windows, around) = (pooling.windows(), Around::of(pooling));
            let x = padded("x", around.whole, ", -np.inf");
            of(format!("max_pool({x}, {}, {})", tuple(&windows.size), tuple(&windows.stride)))
        }
        Operation::Mean(_) if step.output.rank() == 1 => of("x.mean(axis=(2, 3))".into()),
        Operation::Mean(pooling) => {
            let (windows, around) = (pooling.windows(), Around::of(pooling));
            let (size, stride) = (tuple(&windows.size), tuple(&windows.stride));
            if around.is_counted() {
                return of(format!(
                    "mean_pool({}, {size}, {stride})",
                    padded("x", around.whole, "")
                ));
            }
            let [counted, beyond] = [around.counted, around.beyond()].map(pairs);
            of(format!("mean_of_counted(x, {size}, {stride}, ({counted}), ({beyond}))"))
        }
        Operation::BatchNorm { epsilon } => of(format!("batch_norm(x, \"{place}\", {epsilon:?})")),
        Operation::GroupNorm { groups, epsilon } => {
            of(format!("group_norm(x, \"{place}\", {groups}, {epsilon:?})"))
        }
        Operation::Dense => of(format!("dense(x, \"{place}\")")),
        Operation::Function(function) => match function {
            Function::Sigmoid => "sigmoid".into(),
            Function::Tanh => "np.tanh".into(),
            Function::Relu => of("np.maximum(x, 0)".into()),
            Function::LeakyRelu { slope } => of(format!("leaky_relu(x, {slope:?})")),
            Function::Gelu => "gelu".into(),
            Function::Silu => of("x * sigmoid(x)".into()),
            Function::Elu { alpha } => of(format!("elu(x, {alpha:?})")),
            // ln(1 + exp x), without overflow.
            Function::Softplus => of("np.logaddexp(x, 0)".into()),
            Function::HardSwish => "hard_swish".into(),
        },
        Operation::Softmax => "softmax".into(),
        Operation::Same if step.input == step.output => "same".into(),
        Operation::Same if step.output.rank() == 1 => of("x.reshape(len(x), -1)".into()),
        Operation::Same => of(format!("x.reshape(-1, *{})", shape(step.output))),
        Operation::Residual(_) => unreachable!("a block"),
    }
}

fn correlation(place: &str, geometry: &Correlation) -> String {
    let x = padded("x", geometry.padding(), "");
    let kernels = format!("W[\"{place}.weight\"]");
    let (stride, dilation) = (geometry.stride(), geometry.dilation());
    let mut settings = String::new();
    if (stride, dilation) != ([1; 2], [1; 2]) {
        settings += &format!(", {}", tuple(&stride));
    }
    if dilation != [1; 2] {
        settings += &format!(", {}", tuple(&dilation));
    }
    match geometry.groups() {
        1 => format!("correlate({x}, {kernels}{settings})"),
        groups => format!("in_groups(correlate, {groups}, {x}, {kernels}{settings})"),
    }
}

fn adjoint(place: &str, geometry: &Correlation) -> String {
    let [[above, _], [left, _]] = geometry.padding();
    let output = geometry.input_shape();
    let settings = [
        tuple(&geometry.stride()),
        tuple(&geometry.dilation()),
        tuple(&[above, left]),
        tuple(&output.dims()[1..]),
    ];
    let rest = format!("x, W[\"{place}.weight\"], {}", settings.join(", "));
    match geometry.groups() {
        1 => format!("spread({rest})"),
        groups => format!("in_groups(spread, {groups}, {rest})"),
    }
}

/// The sum with a bias.
fn added(bias: Bias, place: &str) -> String {
    match bias {
        Bias::None => String::new(),
        Bias::PerChannel => format!(" + W[\"{place}.bias\"][:, None, None]"),
        Bias::Untied => format!(" + W[\"{place}.bias\"]"),
    }
}

/// A call that pads, if there is anything to pad.
fn padded(x: &str, around: [[usize; 2]; 2], value: &str) -> String {
    if around == [[0; 2]; 2] {
        return x.to_owned();
    }
    format!("pad({x}, {}{value})", pairs(around))
}

fn pairs(around: [[usize; 2]; 2]) -> String {
    around.map(|pair| tuple(&pair)).join(", ")
}
