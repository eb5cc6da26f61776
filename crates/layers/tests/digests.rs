//! The same bits everywhere: small networks end their training with the same digest of
//! all parameters on every SIMD level and any number of threads, and with the one that
//! is written here, whatever the processor.
//!
//! One test function: the level is a property of the process.

use layers::random::{Purpose, Stream};
use layers::{
    BatchNorm2d, Bias, Conv2d, Dataset, Dense, Dropout, Flatten, Init, Loss, MaxPool2d, Network,
    NetworkBuilder, Optimizer, Padding, Relu, Reshape, Sigmoid, Tanh, Trainer, TrainerConfig,
};
use tensor::simd::{Level, set_level};

// What each training must end with. A change of the arithmetic changes these and the
// digests in the README; nothing else may.
const ONE_BY_ONE: &str = "28d41b1b45d9b4b8a8930b97584681dc00ab10e909b0c3482e515ca963614410";
const NOTEBOOK_WHOLE: &str = "8be78c34bdaba91a8a262ecd3126ba0049f8f6e21bd21fee01a7cc29c237a6a3";
const NOTEBOOK_SHARDS: &str = "126cfe36e195645d9f9925867cc4a176c55cd1caac7fadf71c3b1313986d877a";
const LENET_WHOLE: &str = "6257cc62c434ed5b06ab65cccdd06d715ab18022f81abb405ab957523c1dcd58";
const LENET_SHARDS: &str = "ef905a7453b259d7e160eedfb7a54fe3f49e21775ac883e9eb8fc7b665b856dd";
const FILTERED_WHOLE: &str = "d235accb904576a2a6dc8adc951080cc6177989d8125ccfcbb555018282eb63f";
const FILTERED_SHARDS: &str = "2c6202abad2abd9eb5836f494bca8e4207690619dcf6f886c25b9a4ee034fb15";

/// Ten classes, each of them a bright square at its place on noise.
struct Squares {
    step: u64,
    side: usize,
    len: usize,
}

impl Dataset<f32> for Squares {
    fn len(&self) -> usize {
        self.len
    }

    fn write(&self, index: usize, image: &mut [f32], target: &mut [f32]) {
        let side = self.side;
        let mut stream = Stream::new(5, Purpose::Shuffle, 1000 * self.step + index as u64);
        image.fill_with(|| stream.uniform() as f32 * 0.5);
        let class = stream.below(10);
        let corner = class / 5 * (side / 2) * side + class % 5 * (side / 5);
        for y in 0..side / 2 {
            image[corner + y * side..][..side / 5].iter_mut().for_each(|x| *x += 0.5);
        }
        target.fill(0.0);
        target[class] = 1.0;
    }
}

/// A training that must end everywhere with this digest.
struct Training {
    name: &'static str,
    network: fn() -> NetworkBuilder<f32>,
    side: usize,
    init: Init,
    config: TrainerConfig,
    steps: u64,
    rate: f64,
    digest: &'static str,
}

/// The notebook's layers, with an image size that is a multiple of no vector's width.
fn notebook() -> NetworkBuilder<f32> {
    Network::builder([1, 19, 19])
        .add(Conv2d::new(6, 3).bias(Bias::Untied))
        .add(Sigmoid)
        .add(Reshape::flat())
        .add(Dense::new(100))
        .add(Tanh)
        .add(Dense::new(10))
        .add(Sigmoid)
}

fn lenet() -> NetworkBuilder<f32> {
    Network::builder([1, 28, 28])
        .add(Conv2d::new(8, 5))
        .add(Relu)
        .add(MaxPool2d::new(2))
        .add(Conv2d::new(16, 5))
        .add(Relu)
        .add(MaxPool2d::new(2))
        .add(Flatten)
        .add(Dense::new(128))
        .add(Relu)
        .add(Dense::new(10))
}

/// Kernels of 3×3 that are computed in columns and in tiles.
fn filtered() -> NetworkBuilder<f32> {
    Network::builder([1, 21, 21])
        .add(Conv2d::new(4, 3).bias(Bias::None))
        .add(BatchNorm2d::new())
        .add(Relu)
        .add(Conv2d::new(16, 3))
        .add(Relu)
        .add(Conv2d::new(32, 3).padding(Padding::Same))
        .add(MaxPool2d::new(2))
        .add(Relu)
        .add(Dropout::new(0.3))
        .add(Conv2d::new(32, 3).padding(Padding::Same))
        .add(Relu)
        .add(Flatten)
        .add(Dense::new(10))
}

/// Whole and cut into shards, the last one smaller than the others.
fn trainings() -> [Training; 7] {
    let notebook = |name, [batch_size, shard_size]: [usize; 2], digest| Training {
        name,
        network: notebook,
        side: 19,
        init: Init::Xavier,
        config: TrainerConfig::new(
            Loss::binary_cross_entropy(),
            Optimizer::sgd(),
            [batch_size, shard_size],
        ),
        steps: 4,
        rate: 0.3,
        digest,
    };
    let with_adam =
        |name, (network, side), [batch_size, shard_size]: [usize; 2], digest| Training {
            name,
            network,
            side,
            init: Init::He,
            config: TrainerConfig::new(
                Loss::softmax_cross_entropy(),
                Optimizer::adam(),
                [batch_size, shard_size],
            ),
            steps: 3,
            rate: 0.001,
            digest,
        };
    let lenet: (fn() -> _, usize) = (lenet, 28);
    let filtered: (fn() -> _, usize) = (filtered, 21);
    [
        notebook("notebook, one by one", [1, 1], ONE_BY_ONE),
        notebook("notebook, whole batch", [13, 13], NOTEBOOK_WHOLE),
        notebook("notebook, shards", [13, 3], NOTEBOOK_SHARDS),
        with_adam("lenet, whole batch", lenet, [17, 17], LENET_WHOLE),
        with_adam("lenet, shards", lenet, [17, 4], LENET_SHARDS),
        with_adam("filtered, whole batch", filtered, [9, 9], FILTERED_WHOLE),
        with_adam("filtered, shards", filtered, [9, 4], FILTERED_SHARDS),
    ]
}

impl Training {
    fn run(&self) -> String {
        let mut network = (self.network)().build().expect("the layers fit");
        network.initialize(self.init, 1);
        let start = network.digest();
        let mut trainer = Trainer::new(network, self.config.clone());
        for step in 0..self.steps {
            let batch = Squares { step, side: self.side, len: self.config.batch_size };
            let report = trainer.step(&batch, self.rate);
            let losses = report.expect("finite losses").losses;
            assert!(losses.iter().all(|&loss| loss > 0.0), "{}: losses {losses:?}", self.name);
        }
        let end = trainer.network().digest();
        assert_ne!(start, end, "{}: the training changes the parameters", self.name);
        end
    }
}

#[test]
fn training_ends_with_the_same_bits_on_every_level_and_any_number_of_threads() {
    let trainings = trainings();
    let mut differ = Vec::new();
    for threads in [1, 2, 3, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        for level in Level::available() {
            set_level(level).expect("an available level");
            for training in &trainings {
                let digest = pool.install(|| training.run());
                if digest != training.digest {
                    differ.push(format!("{}, {level}, {threads} threads: {digest}", training.name));
                }
            }
        }
    }
    assert!(differ.is_empty(), "digests other than those expected:\n{}", differ.join("\n"));
}
