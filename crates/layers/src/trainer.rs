use std::time::Instant;

use tensor::{Buffer, Element, reduce, threads};

use crate::adaptive_threads::AdaptiveThreads;
use crate::backward_start::BackwardStart;
use crate::dataset::Dataset;
use crate::layer::Draw;
use crate::network::Network;
use crate::shard::{Shard, Workers};
use crate::step::{NonFinite, NonFiniteValue, StepReport, all_finite};
use crate::trainer_config::TrainerConfig;
use crate::update::{TrainerState, Updater};

/// How many shards [`Trainer::measure_buffers`] sends through a network at a time.
const MEASURED: usize = 64;

/// Trains a network, one batch per step.
#[derive(Debug)]
pub struct Trainer<T> {
    network: Network<T>,
    config: TrainerConfig,
    backward_start: BackwardStart,
    updater: Updater<T>,
    /// The mean of the shards' statistics.
    batch_statistics: Vec<T>,
    shards: Vec<Shard<T>>,
    /// One worker for each thread, or one for all if the batch is one shard.
    workers: Workers<T>,
    /// The shards' gradients one after another, then their sum.
    gradients: Buffer<T>,
    losses: Vec<f64>,
    threads: AdaptiveThreads,
}

impl<T: Element> Trainer<T> {
    /// A trainer of this network.
    ///
    /// # Panics
    /// If batch or shard size is 0, if the class weights of the loss are not one for each output,
    /// or if a setting is invalid: `clip_norm` not above 0, or `average` not below 1, for instance.
    /// 0, say, or an average that keeps 1 or more.
    #[track_caller]
    pub fn new(network: Network<T>, config: TrainerConfig) -> Self {
        let TrainerConfig { batch_size, shard_size, .. } = config;
        assert!(batch_size > 0 && shard_size > 0, "batch and shard size: expected at least 1");
        config.require_settings();
        for weights in config.loss.class_weights().into_iter().chain(&config.class_weights) {
            let (found, outputs) = (weights.as_slice().len(), network.output_shape().len());
            assert_eq!(found, outputs, "class weights: expected one for each output");
        }
        let count = config.shards();
        let capacity = shard_size.min(batch_size);
        let threads = threads::available();
        let workers = if count == 1 {
            Workers::shared(&network, capacity)
        } else {
            Workers::of_threads(&network, threads.min(count), capacity)
        };
        let sum = if count == 1 { 0 } else { 1 };
        Self {
            backward_start: BackwardStart::new(network.spec(), &config.loss),
            shards: (0..count).map(|_| Shard::new(&network)).collect(),
            workers,
            gradients: Buffer::zeros(network.parameters().len().saturating_mul(count + sum)),
            losses: vec![0.0; batch_size],
            updater: Updater::new(&network, &config),
            batch_statistics: vec![T::ZERO; network.chain().batch_statistics()],
            threads: AdaptiveThreads::new(if count == 1 { threads } else { threads.min(count) }),
            network,
            config,
        }
    }

    /// The network as it is now.
    pub fn network(&self) -> &Network<T> {
        &self.network
    }

    /// The network as it is now, without the trainer.
    pub fn into_network(self) -> Network<T> {
        self.network
    }

    /// The network with the moving average of the parameters; with the parameters as they are if no
    /// average is kept or no step was taken. Running statistics are those of the network without
    /// averaging: see [`Trainer::measure_buffers`].
    pub fn averaged_network(&self) -> Network<T> {
        let mut network = self.network.clone();
        let TrainerState { average, steps, .. } = self.updater.state();
        if *steps > 0 && !average.is_empty() {
            network.parameters_mut().copy_from_slice(average);
        }
        network
    }

    /// Sets the running statistics of `network`, a clone of the trainer's, to those of all samples
    /// of `data`: a network with averaged parameters needs statistics measured for it, as by
    /// PyTorch's `update_bn`. Without samples nothing changes.
    ///
    /// The samples go through the network as in training, in shards of the trainer's size; the mean
    /// over the shards is weighted by their numbers of samples and taken in their order.
    ///
    /// # Panics
    /// If `network` is not a clone of the trainer's, as [`Trainer::averaged_network`] is.
    #[track_caller]
    pub fn measure_buffers(&self, network: &mut Network<T>, data: &impl Dataset<T>) {
        self.measure_buffers_while(network, data, || true);
    }

