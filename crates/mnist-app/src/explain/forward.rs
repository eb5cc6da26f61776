//! How an output of each kind of layer comes about.

use layers::LayerSpec;
use tensor::Element;

use super::calculation::{Calculation, Grid, Named, Product, Step, Sum};
use super::scene::{Scene, name, sum_of_planes};
use super::taps::{self, split};

/// The layer's formula, as in the documentation of the layer.
pub(super) fn formula(spec: &LayerSpec) -> &'static str {
    match spec {
        LayerSpec::Conv2d(_) => "Y_d = B_d + Σ_c X_c ⋆ K_dc",
        LayerSpec::ConvTranspose2d(_) => "Y_d = B_d + Σ_c X_c * K_cd (full convolution)",
        LayerSpec::MaxPool2d(_) => "Y_c[y,x] = the largest number of a window of X_c",
        LayerSpec::AvgPool2d(_) => "Y_c[y,x] = the mean of a window of X_c",
        LayerSpec::GlobalAvgPool2d(_) => "Y[c] = the mean of X_c",
        LayerSpec::BatchNorm2d(_) => "Y_c = γ_c (X_c − μ_c) / √(σ²_c + ε) + β_c",
        LayerSpec::GroupNorm(_) | LayerSpec::LayerNorm(_) => {
            "Y_c = γ_c (X_c − μ) / √(σ² + ε) + β_c, μ and σ² of the group"
        }
        LayerSpec::Dense(_) => "Y = W X + B",
        LayerSpec::Sigmoid(_) => "y = 1 / (1 + exp −x)",
        LayerSpec::Tanh(_) => "y = tanh x",
        LayerSpec::Relu(_) => "y = max(x, 0)",
        LayerSpec::LeakyRelu(_) => "y = x where x > 0, else slope · x",
        LayerSpec::Gelu(_) => "y = x Φ(x), Φ the normal distribution",
        LayerSpec::Silu(_) => "y = x / (1 + exp −x)",
        LayerSpec::Elu(_) => "y = x where x > 0, else α (exp x − 1)",
        LayerSpec::Softplus(_) => "y = ln(1 + exp x)",
        LayerSpec::HardSwish(_) => "y = x · min(max(x + 3, 0), 6) / 6",
        LayerSpec::Softmax(_) => "Y[i] = exp X[i] / Σ_j exp X[j]",
        LayerSpec::Dropout(_) => "Y = X: nothing is dropped when the network answers",
        LayerSpec::Flatten(_) | LayerSpec::Reshape(_) => "the same numbers under another shape",
        LayerSpec::Residual(_) => "Y = X + f(X), f the layers inside",
        LayerSpec::Own(_) => "a layer of another crate",
    }
}

/// The step that computes the output that is looked at.
pub(super) fn step<T: Element>(scene: &Scene<'_, T>) -> Step {
    match scene.spec {
        LayerSpec::Conv2d(_) => convolution(scene),
        LayerSpec::ConvTranspose2d(_) => transposed(scene),
        LayerSpec::MaxPool2d(_) => maximum(scene),
        LayerSpec::AvgPool2d(_) | LayerSpec::GlobalAvgPool2d(_) => average(scene),
        LayerSpec::BatchNorm2d(_) => normalised(scene, statistics_kept(scene)),
        LayerSpec::GroupNorm(_) | LayerSpec::LayerNorm(_) => {
            normalised(scene, statistics_of_group(scene))
        }
        LayerSpec::Dense(_) => dense(scene),
        LayerSpec::Softmax(_) => softmax(scene),
        LayerSpec::Residual(_) => residual(scene),
        LayerSpec::Own(_) => scene.forward("as its crate says", scene.output_of(vec![])),
        spec => {
            let x = scene.x(scene.at);
            let formula = match spec {
                LayerSpec::Dropout(_) | LayerSpec::Flatten(_) | LayerSpec::Reshape(_) => {
                    format!("{} = {}", scene.y(scene.at).name, x.name)
                }
                _ => {
                    let function = formula(spec).trim_start_matches("y = ");
                    format!("{function}; x = {}", x.name)
                }
            };
            scene.forward(formula, scene.output_of(vec![x]))
        }
    }
}

/// The bias of the output that is looked at, if the layer has one.
fn bias<T: Element>(scene: &Scene<'_, T>) -> Option<Named> {
    let (_, shape) = scene.array("bias")?;
    let place = bias_place(scene);
    Some(Named::new(name("B", shape, place), scene.parameters("bias")[place].to_f64()))
}

/// Its place in the array: one for each output, or for each of the first axis.
pub(super) fn bias_place<T: Element>(scene: &Scene<'_, T>) -> usize {
    let biases = scene.parameters("bias").len();
    scene.at * biases / scene.output_shape().len()
}

