//! The networks of an experiment: one, or several that the members of a committee take in
//! turn.

use std::fmt;
use std::marker::PhantomData;

use layers::{LayerSpec, NetworkSpec};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::values;
use crate::augmentation::Augmentation;

/// At least one network. As text, a table for one, and an array of tables for several.
///
/// One whose input is left to the data has no axes yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Networks {
    specs: Vec<NetworkSpec>,
    /// The augmentation of each, if it has its own.
    augmentations: Vec<Option<Augmentation>>,
}

/// One of them, as text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default, deserialize_with = "values::axes", skip_serializing_if = "Vec::is_empty")]
    input: Vec<usize>,
    layers: Vec<LayerSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    augmentation: Option<Augmentation>,
}

impl Networks {
    /// The first network; the only one if there is no committee.
    pub fn first(&self) -> &NetworkSpec {
        &self.specs[0]
    }

    /// All of them.
    pub fn all(&self) -> &[NetworkSpec] {
        &self.specs
    }

    /// Whether an input, or the number of outputs, is left to the data.
    pub fn are_open(&self) -> bool {
        let needs_classes = |spec: &NetworkSpec| spec.layers.iter().any(LayerSpec::needs_classes);
        self.specs.iter().any(|spec| spec.input.is_empty() || needs_classes(spec))
    }

    /// Whether an input is left to the data.
    pub fn have_open_inputs(&self) -> bool {
        self.specs.iter().any(|spec| spec.input.is_empty())
    }

    /// Fills in what is left to the data: images of this shape, `(C, H, W)`, of so many classes.
    /// Returns whether an input was.
    pub(super) fn fill(&mut self, shape: [usize; 3], classes: usize) -> bool {
        let is_open = self.have_open_inputs();
        for spec in &mut self.specs {
            if spec.input.is_empty() {
                spec.input = shape.to_vec();
            }
            spec.set_classes(classes);
        }
        is_open
    }

    /// The network of a committee's member, counted from 1.
    ///
    /// # Panics
    /// If `member` is 0.
    #[track_caller]
    pub fn of_member(&self, member: usize) -> &NetworkSpec {
        &self.specs[(member - 1) % self.specs.len()]
    }

    /// The augmentation of a committee's member, counted from 1, if its network has its own.
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
pub(crate) struct NetworkNumber {
    /// Counted from 1.
    pub(crate) network: usize,
    /// How many there are.
    pub(crate) networks: usize,
}

impl NetworkNumber {
    /// The only network.
    pub(crate) const ONLY: Self = Self { network: 1, networks: 1 };

    /// Each of an experiment's networks.
    pub(crate) fn each(networks: &Networks) -> impl Iterator<Item = Self> + use<> {
        let networks = networks.all().len();
        (1..=networks).map(move |network| Self { network, networks })
    }

    /// `committee, network 2 of 3`, or the name alone; with an empty line above all but the first.
    pub(crate) fn heading(self, name: &str) -> String {
        match self {
            Self::ONLY => name.to_owned(),
            Self { network: 1, .. } => format!("{name}, {self}"),
            _ => format!("\n{name}, {self}"),
        }
    }
}

impl fmt::Display for NetworkNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, networks } = self;
        if *self == Self::ONLY {
            return f.write_str("network");
        }
        write!(f, "network {network} of {networks}")
    }
}

/// A table, or an array of tables that is not empty. By hand, since serde's untagged enums lose the
/// place of an error.
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
