//! A network that does not learn.

use layers::{Draw, Loss, Mode, Network};
use serde::{Deserialize, Serialize};
use tensor::Element;

use crate::dataset::Samples;
use crate::memory;
use crate::passes::{Passes, Stage, root_mean_square};
use crate::statistics::wilson_interval;

/// How many of the first training images are looked at. They are few, so that this takes less than
/// a hundredth of an epoch even where an epoch takes 60 ms.
const IMAGES: usize = 32;

/// The share of a layer from which it is said to be saturated or dead.
const MOST: f64 = 0.9;

/// The ratio to the largest of the layers' gradients below which one has vanished.
const VANISHED: f64 = 1e-6;

/// The fewest steps after which something must have been learned.
const STEPS: u64 = 100;

/// Watches whether a network learns, and says so once if it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::train) struct Learning {
    has_warned: bool,
}

/// What a run has come to after an epoch.
pub(in crate::train) struct Progress<'a> {
    /// How many epochs are done.
    pub(in crate::train) epochs: usize,
    /// How many steps are done.
    pub(in crate::train) steps: u64,
    /// How many training images were right as they were met in the last epoch.
    pub(in crate::train) train_correct: usize,
    /// How many of the validation images, or of the test images where there are no others, were
    /// right.
    pub(in crate::train) correct: usize,
    pub(in crate::train) train: &'a Samples,
    /// These images, and their word.
    pub(in crate::train) samples: &'a Samples,
    pub(in crate::train) word: &'a str,
}

impl Learning {
    /// Whether it has said that the network does not learn.
    pub(in crate::train) fn has_warned(self) -> bool {
        self.has_warned
    }

    /// What is wrong with the network after an epoch, if anything is that was not said before.
    ///
    /// It is looked for after 1, 2, 4, 8 … epochs: what is broken stays broken, and longer runs
    /// have more time.
    pub(in crate::train) fn warning<T: Element>(
        &mut self,
        (network, loss): (&Network<T>, &Loss),
        progress: &Progress<'_>,
    ) -> Option<String> {
        if self.has_warned || !progress.epochs.is_power_of_two() {
            return None;
        }
        let warning = complaint(network, loss, progress);
        self.has_warned = warning.is_some();
        warning
    }
}

fn complaint<T: Element>(
    network: &Network<T>,
    loss: &Loss,
    progress: &Progress<'_>,
) -> Option<String> {
    let count = IMAGES.min(progress.train.len());
    let footprint = network.spec().footprint::<T>().ok()?;
    if !memory::suffices(footprint.inspection(count)) {
        return None;
    }
    let (input, output) = (network.input_shape().len(), network.output_shape().len());
    let mut inputs = vec![T::ZERO; count * input];
    let mut targets = vec![T::ZERO; count * output];
    let rows = inputs.chunks_exact_mut(input).zip(targets.chunks_exact_mut(output));
    for (sample, (input, target)) in rows.enumerate() {
        progress.train.write_image(sample, input);
        progress.train.write_target(sample, target);
    }
    let mut passes = Passes::new(network, &inputs, Mode::Training(Draw::default()));
    passes.forward();
    passes.backward(loss, &targets, 1.0 / count as f64);
    let stages = passes.stages();
    let weakest = weakest(stages);
    // What comes last is meant to be sure of itself.
    let inner = stages.iter().take(stages.len() - 1);
    let cause = inner.filter_map(saturated).next().or_else(|| {
        let (stage, ratio) = weakest.filter(|&(_, ratio)| ratio < VANISHED)?;
        Some(format!(
            "the gradient of layer {} has vanished, to {ratio:.0e} of the largest; another init, \
             fewer layers, relu or a batch_norm2d may help",
            named(stage)
        ))
    });
    let cause = cause.or_else(|| {
        if !is_chance(progress) {
            return None;
        }
        let Some((stage, ratio)) = weakest else {
            let last = stages.last()?;
            return Some(format!(
                "all gradients are exactly 0 for {count} images, as the last layer, {}, is flat \
                 where its inputs lie; smaller initial weights, a smaller learning_rate or another \
                 loss may help",
                named(last)
            ));
        };
        Some(format!(
            "it has learned nothing yet: {} of {} training images and {} of {} {} images right \
             are no more than one answer for all would get; layer {} has the smallest gradient, \
             {ratio:.0e} of the largest; another learning_rate or init may help",
            progress.train_correct,
            progress.train.len(),
            progress.correct,
            progress.samples.len(),
            progress.word,
            named(stage)
        ))
    })?;
    Some(format!(
        "warning: the network does not learn well, after epoch {}: {cause}",
        progress.epochs
    ))
}

/// What is said of an activation if most of it has no derivative.
fn saturated<T: Element>(stage: &Stage<'_, T>) -> Option<String> {
    let share = stage.saturated()?;
    if stage.squashes() && share > MOST {
        return Some(format!(
            "{:.0} % of the outputs of layer {} are saturated, so that hardly any gradient comes \
             through; smaller initial weights (init = \"xavier\") or a smaller learning_rate may \
             help",
            100.0 * share,
            named(stage)
        ));
    }
    let (dead, units) = (stage.dead()?, stage.units());
    (dead as f64 > MOST * units as f64).then(|| {
        format!(
            "{dead} of {units} units of layer {} are dead: none of {} images brings them a \
             gradient; a smaller learning_rate, init = \"he\" or leaky_relu may help",
            named(stage),
            stage.samples
        )
    })
}

/// The layer whose parameters get the smallest gradient, and its ratio to the largest.
fn weakest<'a, 'b, T: Element>(stages: &'a [Stage<'b, T>]) -> Option<(&'a Stage<'b, T>, f64)> {
    let learning = stages.iter().filter(|stage| !stage.layer.parameters.is_empty());
    let sizes = learning.map(|stage| (stage, root_mean_square(&stage.run.gradients)));
    let sizes: Vec<_> = sizes.collect();
    let largest = sizes.iter().map(|&(_, size)| size).fold(0.0, f64::max);
    let weakest = sizes.into_iter().min_by(|(_, a), (_, b)| a.total_cmp(b));
    weakest.filter(|_| largest > 0.0).map(|(stage, size)| (stage, size / largest))
}

/// Whether enough steps were taken, and neither the training images nor the others say that more was
/// learned than which class is the most frequent.
fn is_chance(progress: &Progress<'_>) -> bool {
    let Progress { train, samples, train_correct, correct, .. } = *progress;
    let is_chance = |samples: &Samples, correct: usize| {
        let most = samples.of_each_class().into_iter().max().unwrap_or_default();
        let constant = most as f64 / samples.len() as f64;
        let [_, high] = wilson_interval(correct, samples.len());
        high < constant + 0.05 * (1.0 - constant)
    };
    progress.steps >= STEPS && is_chance(train, train_correct) && is_chance(samples, correct)
}

/// `4 (Tanh)`.
fn named<T: Element>(stage: &Stage<'_, T>) -> String {
    format!("{} ({})", stage.layer.index, stage.layer.spec.summary())
}
