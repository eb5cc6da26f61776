use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;

use safetensors::tensor::{Dtype, View};
use tensor::{Element, Shape};

use crate::bounded::listed;
use crate::layer::Parameter;
use crate::layer_config::OwnLayers;
use crate::network::Network;
use crate::weights_header::{COUNTER, MEAN, NETWORK, WeightsError, WeightsHeader};

/// The parameters and the buffers of a network as the bytes of a safetensors file, in the network's
/// precision, under the names of a PyTorch `Sequential`'s `state_dict`. The `__metadata__` holds the
/// network's description, so that the file alone is enough to predict, and the given `metadata`.
///
/// Where PyTorch has a batch normalisation's counter of steps, `num_batches_tracked`, there is one
/// too. It is 0, as before a training: a network does not know its steps, and PyTorch looks at the
/// counter only where there is no momentum.
///
/// # Errors
/// If a number is not finite, if `metadata` has the key `"network"`, which is that of the
/// description, or if it is larger than [`WeightsHeader`] reads.
pub fn save_weights<T: Element>(
    network: &Network<T>,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, WeightsError> {
    let fail = |error: &dyn fmt::Display| WeightsError::new(format!("safetensors: {error}"));
    let spec = serde_json::to_string(network.spec()).map_err(|error| fail(&error))?;
    if metadata.iter().any(|(key, _)| *key == NETWORK) {
        let complaint = format!("metadata: expected keys other than {NETWORK:?}, found that one");
        return Err(WeightsError::new(complaint));
    }
    let parameters = named(network.named_parameters(), network.parameters());
    let arrays = parameters.chain(named(network.named_buffers(), network.buffers()));
    let metadata = metadata.iter().cloned().chain([(NETWORK, spec)]);
    let arrays: Vec<_> = arrays.collect();
    let normalizations = arrays.iter().filter_map(|array| array.name.strip_suffix(MEAN));
    let counters: Vec<_> = normalizations.map(|layer| format!("{layer}{COUNTER}")).collect();
    save(&arrays, &counters, metadata)
}

fn named<T>(
    arrays: Vec<(Parameter, Range<usize>)>,
    numbers: &[T],
) -> impl Iterator<Item = NamedArray<'_, T>> {
    arrays.into_iter().map(|(Parameter { name, shape, .. }, range)| NamedArray {
        name,
        shape,
        numbers: &numbers[range],
    })
}

/// An array for a file.
pub(crate) struct NamedArray<'a, T> {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) numbers: &'a [T],
}

/// The arrays as the bytes of a safetensors file, with these `__metadata__`.
///
/// # Errors
/// If a number is not finite, or there are more metadata than [`WeightsHeader`] reads.
pub(crate) fn save_arrays<'a, T: Element>(
    arrays: &[NamedArray<'_, T>],
    metadata: impl Iterator<Item = (&'a str, String)>,
) -> Result<Vec<u8>, WeightsError> {
    save(arrays, &[], metadata)
}

/// The same with counters of these names, each 0.
fn save<'a, T: Element>(
    arrays: &[NamedArray<'_, T>],
    counters: &[String],
    metadata: impl Iterator<Item = (&'a str, String)>,
) -> Result<Vec<u8>, WeightsError> {
    let is_broken = |array: &&NamedArray<'_, T>| array.numbers.iter().any(|x| !x.is_finite());
    let broken = arrays.iter().filter(is_broken);
    let broken: Vec<_> =
        broken.map(|array| format!("{}: expected finite numbers", array.name)).collect();
    if !broken.is_empty() {
        return Err(WeightsError::new(format!("weights: {}", listed(&broken))));
    }
    let fail = |error: &dyn fmt::Display| WeightsError::new(format!("safetensors: {error}"));
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value)).collect();
    let views = arrays.iter().map(|array| {
        let shape = array.shape.dims().to_vec();
        (&*array.name, Array { shape, numbers: Some(array.numbers) })
    });
    let counter = |name| (name, Array { shape: Vec::new(), numbers: None });
    let views = views.chain(counters.iter().map(|name| counter(&**name)));
    let mut file = safetensors::serialize(views, Some(metadata)).map_err(|error| fail(&error))?;
    sort_header(&mut file).map_err(|error| fail(&error))?;
    // Whatever is written can be read again.
    open(&file)?;
    Ok(file)
}

/// Sorts the keys of the header, so that the same weights are the same bytes: the metadata come out
/// of a hash map.
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

