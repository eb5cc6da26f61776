//! Every kind of layer, each in a small network that learns for a few steps.
//!
//! Look here for how a layer is written and what it does to a shape. Each network ends in a dense
//! layer with three outputs and is trained with several batches: a single sample, all samples
//! together, and shards that threads share. The output is the same on every machine, in debug and
//! in release builds: `cargo xtask ci` compares the two.
//!
//!     cargo run -p layers --example 06-every-layer

use layers::{
    AvgPool2d, BatchNorm2d, Bias, Conv2d, ConvTranspose2d, Dataset, Dense, Dropout, Elu, Flatten,
    Gelu, GlobalAvgPool2d, GroupNorm, HardSwish, Init, LayerNorm, LayerSpec, LeakyRelu, Loss,
    MaxPool2d, NetworkSpec, Optimizer, Padding, Relu, Reshape, Residual, Sigmoid, Silu, Softmax,
    Softplus, Tanh, Trainer, TrainerConfig,
};
use tensor::Element;

type Error = Box<dyn std::error::Error>;

/// The shape of a sample, and the layers before the dense one.
pub type Example = (&'static [usize], Vec<LayerSpec>);

/// The networks, each with a layer in an interesting variant.
pub fn examples() -> Vec<Example> {
    let small: &[usize] = &[2, 9, 7];
    vec![
        // The README's: rows of 26 numbers, which are not a whole number of vectors.
        (&[1, 28, 28], vec![Conv2d::new(6, 3).bias(Bias::Untied).into(), Sigmoid.into()]),
        (&[1, 28, 28], vec![Conv2d::new(8, 5).into(), Relu.into(), MaxPool2d::new(2).into()]),
        // Padding, stride and groups; small planes of many channels.
        (small, vec![Conv2d::new(4, 3).padding(Padding::Same).stride(2).groups(2).into()]),
        (small, vec![Conv2d::new(5, 3).rectangle(2, 4).padding(Padding::Zeros(1, 2)).into()]),
        // Dilated kernels; more padding below than above.
        (
            small,
            vec![Conv2d::new(4, 3).dilation([3, 2]).stride([1, 2]).into(), Elu::default().into()],
        ),
        (small, vec![Conv2d::new(3, 2).padding(Padding::Around([0, 2], [1, 3])).into()]),
        // Twice as many rows and columns.
        (small, vec![ConvTranspose2d::new(3, 3).stride(2).padding(Padding::Zeros(1, 1)).into()]),
        (&[16, 5, 5], vec![Conv2d::new(20, 5).bias(Bias::None).into()]),
        // 3 × 3 kernels, computed by columns and by tiles.
        (&[4, 12, 12], vec![Conv2d::new(8, 3).into(), Silu.into()]),
        (&[16, 12, 12], vec![Conv2d::new(16, 3).into(), Relu.into(), GlobalAvgPool2d.into()]),
        (&[16, 12, 12], vec![Conv2d::new(20, 3).padding(Padding::Same).into(), Relu.into()]),
        (small, vec![MaxPool2d::new(3).stride(2).into()]),
        (small, vec![AvgPool2d::new(2).rectangle(3, 2).into()]),
        // Windows that reach over the edges; a mean that does not count the padding.
        (small, vec![MaxPool2d::new(3).padding(Padding::Zeros(1, 1)).ceil_mode(true).into()]),
        (small, vec![AvgPool2d::new(2).padding(Padding::Same).count_include_pad(false).into()]),
        (small, vec![GroupNorm::new(2).into(), Softplus.into()]),
        (small, vec![LayerNorm::new().into(), HardSwish.into()]),
        (small, vec![BatchNorm2d::new().into(), Relu.into(), GlobalAvgPool2d.into()]),
        (small, vec![Reshape::to([2, 63]).into(), Reshape::flat().into(), Dense::new(35).into()]),
        (small, vec![Flatten.into(), Dense::new(19).into(), Tanh.into()]),
        (small, vec![Flatten.into(), Dense::new(8).into(), LeakyRelu::new(0.1).into()]),
        (small, vec![Gelu.into(), Dropout::new(0.1).into()]),
        (small, vec![Flatten.into(), Dense::new(6).initial_bias(0.1).into(), Softmax.into()]),
        (small, vec![Residual::new().add(Conv2d::new(2, 3).padding(Padding::Same)).into()]),
    ]
}

/// Samples of three classes, which differ in the frequency of their waves.
struct Waves {
    samples: usize,
}

impl<T: Element> Dataset<T> for Waves {
    fn len(&self) -> usize {
        self.samples
    }

    fn write(&self, index: usize, input: &mut [T], target: &mut [T]) {
        let class = index % 3;
        for (at, x) in input.iter_mut().enumerate() {
            let height = ((at + index) * (class + 1)) % 7;
            *x = T::from_f64(height as f64 / 7.0 - 0.4);
        }
        target.fill(T::ZERO);
        target[class] = T::ONE;
    }
}

/// Batch size, shard size and steps.
const BATCHES: [[usize; 3]; 4] = [[1, 1, 3], [18, 18, 2], [7, 2, 2], [4, 4, 4]];

/// Trains a network; returns its losses before and after, and the digest of its weights.
fn train<T: Element>((input, layers): &Example) -> Result<(f64, f64, String), Error> {
    let ends = [Flatten.into(), Dense::new(3).into()];
    let layers = layers.iter().cloned().chain(ends).collect();
    let mut network = NetworkSpec { input: input.to_vec(), layers }.build::<T>()?;
    network.initialize(Init::He, 3);
    let (mut before, mut after) = (f64::NAN, f64::NAN);
    for [batch_size, shard_size, steps] in BATCHES {
        let sizes = [batch_size, shard_size];
        let config =
            TrainerConfig::new(Loss::softmax_cross_entropy(), Optimizer::momentum(0.5), sizes);
        let mut trainer = Trainer::new(network, config);
        for step in 0..steps {
            let losses = trainer.step(&Waves { samples: batch_size }, 0.02)?.losses;
            let mean = losses.iter().sum::<f64>() / losses.len() as f64;
            if step == 0 {
                before = mean;
            }
            after = mean;
        }
        network = trainer.into_network();
        predict(&network, batch_size)?;
    }
    Ok((before, after, network.digest()))
}

/// Predicts some samples and checks the outputs.
fn predict<T: Element>(network: &layers::Network<T>, samples: usize) -> Result<(), Error> {
    let loss = Loss::softmax_cross_entropy();
    let outputs = network.evaluate(&Waves { samples }, &loss).outputs;
    if outputs.len() != samples * 3 || !outputs.iter().all(|output| output.is_finite()) {
        return Err(format!("expected {} finite outputs, found {outputs:?}", samples * 3).into());
    }
    Ok(())
}

fn show<T: Element>(example: &Example) -> Result<(), Error> {
    let (before, after, digest) = train::<T>(example)?;
    println!("  {} loss {before:.4} to {after:.4}, weights {}", T::NAME, &digest[..16]);
    if after < before { Ok(()) } else { Err("expected a loss that falls".into()) }
}

fn main() -> Result<(), Error> {
    let mut met = Vec::new();
    for example in examples() {
        let (input, layers) = &example;
        let names: Vec<_> = layers.iter().map(LayerSpec::summary).collect();
        println!("{input:?} {}", names.join("; "));
        met.extend(layers.iter().map(LayerSpec::type_name));
        show::<f32>(&example)?;
        show::<f64>(&example)?;
    }
    match LayerSpec::TYPES.iter().find(|name| !met.contains(name)) {
        Some(missing) => Err(format!("no example of the layer type {missing}").into()),
        None => Ok(()),
    }
}
