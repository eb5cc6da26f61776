//! What the network of a run does with the run's images.

use std::path::Path;

use anyhow::{Context, ensure};
use layers::Network as Trained;
use tensor::{Element, Shape};

use super::activity::{self, LayerActivity};
use super::pictures::{self, KernelPlate, Maps};
use super::record::Record;
use crate::console::notice;
use crate::dataset::{Digests, Parts, Samples};
use crate::escape::Escape;
use crate::evaluation::mistakes::Mistake;
use crate::evaluation::vote::Outputs;
use crate::evaluation::{Evaluation, Evaluator};
use crate::experiment::build;
use crate::input::is_there;
use crate::model::Model;
use crate::run_folder::{MODEL, checkpoints_of};
use crate::train::{Start, newest_network};

/// The images of a run.
pub(crate) enum Data<'a> {
    /// They are read from this folder, or from where the run says.
    At(Option<&'a Path>),
    /// They are here: what a run was trained on may be a pipe. Not of a committee.
    Read(Box<Parts>),
}

/// The network of a run, as it began and as it is now, and the run's images.
pub(super) struct Network<T> {
    /// With the weights that it began with; `None` if their file is gone.
    start: Option<Trained<T>>,
    now: Trained<T>,
    /// Where in the run it is so, such as `after epoch 2`.
    place: String,
    train: Samples,
    test: Samples,
    digests: Digests,
}

impl<T: Element> Network<T> {
    /// Reads the model of a run, or its newest checkpoint, and builds anew what it began with.
    ///
    /// # Errors
    /// If the run has neither, or its data are not there or others.
    pub(super) fn of(record: &Record, data: &Data<'_>) -> anyhow::Result<Self> {
        let run = &record.run;
        let start = match data {
            Data::At(folder) => Start::<T>::new(&run.experiment, (&run.origin, *folder), true)?,
            Data::Read(parts) => {
                let Parts { train, validation, test, .. } = &**parts;
                let [train, test] = [train, test].map(Samples::clone);
                let networks = build::networks(&run.experiment, &run.origin)?;
                let (experiment, validation) = (run.experiment.clone(), validation.clone());
                Start { experiment, networks, train, validation, test }
            }
        };
        let network = start.networks.first().context("no network")?;
        let first = first(record, network)?;
        let (train, test) = (start.train.clone(), start.test.clone());
        let digests = Digests::new(&train, start.validation.as_ref(), &test);
        let (now, place) = match Model::open(&run.folder) {
            Ok(model) => {
                let own = model.digests();
                ensure!(
                    own.is_none_or(|own| *own == digests),
                    "{}: expected the images that the run was made of, found others; name their \
                     folder with --data DIR",
                    run.folder.escaped()
                );
                (model.networks()[0].network_as::<T>()?, String::new())
            }
            Err(error) if checkpoints_of(&run.folder)?.is_empty() => return Err(error),
            Err(error) => {
                // Of a run that has not ended, there need not be one.
                if record.has_ended() || is_there(&run.folder.join(MODEL)) {
                    notice(format_args!(
                        "{error:#}; its report shows the network of its newest checkpoint"
                    ));
                }
                newest_network::<T>(run, start)?
            }
        };
        let digest = now.digest();
        let line = run.lines.iter().rfind(|line| line.weights_sha256 == digest);
        let epoch = line.map(|line| line.best_epoch.unwrap_or(line.epoch));
        let place = epoch.map_or(place, |epoch| format!("after epoch {epoch}"));
        Ok(Self { start: first, now, place, train, test, digests })
    }
}

/// A network like this one with the weights that the run began with; `None`, which is told, if
/// their file is gone. A pipe, which can be read once, is gone.
fn first<T: Element>(record: &Record, network: &Trained<T>) -> anyhow::Result<Option<Trained<T>>> {
    let experiment = &record.run.experiment;
    if let Some(file) = experiment.initial_weights.as_deref().filter(|file| !file.is_file()) {
        notice(format_args!(
            "{}: its report leaves out how its layers began, as the initial weights {} are gone",
            record.run.folder.escaped(),
            file.escaped()
        ));
        return Ok(None);
    }
    let mut network = network.clone();
    build::set_initial_weights(&mut network, experiment)?;
    Ok(Some(network))
}

/// What a network does with the run's images.
pub(super) struct Findings {
    /// Where in the run the network is so.
    pub(super) place: String,
    /// Each layer's summary, output shape and number of parameters.
    pub(super) table: Vec<(String, Shape, usize)>,
    /// The number of training images.
    pub(super) train: usize,
    pub(super) digests: Digests,
    pub(super) test: Samples,
    pub(super) evaluation: Evaluation,
    pub(super) outputs: Outputs,
    pub(super) mistakes: Vec<Mistake>,
    /// How many training images the layers were looked at with.
    pub(super) looked_at: usize,
    pub(super) layers: Vec<LayerActivity>,
    /// Of some convolutions.
    pub(super) kernels: Vec<KernelPlate>,
    /// How many convolutions there are.
    pub(super) convolutions: usize,
    pub(super) maps: Vec<Maps>,
}

impl Findings {
    /// Runs the images through the network; `None` if `go_on` ended that.
    ///
    /// # Errors
    /// If the memory does not suffice.
    pub(super) fn of<T: Element>(
        record: &Record,
        network: &Network<T>,
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> anyhow::Result<Option<Self>> {
        let Network { start, now, place, train, test, digests } = network;
        let experiment = &record.run.experiment;
        let mut evaluator = Evaluator::new(now, test.len(), 0)?;
        let evaluation = evaluator.evaluate_while(now, &experiment.loss, test, go_on);
        let Some(evaluation) = evaluation else { return Ok(None) };
        drop(evaluator);
        let outputs = Outputs::of(now.spec(), Some(&experiment.loss));
        let mistakes = evaluation.mistakes(outputs, test);
        let looked_at = activity::images(now, train)?;
        let layers = activity::of_layers((start.as_ref(), now), train, looked_at, experiment.seed);
        if !go_on() {
            return Ok(None);
        }
        let (kernels, convolutions) = pictures::kernels(now)?;
        let chosen = pictures::chosen(&evaluation, mistakes.first(), test);
        let maps = pictures::maps(now, test, &chosen)?;
        Ok(Some(Self {
            place: place.clone(),
            table: now.table(),
            train: train.len(),
            digests: digests.clone(),
            test: test.clone(),
            evaluation,
            outputs,
            mistakes,
            looked_at,
            layers,
            kernels,
            convolutions,
            maps,
        }))
    }
}
