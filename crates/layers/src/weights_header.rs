use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::Range;

use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::error::Category;
use tensor::{Element, Shape};

use crate::bounded::{listed, shortened};
use crate::builtin::LayerText;
use crate::chain::Chain;
use crate::footprint::Footprint;
use crate::layer::Parameter;
use crate::layer_config::OwnLayers;
use crate::network::Network;
use crate::spec::{NetworkSpec, NetworkText};
use crate::weights::dtype;

/// The key of `__metadata__` under which the network is described.
pub(crate) const NETWORK: &str = "network";

/// The name in its layer of the number of steps that a normalisation in PyTorch has measured.
pub(crate) const COUNTER: &str = "num_batches_tracked";

/// The name in its layer of the mean that goes with that counter.
pub(crate) const MEAN: &str = "running_mean";

/// The header of a safetensors file: enough to know what numbers follow, how many, and whether they
/// are worth reading.
///
/// A file consists of [`WeightsHeader::PREFIX`] bytes with the length of the header, the header,
/// and [`WeightsHeader::body_len`] bytes.
#[derive(Debug)]
pub struct WeightsHeader(Metadata);

impl WeightsHeader {
    /// How many bytes precede the header.
    pub const PREFIX: usize = 8;

    /// The longest header that is read, in bytes. That of the largest network, with
    /// [`NetworkSpec::MOST_LAYERS`] layers, is about three quarters as long.
    pub const LONGEST: usize = 1 << 22;

    /// The most arrays that are read: a layer has at most four, and a normalisation saved by
    /// PyTorch a counter besides.
    pub const MOST_ARRAYS: usize = 5 * NetworkSpec::MOST_LAYERS;

    /// The most keys of `__metadata__` that are read; [`save_weights`](crate::save_weights) writes
    /// a few dozen.
    pub const MOST_KEYS: usize = 1000;

    /// The length of the header in bytes, from the bytes that precede it.
    ///
    /// # Errors
    /// If it is longer than a network's can be.
    pub fn length(prefix: [u8; Self::PREFIX]) -> Result<usize, WeightsError> {
        let found = u64::from_le_bytes(prefix);
        let length = usize::try_from(found).ok().filter(|&length| length <= Self::LONGEST);
        length.ok_or_else(|| {
            let most = Self::LONGEST;
            WeightsError::new(format!(
                "expected a safetensors file, whose header has at most {most} bytes if it is of a \
                 network, got one of {found} bytes"
            ))
        })
    }

    /// Parses the bytes of a header.
    ///
    /// # Errors
    /// If they are not the header of a safetensors file, or hold more than a network's can.
    pub fn parse(header: &[u8]) -> Result<Self, WeightsError> {
        let fail = |error: &str| {
            let error = shortened(error);
            WeightsError::new(format!("expected a safetensors file, got another header: {error}"))
        };
        let Entries { metadata, arrays } =
            serde_json::from_slice(header).map_err(|error| fail(&json_complaint(&error)))?;
        let mut arrays: Vec<_> = arrays.into_iter().collect();
        arrays.sort_by_key(|(_, array)| array.data_offsets);
        let metadata = metadata.map(|keys| keys.into_iter().collect());
        Metadata::new(metadata, arrays).map(Self).map_err(|error| fail(&error.to_string()))
    }

    /// How many bytes follow the header.
    pub fn body_len(&self) -> usize {
        self.0.data_len()
    }

    /// The `__metadata__`.
    pub fn metadata(&self) -> HashMap<String, String> {
        self.0.metadata().clone().into_iter().flatten().collect()
    }

    /// The footprint of the network that the file describes, before any of its memory is allocated;
    /// checks that the file holds the network's arrays.
    ///
    /// # Errors
    /// If the file does not describe a network, or holds other arrays than the description implies.
    pub fn footprint<T: Element>(&self) -> Result<Footprint<T>, WeightsError> {
        self.footprint_with::<T, ()>()
    }

