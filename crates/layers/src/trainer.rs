use std::fmt;
use std::time::Instant;

use tensor::{Buffer, Element, reduce, threads};

use crate::dataset::Dataset;
use crate::layer::Draw;
use crate::loss::Loss;
use crate::network::Network;
use crate::optimizer::Optimizer;
use crate::pace::Pace;
use crate::shard::{Desks, Shard};
use crate::spec::LayerSpec;
use crate::update::{TrainerState, Updater};

/// How a [`Trainer`] learns. Batch and shard size are part of the arithmetic: with the
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
    pub(crate) fn shards(&self) -> usize {
        self.batch_size.div_ceil(self.shard_size)
    }
}

/// What a step measured, before it changed the parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport<'a> {
    /// The loss of each sample.
    pub losses: &'a [f64],
    /// How many samples had their largest output where the target has.
    pub correct: usize,
}

/// A loss that is not a number, or infinite; the parameters are as before the step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonFinite {
    /// The sample's index in the data that the step or the epoch was given.
    pub sample: usize,
    /// The first layer whose output for this sample is not finite, and its summary; none
    /// if all are, and only the loss is not.
    pub layer: Option<(usize, String)>,
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss: expected a finite number, got none for sample {}", self.sample)?;
        match &self.layer {
            Some((index, summary)) => {
                write!(f, "; the output of layer {index} ({summary}) is the first not finite")
            }
            None => Ok(()),
        }
    }
}

impl std::error::Error for NonFinite {}

/// Shards that [`Trainer::measure_state`] sends through a network at a time.
const MEASURED: usize = 64;

/// Trains a network, one batch a step.
#[derive(Debug)]
pub struct Trainer<T> {
    network: Network<T>,
    config: TrainerConfig,
    /// How many layers the backward pass goes through: all, or all but a last sigmoid
    /// whose derivative and the loss's cancel.
    backward_layers: usize,
    updater: Updater<T>,
    /// The mean of what the shards observed.
    observed: Vec<T>,
    shards: Vec<Shard<T>>,
    /// One for each thread, or one for all if the batch is one shard.
    desks: Desks<T>,
    /// The shards' gradients one after another, then their sum.
    gradients: Buffer<T>,
    losses: Vec<f64>,
    pace: Pace,
}

impl<T: Element> Trainer<T> {
    /// A trainer of this network.
    ///
    /// # Panics
    /// If batch or shard size is 0, or the loss has class weights, but not one for each output.
    #[track_caller]
    pub fn new(network: Network<T>, config: TrainerConfig) -> Self {
        let TrainerConfig { batch_size, shard_size, .. } = config;
        assert!(batch_size > 0 && shard_size > 0, "batch and shard size: expected at least 1");
        if let Some(weights) = config.loss.class_weights() {
            let (found, outputs) = (weights.as_slice().len(), network.output_shape().len());
            assert_eq!(found, outputs, "class weights: expected one for each output");
        }
        let count = config.shards();
        let capacity = shard_size.min(batch_size);
        let threads = threads::available();
        let desks = if count == 1 {
            Desks::shared(&network, capacity)
        } else {
            Desks::of_threads(&network, threads.min(count), capacity)
        };
        let layers = network.chain().layers().len();
        let ends_in_sigmoid = matches!(network.spec().layers.last(), Some(LayerSpec::Sigmoid(_)));
        let cancels = ends_in_sigmoid && config.loss.of_logits().is_some() && layers > 1;
        let sum = if count == 1 { 0 } else { 1 };
        Self {
            backward_layers: layers - usize::from(cancels),
            shards: (0..count).map(|_| Shard::new(&network)).collect(),
            desks,
            gradients: Buffer::zeros(network.parameters().len().saturating_mul(count + sum)),
            losses: vec![0.0; batch_size],
            updater: Updater::new(&network, &config),
            observed: vec![T::ZERO; network.chain().observed()],
            pace: Pace::new(if count == 1 { threads } else { threads.min(count) }),
            network,
            config,
        }
    }

    /// The network as it is now.
    pub fn network(&self) -> &Network<T> {
        &self.network
    }

    /// The network as it is now.
    pub fn into_network(self) -> Network<T> {
        self.network
    }

    /// The network with the moving average of the parameters; with the parameters as they
    /// are if there is no average, or no step was taken. What the layers have gathered is that
    /// of the network without average: see [`Trainer::measure_state`].
    pub fn averaged_network(&self) -> Network<T> {
        let mut network = self.network.duplicate();
        let TrainerState { average, steps, .. } = self.updater.state();
        if *steps > 0 && !average.is_empty() {
            network.parameters_mut().copy_from_slice(average);
        }
        network
    }

