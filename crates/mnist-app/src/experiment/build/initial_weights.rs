//! The weights that a training starts with.

use anyhow::{Context, ensure};
use layers::{Network, load_weights};
use tensor::Element;

use crate::dataset::{Classes, Samples};
use crate::escape::Escape;
use crate::experiment::Experiment;
use crate::input::or_if_missing;
use crate::weights_file::WeightsFile;

/// Checks that the classes that a file of initial weights names are those of the samples.
///
/// # Errors
/// If they do not.
pub(crate) fn require_classes(
    experiment: &Experiment,
    of_weights: Option<&Classes>,
    samples: &Samples,
) -> anyhow::Result<()> {
    let (Some(expected), Some(file)) = (of_weights, &experiment.initial_weights) else {
        return Ok(());
    };
    let found = samples.classes();
    let differ = (0..expected.count()).any(|label| expected.name(label) != found.name(label));
    ensure!(
        !differ,
        "initial weights {}: expected data of the classes {expected}, in this order, as the file \
         names them, found the classes {found}; {}",
        file.escaped(),
        if expected.same_names(found) || found.is_numbered() {
            "name them in the order of the file with classes = [\"…\", …] in the experiment"
        } else {
            "start from the weights of a model of the same classes, or without any"
        }
    );
    Ok(())
}

/// Sets the weights that a training starts with: those of a file, or drawn at random. Returns the
/// classes that the file names, if any.
pub(crate) fn set_initial_weights<T: Element>(
    network: &mut Network<T>,
    experiment: &Experiment,
) -> anyhow::Result<Option<Classes>> {
    let Some(file) = &experiment.initial_weights else {
        network.initialize(experiment.init, experiment.seed);
        return Ok(None);
    };
    let name = || format!("initial weights {}", file.escaped());
    let members = experiment.committee.map_or(1, Into::into);
    ensure!(
        members == 1 || !file.exists() || file.is_file(),
        "{}: expected a regular file, as each of {members} members reads it, found another one",
        name()
    );
    let remedy = "name a model.safetensors with --init, or with initial_weights in the experiment";
    let weights =
        WeightsFile::open(file).map_err(|error| or_if_missing(error, remedy)).with_context(name)?;
    // Before the whole file is read.
    weights.header.check(network).with_context(name)?;
    let outputs = network.output_shape().len();
    let classes = Classes::from_metadata(&weights.header.metadata(), outputs).with_context(name)?;
    load_weights(network, &weights.read().with_context(name)?).with_context(name)?;
    Ok(Some(classes).filter(|classes| !classes.is_numbered()))
}
