//! Runs networks from files on inputs from files.
//!
//!     cargo run -p layers --example 05-run-networks -- FOLDER…
//!
//! It reads from each folder `network.json` (a `NetworkSpec`), `weights.safetensors` (for
//! `load_weights`) and `input.bin` (samples one after another, `f32`, little-endian), and writes
//! the outputs to `output.bin` beside them. If there is a `loss.json` (a `Loss`), it writes the
//! loss of each sample instead, for the targets in `target.bin`. `scripts/onnx_node_tests.py` makes
//! such folders.

use std::fs;
use std::path::Path;

use layers::{Loss, NetworkSpec, Workspace, load_weights};

type Error = Box<dyn std::error::Error>;

/// Reads numbers of 4 bytes; their count must be a multiple of `len`.
fn numbers(file: &Path, len: usize) -> Result<Vec<f32>, Error> {
    let bytes = fs::read(file)?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() || !numbers.len().is_multiple_of(len) {
        let name = file.display();
        return Err(format!("{name}: expected samples of {len} numbers of 4 bytes").into());
    }
    Ok(numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

fn answer(folder: &Path) -> Result<(), Error> {
    let spec: NetworkSpec = serde_json::from_slice(&fs::read(folder.join("network.json"))?)?;
    let mut network = spec.build::<f32>()?;
    load_weights(&mut network, &fs::read(folder.join("weights.safetensors"))?)?;
    let [inputs, outputs] = [network.input_shape().len(), network.output_shape().len()];
    let input = numbers(&folder.join("input.bin"), inputs)?;
    let mut workspace = Workspace::new(&network, input.len() / inputs);
    let mut answers = network.predict(&input, &mut workspace).to_vec();
    if let Ok(loss) = fs::read(folder.join("loss.json")) {
        let loss: Loss = serde_json::from_slice(&loss)?;
        let targets = numbers(&folder.join("target.bin"), outputs)?;
        let pairs = answers.chunks_exact(outputs).zip(targets.chunks_exact(outputs));
        answers = pairs.map(|(output, target)| loss.value(output, target) as f32).collect();
    }
    let bytes: Vec<u8> = answers.iter().flat_map(|y| y.to_le_bytes()).collect();
    Ok(fs::write(folder.join("output.bin"), bytes)?)
}

fn main() -> Result<(), Error> {
    for folder in std::env::args_os().skip(1) {
        let folder = Path::new(&folder);
        answer(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    Ok(())
}
