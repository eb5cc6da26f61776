//! A data set whose samples are computed by several threads: a thread that waits for them inside
//! of [`Dataset::write`] may take up another shard of the same step.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use layers::{
    Dataset, Dense, InMemory, LayerSpec, Loss, Network, Optimizer, Tanh, Trainer, TrainerConfig,
};

use crate::samples::{bits, network, random};

/// Writes a sample when threads have met.
struct SideBySide(InMemory<'static, f32>);

/// Tasks that other threads may take, and that let the pool's other tasks go first, as a thread
/// does that waits for a task of its own.
fn meet(depth: usize) {
    if depth == 0 {
        rayon::yield_now();
    } else {
        rayon::join(|| meet(depth - 1), || meet(depth - 1));
    }
}

impl Dataset<f32> for SideBySide {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn write(&self, index: usize, input: &mut [f32], target: &mut [f32]) {
        meet(2);
        self.0.write(index, input, target);
    }
}

const SAMPLES: usize = 96;

fn small_network() -> Network<f32> {
    let layers: [LayerSpec; 3] = [Dense::new(9).into(), Tanh.into(), Dense::new(3).into()];
    network(&[5], &layers)
}

/// The parameters after some steps of as many shards as samples.
fn train(batch: &impl Dataset<f32>) -> Vec<u8> {
    let config = TrainerConfig::new(Loss::mean_squared_error(), Optimizer::adam(), [SAMPLES, 1]);
    let mut trainer = Trainer::new(small_network(), config);
    for _ in 0..15 {
        trainer.step(batch, 0.01).expect("finite losses");
    }
    bits(trainer.network().parameters())
}

#[test]
fn writing_samples_on_several_threads_ends_and_changes_no_bit() {
    let samples = || random(&small_network(), SAMPLES, 3);
    let expected = train(&samples());
    let (sender, results) = mpsc::channel();
    // Threads that hang are left behind: the test ends with the process.
    for threads in [3, 4, 6] {
        let (sender, batch) = (sender.clone(), SideBySide(samples()));
        thread::spawn(move || {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let bits = pool.expect("a pool").install(|| tensor::threads::awake(|| train(&batch)));
            sender.send((threads, bits))
        });
    }
    for _ in 0..3 {
        let (threads, found) =
            results.recv_timeout(Duration::from_secs(60)).expect("three trainings that end");
        assert!(found == expected, "{threads} threads: other bits");
    }
}
