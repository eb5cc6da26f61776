//! How the gradients of each kind of layer come about.

use layers::LayerSpec;
use tensor::Element;

use super::calculation::{Calculation, Named, Product, Step, Sum};
use super::forward::{
    bias_place, channel, kernel_name, statistics_kept, statistics_of_group, weight_name, window_of,
};
use super::scene::{Scene, name, sum_of_planes};
use super::taps::{self, split};

/// The formulas of the layer's gradients.
pub(super) fn formulas(spec: &LayerSpec) -> &'static [&'static str] {
    match spec {
        LayerSpec::Conv2d(_) => &[
            "∂E/∂K_dc = X_c ⋆ ∂E/∂Y_d",
            "∂E/∂B_d = ∂E/∂Y_d, or its sum where one bias is added to a whole plane",
            "∂E/∂X_c = Σ_d ∂E/∂Y_d * K_dc (full convolution)",
        ],
        LayerSpec::ConvTranspose2d(_) => &[
            "∂E/∂K_cd = ∂E/∂Y_d ⋆ X_c",
            "∂E/∂B_d = ∂E/∂Y_d, or its sum where one bias is added to a whole plane",
            "∂E/∂X_c = Σ_d ∂E/∂Y_d ⋆ K_cd",
        ],
        LayerSpec::MaxPool2d(_) => &["∂E/∂Y goes to where the largest number was"],
        LayerSpec::AvgPool2d(_) | LayerSpec::GlobalAvgPool2d(_) => {
            &["∂E/∂Y is shared out evenly over the window"]
        }
        LayerSpec::BatchNorm2d(_) => &[
            "∂E/∂γ_c = Σ ∂E/∂Y_c · (X_c − μ_c) / √(σ²_c + ε)",
            "∂E/∂β_c = Σ ∂E/∂Y_c",
            "∂E/∂X_c = ∂E/∂Y_c · γ_c / √(σ²_c + ε), as μ and σ² are constants here",
        ],
        LayerSpec::GroupNorm(_) | LayerSpec::LayerNorm(_) => &[
            "∂E/∂γ_c = Σ ∂E/∂Y_c · X̂_c, with X̂ = (X − μ) / √(σ² + ε)",
            "∂E/∂β_c = Σ ∂E/∂Y_c",
            "∂E/∂X = (g − mean g − X̂ · mean(g X̂)) / √(σ² + ε), with g = γ ∂E/∂Y",
        ],
        LayerSpec::Dense(_) => {
            &["∂E/∂W[o,i] = ∂E/∂Y[o] · X[i]", "∂E/∂B = ∂E/∂Y", "∂E/∂X = Wᵀ ∂E/∂Y"]
        }
        LayerSpec::Sigmoid(_) => &["∂E/∂x = ∂E/∂y · y (1 − y)"],
        LayerSpec::Tanh(_) => &["∂E/∂x = ∂E/∂y · (1 − y²)"],
        LayerSpec::Relu(_) => &["∂E/∂x = ∂E/∂y where x > 0, else 0"],
        LayerSpec::LeakyRelu(_) => &["∂E/∂x = ∂E/∂y where x > 0, else slope · ∂E/∂y"],
        LayerSpec::Gelu(_) => &["∂E/∂x = ∂E/∂y · (Φ(x) + x φ(x)), φ the normal density"],
        LayerSpec::Silu(_) => &["∂E/∂x = ∂E/∂y · s (1 + x (1 − s)), s = 1 / (1 + exp −x)"],
        LayerSpec::Elu(_) => &["∂E/∂x = ∂E/∂y where x > 0, else ∂E/∂y · (y + α)"],
        LayerSpec::Softplus(_) => &["∂E/∂x = ∂E/∂y / (1 + exp −x)"],
        LayerSpec::HardSwish(_) => {
            &["∂E/∂x = ∂E/∂y · (x/3 + 1/2) where −3 < x < 3, · 0 below, · 1 above"]
        }
        LayerSpec::Softmax(_) => &["∂E/∂X[i] = Y[i] (∂E/∂Y[i] − Σ_j Y[j] ∂E/∂Y[j])"],
        LayerSpec::Dropout(_) => &["∂E/∂X = ∂E/∂Y"],
        LayerSpec::Flatten(_) | LayerSpec::Reshape(_) => &["∂E/∂X holds the numbers of ∂E/∂Y"],
        LayerSpec::Residual(_) => &["∂E/∂X = ∂E/∂Y + what comes back through f"],
        LayerSpec::Own(_) => &[],
    }
}