    /// [`Trainer::measure_buffers`] as long as `go_on`, which is asked every few dozen shards.
    /// Returns whether it came to the end; if not, nothing changes.
    ///
    /// # Panics
    /// As [`Trainer::measure_buffers`].
    #[track_caller]
    pub fn measure_buffers_while(
        &self,
        network: &mut Network<T>,
        data: &impl Dataset<T>,
        go_on: impl Fn() -> bool,
    ) -> bool {
        let samples = data.len();
        if network.buffers().is_empty() || samples == 0 {
            return true;
        }
        let Self { config, workers, .. } = self;
        let size = config.shard_size.min(config.batch_size);
        let mut sums = vec![reduce::Total::default(); network.chain().batch_statistics()];
        let mut losses = vec![0.0; MEASURED * size];
        // If a batch is one shard, the threads share its operations.
        let threads = if self.shards.len() == 1 { 1 } else { threads::available() };
        let mut shards: Vec<_> = (0..MEASURED).map(|_| Shard::new(network)).collect();
        for first in (0..samples).step_by(MEASURED * size) {
            if !go_on() {
                return false;
            }
            let count = (samples - first).min(MEASURED * size);
            let (losses, used) = (&mut losses[..count], count.div_ceil(size));
            let shared = &*network;
            threads::for_each_chunk(
                (&mut shards[..used], 1),
                (&mut *losses, size),
                threads,
                |index, shard, losses| {
                    workers.lend(shared, |worker| {
                        let shard = (&mut shard[0], first + index * size, losses);
                        worker.forward(shared, data, self.draw(), config, shard);
                    });
                },
            );
            for (shard, losses) in shards.iter().zip(losses.chunks(size)) {
                for (sum, batch_statistics) in sums.iter_mut().zip(&shard.batch_statistics) {
                    sum.add(losses.len() as f64 * batch_statistics.to_f64());
                }
            }
        }
        let mean = |sum: &reduce::Total| T::from_f64(sum.value() / samples as f64);
        let batch_statistics: Vec<_> = sums.iter().map(mean).collect();
        network.set_buffers(&batch_statistics);
        true
    }

    /// What must be saved beside the network to continue the run;
    /// [`save_trainer`](crate::save_trainer) makes one file of both.
    pub fn state(&self) -> &TrainerState<T> {
        self.updater.state()
    }

    /// Checks that all parameters, and all that is kept beside them, are finite.
    ///
    /// # Errors
    /// If not; the error names a layer with a number that is not.
    pub fn require_finite(&self) -> Result<(), NonFinite> {
        self.network.require_finite_parameters()?;
        let TrainerState { momentum, squares, average, .. } = self.state();
        let layer = if !all_finite(self.network.buffers()) {
            self.network
                .layers()
                .find(|layer| !all_finite(layer.buffers))
                .map(|layer| (layer.index, layer.spec.summary()))
        } else {
            let mut kept = [momentum, squares, average].into_iter();
            let Some(broken) = kept.find(|array| !all_finite(array)) else { return Ok(()) };
            self.network.last_non_finite(broken)
        };
        Err(NonFinite { value: NonFiniteValue::State, sample: None, layer })
    }

    /// Continues from `state`.
    ///
    /// # Panics
    /// If its arrays are not as long as those of [`Trainer::state`].
    #[track_caller]
    pub fn restore(&mut self, state: TrainerState<T>) {
        self.updater.restore(state);
    }

    /// Continues with these parameters and buffers, and from `state`.
    pub(crate) fn resume(&mut self, (parameters, buffers): (&[T], &[T]), state: TrainerState<T>) {
        self.network.parameters_mut().copy_from_slice(parameters);
        self.network.buffers_mut().copy_from_slice(buffers);
        self.restore(state);
    }

    /// The settings.
    pub fn config(&self) -> &TrainerConfig {
        &self.config
    }

