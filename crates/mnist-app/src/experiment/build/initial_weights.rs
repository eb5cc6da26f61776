//! The weights that a training starts with.

use anyhow::{Context, ensure};
use layers::{Network, load_weights, sha256};
use tensor::Element;

use crate::dataset::{Classes, Samples};
use crate::escape::Escape;
use crate::experiment::Experiment;
use crate::input::or_if_missing;
use crate::weights_file::WeightsFile;

/// What a file of initial weights is.
pub(crate) struct InitialWeights {
    /// The classes that it names, if any.
    pub(crate) classes: Option<Classes>,
    pub(crate) sha256: String,
}

/// Checks that the classes that a file of initial weights names are those of the samples.
///
/// # Errors
/// If they do not.
pub(crate) fn require_classes(
    experiment: &Experiment,
    of_weights: Option<&InitialWeights>,
    samples: &Samples,
) -> anyhow::Result<()> {
    let expected = of_weights.and_then(|weights| weights.classes.as_ref());
    let (Some(expected), Some(file)) = (expected, &experiment.initial_weights) else {
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

/// Sets the weights that a training starts with: those of a file, or drawn at random. Returns what
/// is known of the file.
///
/// # Errors
/// If the file is not what it should be, or not the one whose SHA-256 the experiment says.
pub(crate) fn set_initial_weights<T: Element>(
    network: &mut Network<T>,
    experiment: &Experiment,
) -> anyhow::Result<Option<InitialWeights>> {
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
    let bytes = weights.read().with_context(name)?;
    let found = sha256(&bytes);
    let expected = experiment.initial_weights_sha256.as_ref().unwrap_or(&found);
    ensure!(
        *expected == found,
        "{}: expected a file of sha256 {expected}, as the experiment says, found one of {found}; \
         name that file with initial_weights, or leave initial_weights_sha256 out",
        name()
    );
    load_weights(network, &bytes).with_context(name)?;
    let classes = Some(classes).filter(|classes| !classes.is_numbered());
    Ok(Some(InitialWeights { classes, sha256: found }))
}