fn convolution<T: Element>(scene: &Scene<'_, T>) -> Step {
    let Some(geometry) = scene.run.layer().correlation() else { unreachable!("a convolution") };
    let at @ [d, y, x] = split(scene.at, scene.output_shape().axes().unwrap_or_default());
    let kernels = geometry.kernels_shape();
    let sum = sum_of_planes(
        &taps::forward(geometry, at),
        (scene.input, scene.parameters("weight")),
        |c| [format!("X_{c} under the kernel"), kernel_name(d, c)],
        "channel",
        |from, to| [scene.x(from).name, weight_name(kernels.axes().unwrap_or_default(), to)],
    );
    let bias = bias(scene);
    let offset = bias.as_ref().map_or(String::new(), |bias| format!("{} + ", bias.name));
    let ([sh, sw], [dh, dw]) = (geometry.stride(), geometry.dilation());
    let [[top, _], [left, _]] = geometry.padding();
    let row = index(y, sh, "ky", dh, top);
    let column = index(x, sw, "kx", dw, left);
    let formula = format!("{offset}Σ_c Σ_ky Σ_kx X_c[{row}, {column}] · K_{d},c[ky,kx]");
    scene.forward(formula, Calculation::Sum(sum.plus(bias)))
}

/// `K_2,0`: the kernel for output plane 2 and input channel 0.
pub(super) fn kernel_name(d: usize, c: usize) -> String {
    format!("K_{d},{c}")
}

/// `K_2,0[1,1]`, from a place in the array of kernels.
pub(super) fn weight_name(axes: [usize; 4], place: usize) -> String {
    let [d, c, ky, kx] = split(place, axes);
    format!("K_{d},{c}[{ky},{kx}]")
}

/// A row or column of the input, as a formula: `5+ky`, `2·5+3·ky−1`.
fn index(at: usize, stride: usize, tap: &str, dilation: usize, padding: usize) -> String {
    let start = at * stride;
    let tap = if dilation == 1 { tap.to_owned() } else { format!("{dilation}{tap}") };
    if padding == 0 { format!("{start}+{tap}") } else { format!("{start}+{tap}−{padding}") }
}

fn transposed<T: Element>(scene: &Scene<'_, T>) -> Step {
    let Some(geometry) = scene.run.layer().adjoint_of() else { unreachable!("transposed") };
    let at @ [d, _, _] = split(scene.at, scene.output_shape().axes().unwrap_or_default());
    let kernels = geometry.kernels_shape();
    let sum = sum_of_planes(
        &taps::adjoint(geometry, at),
        (scene.input, scene.parameters("weight")),
        |c| [format!("X_{c} that reaches it"), format!("rot180 {}", kernel_name(c, d))],
        "channel",
        |from, to| [scene.x(from).name, weight_name(kernels.axes().unwrap_or_default(), to)],
    );
    let bias = bias(scene);
    let offset = bias.as_ref().map_or(String::new(), |bias| format!("{} + ", bias.name));
    let formula = format!("{offset}Σ_c (X_c * K_c,{d}) here");
    scene.forward(formula, Calculation::Sum(sum.plus(bias)))
}

fn maximum<T: Element>(scene: &Scene<'_, T>) -> Step {
    let Some(pooling) = scene.run.layer().pooling() else { unreachable!("a pooling") };
    let place = split(scene.at, scene.output_shape().axes().unwrap_or_default());
    let (taps, _) = taps::window(pooling, place);
    let (grid, at) = window_of(scene, &taps);
    let formula = "the largest number of the window".to_owned();
    scene.forward(formula, Calculation::Largest { grid, at })
}

/// A window of the input, and where its first maximum is.
pub(super) fn window_of<T: Element>(scene: &Scene<'_, T>, taps: &taps::Taps) -> (Grid, usize) {
    let number = |at: Option<usize>| at.map_or(0.0, |at| scene.input[at].to_f64());
    let values: Vec<_> = taps.pairs.iter().map(|&(at, _)| number(at)).collect();
    let outside: Vec<_> = taps.pairs.iter().map(|(at, _)| at.is_none()).collect();
    let inside = values.iter().zip(&outside).enumerate().filter(|(_, (_, outside))| !**outside);
    let at = super::scene::largest(inside.map(|(place, (&x, _))| (place, x))).unwrap_or(0);
    (Grid { name: format!("X_{}", taps.plane), columns: taps.columns, values, outside }, at)
}

fn average<T: Element>(scene: &Scene<'_, T>) -> Step {
    let Some(pooling) = scene.run.layer().pooling() else { unreachable!("a pooling") };
    let place = split(scene.at, pooling.output_shape().axes().unwrap_or_default());
    let (taps, counted) = taps::window(pooling, place);
    let share = T::from_f64(1.0 / counted as f64);
    let shares = vec![share; taps.pairs.len()];
    let part = format!("1/{counted}");
    let sum = sum_of_planes(
        &[taps],
        (scene.input, &shares),
        |c| [format!("X_{c} in the window"), part.clone()],
        "channel",
        |from, _| [scene.x(from).name, part.clone()],
    );
    scene.forward(format!("the mean of {counted} numbers"), Calculation::Sum(sum))
}

