//! The notebook's program a second time, in plain loops and from other start weights:
//! what the trainer computes must not depend on how it is written.

use layers::Init;
use tensor::{Correlation, reference};

use crate::common::{CLASSES, losses, mnist, notebook, trainer};

#[test]
fn the_trainer_does_what_plain_loops_do() {
    for (seed, init, samples) in [(1, Init::StandardNormal, 25), (2, Init::Xavier, 25)] {
        let mut network = notebook().networks.first().build::<f64>().unwrap();
        network.initialize(init, seed);
        let mut plain = Plain::new(network.parameters());
        let mut trainer = trainer(&notebook(), network);
        let found = losses(&mut trainer, samples, 0.05);
        for (sample, found) in found.into_iter().enumerate() {
            let expected = plain.step(sample, 0.05);
            let difference = (found - expected).abs() / expected;
            assert!(difference < 1e-10, "seed {seed}, sample {sample}: {difference:e}");
        }
        for (found, expected) in trainer.network().parameters().iter().zip(plain.parameters()) {
            let difference = (found - expected).abs();
            assert!(difference < 1e-10, "seed {seed}: {difference:e}");
        }
    }
}

const FEATURES: usize = 6 * 26 * 26;
const HIDDEN: usize = 100;

/// The weights in the order of the network's flat vector, or their gradients.
pub struct Plain {
    kernels: Vec<f64>,
    kernel_bias: Vec<f64>,
    hidden: Vec<f64>,
    hidden_bias: Vec<f64>,
    output: Vec<f64>,
    output_bias: Vec<f64>,
}

/// What a sample leaves behind on both ways.
pub struct Traces {
    pub loss: f64,
    /// Of each layer but the reshape.
    pub layers: [Trace; 6],
    pub gradients: Plain,
}

/// A layer's output, and the gradient of the loss there.
pub type Trace = (Vec<f64>, Vec<f64>);

impl Plain {
    pub fn new(parameters: &[f64]) -> Self {
        let mut rest = parameters.iter().copied();
        let mut take = |count| -> Vec<f64> { rest.by_ref().take(count).collect() };
        Self {
            kernels: take(6 * 9),
            kernel_bias: take(FEATURES),
            hidden: take(HIDDEN * FEATURES),
            hidden_bias: take(HIDDEN),
            output: take(CLASSES * HIDDEN),
            output_bias: take(CLASSES),
        }
    }

    pub fn parameters(&self) -> Vec<f64> {
        let Self { kernels, kernel_bias, hidden, hidden_bias, output, output_bias } = self;
        [kernels, kernel_bias, hidden, hidden_bias, output, output_bias].map(|x| &x[..]).concat()
    }

    /// The loss of a training sample, before the step of gradient descent on it.
    fn step(&mut self, sample: usize, rate: f64) -> f64 {
        let Traces { loss, gradients, .. } = self.trace(sample);
        let mut parameters = self.parameters();
        for (weight, gradient) in parameters.iter_mut().zip(gradients.parameters()) {
            *weight -= rate * gradient;
        }
        *self = Self::new(&parameters);
        loss
    }

    /// Forward and backward with a training sample.
    pub fn trace(&self, sample: usize) -> Traces {
        let convolution = Correlation::new([1, 28, 28], 6, [3, 3]).unwrap();
        let mut image = [0.0; 28 * 28];
        mnist().0.write_image(sample, &mut image);
        let label = usize::from(mnist().0.labels()[sample]);
        let target = |class: usize| if class == label { 1.0 } else { 0.0 };

        let mut convolved = vec![0.0; FEATURES];
        let bias = tensor::Bias::Untied(&self.kernel_bias);
        reference::forward(&convolution, &image, &self.kernels, bias, &mut convolved);
        let features = map(&convolved, |x| reference::sigmoid(x)[0]);
        let sums = affine(&self.hidden, &self.hidden_bias, &features);
        let hidden = map(&sums, f64::tanh);
        let logits = affine(&self.output, &self.output_bias, &hidden);
        let output = map(&logits, |x| reference::sigmoid(x)[0]);
        let terms = output.iter().enumerate().map(|(class, &p)| {
            let t = target(class);
            t * p.ln() + (1.0 - t) * (1.0 - p).ln()
        });
        let loss = -terms.sum::<f64>() / CLASSES as f64;

        let at_output = output.iter().enumerate().map(|(class, &p)| {
            let t = target(class);
            ((1.0 - t) / (1.0 - p) - t / p) / CLASSES as f64
        });
        let at_output: Vec<f64> = at_output.collect();
        let at_logits = products(&at_output, &map(&output, |y| y * (1.0 - y)));
        let at_hidden = transposed(&self.output, &at_logits, HIDDEN);
        let at_sums = products(&at_hidden, &map(&hidden, |y| 1.0 - y * y));
        let at_features = transposed(&self.hidden, &at_sums, FEATURES);
        let at_convolved = products(&at_features, &map(&features, |y| y * (1.0 - y)));
        let mut at_kernels = vec![0.0; 6 * 9];
        reference::kernel_gradient(&convolution, &image, &at_convolved, &mut at_kernels);

        let gradients = Self {
            kernels: at_kernels,
            kernel_bias: at_convolved.clone(),
            hidden: outer(&at_sums, &features),
            hidden_bias: at_sums.clone(),
            output: outer(&at_logits, &hidden),
            output_bias: at_logits.clone(),
        };
        let layers = [
            (convolved, at_convolved),
            (features, at_features),
            (sums, at_sums),
            (hidden, at_hidden),
            (logits, at_logits),
            (output, at_output),
        ];
        Traces { loss, layers, gradients }
    }
}

fn map(x: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
    x.iter().map(|&x| f(x)).collect()
}

fn products(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}

/// `W x + b`.
fn affine(weights: &[f64], bias: &[f64], x: &[f64]) -> Vec<f64> {
    let rows = weights.chunks(x.len()).zip(bias);
    rows.map(|(row, b)| b + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()).collect()
}

/// `Wᵀ g`.
fn transposed(weights: &[f64], g: &[f64], inputs: usize) -> Vec<f64> {
    let mut sums = vec![0.0; inputs];
    for (row, g) in weights.chunks(inputs).zip(g) {
        sums.iter_mut().zip(row).for_each(|(sum, w)| *sum += w * g);
    }
    sums
}

/// `g xᵀ`.
fn outer(g: &[f64], x: &[f64]) -> Vec<f64> {
    g.iter().flat_map(|g| x.iter().map(move |x| g * x)).collect()
}