/// Replaces the parameters and the buffers of `network` by those in the bytes of a safetensors
/// file, of the type `F16`, `BF16`, `F32` or `F64`.
///
/// # Errors
/// If the bytes are not a safetensors file, if names, shapes or types are not those of the network,
/// if a number is not finite or becomes infinite in the network's precision, or if a variance is
/// negative: the message lists the arrays at fault. The network is then unchanged.
pub fn load_weights<T: Element>(
    network: &mut Network<T>,
    bytes: &[u8],
) -> Result<(), WeightsError> {
    let (header, body) = open(bytes)?;
    load(network, (&header, body))
}

/// The same from a file whose header has been read, and perhaps [changed](WeightsHeader::renamed).
///
/// # Errors
/// As [`load_weights`].
pub fn load_weights_of<T: Element>(
    network: &mut Network<T>,
    header: &WeightsHeader,
    bytes: &[u8],
) -> Result<(), WeightsError> {
    load(network, (header, open(bytes)?.1))
}

fn load<T: Element>(
    network: &mut Network<T>,
    file: (&WeightsHeader, &[u8]),
) -> Result<(), WeightsError> {
    file.0.check(network)?;
    let (parameters, buffers) = (network.named_parameters(), network.named_buffers());
    let arrays = parameters.iter().chain(&buffers).map(|(array, _)| array);
    let complaints: Vec<_> = arrays.filter_map(|array| refuse_numbers::<T>(file, array)).collect();
    if !complaints.is_empty() {
        return Err(WeightsError::new(format!("weights: {}", listed(&complaints))));
    }
    let read = |arrays: Vec<(Parameter, Range<usize>)>, numbers: &mut [T]| {
        for (array, range) in arrays {
            let found = numbers_of(file, &array.name);
            numbers[range].iter_mut().zip(found).for_each(|(to, found)| *to = T::from_f64(found));
        }
    };
    read(parameters, network.parameters_mut());
    read(buffers, network.buffers_mut());
    Ok(())
}

/// The numbers of an array of a file whose header has been checked.
fn numbers_of<'a>(
    (header, body): (&WeightsHeader, &'a [u8]),
    name: &str,
) -> Box<dyn Iterator<Item = f64> + 'a> {
    /// The numbers that `read` makes of so many bytes each.
    fn read<const N: usize>(
        bytes: &[u8],
        read: fn([u8; N]) -> f64,
    ) -> Box<dyn Iterator<Item = f64> + '_> {
        Box::new(bytes.as_chunks().0.iter().map(move |&bytes| read(bytes)))
    }
    let (dtype, place) = header.array(name).expect("an array that has been checked");
    let bytes = &body[place];
    match dtype {
        Dtype::F16 => read(bytes, |bytes| half(u16::from_le_bytes(bytes)).into()),
        // The upper half of an f32.
        Dtype::BF16 => read(bytes, |[low, high]| f32::from_le_bytes([0, 0, low, high]).into()),
        Dtype::F32 => read(bytes, |bytes| f32::from_le_bytes(bytes).into()),
        _ => read(bytes, f64::from_le_bytes),
    }
}

/// The number with these bits in IEEE 754's format of 16 bits: a sign, 5 bits of exponent, 10 of
/// fraction.
fn half(bits: u16) -> f32 {
    let (negative, rest) = (bits >> 15 == 1, u32::from(bits & 0x7fff));
    let magnitude = match rest >> 10 {
        // Without a leading 1: multiples of 2⁻²⁴.
        0 => rest as f32 / 16_777_216.0,
        // Infinity and NaN.
        31 => f32::from_bits(0x7f80_0000 | rest << 13),
        // The exponent is biased by 127 instead of 15.
        _ => f32::from_bits((rest << 13) + (112 << 23)),
    };
    if negative { -magnitude } else { magnitude }
}

/// Reads an array of a file whose header has been checked, in the same precision.
///
/// # Errors
/// If a number is not finite.
pub(crate) fn read_numbers<T: Element>(
    file: (&WeightsHeader, &[u8]),
    name: &str,
    numbers: &mut [T],
) -> Result<(), WeightsError> {
    numbers.iter_mut().zip(numbers_of(file, name)).for_each(|(to, x)| *to = T::from_f64(x));
    match numbers.iter().all(|number| number.is_finite()) {
        true => Ok(()),
        false => Err(WeightsError::new(format!("weights: {name}: expected finite numbers"))),
    }
}