/// The steps that compute a gradient of each kind.
pub(super) fn steps<T: Element>(scene: &Scene<'_, T>) -> Vec<Step> {
    match scene.spec {
        LayerSpec::Conv2d(_) => convolution(scene),
        LayerSpec::ConvTranspose2d(_) => transposed(scene),
        LayerSpec::MaxPool2d(_) => vec![maximum(scene)],
        LayerSpec::AvgPool2d(_) | LayerSpec::GlobalAvgPool2d(_) => vec![average(scene)],
        LayerSpec::BatchNorm2d(_) | LayerSpec::GroupNorm(_) | LayerSpec::LayerNorm(_) => {
            normalised(scene)
        }
        LayerSpec::Dense(_) => dense(scene),
        LayerSpec::Softmax(_) => vec![softmax(scene)],
        LayerSpec::Residual(_) => vec![residual(scene)],
        LayerSpec::Own(_) => vec![],
        LayerSpec::Dropout(_) | LayerSpec::Flatten(_) | LayerSpec::Reshape(_) => {
            let g = scene.dy(scene.at);
            let formula = format!("{} = {}", name("∂E/∂X", scene.input_shape(), scene.at), g.name);
            vec![scene.input_step(scene.at, formula, scene.input_gradient_of(vec![g]))]
        }
        _ => vec![activation(scene)],
    }
}

fn convolution<T: Element>(scene: &Scene<'_, T>) -> Vec<Step> {
    let Some(geometry) = scene.run.layer().correlation() else { return vec![] };
    let axes = geometry.kernels_shape().axes().unwrap_or_default();
    let place = split(scene.at, scene.output_shape().axes().unwrap_or_default());
    let under = taps::forward(geometry, place);
    let weight = scene.steepest_parameter(under.iter().flat_map(|t| &t.pairs).map(|pair| pair.1));
    let [d, _, ky, kx] = split(weight, axes);
    let seen = taps::weight(geometry, weight);
    let c = seen.plane;
    let g = &scene.run.output_gradient[..];
    let sum = sum_of_planes(
        &[seen],
        (scene.input, g),
        |_| [format!("X_{c} from {ky},{kx} on"), format!("∂E/∂Y_{d}")],
        "plane",
        |from, to| [scene.x(from).name, scene.dy(to).name],
    );
    let ([sh, sw], [dh, dw]) = (geometry.stride(), geometry.dilation());
    let [[top, _], [left, _]] = geometry.padding();
    let row = index("y", sh, ky * dh, top);
    let column = index("x", sw, kx * dw, left);
    let formula = format!("Σ_y Σ_x X_{c}[{row}, {column}] · ∂E/∂Y_{d}[y,x]");
    let names = ("gradient of a weight", format!("∂E/∂{}", weight_name(axes, weight)));
    let mut steps = vec![scene.parameter_step(names, weight, formula, Calculation::Sum(sum))];
    steps.extend(bias(scene));
    let pixels = under.iter().flat_map(|taps| &taps.pairs).filter_map(|pair| pair.0);
    let Some(pixel) = scene.steepest(pixels) else { return steps };
    let at @ [c, _, _] = split(pixel, scene.input_shape().axes().unwrap_or_default());
    let local = axes[1];
    let sum = sum_of_planes(
        &taps::adjoint(geometry, at),
        (g, scene.parameters("weight")),
        |d| [format!("∂E/∂Y_{d} around"), format!("rot180 {}", kernel_name(d, c % local))],
        "kernel",
        |from, to| [scene.dy(from).name, weight_name(axes, to)],
    );
    let formula = "Σ_d (∂E/∂Y_d * K_dc) here: K turned by 180°".to_owned();
    steps.push(scene.input_step(pixel, formula, Calculation::Sum(sum)));
    steps
}

