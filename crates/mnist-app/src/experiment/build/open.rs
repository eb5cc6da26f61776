//! What an experiment leaves to the data.

use anyhow::{bail, ensure};

use crate::dataset::{DataSource, Samples, size_text};
use crate::experiment::{Experiment, NetworkNumber, Origin};

/// Where an input is left to the data, settles the form of their pictures: one that suits them all,
/// as far as the experiment leaves it open. Returns what is to be told of it.
///
/// # Errors
/// If there are no pictures, or they cannot be read.
pub(crate) fn choose_form(
    experiment: &mut Experiment,
    source: &DataSource,
) -> anyhow::Result<Option<String>> {
    if !experiment.networks.have_open_inputs() {
        return Ok(None);
    }
    let (form, told) = source.chosen_form(&experiment.form())?;
    experiment.set_form(form);
    Ok(told)
}

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
