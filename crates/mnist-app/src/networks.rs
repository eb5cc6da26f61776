//! The networks of an experiment: one, or several that the members of a committee take in
//! turn.

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use anyhow::{anyhow, ensure};
use layers::{LayerSpec, Network, NetworkSpec};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tensor::Element;

use crate::augmentation::Augmentation;
use crate::experiment::Experiment;
use crate::experiment::place::{self, Step};
use crate::memory;
use crate::printable::Shown;

/// At least one network. As text, a table for one, and an array of tables for several.
#[derive(Clone, Debug, PartialEq)]
pub struct Networks {
    specs: Vec<NetworkSpec>,
    /// What deforms the images of each, if it is not what deforms those of the others.
    augmentations: Vec<Option<Augmentation>>,
}

/// One of them, as text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    input: Vec<usize>,
    layers: Vec<LayerSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    augmentation: Option<Augmentation>,
}

impl Networks {
    /// The only one, if it is not a committee's.
    pub fn first(&self) -> &NetworkSpec {
        &self.specs[0]
    }

    /// All of them.
    pub fn all(&self) -> &[NetworkSpec] {
        &self.specs
    }

    /// That of a committee's member, counted from 1.
    ///
    /// # Panics
    /// If `member` is 0.
    #[track_caller]
    pub fn of_member(&self, member: usize) -> &NetworkSpec {
        &self.specs[(member - 1) % self.specs.len()]
    }

    /// What deforms the images of a committee's member, counted from 1, if its network
    /// says so itself.
    ///
    /// # Panics
    /// If `member` is 0.
    #[track_caller]
    pub fn augmentation_of_member(&self, member: usize) -> Option<Augmentation> {
        self.augmentations[(member - 1) % self.specs.len()]
    }
}

impl From<NetworkSpec> for Networks {
    fn from(network: NetworkSpec) -> Self {
        Self { specs: vec![network], augmentations: vec![None] }
    }
}

impl Serialize for Networks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let each = self.specs.iter().cloned().zip(self.augmentations.iter().copied());
        let entries = each.map(|(NetworkSpec { input, layers }, augmentation)| Entry {
            input,
            layers,
            augmentation,
        });
        match entries.collect::<Vec<_>>().as_slice() {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = tables::<_, Entry>(deserializer)?.into_iter();
        let (specs, augmentations) = entries
            .map(|Entry { input, layers, augmentation }| {
                (NetworkSpec { input, layers }, augmentation)
            })
            .unzip();
        Ok(Self { specs, augmentations })
    }
}

/// Which of an experiment's networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Which {
    /// Counted from 1.
    pub(crate) network: usize,
    /// How many there are.
    pub(crate) networks: usize,
}

impl Which {
    /// A network on its own.
    pub(crate) const ONLY: Self = Self { network: 1, networks: 1 };

    /// Each of an experiment's.
    pub(crate) fn each(experiment: &Experiment) -> impl Iterator<Item = Self> + use<> {
        let networks = experiment.networks.all().len();
        (1..=networks).map(move |network| Self { network, networks })
    }

    /// `committee, network 2 of 3`, or the name alone; below an empty line if there is one
    /// before it.
    pub(crate) fn heading(self, name: &str) -> String {
        match self {
            Self::ONLY => name.to_owned(),
            Self { network: 1, .. } => format!("{name}, {self}"),
            _ => format!("\n{name}, {self}"),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, networks } = self;
        if *self == Self::ONLY {
            return f.write_str("network");
        }
        write!(f, "network {network} of {networks}")
    }
}

