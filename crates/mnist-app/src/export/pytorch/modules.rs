//! The layers of a network as PyTorch's modules, or as those of `classes.py` where it has none.

use layers::{Bias, Function, NetworkSpec, Operation};
use tensor::{Correlation, Element, Pooling, Shape, Windows};

use crate::export::edges::{Around, output_padding};
use crate::export::python::{pair, setting, shape, tuple};
use crate::export::steps::Step;

/// The modules, a line each, at this depth.
pub(super) fn lines<T: Element>(
    steps: &[Step<'_, T>],
    network: &NetworkSpec,
    depth: usize,
) -> String {
    let margin = "    ".repeat(depth);
    let line = |step: &Step<'_, T>| {
        let note = format!("  # {}: {}", step.place, shape(step.output));
        match step.operation {
            Operation::Residual(_) => {
                let inside = lines(&step.inside, network, depth + 1);
                format!("{margin}Residual(\n{inside}{margin}),{note}\n")
            }
            _ => format!("{margin}{},{note}\n", module(step, network)),
        }
    };
    steps.iter().map(line).collect()
}

/// A layer that is no block.
fn module<T: Element>(step: &Step<'_, T>, network: &NetworkSpec) -> String {
    match &step.operation {
        Operation::Correlation(geometry, bias) => correlation(geometry, *bias),
        Operation::Adjoint(geometry, bias) => adjoint(geometry, *bias),
        Operation::Max(pooling) => max(pooling),
        Operation::Mean(_) if step.output.rank() == 1 => "GlobalAvgPool2d()".into(),
        Operation::Mean(pooling) => mean(pooling),
        Operation::BatchNorm { epsilon } => {
            let momentum = setting(network, &step.place, "momentum");
            let momentum = momentum.map_or(String::new(), |found| format!(", momentum={found}"));
            format!("nn.BatchNorm2d({}, eps={epsilon:?}{momentum})", step.input.dims()[0])
        }
        Operation::GroupNorm { groups, epsilon } => {
            format!("nn.GroupNorm({groups}, {}, eps={epsilon:?})", step.input.dims()[0])
        }
        Operation::Dense => format!("nn.Linear({}, {})", step.input.len(), step.output.len()),
        Operation::Function(function) => match function {
            Function::Sigmoid => "nn.Sigmoid()".into(),
            Function::Tanh => "nn.Tanh()".into(),
            Function::Relu => "nn.ReLU()".into(),
            Function::LeakyRelu { slope } => format!("nn.LeakyReLU({slope:?})"),
            Function::Gelu => "nn.GELU()".into(),
            Function::Silu => "nn.SiLU()".into(),
            Function::Elu { alpha } => format!("nn.ELU({alpha:?})"),
            Function::Softplus => "Softplus()".into(),
            Function::HardSwish => "nn.Hardswish()".into(),
        },
        Operation::Softmax => "nn.Softmax(dim=1)".into(),
        Operation::Same if step.input == step.output => {
            let dropped = setting(network, &step.place, "p");
            dropped.map_or("nn.Identity()".into(), |p| format!("nn.Dropout({p})"))
        }
        Operation::Same if step.output.rank() == 1 => "nn.Flatten()".into(),
        Operation::Same if step.input.rank() == 1 => {
            format!("nn.Unflatten(1, {})", shape(step.output))
        }
        Operation::Same => format!("Reshape{}", shape(step.output)),
        Operation::Residual(_) => unreachable!("a block"),
    }
}

fn correlation(geometry: &Correlation, bias: Bias) -> String {
    let (padding, output) = (geometry.padding(), geometry.output_shape());
    let sizes = [geometry.input_shape().dims()[0], output.dims()[0]];
    let both = symmetric(padding).filter(|_| bias != Bias::Untied);
    let around = match both {
        Some(both) => given("padding", both, 0),
        None if padding == [[0; 2]; 2] => None,
        None => Some(format!("around={}", around(padding))),
    };
    let settings = sweep(geometry, [around, None]);
    match (bias, both) {
        (Bias::Untied, _) => {
            let outputs = format!("outputs={}", shape(output));
            call("UntiedConv2d", sizes, [settings, vec![outputs]].concat())
        }
        (_, Some(_)) => call("nn.Conv2d", sizes, with_bias(settings, bias)),
        (_, None) => call("PaddedConv2d", sizes, with_bias(settings, bias)),
    }
}

