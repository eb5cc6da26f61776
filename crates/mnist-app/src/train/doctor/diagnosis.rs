//! Why a run does not go on, and what may help.

use std::path::Path;

use anyhow::anyhow;
use layers::{Dataset, Epoch, Mode, Network, NonFinite, NonFiniteValue, Trainer};
use tensor::Element;

use super::finding::{Finding, Tensor};
use super::step::{Examination, Step, examine};
use crate::dataset::Samples;
use crate::escape::Escape;
use crate::experiment::{Experiment, Precision};
use crate::width::wrap;

/// What is known of a run that breaks off.
pub(in crate::train) struct Diagnosis<'a, T> {
    pub(in crate::train) experiment: &'a Experiment,
    pub(in crate::train) trainer: &'a Trainer<T>,
    /// Whether an earlier step has changed the weights.
    pub(in crate::train) moved: bool,
    /// The run's folder.
    pub(in crate::train) folder: &'a Path,
    /// Prints a line of what the layers make of the step.
    pub(in crate::train) show: &'a dyn Fn(&str),
}

impl<T: Element> Diagnosis<'_, T> {
    /// What failed in a step of this epoch, and the error for it; prints the ranges of the layers'
    /// values in it, and those that the same network has on the images of the step before it.
    pub(in crate::train) fn of_step(
        &self,
        data: &impl Dataset<T>,
        epoch: &Epoch,
        failure: &NonFinite,
    ) -> (Finding, anyhow::Error) {
        let Self { trainer, .. } = self;
        let (network, config) = (trainer.network(), trainer.config());
        // A step that breaks the parameters is counted.
        let is_kept = failure.value == NonFiniteValue::State;
        let is_taken = is_kept || failure.value == NonFiniteValue::Parameter;
        let before = trainer.state().steps - u64::from(is_taken);
        let at = |before| Step::new(epoch, config, data.len(), before);
        let step = at(before);
        // What was found when the layers behind have taken their steps is no longer found.
        let is_changed = failure.value == NonFiniteValue::Gradient && config.steps_in_layers();
        let examination = match is_changed {
            true => None,
            false => step.examine(network, &config.loss, data, step.number),
        };
        if is_changed {
            let layer = failure
                .layer
                .as_ref()
                .map_or(String::new(), |(index, _)| format!("layer {index}, the layers behind it"));
            (self.show)(&wrap(&format!(
                "epoch {}, step {}: not shown layer by layer: when the gradient was seen in \
                 {layer} had taken their own steps",
                epoch.number(),
                step.number
            )));
        } else if step.number > 1 && !is_taken {
            let earlier =
                at(before - 1).examine_shard(network, &config.loss, data, (0, step.number));
            self.print(earlier.as_ref());
        }
        self.print(examination.as_ref());
        let found = examination.and_then(|examination| examination.finding);
        let finding = found.unwrap_or_else(|| Finding::from(failure));
        let is_older = !is_taken && matches!(finding.tensor, Tensor::Parameter(_)) && self.moved;
        let older = if is_older { ", since a step before it" } else { "" };
        let image = finding.sample.map(|sample| format!(" for training image {sample}"));
        // A step in the layers does not look at what comes of it, and no step at what is kept.
        let by = if is_kept || is_taken && config.steps_in_layers() { "by step" } else { "step" };
        let place = format!("in epoch {}, {by} {}", epoch.number(), step.number);
        let moved = self.moved || is_taken;
        let image = image.unwrap_or(older.into());
        let error = self.error((&place, epoch.number()), &finding, &image, moved);
        (finding, error)
    }

    /// The same of a test or validation image, as `word` says, whose loss is not finite after this epoch.
    pub(in crate::train) fn of_test(
        &self,
        network: &Network<T>,
        (samples, word): (&Samples, &str),
        epoch: usize,
        sample: usize,
    ) -> (Finding, anyhow::Error) {
        let loss = &self.experiment.loss;
        let found = examine(network, loss, samples, (&[sample], 1.0), Mode::Inference);
        self.print(found.as_ref());
        let unknown = NonFinite { value: NonFiniteValue::Loss, sample: None, layer: None };
        let found = found.and_then(|found| found.finding);
        let mut finding = found.unwrap_or_else(|| Finding::from(&unknown));
        finding.sample = Some(sample);
        let place = format!("after epoch {epoch}");
        let image = format!(" for {word} image {sample}");
        let error = self.error((&place, epoch), &finding, &image, self.moved);
        (finding, error)
    }

    fn print(&self, examination: Option<&Examination>) {
        let lines = examination.iter().flat_map(|examination| &examination.lines);
        lines.for_each(|line| (self.show)(line));
    }

    /// `moved` says whether a step, even the one that failed, has changed the weights.
    fn error(
        &self,
        (place, epoch): (&str, usize),
        finding: &Finding,
        image: &str,
        moved: bool,
    ) -> anyhow::Error {
        let kept = match epoch {
            1 => String::new(),
            _ => format!("; {} keeps the epochs before", self.folder.escaped()),
        };
        anyhow!(
            "training stopped {place}: expected finite numbers, found {finding}{image}; {}{kept}",
            self.advice(&finding.tensor, moved)
        )
    }

    /// The likely cause, and what may help.
    fn advice(&self, tensor: &Tensor, moved: bool) -> String {
        let Experiment { initial_weights, precision, clip_norm, optimizer, .. } = self.experiment;
        let is_parameter = matches!(tensor, Tensor::Parameter(_));
        if is_parameter && optimizer.epsilon() == Some(0.0) {
            return "the optimizer divides 0 by 0 where a gradient has always been 0: an epsilon \
                    above 0 may help"
                .into();
        }
        if moved {
            let cause = match tensor {
                Tensor::Parameter(_) => "a step was too large",
                Tensor::State => "gradients, or their squares, have grown too large",
                Tensor::Gradient | Tensor::ParameterGradient(_) => {
                    "the gradient grows from layer to layer"
                }
                Tensor::Loss => "the outputs have grown too large for the loss",
                Tensor::Input | Tensor::Output => "steps were too large",
            };
            let or_clip = if clip_norm.is_none() { " or a clip_norm" } else { "" };
            return format!("{cause}: a smaller --learning-rate{or_clip} may help");
        }
        let (weights, others) = match initial_weights {
            Some(file) => (format!("those of {}", file.escaped()), "smaller ones"),
            None => ("as they were drawn".into(), "another init"),
        };
        let or_wider = if *precision == Precision::F32 { " or --precision f64" } else { "" };
        format!("no step has changed the weights, which are {weights}: {others}{or_wider} may help")
    }
}
