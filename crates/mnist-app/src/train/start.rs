//! What a training starts from: nothing is written before all that can be checked has been.

use std::path::Path;

use anyhow::{anyhow, bail};
use layers::Network;
use tensor::Element;

use crate::dataset::{DataSource, Misfit, Parts, Samples};
use crate::experiment::build::{self, Batches};
use crate::experiment::{Experiment, Keep, NetworkNumber, Origin};
use crate::memory;

/// The networks of an experiment as they start, and its images, which fit.
pub(crate) struct Start<T> {
    /// As it runs on these images.
    pub(crate) experiment: Experiment,
    /// With the weights that they start with.
    pub(crate) networks: Vec<Network<T>>,
    pub(crate) train: Samples,
    /// What choices during the training look at, if there are such images.
    pub(crate) validation: Option<Samples>,
    pub(crate) test: Samples,
}

impl<T: Element> Start<T> {
    /// Builds the networks and reads the images, from the folder `data` if that is named. A run that
    /// `goes_on` has its weights in its checkpoints: those that it began with are then not read
    /// again.
    ///
    /// # Errors
    /// If something that the experiment or `data` names is not what it should be, it does not
    /// fit together, or the memory does not suffice.
    pub(crate) fn new(
        experiment: &Experiment,
        (origin, data): (&Origin, Option<&Path>),
        goes_on: bool,
    ) -> anyhow::Result<Self> {
        let load = |experiment: &Experiment, source: DataSource| {
            source.load_parts(experiment.classes.as_deref(), &experiment.form())
        };
        // What is left to the data is filled in first.
        let (mut filled, mut loaded) = (experiment.clone(), None);
        if filled.networks.are_open() {
            let source = build::data_source(data, &filled, origin)?;
            let note = build::choose_form(&mut filled, &source)?;
            let mut parts = load(&filled, source)?;
            build::fill(&mut filled, origin, &parts.train)?;
            parts.train = parts.train.noted(note);
            loaded = Some(parts);
        }
        let experiment = &filled;
        let mut networks = build::networks::<T>(experiment, origin)?;
        let mut of_weights = None;
        for network in networks.iter_mut().filter(|_| !goes_on) {
            of_weights = build::set_initial_weights(network, experiment)?;
        }
        let parts = match loaded {
            Some(parts) => parts,
            None => load(experiment, build::data_source(data, experiment, origin)?)?,
        };
        let Parts { train, mut validation, test, .. } = parts;
        if validation.is_none() {
            require_no_choice(experiment, origin)?;
        }
        let mut train = train.first(experiment.train_limit.map(Into::into));
        let mut test = test.first(experiment.test_limit.map(Into::into));
        let numbers = NetworkNumber::each(&experiment.networks);
        for (number, network) in numbers.zip(&networks) {
            let misfit =
                |misfit: Misfit| anyhow!("{}: {misfit}", origin.network(number, misfit.layer));
            train = train.fit(network).map_err(misfit)?;
            validation =
                validation.map(|validation| validation.fit(network)).transpose().map_err(misfit)?;
            test = test.fit(network).map_err(misfit)?;
            let config = build::trainer_config(experiment, train.len());
            let footprint = network.spec().footprint::<T>()?;
            let file = footprint.trainer_file(&config);
            let best = match experiment.keep {
                Keep::Last => 0,
                // In memory, and in the file of a checkpoint while that is written.
                Keep::Best => footprint.network().saturating_mul(3),
            };
            memory::require_for_training(&footprint, &config, file.saturating_add(best))?;
        }
        let normalization = train.own_normalization(experiment.form().normalize);
        train = train.normalized(normalization.clone());
        validation = validation.map(|part| part.normalized(normalization.clone()));
        test = test.normalized(normalization);
        build::require_classes(experiment, of_weights.as_ref(), &train)?;
        let batches = Batches::of(experiment, train.len());
        build::check(experiment, origin, &networks, batches)?;
        let mut experiment = experiment.effective(train.len(), test.len());
        let note = experiment.lengthen(train.len());
        train = train.noted(note);
        let weighting = experiment.class_weights.take();
        experiment.class_weights = weighting.map(|weighting| weighting.of(&train.of_each_class()));
        if let Some(weights) = of_weights {
            experiment.initial_weights_sha256 = Some(weights.sha256);
        }
        Ok(Self { experiment, networks, train, validation, test })
    }
}

/// Checks that nothing is to be chosen by validation images, where there are none.
fn require_no_choice(experiment: &Experiment, origin: &Origin) -> anyhow::Result<()> {
    let asked =
        [("patience", experiment.patience.is_some()), ("keep", experiment.keep != Keep::Last)];
    let Some((key, _)) = asked.into_iter().find(|(_, is_asked)| *is_asked) else { return Ok(()) };
    bail!(
        "{}: {key}: needs a validation part, images that are neither learned from nor tested on, \
         and there is none: chosen by the test images, the best epoch would look better than it \
         is; write validation = 0.1 in [data], or remove the key",
        origin.line(&[key.into()])
    );
}
