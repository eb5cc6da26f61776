//! One step of a training, layer by layer.

use layers::{BackwardStart, Dataset, Draw, Epoch, Loss, Mode, Network, TrainerConfig};
use tensor::Element;

use super::finding::{Finding, first_non_finite};
use crate::layer_rows::layer_rows;
use crate::memory;
use crate::passes::{Passes, Stage, short};
use crate::width::cut;

/// A step of a run: the samples that it takes, and what its layers draw.
#[derive(Debug)]
pub(super) struct Step {
    /// Its epoch, counted from 1.
    epoch: usize,
    /// The step in its epoch, counted from 1.
    pub(super) number: usize,
    /// The samples, as indices into the data.
    samples: Vec<usize>,
    /// How many of them make a shard.
    shard_size: usize,
    draw: Draw,
}

/// What the layers make of the samples of one shard.
pub(super) struct Examination {
    /// A table of the layers' values.
    pub(super) lines: Vec<String>,
    /// The first number that is not finite; its sample is an index into the data.
    pub(super) finding: Option<Finding>,
}

impl Step {
    /// The step of the run that comes after `before` others, which is one of this epoch's.
    pub(super) fn new(epoch: &Epoch, config: &TrainerConfig, samples: usize, before: u64) -> Self {
        let steps = samples.div_ceil(config.batch_size);
        // Less than `steps`.
        let step = usize::try_from(before % steps as u64).unwrap_or(0);
        let order = epoch.order(config.seed, samples);
        let end = samples.min((step + 1) * config.batch_size);
        Self {
            epoch: epoch.number(),
            number: step + 1,
            samples: order[step * config.batch_size..end].to_vec(),
            shard_size: config.shard_size,
            draw: Draw { seed: config.seed, step: before, ..Draw::default() },
        }
    }

    /// Computes the step again, a shard at a time, up to the first with a number that is not
    /// finite; without one, what is shown is the first shard. `None` if there is too little memory.
    ///
    /// `now` is the step, counted from 1, that the network is about to take.
    pub(super) fn examine<T: Element>(
        &self,
        network: &Network<T>,
        loss: &Loss,
        data: &impl Dataset<T>,
        now: usize,
    ) -> Option<Examination> {
        let mut first = None;
        for shard in 0..self.samples.len().div_ceil(self.shard_size) {
            let examination = self.examine_shard(network, loss, data, (shard, now))?;
            if examination.finding.is_some() {
                return Some(examination);
            }
            first = first.or(Some(examination));
        }
        first
    }

    /// The same for a shard, counted from 0.
    pub(super) fn examine_shard<T: Element>(
        &self,
        network: &Network<T>,
        loss: &Loss,
        data: &impl Dataset<T>,
        (shard, now): (usize, usize),
    ) -> Option<Examination> {
        let before = shard * self.shard_size;
        let samples = self.samples.chunks(self.shard_size).nth(shard)?;
        let draw = Draw { first_sample: before as u64, ..self.draw };
        let scale = 1.0 / self.samples.len() as f64;
        let mode = Mode::Training(draw);
        let mut examination = examine(network, loss, data, (samples, scale), mode)?;
        let (epoch, number) = (self.epoch, self.number);
        let images = match samples {
            [image] => format!("image {image} of step {number}"),
            _ => format!("{} images of step {number}, {} the first", samples.len(), samples[0]),
        };
        examination.lines.insert(0, format!("epoch {epoch}, step {now}, on the {images}:"));
        Some(examination)
    }
}

/// Runs samples through the network as one shard: in training forward and, if all losses are
/// finite, backward from the gradient of `scale` times their sum. `None` if there is too little
/// memory.
pub(super) fn examine<T: Element>(
    network: &Network<T>,
    loss: &Loss,
    data: &impl Dataset<T>,
    (samples, scale): (&[usize], f64),
    mode: Mode,
) -> Option<Examination> {
    let footprint = network.spec().footprint::<T>().ok()?;
    if !memory::suffices(footprint.inspection(samples.len())) {
        return None;
    }
    let (input, output) = (network.input_shape().len(), network.output_shape().len());
    let mut inputs = vec![T::ZERO; samples.len() * input];
    let mut targets = vec![T::ZERO; samples.len() * output];
    let rows = inputs.chunks_exact_mut(input).zip(targets.chunks_exact_mut(output));
    for (&sample, (input, target)) in samples.iter().zip(rows) {
        data.write(sample, input, target);
    }
    let mut passes = Passes::new(network, &inputs, mode);
    passes.forward();
    let rows = passes.output().chunks_exact(output).zip(targets.chunks_exact(output));
    let losses: Vec<_> = rows.map(|(y, target)| loss.value(y, target)).collect();
    let trains = matches!(mode, Mode::Training(_)) && losses.iter().all(|loss| loss.is_finite());
    let backward = trains.then(|| BackwardStart::new(network.spec(), loss).layers());
    if backward.is_some() {
        passes.backward(loss, &targets, scale);
    }
    let mut finding = first_non_finite(&passes, &inputs, &losses, backward);
    if let Some(Finding { sample: Some(sample), .. }) = &mut finding {
        *sample = samples[*sample];
    }
    let stages = passes.stages();
    let rows = stages
        .iter()
        .enumerate()
        .map(|(index, stage)| row(stage, backward.is_some_and(|layers| index < layers)));
    let lines = std::iter::once(HEAD.to_owned()).chain(layer_rows(rows)).collect();
    Some(Examination { lines, finding })
}

const HEAD: &str = "  layer                             min      max    zero  satur. gradient  bad";

/// The range of a layer's outputs, how many of them are 0, how many have a derivative of nearly 0,
/// the largest gradient of one, and how many are not finite.
fn row<T: Element>(stage: &Stage<'_, T>, has_gradient: bool) -> String {
    let output = &stage.run.output;
    let finite = || output.iter().map(|x| x.to_f64()).filter(|x| x.is_finite());
    let share = |part: usize| format!("{:.1}%", 100.0 * part as f64 / output.len() as f64);
    let bad = output.len() - finite().count();
    let [min, max] = match bad == output.len() {
        true => [String::new(), String::new()],
        false => [finite().fold(f64::INFINITY, f64::min), finite().fold(-f64::INFINITY, f64::max)]
            .map(short),
    };
    let largest = |numbers: &[T]| {
        // Unlike `f64::max`, this keeps a NaN.
        let larger = |most: f64, x: f64| if x > most || x.is_nan() { x } else { most };
        numbers.iter().map(|x| x.to_f64().abs()).fold(0.0, larger)
    };
    let saturated = stage.saturated().filter(|_| bad == 0);
    let name = cut(&stage.layer.spec.summary(), 26);
    format!(
        "{:>3} {name:<27}{min:>9}{max:>9}{:>8}{:>8}{:>9}{:>5}",
        stage.layer.index,
        share(finite().filter(|&x| x == 0.0).count()),
        saturated.map_or(String::new(), |saturated| format!("{:.1}%", 100.0 * saturated)),
        if has_gradient { short(largest(&stage.run.output_gradient)) } else { String::new() },
        if bad == 0 { String::new() } else { bad.to_string() },
    )
    .trim_end()
    .to_owned()
}