    /// Sets what the layers of `network`, one of the same layers, have gathered to what they
    /// observe in the samples of `data`, however many: the running statistics
    /// of a network with averaged parameters are measured for it, as by PyTorch's `update_bn`.
    ///
    /// The samples go through the network as in training, in shards of the trainer's size; the
    /// mean over shards is weighted by their numbers of samples, in their order.
    pub fn measure_state(&self, network: &mut Network<T>, data: &impl Dataset<T>) {
        let samples = data.len();
        if network.state().is_empty() || samples == 0 {
            return;
        }
        let Self { config, desks, .. } = self;
        let size = config.shard_size.min(config.batch_size);
        let mut sums = vec![reduce::Total::default(); network.chain().observed()];
        let mut losses = vec![0.0; MEASURED * size];
        // Where a batch is one shard, the threads share its operations.
        let threads = if self.shards.len() == 1 { 1 } else { threads::available() };
        let mut shards: Vec<_> = (0..MEASURED).map(|_| Shard::new(network)).collect();
        for first in (0..samples).step_by(MEASURED * size) {
            let count = (samples - first).min(MEASURED * size);
            let (losses, used) = (&mut losses[..count], count.div_ceil(size));
            let shared = &*network;
            threads::for_each_chunk(
                (&mut shards[..used], 1),
                (&mut *losses, size),
                threads,
                |index, shard, losses| {
                    desks.work_at_one(shared, |desk| {
                        let shard = (&mut shard[0], first + index * size, losses);
                        desk.forward(shared, data, self.draw(), &config.loss, shard);
                    });
                },
            );
            for (shard, losses) in shards.iter().zip(losses.chunks(size)) {
                for (sum, observed) in sums.iter_mut().zip(&shard.observed) {
                    sum.add(losses.len() as f64 * observed.to_f64());
                }
            }
        }
        let mean = |sum: &reduce::Total| T::from_f64(sum.value() / samples as f64);
        let observed: Vec<_> = sums.iter().map(mean).collect();
        network.settle(&observed);
    }

    /// What must be kept beside the network for a run to go on.
    pub fn state(&self) -> &TrainerState<T> {
        self.updater.state()
    }

    /// Goes on from `state`.
    ///
    /// # Panics
    /// If its arrays are not as long as those of [`Trainer::state`].
    #[track_caller]
    pub fn restore(&mut self, state: TrainerState<T>) {
        self.updater.restore(state);
    }

    /// The settings.
    pub fn config(&self) -> &TrainerConfig {
        &self.config
    }

