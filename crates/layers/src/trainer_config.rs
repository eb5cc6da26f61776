use tensor::Element;

use crate::loss::{ClassWeights, Loss};
use crate::optimizer::Optimizer;
use crate::tagged::require_settings;

/// How a [`Trainer`](crate::Trainer) learns. Batch and shard size are part of the arithmetic; for
/// the same sizes, the same samples give the same bits on any number of threads.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainerConfig {
    /// What is minimised. A loss of probabilities needs a network that ends in a sigmoid or a
    /// softmax, a loss of logits one that does not: see [`Loss::fits`].
    pub loss: Loss,
    /// The weights of the classes: in training, the loss of a sample with the target `t` is
    /// multiplied by `Σ w_c t_c`, which is the weight of its class where the target is one-hot.
    /// `None`: all are 1.
    ///
    /// A loss may have class weights of its own, which are part of what it measures in a test too,
    /// and weigh each output by itself.
    pub class_weights: Option<ClassWeights>,
    /// How gradients change parameters.
    pub optimizer: Optimizer,
    /// The most samples of one step.
    pub batch_size: usize,
    /// How many samples run through the network together, on one thread.
    pub shard_size: usize,
    /// The largest norm of a step's gradient over all parameters; a longer gradient is scaled down
    /// to it. `None`: no clipping.
    pub clip_norm: Option<f64>,
    /// The decay of the moving average of the parameters, e.g. 0.999; it starts as the parameters
    /// after the first step, as in PyTorch. `None`: no average.
    pub average: Option<f64>,
    /// The seed of what layers draw in training, such as dropout masks, and of the order of
    /// samples.
    pub seed: u64,
}

impl TrainerConfig {
    /// Without clipping and averaging, with seed 0; `sizes` are batch size and shard size.
    pub fn new(loss: Loss, optimizer: Optimizer, sizes: [usize; 2]) -> Self {
        let [batch_size, shard_size] = sizes;
        let (class_weights, clip_norm, average, seed) = (None, None, None, 0);
        Self { loss, class_weights, optimizer, batch_size, shard_size, clip_norm, average, seed }
    }

    /// By what the loss of a sample with this target is multiplied.
    pub(crate) fn weight_of<T: Element>(&self, target: &[T]) -> f64 {
        let Some(weights) = &self.class_weights else { return 1.0 };
        let each = weights.as_slice().iter().zip(target);
        each.map(|(weight, t)| weight * t.to_f64()).sum()
    }

    /// # Panics
    /// If a setting is invalid.
    #[track_caller]
    pub(crate) fn require_settings(&self) {
        require_settings("loss", &self.loss);
        require_settings("optimizer", &self.optimizer);
        let checks: [(_, _, fn(f64) -> _); 2] = [
            ("clip_norm", self.clip_norm, Self::check_clip_norm),
            ("average", self.average, Self::check_average),
        ];
        for (name, value, check) in checks {
            let Some(value) = value else { continue };
            if let Err(expected) = check(value) {
                panic!("{name}: expected {expected}, got {value}");
            }
        }
    }

    /// Checks a value of [`TrainerConfig::clip_norm`].
    ///
    /// # Errors
    /// If it is not possible; the error says what is expected.
    pub fn check_clip_norm(norm: f64) -> Result<(), &'static str> {
        let fits = norm > 0.0 && norm.is_finite();
        if fits { Ok(()) } else { Err("a finite number above 0") }
    }

    /// Checks a value of [`TrainerConfig::average`].
    ///
    /// # Errors
    /// If it is not possible; the error says what is expected.
    pub fn check_average(average: f64) -> Result<(), &'static str> {
        let fits = (0.0..1.0).contains(&average);
        if fits { Ok(()) } else { Err("a number from 0 to less than 1") }
    }

    /// Into how many shards a whole batch is cut.
    pub fn shards(&self) -> usize {
        self.batch_size.div_ceil(self.shard_size)
    }

    /// Whether each layer takes its own step within its backward pass, by
    /// [`Layer::backward_and_step`](crate::Layer::backward_and_step): if a batch is one shard, and
    /// a step is `w ← w − η g` and nothing else.
    pub fn steps_in_layers(&self) -> bool {
        let plain = self.clip_norm.is_none() && self.average.is_none();
        self.shards() == 1 && plain && self.optimizer.is_plain_descent()
    }
}
