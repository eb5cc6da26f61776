//! The steps of a network as nodes of a graph.

use anyhow::Context;
use layers::{Function, Operation};
use tensor::{Correlation, Pooling};

use super::graph::{Graph, float, int, ints};
use super::proto::AttributeProto;
use crate::export::edges::{output_padding, padding_at_end};
use crate::export::steps::Step;

type Step32<'a> = Step<'a, f32>;

/// A network that is added to a graph.
pub(super) struct Nodes<'g> {
    pub(super) graph: &'g mut Graph,
    /// What stands before the names of its nodes and arrays: `"member-1/"`, or nothing.
    pub(super) prefix: String,
    /// The name of what each step puts out, the steps inside a block before the block itself.
    pub(super) outputs: Vec<String>,
}

impl Nodes<'_> {
    /// Adds these steps, and gives back the name of what the last one puts out.
    pub(super) fn steps(&mut self, steps: &[Step32<'_>], input: &str) -> anyhow::Result<String> {
        let mut value = input.to_owned();
        for step in steps {
            value = self.step(step, &value)?;
            self.outputs.push(value.clone());
        }
        Ok(value)
    }

    fn step(&mut self, step: &Step32<'_>, x: &str) -> anyhow::Result<String> {
        let name = format!("{}{}", self.prefix, step.place);
        let value = match &step.operation {
            Operation::Same if step.input == step.output => return Ok(x.to_owned()),
            Operation::Same => return Ok(self.graph.reshape(&name, x, step.output.dims())),
            Operation::Correlation(correlation, _) => {
                self.convolution((step, &name), ("Conv", x), attributes(correlation))?
            }
            Operation::Adjoint(correlation, _) => {
                let more = output_padding(correlation);
                let mut attributes = attributes(correlation);
                attributes.extend((more != [0; 2]).then(|| ints("output_padding", &more)));
                self.convolution((step, &name), ("ConvTranspose", x), attributes)?
            }
            Operation::Max(pooling) => self.graph.node(&name, "MaxPool", &[x], windows(pooling)),
            Operation::Mean(_) if step.output.dims().len() == 1 => {
                let mean =
                    self.graph.node(format!("{name}/mean"), "GlobalAveragePool", &[x], vec![]);
                self.graph.node(&name, "Flatten", &[&mean], vec![int("axis", 1)])
            }
            Operation::Mean(pooling) => self.mean(&name, x, pooling),
            Operation::BatchNorm { epsilon } => {
                let arrays = ["weight", "bias", "running_mean", "running_var"];
                let arrays = arrays.map(|array| self.array(step, array));
                let mut inputs = vec![x.to_owned()];
                inputs.extend(arrays.into_iter().collect::<anyhow::Result<Vec<_>>>()?);
                let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
                let attributes = vec![float("epsilon", *epsilon)];
                self.graph.node(&name, "BatchNormalization", &inputs, attributes)
            }
            Operation::GroupNorm { groups, epsilon } => {
                self.group_norm((step, &name), x, (*groups, *epsilon))?
            }
            Operation::Dense => {
                let weight = self.array(step, "weight")?;
                let bias = self.array(step, "bias")?;
                let attributes = vec![int("transB", 1)];
                self.graph.node(&name, "Gemm", &[x, &weight, &bias], attributes)
            }
            Operation::Function(function) => self.function(&name, x, *function),
            Operation::Softmax => self.graph.node(&name, "Softmax", &[x], vec![int("axis", 1)]),
            Operation::Residual(_) => {
                let inside = self.steps(&step.inside, x)?;
                self.graph.node(&name, "Add", &[x, &inside], vec![])
            }
        };
        self.graph.describe(&value, step.output.dims());
        Ok(value)
    }

    /// Adds an array of a step under its own name.
    fn array(&mut self, step: &Step32<'_>, name: &str) -> anyhow::Result<String> {
        let dims = self.found(step, name)?.shape.dims().to_vec();
        self.array_as(step, name, &dims)
    }

    /// The same under another shape.
    fn array_as(
        &mut self,
        step: &Step32<'_>,
        name: &str,
        dims: &[usize],
    ) -> anyhow::Result<String> {
        let numbers = self.found(step, name)?.numbers;
        let name = format!("{}{}.{name}", self.prefix, step.place);
        Ok(self.graph.array(name, dims, numbers))
    }

    fn found<'s>(
        &self,
        step: &'s Step32<'_>,
        name: &str,
    ) -> anyhow::Result<&'s crate::export::steps::Array<'s, f32>> {
        let place = &step.place;
        step.array(name).with_context(|| format!("layer {place}: expected an array {name:?}"))
    }

    /// A convolution of either kind, with a bias for each channel or for each number, or none.
    fn convolution(
        &mut self,
        (step, name): (&Step32<'_>, &str),
        (operator, x): (&str, &str),
        attributes: Vec<AttributeProto>,
    ) -> anyhow::Result<String> {
        let weight = self.array(step, "weight")?;
        let Some(bias) = step.array("bias") else {
            return Ok(self.graph.node(name, operator, &[x, &weight], attributes));
        };
        let is_per_channel = bias.shape.dims().len() == 1;
        let bias = self.array(step, "bias")?;
        if is_per_channel {
            return Ok(self.graph.node(name, operator, &[x, &weight, &bias], attributes));
        }
        let sums = self.graph.node(format!("{name}/sums"), operator, &[x, &weight], attributes);
        Ok(self.graph.node(name, "Add", &[&sums, &bias], vec![]))
    }

    /// The mean of each window. Where padding counts, ONNX divides by the size of the window; a
    /// window that reaches beyond the padding has fewer numbers that count, and its mean is
    /// multiplied by what makes up for that.
    fn mean(&mut self, name: &str, x: &str, pooling: &Pooling) -> String {
        let mut attributes = windows(pooling);
        if !pooling.windows().count_padding {
            return self.graph.node(name, "AveragePool", &[x], attributes);
        }
        attributes.push(int("count_include_pad", 1));
        let [rows, columns] = [0, 1].map(|axis| shares_that_count(pooling, axis));
        if rows.iter().chain(&columns).all(|&share| share == 1.0) {
            return self.graph.node(name, "AveragePool", &[x], attributes);
        }
        let factors = rows.iter().flat_map(|row| {
            // Exact up to one rounding.
            #[allow(clippy::cast_possible_truncation)]
            columns.iter().map(move |column| (1.0 / (row * column)) as f32)
        });
        let (factors, dims): (Vec<_>, _) = (factors.collect(), [rows.len(), columns.len()]);
        let factors = self.graph.array(format!("{name}/factors"), &dims, &factors);
        let means = self.graph.node(format!("{name}/means"), "AveragePool", &[x], attributes);
        self.graph.node(name, "Mul", &[&means, &factors], vec![])
    }

    /// Each group as one channel is normalised by an instance normalisation; scale and shift of each
    /// channel follow. (ONNX has a group normalisation from version 18 on, and one with a scale for
    /// each channel from 21 on.)
    fn group_norm(
        &mut self,
        (step, name): (&Step32<'_>, &str),
        x: &str,
        (groups, epsilon): (usize, f64),
    ) -> anyhow::Result<String> {
        let dims = step.input.dims();
        let per_channel: Vec<_> =
            dims.iter().enumerate().map(|(axis, &dim)| if axis == 0 { dim } else { 1 }).collect();
        let weight = self.array_as(step, "weight", &per_channel)?;
        let bias = self.array_as(step, "bias", &per_channel)?;
        let graph = &mut *self.graph;
        let ones = graph.array(format!("{name}/ones"), &[groups], &vec![1.0; groups]);
        let zeros = graph.array(format!("{name}/zeros"), &[groups], &vec![0.0; groups]);
        let sizes = [groups, step.input.len() / groups];
        let apart = graph.reshape(format!("{name}/groups"), x, &sizes);
        let inputs: [&str; 3] = [&apart, &ones, &zeros];
        let attributes = vec![float("epsilon", epsilon)];
        let normal =
            graph.node(format!("{name}/normal"), "InstanceNormalization", &inputs, attributes);
        let together = graph.reshape(format!("{name}/channels"), &normal, dims);
        let scaled = graph.node(format!("{name}/scaled"), "Mul", &[&together, &weight], vec![]);
        Ok(graph.node(name, "Add", &[&scaled, &bias], vec![]))
    }

    fn function(&mut self, name: &str, x: &str, function: Function) -> String {
        let graph = &mut *self.graph;
        match function {
            Function::Sigmoid => graph.node(name, "Sigmoid", &[x], vec![]),
            Function::Tanh => graph.node(name, "Tanh", &[x], vec![]),
            Function::Relu => graph.node(name, "Relu", &[x], vec![]),
            Function::LeakyRelu { slope } => {
                graph.node(name, "LeakyRelu", &[x], vec![float("alpha", slope)])
            }
            Function::Elu { alpha } => graph.node(name, "Elu", &[x], vec![float("alpha", alpha)]),
            Function::Softplus => graph.node(name, "Softplus", &[x], vec![]),
            Function::Silu => {
                let sigmoid = graph.node(format!("{name}/sigmoid"), "Sigmoid", &[x], vec![]);
                graph.node(name, "Mul", &[x, &sigmoid], vec![])
            }
            // x · min(max(x + 3, 0), 6) / 6.
            Function::HardSwish => {
                let three = graph.number(format!("{name}/3"), 3.0);
                let six = graph.number(format!("{name}/6"), 6.0);
                let sum = graph.node(format!("{name}/sum"), "Add", &[x, &three], vec![]);
                let bounds = vec![float("min", 0.0), float("max", 6.0)];
                let gate = graph.node(format!("{name}/gate"), "Clip", &[&sum], bounds);
                let product = graph.node(format!("{name}/product"), "Mul", &[x, &gate], vec![]);
                graph.node(name, "Div", &[&product, &six], vec![])
            }
            // x (1 + erf(x / √2)) / 2.
            Function::Gelu => {
                let root = graph.number(format!("{name}/root"), std::f32::consts::SQRT_2);
                let one = graph.number(format!("{name}/1"), 1.0);
                let half = graph.number(format!("{name}/half"), 0.5);
                let scaled = graph.node(format!("{name}/scaled"), "Div", &[x, &root], vec![]);
                let erf = graph.node(format!("{name}/erf"), "Erf", &[&scaled], vec![]);
                let sum = graph.node(format!("{name}/sum"), "Add", &[&erf, &one], vec![]);
                let product = graph.node(format!("{name}/product"), "Mul", &[x, &sum], vec![]);
                graph.node(name, "Mul", &[&product, &half], vec![])
            }
        }
    }
}

/// Of a correlation, and of its adjoint, which has the same in ONNX.
fn attributes(correlation: &Correlation) -> Vec<AttributeProto> {
    let [[top, bottom], [left, right]] = correlation.padding();
    vec![
        ints("kernel_shape", &correlation.kernels_shape().dims()[2..]),
        ints("strides", &correlation.stride()),
        ints("dilations", &correlation.dilation()),
        ints("pads", &[top, left, bottom, right]),
        int("group", correlation.groups()),
    ]
}

fn windows(pooling: &Pooling) -> Vec<AttributeProto> {
    let windows = pooling.windows();
    let [top, left] = [0, 1].map(|axis| windows.padding[axis][0]);
    let [bottom, right] = [0, 1].map(|axis| padding_at_end(pooling, axis));
    vec![
        ints("kernel_shape", &windows.size),
        ints("strides", &windows.stride),
        ints("pads", &[top, left, bottom, right]),
    ]
}

/// The share of each window's rows or columns that count where padding counts: those that are not
/// beyond it.
fn shares_that_count(pooling: &Pooling, axis: usize) -> Vec<f64> {
    let windows = pooling.windows();
    let padding: usize = windows.padding[axis].iter().sum();
    let padded = pooling.input_shape().dims()[1 + axis] + padding;
    let size = windows.size[axis];
    let counts = (0..pooling.output_shape().dims()[1 + axis])
        .map(|window| padded.saturating_sub(window * windows.stride[axis]).min(size));
    counts.map(|count| count as f64 / size as f64).collect()
}
