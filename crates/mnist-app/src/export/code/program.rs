//! A network as a list of calls of kernels, in the order and with the arithmetic of this program.

use layers::{Bias, Function, Operation};
use tensor::simd::level;
use tensor::{Arithmetic, Correlation, Pooling};

use super::buffers::{Buffers, Place};
use crate::export::steps::Step;
use crate::preprocessing::Normalization;

/// What happens to a picture, first to last.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) lines: Vec<Line>,
    pub(super) constants: Vec<Constant>,
    /// How many numbers each buffer holds.
    pub(super) buffers: Vec<usize>,
    /// Where the picture is written as numbers from 0 to 1.
    pub(super) picture: Place,
    pub(super) output: Place,
    pub(super) multiply_adds: usize,
}

#[derive(Debug)]
pub(super) enum Line {
    /// What the calls that follow compute.
    Comment(String),
    Call(&'static str, Vec<Argument>),
    /// The layer at this place in the network has put out these numbers.
    Output(String, Place),
}

#[derive(Debug)]
pub(super) enum Argument {
    /// Numbers that are read.
    Read(Place),
    /// Numbers that are read, and how many.
    ReadAll(Place),
    /// Numbers that are written.
    Write(Place),
    /// Numbers that are written, and how many.
    WriteAll(Place),
    Constant(String),
    Number(Value),
    Settings(&'static str, Vec<Setting>),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Whole(usize),
    Real(f32),
    Flag(bool),
}

/// A member of a kernel's settings.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) value: Value,
    /// Whether the length of a slice tells it, in a language that has slices.
    pub(super) is_length: bool,
}

/// Numbers of the network.
#[derive(Debug)]
pub(super) struct Constant {
    pub(super) name: String,
    pub(super) shape: String,
    pub(super) numbers: Vec<f32>,
}

impl Program {
    pub(super) fn of(
        pixels: usize,
        normalization: &Normalization,
        steps: &[Step<'_, f32>],
    ) -> Self {
        let mut writer = Writer { largest: largest(steps).max(pixels), ..Writer::default() };
        let picture = writer.buffers.take(pixels);
        if let Normalization::Standard { mean, deviation } = normalization {
            let plane = pixels / mean.len();
            let constants = [("mean", mean), ("deviation", deviation)]
                .map(|(name, numbers)| writer.constant("input", name, numbers.clone()));
            writer.call("standardize", [Argument::WriteAll(picture), whole(plane)], constants);
        }
        let output = writer.walk(steps, picture, false);
        let Writer { lines, constants, buffers, multiply_adds, .. } = writer;
        let buffers = buffers.into_sizes();
        Self { lines, constants, buffers, picture, output, multiply_adds }
    }

    /// How many numbers all buffers hold.
    pub(super) fn room(&self) -> usize {
        self.buffers.iter().sum()
    }

    /// The kernels that are called.
    pub(super) fn kernels(&self) -> impl Iterator<Item = &'static str> {
        self.lines.iter().filter_map(|line| match line {
            Line::Call(kernel, _) => Some(*kernel),
            _ => None,
        })
    }
}

/// The most numbers that a layer puts out.
fn largest(steps: &[Step<'_, f32>]) -> usize {
    let each = steps.iter().map(|step| step.output.len().max(largest(&step.inside)));
    each.max().unwrap_or(0)
}

#[derive(Default)]
struct Writer {
    lines: Vec<Line>,
    constants: Vec<Constant>,
    buffers: Buffers,
    multiply_adds: usize,
    /// The most numbers that a layer puts out.
    largest: usize,
}

impl Writer {
    fn call(
        &mut self,
        kernel: &'static str,
        arguments: impl IntoIterator<Item = Argument>,
        more: impl IntoIterator<Item = Argument>,
    ) {
        self.lines.push(Line::Call(kernel, arguments.into_iter().chain(more).collect()));
    }

    /// Names numbers of the layer at this place.
    fn constant(&mut self, place: &str, name: &str, numbers: Vec<f32>) -> Argument {
        self.shaped(place, name, format!("({})", numbers.len()), numbers)
    }

    fn shaped(&mut self, place: &str, name: &str, shape: String, numbers: Vec<f32>) -> Argument {
        let at = if place == "input" { "" } else { "LAYER_" };
        let constant = format!("{at}{}_{name}", place.replace('.', "_")).to_uppercase();
        self.constants.push(Constant { name: constant.clone(), shape, numbers });
        Argument::Constant(constant)
    }

    fn array(&mut self, step: &Step<'_, f32>, name: &str) -> Argument {
        let array = step.array(name);
        let shape = array.map_or(String::new(), |array| array.shape.to_string());
        self.shaped(&step.place, name, shape, numbers(step, name).to_vec())
    }

    /// Computes some layers; the numbers at `input` stay as they are if they are `kept`.
    fn walk(&mut self, steps: &[Step<'_, f32>], input: Place, kept: bool) -> Place {
        let (mut current, mut kept) = (input, kept);
        for step in steps {
            let before = current;
            let is_first = kept;
            current = self.step(step, before, kept);
            if current.buffer != before.buffer {
                if !is_first {
                    self.buffers.give_back(before);
                }
                kept = false;
            }
            self.lines.push(Line::Output(step.place.clone(), current));
        }
        current
    }

    fn step(&mut self, step: &Step<'_, f32>, input: Place, kept: bool) -> Place {
        let (from, to) = (&step.input, &step.output);
        if !matches!(step.operation, Operation::Residual(_) | Operation::Same) {
            let what = describe(&step.operation);
            self.lines.push(Line::Comment(format!("{}: {what}, {from} to {to}", step.place)));
        }
        match &step.operation {
            Operation::Same => Place { len: to.len(), ..input },
            Operation::Correlation(geometry, bias) => {
                let place = self.correlation(step, geometry, input);
                let filtered = plan(geometry)[0] == Arithmetic::Tiles;
                self.bias(step, *bias, filtered, place);
                place
            }
            Operation::Adjoint(geometry, bias) => {
                let place = self.adjoint(step, geometry, input);
                // Without its bias, a correlation by tiles ends with adding 0.
                if plan(geometry)[1] == Arithmetic::Tiles {
                    self.bias(step, Bias::None, true, place);
                }
                self.bias(step, *bias, false, place);
                place
            }
            Operation::Max(pooling) => {
                let output = self.buffers.take(to.len());
                let places = [Argument::Read(input), Argument::Write(output)];
                self.call("max_pool", places, [windows(pooling)]);
                output
            }
            Operation::Mean(pooling) => {
                let output = self.buffers.take(to.len());
                let places = [Argument::Read(input), Argument::Write(output)];
                let windows_of = pooling.windows();
                let is_large = windows_of.size[0].saturating_mul(windows_of.size[1]) > 64;
                let kernel = if is_large { "mean_pool_large" } else { "mean_pool" };
                let counts = Argument::Number(Value::Flag(windows_of.count_padding));
                self.call(kernel, places, [counts, windows(pooling)]);
                output
            }
            Operation::Dense => {
                let output = self.buffers.take(to.len());
                let constants = [self.array(step, "weight"), self.array(step, "bias")];
                let input = [Argument::ReadAll(input)].into_iter().chain(constants);
                self.call("dense", input, [Argument::WriteAll(output)]);
                self.multiply_adds += from.len() * to.len();
                output
            }
            Operation::BatchNorm { epsilon } => {
                let place = self.own(input, kept);
                let channels = step.input.dims()[0];
                let plane = whole(from.len() / channels);
                // As the layer folds them.
                let scale = numbers(step, "weight").iter().zip(numbers(step, "running_var"));
                let epsilon = single(*epsilon);
                let scale =
                    scale.map(|(weight, variance)| weight * (1.0 / (variance + epsilon).sqrt()));
                let (mean, shift) = (numbers(step, "running_mean"), numbers(step, "bias"));
                let constants = [
                    self.constant(&step.place, "mean", mean.to_vec()),
                    self.constant(&step.place, "scale", scale.collect()),
                    self.constant(&step.place, "shift", shift.to_vec()),
                ];
                self.call("batch_norm", [Argument::WriteAll(place), plane], constants);
                place
            }
            Operation::GroupNorm { groups, epsilon } => {
                let place = self.own(input, kept);
                let constants = [self.array(step, "weight"), self.array(step, "bias")];
                let epsilon = setting("epsilon", Value::Real(single(*epsilon)));
                let counts = [("groups", *groups), ("channels", step.input.dims()[0])];
                let mut settings = counted(&counts);
                settings.push(epsilon);
                let numbers = [Argument::WriteAll(place)].into_iter().chain(constants);
                self.call("group_norm", numbers, [Argument::Settings("GroupNorm", settings)]);
                place
            }
            Operation::Function(function) => {
                let place = self.own(input, kept);
                let (kernel, number) = kernel(*function);
                let number = number.map(|number| Argument::Number(Value::Real(single(number))));
                self.call(kernel, [Argument::WriteAll(place)], number);
                place
            }
            Operation::Softmax => {
                let place = self.own(input, kept);
                self.call("softmax", [Argument::WriteAll(place)], []);
                place
            }
            Operation::Residual(_) => {
                let output = self.walk(&step.inside, input, true);
                let output = self.own(output, output.buffer == input.buffer);
                self.lines.push(Line::Comment(format!("{}: x + f(x), {to}", step.place)));
                self.call("add", [Argument::WriteAll(output), Argument::Read(input)], []);
                output
            }
        }
    }

    /// The place itself, or a copy of what must stay.
    fn own(&mut self, place: Place, kept: bool) -> Place {
        if !kept {
            return place;
        }
        let copy = self.buffers.take(place.len);
        self.call("copy", [Argument::ReadAll(place), Argument::Write(copy)], []);
        copy
    }

    fn bias(&mut self, step: &Step<'_, f32>, bias: Bias, adds_zero: bool, place: Place) {
        let plane = match bias {
            Bias::None if !adds_zero => return,
            Bias::None => place.len,
            Bias::PerChannel => place.len / step.output.dims()[0],
            Bias::Untied => 1,
        };
        let bias = match bias {
            Bias::None => self.constant(&step.place, "zero", vec![0.0]),
            _ => self.array(step, "bias"),
        };
        self.call("add_bias", [Argument::WriteAll(place), whole(plane)], [bias]);
    }

    fn correlation(&mut self, step: &Step<'_, f32>, layer: &Correlation, input: Place) -> Place {
        let [channels, height, width] = layer.input_shape().axes().unwrap_or_default();
        let [kernels, group_channels, kernel_height, kernel_width] =
            layer.kernels_shape().axes().unwrap_or_default();
        let [_, out_height, out_width] = layer.output_shape().axes().unwrap_or_default();
        let [[top, _], [left, right]] = layer.padding();
        let arithmetic = plan(layer)[0];
        if arithmetic != Arithmetic::Direct {
            let weights = self.array(step, "weight");
            let filter = Filter {
                axes: [channels, height, width],
                output: [kernels, out_height, out_width],
                before: [top, left],
                across: width + left + right,
                is_adjoint: false,
            };
            return self.filtered(&filter, arithmetic, weights, input);
        }
        let output = self.buffers.take(step.output.len());
        let group_kernels = kernels / layer.groups();
        let sums = self.buffers.take(group_kernels);
        let [stride_y, stride_x] = stride(layer);
        let [dilation_y, dilation_x] = layer.dilation();
        let settings = counted(&[
            ("groups", layer.groups()),
            ("channels", group_channels),
            ("kernels", group_kernels),
            ("height", height),
            ("width", width),
            ("kernel_height", kernel_height),
            ("kernel_width", kernel_width),
            ("stride_y", stride_y),
            ("stride_x", stride_x),
            ("dilation_y", dilation_y),
            ("dilation_x", dilation_x),
            ("top", top),
            ("left", left),
            ("out_height", out_height),
            ("out_width", out_width),
        ]);
        let taps = group_channels * kernel_height * kernel_width;
        let groups = numbers(step, "weight").chunks_exact((group_kernels * taps).max(1));
        let by_taps = groups.flat_map(|group| {
            let number = move |tap| (0..group_kernels).map(move |d| group[d * taps + tap]);
            (0..taps).flat_map(number)
        });
        let shape = format!(
            "{} of ({group_channels}, {kernel_height}, {kernel_width}, {group_kernels})",
            layer.groups()
        );
        let weights = self.shaped(&step.place, "weight", shape, by_taps.collect());
        let places = [Argument::Write(output), Argument::Write(sums)];
        let places = [Argument::Read(input), weights].into_iter().chain(places);
        self.call("correlate", places, [Argument::Settings("Correlation", settings)]);
        self.buffers.give_back(sums);
        self.multiply_adds += layer.multiply_adds();
        output
    }

    fn adjoint(&mut self, step: &Step<'_, f32>, layer: &Correlation, input: Place) -> Place {
        let [out_channels, out_height, out_width] = layer.input_shape().axes().unwrap_or_default();
        let [channels, group_channels, kernel_height, kernel_width] =
            layer.kernels_shape().axes().unwrap_or_default();
        let [_, height, width] = layer.output_shape().axes().unwrap_or_default();
        let [[top, _], [left, right]] = layer.padding();
        let weights = self.array(step, "weight");
        let arithmetic = plan(layer)[1];
        if arithmetic != Arithmetic::Direct {
            let around = |pad: usize| 2_usize.saturating_sub(pad);
            let filter = Filter {
                axes: [channels, height, width],
                output: [out_channels, out_height, out_width],
                before: [around(top), around(left)],
                across: width + around(left) + around(right),
                is_adjoint: true,
            };
            return self.filtered(&filter, arithmetic, weights, input);
        }
        let output = self.buffers.take(step.output.len());
        let [stride_y, stride_x] = stride(layer);
        let [dilation_y, dilation_x] = layer.dilation();
        let mut settings = counted(&[
            ("groups", layer.groups()),
            ("channels", channels / layer.groups()),
            ("out_channels", group_channels),
            ("height", height),
            ("width", width),
            ("kernel_height", kernel_height),
            ("kernel_width", kernel_width),
            ("stride_y", stride_y),
            ("stride_x", stride_x),
            ("dilation_y", dilation_y),
            ("dilation_x", dilation_x),
            ("top", top),
            ("left", left),
            ("out_height", out_height),
            ("out_width", out_width),
        ]);
        settings[0].is_length = true;
        debug_assert_eq!(out_channels, group_channels * layer.groups());
        let settings = Argument::Settings("Adjoint", settings);
        let places = [Argument::Read(input), weights];
        self.call("correlate_adjoint", places, [Argument::Write(output), settings]);
        self.multiply_adds += layer.multiply_adds();
        output
    }

    /// Planes with zeros around them, and whether that is a new place.
    fn pad(
        &mut self,
        [channels, height, width]: [usize; 3],
        [top, left]: [usize; 2],
        padded: [usize; 2],
        input: Place,
    ) -> (Place, bool) {
        if padded == [height, width] {
            return (input, false);
        }
        let output = self.buffers.take(channels * padded[0] * padded[1]);
        let mut settings = counted(&[
            ("channels", channels),
            ("height", height),
            ("width", width),
            ("top", top),
            ("left", left),
            ("padded_height", padded[0]),
            ("padded_width", padded[1]),
        ]);
        settings[0].is_length = true;
        let places = [Argument::Read(input), Argument::Write(output)];
        self.call("pad", places, [Argument::Settings("Pad", settings)]);
        (output, true)
    }

    /// A correlation by Winograd's minimal filtering.
    fn filtered(
        &mut self,
        filter: &Filter,
        arithmetic: Arithmetic,
        weights: Argument,
        input: Place,
    ) -> Place {
        let ([channels, height, width], [kernels, out_height, out_width]) =
            (filter.axes, filter.output);
        let [down, across] = [out_height, out_width].map(|len| len.div_ceil(4));
        let is_tiles = arithmetic == Arithmetic::Tiles;
        let padded = [4 * down + 2, if is_tiles { 4 * across + 2 } else { filter.across }];
        let (source, is_new) = self.pad([channels, height, width], filter.before, padded, input);
        let output = self.buffers.take(kernels * out_height * out_width);
        // As many rows of tiles as take no more room than the largest numbers between layers.
        let (of_kernels, of_row) = (36 * kernels, 36 * across * (kernels + 1));
        let tile_rows = (self.largest.saturating_sub(of_kernels) / of_row).clamp(1, down);
        let of_columns = 6 * (channels * padded[1] + out_width);
        let work = if is_tiles { of_kernels + tile_rows * of_row } else { of_columns };
        let work = self.buffers.take(work);
        let mut settings = counted(&[
            ("channels", channels),
            ("kernels", kernels),
            ("height", padded[0]),
            ("width", padded[1]),
            ("out_height", out_height),
            ("out_width", out_width),
        ]);
        settings.push(setting("is_adjoint", Value::Flag(filter.is_adjoint)));
        let settings = [Argument::Settings("Filter", settings)];
        let places = [Argument::Write(output), Argument::Write(work)];
        let places = [Argument::Read(source), weights].into_iter().chain(places);
        if is_tiles {
            let rows = [whole(tile_rows)].into_iter().chain(settings);
            self.call("correlate_tiles", places, rows);
        } else {
            self.call("correlate_columns", places, settings);
        }
        self.buffers.give_back(work);
        if is_new {
            self.buffers.give_back(source);
        }
        self.multiply_adds += if is_tiles {
            36 * down * across * channels * kernels
        } else {
            18 * down * out_width * channels * kernels
        };
        output
    }
}

/// A correlation with 3 × 3 kernels and stride 1.
struct Filter {
    axes: [usize; 3],
    output: [usize; 3],
    /// Zero rows above and zero columns to the left.
    before: [usize; 2],
    /// Columns with all zero columns.
    across: usize,
    /// Whether kernels are turned by 180°, and lie channel by channel.
    is_adjoint: bool,
}

/// What is summed for one sample: forward, and backward to the input.
fn plan(layer: &Correlation) -> [Arithmetic; 2] {
    let plan = layer.plan::<f32>(level(), 1);
    [plan.forward.arithmetic, plan.input_gradient.arithmetic]
}

/// The stride, no larger than what makes a difference.
fn stride(layer: &Correlation) -> [usize; 2] {
    let [_, height, width] = layer.input_shape().axes().unwrap_or_default();
    let [_, _, kernel_height, kernel_width] = layer.kernels_shape().axes().unwrap_or_default();
    let [down, across] = layer.padding().map(|around| around[0] + around[1]);
    let along = |axis: usize, len: usize, kernel: usize| {
        let reach = (kernel - 1) * layer.dilation()[axis];
        layer.stride()[axis].min((len - reach).max(1))
    };
    [along(0, height + down, kernel_height), along(1, width + across, kernel_width)]
}

fn windows(pooling: &Pooling) -> Argument {
    let [channels, height, width] = pooling.input_shape().axes().unwrap_or_default();
    let [_, out_height, out_width] = pooling.output_shape().axes().unwrap_or_default();
    let windows = pooling.windows();
    let [[top, bottom], [left, right]] = windows.padding;
    // A window that reaches further than the padding has no more numbers, and there is no second
    // one where the stride is larger than that.
    let [all_rows, all_columns] = [top + height + bottom, left + width + right];
    let mut settings = counted(&[
        ("channels", channels),
        ("height", height),
        ("width", width),
        ("window_height", windows.size[0].min(all_rows)),
        ("window_width", windows.size[1].min(all_columns)),
        ("stride_y", windows.stride[0].min(all_rows)),
        ("stride_x", windows.stride[1].min(all_columns)),
        ("top", top),
        ("bottom", bottom),
        ("left", left),
        ("right", right),
        ("out_height", out_height),
        ("out_width", out_width),
    ]);
    settings[0].is_length = true;
    Argument::Settings("Windows", settings)
}

fn kernel(function: Function) -> (&'static str, Option<f64>) {
    match function {
        Function::Sigmoid => ("sigmoid", None),
        Function::Tanh => ("hyperbolic_tangent", None),
        Function::Relu => ("relu", None),
        Function::LeakyRelu { slope } => ("leaky_relu", Some(slope)),
        Function::Gelu => ("gelu", None),
        Function::Silu => ("silu", None),
        Function::Elu { alpha } => ("elu", Some(alpha)),
        Function::Softplus => ("softplus", None),
        Function::HardSwish => ("hard_swish", None),
    }
}

fn describe(operation: &Operation<'_, f32>) -> &'static str {
    match operation {
        Operation::Correlation(..) => "convolution",
        Operation::Adjoint(..) => "transposed convolution",
        Operation::Max(_) => "largest numbers",
        Operation::Mean(_) => "means",
        Operation::BatchNorm { .. } => "batch normalisation",
        Operation::GroupNorm { .. } => "group normalisation",
        Operation::Dense => "dense",
        Operation::Function(function) => kernel(*function).0,
        Operation::Softmax => "softmax",
        Operation::Same => "the same numbers",
        Operation::Residual(_) => "residual block",
    }
}

fn numbers<'a>(step: &Step<'a, f32>, name: &str) -> &'a [f32] {
    step.array(name).map_or(&[], |array| array.numbers)
}

/// A setting, rounded as layers round it.
#[allow(clippy::cast_possible_truncation)]
fn single(number: f64) -> f32 {
    number as f32
}

fn whole(number: usize) -> Argument {
    Argument::Number(Value::Whole(number))
}

fn setting(name: &'static str, value: Value) -> Setting {
    Setting { name, value, is_length: false }
}

fn counted(counts: &[(&'static str, usize)]) -> Vec<Setting> {
    counts.iter().map(|&(name, count)| setting(name, Value::Whole(count))).collect()
}
