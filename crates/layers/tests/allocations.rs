//! After the first two steps nothing is allocated: not in a training step, sharded or
//! whole, fused or not, nor in a prediction. What is allocated before is what the network's
//! footprint says.
//!
//! One test function: the counter counts the allocations of all threads.

use std::sync::Barrier;

use layers::{
    BatchNorm2d, Bias, Conv2d, Dense, Flatten, InMemory, Inputs, Loss, MaxPool2d, Network,
    Optimizer, Padding, Relu, Reshape, Residual, Sigmoid, Softmax, Subset, Tanh, Trainer,
    TrainerConfig, Workspace,
};
use tensor::simd::level;
use tensor::{Correlation, Element};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// How many blocks were allocated while `run` ran, on any thread.
fn allocations(run: impl FnOnce()) -> u64 {
    let before = dhat::HeapStats::get().total_blocks;
    run();
    dhat::HeapStats::get().total_blocks - before
}

/// So many samples for a network.
fn waves<T: Element>(network: &Network<T>, len: usize) -> InMemory<'static, T> {
    let (inputs, outputs) = (network.input_shape().len(), network.output_shape().len());
    let wave = |at: usize| ((at / inputs + 1) * (at % inputs + 1) % 17) as f64 / 17.0;
    let inputs: Vec<_> = (0..len * inputs).map(|at| T::from_f64(wave(at))).collect();
    let targets: Vec<_> = (0..len * outputs).map(|at| T::from_f64((at % 2) as f64)).collect();
    Inputs::numbers(inputs).with_targets(targets, outputs).expect("a data set")
}

/// A network with each layer of the crate, large enough for its operations to be spread
/// over the threads of a whole batch.
fn network<T: Element>() -> Network<T> {
    Network::builder([1, 30, 31])
        .add(Conv2d::new(8, 3).bias(Bias::Untied))
        .add(Sigmoid)
        .add(Conv2d::new(16, 5))
        .add(Relu)
        .add(Conv2d::new(3, 3).rectangle(3, 2).bias(Bias::None))
        .add(Reshape::flat())
        .add(Dense::new(40))
        .add(Tanh)
        .add(Dense::new(70))
        .add(Softmax)
        .add(Dense::new(10))
        .add(Sigmoid)
        .build()
        .expect("a network")
}

/// Layers that minimal filtering computes in `f32`, in columns and in tiles.
fn filtered<T: Element>() -> Network<T> {
    let network = Network::builder([1, 20, 21])
        .add(Conv2d::new(4, 3))
        .add(Relu)
        .add(Conv2d::new(8, 3))
        .add(Relu)
        .add(Conv2d::new(32, 3).bias(Bias::None))
        .add(Relu)
        .add(Conv2d::new(32, 3))
        .add(Reshape::flat())
        .add(Dense::new(10))
        .add(Sigmoid)
        .build()
        .expect("a network");
    let (mut shape, mut plans) = (network.input_shape(), Vec::new());
    for spec in &network.spec().layers {
        let layer = spec.build::<T>(shape).expect("a layer");
        let plan = |correlation: &Correlation| {
            let plan = correlation.plan::<T>(level(), 4);
            [plan.forward.to_string(), plan.kernel_gradient.to_string()]
        };
        plans.extend(layer.correlation().map(plan));
        shape = layer.output_shape();
    }
    for plan in ["columns of 4", "tiles of 4 × 4"] {
        assert_eq!(plans.contains(&[plan, plan].map(str::to_owned)), T::NAME == "f32", "{plans:?}");
    }
    network
}

fn train<T: Element>(network: Network<T>, batch_size: usize, shard_size: usize) -> u64 {
    let (loss, optimizer) = (Loss::binary_cross_entropy(), Optimizer::sgd());
    let config = TrainerConfig::new(loss, optimizer, [batch_size, shard_size]);
    let data = waves(&network, batch_size);
    let order: Vec<_> = (0..batch_size).rev().collect();
    let mut trainer = Trainer::new(network, config);
    let mut step = |samples| {
        trainer.step(&Subset::new(&data, &order[..samples]), 0.01).expect("finite losses");
    };
    step(batch_size);
    step(batch_size);
    allocations(|| {
        for samples in [batch_size, batch_size, batch_size.div_ceil(2), 1, batch_size] {
            step(samples);
        }
    })
}

