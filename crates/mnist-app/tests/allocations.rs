//! A training step on images from files allocates nothing after the first two: neither where
//! they are picked nor where they are deformed.
//!
//! One test function: the counter counts the allocations of all threads.

use layers::{Subset, Trainer, TrainerConfig};
use mnist_app::augmentation::{Augmentation, Augmenter, Elastic};
use mnist_app::dataset::{Augmented, DataSource, Part};
use mnist_app::preprocessing::Form;
use mnist_app::presets;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

#[test]
fn nothing_is_allocated_where_images_are_gathered() {
    let samples = DataSource::Mnist.load(Part::Test, &Form::default()).unwrap().first(Some(64));
    let elastic = Some(Elastic { cells: 4, strength: 2.0 });
    let augmentation =
        Augmentation { shift: 2.0, rotation: 10.0, scale: 0.1, shear: 10.0, flip: true, elastic };
    let augmenter = Augmenter::new(augmentation, samples.size(), 1);
    let experiment = presets::experiment("lenet").unwrap();
    let network = experiment.networks.first().build::<f32>().unwrap();
    let config = TrainerConfig::new(experiment.loss, experiment.optimizer, [16, 4]);
    let mut trainer = Trainer::new(network, config);
    let order: Vec<usize> = (0..samples.len()).rev().collect();
    // One thread: what a pool allocates when work is first taken from it is its own.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let mut epoch = |augmenter, epoch| {
            let data = Augmented { samples: &samples, augmenter, epoch };
            for order in order.chunks(16) {
                trainer.step(&Subset::new(&data, order), 0.001).unwrap();
            }
        };
        epoch(None, 1);
        let _profiler = dhat::Profiler::builder().testing().build();
        drop(std::hint::black_box(vec![1_u8; 9]));
        assert_eq!(dhat::HeapStats::get().total_blocks, 1, "the counter counts");
        epoch(None, 1);
        epoch(Some(&augmenter), 1);
        epoch(Some(&augmenter), 2);
        assert_eq!(dhat::HeapStats::get().total_blocks, 1);
    });
}
