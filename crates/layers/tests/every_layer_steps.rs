//! A network with every layer, under every optimizer: after the first two
//! steps nothing is allocated, and each SIMD level trains to the same bits.
//!
//! One test function: the level and the counter of allocations belong to the process.

use layers::{
    AvgPool2d, BatchNorm2d, Bias, BinaryCrossEntropyWithLogits, ClassWeights, Conv2d,
    ConvTranspose2d, Dense, Dropout, Elu, Flatten, Gelu, GlobalAvgPool2d, GroupNorm, HardSwish,
    InMemory, Init, Inputs, LayerNorm, LeakyRelu, Loss, MaxPool2d, Network, Optimizer, Padding,
    Relu, Residual, Silu, SoftmaxCrossEntropy, Softplus, Subset, Trainer, TrainerConfig,
};
use tensor::Element;
use tensor::simd::{Level, set_level};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// How many blocks were allocated while `run` ran, on any thread.
fn allocations(run: impl FnOnce()) -> u64 {
    let before = dhat::HeapStats::get().total_blocks;
    run();
    dhat::HeapStats::get().total_blocks - before
}

/// So many samples of three classes.
fn waves<T: Element>(len: usize) -> InMemory<'static, T> {
    const INPUTS: usize = 30 * 31;
    let wave = |at: usize| ((at / INPUTS + 1) * (at % INPUTS + 1) % 17) as f64 / 17.0;
    let inputs: Vec<_> = (0..len * INPUTS).map(|at| T::from_f64(wave(at))).collect();
    let labels: Vec<_> = (0..len).map(|sample| sample % 3).collect();
    Inputs::numbers(inputs).with_classes(&labels, 3).expect("a data set")
}

fn network<T: Element>() -> Network<T> {
    let block = Residual::new()
        .add(Conv2d::new(8, 3).padding(Padding::Same).groups(8))
        .add(BatchNorm2d::new())
        .add(Relu)
        .add(Conv2d::new(8, 1).bias(Bias::None));
    let nested = Residual::new().add(Silu).add(Residual::new().add(Dropout::new(0.1)));
    let mut network = Network::builder([1, 30, 31])
        .add(Conv2d::new(8, 5).padding(Padding::Zeros(2, 1)))
        .add(BatchNorm2d::new())
        .add(LeakyRelu::default())
        .add(MaxPool2d::new(2))
        .add(block)
        .add(Gelu)
        .add(Conv2d::new(6, 3).stride(2))
        .add(nested)
        .add(ConvTranspose2d::new(6, [3, 2]).stride([2, 1]).groups(2).output_padding([1, 0]))
        .add(GroupNorm::new(3))
        .add(Elu::default())
        .add(MaxPool2d::new(3).stride(2).padding(Padding::Same).ceil_mode(true))
        .add(Conv2d::new(6, 2).dilation([2, 3]).padding(Padding::Around([0, 2], [3, 1])))
        .add(LayerNorm::new())
        .add(HardSwish)
        .add(AvgPool2d::new(2).padding(Padding::Zeros(1, 0)).count_include_pad(false))
        .add(Softplus)
        .add(Conv2d::new(40, 2))
        .add(Relu)
        .add(GlobalAvgPool2d)
        .add(Flatten)
        .add(Dropout::new(0.3))
        .add(Dense::new(3))
        .build()
        .expect("the layers fit");
    network.initialize(Init::He, 3);
    network
}

fn configs(batch_size: usize, shard_size: usize) -> Vec<TrainerConfig> {
    let new = |optimizer| {
        let loss = Loss::smooth_cross_entropy(0.1);
        TrainerConfig::new(loss, optimizer, [batch_size, shard_size])
    };
    let class_weights = Some(ClassWeights::new(&[1.0, 0.5, 2.0]));
    let logits = Loss::from(BinaryCrossEntropyWithLogits { class_weights: class_weights.clone() });
    let weighted = Loss::from(SoftmaxCrossEntropy { label_smoothing: 0.1, class_weights });
    let all = |optimizer| TrainerConfig {
        clip_norm: Some(0.5),
        average: Some(0.9),
        seed: 4,
        ..new(optimizer)
    };
    vec![
        TrainerConfig { loss: logits, ..new(Optimizer::sgd()) },
        all(Optimizer::nesterov(0.9).with_weight_decay(0.01, false)),
        new(Optimizer::adam()),
        all(Optimizer::adamw()),
        TrainerConfig { loss: Loss::huber(), ..new(Optimizer::rmsprop()) },
        TrainerConfig { loss: weighted, ..all(Optimizer::lion().with_weight_decay(0.01, false)) },
    ]
}

/// Trains a little and gives the bits of all that was learned and gathered.
fn train<T: Element>(config: &TrainerConfig) -> (Vec<u8>, u64) {
    let mut trainer = Trainer::new(network::<T>(), config.clone());
    let most = config.batch_size;
    let (data, order) = (waves(most), (0..most).collect::<Vec<_>>());
    let mut step = |samples| {
        trainer.step(&Subset::new(&data, &order[..samples]), 0.01).expect("finite losses");
    };
    step(most);
    step(most);
    let count = allocations(|| [most, most.div_ceil(2), 1, most].into_iter().for_each(&mut step));
    let mut bytes = Vec::new();
    T::extend_le_bytes(trainer.network().parameters(), &mut bytes);
    T::extend_le_bytes(trainer.network().buffers(), &mut bytes);
    T::extend_le_bytes(trainer.averaged_network().parameters(), &mut bytes);
    (bytes, count)
}

fn all<T: Element>() {
    for (batch_size, shard_size) in [(7, 3), (5, 5)] {
        for config in configs(batch_size, shard_size) {
            let results: Vec<_> = Level::available()
                .map(|level| {
                    set_level(level).expect("an available level");
                    let (bytes, count) = train::<T>(&config);
                    assert_eq!(count, 0, "allocations on {level}, {}: {config:?}", T::NAME);
                    (level, bytes)
                })
                .collect();
            for (level, bytes) in &results[1..] {
                let first = results[0].0;
                assert!(*bytes == results[0].1, "{level} is not {first}, {}: {config:?}", T::NAME);
            }
        }
    }
}

#[test]
fn no_allocation_in_a_step_and_the_same_bits_on_every_level() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool");
    // From outside, a task enters the pool through a queue, which allocates now and then;
    // a training run is inside.
    pool.install(|| {
        all::<f32>();
        all::<f64>();
    });
}
