//! The layers of a network as PyTorch's modules, or as those of `classes.py` where it has none.

use layers::{Bias, Function, NetworkSpec, Operation};
use tensor::{Correlation, Element, Pooling, Shape, Windows};

use crate::export::python::{Around, pair, setting, shape, tuple};
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
    let [_, height, width] = geometry.input_shape().axes().unwrap_or_default();
    let sizes = [geometry.input_shape().dims()[0], output.dims()[0]];
    let mut own = sweep(geometry, [height, width], padding);
    let symmetric = symmetric(padding);
    if bias == Bias::Untied {
        own.insert(1, format!("outputs={}", shape(output)));
        if padding != [[0; 2]; 2] {
            own.push(format!("around={}", around(padding)));
        }
        return call("UntiedConv2d", sizes, &own);
    }
    if bias == Bias::None {
        own.push("bias=False".into());
    }
    match symmetric {
        Some([0, 0]) => call("nn.Conv2d", sizes, &own),
        Some(both) => {
            own.insert(1, format!("padding={}", pair(both)));
            call("nn.Conv2d", sizes, &own)
        }
        None => {
            own.insert(1, format!("around={}", around(padding)));
            call("PaddedConv2d", sizes, &own)
        }
    }
}

fn adjoint(geometry: &Correlation, bias: Bias) -> String {
    let padding = geometry.padding();
    let (input, output) = (geometry.output_shape(), geometry.input_shape());
    let sizes = [input.dims()[0], output.dims()[0]];
    let mut own = sweep(geometry, [output.dims()[1], output.dims()[2]], padding);
    // How many rows and columns there are behind the last one that a kernel reaches.
    let [_, _, kernel_rows, kernel_columns] = geometry.kernels_shape().axes().unwrap_or_default();
    let behind = |axis: usize, kernel: usize| {
        let [before, after] = padding[axis];
        let reached = (input.dims()[1 + axis] - 1) * geometry.stride()[axis]
            + geometry.dilation()[axis] * (kernel - 1)
            + 1;
        (output.dims()[1 + axis] + before + after) - reached
    };
    let more = [behind(0, kernel_rows), behind(1, kernel_columns)];
    if bias != Bias::PerChannel {
        own.push("bias=False".into());
    }
    match symmetric(padding) {
        Some(both) if bias != Bias::Untied => {
            if more != [0; 2] {
                own.insert(1, format!("output_padding={}", pair(more)));
            }
            if both != [0; 2] {
                own.insert(1, format!("padding={}", pair(both)));
            }
            call("nn.ConvTranspose2d", sizes, &own)
        }
        _ => {
            let sides = [1, 0].map(|axis| {
                let [before, after] = padding[axis];
                let after = if more[axis] >= after {
                    (more[axis] - after).to_string()
                } else {
                    format!("-{}", after - more[axis])
                };
                [if before == 0 { "0".into() } else { format!("-{before}") }, after]
            });
            own.push(format!("around={}", tuple(sides.as_flattened())));
            if bias == Bias::Untied {
                own.push(format!("outputs={}", shape(output)));
            }
            call("CutConvTranspose2d", sizes, &own)
        }
    }
}

/// The size of the kernels, and what of stride, dilation and groups is not 1, for planes of this
/// size with this padding.
fn sweep(geometry: &Correlation, plane: [usize; 2], padding: [[usize; 2]; 2]) -> Vec<String> {
    let [_, _, rows, columns] = geometry.kernels_shape().axes().unwrap_or_default();
    // Beyond the plane a stride or a dilation makes no difference, but may be too large for PyTorch.
    let most = [0, 1].map(|axis| plane[axis] + padding[axis].iter().sum::<usize>());
    let limited = |steps: [usize; 2]| [0, 1].map(|axis| steps[axis].min(most[axis]));
    let (stride, dilation) = (limited(geometry.stride()), limited(geometry.dilation()));
    let mut own = vec![format!("kernel_size={}", pair([rows, columns]))];
    for (name, steps) in [("stride", stride), ("dilation", dilation)] {
        if steps != [1; 2] {
            own.push(format!("{name}={}", pair(steps)));
        }
    }
    if geometry.groups() != 1 {
        own.push(format!("groups={}", geometry.groups()));
    }
    own
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

fn call(name: &str, sizes: [usize; 2], own: &[String]) -> String {
    let sizes = sizes.map(|size| size.to_string());
    format!("{name}({})", [&sizes, own].concat().join(", "))
}