/// Which numbers of an array are invalid, if any: those that are not finite in the network's
/// precision, and negative variances.
fn refuse_numbers<T: Element>(file: (&WeightsHeader, &[u8]), array: &Parameter) -> Option<String> {
    let Parameter { name, shape, role } = array;
    let refuse = |found: f64| role.refuse(found).or(role.refuse(T::from_f64(found).to_f64()));
    let wrong = || numbers_of(file, name).enumerate().filter(|&(_, found)| refuse(found).is_some());
    let (place, found) = wrong().next()?;
    let is_lost = role.refuse(found).is_none();
    let precision = if is_lost { format!(" in {}", T::NAME) } else { String::new() };
    Some(format!(
        "{name}: expected {}{precision}, found {found:?} at index {place}; {} of {} numbers are invalid",
        refuse(found)?,
        wrong().count(),
        shape.len()
    ))
}

/// The network in the bytes of a file of [`save_weights`], with its parameters.
///
/// # Errors
/// If the bytes are not a safetensors file, do not describe a network, or hold other arrays than
/// the description implies.
pub fn network_of<T: Element>(bytes: &[u8]) -> Result<Network<T>, WeightsError> {
    network_of_with::<T, ()>(bytes)
}

/// [`network_of`] for networks that may have layers of the types of `O` besides built-in ones.
///
/// # Errors
/// As [`network_of`]; the message names a layer of an unknown type.
pub fn network_of_with<T: Element, O: OwnLayers>(bytes: &[u8]) -> Result<Network<T>, WeightsError> {
    let mut network = open(bytes)?.0.footprint_with::<T, O>()?.build();
    load_weights(&mut network, bytes)?;
    Ok(network)
}

/// The `__metadata__` of a safetensors file.
///
/// # Errors
/// If the bytes are not a safetensors file.
pub fn metadata_of(bytes: &[u8]) -> Result<HashMap<String, String>, WeightsError> {
    Ok(open(bytes)?.0.metadata())
}

/// The header and what follows it.
pub(crate) fn open(bytes: &[u8]) -> Result<(WeightsHeader, &[u8]), WeightsError> {
    let fail = |reason: String| {
        let count = bytes.len();
        WeightsError::new(format!("expected a safetensors file, got {count} bytes: {reason}"))
    };
    let (prefix, rest) = bytes.split_first_chunk().ok_or_else(|| fail("too few".into()))?;
    let length = WeightsHeader::length(*prefix).map_err(|error| fail(error.to_string()))?;
    let (header, body) = rest
        .split_at_checked(length)
        .ok_or_else(|| fail(format!("its header of {length} bytes is cut short")))?;
    let header = WeightsHeader::parse(header).map_err(|error| fail(error.to_string()))?;
    let (expected, found) = (header.body_len(), body.len());
    if found != expected {
        return Err(fail(format!("expected {expected} after the header, got {found}")));
    }
    Ok((header, body))
}

pub(crate) fn dtype<T: Element>() -> Dtype {
    if size_of::<T>() == 4 { Dtype::F32 } else { Dtype::F64 }
}

/// Numbers that are turned into bytes when they are written, one array at a time.
struct Array<'a, T> {
    shape: Vec<usize>,
    /// None of a counter, which is 0.
    numbers: Option<&'a [T]>,
}

impl<T: Element> View for Array<'_, T> {
    fn dtype(&self) -> Dtype {
        if self.numbers.is_some() { dtype::<T>() } else { Dtype::I64 }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        let Some(numbers) = self.numbers else { return vec![0; self.data_len()].into() };
        let mut bytes = Vec::with_capacity(self.data_len());
        T::extend_le_bytes(numbers, &mut bytes);
        bytes.into()
    }

    fn data_len(&self) -> usize {
        self.numbers.map_or(size_of::<i64>(), size_of_val)
    }
}

#[cfg(test)]
mod tests {
    use super::half;

    #[test]
    fn every_half_is_the_number_that_its_bits_say() {
        for bits in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
            let magnitude = match exponent {
                0 => fraction * 2_f64.powi(-24),
                31 if fraction == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
            };
            let found = f64::from(half(bits));
            assert_eq!(found.is_sign_negative(), bits >> 15 == 1, "{bits:#x}");
            let is_same = found.abs() == magnitude || found.is_nan() && magnitude.is_nan();
            assert!(is_same, "{bits:#x}: {found}");
        }
    }
}
