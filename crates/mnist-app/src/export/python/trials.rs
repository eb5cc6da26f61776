//! Networks of every layer with many settings, each run by what a format makes of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use layers::{Init, Network, NetworkSpec, save_weights};
use tensor::Element;

use crate::export::steps::{steps, trace};
use crate::export::subject::{Ending, Subject};
use crate::export::{Contents, Format, Pictures, Prepared};
use crate::model::Model;
use crate::preprocessing::Normalization;

/// Networks with all layers and many of their settings, as JSON.
pub(in crate::export) const NETWORKS: [&str; 8] = [
    // Paddings, strides, dilations, groups and biases of convolutions.
    r#"{"input":[3,11,9],"layers":[
        {"type":"conv2d","kernels":6,"size":[3,2],"padding":[[1,0],[0,2]],"groups":3},
        {"type":"leaky_relu","slope":0.2},
        {"type":"conv2d","kernels":4,"size":3,"padding":[2,1],"stride":[2,1],"bias":"none"},
        {"type":"gelu"},
        {"type":"conv2d","kernels":4,"size":[2,3],"dilation":[2,1],"padding":"same","bias":"untied"},
        {"type":"elu","alpha":0.7},
        {"type":"conv2d","kernels":5,"size":2,"bias":"untied"},
        {"type":"flatten"},{"type":"dense","outputs":4}]}"#,
    // Transposed convolutions.
    r#"{"input":[2,5,4],"layers":[
        {"type":"conv_transpose2d","kernels":4,"size":3,"stride":2,"padding":1,"output_padding":[1,0]},
        {"type":"silu"},
        {"type":"conv_transpose2d","kernels":4,"size":[3,2],"groups":2,"dilation":[2,1],"bias":"none"},
        {"type":"softplus"},
        {"type":"conv_transpose2d","kernels":3,"size":2,"padding":[[1,0],[0,1]],"bias":"untied"},
        {"type":"tanh"},
        {"type":"conv_transpose2d","kernels":3,"size":3,"stride":3,"padding":[[0,1],[2,0]],"output_padding":2},
        {"type":"hard_swish"},
        {"type":"conv_transpose2d","kernels":2,"size":2,"stride":2,"bias":"untied"},
        {"type":"global_avg_pool2d"}]}"#,
    // Poolings.
    r#"{"input":[2,23,21],"layers":[
        {"type":"max_pool2d","size":[3,2],"stride":[1,1],"padding":[1,1]},
        {"type":"max_pool2d","size":2,"stride":1,"padding":"same"},
        {"type":"max_pool2d","size":3,"stride":2,"ceil_mode":true,"padding":[[1,0],[0,1]]},
        {"type":"avg_pool2d","size":2,"stride":1,"padding":"same"},
        {"type":"avg_pool2d","size":3,"stride":2,"padding":1,"ceil_mode":true,"count_include_pad":false},
        {"type":"avg_pool2d","size":2,"stride":3,"padding":[[1,0],[1,1]],"count_include_pad":false,"ceil_mode":true},
        {"type":"flatten"},{"type":"dense","outputs":3},{"type":"softmax"}]}"#,
    r#"{"input":[1,9,8],"layers":[
        {"type":"max_pool2d","size":3,"stride":2,"ceil_mode":true},
        {"type":"avg_pool2d","size":[3,2],"stride":2,"ceil_mode":true,"padding":[1,0]},
        {"type":"avg_pool2d","size":2,"stride":4000000000000,"padding":1},
        {"type":"reshape","shape":[1]}]}"#,
    // Normalisations, blocks in blocks, dropout.
    r#"{"input":[2,6,6],"layers":[
        {"type":"conv2d","kernels":4,"size":3,"padding":1,"stride":1},
        {"type":"batch_norm2d","momentum":0.25},{"type":"relu"},
        {"type":"residual","layers":[
            {"type":"conv2d","kernels":4,"size":3,"padding":"same","bias":"none"},
            {"type":"batch_norm2d","epsilon":0.001},{"type":"dropout","p":0.5},
            {"type":"residual","layers":[{"type":"group_norm","groups":2},{"type":"sigmoid"}]},
            {"type":"layer_norm"}]},
        {"type":"flatten"},
        {"type":"layer_norm","epsilon":0.01},{"type":"dropout","p":0.3},
        {"type":"dense","outputs":10},{"type":"sigmoid"}]}"#,
    // Shapes that are no pictures, and outputs that are no list.
    r#"{"input":[36],"layers":[
        {"type":"reshape","shape":[1,6,6]},
        {"type":"conv2d","kernels":2,"size":3,"stride":99999999999,"dilation":[2,1]},
        {"type":"reshape","shape":[1,1,2]},
        {"type":"conv2d","kernels":3,"size":1}]}"#,
    r#"{"input":[7],"layers":[{"type":"dense","outputs":2}]}"#,
    r#"{"input":[3,4,4],"layers":[{"type":"global_avg_pool2d"}]}"#,
];

/// How many pictures are run.
const SAMPLES: usize = 7;

/// The network of a text, with numbers drawn at random, also where a network begins with 0 and 1.
pub(in crate::export) fn network<T: Element>(text: &str) -> Network<T> {
    let spec: NetworkSpec = serde_json::from_str(text).unwrap();
    let mut network: Network<T> = spec.build().unwrap();
    network.initialize(Init::He, 7);
    let draw = |at: usize| T::from_f64(0.5 + (at * 37 % 19) as f64 / 20.0);
    let len = network.buffers().len();
    network.buffers_mut().iter_mut().enumerate().for_each(|(at, x)| *x = draw(at + len));
    network.parameters_mut().iter_mut().enumerate().for_each(|(at, x)| {
        if *x == T::ZERO || *x == T::ONE {
            *x = draw(at) - T::from_f64(0.7);
        }
    });
    network
}

