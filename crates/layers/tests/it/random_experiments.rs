//! Whatever experiment somebody writes down: it is built, trained for two steps and asked for
//! predictions, or an error says why not. Nothing panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use layers::random::{Purpose, Stream};
use layers::{
    AvgPool2d, BatchNorm2d, Bias, Conv2d, ConvTranspose2d, Dense, Dropout, Elu, Flatten, Gelu,
    GlobalAvgPool2d, GroupNorm, HardSwish, Init, LayerNorm, LayerSpec, LeakyRelu, Loss, MaxPool2d,
    NetworkSpec, Optimizer, Padding, Relu, Reshape, Residual, Sigmoid, Silu, Softmax, Softplus,
    Tanh, Trainer, TrainerConfig, Workspace,
};
use tensor::{Element, Shape};

use crate::samples::{arrays, random};

/// What an experiment is drawn from.
struct Draws(Stream);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    fn once_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn one<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// A size, mostly one that makes sense.
    fn size(&mut self) -> usize {
        let huge = [0, 1 << 16, 1 << 31, (1 << 32) + 1, usize::MAX / 2, usize::MAX - 1, usize::MAX];
        if self.once_in(40) { self.one(&huge) } else { self.one(&[1, 1, 2, 2, 3, 3, 4, 5, 8, 17]) }
    }

    fn padding(&mut self) -> Padding {
        match self.below(4) {
            0 => Padding::Valid,
            1 => Padding::Same,
            2 => {
                let rows = [self.size() / 2, self.size() / 2];
                Padding::Around(rows, [self.size() / 2, self.size() / 2])
            }
            _ => Padding::Zeros(self.size() / 2, self.size() / 2),
        }
    }

    fn layers(&mut self, most: usize) -> Vec<LayerSpec> {
        (0..self.below(most + 1)).map(|_| self.layer()).collect()
    }

    fn layer(&mut self) -> LayerSpec {
        match self.below(23) {
            0 => {
                let bias = self.one(&[Bias::None, Bias::PerChannel, Bias::Untied]);
                let mut layer = Conv2d::new(self.size(), 1).rectangle(self.size(), self.size());
                layer = layer.padding(self.padding()).bias(bias);
                if self.once_in(2) {
                    layer = layer.stride([self.size(), self.size()]);
                }
                if self.once_in(3) {
                    layer = layer.dilation([self.size(), self.size()]);
                }
                if self.once_in(3) {
                    layer = layer.groups(self.size());
                }
                layer.into()
            }
            1 if self.once_in(2) => {
                let layer = MaxPool2d::new(self.size()).stride(self.size());
                layer.padding(self.padding()).ceil_mode(self.once_in(2)).into()
            }
            1 => MaxPool2d::new(1).rectangle(self.size(), self.size()).into(),
            2 if self.once_in(2) => {
                let layer = AvgPool2d::new(self.size()).stride(self.size());
                let layer = layer.padding(self.padding()).ceil_mode(self.once_in(2));
                layer.count_include_pad(self.once_in(2)).into()
            }
            2 => AvgPool2d::new(1).rectangle(self.size(), self.size()).into(),
            3 => GlobalAvgPool2d.into(),
            4 => BatchNorm2d::default().into(),
            5 => Dense::new(self.size()).into(),
            6 => Sigmoid.into(),
            7 => Tanh.into(),
            8 => Relu.into(),
            9 => LeakyRelu::default().into(),
            10 => Gelu.into(),
            11 => Silu.into(),
            12 => Softmax.into(),
            13 => Dropout::new(0.3).into(),
            14 if self.once_in(2) => Reshape::to([self.size(), self.size()]).into(),
            14 => Reshape::flat().into(),
            15 => Flatten.into(),
            16 => {
                let layer = ConvTranspose2d::new(self.size(), [self.size(), self.size()]);
                let layer = layer.padding(self.padding()).stride([self.size(), self.size()]);
                let layer = layer.dilation(self.one(&[1, 1, 2])).groups(self.one(&[1, 1, 2]));
                layer.output_padding(self.one(&[0, 0, 1, usize::MAX])).into()
            }
            17 => GroupNorm::new(self.size()).into(),
            18 => LayerNorm::new().into(),
            19 => Elu::default().into(),
            20 => Softplus.into(),
            21 => HardSwish.into(),
            _ => {
                let layers = self.layers(3);
                layers.into_iter().fold(Residual::new(), Residual::add).into()
            }
        }
    }

    fn spec(&mut self) -> NetworkSpec {
        let rank = self.one(&[0, 1, 2, 3, 3, 3, 3, 3, 3, 4]);
        let mut input: Vec<_> = (0..rank).map(|_| self.size()).collect();
        if rank == 3 && !self.once_in(4) {
            input = vec![self.one(&[1, 2, 3]), 1 + self.below(12), 1 + self.below(12)];
        }
        NetworkSpec { input, layers: self.layers(7) }
    }

    fn config(&mut self) -> TrainerConfig {
        let loss = self.one(&[
            Loss::mean_squared_error(),
            Loss::binary_cross_entropy(),
            Loss::binary_cross_entropy_with_logits(),
            Loss::softmax_cross_entropy(),
            Loss::smooth_cross_entropy(0.1),
            Loss::huber(),
        ]);
        let optimizer = self.one(&[
            Optimizer::sgd(),
            Optimizer::momentum(0.9),
            Optimizer::adam(),
            Optimizer::adamw(),
            Optimizer::rmsprop(),
            Optimizer::lion(),
        ]);
        let sizes = [1 + self.below(20), self.one(&[1, 2, 3, 8, 20, usize::MAX])];
        let mut config = TrainerConfig::new(loss, optimizer, sizes);
        config.clip_norm = self.once_in(3).then_some(0.5);
        config.average = self.once_in(3).then_some(0.99);
        config
    }
}