/// A row or column of the input, as a formula: `y+2`, `2y+2−1`.
fn index(at: &str, stride: usize, tap: usize, padding: usize) -> String {
    let at = if stride == 1 { at.to_owned() } else { format!("{stride}{at}") };
    if padding == 0 { format!("{at}+{tap}") } else { format!("{at}+{tap}−{padding}") }
}

fn transposed<T: Element>(scene: &Scene<'_, T>) -> Vec<Step> {
    let Some(geometry) = scene.run.layer().adjoint_of() else { return vec![] };
    let axes = geometry.kernels_shape().axes().unwrap_or_default();
    let place = split(scene.at, scene.output_shape().axes().unwrap_or_default());
    let reaching = taps::adjoint(geometry, place);
    let pairs = || reaching.iter().flat_map(|taps| &taps.pairs);
    let weight = scene.steepest_parameter(pairs().map(|pair| pair.1));
    let [c, _, ky, kx] = split(weight, axes);
    let seen = taps::weight(geometry, weight);
    let (d, g) = (seen.plane, &scene.run.output_gradient[..]);
    let sum = sum_of_planes(
        &[seen],
        (g, scene.input),
        |_| [format!("∂E/∂Y_{d} from {ky},{kx} on"), format!("X_{c}")],
        "plane",
        |from, to| [scene.dy(from).name, scene.x(to).name],
    );
    let names = ("gradient of a weight", format!("∂E/∂{}", weight_name(axes, weight)));
    let formula = format!("Σ over X_{c} of X_{c} times the ∂E/∂Y_{d} it goes into by this weight");
    let mut steps = vec![scene.parameter_step(names, weight, formula, Calculation::Sum(sum))];
    steps.extend(bias(scene));
    let Some(pixel) = scene.steepest(pairs().filter_map(|pair| pair.0)) else { return steps };
    let at @ [c, _, _] = split(pixel, scene.input_shape().axes().unwrap_or_default());
    let local = axes[1];
    let sum = sum_of_planes(
        &taps::forward(geometry, at),
        (g, scene.parameters("weight")),
        |d| [format!("∂E/∂Y_{d} under the kernel"), kernel_name(c, d % local)],
        "kernel",
        |from, to| [scene.dy(from).name, weight_name(axes, to)],
    );
    steps.push(scene.input_step(pixel, "Σ_d (∂E/∂Y_d ⋆ K_cd) here", Calculation::Sum(sum)));
    steps
}

/// The gradient of the bias of the output that is looked at.
fn bias<T: Element>(scene: &Scene<'_, T>) -> Option<Step> {
    let (range, shape) = scene.array("bias")?;
    let place = bias_place(scene);
    let bias = name("∂E/∂B", shape, place);
    // How many outputs one bias is added to.
    let shared = scene.output_shape().len() / shape.len();
    let title = ("gradient of the bias", bias);
    if shared == 1 {
        let g = scene.dy(scene.at);
        let formula = g.name.clone();
        let same = Calculation::Function { value: Some(g.value), numbers: vec![g] };
        return Some(scene.parameter_step(title, range.start + place, formula, same));
    }
    let sum = plain_sum(scene, place * shared..(place + 1) * shared);
    let formula = format!("Σ_y Σ_x ∂E/∂Y_{place}[y,x]");
    Some(scene.parameter_step(title, range.start + place, formula, Calculation::Sum(sum)))
}

/// The sum of the gradients of these outputs.
fn plain_sum<T: Element>(scene: &Scene<'_, T>, outputs: std::ops::Range<usize>) -> Sum {
    Sum::of_numbers(outputs.map(|place| scene.dy(place)).collect())
}

