use crate::loss::Loss;
use crate::optimizer::Optimizer;

/// How a [`Trainer`](crate::Trainer) learns. Batch and shard size are part of the arithmetic: with the
/// same ones, the same samples give the same bits on any number of threads.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainerConfig {
    /// What is minimised.
    pub loss: Loss,
    /// How gradients change parameters.
    pub optimizer: Optimizer,
    /// The most samples of one step.
    pub batch_size: usize,
    /// How many samples run through the network together, on one thread.
    pub shard_size: usize,
    /// The largest norm of a step's gradient, all parameters together: a longer one is
    /// shortened to it. None: as long as it is.
    pub clip_norm: Option<f64>,
    /// What the moving average of the parameters keeps each step, e.g. 0.999. None: no
    /// average.
    pub average: Option<f64>,
    /// Of what layers draw in training, such as the masks of a dropout.
    pub seed: u64,
}

impl TrainerConfig {
    /// Without clipping and averaging, with seed 0; `sizes` are batch and shard size.
    pub fn new(loss: Loss, optimizer: Optimizer, sizes: [usize; 2]) -> Self {
        let [batch_size, shard_size] = sizes;
        let (clip_norm, average, seed) = (None, None, 0);
        Self { loss, optimizer, batch_size, shard_size, clip_norm, average, seed }
    }

    /// Into how many shards a whole batch is cut.
    pub fn shards(&self) -> usize {
        self.batch_size.div_ceil(self.shard_size)
    }

    /// Whether each layer takes its step within its own backward pass, by
    /// [`Layer::backward_and_step`](crate::Layer::backward_and_step): where a batch is one shard,
    /// and all there is to a step is `w ← w − η g`.
    pub fn steps_in_layers(&self) -> bool {
        let plain = self.clip_norm.is_none() && self.average.is_none();
        self.shards() == 1 && plain && self.optimizer.is_plain_descent()
    }
}