/// A model of this network, whose loss and normalisation are those of a training.
pub(in crate::export) fn subject<T: Element>(
    network: &Network<T>,
    loss: &str,
    normalization: &Normalization,
) -> Subject {
    let mut metadata = vec![
        ("precision", T::NAME.to_owned()),
        ("loss", format!("\"{loss}\"")),
        ("weights_sha256", network.digest()),
    ];
    if *normalization != Normalization::Unit {
        metadata.push(("preprocessing", r#"{"normalize":"standard"}"#.to_owned()));
        metadata.push(("normalization", serde_json::to_string(normalization).unwrap()));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    fs::write(&file, save_weights(network, &metadata).unwrap()).unwrap();
    Subject::new(Model::open(&file).unwrap())
}

/// What a format writes for a subject, in a folder.
pub(in crate::export) fn written(format: &dyn Format, subject: &Subject, folder: &Path) {
    let Contents::Folder(files) = format.write(subject, &Pictures::default()).unwrap().contents
    else {
        panic!("expected a folder");
    };
    files.iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
}

/// Runs all networks, some in both precisions, if Python has the modules; whether that was so.
pub(in crate::export) fn all_agree(format: &dyn Format) -> bool {
    NETWORKS.iter().enumerate().all(|(index, text)| {
        let loss = match index {
            2 | 4 => "mean_squared_error",
            0 => "binary_cross_entropy_with_logits",
            _ => "softmax_cross_entropy",
        };
        // Each run starts Python anew, which takes a while with PyTorch.
        let is_double = matches!(index, 0 | 4 | 5);
        let single = agrees::<f32>(format, (index, text), loss);
        single && (!is_double || agrees::<f64>(format, (index, text), loss))
    })
}

fn agrees<T: Element>(format: &dyn Format, (index, text): (usize, &str), loss: &str) -> bool {
    let network = network::<T>(text);
    let normalization = match network.input_shape().dims() {
        &[channels, ..] if index % 2 == 0 && network.input_shape().rank() == 3 => {
            let numbers = |start: f32| (0..channels).map(|c| start + c as f32 / 7.0).collect();
            Normalization::Standard { mean: numbers(0.2), deviation: numbers(0.3) }
        }
        _ => Normalization::Unit,
    };
    let subject = subject(&network, loss, &normalization);
    let folder = tempfile::tempdir().unwrap();
    let [export, workshop] = ["export", "workshop"].map(|name| folder.path().join(name));
    for folder in [&export, &workshop] {
        fs::create_dir(folder).unwrap();
    }
    written(format, &subject, &export);
    let count = || fs::read_dir(&export).unwrap().count();
    let files = count();
    let program = match format.prepare(&export, &workshop).unwrap() {
        Prepared::Program(program) => program,
        Prepared::Missing(missing) => {
            eprintln!("skipped: {missing} is missing");
            return false;
        }
    };
    let answers = |mode: &str, pictures: &[u8]| {
        let [from, to] = ["pictures", "answers"].map(|name| workshop.join(name));
        fs::write(&from, pictures).unwrap();
        let mut command = Command::new(&program[0]);
        let output = command.args(&program[1..]).arg(mode).args([&from, &to]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{text} {mode}: {said}");
        let bytes = fs::read(to).unwrap();
        bytes.as_chunks().0.iter().map(|&x| f64::from(f32::from_le_bytes(x))).collect::<Vec<_>>()
    };
    let (steps, pixels) = (steps(&network).unwrap(), subject.pixels());
    let pictures: Vec<_> =
        (0..SAMPLES * pixels).map(|at| (at * at % 251).to_le_bytes()[0]).collect();
    let mut inputs = vec![T::ZERO; pictures.len()];
    for (picture, input) in pictures.chunks(pixels).zip(inputs.chunks_mut(pixels)) {
        normalization.write(picture, input);
    }
    let traced = |picture: usize| trace(&steps, &inputs[picture * pixels..][..pixels]);
    let answers_of = |picture| {
        let traced = traced(picture);
        let after = Ending::of(&subject.members()[0]).after_logits;
        let logits = traced[traced.len() - 1 - after].1.iter().map(|x| x.to_f64());
        let outputs: Vec<_> = traced.last().unwrap().1.iter().map(|x| x.to_f64()).collect();
        logits.chain(subject.model.probabilities(&outputs)).collect::<Vec<_>>()
    };
    let expected: Vec<f64> = (0..SAMPLES).flat_map(answers_of).collect();
    close(&expected, &answers("outputs", &pictures), text);
    let mut found = answers("layers", &pictures[..pixels]).into_iter();
    for (place, expected) in traced(0) {
        let found: Vec<_> = found.by_ref().take(expected.len()).collect();
        close(&expected, &found, &format!("{text}, layer {place}"));
    }
    assert_eq!(found.next(), None, "{text}");
    assert_eq!(count(), files, "nothing is left");
    true
}

fn close<T: Element>(expected: &[T], found: &[f64], what: &str) {
    assert_eq!(expected.len(), found.len(), "{what}");
    let expected: Vec<_> = expected.iter().map(|x| x.to_f64()).collect();
    let largest = expected.iter().fold(1e-3, |most: f64, x| most.max(x.abs()));
    for (expected, found) in expected.iter().zip(found) {
        assert!((expected - found).abs() <= 1e-5 * largest, "{what}: {expected} {found}");
    }
}
