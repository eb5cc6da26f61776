//! Why a run does not go on: a loss that is not finite, and what may help.

use std::path::Path;

use anyhow::anyhow;
use layers::Network;
use tensor::Element;

use crate::dataset::Part;
use crate::escape::Escape;
use crate::experiment::{Experiment, Precision};

/// The first loss that is not finite.
#[derive(Debug)]
pub(super) struct Divergence {
    /// The epoch in which a training image had it, or after which a test image did.
    pub(super) epoch: usize,
    pub(super) part: Part,
    /// The image.
    pub(super) sample: usize,
    /// The first layer whose output for it is not finite, and its summary; none if all are.
    pub(super) layer: Option<(usize, String)>,
}

impl Divergence {
    /// The message, given the network, whether a step has changed its weights, and the run's
    /// folder.
    pub(super) fn error<T: Element>(
        &self,
        experiment: &Experiment,
        (network, moved): (&Network<T>, bool),
        folder: &Path,
    ) -> anyhow::Error {
        let Self { epoch, part, sample, layer } = self;
        let (when, kind) = match part {
            Part::Train => ("in", "training"),
            Part::Test => ("after", "test"),
        };
        let layer = match layer {
            Some((index, summary)) => {
                format!("the output of layer {index} ({summary}) is the first that is not")
            }
            None => "the outputs of all layers are finite".into(),
        };
        let kept = match epoch {
            1 => String::new(),
            _ => format!("; {} keeps the epochs before", folder.escaped()),
        };
        anyhow!(
            "training stopped {when} epoch {epoch}: expected a finite loss, found none for sample \
             {sample} of the {kind} images; {layer}; {}{kept}",
            advice(experiment, network, moved)
        )
    }
}

/// What may keep the losses finite, by what has made them what they are.
fn advice<T: Element>(experiment: &Experiment, network: &Network<T>, moved: bool) -> String {
    let Experiment { initial_weights, precision, clip_norm, optimizer, .. } = experiment;
    let weights = network.parameters();
    let is_spoilt = weights.iter().any(|weight| !weight.is_finite());
    if is_spoilt && optimizer.epsilon() == Some(0.0) {
        return "the optimizer divides 0 by 0 where a gradient has always been 0: an epsilon \
                above 0 may help"
            .into();
    }
    if moved {
        let or_clip = if clip_norm.is_none() { " or a clip_norm" } else { "" };
        return format!("a smaller --learning-rate{or_clip} may help");
    }
    if is_spoilt {
        // A learning rate of 0 times what is not finite.
        return "a step made the weights infinite or NaN, as its gradient was: another \
                init, smaller inputs or --precision f64 may help"
            .into();
    }
    let (weights, others) = match initial_weights {
        Some(file) => (format!("those of {}", file.escaped()), "smaller ones"),
        None => ("as they were drawn".into(), "another init"),
    };
    let or_wider = if *precision == Precision::F32 { " or --precision f64" } else { "" };
    format!("no step has changed the weights, which are {weights}: {others}{or_wider} may help")
}
