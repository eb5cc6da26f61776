//! What is exported: a model, as every format needs to know it.

use anyhow::Context;
use layers::random::{Purpose, Stream};
use layers::{LayerSpec, Network};
use tensor::Element;

use crate::dataset::Samples;
use crate::evaluation::vote::Outputs;
use crate::model::{Model, SavedNetwork};
use crate::preprocessing::{Form, Normalization};

/// A model with the shape of its inputs.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) model: Model,
    /// The shape of the pictures, `[C, H, W]`: of a network that takes numbers one after another,
    /// that of a square, or else of one row.
    pub(crate) picture: [usize; 3],
}

/// Where the logits and the probabilities of a network are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// How many of the last layers make probabilities of logits, a sigmoid or a softmax: 1 or 0.
    pub(crate) after_logits: usize,
    /// How the network's outputs become probabilities that add up to 1.
    pub(crate) outputs: Outputs,
}

impl Subject {
    pub(crate) fn new(model: Model) -> Self {
        let picture = model.preprocessing().map(|preprocessing| preprocessing.shape());
        let picture = picture.unwrap_or_else(|_| match *model.networks()[0].spec().input {
            [c, h, w] => [c, h, w],
            ref other => [1, 1, other.iter().product()],
        });
        Self { model, picture }
    }

    /// How many numbers a picture has.
    pub(crate) fn pixels(&self) -> usize {
        self.picture.iter().product()
    }

    /// Pictures of random bytes, always the same.
    pub(crate) fn noise(&self, count: usize) -> Samples {
        let mut stream = Stream::new(0, Purpose::Shuffle, 0);
        let bytes =
            (0..count * self.pixels()).map(|_| stream.below(256).to_le_bytes()[0]).collect();
        let samples = Samples::unlabelled(bytes, self.picture, self.model.classes().clone());
        samples.normalized(self.normalization().clone())
    }

    /// The names of the classes, in the order of the outputs.
    pub(crate) fn classes(&self) -> Vec<String> {
        let classes = self.model.classes();
        (0..classes.count()).map(|label| classes.name(label)).collect()
    }

    /// The form that pictures were brought to before they became bytes of an input, as JSON.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub(crate) fn preparation(&self) -> anyhow::Result<String> {
        let mut form = self.model.form();
        if let Ok(resolved) = self.model.preprocessing() {
            let (size, colour) = (Some(resolved.size), Some(resolved.colour));
            form = Form { size, colour, style: Some(resolved.style), ..form };
        }
        Ok(serde_json::to_string(&form)?)
    }

    /// How the bytes of a picture become numbers.
    pub(crate) fn normalization(&self) -> &Normalization {
        self.model.normalization()
    }

    /// The networks: one, or the members of a committee.
    pub(crate) fn members(&self) -> &[SavedNetwork] {
        self.model.networks()
    }

    /// The only network.
    ///
    /// # Errors
    /// If it is a committee, which this format cannot hold.
    pub(crate) fn only_member(&self, format: &str) -> anyhow::Result<&SavedNetwork> {
        let [only] = self.members() else {
            anyhow::bail!(
                "--to {format}: expected one network, found a committee of {}; export each of its \
                 members alone, or all with --to onnx",
                self.members().len()
            );
        };
        Ok(only)
    }

    /// The only network in this precision.
    ///
    /// # Errors
    /// As [`Subject::only_member`], or if its numbers are not finite in this precision.
    pub(crate) fn network<T: Element>(&self, format: &str) -> anyhow::Result<Network<T>> {
        let network = self.only_member(format)?.network_as();
        network.with_context(|| format!("--to {format}"))
    }
}

impl Ending {
    pub(crate) fn of(network: &SavedNetwork) -> Self {
        let last = network.spec().layers.last();
        let is_function = matches!(last, Some(LayerSpec::Sigmoid(_) | LayerSpec::Softmax(_)));
        Self { after_logits: usize::from(is_function), outputs: network.outputs() }
    }
}
