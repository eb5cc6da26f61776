//! Settings that contradict one another, which are refused before anything runs.

use std::borrow::Borrow;

use anyhow::{bail, ensure};
use layers::{Domain, Loss, Network};
use tensor::Element;

use super::batches::Batches;
use super::loss::{RefusedLoss, refuse_loss};
use super::precision;
use crate::experiment::{Experiment, NetworkNumber, Origin, Weighting};

/// Checks that the settings of an experiment go together; `networks` are the ones built from it.
///
/// # Errors
/// If settings contradict one another; the message names the file, the line of the layer, and
/// what to change.
pub(crate) fn check<T: Element>(
    experiment: &Experiment,
    origin: &Origin,
    networks: &[impl Borrow<Network<T>>],
    batches: Batches,
) -> anyhow::Result<()> {
    precision::check::<T>(experiment, origin)?;
    ensure!(
        experiment.initial_weights.is_some() || experiment.initial_weights_sha256.is_none(),
        "{}: expected initial_weights beside it, found none; name the file, or leave it out",
        origin.line(&["initial_weights_sha256".into()])
    );
    if experiment.class_weights.is_some() {
        let place = || origin.line(&["class_weights".into()]);
        let loss = &experiment.loss;
        ensure!(
            loss.domain() != Domain::Numbers,
            "{}: class_weights: expected a cross-entropy as the loss, found {}, a loss of any \
             numbers; choose loss = {:?}, or leave class_weights out",
            place(),
            loss.key(),
            Loss::softmax_cross_entropy().key()
        );
        ensure!(
            loss.class_weights().is_none(),
            "{}: class_weights: expected weights here or in the loss {}, found both; leave one out",
            place(),
            loss.key()
        );
    }
    for (number, network) in NetworkNumber::each(&experiment.networks).zip(networks) {
        let network = network.borrow();
        let weights = experiment.class_weights.as_ref().and_then(Weighting::given);
        let (found, classes) =
            (weights.map(|weights| weights.as_slice().len()), network.output_shape().len());
        ensure!(
            found.is_none_or(|found| found == classes),
            "{}: class_weights: expected {classes} numbers, one for each class, found {}; name \
             one for each, or choose \"balanced\"",
            origin.line(&["class_weights".into()]),
            found.unwrap_or_default()
        );
        if let Some(RefusedLoss { layer, complaint, remedy }) =
            refuse_loss(&experiment.loss, network)
        {
            let place = match layer {
                Some(layer) => origin.network(number, Some(layer)),
                None => origin.line(&["loss".into()]),
            };
            bail!("{place}: {complaint}; {remedy}");
        }
        let Some(single) = batches.single() else { continue };
        let mut normalized = network.layers().map(|layer| layer.layer.normalized_over());
        if let Some(layer) = normalized.position(|over| over == Some(1)) {
            let summary = network.spec().layers[layer].summary();
            let complaint = format!(
                "layer {layer} ({summary}): expected more than one value a channel to normalise \
                 over in training, found a plane of 1×1 and {single}; {}",
                batches.remedy()
            );
            bail!("{}: {complaint}", origin.network(number, Some(layer)));
        }
    }
    let steps = batches.steps();
    let epochs = experiment.epochs.get();
    ensure!(
        epochs.checked_mul(steps).is_some(),
        "{}: expected a number whose steps can be counted, found {epochs} of {steps} steps each",
        origin.setting(experiment, &["epochs".into()])
    );
    Ok(())
}
