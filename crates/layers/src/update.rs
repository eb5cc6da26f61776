use tensor::{Element, reduce, threads};

use crate::layer::Role;
use crate::network::Network;
use crate::optimizer::Optimizer;

/// Takes the optimizer's steps: sums the shards' gradients and changes the parameters,
/// in parts that threads share.
#[derive(Debug)]
pub(crate) struct Updater<T> {
    optimizer: Optimizer,
    steps: u64,
    /// What the optimizer remembers of each parameter; empty what it does not need.
    moments: [Vec<T>; 2],
    /// Where runs of parameters with the same weight decay end, and whether they have it.
    runs: Vec<(usize, bool)>,
}

/// Parameters of one part: 64 KiB of `f32`.
const PART: usize = 16_384;

impl<T: Element> Updater<T> {
    pub(crate) fn new(network: &Network<T>, optimizer: Optimizer) -> Self {
        let parameters = network.parameters().len();
        let moment = |i| if i < optimizer.moments() { parameters } else { 0 };
        let mut runs: Vec<(usize, bool)> = Vec::new();
        for (parameter, range) in network.named_parameters() {
            let decays =
                !optimizer.spares_biases() || matches!(parameter.role, Role::Weight { .. });
            match runs.last_mut() {
                Some(last) if last.1 == decays => last.0 = range.end,
                _ => runs.push((range.end, decays)),
            }
        }
        Self { optimizer, steps: 0, moments: [0, 1].map(|i| vec![T::ZERO; moment(i)]), runs }
    }

    /// Whether all there is to a step is `w ← w − η g`.
    pub(crate) fn is_plain_descent(&self) -> bool {
        self.optimizer.is_plain_descent()
    }

    /// Counts a step that the layers took themselves.
    pub(crate) fn count_step(&mut self) {
        self.steps += 1;
    }

    /// A step on `parameters` with learning rate `rate`. The gradient is the sum of
    /// `count` parts, each as long as `sum`, and is left in `sum`; if there are no parts,
    /// `sum` holds it already.
    pub(crate) fn step(
        &mut self,
        rate: f64,
        (parts, count): (&[T], usize),
        sum: &mut [T],
        parameters: &mut [T],
    ) {
        self.steps += 1;
        let stride = sum.len();
        let updates = [true, false].map(|decays| self.optimizer.update(rate, self.steps, decays));
        let runs = &self.runs;
        let [m, v] = &mut self.moments;
        threads::for_each_part([parameters, sum, m, v], PART, |first, [w, g, m, v]| {
            if count > 0 {
                reduce::sum_parts(parts, [count, stride], first, g);
            }
            let (mut at, len) = (0, w.len());
            for &(end, decays) in runs {
                let end = end.clamp(first + at, first + len) - first;
                if end > at {
                    let update = &updates[usize::from(!decays)];
                    let (m, v) = (part(m, at, end), part(v, at, end));
                    update.apply(&mut w[at..end], &g[at..end], [m, v]);
                    at = end;
                }
            }
        });
    }
}

/// The numbers from `at` to `end`, or none of none.
fn part<T>(numbers: &mut [T], at: usize, end: usize) -> &mut [T] {
    if numbers.is_empty() { numbers } else { &mut numbers[at..end] }
}
