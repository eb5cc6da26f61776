//! What goes on in each layer, at the start of a run and now: its weights and its outputs.

use layers::{Draw, LayerSpec, Mode, Network};
use tensor::Element;

use super::histogram::{Flat, Histogram, range};
use crate::dataset::Samples;
use crate::memory;
use crate::passes::{Passes, Stage};

/// The same numbers at the start, if that is known, and now.
pub(super) struct Pair {
    pub(super) start: Option<Histogram>,
    pub(super) now: Histogram,
}

/// A layer's numbers.
pub(super) struct LayerActivity {
    /// The layer's place in the network, from 0.
    pub(super) index: usize,
    /// The layer in a few words.
    pub(super) name: String,
    /// The shape of its output for one image.
    pub(super) shape: String,
    /// Its weights, without biases; none if it has none.
    pub(super) weights: Option<Pair>,
    /// Its outputs for some training images.
    pub(super) outputs: Pair,
    /// What it means that its derivative is close to 0; of activations.
    pub(super) flat: Flat,
    /// Its units: channels if the output is an image.
    pub(super) units: usize,
    /// How many units are flat for every image, at the start, if that is known, and now; of
    /// activations.
    pub(super) dead: [Option<usize>; 2],
}

/// Images that are enough to see how numbers are distributed.
const MOST_IMAGES: usize = 64;

/// The most memory for all their numbers.
const MOST_BYTES: u64 = 64 << 20;

/// How many training images the layers are looked at with.
///
/// # Errors
/// If there is too little memory for one.
pub(super) fn images<T: Element>(network: &Network<T>, train: &Samples) -> anyhow::Result<usize> {
    let footprint = network.spec().footprint::<T>()?;
    let fits = |count: &usize| footprint.inspection(*count) <= MOST_BYTES;
    let count = (1..=MOST_IMAGES.min(train.len())).rev().find(fits).unwrap_or(1);
    let bytes = footprint.inspection(count).saturating_mul(2);
    memory::require("a look into each layer", bytes, "choose a smaller network")?;
    Ok(count)
}

/// What goes on in each layer with the first so many training images, as a training step with this
/// seed meets them.
pub(super) fn of_layers<T: Element>(
    (start, now): (Option<&Network<T>>, &Network<T>),
    train: &Samples,
    images: usize,
    seed: u64,
) -> Vec<LayerActivity> {
    let len = now.input_shape().len();
    let mut input = vec![T::ZERO; images * len];
    for (index, input) in input.chunks_exact_mut(len).enumerate() {
        train.write_image(index, input);
    }
    let mode = || Mode::Training(Draw { seed, ..Draw::default() });
    let mut passes = Passes::new(now, &input, mode());
    passes.forward();
    let mut before = start.map(|network| Passes::new(network, &input, mode()));
    before.iter_mut().for_each(Passes::forward);
    let stages = passes.stages().iter().enumerate();
    let of_layer = |(index, stage): (usize, &Stage<'_, T>)| {
        let before = before.as_ref().map(|passes| &passes.stages()[index]);
        let weights = [start, Some(now)].map(|network| network.map(|it| weights(it, index)));
        let [first, last] = weights;
        let last = last.unwrap_or_default();
        LayerActivity {
            index,
            name: stage.layer.spec.summary(),
            shape: stage.layer.layer.output_shape().to_string(),
            weights: (!last.is_empty()).then(|| pair((first.as_deref(), None), (&last, None))),
            outputs: pair(
                (
                    before.map(|stage| &stage.run.output[..]),
                    before.and_then(Stage::saturated_outputs),
                ),
                (&stage.run.output, stage.saturated_outputs()),
            ),
            flat: match stage.layer.spec {
                LayerSpec::Relu(_) => Flat::Zero,
                _ if stage.squashes() => Flat::Saturated,
                _ => Flat::Low,
            },
            units: stage.units(),
            dead: [before.and_then(Stage::dead), stage.dead()],
        }
    };
    stages.map(of_layer).collect()
}

/// All weights of a layer, those of layers within it too; no biases, no scales.
fn weights<T: Element>(network: &Network<T>, index: usize) -> Vec<T> {
    let prefix = format!("{index}.");
    let own = network.named_parameters().into_iter().filter(|(parameter, _)| {
        parameter.name.starts_with(&prefix) && parameter.shape.dims().len() > 1
    });
    let own = own.filter(|(parameter, _)| parameter.name.ends_with("weight"));
    own.flat_map(|(_, range)| network.parameters()[range].to_vec()).collect()
}

/// Numbers, and which of them are marked.
type Marked<'a, T> = (&'a [T], Option<&'a [bool]>);

/// Two histograms with the same bars.
fn pair<T: Element>((start, marks): (Option<&[T]>, Option<&[bool]>), now: Marked<'_, T>) -> Pair {
    let range = range(start.unwrap_or_default(), now.0);
    Pair {
        start: start.map(|start| Histogram::of((start, marks), range)),
        now: Histogram::of(now, range),
    }
}
