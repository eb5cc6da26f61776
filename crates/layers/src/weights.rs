use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;

use safetensors::tensor::{Dtype, SafeTensors, View};
use tensor::Element;

use crate::bounded::{listed, shortened};
use crate::layer::Parameter;
use crate::network::Network;
use crate::weights_header::{NETWORK, WeightsHeader};

/// The parameters and the state of a network as the bytes of a safetensors file, in the network's
/// precision. Its `__metadata__` holds the network's description, so that the file alone
/// is enough to predict, and `metadata` beside it.
pub fn save_weights<T: Element>(
    network: &Network<T>,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, WeightsError> {
    let fail = |error: &dyn fmt::Display| WeightsError::new(format!("safetensors: {error}"));
    let spec = serde_json::to_string(network.spec()).map_err(|error| fail(&error))?;
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    let metadata = metadata.chain([(NETWORK.to_owned(), spec)]).collect();
    let parameters = named(network.named_parameters(), network.parameters());
    let tensors = parameters.chain(named(network.named_state(), network.state()));
    let mut file = safetensors::serialize(tensors, Some(metadata)).map_err(|error| fail(&error))?;
    sort_header(&mut file).map_err(|error| fail(&error))?;
    Ok(file)
}

/// The arrays, each with its name, for a file.
fn named<T: Element>(
    arrays: Vec<(Parameter, Range<usize>)>,
    numbers: &[T],
) -> impl Iterator<Item = (String, Array)> {
    arrays.into_iter().map(|(array, range)| {
        let mut bytes = Vec::new();
        T::extend_le_bytes(&numbers[range], &mut bytes);
        let shape = array.shape.dims().to_vec();
        (array.name, Array { dtype: dtype::<T>(), shape, bytes })
    })
}

/// Brings the keys of the header into order, so that the same weights are the same bytes:
/// the metadata's come out of a hash map.
fn sort_header(file: &mut [u8]) -> serde_json::Result<()> {
    let (len, rest) = file.split_first_chunk_mut().expect("a header");
    let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
    let header = &mut rest[..len];
    let keys: BTreeMap<String, BTreeMap<String, serde_json::Value>> =
        serde_json::from_slice(header)?;
    let sorted = serde_json::to_vec(&keys)?;
    header[..sorted.len()].copy_from_slice(&sorted);
    header[sorted.len()..].fill(b' ');
    Ok(())
}

/// Replaces the parameters and the state of `network` by those in the bytes of a safetensors file, of
/// 32 or 64 bits each.
///
/// # Errors
/// If the bytes are no safetensors, or their names, shapes or types are not those of the
/// network, or a number is not finite, also one that only the network's precision cannot hold,
/// or a variance is below 0: the message lists those that differ. The network is then unchanged.
pub fn load_weights<T: Element>(
    network: &mut Network<T>,
    bytes: &[u8],
) -> Result<(), WeightsError> {
    let (header, body) = open(bytes)?;
    header.check(network)?;
    let mut complaints = Vec::new();
    let mut read = |arrays: Vec<(Parameter, Range<usize>)>, numbers: &mut [T]| {
        for (array, range) in arrays {
            complaints.extend(read_array((&header, body), &array, &mut numbers[range]).err());
        }
    };
    let (mut parameters, mut state) = (network.parameters().to_vec(), network.state().to_vec());
    read(network.named_parameters(), &mut parameters);
    read(network.named_state(), &mut state);
    if !complaints.is_empty() {
        return Err(WeightsError::new(format!("weights: {}", listed(&complaints))));
    }
    network.parameters_mut().copy_from_slice(&parameters);
    network.state_mut().copy_from_slice(&state);
    Ok(())
}

/// Reads one array of a file whose header has been checked, or says which of its numbers
/// cannot be: none is finite but those that still are in the network's precision.
fn read_array<T: Element>(
    (header, body): (&WeightsHeader, &[u8]),
    array: &Parameter,
    numbers: &mut [T],
) -> Result<(), String> {
    let Parameter { name, role, .. } = array;
    let (dtype, place) = header.array(name).expect("an array that has been checked");
    let (narrow, wide) = (body[place.clone()].as_chunks().0, body[place].as_chunks().0);
    let found: &mut dyn Iterator<Item = f64> = if dtype == Dtype::F32 {
        &mut narrow.iter().map(|&bytes| f64::from(f32::from_le_bytes(bytes)))
    } else {
        &mut wide.iter().map(|&bytes| f64::from_le_bytes(bytes))
    };
    let (mut first, mut count, len) = (None, 0, numbers.len());
    for (place, (number, found)) in numbers.iter_mut().zip(found).enumerate() {
        *number = T::from_f64(found);
        // Before it is narrowed, and what it has become: a number below 0 may be 0 then.
        if let Some(expected) = role.refuse(found).or_else(|| role.refuse(number.to_f64())) {
            count += 1;
            first.get_or_insert((place, found, expected));
        }
    }
    let Some((place, found, expected)) = first else { return Ok(()) };
    let is_lost = found.is_finite() && !T::from_f64(found).to_f64().is_finite();
    let precision = if is_lost { format!(" in {}", T::NAME) } else { String::new() };
    Err(format!(
        "{name}: expected {expected}{precision}, found {found:?} at place {place}, and {count} such \
         of {len}"
    ))
}

/// The network that a file of [`save_weights`] describes, with its parameters.
///
/// # Errors
/// If the bytes are no safetensors, do not describe a network, or describe another one
/// than they hold.
pub fn network_of<T: Element>(bytes: &[u8]) -> Result<Network<T>, WeightsError> {
    let mut network = open(bytes)?.0.network()?;
    load_weights(&mut network, bytes)?;
    Ok(network)
}

/// The `__metadata__` of a safetensors file.
///
/// # Errors
/// If the bytes are no safetensors.
pub fn metadata_of(bytes: &[u8]) -> Result<HashMap<String, String>, WeightsError> {
    Ok(open(bytes)?.0.metadata())
}

/// The header and what follows it.
fn open(bytes: &[u8]) -> Result<(WeightsHeader, &[u8]), WeightsError> {
    let (length, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| {
        WeightsError::new(format!(
            "expected a safetensors file, got {} bytes: {}",
            bytes.len(),
            shortened(&error.to_string())
        ))
    })?;
    let body = &bytes[WeightsHeader::PREFIX + length..];
    Ok((WeightsHeader::new(metadata), body))
}

fn dtype<T: Element>() -> Dtype {
    if size_of::<T>() == 4 { Dtype::F32 } else { Dtype::F64 }
}

struct Array {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Array {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        self.bytes.as_slice().into()
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Weights that cannot be read, or that are not those of the network.
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