    /// The same for a network whose layers are built in or of the types of `O`.
    ///
    /// # Errors
    /// As [`WeightsHeader::footprint`].
    pub fn footprint_with<T: Element, O: OwnLayers>(&self) -> Result<Footprint<T>, WeightsError> {
        let spec = self.described::<O>()?.ok_or_else(|| {
            WeightsError::new(format!(
                "weights: expected a description of the network under {NETWORK:?} in \
                 __metadata__, got none"
            ))
        })?;
        let footprint = spec.footprint::<T>();
        let footprint = footprint
            .map_err(|error| WeightsError::new(format!("weights, {NETWORK:?}: {error}")))?;
        self.check_chain(&footprint.chain)?;
        Ok(footprint)
    }

    /// The network that the file describes, whose layers are built in or of the types of `O`; none
    /// if the file describes none.
    ///
    /// # Errors
    /// If it is described in another way than this version knows.
    pub fn described<O: OwnLayers>(&self) -> Result<Option<NetworkSpec>, WeightsError> {
        let text = self.0.metadata().as_ref().and_then(|metadata| metadata.get(NETWORK));
        let spec = text.map(|text| described::<O>(text)).transpose();
        spec.map_err(|error| WeightsError::new(format!("weights, {NETWORK:?}: {error}")))
    }

    /// Checks that the file's arrays are the parameters and the buffers of `network`.
    ///
    /// # Errors
    /// If names, shapes or types differ: the message lists the arrays at fault.
    pub fn check<T: Element>(&self, network: &Network<T>) -> Result<(), WeightsError> {
        self.check_chain(network.chain())
    }

    fn check_chain<T: Element>(&self, chain: &Chain<T>) -> Result<(), WeightsError> {
        let parameters = chain.named(|layer| layer.parameters());
        let buffers = chain.named(|layer| layer.buffers());
        let expected: Vec<_> = parameters.into_iter().chain(buffers).collect();
        let wrong = expected.iter().filter_map(|(array, _)| self.complaint(array));
        let mut complaints: Vec<_> = wrong.collect();
        let known: HashSet<_> = expected.iter().map(|(array, _)| &*array.name).collect();
        let mut extra = self.0.offset_keys();
        // PyTorch counts the steps of a normalisation, and stores the counter.
        let is_counter = |name: &str| {
            let layer = name.strip_suffix(COUNTER);
            layer.is_some_and(|layer| known.contains(&*format!("{layer}{MEAN}")))
        };
        extra.retain(|name| !known.contains(&**name) && !is_counter(name));
        extra.sort_unstable();
        complaints.extend(extra.iter().map(|name| format!("{name} is not in the network")));
        if complaints.is_empty() {
            return Ok(());
        }
        Err(WeightsError::new(format!("weights: {}", listed(&complaints))))
    }

    /// Checks that the file has these arrays of numbers of type `T`, and no others.
    ///
    /// # Errors
    /// If names, shapes or types differ: the message lists the arrays at fault.
    pub(crate) fn require_exactly<'a, T: Element>(
        &self,
        expected: impl Iterator<Item = (&'a str, Shape)>,
    ) -> Result<(), WeightsError> {
        let (mut known, mut complaints) = (HashSet::new(), Vec::new());
        for (name, shape) in expected {
            known.insert(name);
            let dtype = dtype::<T>();
            match self.0.info(name) {
                None => complaints.push(format!("{name} {shape} is missing")),
                Some(found) if found.dtype == dtype && found.shape == shape.dims() => {}
                Some(TensorInfo { dtype: found, shape: dims, .. }) => complaints.push(format!(
                    "{name}: expected {shape} of {dtype:?}, got {} of {found:?}",
                    shape_text(dims)
                )),
            }
        }
        let mut extra = self.0.offset_keys();
        extra.retain(|name| !known.contains(&**name));
        extra.sort_unstable();
        complaints.extend(extra.iter().map(|name| format!("{name} is not of this trainer")));
        if complaints.is_empty() {
            return Ok(());
        }
        Err(WeightsError::new(format!("weights: {}", listed(&complaints))))
    }

