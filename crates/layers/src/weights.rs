use std::collections::HashMap;
use std::fmt;

use safetensors::tensor::{Dtype, SafeTensors, View};
use tensor::{Element, Shape};

use crate::network::Network;
use crate::spec::NetworkSpec;

/// The key of `__metadata__` under which the network is described.
const NETWORK: &str = "network";

/// The parameters of a network as the bytes of a safetensors file, in the network's
/// precision. Its `__metadata__` holds the network's description, so that the file alone
/// is enough to predict, and `metadata` beside it.
pub fn save_weights<T: Element>(
    network: &Network<T>,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, WeightsError> {
    let fail = |error: &dyn fmt::Display| WeightsError::new(format!("safetensors: {error}"));
    let mut all: HashMap<String, String> =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let spec = serde_json::to_string(network.spec()).map_err(|error| fail(&error))?;
    all.insert(NETWORK.to_owned(), spec);
    let tensors = network.named_parameters().into_iter().map(|(parameter, range)| {
        let mut bytes = Vec::new();
        T::extend_le_bytes(&network.parameters()[range], &mut bytes);
        let shape = parameter.shape.dims().to_vec();
        (parameter.name, Array { dtype: dtype::<T>(), shape, bytes })
    });
    safetensors::serialize(tensors, Some(all)).map_err(|error| fail(&error))
}

/// Replaces the parameters of `network` by those in the bytes of a safetensors file, of
/// 32 or 64 bits each.
///
/// # Errors
/// If the bytes are no safetensors, or their names, shapes or types are not those of the
/// network: the message lists all that differ. The network is then unchanged.
pub fn load_weights<T: Element>(
    network: &mut Network<T>,
    bytes: &[u8],
) -> Result<(), WeightsError> {
    let file = open(bytes)?;
    let mut complaints = Vec::new();
    let mut parameters = network.parameters().to_vec();
    let expected = network.named_parameters();
    for (parameter, range) in &expected {
        let name = &parameter.name;
        let Ok(view) = file.tensor(name) else {
            complaints.push(format!("{name} {} is missing", parameter.shape));
            continue;
        };
        if view.shape() != parameter.shape.dims() {
            let found = shape_text(view.shape());
            complaints.push(format!("{name}: expected {}, got {found}", parameter.shape));
            continue;
        }
        let target = &mut parameters[range.clone()];
        match view.dtype() {
            Dtype::F32 => {
                let (numbers, _) = view.data().as_chunks();
                for (target, &bytes) in target.iter_mut().zip(numbers) {
                    *target = T::from_f64(f64::from(f32::from_le_bytes(bytes)));
                }
            }
            Dtype::F64 => {
                let (numbers, _) = view.data().as_chunks();
                for (target, &bytes) in target.iter_mut().zip(numbers) {
                    *target = T::from_f64(f64::from_le_bytes(bytes));
                }
            }
            other => complaints.push(format!("{name}: expected F32 or F64, got {other:?}")),
        }
    }
    let mut extra = file.names();
    extra.retain(|name| !expected.iter().any(|(parameter, _)| &parameter.name == name));
    extra.sort_unstable();
    complaints.extend(extra.iter().map(|name| format!("{name} is not in the network")));
    if !complaints.is_empty() {
        return Err(WeightsError::new(format!("weights: {}", complaints.join("; "))));
    }
    network.parameters_mut().copy_from_slice(&parameters);
    Ok(())
}

/// The network that a file of [`save_weights`] describes, with its parameters.
///
/// # Errors
/// If the bytes are no safetensors, do not describe a network, or describe another one
/// than they hold.
pub fn network_of<T: Element>(bytes: &[u8]) -> Result<Network<T>, WeightsError> {
    let metadata = metadata_of(bytes)?;
    let text = metadata.get(NETWORK);
    let text = text.ok_or_else(|| {
        WeightsError::new(format!(
            "weights: expected a description of the network under {NETWORK:?} in __metadata__, \
             got none"
        ))
    })?;
    let spec: NetworkSpec = serde_json::from_str(text)
        .map_err(|error| WeightsError::new(format!("weights, {NETWORK:?}: {error}")))?;
    let mut network = spec
        .build()
        .map_err(|error| WeightsError::new(format!("weights, {NETWORK:?}: {error}")))?;
    load_weights(&mut network, bytes)?;
    Ok(network)
}

/// The `__metadata__` of a safetensors file.
///
/// # Errors
/// If the bytes are no safetensors.
pub fn metadata_of(bytes: &[u8]) -> Result<HashMap<String, String>, WeightsError> {
    open(bytes)?;
    let (_, header) = SafeTensors::read_metadata(bytes)
        .map_err(|error| WeightsError::new(format!("safetensors: {error}")))?;
    Ok(header.metadata().clone().unwrap_or_default())
}

fn open(bytes: &[u8]) -> Result<SafeTensors<'_>, WeightsError> {
    SafeTensors::deserialize(bytes).map_err(|error| {
        WeightsError::new(format!(
            "expected a safetensors file, got {} bytes: {error}",
            bytes.len()
        ))
    })
}

fn shape_text(dims: &[usize]) -> String {
    if dims.len() <= Shape::MAX_RANK { Shape::new(dims).to_string() } else { format!("{dims:?}") }
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
    fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for WeightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WeightsError {}
