use tensor::Element;

use crate::chain::Chain;
use crate::spec::NetworkSpec;
use crate::trainer_config::TrainerConfig;

/// How much memory a network, its training and its predictions would take: known as soon as its
/// layers fit together, before any of it is allocated.
///
/// All sizes are in bytes, and at most a few per cent more than what is allocated. A size beyond
/// any machine's is [`u64::MAX`].
///
/// ```
/// use layers::{Dense, Loss, Network, Optimizer, TrainerConfig};
///
/// let builder = Network::<f32>::builder([784]).add(Dense::new(10));
/// let footprint = builder.footprint()?;
/// assert_eq!(footprint.parameters(), 7_850);
/// assert_eq!(footprint.network(), 4 * 7_850);
/// let config = TrainerConfig::new(Loss::mean_squared_error(), Optimizer::sgd(), [60_000; 2]);
/// assert!(footprint.training(&config, 1) > 60_000 * 784 * 4);
/// # Ok::<(), layers::BuildError>(())
/// ```
#[derive(Debug)]
pub struct Footprint<T> {
    pub(crate) spec: NetworkSpec,
    pub(crate) chain: Chain<T>,
}

/// A number of bytes, counted in numbers of type `T`; additions saturate.
struct Bytes<T> {
    sum: u64,
    element: std::marker::PhantomData<T>,
}

impl<T> Bytes<T> {
    fn new() -> Self {
        Self { sum: 0, element: std::marker::PhantomData }
    }

    /// Adds `times` times as many numbers.
    fn add(mut self, times: usize, numbers: usize) -> Self {
        let bytes = product(&[times, numbers, size_of::<T>()]);
        self.sum = self.sum.saturating_add(bytes);
        self
    }

    /// Scratch memory: numbers and indices.
    fn add_scratch(self, [numbers, indices]: [usize; 2]) -> Self {
        self.add(1, numbers).add_bytes(indices, size_of::<usize>() as u64)
    }

    /// Adds `times` times as many bytes.
    fn add_bytes(mut self, times: usize, bytes: u64) -> Self {
        self.sum = self.sum.saturating_add(product(&[times]).saturating_mul(bytes));
        self
    }
}

fn product(factors: &[usize]) -> u64 {
    let factors = factors.iter().map(|&factor| u64::try_from(factor).unwrap_or(u64::MAX));
    factors.fold(1, u64::saturating_mul)
}

impl<T: Element> Footprint<T> {
    /// How many parameters the network has.
    pub fn parameters(&self) -> usize {
        self.chain.parameters_of(self.chain.layers().len())
    }

    /// The network: its parameters and its buffers.
    pub fn network(&self) -> u64 {
        Bytes::<T>::new().add(1, self.parameters()).add(1, self.chain.buffers()).sum
    }

    /// A file of the network while it is written or read: the file, and a copy of its largest
    /// array.
    pub fn file(&self) -> u64 {
        let parameters = self.chain.named(|layer| layer.parameters());
        let largest = parameters.iter().map(|(array, _)| array.shape.len()).max();
        Bytes::<T>::new().add_bytes(1, self.network()).add(1, largest.unwrap_or(0)).sum
    }

    /// A file of a trainer with these settings ([`save_trainer`](crate::save_trainer)) while it is
    /// written or read: the file, and its arrays.
    pub fn trainer_file(&self, config: &TrainerConfig) -> u64 {
        let averages = usize::from(config.average.is_some());
        let moments: usize = config.optimizer.moments().into_iter().map(usize::from).sum();
        let of_state = moments.saturating_add(averages);
        let whole = Bytes::<T>::new().add_bytes(1, self.network()).add(of_state, self.parameters());
        whole.sum.saturating_mul(2)
    }

    /// A [`Workspace::for_inference`](crate::Workspace::for_inference) for this many samples, and
    /// the samples' inputs.
    pub fn inference(&self, samples: usize) -> u64 {
        let chain = &self.chain;
        Bytes::<T>::new()
            .add(samples, chain.gradient_range().start)
            .add(samples, chain.input_shape().len())
            .add(1, chain.batch_statistics())
            .add_scratch(chain.scratch(samples, 1))
            .sum
    }

    /// A [`Trainer`](crate::Trainer) with these settings on this many threads, its network, and the
    /// network with averaged parameters.
    pub fn training(&self, config: &TrainerConfig, threads: usize) -> u64 {
        let shards = config.shards();
        let (chain, parameters) = (&self.chain, self.parameters());
        let averages = usize::from(config.average.is_some());
        let moments: usize = config.optimizer.moments().into_iter().map(usize::from).sum();
        // The shards' gradients, and their sum if there are several shards.
        let gradients = if shards == 1 { 1 } else { shards.saturating_add(1) };
        Bytes::<T>::new()
            .add_bytes(1 + averages, self.network())
            .add(gradients, parameters)
            .add(moments + averages, parameters)
            .add(shards.saturating_add(1), chain.batch_statistics())
            .add_bytes(threads.min(shards), self.shard(config, threads))
            .sum
    }

    /// What one thread needs to work on a shard.
    pub fn shard(&self, config: &TrainerConfig, threads: usize) -> u64 {
        let chain = &self.chain;
        let samples = config.shard_size.min(config.batch_size);
        let threads = if config.shards() == 1 { threads } else { 1 };
        Bytes::<T>::new()
            .add(samples, chain.memory())
            .add(samples, chain.input_shape().len())
            .add(samples, chain.output_shape().len())
            .add(1, chain.batch_statistics())
            .add_scratch(chain.scratch(samples, threads))
            .sum
    }

    /// All passes over this many samples at once, layer by layer ([`LayerRun`](crate::LayerRun)),
    /// without the network: parameters, every intermediate result and its gradient, and a mark of
    /// one byte for each result.
    pub fn inspection(&self, samples: usize) -> u64 {
        let chain = &self.chain;
        let outputs = chain.layers().iter().map(|placed| placed.layer.output_shape().len());
        let marks = outputs.clone().fold(0, usize::saturating_add);
        let largest = outputs.max().unwrap_or(0);
        let layers = chain.layers().iter();
        let kept = layers.fold(0_usize, |sum, placed| {
            let layer = &placed.layer;
            let both = layer.output_shape().len().saturating_mul(2);
            sum.saturating_add(both).saturating_add(layer.memory())
        });
        let ends = chain.input_shape().len() + chain.output_shape().len();
        Bytes::<T>::new()
            .add_bytes(1, self.network())
            .add(1, self.parameters())
            .add(samples, kept.saturating_add(ends).saturating_add(largest))
            .add_bytes(samples, product(&[marks]))
            .add(1, chain.batch_statistics())
            .add_scratch(chain.scratch(samples, 1))
            .sum
    }

    /// The input of one sample.
    pub fn image(&self) -> u64 {
        Bytes::<T>::new().add(1, self.chain.input_shape().len()).sum
    }
}
