//! Whether data and a network belong together.

use std::fmt;

use anyhow::{bail, ensure};
use layers::{LayerSpec, Network};
use tensor::Element;

use super::{Classes, Samples, size_text};

use crate::printable::Shown;

/// Why a network cannot learn from samples or be tested on them. Prints as the numbers that
/// would fit and those that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    complaint: String,
    /// The place of the layer that it is about, if it is not about the input.
    pub layer: Option<usize>,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.complaint)
    }
}

impl std::error::Error for Misfit {}

impl Samples {
    /// The same samples for `network`: labels without names have as many classes as it
    /// has outputs.
    ///
    /// # Errors
    /// If it does not take such images or cannot tell so many classes apart; the message
    /// gives the numbers that would fit.
    pub fn fit<T: Element>(mut self, network: &Network<T>) -> Result<Self, Misfit> {
        let (input, output) = (network.input_shape(), network.output_shape());
        let (mut complaints, mut layer) = (Vec::new(), None);
        // A network of dense layers may start from one long axis.
        let flat = input.dims().len() < 3 && input.len() == self.pixels();
        if input.dims() != self.shape && !flat {
            complaints.push(format!(
                "expected input = {:?}, as {} holds images of {}, found {input}",
                self.shape,
                self.source.images.shown(),
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

    /// What is wrong with so many outputs.
    fn refuse_outputs(&self, outputs: usize) -> Option<String> {
        let (place, count) = (self.source.labels.shown(), self.classes.count());
        let reason = match &self.classes {
            Classes::Named(_) if count == outputs => return None,
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

    /// The same samples with the labels that `classes` gives to their names; where they
    /// have no names, with the same labels and at least so many classes.
    ///
    /// # Errors
    /// If a sample is of none of the classes.
    pub fn relabelled(mut self, classes: &Classes) -> anyhow::Result<Self> {
        let place = self.source.labels.shown();
        match (&self.classes, classes) {
            (Classes::Numbered(own), Classes::Numbered(count)) => {
                self.classes = Classes::Numbered(*own.max(count));
            }
            (Classes::Numbered(own), Classes::Named(names)) => {
                let count = names.len();
                ensure!(
                    *own <= count,
                    "{place}: expected labels from 0 to {}, as there are {count} classes, found \
                     labels up to {}",
                    count - 1,
                    own - 1
                );
                self.classes = classes.clone();
            }
            (Classes::Named(own), _) => {
                let mut labels = Vec::new();
                for name in own {
                    let Some(label) = classes.label(name) else {
                        bail!(
                            "{place}: expected the class folders {}, found {name:?}",
                            listed(classes)
                        );
                    };
                    labels.push(label as u8);
                }
                self.labels.iter_mut().for_each(|label| *label = labels[usize::from(*label)]);
                self.classes = classes.clone();
            }
        }
        Ok(self)
    }
}

/// The names of the classes, the first of them if they are many.
fn listed(classes: &Classes) -> String {
    const MOST: usize = 20;
    let names: Vec<_> = (0..classes.count().min(MOST)).map(|label| classes.name(label)).collect();
    let rest = if classes.count() > MOST { ", …" } else { "" };
    names.join(", ") + rest
}
