use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use layers::{Subset, Workspace};
use tensor::simd::Level;
use tensor::{Scratch, threads};

use crate::correlation::{LayerShape, Operands, Pass};
use crate::networks::{Images, Model};

/// A piece of work that is measured.
///
/// It is printed as its name, under which the peers' scripts know the same work:
/// `correlate/1x1x28x28*6x1x3x3/forward`, `step/notebook/32`, `predict/notebook/1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// One pass of a correlation.
    Correlate(LayerShape, Pass),
    /// One training step on this many images.
    Step(Model, usize),
    /// The outputs for this many images.
    Predict(Model, usize),
}

/// How many images go through the network together in large predictions.
const PREDICTION_BATCH: usize = 50;

impl Workload {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let correlations = LayerShape::ALL
            .into_iter()
            .flat_map(|shape| Pass::ALL.map(|pass| Self::Correlate(shape, pass)));
        let steps = Model::ALL
            .into_iter()
            .flat_map(|model| model.batch_sizes().map(|size| Self::Step(model, size)));
        let predictions = Model::ALL
            .into_iter()
            .flat_map(|model| [1, 10_000].map(|images| Self::Predict(model, images)));
        correlations.chain(steps).chain(predictions).collect()
    }

    /// Whether the work is timed at this level. The portable level, which emulates each
    /// multiply-add, is left out where one call would take a large part of a second.
    pub fn is_measured_at(&self, level: Level) -> bool {
        const MOST_PORTABLE: usize = 10_000_000;
        level != Level::Portable || self.multiply_adds().is_some_and(|count| count <= MOST_PORTABLE)
    }

    /// Multiply-adds of a correlation.
    pub fn multiply_adds(&self) -> Option<usize> {
        match self {
            Self::Correlate(shape, _) => Some(shape.multiply_adds()),
            Self::Step(..) | Self::Predict(..) => None,
        }
    }

    /// Images of a training step or a prediction.
    pub fn images(&self) -> Option<usize> {
        match *self {
            Self::Correlate(..) => None,
            Self::Step(_, images) | Self::Predict(_, images) => Some(images),
        }
    }

    /// The time of `calls` calls on fresh operands, after one call that does not count.
    pub fn time(self, calls: u64) -> Duration {
        let mut call = self.prepare();
        call();
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        start.elapsed()
    }

    /// The work as a function that may be called repeatedly, on the threads of the current pool.
    pub fn prepare(self) -> Box<dyn FnMut() + Send> {
        match self {
            Self::Correlate(shape, pass) => {
                let mut operands = Operands::new(shape, pass);
                let mut scratch = Scratch::parallel();
                Box::new(move || {
                    black_box(operands.run(&mut scratch));
                })
            }
            Self::Step(model, size) => step(model, size),
            Self::Predict(model, 1) => {
                let network = model.network();
                let image = Images::new(1).numbers();
                let mut workspace = Workspace::parallel(&network, 1);
                Box::new(move || {
                    black_box(network.predict(black_box(&image), &mut workspace));
                })
            }
            Self::Predict(model, images) => predict_many(model, images),
        }
    }
}

fn step(model: Model, size: usize) -> Box<dyn FnMut() + Send> {
    let mut trainer = model.trainer(size);
    let images = Images::new(model.images());
    let data = images.data();
    let mut number = 0;
    Box::new(move || {
        let batch = Subset::new(&data, images.batch(number, size));
        let report = trainer.step(&batch, model.rate());
        black_box(report.unwrap_or_else(|error| panic!("{error}")).correct);
        number += 1;
    })
}

fn predict_many(model: Model, count: usize) -> Box<dyn FnMut() + Send> {
    let network = model.network();
    let images = Images::new(count).numbers();
    let parts = rayon::current_num_threads();
    let share = count.div_ceil(parts);
    let outputs = network.output_shape().len();
    let mut workspaces = vec![Workspace::new(&network, PREDICTION_BATCH); parts];
    let mut predictions = vec![0.0; count * outputs];
    Box::new(move || {
        threads::for_each_chunk(
            (&mut workspaces, 1),
            (&mut predictions, share * outputs),
            parts,
            |part, workspace, predictions| {
                let images = &images[part * share * Images::PIXELS..];
                let together = images.chunks(PREDICTION_BATCH * Images::PIXELS);
                let blocks = predictions.chunks_mut(PREDICTION_BATCH * outputs);
                for (images, block) in together.zip(blocks) {
                    let images = &images[..block.len() / outputs * Images::PIXELS];
                    block.copy_from_slice(network.predict(images, &mut workspace[0]));
                }
            },
        );
        black_box(&predictions);
    })
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Correlate(shape, pass) => write!(f, "correlate/{shape}/{}", pass.name()),
            Self::Step(model, size) => write!(f, "step/{}/{size}", model.name()),
            Self::Predict(model, images) => write!(f, "predict/{}/{images}", model.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Workload;
    use crate::on_threads;

    #[test]
    fn names_are_unique_and_tell_shape_and_pass() {
        let mut names: Vec<_> = Workload::all().iter().map(ToString::to_string).collect();
        assert!(names.contains(&"correlate/64x8x12x12*16x8x5x5/kernel-gradient".to_owned()));
        assert!(names.contains(&"step/notebook/32".to_owned()));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Workload::all().len());
    }

    #[test]
    fn networks_train_and_predict_on_two_threads() {
        let networks = Workload::all().into_iter().filter(|work| work.images().is_some());
        for workload in networks {
            on_threads(2, || workload.prepare()());
        }
    }
}