    /// One step on all samples of `batch` with learning rate `rate`.
    ///
    /// # Errors
    /// If a loss, a gradient or a parameter is not finite: see [`NonFinite`].
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
        let threads = self.threads.limit();
        let began = (self.threads.has_choice() && samples == most).then(Instant::now);
        if self.shards.len() == 1 {
            self.step_whole(batch, (rate, threads))?;
        } else {
            self.step_sharded(batch, (rate, threads))?;
        }
        if let Some(began) = began {
            self.threads.after(began.elapsed());
        }
        let losses = &self.losses[..samples];
        let correct = self.shards.iter().map(|shard| shard.correct).sum();
        Ok(StepReport { losses, correct })
    }

    /// A step on a batch that is one shard: threads may share its operations, and a step of plain
    /// gradient descent is left to the layers.
    fn step_whole(
        &mut self,
        batch: &impl Dataset<T>,
        (rate, threads): (f64, usize),
    ) -> Result<(), NonFinite> {
        let samples = batch.len();
        let draw = self.draw();
        let Self { network, config, backward_start: start, updater, shards, workers, .. } = self;
        let (gradients, losses) = (&mut self.gradients, &mut self.losses);
        let (worker, shard) = (&mut workers.all()[0], &mut shards[0]);
        let (layers, scale) = (start.layers(), 1.0 / samples as f64);
        worker.limit_threads(threads);
        worker.forward(network, batch, draw, config, (shard, 0, &mut losses[..samples]));
        shard.failure.take().map_or(Ok(()), Err)?;
        let (inputs, workspace) = worker.start_backward(network, *start, config, samples, scale);
        if config.steps_in_layers() {
            let rate = T::from_f64(rate);
            network.backward_and_step(inputs, layers, rate, workspace, gradients)?;
            updater.count_step();
        } else {
            network.backward(inputs, layers, workspace, gradients);
            shard.check(network, gradients, 0);
            shard.failure.take().map_or(Ok(()), Err)?;
            if !updater.step((rate, threads), (&[], 0), gradients, network.parameters_mut()) {
                network.require_finite_parameters()?;
            }
        }
        network.update_buffers(&shard.batch_statistics);
        Ok(())
    }

    fn step_sharded(
        &mut self,
        batch: &impl Dataset<T>,
        (rate, threads): (f64, usize),
    ) -> Result<(), NonFinite> {
        let samples = batch.len();
        let draw = self.draw();
        let Self { network, config, backward_start, updater, shards, gradients, losses, .. } = self;
        let config = &*config;
        let (start, shard_size) = (*backward_start, config.shard_size);
        let scale = 1.0 / samples as f64;
        let parameters = network.parameters().len();
        let used = samples.div_ceil(shard_size);
        shards[used..].iter_mut().for_each(Shard::clear);
        let (shared, workers) = (&*network, &self.workers);
        let threads = threads.min(threads::available()).min(shards.len());
        let (of_shards, sum) = gradients.split_at_mut(shards.len() * parameters);
        threads::for_each_chunk3(
            (&mut shards[..used], 1),
            (of_shards, parameters),
            (&mut losses[..samples], shard_size),
            threads,
            |index, shard, gradients, losses| {
                let (shard, n) = (&mut shard[0], losses.len());
                workers.lend(shared, |worker| {
                    let first = index * shard_size;
                    worker.forward(shared, batch, draw, config, (shard, first, losses));
                    if shard.failure.is_none() {
                        let (inputs, workspace) =
                            worker.start_backward(shared, start, config, n, scale);
                        shared.backward(inputs, start.layers(), workspace, gradients);
                        shard.check(shared, gradients, first);
                    }
                });
            },
        );
        self.workers.equip();
        let failures = || shards.iter().filter_map(|shard| shard.failure.as_ref());
        let losses = failures().filter(|failure| failure.value == NonFiniteValue::Loss);
        if let Some(failure) = losses.chain(failures()).next() {
            return Err(failure.clone());
        }
        if !updater.step((rate, threads), (of_shards, used), sum, network.parameters_mut()) {
            network.require_finite_parameters()?;
        }
        self.update_buffers(used, samples);
        Ok(())
    }

    /// The place in the run that the layers' random numbers of this step are a function of.
    fn draw(&self) -> Draw {
        let (seed, step) = (self.config.seed, self.updater.state().steps);
        Draw { seed, step, ..Draw::default() }
    }

    /// Computes the mean of the statistics of the first `used` shards, weighted by their numbers of
    /// samples, with sums in `f64` in the tree of a [`reduce::Total`].
    fn update_buffers(&mut self, used: usize, samples: usize) {
        let size = self.config.shard_size;
        let mut total = reduce::Total::default();
        for (index, batch_statistics) in self.batch_statistics.iter_mut().enumerate() {
            total.clear();
            for (number, shard) in self.shards[..used].iter().enumerate() {
                let own = size.min(samples - number * size) as f64;
                total.add(own * shard.batch_statistics[index].to_f64());
            }
            *batch_statistics = T::from_f64(total.value() / samples as f64);
        }
        self.network.update_buffers(&self.batch_statistics);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conv2d, Dense, Flatten, Init, Inputs, Loss, Optimizer, Relu};

    /// This many samples of `len` numbers, each different.
    fn waves(samples: usize, len: usize) -> Vec<f32> {
        let wave = |at: usize| ((at / len + 1) * (at % len + 1) % 17) as f32 / 17.0;
        (0..samples * len).map(wave).collect()
    }

    /// The parameters after steps on at most this many threads, three numbers in turn. One layer is
    /// large enough for threads to share it.
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
