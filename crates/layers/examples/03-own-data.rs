//! A convolutional network for your own data, from arrays in memory.
//!
//! `drawings` stands for the code that reads your files: it returns the pixels of all images, one
//! image after another, one byte each, and the class of each image, counted from 0. Everything else
//! is `main`. For images of several channels, all pixels of the first channel come before those of
//! the second.
//!
//!     cargo run --release -p layers --example 03-own-data

use layers::random::{Purpose, Stream};
use layers::{
    Conv2d, Dense, Epochs, Flatten, Init, Inputs, Loss, MaxPool2d, Network, Optimizer, Relu,
    Trainer, TrainerConfig, save_weights,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [(pixels, labels), (new_pixels, new_labels)] = [drawings(900, 1), drawings(300, 2)];
    let data = Inputs::bytes(&pixels).with_classes(&labels, 3)?;
    let mut network = Network::<f32>::builder([1, SIDE, SIDE])
        .add(Conv2d::new(8, 3))
        .add(Relu)
        .add(MaxPool2d::new(2))
        .add(Flatten)
        .add(Dense::new(3))
        .build()?;
    network.initialize(Init::He, 1);
    // Steps of 30 images, in shards of 10 that each go through the network on one thread.
    let config = TrainerConfig::new(Loss::softmax_cross_entropy(), Optimizer::adam(), [30, 10]);
    let mut trainer = Trainer::new(network, config);
    for epoch in Epochs::new(5, 0.005) {
        println!("{}", trainer.epoch(&data, &epoch)?);
    }
    let new_data = Inputs::bytes(&new_pixels).with_classes(&new_labels, 3)?;
    let evaluation = trainer.network().evaluate(&new_data, &trainer.config().loss);
    println!("of 300 new images {} right", evaluation.correct);
    let file = std::env::temp_dir().join("drawings.safetensors");
    std::fs::write(&file, save_weights(trainer.network(), &[])?)?;
    println!("weights: {}", file.display());
    Ok(())
}

/// The height and width of an image.
const SIDE: usize = 16;

/// Noisy images, each with a ring (class 0), a cross (1) or a square (2) at a random place.
fn drawings(count: usize, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let mut stream = Stream::new(seed, Purpose::Initialization, 0);
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let class = stream.below(3);
        let [x0, y0] = [(); 2].map(|()| 5.0 + 6.0 * stream.uniform());
        for place in 0..SIDE * SIDE {
            let x = ((place % SIDE) as f64 - x0).abs();
            let y = ((place / SIDE) as f64 - y0).abs();
            let from_line = match class {
                0 => (x.hypot(y) - 4.0).abs(),
                1 => x.min(y) + (x.max(y) - 4.0).max(0.0),
                _ => (x.max(y) - 4.0).abs(),
            };
            let ink = (1.5 - from_line).clamp(0.0, 1.0);
            pixels.push((150.0 * ink + 100.0 * stream.uniform()) as u8);
        }
        labels.push(class as u8);
    }
    (pixels, labels)
}
