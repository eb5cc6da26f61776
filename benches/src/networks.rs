use layers::random::{Purpose, Stream};
use layers::{
    Bias, BuildError, Conv2d, Dense, Flatten, InMemory, Init, Inputs, Loss, MaxPool2d, Network,
    Optimizer, Relu, Reshape, Sigmoid, Tanh, Trainer, TrainerConfig,
};
use tensor::Element;

/// A network whose training and prediction are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// The notebook's: `Conv 1→6 3×3`, sigmoid, `Dense 4056→100`, tanh, `Dense 100→10`,
    /// sigmoid; binary cross-entropy, plain descent.
    Notebook,
    /// The preset `lenet`: `Conv 1→8 5×5` and `Conv 8→16 5×5`, each with ReLU and
    /// `MaxPool 2`, `Dense 256→128`, ReLU, `Dense 128→10`; softmax cross-entropy, Adam.
    Lenet,
}

impl Model {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Notebook, Self::Lenet];

    /// The network in the names of workloads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Notebook => "notebook",
            Self::Lenet => "lenet",
        }
    }

    /// The batch sizes whose training step is measured.
    pub fn batch_sizes(self) -> [usize; 2] {
        match self {
            Self::Notebook => [1, 32],
            Self::Lenet => [64, 256],
        }
    }

    /// How many images there are to train on.
    pub fn images(self) -> usize {
        match self {
            Self::Notebook => 1_000,
            // More than a third-level cache holds as `f32`.
            Self::Lenet => 16_384,
        }
    }

    /// How many samples run through the network together.
    ///
    /// Each shard has gradients of its own. The notebook's network has so many weights that writing
    /// and adding four times 1.6 MB takes longer than computing them, so its batch is one shard,
    /// whose operations the threads share. LeNet's gradients have 150 KB.
    pub fn shard_size(self) -> usize {
        match self {
            Self::Notebook => 32,
            Self::Lenet => 16,
        }
    }

    /// The learning rate.
    pub fn rate(self) -> f64 {
        match self {
            Self::Notebook => 0.01,
            Self::Lenet => 0.001,
        }
    }

    /// The network, always with the same weights.
    ///
    /// They are scaled so that gradients reach every layer: with the notebook's own weights most
    /// gradients are 0, and comparing them with peers would not show an error.
    ///
    /// # Panics
    /// If its layers do not fit together.
    pub fn network<T: Element>(self) -> Network<T> {
        let (network, init) = match self {
            Self::Notebook => (notebook(), Init::Xavier),
            Self::Lenet => (lenet(), Init::He),
        };
        let mut network = network.unwrap_or_else(|error| panic!("{error}"));
        network.initialize(init, 1);
        network
    }

    /// A trainer of the network.
    pub fn trainer(self, batch_size: usize) -> Trainer<f32> {
        let (loss, optimizer) = match self {
            Self::Notebook => (Loss::binary_cross_entropy(), Optimizer::sgd()),
            Self::Lenet => (Loss::softmax_cross_entropy(), Optimizer::adam()),
        };
        let config = TrainerConfig::new(loss, optimizer, [batch_size, self.shard_size()]);
        Trainer::new(self.network(), config)
    }
}

fn notebook<T: Element>() -> Result<Network<T>, BuildError> {
    Network::builder([1, 28, 28])
        .add(Conv2d::new(6, 3).bias(Bias::Untied))
        .add(Sigmoid)
        .add(Reshape::flat())
        .add(Dense::new(100))
        .add(Tanh)
        .add(Dense::new(10))
        .add(Sigmoid)
        .build()
}

fn lenet<T: Element>() -> Result<Network<T>, BuildError> {
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
        .build()
}

/// Images of 28 × 28 pixels with labels, one byte each, and the order in which they are
/// trained on.
///
/// The images are random, with a fifth of the pixels not black, as in MNIST. No operation depends
/// on the values of numbers, so timings do not need the real images.
#[derive(Clone, Debug)]
pub struct Images {
    pixels: Vec<u8>,
    labels: Vec<u8>,
    order: Vec<usize>,
}

impl Images {
    /// Pixels of one image.
    pub const PIXELS: usize = 28 * 28;

    /// `count` images, always the same ones.
    pub fn new(count: usize) -> Self {
        let mut stream = Stream::new(4, Purpose::Initialization, 0);
        let mut pixel = || if stream.below(5) == 0 { stream.below(256) as u8 } else { 0 };
        let pixels = (0..count * Self::PIXELS).map(|_| pixel()).collect();
        let labels = (0..count).map(|_| stream.below(10) as u8).collect();
        let mut order: Vec<_> = (0..count).collect();
        Stream::new(4, Purpose::Shuffle, 0).shuffle(&mut order);
        Self { pixels, labels, order }
    }

    /// All pixels, image by image.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// All labels.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The indices of the images in the order of training.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// All pixels as numbers from 0 to 1.
    pub fn numbers(&self) -> Vec<f32> {
        self.pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect()
    }

    /// The images to train on.
    ///
    /// # Panics
    /// Never: they fit.
    pub fn data(&self) -> InMemory<'static, f32> {
        let data = Inputs::bytes(self.pixels.clone()).with_classes(&self.labels, 10);
        data.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The indices of the images of batch `step`, `size` of them, starting again after all were
    /// seen.
    pub fn batch(&self, step: usize, size: usize) -> &[usize] {
        let batches = self.order.len() / size;
        &self.order[step % batches * size..][..size]
    }
}
