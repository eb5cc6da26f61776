//! A batch that is gathered by several threads itself: a thread that waits for them inside of
//! [`Batch::gather`] may take up another shard of the same step.

use std::sync::mpsc;
use std::time::Duration;

use layers::{Batch, Dense, LayerSpec, Loss, Optimizer, Tanh, Trainer, TrainerConfig};
use rayon::prelude::*;

use crate::samples::{Samples, bits, network};

/// Gathers its samples side by side, and each by threads that meet.
struct SideBySide(Samples<f32>);

/// Something to do for as many tasks as may be stolen.
fn meet(depth: usize) -> usize {
    match depth {
        0 => std::hint::black_box((0..200).sum::<usize>() / 19_900),
        _ => {
            let (left, right) = rayon::join(|| meet(depth - 1), || meet(depth - 1));
            left + right
        }
    }
}

impl Batch<f32> for SideBySide {
    fn gather(&self, first: usize, inputs: &mut [f32], targets: &mut [f32]) {
        let [input, target] = [&self.0.inputs, &self.0.targets].map(|all| all.len() / self.0.len);
        let samples = inputs.par_chunks_mut(input).zip(targets.par_chunks_mut(target));
        samples.enumerate().for_each(|(index, (inputs, targets))| {
            assert_eq!(meet(4), 16);
            self.0.gather(first + index, inputs, targets);
        });
    }
}

const STEPS: usize = 200;

/// The parameters after some steps of 24 samples in shards of two.
fn train(batch: &impl Batch<f32>) -> Vec<u8> {
    let layers: [LayerSpec; 3] = [Dense::new(9).into(), Tanh.into(), Dense::new(3).into()];
    let config = TrainerConfig::new(Loss::MeanSquaredError, Optimizer::adam(), [24, 2]);
    let mut trainer = Trainer::new(network(&[5], &layers), config);
    for _ in 0..STEPS {
        trainer.step(batch, 24, 0.01).expect("finite losses");
    }
    bits(trainer.network().parameters())
}

#[test]
fn gathering_on_several_threads_ends_and_changes_no_bit() {
    let layers: [LayerSpec; 3] = [Dense::new(9).into(), Tanh.into(), Dense::new(3).into()];
    let samples = || Samples::random(&network(&[5], &layers), 24, 3);
    let expected = train(&samples());
    for threads in [3, 4, 6] {
        let batch = SideBySide(samples());
        let (sender, result) = mpsc::channel();
        // Threads that hang are left behind: the test ends with the process.
        std::thread::spawn(move || {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let bits = pool.expect("a pool").install(|| tensor::threads::awake(|| train(&batch)));
            sender.send(bits).expect("somebody waits");
        });
        let found = result.recv_timeout(Duration::from_secs(120));
        let found = found.unwrap_or_else(|_| panic!("{threads} threads: no end of {STEPS} steps"));
        assert!(found == expected, "{threads} threads: other bits");
    }
}