fn maximum<T: Element>(scene: &Scene<'_, T>) -> Step {
    let Some(pooling) = scene.run.layer().pooling() else { unreachable!("a pooling") };
    let axes = scene.output_shape().axes().unwrap_or_default();
    let (taps, _) = taps::window(pooling, split(scene.at, axes));
    let (grid, at) = window_of(scene, &taps);
    let place = taps.pairs[at].0.unwrap_or(0);
    let pixel = split(place, scene.input_shape().axes().unwrap_or_default());
    // The windows whose first maximum is this input.
    let takes = |output: &[usize; 3]| {
        let (taps, _) = taps::window(pooling, *output);
        let (_, at) = window_of(scene, &taps);
        taps.pairs[at].0 == Some(place)
    };
    let flat = |[c, y, x]: [usize; 3]| (c * axes[1] + y) * axes[2] + x;
    let from = taps::windows_of(pooling, pixel).into_iter().filter(takes);
    let from: Vec<_> = from.map(|output| scene.dy(flat(output))).collect();
    let formula = match from.len() {
        1 => format!("{}: the window's largest number gets it, the others 0", from[0].name),
        _ => "the sum over the windows whose largest number this is".to_owned(),
    };
    scene.input_step(place, formula, Calculation::Routes { grid, at, from })
}

fn average<T: Element>(scene: &Scene<'_, T>) -> Step {
    let Some(pooling) = scene.run.layer().pooling() else { unreachable!("a pooling") };
    let axes = pooling.output_shape().axes().unwrap_or_default();
    let (taps, _) = taps::window(pooling, split(scene.at, axes));
    let inside = taps.pairs.iter().filter_map(|pair| pair.0);
    let pixel = scene.steepest(inside).unwrap_or(0);
    let at = split(pixel, scene.input_shape().axes().unwrap_or_default());
    let products = taps::windows_of(pooling, at).into_iter().map(|output @ [c, y, x]| {
        let (_, counted) = taps::window(pooling, output);
        Product {
            left: scene.dy((c * axes[1] + y) * axes[2] + x),
            right: Named::new(format!("1/{counted}"), T::from_f64(1.0 / counted as f64).to_f64()),
        }
    });
    let sum = Sum::of_largest(products.collect());
    scene.input_step(pixel, "the window's ∂E/∂Y, divided evenly", Calculation::Sum(sum))
}

fn normalised<T: Element>(scene: &Scene<'_, T>) -> Vec<Step> {
    let kept = matches!(scene.spec, LayerSpec::BatchNorm2d(_));
    let statistics = if kept { statistics_kept(scene) } else { statistics_of_group(scene) };
    let (c, inverse) = (channel(scene, scene.at), statistics.inverse());
    let plane = scene.input.len() / scene.input_shape().dims()[0];
    let outputs = c * plane..(c + 1) * plane;
    let standard = |place: usize| (scene.input[place].to_f64() - statistics.mean) * inverse;
    let products = outputs.clone().map(|place| Product {
        left: scene.dy(place),
        right: Named::new(name("X̂", scene.input_shape(), place), standard(place)),
    });
    let sum = Sum::of_largest(products.collect());
    let formula = format!("Σ ∂E/∂Y_{c} · X̂_{c}, with X̂ = (X − μ) / √(σ² + ε)");
    let title = ("gradient of the scale", format!("∂E/∂γ_{c}"));
    let mut steps = vec![scene.parameter_step(title, c, formula, Calculation::Sum(sum))];
    let channels = scene.parameters("weight").len();
    let (title, sum) = (("gradient of the shift", format!("∂E/∂β_{c}")), plain_sum(scene, outputs));
    let formula = format!("Σ ∂E/∂Y_{c}");
    steps.push(scene.parameter_step(title, channels + c, formula, Calculation::Sum(sum)));
    let weight = |c: usize| scene.parameters("weight")[c].to_f64();
    let root = Named::new("1 / √(σ² + ε)", inverse);
    let scale = Named::new(format!("γ_{c}"), weight(c));
    if let Some(group) = &statistics.group {
        let g = |place: usize| {
            scene.run.output_gradient[place].to_f64() * weight(channel(scene, place))
        };
        let mean =
            |term: &dyn Fn(usize) -> f64| group.clone().map(term).sum::<f64>() / group.len() as f64;
        let numbers = vec![
            Named::new(name("g", scene.input_shape(), scene.at), g(scene.at)),
            Named::new("mean g", mean(&g)),
            Named::new(name("X̂", scene.input_shape(), scene.at), standard(scene.at)),
            Named::new("mean(g X̂)", mean(&|place| g(place) * standard(place))),
            root,
        ];
        let formula = "(g − mean g − X̂ · mean(g X̂)) / √(σ² + ε), g = γ ∂E/∂Y".to_owned();
        steps.push(scene.input_step(scene.at, formula, scene.input_gradient_of(numbers)));
    } else {
        let numbers = vec![scene.dy(scene.at), scale, root];
        let formula = format!("{} · γ_{c} / √(σ² + ε)", numbers[0].name);
        steps.push(scene.input_step(scene.at, formula, scene.input_gradient_of(numbers)));
    }
    steps
}