    /// What is wrong with an array of the file, if anything.
    fn complaint(&self, array: &Parameter) -> Option<String> {
        let Parameter { name, shape, .. } = array;
        let Some(TensorInfo { dtype, shape: found, .. }) = self.0.info(name) else {
            return Some(format!("{name} {shape} is missing"));
        };
        if found != shape.dims() {
            return Some(format!("{name}: expected {shape}, got {}", shape_text(found)));
        }
        let known = matches!(dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64);
        (!known).then(|| format!("{name}: expected F16, BF16, F32 or F64, got {dtype:?}"))
    }

    /// What stands before the number of the layer in the names of all arrays, as in
    /// `module.0.weight`; nothing if the names do not agree in that.
    pub fn prefix(&self) -> String {
        let names = self.0.offset_keys();
        let mut prefixes = names.iter().map(|name| before_layer(name));
        let first = prefixes.next().flatten().unwrap_or_default();
        let all = prefixes.all(|prefix| prefix == Some(first));
        if all { first.to_owned() } else { String::new() }
    }

    /// The same header with `prefix` removed from the names that begin with it.
    ///
    /// # Errors
    /// If an array then has the name of another one.
    pub fn renamed(&self, prefix: &str) -> Result<Self, WeightsError> {
        let arrays = self.0.offset_keys().into_iter().filter_map(|name| {
            let TensorInfo { dtype, shape, data_offsets } = self.0.info(&name)?;
            let (dtype, shape, data_offsets) = (*dtype, shape.clone(), *data_offsets);
            let name = name.strip_prefix(prefix).unwrap_or(&name).to_owned();
            Some((name, TensorInfo { dtype, shape, data_offsets }))
        });
        let arrays: Vec<_> = arrays.collect();
        let names: HashSet<_> = arrays.iter().map(|(name, _)| name).collect();
        if names.len() < arrays.len() {
            let complaint = format!("weights: names are no longer unique without {prefix:?}");
            return Err(WeightsError::new(complaint));
        }
        let fail = |error: &dyn fmt::Display| WeightsError::new(format!("weights: {error}"));
        Metadata::new(self.0.metadata().clone(), arrays).map(Self).map_err(|error| fail(&error))
    }

    /// How many arrays there are of each type of floating-point numbers, by its name in lower case.
    pub fn types(&self) -> BTreeMap<String, usize> {
        let mut types = BTreeMap::new();
        for name in self.0.offset_keys() {
            let dtype = self.0.info(&name).map(|array| format!("{:?}", array.dtype));
            let is_float = |name: &String| name.contains('F');
            if let Some(name) = dtype.filter(is_float) {
                *types.entry(name.to_lowercase()).or_default() += 1;
            }
        }
        types
    }

    /// The type of an array's numbers, and where their bytes lie after the header.
    pub(crate) fn array(&self, name: &str) -> Option<(Dtype, Range<usize>)> {
        let TensorInfo { dtype, data_offsets: (start, end), .. } = self.0.info(name)?;
        Some((*dtype, *start..*end))
    }
}

/// What stands before the number of the layer in the name of an array; none if there is no number.
fn before_layer(name: &str) -> Option<&str> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mut at = 0;
    for part in name.split('.') {
        if is_number(part) {
            return Some(&name[..at]);
        }
        at += part.len() + 1;
    }
    None
}

/// A header as it is read, before it is validated.
struct Entries {
    metadata: Option<HashMap<String, String>>,
    arrays: HashMap<String, TensorInfo>,
}

