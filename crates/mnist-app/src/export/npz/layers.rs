//! The layers of a network as calls of the functions in `functions.py`.

use layers::{Bias, Function, Operation};
use tensor::{Correlation, Element};

use crate::export::edges::Around;
use crate::export::python::{shape, tuple};
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
    let (x, stride) = (padded("x", geometry.padding(), ""), geometry.stride());
    let stride = if stride == [1; 2] { String::new() } else { format!(", {}", tuple(&stride)) };
    in_groups("correlate", geometry, format!("{x}, {}{stride}", kernels(place, geometry)))
}

fn adjoint(place: &str, geometry: &Correlation) -> String {
    let [[above, _], [left, _]] = geometry.padding();
    let (kernels, stride) = (kernels(place, geometry), tuple(&geometry.stride()));
    let (start, size) = (tuple(&[above, left]), tuple(&geometry.input_shape().dims()[1..]));
    in_groups("spread", geometry, format!("x, {kernels}, {stride}, {start}, {size}"))
}

fn kernels(place: &str, geometry: &Correlation) -> String {
    let kernels = format!("W[\"{place}.weight\"]");
    match geometry.dilation() {
        [1, 1] => kernels,
        dilation => format!("dilated({kernels}, {})", tuple(&dilation)),
    }
}

/// A call of a function, once or for each group.
fn in_groups(function: &str, geometry: &Correlation, arguments: String) -> String {
    match geometry.groups() {
        1 => format!("{function}({arguments})"),
        groups => format!("in_groups({function}, {groups}, {arguments})"),
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
