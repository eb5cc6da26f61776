//! One training image on its way through the notebook's network, forward and backward, with all
//! numbers in `f64`.

use layers::{BackwardStart, LayerRun, Loss, Mode, Network};
use mnist_app::dataset::{DataSource, Part, Samples};
use mnist_app::preprocessing::Form;
use mnist_app::presets;
use tensor::Scratch;

/// The image, and all numbers that its two passes come to.
pub struct Walk {
    pub network: Network<f64>,
    pub loss: Loss,
    pub label: usize,
    pub input: Vec<f64>,
    pub target: Vec<f64>,
    pub error: f64,
    /// What each layer puts out.
    pub outputs: Vec<Vec<f64>>,
    /// How much the error depends on these numbers.
    pub gradients: Vec<Vec<f64>>,
    /// How much it depends on each layer's parameters.
    pub of_parameters: Vec<Vec<f64>>,
    /// How much it depends on the pixels.
    pub of_input: Vec<f64>,
}

/// The images to look at.
pub fn samples() -> anyhow::Result<Samples> {
    DataSource::Mnist.load(Part::Train, &Form::default())
}

/// A preset's network with the weights that it starts with.
pub fn network(preset: &str) -> anyhow::Result<Network<f64>> {
    let experiment = presets::experiment(preset)?;
    let mut network = experiment.networks.first().build()?;
    network.initialize(experiment.init, experiment.seed);
    Ok(network)
}

impl Walk {
    /// Of the first training image, at the notebook's start.
    pub fn new(samples: &Samples) -> anyhow::Result<Self> {
        let network = network("notebook")?;
        let loss = presets::experiment("notebook")?.loss;
        let mut input = vec![0.0; network.input_shape().len()];
        let mut target = vec![0.0; network.output_shape().len()];
        samples.write_image(0, &mut input);
        samples.write_target(0, &mut target);
        let mut walk = Self {
            label: samples.labels()[0].into(),
            outputs: forward(&network, &input),
            error: 0.0,
            of_input: vec![0.0; input.len()],
            gradients: Vec::new(),
            of_parameters: Vec::new(),
            network,
            loss,
            input,
            target,
        };
        walk.error = walk.loss.value(walk.outputs.last().expect("layers"), &walk.target);
        walk.backward();
        Ok(walk)
    }

    fn backward(&mut self) {
        let Self { network, loss, input, target, outputs, .. } = self;
        let (spec, scratch) = (network.spec(), &mut Scratch::sequential());
        let prediction = outputs.last().expect("layers");
        let gradient_at = |start: BackwardStart, len: usize| {
            let mut gradient = vec![0.0; len];
            start.gradient(loss, [prediction, target], target.len(), 1.0, &mut gradient);
            gradient
        };
        let at_output = gradient_at(BackwardStart::at_output(spec), target.len());
        // The last sigmoid and the loss are done as one, which loses no digits.
        let start = BackwardStart::new(spec, loss);
        let mut gradient = gradient_at(start, target.len());
        let (mut gradients, mut of_parameters) = (vec![at_output], vec![Vec::new()]);
        let layers: Vec<_> = network.layers().collect();
        for (index, layer) in layers.iter().enumerate().take(start.layers()).rev() {
            let mut run: LayerRun<'_, f64> = layer.run(layer.layer, 1, Mode::Inference);
            let input: &[f64] = if index == 0 { input } else { &outputs[index - 1] };
            run.forward(input, scratch);
            run.output_gradient.copy_from_slice(&gradient);
            let mut before = vec![0.0; input.len()];
            run.backward(input, Some(&mut before), scratch);
            gradients.push(std::mem::replace(&mut gradient, before));
            of_parameters.push(run.gradients.to_vec());
        }
        gradients.reverse();
        of_parameters.reverse();
        self.of_input = gradient;
        (self.gradients, self.of_parameters) = (gradients, of_parameters);
    }

    /// Where the parameters of a layer begin among all of them.
    pub fn start_of(&self, layer: usize) -> usize {
        let names = self.network.named_parameters();
        let own = format!("{layer}.weight");
        names.iter().find(|(array, _)| array.name == own).expect("a layer with weights").1.start
    }

    /// The error with one parameter of a layer moved by a step.
    pub fn error_with(&self, layer: usize, place: usize, step: f64) -> f64 {
        let mut moved = self.network.clone();
        moved.parameters_mut()[self.start_of(layer) + place] += step;
        self.loss.value(forward(&moved, &self.input).last().expect("layers"), &self.target)
    }

    /// The error with one pixel moved by a step.
    pub fn error_with_pixel(&self, place: usize, step: f64) -> f64 {
        let mut moved = self.input.clone();
        moved[place] += step;
        self.loss.value(forward(&self.network, &moved).last().expect("layers"), &self.target)
    }

    /// The parameters of a layer.
    pub fn parameters(&self, layer: usize) -> &[f64] {
        &self.network.parameters()[self.start_of(layer)..][..self.of_parameters[layer].len()]
    }

    /// The error after a step of gradient descent.
    pub fn error_after(&self, rate: f64) -> f64 {
        let mut moved = self.network.clone();
        let gradient = self.of_parameters.iter().flatten();
        moved.parameters_mut().iter_mut().zip(gradient).for_each(|(w, g)| *w -= rate * g);
        self.loss.value(forward(&moved, &self.input).last().expect("layers"), &self.target)
    }
}

/// What each layer puts out.
pub fn forward(network: &Network<f64>, input: &[f64]) -> Vec<Vec<f64>> {
    let mut scratch = Scratch::sequential();
    let mut outputs: Vec<Vec<f64>> = Vec::new();
    for layer in network.layers() {
        let mut run = layer.run(layer.layer, 1, Mode::Inference);
        run.forward(outputs.last().map_or(input, Vec::as_slice), &mut scratch);
        outputs.push(run.output.to_vec());
    }
    outputs
}

/// The place of the number that is furthest from 0.
pub fn largest(numbers: &[f64]) -> usize {
    let size = |place: &usize| numbers[*place].abs();
    (0..numbers.len()).max_by(|a, b| size(a).total_cmp(&size(b))).expect("numbers")
}