fn dense<T: Element>(scene: &Scene<'_, T>) -> Step {
    let (o, inputs) = (scene.at, scene.input.len());
    let weights = &scene.parameters("weight")[o * inputs..][..inputs];
    let products = weights.iter().enumerate().map(|(i, weight)| Product {
        left: Named::new(format!("W[{o},{i}]"), weight.to_f64()),
        right: scene.x(i),
    });
    let sum = Sum::of_largest(products.collect());
    let formula = format!("B[{o}] + Σ_i W[{o},i] · X[i]");
    scene.forward(formula, Calculation::Sum(sum.plus(bias(scene))))
}

/// What a normalisation subtracts and divides by.
pub(super) struct Statistics {
    pub(super) mean: f64,
    pub(super) variance: f64,
    pub(super) epsilon: f64,
    /// The numbers that they are measured over, if they are.
    pub(super) group: Option<std::ops::Range<usize>>,
}

impl Statistics {
    /// `1 / √(σ² + ε)`.
    pub(super) fn inverse(&self) -> f64 {
        1.0 / (self.variance + self.epsilon).sqrt()
    }
}

/// A number among the layer's settings.
pub(super) fn setting(spec: &LayerSpec, key: &str) -> Option<f64> {
    serde_json::to_value(spec).ok()?.get(key)?.as_f64()
}

/// The channel of a place, an index of the first axis.
pub(super) fn channel<T: Element>(scene: &Scene<'_, T>, place: usize) -> usize {
    let shape = scene.input_shape();
    place * shape.dims()[0] / shape.len()
}

/// The running statistics of the channel.
pub(super) fn statistics_kept<T: Element>(scene: &Scene<'_, T>) -> Statistics {
    let (mean, variance) = scene.run.buffers.split_at(scene.run.buffers.len() / 2);
    let c = channel(scene, scene.at);
    let epsilon = setting(scene.spec, "epsilon").unwrap_or(0.0);
    Statistics { mean: mean[c].to_f64(), variance: variance[c].to_f64(), epsilon, group: None }
}

/// The statistics of the group, measured in `f64`.
pub(super) fn statistics_of_group<T: Element>(scene: &Scene<'_, T>) -> Statistics {
    let groups = serde_json::to_value(scene.spec).ok();
    let groups = groups.and_then(|settings| settings.get("groups")?.as_u64());
    let groups = groups.and_then(|groups| usize::try_from(groups).ok()).unwrap_or(1);
    let len = scene.input.len() / groups;
    let group = scene.at / len * len..(scene.at / len + 1) * len;
    let numbers = || scene.input[group.clone()].iter().map(|x| x.to_f64());
    let mean = numbers().sum::<f64>() / len as f64;
    let variance = numbers().map(|x| (x - mean) * (x - mean)).sum::<f64>() / len as f64;
    let epsilon = setting(scene.spec, "epsilon").unwrap_or(0.0);
    Statistics { mean, variance, epsilon, group: Some(group) }
}

fn normalised<T: Element>(scene: &Scene<'_, T>, statistics: Statistics) -> Step {
    let c = channel(scene, scene.at);
    let of = if statistics.group.is_some() { String::new() } else { format!("_{c}") };
    let numbers = vec![
        scene.x(scene.at),
        Named::new(format!("γ_{c}"), scene.parameters("weight")[c].to_f64()),
        Named::new(format!("μ{of}"), statistics.mean),
        Named::new(format!("σ²{of}"), statistics.variance),
        Named::new("ε", statistics.epsilon),
        Named::new(format!("β_{c}"), scene.parameters("bias")[c].to_f64()),
    ];
    let x = &numbers[0].name;
    let formula = format!("γ_{c} ({x} − μ{of}) / √(σ²{of} + ε) + β_{c}");
    scene.forward(formula, scene.output_of(numbers))
}

fn softmax<T: Element>(scene: &Scene<'_, T>) -> Step {
    let x = scene.x(scene.at);
    let largest = scene.input.iter().map(|x| x.to_f64()).fold(f64::NEG_INFINITY, f64::max);
    let sum = scene.input.iter().map(|x| libm::exp(x.to_f64() - largest)).sum();
    let formula = format!("exp({} − m) / Σ_j exp(X[j] − m), m the largest X", x.name);
    let numbers = vec![x, Named::new("m", largest), Named::new("Σ_j exp(X[j] − m)", sum)];
    scene.forward(formula, scene.output_of(numbers))
}

fn residual<T: Element>(scene: &Scene<'_, T>) -> Step {
    let x = scene.x(scene.at);
    let through = scene.through.map_or(0.0, |[output, _]| output[scene.at].to_f64());
    let inside = Named::new(name("f(X)", scene.output_shape(), scene.at), through);
    let formula = format!("{} + {}", x.name, inside.name);
    let sum = Sum::default().plus(Some(x)).plus(Some(inside));
    scene.forward(formula, Calculation::Sum(sum))
}