/// Runs an experiment to its end; whether it came to the predictions.
fn run<T: Element>(spec: &NetworkSpec, config: &TrainerConfig) -> bool {
    /// What a test may take of memory.
    const MOST_BYTES: u64 = 16 << 20;
    let Ok(footprint) = spec.footprint::<T>() else { return false };
    if footprint.training(config, 4) > MOST_BYTES {
        return false;
    }
    let mut network = footprint.build();
    network.initialize(Init::He, 1);
    let most = config.batch_size;
    let mut trainer = Trainer::new(network, config.clone());
    for samples in [most, most.div_ceil(2)] {
        let batch = random(trainer.network(), samples, 2);
        if trainer.step(&batch, 0.01).is_err() {
            return false;
        }
    }
    let network = trainer.averaged_network();
    let [input, _] = arrays(&network, most, 3);
    let mut workspace = Workspace::parallel(&network, most);
    assert_eq!(network.predict(&input, &mut workspace).len(), most * network.output_shape().len());
    true
}

#[test]
fn random_experiments_end_in_predictions_or_in_an_error() {
    let pools = [1, 2, 3, 4].map(|threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool")
    });
    let mut draws = Draws(Stream::new(7, Purpose::Shuffle, 0));
    let (mut built, mut finished) = (0, 0);
    for _ in 0..20_000 {
        let (spec, config) = (draws.spec(), draws.config());
        let (pool, is_double) = (&pools[draws.below(4)], draws.once_in(2));
        let experiment = AssertUnwindSafe(|| {
            let run = if is_double { run::<f64> } else { run::<f32> };
            pool.install(|| run(&spec, &config))
        });
        match catch_unwind(experiment) {
            Ok(is_finished) => finished += usize::from(is_finished),
            Err(_) => {
                panic!("panicked on {} threads: {spec:?} {config:?}", pool.current_num_threads())
            }
        }
        built += usize::from(spec.build::<f32>().is_ok());
    }
    assert!(built > 2_000 && finished > 1_000, "{built} built, {finished} finished");
}

#[test]
fn a_network_without_parameters_takes_steps() {
    let layers = [AvgPool2d::new(2).into(), Flatten.into()];
    let spec = NetworkSpec { input: vec![1, 8, 6], layers: layers.to_vec() };
    let config = TrainerConfig::new(Loss::mean_squared_error(), Optimizer::adam(), [12, 3]);
    let mut trainer = Trainer::new(spec.build::<f32>().expect("a network"), config);
    assert_eq!(trainer.network().output_shape(), Shape::from(12));
    let batch = random(trainer.network(), 12, 4);
    for _ in 0..2 {
        let report = trainer.step(&batch, 0.1).expect("finite losses");
        assert_eq!(report.losses.len(), 12);
        assert!(report.losses.iter().all(|&loss| loss > 0.0), "{:?}", report.losses);
    }
    assert_eq!(trainer.state().steps, 2);
}
