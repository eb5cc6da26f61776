//! The networks of an experiment, with all parameters 0.

use anyhow::{anyhow, ensure};
use layers::{LayerSpec, Network};
use tensor::Element;

use crate::experiment::{Experiment, NetworkNumber, Origin};
use crate::memory;

/// Builds all networks of an experiment, with all parameters 0; `origin` is where it is from.
///
/// # Errors
/// If layers do not fit together, or the networks differ in the shapes of their inputs or
/// outputs; the message names file and line.
pub(crate) fn networks<T: Element>(
    experiment: &Experiment,
    origin: &Origin,
) -> anyhow::Result<Vec<Network<T>>> {
    let mut networks: Vec<Network<T>> = Vec::new();
    let numbers = NetworkNumber::each(&experiment.networks);
    for (number, spec) in numbers.zip(experiment.networks.all()) {
        let place = |layer| origin.network(number, layer);
        ensure!(
            !spec.input.is_empty() && !spec.layers.iter().any(LayerSpec::needs_classes),
            "{}: expected input = [C, H, W] and outputs in numbers, found that they are left to \
             the data, and no data here; name some",
            place(None)
        );
        let footprint = spec.footprint::<T>().map_err(|error| {
            // A table of the layers follows, for users of the library.
            let text = error.to_string();
            anyhow!("{}: {}", place(error.layer()), text.lines().next().unwrap_or_default())
        })?;
        // Each command needs at least a forward and a backward pass of one sample.
        let remedy = "choose a smaller network or smaller images";
        let bytes = footprint.network().saturating_add(footprint.inspection(1));
        memory::require(&format!("{number}, one image"), bytes, remedy)?;
        let network = footprint.build();
        if let Some(first) = networks.first() {
            let (expected, found) = (first.input_shape(), network.input_shape());
            ensure!(
                expected == found,
                "{}: expected input = {:?}, as of network 1, found {:?}",
                place(None),
                expected.dims(),
                found.dims()
            );
            let (expected, found) = (first.output_shape(), network.output_shape());
            ensure!(
                expected == found,
                "{}: expected outputs of the shape {expected}, as of network 1, found {found}",
                place(Some(spec.layers.len() - 1)),
            );
        }
        networks.push(network);
    }
    Ok(networks)
}

/// The shape of MNIST's images.
const MNIST: [usize; 3] = [1, 28, 28];

const MNIST_CLASSES: usize = 10;

/// The number of parameters of an experiment's networks, those of all members of a committee
/// together; what is left to the data is as for MNIST.
///
/// # Errors
/// If layers do not fit together, or the networks differ in the shapes of their inputs or outputs.
pub fn parameters(experiment: &Experiment) -> anyhow::Result<usize> {
    let mut experiment = experiment.clone();
    experiment.fill(MNIST, MNIST_CLASSES);
    let networks = networks::<f32>(&experiment, &Origin::preset(&experiment.name))?;
    let members = experiment.committee.map_or(1, Into::into);
    let of_each = networks.iter().cycle().take(members);
    Ok(of_each.map(|network| network.parameters().len()).sum())
}