    /// One step on all samples of `batch` with learning rate `rate`.
    ///
    /// # Errors
    /// If a sample's loss is not finite; the parameters are then as before.
    ///
    /// # Panics
    /// If there are no samples, or more than the batch size.
    #[track_caller]
    pub fn step(
        &mut self,
        batch: &impl Dataset<T>,
        rate: f64,
    ) -> Result<StepReport<'_>, NonFinite> {
        let samples = batch.len();
        let most = self.config.batch_size;
        assert!((1..=most).contains(&samples), "step: expected 1 to {most} samples, got {samples}");
        let threads = self.pace.limit();
        let began = (self.pace.has_choice() && samples == most).then(Instant::now);
        if self.shards.len() == 1 {
            self.step_whole(batch, (rate, threads))?;
        } else {
            self.step_sharded(batch, (rate, threads))?;
        }
        if let Some(began) = began {
            self.pace.after(began.elapsed());
        }
        let losses = &self.losses[..samples];
        let correct = self.shards.iter().map(|shard| shard.correct).sum();
        Ok(StepReport { losses, correct })
    }

    /// The batch is one shard: threads may share its operations, and plain descent is
    /// left to the layers.
    fn step_whole(
        &mut self,
        batch: &impl Dataset<T>,
        (rate, threads): (f64, usize),
    ) -> Result<(), NonFinite> {
        let samples = batch.len();
        let draw = self.draw();
        let Self { network, config, backward_layers, updater, shards, desks, .. } = self;
        let (gradients, losses) = (&mut self.gradients, &mut self.losses);
        let (desk, shard) = (&mut desks.all()[0], &mut shards[0]);
        let scale = 1.0 / samples as f64;
        desk.limit_threads(threads);
        desk.forward(network, batch, draw, &config.loss, (shard, 0, &mut losses[..samples]));
        shard.failure.take().map_or(Ok(()), Err)?;
        desk.start_backward(network, *backward_layers, &config.loss, samples, scale);
        let (inputs, workspace) = desk.pass(network, samples);
        if updater.is_plain_descent() {
            let rate = T::from_f64(rate);
            network.backward_and_step(inputs, *backward_layers, rate, workspace, gradients);
            updater.count_step();
        } else {
            network.backward(inputs, *backward_layers, workspace, gradients);
            updater.step((rate, threads), (&[], 0), gradients, network.parameters_mut());
        }
        network.gather(&shard.observed);
        Ok(())
    }

    fn step_sharded(
        &mut self,
        batch: &impl Dataset<T>,
        (rate, threads): (f64, usize),
    ) -> Result<(), NonFinite> {
        let samples = batch.len();
        let draw = self.draw();
        let Self { network, config, backward_layers, updater, shards, gradients, losses, .. } =
            self;
        let TrainerConfig { loss, shard_size, .. } = &*config;
        let shard_size = *shard_size;
        let (layers, parameters) = (*backward_layers, network.parameters().len());
        let scale = 1.0 / samples as f64;
        let used = samples.div_ceil(shard_size);
        shards[used..].iter_mut().for_each(Shard::clear);
        let (shared, desks) = (&*network, &self.desks);
        let threads = threads.min(threads::available()).min(shards.len());
        let (parts, sum) = gradients.split_at_mut(shards.len() * parameters);
        threads::for_each_chunk3(
            (&mut shards[..used], 1),
            (parts, parameters),
            (&mut losses[..samples], shard_size),
            threads,
            |index, shard, gradients, losses| {
                let (shard, n) = (&mut shard[0], losses.len());
                desks.work_at_one(shared, |desk| {
                    let first = index * shard_size;
                    desk.forward(shared, batch, draw, loss, (shard, first, losses));
                    if shard.failure.is_none() {
                        desk.start_backward(shared, layers, loss, n, scale);
                        let (inputs, workspace) = desk.pass(shared, n);
                        shared.backward(inputs, layers, workspace, gradients);
                    }
                });
            },
        );
        self.desks.equip();
        shards.iter_mut().find_map(|shard| shard.failure.take()).map_or(Ok(()), Err)?;
        updater.step((rate, threads), (parts, used), sum, network.parameters_mut());
        self.gather(used, samples);
        Ok(())
    }

    /// What the layers draw from in this step.
    fn draw(&self) -> Draw {
        let (seed, step) = (self.config.seed, self.updater.state().steps);
        Draw { seed, step, ..Draw::default() }
    }

    /// Gathers the mean of what the first `used` shards observed, weighted by their numbers of
    /// samples: sums in `f64`, in the tree of a [`reduce::Total`].
    fn gather(&mut self, used: usize, samples: usize) {
        let size = self.config.shard_size;
        let mut total = reduce::Total::default();
        for (place, observed) in self.observed.iter_mut().enumerate() {
            total.clear();
            for (index, shard) in self.shards[..used].iter().enumerate() {
                let own = size.min(samples - index * size) as f64;
                total.add(own * shard.observed[place].to_f64());
            }
            *observed = T::from_f64(total.value() / samples as f64);
        }
        self.network.gather(&self.observed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conv2d, Dense, Flatten, Init, Inputs, Relu};

    /// So many samples of `len` numbers, each different.
    fn waves(samples: usize, len: usize) -> Vec<f32> {
        let wave = |at: usize| ((at / len + 1) * (at % len + 1) % 17) as f32 / 17.0;
        (0..samples * len).map(wave).collect()
    }

    /// The parameters after steps on at most so many of three threads, in turn. A layer
    /// is large enough to be shared.
    fn train(sizes: [usize; 2], threads: [usize; 3]) -> Vec<f32> {
        let mut network = Network::builder([1, 30, 31])
            .add(Conv2d::new(8, 5))
            .add(Relu)
            .add(Flatten)
            .add(Dense::new(10))
            .build()
            .expect("a network");
        network.initialize(Init::He, 0);
        let mut config = TrainerConfig::new(Loss::mean_squared_error(), Optimizer::adam(), sizes);
        config.clip_norm = Some(0.1);
        let mut trainer = Trainer::new(network, config);
        let (inputs, targets) = (waves(sizes[0], 30 * 31), waves(sizes[0], 10));
        let batch = Inputs::numbers(&inputs).with_targets(&targets, 10).expect("a data set");
        for threads in threads {
            let step =
                if sizes[0] > sizes[1] { Trainer::step_sharded } else { Trainer::step_whole };
            step(&mut trainer, &batch, (0.01, threads)).expect("finite losses");
        }
        trainer.into_network().parameters().to_vec()
    }

    #[test]
    fn the_limit_of_threads_changes_no_bit() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("a pool");
        pool.install(|| {
            for sizes in [[15, 3], [12, 12]] {
                let all = train(sizes, [usize::MAX; 3]);
                for threads in [[1; 3], [2; 3], [usize::MAX, 1, 2]] {
                    assert!(train(sizes, threads) == all, "sizes {sizes:?}, threads {threads:?}");
                }
            }
        });
    }
}