fn adjoint(geometry: &Correlation, bias: Bias) -> String {
    let padding = geometry.padding();
    let (input, output) = (geometry.output_shape(), geometry.input_shape());
    let sizes = [input.dims()[0], output.dims()[0]];
    let more = output_padding(geometry);
    if let Some(both) = symmetric(padding).filter(|_| bias != Bias::Untied) {
        let own = [given("padding", both, 0), given("output_padding", more, 0)];
        return call("nn.ConvTranspose2d", sizes, with_bias(sweep(geometry, own), bias));
    }
    // Left, right, above, below: what is cut off is negative.
    let sides = [1, 0].map(|axis| {
        let cut = |by: usize| if by == 0 { "0".to_owned() } else { format!("-{by}") };
        let [before, after] = padding[axis];
        let behind = more[axis].checked_sub(after).map(|kept| kept.to_string());
        [cut(before), behind.unwrap_or_else(|| cut(after - more[axis]))]
    });
    let around = format!("around={}", tuple(sides.as_flattened()));
    let mut settings = sweep(geometry, [Some(around), None]);
    if bias == Bias::Untied {
        settings.push(format!("outputs={}", shape(output)));
    }
    call("CutConvTranspose2d", sizes, with_bias(settings, bias))
}

/// The settings of a convolution in PyTorch's order, with its `own` after the stride.
fn sweep(geometry: &Correlation, own: [Option<String>; 2]) -> Vec<String> {
    // Beyond the plane a stride or a dilation makes no difference, but may be too large for PyTorch.
    let most = |axis: usize| {
        let padding: usize = geometry.padding()[axis].iter().sum();
        geometry.input_shape().dims()[1 + axis] + padding
    };
    let limited = |steps: [usize; 2]| [0, 1].map(|axis| steps[axis].min(most(axis)));
    let kernels = geometry.kernels_shape();
    let size = Some(format!("kernel_size={}", pair([kernels.dims()[2], kernels.dims()[3]])));
    let stride = given("stride", limited(geometry.stride()), 1);
    let dilation = given("dilation", limited(geometry.dilation()), 1);
    let groups = Some(geometry.groups()).filter(|&groups| groups != 1);
    let groups = groups.map(|groups| format!("groups={groups}"));
    let settings = [size, stride].into_iter().chain(own).chain([dilation, groups]);
    settings.flatten().collect()
}

/// A setting for both axes, unless it is the usual one.
fn given(name: &str, numbers: [usize; 2], usual: usize) -> Option<String> {
    (numbers != [usual; 2]).then(|| format!("{name}={}", pair(numbers)))
}

/// The settings, and that there is no bias of each channel, if there is none.
fn with_bias(mut settings: Vec<String>, bias: Bias) -> Vec<String> {
    if bias != Bias::PerChannel {
        settings.push("bias=False".into());
    }
    settings
}

fn max(pooling: &Pooling) -> String {
    let windows = pooling.windows();
    match symmetric(windows.padding) {
        Some(both) => {
            format!("nn.MaxPool2d({})", plain(windows, both, pooling.input_shape()).join(", "))
        }
        None => {
            let sizes =
                plain(Windows { ceil_mode: false, ..windows }, [0; 2], pooling.input_shape());
            let around = around(Around::of(pooling).whole);
            format!("PaddedMaxPool2d({}, around={around})", sizes.join(", "))
        }
    }
}

fn mean(pooling: &Pooling) -> String {
    let windows = pooling.windows();
    match symmetric(windows.padding) {
        Some(both) => {
            let mut own = plain(windows, both, pooling.input_shape());
            if both != [0; 2] && !windows.count_padding {
                own.push("count_include_pad=False".into());
            }
            format!("nn.AvgPool2d({})", own.join(", "))
        }
        None => {
            let sizes =
                plain(Windows { ceil_mode: false, ..windows }, [0; 2], pooling.input_shape());
            let all = Around::of(pooling);
            let [counted, beyond] = [all.counted, all.beyond()].map(around);
            format!("PaddedAvgPool2d({}, counted={counted}, beyond={beyond})", sizes.join(", "))
        }
    }
}

/// The settings of PyTorch's poolings.
fn plain(windows: Windows, padding: [usize; 2], input: Shape) -> Vec<String> {
    // Beyond the plane a stride makes no difference, but may be too large for PyTorch.
    let most = |axis: usize| input.dims()[1 + axis] + windows.padding[axis].iter().sum::<usize>();
    let stride = [0, 1].map(|axis| windows.stride[axis].min(most(axis)));
    let mut own = vec![pair(windows.size), pair(stride)];
    if padding != [0; 2] {
        own.push(format!("padding={}", pair(padding)));
    }
    if windows.ceil_mode {
        own.push("ceil_mode=True".into());
    }
    own
}

/// The padding of rows and of columns, if it is the same on both sides.
fn symmetric(padding: [[usize; 2]; 2]) -> Option<[usize; 2]> {
    padding.iter().all(|[before, after]| before == after).then(|| padding.map(|[both, _]| both))
}

/// A padding in the order of `torch.nn.functional.pad`: left, right, above, below.
fn around([rows, columns]: [[usize; 2]; 2]) -> String {
    tuple([columns, rows].as_flattened())
}

fn call(name: &str, sizes: [usize; 2], settings: Vec<String>) -> String {
    let sizes = sizes.iter().map(usize::to_string);
    format!("{name}({})", sizes.chain(settings).collect::<Vec<_>>().join(", "))
}
