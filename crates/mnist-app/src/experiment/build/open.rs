//! What an experiment leaves to the data.

use anyhow::{bail, ensure};

use crate::dataset::{Samples, size_text};
use crate::experiment::{Experiment, NetworkNumber, Origin};

/// Fills in the inputs and outputs that an experiment leaves to the data, which are these.
///
/// # Errors
/// If there is but one class, or a network takes no images of this size; the message names file and
/// line.
pub(crate) fn fill(
    experiment: &mut Experiment,
    origin: &Origin,
    samples: &Samples,
) -> anyhow::Result<()> {
    let (shape, classes) = (samples.shape(), samples.classes().count());
    let before = experiment.networks.clone();
    experiment.fill(shape, classes);
    let specs = before.all().iter().zip(experiment.networks.all());
    for (number, (open, spec)) in NetworkNumber::each(&before).zip(specs) {
        let place = |layer| origin.network(number, layer);
        let of_classes = open.layers.iter().position(layers::LayerSpec::needs_classes);
        ensure!(
            classes > 1 || of_classes.is_none(),
            "{}: expected data of at least 2 classes to tell apart, found 1 in {}; add pictures of \
             another one",
            place(of_classes),
            samples.labels_place()
        );
        if !open.input.is_empty() {
            continue;
        }
        if let Err(error) = spec.footprint::<f32>() {
            let text = error.to_string();
            bail!(
                "{}: {}; the input is left to the data, images of {}: if they are too small, choose \
                 size = [height, width] in [data]",
                place(error.layer()),
                text.lines().next().unwrap_or_default(),
                size_text(shape)
            );
        }
    }
    Ok(())
}