/// An array in a header.
#[derive(Deserialize)]
#[serde(expecting = "an array's dtype, shape and data_offsets")]
struct Array {
    dtype: Dtype,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arrays by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let (mut metadata, mut arrays) = (None, HashMap::new());
        while let Some(name) = map.next_key::<String>()? {
            let is_twice = if name == "__metadata__" {
                metadata.replace(map.next_value::<Keys>()?.0).is_some()
            } else {
                let Array { dtype, shape, data_offsets } = map.next_value()?;
                let array = TensorInfo { dtype, shape, data_offsets };
                let is_twice = arrays.insert(name.clone(), array).is_some();
                at_most(arrays.len(), WeightsHeader::MOST_ARRAYS, "arrays")?;
                is_twice
            };
            if is_twice {
                return Err(de::Error::custom(format!(
                    "expected each name once, got {name:?} twice"
                )));
            }
        }
        Ok(Entries { metadata, arrays })
    }
}

/// The `__metadata__` as they are read.
struct Keys(HashMap<String, String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("texts by their keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let mut keys = HashMap::new();
        while let Some((key, text)) = map.next_entry()? {
            keys.insert(key, text);
            at_most(keys.len(), WeightsHeader::MOST_KEYS, "keys in __metadata__")?;
        }
        Ok(Keys(keys))
    }
}

/// Stops reading when there are more entries than a valid file has.
fn at_most<E: de::Error>(count: usize, most: usize, what: &str) -> Result<(), E> {
    if count <= most {
        return Ok(());
    }
    Err(E::custom(format!("expected at most {most} {what}, got more")))
}

/// What is wrong with a JSON text, in words for people who do not know the parser.
fn json_complaint(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Eof => "expected JSON, got a text that is empty or cut short".into(),
        Category::Data => error.to_string().replace("expected usize", "expected a whole number"),
        Category::Syntax | Category::Io => format!("expected JSON, got another text: {error}"),
    }
}

/// The network that a text describes, or why it describes none, in plain words.
fn described<O: OwnLayers>(text: &str) -> Result<NetworkSpec, String> {
    if let Ok(spec) = serde_json::from_str::<NetworkText<O>>(text) {
        return Ok(spec.into());
    }
    let complaint = |what: &str, expected: &str, found: &dyn fmt::Display| {
        Err(format!("{what}expected {expected}, got {}", shortened(&found.to_string())))
    };
    let value = serde_json::from_str(text).map_err(|error| shortened(&json_complaint(&error)))?;
    let Value::Object(mut keys) = value else {
        return complaint("", "an object in JSON", &value);
    };
    let [input, layers] = ["input", "layers"].map(|key| keys.remove(key).unwrap_or_default());
    if serde_json::from_value::<Vec<usize>>(input.clone()).is_err() {
        return complaint("input: ", "a list of whole numbers", &input);
    }
    let Value::Array(layers) = layers else {
        return complaint("layers: ", "a list of layers", &layers);
    };
    for (place, layer) in layers.iter().enumerate() {
        if let Err(error) = LayerText::<O>::deserialize(layer) {
            let (found, reason) = (shortened(&layer.to_string()), error.to_string());
            // A list of all types would be long.
            let unknown =
                reason.strip_prefix("unknown variant `").and_then(|r| r.split('`').next());
            let reason = match unknown {
                Some(name) => {
                    format!("{name:?} is not a built-in layer type nor one of the given types")
                }
                None => shortened(&reason),
            };
            return Err(format!(
                "layer {place}: expected one that this version knows, got {found}: {reason}"
            ));
        }
    }
    let others: Vec<_> = keys.keys().map(String::as_str).collect();
    complaint("", "the keys input and layers alone", &others.join(", "))
}

fn shape_text(dims: &[usize]) -> String {
    if dims.len() <= Shape::MAX_RANK {
        Shape::new(dims).to_string()
    } else {
        shortened(&format!("{dims:?}"))
    }
}

/// Weights that cannot be read, or that do not belong to the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightsError(String);

impl WeightsError {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for WeightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WeightsError {}
