//! Averaged parameters are tested and written with running statistics of their own.

use std::fs;

use layers::network_of;

use crate::common::{mnist, train_small};

const CONFIG: &str = r#"
epochs = 1
batch_size = 40
shard_size = 24
shuffle = true
learning_rate = 0.01
loss = "softmax_cross_entropy"
init = "he"
average = 0.99

[network]
input = [1, 28, 28]
layers = [{ type = "batch_norm2d" }, { type = "flatten" }, { type = "dense", outputs = 10 }]
"#;

#[test]
fn running_statistics_are_those_of_all_training_images() {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("c.toml"), CONFIG).unwrap();
    train_small(here.path(), "--config c.toml --out run");
    let file = fs::read(here.path().join("run/model.safetensors")).unwrap();
    let network = network_of::<f32>(&file).unwrap();
    // A normalisation of the images themselves: after five steps, what was gathered is a good
    // third of the mean.
    let pixels = (0..200).flat_map(|index| mnist().0.image(index)).map(|&p| f64::from(p) / 255.0);
    let mean = pixels.sum::<f64>() / (200.0 * 784.0);
    let found = f64::from(network.buffers()[0]);
    assert!((found - mean).abs() < 1e-6 * mean, "{found}, expected {mean}");
}
