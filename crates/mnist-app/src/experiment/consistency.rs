//! Settings that contradict one another: what they ask for together has no meaning, so it is
//! refused before anything runs.

use std::borrow::Borrow;
use std::path::Path;

use anyhow::{bail, ensure};
use layers::{Domain, Loss, Network, Outputs};
use tensor::Element;

use super::place::{of_setting, origin};
use super::{Experiment, narrow};
use crate::networks::{Which, place};

/// How images are cut into what runs through a network together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    samples: usize,
    /// As the experiment asks for them.
    batch_size: usize,
    shard_size: usize,
    run: Run,
}

/// What the images are for, which decides what there is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// All batches of an epoch.
    Training,
    /// A single batch of made-up images.
    Profile,
    /// All images in one shard.
    Inspection,
}

impl Cut {
    /// So many images, in the batches and shards of an experiment.
    pub(crate) fn of(experiment: &Experiment, samples: usize) -> Self {
        let (batch_size, shard_size) = (experiment.batch_size.get(), experiment.shard_size.get());
        Self { samples, batch_size, shard_size, run: Run::Training }
    }

    /// A single batch of an experiment.
    pub(crate) fn batch(experiment: &Experiment) -> Self {
        Self { run: Run::Profile, ..Self::of(experiment, experiment.batch_size.get()) }
    }

    /// All images in one shard.
    pub(crate) fn whole(samples: usize) -> Self {
        Self { samples, batch_size: samples, shard_size: samples, run: Run::Inspection }
    }

    /// A batch of more images than there are has all of them; at least one.
    pub(crate) fn batch_size(self) -> usize {
        self.batch_size.min(self.samples).max(1)
    }

    /// A shard of more images than a batch has all of them.
    pub(crate) fn shard_size(self) -> usize {
        self.shard_size.min(self.batch_size()).max(1)
    }

    /// Where a shard holds a single image, if one does.
    fn single(self) -> Option<String> {
        let (samples, batch_size, shard_size) =
            (self.samples, self.batch_size(), self.shard_size());
        let last = samples % batch_size;
        if shard_size == 1 {
            Some("a shard size of 1".into())
        } else if batch_size % shard_size == 1 {
            Some(format!("a batch of {batch_size} in shards of {shard_size}, the last of 1 image"))
        } else if last % shard_size == 1 {
            Some(format!(
                "{samples} images in batches of {batch_size} and shards of {shard_size}, the last \
                 of 1 image"
            ))
        } else {
            None
        }
    }

    /// What to change so that no shard holds a single image.
    fn remedy(self) -> String {
        let (samples, batch_size, shard_size) =
            (self.samples, self.batch_size(), self.shard_size());
        if self.run == Run::Inspection {
            return "choose --samples 2 or more".into();
        }
        let is_profile = self.run == Run::Profile;
        let fits = |cut: &Self| cut.single().is_none();
        let mut shards =
            (shard_size + 1..=batch_size).map(|shard_size| Self { shard_size, ..self });
        // A profile has as many images as its batch.
        let most = if is_profile { batch_size.saturating_add(shard_size) } else { samples };
        let mut batches = (batch_size.saturating_add(1)..=most).map(|batch_size| Self {
            batch_size,
            samples: if is_profile { batch_size } else { samples },
            ..self
        });
        let fewer = Some(Self { samples: samples.saturating_sub(1), ..self });
        let fewer = fewer.filter(|_| !is_profile);
        let flags = [
            shards.find(fits).map(|cut| format!("--shard-size {}", cut.shard_size)),
            batches.find(fits).map(|cut| format!("--batch-size {}", cut.batch_size)),
            fewer.filter(fits).map(|cut| format!("--train-limit {}", cut.samples)),
        ];
        let flags: Vec<_> = flags.into_iter().flatten().collect();
        match flags.as_slice() {
            [] if samples > 1 || is_profile => {
                "choose a larger --batch-size and a larger --shard-size".into()
            }
            [] => "more images are needed".into(),
            flags => format!("choose {}", flags.join(" or ")),
        }
    }
}

