//! A layer of your own: `PReLU` (He et al., 2015), a ReLU that learns its slope.
//!
//! `y = x` where `x > 0`, else `y = a_c · x`, with one learned number `a_c` for each channel `c`.
//! It is checked against finite differences, trained, saved, and read back.
//!
//!     cargo run -p layers --example 04-own-layer

use layers::{
    Context, Dense, Epochs, Init, Inputs, Layer, LayerConfig, LayerSpec, Loss, Network, Optimizer,
    Parameter, Pass, Role, Trainer, TrainerConfig, Workspace, gradient_check, network_of,
    network_of_with, save_weights,
};
use serde::{Deserialize, Serialize};
use tensor::{Element, Shape, ShapeError};

/// The settings as they appear in a file: `{ "type": "prelu", "slope": 0.25 }`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PRelu {
    /// The initial slopes.
    slope: f64,
}

impl LayerConfig for PRelu {
    const TYPE: &'static str = "prelu";

    /// Everything that the layer needs to know about its input is computed here, once.
    fn build<T: Element>(&self, input: Shape) -> Result<Box<dyn Layer<T>>, ShapeError> {
        let Some(&channels) = input.dims().first() else {
            return Err(ShapeError::new("PRelu", "an input with an axis of channels", input));
        };
        Ok(Box::new(PReluLayer { shape: input, channels, slope: self.slope }))
    }
}

/// The mathematics. It holds no numbers: those of one or several samples are lent to it.
#[derive(Debug)]
struct PReluLayer {
    shape: Shape,
    channels: usize,
    slope: f64,
}

impl PReluLayer {
    /// The channel of each number of some samples.
    fn channel_of(&self, place: usize) -> usize {
        place / (self.shape.len() / self.channels) % self.channels
    }
}

impl<T: Element> Layer<T> for PReluLayer {
    fn input_shape(&self) -> Shape {
        self.shape
    }

    fn output_shape(&self) -> Shape {
        self.shape
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::new("weight", self.channels, Role::Constant(self.slope))]
    }

    fn forward(&self, slopes: &[T], input: &[T], output: &mut [T], _: Context<'_, T>) {
        for (place, (y, &x)) in output.iter_mut().zip(input).enumerate() {
            *y = if x > T::ZERO { x } else { slopes[self.channel_of(place)] * x };
        }
    }

    /// With `g = ∂E/∂y`: `∂E/∂a_c` is the sum of `g · x` where `x ≤ 0`; `∂E/∂x` is `g` or `a_c · g`.
    fn backward(
        &self,
        slopes: &[T],
        Pass { input, output_gradient, .. }: Pass<'_, T>,
        slope_gradients: &mut [T],
        mut input_gradient: Option<&mut [T]>,
        _: Context<'_, T>,
    ) {
        slope_gradients.fill(T::ZERO);
        for (place, (&x, &g)) in input.iter().zip(output_gradient).enumerate() {
            let (channel, is_positive) = (self.channel_of(place), x > T::ZERO);
            if !is_positive {
                slope_gradients[channel] += g * x;
            }
            // The first layer of a network is not asked for it.
            if let Some(gradient) = &mut input_gradient {
                gradient[place] = if is_positive { g } else { slopes[channel] * g };
            }
        }
    }

    /// The backward pass does not read the output, so the next layer may overwrite it.
    fn needs_output(&self) -> bool {
        false
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Two samples of two channels with three numbers each.
    let layer = PRelu { slope: 0.25 }.build::<f64>(Shape::from([2, 3]))?;
    let input: Vec<_> = (0..12).map(|at| f64::from(at * 7 % 12) - 5.5).collect();
    let weights: Vec<_> = (0..12).map(|at| f64::from(at * 5 % 12) / 4.0).collect();
    let check = gradient_check(&*layer, &[0.3, -0.2], &input, &weights);
    println!("gradients, from finite differences: {check:?}");
    if !check.is_within(1e-8) {
        return Err("expected the gradients of finite differences".into());
    }

    // |x₁ − x₂| with a single unit, which ReLU cannot represent: the slope must become −1.
    let mut network = Network::<f32>::builder([2])
        .add(Dense::new(1))
        .add(LayerSpec::own(PRelu { slope: 0.25 }))
        .add(Dense::new(1))
        .build()?;
    network.initialize(Init::Xavier, 1);
    let pairs: Vec<f32> = (0..64).flat_map(|at| [at % 8, at / 8]).map(|x| x as f32 / 8.0).collect();
    let distances: Vec<f32> = pairs.chunks(2).map(|pair| (pair[0] - pair[1]).abs()).collect();
    let data = Inputs::numbers(&pairs).with_targets(&distances, 1)?;
    let config = TrainerConfig::new(Loss::mean_squared_error(), Optimizer::momentum(0.9), [64, 64]);
    let mut trainer = Trainer::new(network, config);
    let mut error = f64::INFINITY;
    for epoch in Epochs::new(400, 0.05) {
        error = trainer.epoch(&data, &epoch)?.loss;
    }
    println!("error after 400 steps: {error:.6}");
    let network = trainer.into_network();
    for (parameter, range) in network.named_parameters() {
        println!("{:<8} {:?}", parameter.name, &network.parameters()[range]);
    }
    if error > 1e-4 {
        return Err(format!("no solution found: the error is still {error}").into());
    }

    // A file names the type of the layer; whoever reads it says which Rust type has that name.
    let file = save_weights(&network, &[])?;
    let error = network_of::<f32>(&file).expect_err("nobody knows of PRelu there");
    println!("without the type: {error}");
    let loaded = network_of_with::<f32, PRelu>(&file)?;
    let mut workspaces = [&network, &loaded].map(|network| Workspace::new(network, 1));
    let [a, b] = &mut workspaces;
    let (before, after) = (network.predict(&[0.9, 0.2], a), loaded.predict(&[0.9, 0.2], b));
    println!("|0.9 − 0.2|: {before:?}, and after a file {after:?}");
    if before == after { Ok(()) } else { Err("expected the same numbers".into()) }
}