fn dense<T: Element>(scene: &Scene<'_, T>) -> Vec<Step> {
    let (o, inputs) = (scene.at, scene.input.len());
    let weight = scene.steepest_parameter(o * inputs..(o + 1) * inputs);
    let i = weight - o * inputs;
    let title = ("gradient of a weight", format!("∂E/∂W[{o},{i}]"));
    let (g, x) = (scene.dy(o), scene.x(i));
    let formula = format!("{} · {}", g.name, x.name);
    let mut steps =
        vec![scene.parameter_step(title, weight, formula, Calculation::Sum(Sum::of_product(g, x)))];
    steps.extend(bias(scene));
    let reached = scene.steepest(0..inputs).unwrap_or(0);
    let outputs = scene.run.output_gradient.len();
    let products = (0..outputs).map(|o| Product {
        left: Named::new(
            format!("W[{o},{reached}]"),
            scene.parameters("weight")[o * inputs + reached].to_f64(),
        ),
        right: scene.dy(o),
    });
    let sum = Sum::of_largest(products.collect());
    let formula = format!("Σ_o W[o,{reached}] · ∂E/∂Y[o]");
    steps.push(scene.input_step(reached, formula, Calculation::Sum(sum)));
    steps
}

fn activation<T: Element>(scene: &Scene<'_, T>) -> Step {
    let (g, x) = (scene.dy(scene.at), scene.x(scene.at));
    let slope = Named::new(format!("f′({})", x.name), scene.derivative(scene.at));
    let formula = format!("{} · {}", g.name, slope.name);
    scene.input_step(scene.at, formula, Calculation::Sum(Sum::of_product(g, slope)))
}

fn softmax<T: Element>(scene: &Scene<'_, T>) -> Step {
    let (y, g) = (scene.y(scene.at), scene.dy(scene.at));
    let pairs = scene.run.output.iter().zip(scene.run.output_gradient.iter());
    let mean = pairs.map(|(y, g)| y.to_f64() * g.to_f64()).sum();
    let formula = format!("{} · ({} − Σ_j Y[j] ∂E/∂Y[j])", y.name, g.name);
    let numbers = vec![y, g, Named::new("Σ_j Y[j] ∂E/∂Y[j]", mean)];
    scene.input_step(scene.at, formula, scene.input_gradient_of(numbers))
}

fn residual<T: Element>(scene: &Scene<'_, T>) -> Step {
    let g = scene.dy(scene.at);
    let through = scene.through.map_or(0.0, |[_, gradient]| gradient[scene.at].to_f64());
    let inside = Named::new(name("back through f", scene.input_shape(), scene.at), through);
    let formula = format!("{} + {}", g.name, inside.name);
    let sum = Sum::default().plus(Some(g)).plus(Some(inside));
    scene.input_step(scene.at, formula, Calculation::Sum(sum))
}