fn predict<T: Element>(network: Network<T>, parallel: bool) -> u64 {
    let new = if parallel { Workspace::parallel } else { Workspace::new };
    let mut workspace = new(&network, 5);
    let inputs = vec![T::ONE; 5 * network.input_shape().len()];
    let len = network.input_shape().len();
    network.predict(&inputs, &mut workspace);
    network.predict(&inputs, &mut workspace);
    allocations(|| {
        for samples in [5, 1, 3, 5] {
            network.predict(&inputs[..samples * len], &mut workspace);
        }
    })
}

/// Whether `run` allocates as many bytes as `footprint` says, or up to a fifth less (scratch
/// memory is that of the pass that takes most of it), beside some KiB that are no numbers.
fn assert_bytes<R>(what: &str, footprint: u64, run: impl FnOnce() -> R) {
    let bytes = || dhat::HeapStats::get().curr_bytes as u64;
    let before = bytes();
    let made = run();
    let found = bytes() - before;
    drop(made);
    let (least, most) = (footprint - footprint / 5, footprint + footprint / 50 + (64 << 10));
    assert!((least..=most).contains(&found), "{what}: {found} bytes, footprint {footprint}");
}

/// Networks of some MiB, so that numbers are what counts.
fn footprints<T: Element>() {
    let wide = Network::<T>::builder([3, 40, 40])
        .add(Conv2d::new(24, 5).stride(2))
        .add(BatchNorm2d::new())
        .add(Relu)
        .add(Conv2d::new(32, 3))
        .add(MaxPool2d::new(2))
        .add(Residual::new().add(Conv2d::new(32, 3).padding(Padding::Same)).add(Relu))
        .add(Flatten)
        .add(Dense::new(700))
        .add(Dense::new(10));
    for (sizes, average) in [([32, 8], None), ([32, 32], Some(0.9)), ([1, 1], None)] {
        let network = wide.clone().build().expect("a network");
        let mut config = TrainerConfig::new(Loss::mean_squared_error(), Optimizer::adam(), sizes);
        config.average = average;
        let footprint = wide.footprint().expect("a network");
        let what = format!("{}, sizes {sizes:?}", T::NAME);
        // The trainer takes the network over.
        let bytes = footprint.training(&config, 2) - footprint.network();
        let batch = waves(&network, sizes[0]);
        assert_bytes(&what, bytes, || {
            let mut trainer = Trainer::new(network, config);
            trainer.step(&batch, 0.01).expect("finite losses");
            let averaged = average.map(|_| trainer.averaged_network());
            (trainer, averaged)
        });
    }
    let network = wide.clone().build().expect("a network");
    let footprint = wide.footprint().expect("a network");
    assert_bytes(&format!("{}, network", T::NAME), footprint.network(), || {
        wide.clone().build().expect("a network")
    });
    assert_bytes(&format!("{}, inference", T::NAME), footprint.inference(9), || {
        let mut workspace = Workspace::for_inference(&network, 9);
        let inputs = vec![T::ONE; 9 * network.input_shape().len()];
        network.predict(&inputs, &mut workspace);
        (workspace, inputs)
    });
}

fn all<T: Element>() {
    footprints::<T>();
    for network in [network::<T>, filtered::<T>] {
        for (batch_size, shard_size) in [(12, 4), (12, 5), (7, 1), (12, 12), (1, 1)] {
            let count = train(network(), batch_size, shard_size);
            let what = format!("{}, batch {batch_size}, shards of {shard_size}", T::NAME);
            assert_eq!(count, 0, "allocations in five steps: {what}");
        }
        for parallel in [false, true] {
            let count = predict(network(), parallel);
            assert_eq!(count, 0, "allocations in predictions: {}, parallel: {parallel}", T::NAME);
        }
    }
}

#[test]
fn nothing_is_allocated_after_the_first_steps() {
    let _profiler = dhat::Profiler::builder().testing().build();
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1_u8; 9]))), 1, "the counter counts");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool");
    // From outside, a task enters the pool through a queue, which allocates now and then;
    // a training run is inside.
    pool.install(|| {
        let elsewhere = || drop(std::hint::black_box(vec![1_u8; 9]));
        let count = allocations(|| {
            rayon::broadcast(|_| elsewhere());
        });
        assert!(count >= 2, "the counter counts on every thread: {count}");
        // A thread that takes work from another for the first time allocates. On a busy
        // machine the first steps may end without that; here each must do it once.
        let [here, there] = [Barrier::new(2), Barrier::new(2)];
        let both = || rayon::join(|| there.wait(), || there.wait());
        rayon::join(
            || here.wait(),
            || {
                here.wait();
                both()
            },
        );
        all::<f32>();
        all::<f64>();
    });
}
