use std::sync::atomic::{AtomicBool, Ordering};

use tensor::{Element, map, reduce, threads};

use crate::layer::Role;
use crate::network::Network;
use crate::optimizer::{Optimizer, Step};
use crate::step::all_finite;
use crate::trainer_config::TrainerConfig;

/// Takes the optimizer's steps: sums the shards' gradients, clips the sum, and updates the
/// parameters and their moving average, in parts that threads share.
#[derive(Debug)]
pub(crate) struct Updater<T> {
    optimizer: Optimizer,
    clip_norm: Option<f64>,
    average_decay: Option<f64>,
    state: TrainerState<T>,
    /// The sum of the squared gradients of each part.
    squares: Vec<f64>,
    /// Where runs of parameters with the same weight decay end, and whether they have it.
    runs: Vec<(usize, bool)>,
}

/// A [`Trainer`](crate::Trainer)'s state besides the network: with both, a run continues with the
/// same bits.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainerState<T> {
    /// How many steps were taken.
    pub steps: u64,
    /// The velocity of each parameter, or the mean of the gradients in Adam and Lion; empty if the
    /// optimizer keeps none.
    pub momentum: Vec<T>,
    /// The mean of the squared gradients in Adam and `RMSprop`; empty if the optimizer keeps none.
    pub squares: Vec<T>,
    /// The moving average of the parameters; empty if none is kept.
    pub average: Vec<T>,
}

/// Parameters of one part of an update: few enough that threads share a small network's evenly,
/// such as LeNet's 37,610 in ten parts.
const PART: usize = 4_096;

/// Parameters of one part of a norm. It determines the order of summation.
const NORM_PART: usize = 16_384;

/// PyTorch's ε, added to the norm that a gradient is divided by.
const CLIP_EPSILON: f64 = 1e-6;

impl<T: Element> Updater<T> {
    pub(crate) fn new(network: &Network<T>, config: &TrainerConfig) -> Self {
        let TrainerConfig { optimizer, clip_norm, average: average_decay, .. } = *config;
        let parameters = network.parameters().len();
        let numbers = |wanted| vec![T::ZERO; if wanted { parameters } else { 0 }];
        let [momentum, squares] = optimizer.moments().map(numbers);
        let state =
            TrainerState { steps: 0, momentum, squares, average: numbers(average_decay.is_some()) };
        let mut runs: Vec<(usize, bool)> = Vec::new();
        for (parameter, range) in network.named_parameters() {
            let is_weight = matches!(parameter.role, Role::Weight { .. });
            let decays = is_weight || !optimizer.spares_biases();
            match runs.last_mut() {
                Some(last) if last.1 == decays => last.0 = range.end,
                _ => runs.push((range.end, decays)),
            }
        }
        let squares = vec![0.0; parameters.div_ceil(NORM_PART)];
        Self { optimizer, clip_norm, average_decay, state, squares, runs }
    }

    /// Counts a step that the layers took themselves.
    pub(crate) fn count_step(&mut self) {
        self.state.steps += 1;
    }

    pub(crate) fn state(&self) -> &TrainerState<T> {
        &self.state
    }

    /// Continues from `state`.
    ///
    /// # Panics
    /// If its arrays are not as long as those of this trainer.
    #[track_caller]
    pub(crate) fn restore(&mut self, state: TrainerState<T>) {
        let lens = |s: &TrainerState<T>| [s.momentum.len(), s.squares.len(), s.average.len()];
        let (expected, found) = (lens(&self.state), lens(&state));
        assert_eq!(expected, found, "restore: lengths of momentum, squares and average");
        self.state = state;
    }

