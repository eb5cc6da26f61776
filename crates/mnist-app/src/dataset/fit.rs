//! Whether data and a network fit together.

use std::fmt;

use anyhow::{Context, anyhow, bail, ensure};
use layers::{LayerSpec, Network};
use tensor::Element;

use super::classes::Classes;
use super::samples::{Samples, size_text};
use crate::escape::quoted;

/// Why samples do not fit a network. Prints as the sizes that would fit and those that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    complaint: String,
    /// The index of the layer that it is about; none if it is about the input.
    pub layer: Option<usize>,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.complaint)
    }
}

impl std::error::Error for Misfit {}

impl Samples {
    /// The same samples for `network`: numbered classes are as many as it has outputs.
    ///
    /// # Errors
    /// If the network takes images of another shape or has too few outputs; the message gives the
    /// sizes that would fit.
    pub fn fit<T: Element>(mut self, network: &Network<T>) -> Result<Self, Misfit> {
        let (input, output) = (network.input_shape(), network.output_shape());
        let (mut complaints, mut layer) = (Vec::new(), None);
        // The input of a dense network may be a single axis.
        let flat = input.dims().len() < 3 && input.len() == self.pixels();
        if input.dims() != self.shape && !flat {
            complaints.push(format!(
                "expected input = {:?}, as {} holds images of {}, found {input}",
                self.shape,
                self.place.images(),
                size_text(self.shape)
            ));
        }
        if let Some(complaint) = self.refuse_outputs(output.len()) {
            if complaints.is_empty() {
                let is_dense = |spec: &LayerSpec| matches!(spec, LayerSpec::Dense(_));
                layer = network.spec().layers.iter().rposition(is_dense);
            }
            complaints.push(complaint);
        }
        if !complaints.is_empty() {
            return Err(Misfit { complaint: complaints.join("; "), layer });
        }
        if let Classes::Numbered(count) = &mut self.classes {
            *count = output.len();
        }
        Ok(self)
    }

    /// What is wrong with the number of outputs, if anything.
    fn refuse_outputs(&self, outputs: usize) -> Option<String> {
        let (place, count) = (self.place.labels(), self.classes.count());
        let reason = match &self.classes {
            Classes::Named(_) if count == outputs => return None,
            Classes::Named(_) if self.is_named => {
                format!("the experiment names {count} classes, {}", self.classes)
            }
            Classes::Named(_) => format!("{place} has {count} classes"),
            Classes::Numbered(_) if outputs > Classes::MOST => {
                let most = Classes::MOST;
                return Some(format!("expected at most {most} outputs, found {outputs}"));
            }
            Classes::Numbered(_) if count <= outputs => return None,
            Classes::Numbered(_) => {
                let labels = format!("the labels go from 0 to {}", count - 1);
                let too_large = |&label: &u8| usize::from(label) >= outputs;
                match self.labels.iter().position(too_large) {
                    Some(at) => {
                        format!("{labels} ({place} has {} for sample {at})", self.labels[at])
                    }
                    None => labels,
                }
            }
        };
        Some(format!(
            "expected outputs = {count} in the last dense layer, as {reason}, found {outputs}"
        ))
    }

    /// The same samples with the labels that their class names have in `classes`; numbered classes
    /// keep their labels, and become at least as many as in `classes`.
    ///
    /// # Errors
    /// If a sample is of a class that is not in `classes`.
    pub fn relabelled(mut self, classes: &Classes) -> anyhow::Result<Self> {
        if let (Classes::Numbered(own), Classes::Numbered(count)) = (&self.classes, classes) {
            self.classes = Classes::Numbered(*own.max(count));
            return Ok(self);
        }
        let (mut labels, used) = (Vec::new(), self.used());
        for (label, is_used) in used.into_iter().enumerate() {
            let name = self.classes.name(label);
            match classes.label(&name) {
                Some(label) => labels.push(u8::try_from(label)?),
                // An empty folder is a class all the same; a number that no label uses need not be.
                None if self.classes.is_numbered() && !is_used => labels.push(0),
                None => return Err(self.of_no_class(&name, classes)),
            }
        }
        self.labels.iter_mut().for_each(|label| *label = labels[usize::from(*label)]);
        self.classes = classes.clone();
        Ok(self)
    }

    /// Where the labels are from, for messages.
    pub(crate) fn labels_place(&self) -> String {
        self.place.labels()
    }

    /// Whether all samples are of these classes.
    pub fn are_among(&self, classes: &Classes) -> bool {
        let mut used = self.used().into_iter().enumerate().filter(|&(_, is_used)| is_used);
        used.all(|(label, _)| classes.label(&self.classes.name(label)).is_some())
    }

    fn of_no_class(&self, name: &str, classes: &Classes) -> anyhow::Error {
        let (place, own, name) = (self.place.labels(), &self.classes, quoted(name));
        if own.is_numbered() {
            return anyhow!(
                "{place}: expected labels that are among the classes {classes}, found {name} \
                 among the numbers {own}; say what they stand for with classes = [\"…\", …] in \
                 the experiment, and test the folder of its run"
            );
        }
        anyhow!("{place}: expected the classes {classes}, found {name} among {own}")
    }

    /// The same samples with these class names: numeric labels are indices into the list, and names
    /// must be in it.
    ///
    /// # Errors
    /// If a label or name is not in the list, or the names are not valid.
    pub fn named(mut self, names: &[String]) -> anyhow::Result<Self> {
        let classes = Classes::named(names).context("classes")?;
        if !self.classes.is_numbered() {
            return Ok(Self { is_named: true, ..self.relabelled(&classes)? });
        }
        let (own, count) = (self.classes.count(), classes.count());
        ensure!(
            own <= count,
            "{}: expected labels from 0 to {}, as the experiment names the {count} classes \
             {classes}, found labels up to {}",
            self.place.labels(),
            count - 1,
            own - 1
        );
        // Otherwise a model with these names would confuse labels and names.
        let number_of = |label: usize| classes.label(&label.to_string());
        let moved = (0..count).find(|&label| number_of(label).is_some_and(|of| of != label));
        if let Some(number) = moved {
            bail!(
                "{}: expected names of classes that are no numbers of other labels, found \
                 {:?} among {classes}",
                self.place.labels(),
                number.to_string()
            );
        }
        (self.classes, self.is_named) = (classes, true);
        Ok(self)
    }
}