/// Builds all networks of an experiment, with all parameters 0; `config` is the file that
/// it is from, if it is no preset.
///
/// # Errors
/// If layers do not fit together, or the networks differ in the shapes of their inputs or
/// outputs; the message names file and line.
pub(crate) fn build<T: Element>(
    experiment: &Experiment,
    config: Option<&Path>,
) -> anyhow::Result<Vec<Network<T>>> {
    let mut networks: Vec<Network<T>> = Vec::new();
    for (which, spec) in Which::each(experiment).zip(experiment.networks.all()) {
        let place = |layer| place(experiment, config, which, layer);
        let footprint =
            spec.footprint::<T>().map_err(|error| anyhow!("{}: {error}", place(error.layer())))?;
        // Whatever is to be done with it, a sample goes forward and backward.
        let remedy = "choose a smaller network or smaller images";
        let bytes = footprint.network().saturating_add(footprint.inspection(1));
        memory::ask(&format!("{which}, one image"), bytes, remedy)?;
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

/// How many parameters an experiment's networks have, those of all members of a committee
/// together.
///
/// # Errors
/// If layers do not fit together, or the networks differ in the shapes of their inputs or outputs.
pub fn parameters(experiment: &Experiment) -> anyhow::Result<usize> {
    let networks = build::<f32>(experiment, None)?;
    let members = experiment.committee.map_or(1, Into::into);
    let of_each = networks.iter().cycle().take(members);
    Ok(of_each.map(|network| network.parameters().len()).sum())
}

/// Where an experiment is from, for messages.
pub(crate) fn origin(experiment: &Experiment, config: Option<&Path>) -> String {
    match config {
        Some(file) => format!("--config {}", file.shown()),
        None => format!("preset {}", experiment.name.shown()),
    }
}

/// `--config FILE, line 30: network 2 of 3`, with the line if there is a file: that of the
/// layer, or of the network's input if `layer` is none.
pub(crate) fn place(
    experiment: &Experiment,
    config: Option<&Path>,
    which: Which,
    layer: Option<usize>,
) -> String {
    let origin = place::origin(experiment, config, &path_to(which.network, layer));
    format!("{origin}: {which}")
}

/// The steps to a layer of a network, counted from 1; or to its input if `layer` is none.
fn path_to(network: usize, layer: Option<usize>) -> Vec<Step> {
    let network = ["network".into(), Step::Item(network - 1)];
    let part = match layer {
        Some(index) => vec!["layers".into(), Step::Item(index)],
        None => vec!["input".into()],
    };
    network.into_iter().chain(part).collect()
}

/// A table, or an array of tables that is not empty. By hand: serde's untagged choice
/// forgets on which line it met what.
fn tables<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(Tables(PhantomData))
}

struct Tables<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Tables<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table [network] or several tables [[network]]")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
        Ok(vec![T::deserialize(MapAccessDeserializer::new(map))?])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut tables = Vec::new();
        while let Some(table) = seq.next_element()? {
            tables.push(table);
        }
        if tables.is_empty() {
            return Err(de::Error::custom("expected at least one network, found none"));
        }
        Ok(tables)
    }
}

#[cfg(test)]
mod tests {
    use super::path_to;
    use crate::experiment::place::line_of;
    use crate::presets;

    fn line_in_network(text: &str, network: usize, layer: Option<usize>) -> Option<usize> {
        line_of(text, &path_to(network, layer))
    }

    #[test]
    fn layers_and_inputs_have_lines() {
        let text = presets::text("notebook").unwrap();
        let line = |layer| text.lines().nth(line_in_network(text, 1, layer).unwrap() - 1).unwrap();
        assert!(line(Some(0)).contains("conv2d"), "{:?}", line(Some(0)));
        assert!(line(Some(6)).contains("sigmoid"), "{:?}", line(Some(6)));
        assert!(line(None).starts_with("input"), "{:?}", line(None));
        assert_eq!(line_in_network(text, 1, Some(7)), None);
        assert_eq!(line_in_network(text, 2, Some(0)), None);
    }

    #[test]
    fn each_of_several_networks_has_lines_of_its_own() {
        let text = "[[network]]\ninput = [4]\nlayers = [{ type = \"relu\" }]\n\n[[network]]\n\
                    layers = [\n    { type = \"relu\" },\n    { type = \"tanh\" },\n]\n\
                    input = [4]\n[[network]]\ninput = [4]\n[[network.layers]]\ntype = \"relu\"\n";
        let lines = [(1, None), (1, Some(0)), (2, None), (2, Some(1)), (3, None), (3, Some(0))];
        let found = lines.map(|(network, layer)| line_in_network(text, network, layer));
        assert_eq!(found, [2, 3, 10, 8, 12, 13].map(Some));
    }
}
