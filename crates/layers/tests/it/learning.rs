//! A small network with pooling learns, by Adam on the softmax cross-entropy.

use layers::random::{Purpose, Stream};
use layers::{
    Conv2d, Dataset, Dense, Flatten, Init, Loss, MaxPool2d, Network, Optimizer, Relu, Trainer,
    TrainerConfig,
};

/// Images of 9×11 with a bright row (class 0) or column (class 1) on noise.
struct Stripes {
    seed: u64,
}

impl Dataset<f32> for Stripes {
    fn len(&self) -> usize {
        50
    }

    fn write(&self, index: usize, image: &mut [f32], target: &mut [f32]) {
        let mut stream = Stream::new(self.seed, Purpose::Shuffle, index as u64);
        image.fill_with(|| stream.uniform() as f32);
        let class = stream.below(2);
        let line = stream.below(9);
        for at in 0..9 {
            image[if class == 0 { line * 11 + at } else { at * 11 + line }] += 0.7;
        }
        target.copy_from_slice(&[f32::from(class == 0), f32::from(class == 1)]);
    }
}

fn trainer() -> Trainer<f32> {
    let mut network = Network::builder([1, 9, 11])
        .add(Conv2d::new(4, 3))
        .add(Relu)
        .add(MaxPool2d::new(2))
        .add(Flatten)
        .add(Dense::new(2))
        .build()
        .expect("the layers fit");
    network.initialize(Init::He, 1);
    let config = TrainerConfig::new(Loss::softmax_cross_entropy(), Optimizer::adam(), [50, 8]);
    Trainer::new(network, config)
}

#[test]
fn it_learns_to_tell_rows_from_columns() {
    let mut trainer = trainer();
    let mut correct = 0;
    for step in 0..120 {
        let report = trainer.step(&Stripes { seed: step }, 0.01).expect("finite losses");
        correct += if step < 110 { 0 } else { report.correct };
    }
    assert!(correct >= 450, "{correct} of 500 right in the last ten steps");
}