    /// Takes a step on `parameters` with learning rate `rate`, on at most `threads` threads. The
    /// gradient is the sum of the `count` shards' `gradients`, each as long as `sum`, and is
    /// written to `sum`; if `count` is 0, `sum` holds it already.
    ///
    /// Returns whether the parameters are finite.
    pub(crate) fn step(
        &mut self,
        (rate, threads): (f64, usize),
        (gradients, mut count): (&[T], usize),
        sum: &mut [T],
        parameters: &mut [T],
    ) -> bool {
        let stride = sum.len();
        let mut scale = None;
        if let Some(most) = self.clip_norm {
            let norm = sum_and_norm((gradients, count), sum, &mut self.squares, threads);
            let factor = most / (norm + CLIP_EPSILON);
            scale = (factor < 1.0).then(|| T::from_f64(factor));
            count = 0;
        }
        let TrainerState { steps, momentum, squares, average } = &mut self.state;
        // The average starts as a copy of the parameters after the first step.
        let decay = if *steps == 0 { Some(0.0) } else { self.average_decay };
        let rest = T::from_f64(1.0 - decay.unwrap_or(0.0));
        *steps += 1;
        let (optimizer, of_step) = (self.optimizer, self.optimizer.steps(rate, *steps));
        let runs = &self.runs;
        let slices = [parameters, sum, momentum, squares, average];
        let is_finite = AtomicBool::new(true);
        threads::for_each_part(slices, PART, threads, |first, [w, g, m, v, average]| {
            if count > 0 {
                reduce::sum_pairwise(gradients, [count, stride], first, g);
            }
            if let Some(scale) = scale {
                g.iter_mut().for_each(|g| *g *= scale);
            }
            update(runs, first, (optimizer, of_step), [&mut *w, g, m, v]);
            // While they are in the cache.
            if !all_finite(w) {
                is_finite.store(false, Ordering::Relaxed);
            }
            if !average.is_empty() {
                map::lerp(average, rest, w);
            }
        });
        is_finite.into_inner()
    }
}

/// Updates the parameters from `first` on, run by run.
fn update<T: Element>(
    runs: &[(usize, bool)],
    first: usize,
    (optimizer, [decaying, other]): (Optimizer, [Step; 2]),
    [w, g, m, v]: [&mut [T]; 4],
) {
    let (mut at, len) = (0, w.len());
    for &(end, decays) in runs {
        let end = end.clamp(first + at, first + len) - first;
        if end > at {
            let moments = [slice(m, at, end), slice(v, at, end)];
            let step = if decays { decaying } else { other };
            optimizer.apply(step, &mut w[at..end], &g[at..end], moments);
            at = end;
        }
    }
}

/// The numbers from `at` to `end`; empty for an empty slice, which stands for an array that is not
/// kept.
fn slice<T>(numbers: &mut [T], at: usize, end: usize) -> &mut [T] {
    if numbers.is_empty() { numbers } else { &mut numbers[at..end] }
}

/// Sums the shards' gradients into `sum` and returns its norm: squares are added in `f64`, in
/// blocks of [`NORM_PART`], whichever thread takes which.
fn sum_and_norm<T: Element>(
    (gradients, count): (&[T], usize),
    sum: &mut [T],
    squares: &mut [f64],
    threads: usize,
) -> f64 {
    let stride = sum.len();
    threads::for_each_chunk((sum, NORM_PART), (squares, 1), threads, |index, sum, squares| {
        if count > 0 {
            reduce::sum_pairwise(gradients, [count, stride], index * NORM_PART, sum);
        }
        squares[0] = sum_of_squares(sum);
    });
    reduce::sum(squares).sqrt()
}

/// Eight sums run side by side, so that no addition waits for the one before; their blocks are
/// added in the tree of a [`reduce::Total`].
fn sum_of_squares<T: Element>(x: &[T]) -> f64 {
    let mut total = reduce::Total::default();
    for block in x.chunks(128) {
        let mut sums = [0.0; 8];
        for chunk in block.chunks(8) {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *sum += x.to_f64() * x.to_f64();
            }
        }
        total.add(sums.iter().sum());
    }
    total.value()
}
