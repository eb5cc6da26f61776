//! Networks from files: what each answers to some inputs.
//!
//!     cargo run -p layers --example 04-run-networks -- FOLDER…
//!
//! reads from each folder `network.json` (a `NetworkSpec`), `weights.safetensors` (as
//! `load_weights` takes it) and `input.bin` (samples one after another, `f32`, little-endian),
//! and writes `output.bin` beside them. `scripts/onnx_node_tests.py` makes such folders.

use std::fs;
use std::path::Path;

use layers::{NetworkSpec, Workspace, load_weights};

type Error = Box<dyn std::error::Error>;

fn answer(folder: &Path) -> Result<(), Error> {
    let spec: NetworkSpec = serde_json::from_slice(&fs::read(folder.join("network.json"))?)?;
    let mut network = spec.build::<f32>()?;
    load_weights(&mut network, &fs::read(folder.join("weights.safetensors"))?)?;
    let bytes = fs::read(folder.join("input.bin"))?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    let len = network.input_shape().len();
    if !rest.is_empty() || !numbers.len().is_multiple_of(len) {
        return Err(format!("input.bin: expected samples of {len} numbers of 4 bytes").into());
    }
    let input: Vec<f32> = numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let mut workspace = Workspace::new(&network, input.len() / len);
    let output = network.predict(&input, &mut workspace);
    let bytes: Vec<u8> = output.iter().flat_map(|y| y.to_le_bytes()).collect();
    Ok(fs::write(folder.join("output.bin"), bytes)?)
}

fn main() -> Result<(), Error> {
    for folder in std::env::args_os().skip(1) {
        let folder = Path::new(&folder);
        answer(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    Ok(())
}