/// Whether an experiment means something: `networks` are those that it builds, `config` the file
/// that it is from, if it is no preset.
///
/// # Errors
/// If settings contradict one another; the message names the file, the line of the layer, and
/// what to change.
pub(crate) fn check<T: Element>(
    experiment: &Experiment,
    config: Option<&Path>,
    networks: &[impl Borrow<Network<T>>],
    cut: Cut,
) -> anyhow::Result<()> {
    narrow::check::<T>(experiment, config)?;
    for (which, network) in Which::each(experiment).zip(networks) {
        let network = network.borrow();
        if let Some(RefusedLoss { layer, complaint, remedy }) =
            refuse_loss(&experiment.loss, network)
        {
            let origin = match layer {
                Some(layer) => place(experiment, config, which, Some(layer)),
                None => origin(experiment, config, &["loss".into()]),
            };
            bail!("{origin}: {complaint}; {remedy}");
        }
        let Some(single) = cut.single() else { continue };
        let mut normalized = network.layers().map(|layer| layer.layer.normalized_over());
        if let Some(layer) = normalized.position(|over| over == Some(1)) {
            let summary = network.spec().layers[layer].summary();
            let complaint = format!(
                "layer {layer} ({summary}): expected more than one value a channel to normalise \
                 over in training, found a plane of 1×1 and {single}; {}",
                cut.remedy()
            );
            bail!("{}: {complaint}", place(experiment, config, which, Some(layer)));
        }
    }
    let steps = cut.samples.div_ceil(cut.batch_size());
    let epochs = experiment.epochs.get();
    ensure!(
        epochs.checked_mul(steps).is_some(),
        "{}: expected so many that their steps can be counted, found {epochs} of {steps} steps each",
        of_setting(experiment, config, &["epochs".into()])
    );
    Ok(())
}

/// Why a loss is no function of what a network gives.
pub(crate) struct RefusedLoss {
    /// The layer that gives it; none where the loss itself does not suit the network.
    layer: Option<usize>,
    /// What was expected and what found.
    pub(crate) complaint: String,
    remedy: String,
}

/// Whether a loss is a function of what a network gives.
pub(crate) fn refuse_loss<T: Element>(loss: &Loss, network: &Network<T>) -> Option<RefusedLoss> {
    let spec = network.spec();
    let (outputs, layer) = spec.outputs();
    let (key, count) = (loss.key(), network.output_shape().len());
    let weights = loss.class_weights().map(|weights| weights.as_slice().len());
    if let Some(weights) = weights.filter(|&weights| weights != count) {
        let complaint = format!(
            "expected {count} class_weights for the loss {key}, one for each output, found {weights}"
        );
        return Some(RefusedLoss { layer: None, complaint, remedy: "name one for each".into() });
    }
    if loss.fits(outputs) {
        return None;
    }
    let named = |layer: usize| format!("layer {layer} ({})", spec.layers[layer].summary());
    let is_dropped = outputs == Outputs::DroppedProbabilities;
    if loss.domain() == Domain::Probabilities {
        let complaint = format!(
            "expected outputs between 0 and 1 for the loss {key}, found {}, which does not keep \
             them there",
            named(layer)
        );
        let remedy = match is_dropped {
            true => "leave that layer out, or end with a sigmoid".into(),
            false => format!(
                "choose loss = {:?}, or end with a sigmoid",
                Loss::binary_cross_entropy_with_logits().key()
            ),
        };
        return Some(RefusedLoss { layer: Some(layer), complaint, remedy });
    }
    let layer = spec.last_probabilities().unwrap_or(layer);
    let complaint = format!(
        "expected logits for the loss {key}, which makes probabilities of them itself, found the \
         probabilities of {}",
        named(layer)
    );
    let remedy = match is_dropped {
        true => "leave that layer out".into(),
        false => {
            format!(
                "leave that layer out, or choose loss = {:?}",
                Loss::binary_cross_entropy().key()
            )
        }
    };
    Some(RefusedLoss { layer: Some(layer), complaint, remedy })
}
