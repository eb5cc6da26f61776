//! Settings that contradict one another: what they ask for together has no meaning, so it is
//! refused before anything runs.

use std::borrow::Borrow;
use std::path::Path;

use anyhow::{anyhow, ensure};
use layers::{Loss, Network};
use tensor::Element;

use super::Experiment;
use crate::networks::{Which, place};

/// How images are cut into what runs through a network together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    samples: usize,
    /// As the experiment asks for them.
    batch_size: usize,
    shard_size: usize,
}

impl Cut {
    /// So many images, in the batches and shards of an experiment.
    pub(crate) fn of(experiment: &Experiment, samples: usize) -> Self {
        let (batch_size, shard_size) = (experiment.batch_size.get(), experiment.shard_size.get());
        Self { samples, batch_size, shard_size }
    }

    /// All images in one shard.
    pub(crate) fn whole(samples: usize) -> Self {
        Self { samples, batch_size: samples, shard_size: samples }
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
        let fits = |cut: &Self| cut.single().is_none();
        let mut shards =
            (shard_size + 1..=batch_size).map(|shard_size| Self { shard_size, ..self });
        let mut batches = (batch_size + 1..=samples).map(|batch_size| Self { batch_size, ..self });
        let fewer = Some(Self { samples: samples.saturating_sub(1), ..self });
        let flags = [
            shards.find(fits).map(|cut| format!("--shard-size {}", cut.shard_size)),
            batches.find(fits).map(|cut| format!("--batch-size {}", cut.batch_size)),
            fewer.filter(fits).map(|cut| format!("--train-limit {}", cut.samples)),
        ];
        let flags: Vec<_> = flags.into_iter().flatten().collect();
        match flags.as_slice() {
            [] if samples > 1 => "choose a larger --batch-size and a larger --shard-size".into(),
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
    for (which, network) in Which::each(experiment).zip(networks) {
        let network = network.borrow();
        let refuse = |layer, complaint: String| {
            Err(anyhow!("{}: {complaint}", place(experiment, config, which, Some(layer))))
        };
        if let Some((layer, complaint)) = refuse_loss(experiment.loss, network) {
            return refuse(layer, complaint);
        }
        let Some(single) = cut.single() else { continue };
        let mut normalized = network.layers().map(|running| running.layer.normalized_over());
        if let Some(layer) = normalized.position(|over| over == Some(1)) {
            let summary = network.spec().layers[layer].summary();
            let complaint = format!(
                "layer {layer} ({summary}): expected more than one value a channel to normalise \
                 over in training, found a plane of 1×1 and {single}; {}",
                cut.remedy()
            );
            return refuse(layer, complaint);
        }
    }
    let steps = cut.samples.div_ceil(cut.batch_size());
    let epochs = experiment.epochs.get();
    ensure!(
        epochs.checked_mul(steps).is_some(),
        "--epochs: expected so many that their steps can be counted, found {epochs} of {steps} \
         steps each"
    );
    Ok(())
}

/// The layer that gives a loss what it is no function of, and what would fit.
fn refuse_loss<T: Element>(loss: Loss, network: &Network<T>) -> Option<(usize, String)> {
    let (outputs, layer) = network.spec().outputs();
    let (key, found) = (loss.key(), network.spec().layers[layer].summary());
    let count = network.output_shape().len();
    if let Some(classes) = loss.classes().filter(|&classes| classes != count) {
        let complaint = format!(
            "expected {count} class_weights for the loss {key}, one for each output, found {classes}"
        );
        return Some((network.spec().layers.len().saturating_sub(1), complaint));
    }
    if loss.fits(outputs) {
        return None;
    }
    let complaint = if loss == Loss::BinaryCrossEntropy {
        format!(
            "expected outputs between 0 and 1 for the loss {key}, found layer {layer} ({found}), \
             which does not keep them there; choose loss = {:?}, or end with a sigmoid",
            Loss::BinaryCrossEntropyWithLogits.key()
        )
    } else {
        format!(
            "expected logits for the loss {key}, which makes probabilities of them itself, found \
             the probabilities of layer {layer} ({found}); leave that layer out, or choose loss = \
             {:?}",
            Loss::BinaryCrossEntropy.key()
        )
    };
    Some((layer, complaint))
}
