//! Weights that were trained elsewhere: what becomes a model, and what is refused.

use std::fs;
use std::path::Path;

use layers::{Init, Network, network_of};
use mnist_app::presets;
use safetensors::tensor::{Dtype, TensorView};

use crate::common::{mnist_folder, names, run_line, succeeds, text};

/// An array of a file.
#[derive(Clone)]
struct Array {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// The arrays of a preset's network with weights drawn at random, in this type.
fn arrays(network: &Network<f32>, dtype: Dtype) -> Vec<Array> {
    let named = network.named_parameters();
    let array = |(array, range): (layers::Parameter, std::ops::Range<usize>)| {
        let numbers = &network.parameters()[range];
        let bytes = numbers.iter().flat_map(|&x| match dtype {
            Dtype::F16 => half(x).to_le_bytes().to_vec(),
            Dtype::BF16 => x.to_le_bytes()[2..].to_vec(),
            Dtype::F32 => x.to_le_bytes().to_vec(),
            _ => f64::from(x).to_le_bytes().to_vec(),
        });
        Array {
            name: array.name,
            dtype,
            shape: array.shape.dims().to_vec(),
            bytes: bytes.collect(),
        }
    };
    named.into_iter().map(array).collect()
}

/// The half-precision number that is cut off from this one, which is none of the smallest.
fn half(x: f32) -> u16 {
    let bits = x.to_bits();
    let (sign, exponent) = ((bits >> 16 & 0x8000) as u16, bits >> 23 & 0xff);
    match exponent.checked_sub(112) {
        Some(exponent @ 1..31) => sign | (exponent << 10 | bits >> 13 & 0x3ff) as u16,
        _ => sign,
    }
}

fn bytes(arrays: &[Array], metadata: &[(&str, &str)]) -> Vec<u8> {
    let views = arrays.iter().map(|Array { name, dtype, shape, bytes }| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    let keys = || metadata.iter().map(|(key, text)| (key.to_string(), text.to_string())).collect();
    let metadata = (!metadata.is_empty()).then(keys);
    safetensors::serialize(views, metadata).unwrap()
}

fn lenet() -> Network<f32> {
    let mut network: Network<f32> =
        presets::experiment("lenet").unwrap().networks.first().build().unwrap();
    network.initialize(Init::He, 3);
    network
}

/// A folder with `state.safetensors`.
fn folder_with(state: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("state.safetensors"), state).unwrap();
    folder
}

/// The refusal of `import` with these words, which leaves nothing behind.
#[track_caller]
fn refusal(folder: &Path, words: &str) -> String {
    let before = names(folder);
    let output = run_line(folder, &format!("import {words}"));
    assert_eq!(output.status.code(), Some(1), "{words}: {}", text(&output.stderr));
    let error = text(&output.stderr);
    assert_eq!((error.lines().count(), text(&output.stdout)), (1, String::new()), "{error}");
    assert_eq!(names(folder), before, "{error}");
    error
}

#[test]
fn a_state_dict_becomes_a_model_that_every_command_takes() {
    let network = lenet();
    let folder = folder_with(&bytes(&arrays(&network, Dtype::F32), &[("format", "pt")]));
    let here = folder.path();
    let said = succeeds(here, "import state.safetensors --preset lenet --out lenet.safetensors");
    assert_eq!(said, format!("lenet.safetensors: weights sha256 {}\n", network.digest()));
    let file = fs::read(here.join("lenet.safetensors")).unwrap();
    let found = network_of::<f32>(&file).unwrap();
    assert_eq!((found.digest(), found.spec()), (network.digest(), network.spec()));
    let metadata = layers::metadata_of(&file).unwrap();
    for (key, expected) in [
        ("preset", "lenet"),
        ("precision", "f32"),
        ("loss", r#"{"type":"softmax_cross_entropy","label_smoothing":0.0}"#),
        ("weights_sha256", &network.digest()),
    ] {
        assert_eq!(metadata.get(key).map(String::as_str), Some(expected), "{key}");
    }
    for key in ["data", "seed", "config_sha256", "mistakes_probability", "format"] {
        assert!(!metadata.contains_key(key), "{key}");
    }
    let data = mnist_folder();
    let data = data.display();
    succeeds(here, &format!("evaluate lenet.safetensors --test-limit 20 --data {data}"));
    succeeds(here, &format!("inspect lenet.safetensors --samples 4 --data {data}"));
    let images =
        format!("predict lenet.safetensors {data}/t10k-images-idx3-ubyte.gz --json --quiet");
    assert_eq!(succeeds(here, &images).lines().count(), 10_000);
    // Once more from the model alone.
    let again = succeeds(here, "import lenet.safetensors --out again.safetensors");
    assert!(again.ends_with(&format!("{}\n", network.digest())), "{again}");
    assert!(fs::read(here.join("again.safetensors")).unwrap() == file);
}

#[test]
fn other_types_are_converted_and_prefixes_removed() {
    let network = lenet();
    for (dtype, name) in [(Dtype::F16, "f16"), (Dtype::BF16, "bf16"), (Dtype::F64, "f64")] {
        let arrays = arrays(&network, dtype);
        let wrapped = arrays.iter().map(|array| Array {
            name: format!("_orig_mod.module.{}", array.name),
            ..array.clone()
        });
        let wrapped: Vec<_> = wrapped.collect();
        let folder = folder_with(&bytes(&wrapped, &[]));
        let line = "import state.safetensors --preset lenet --out model.safetensors";
        let said = succeeds(folder.path(), line);
        let lines: Vec<_> = said.lines().collect();
        let prefix = "names of arrays, without \"_orig_mod.module.\", with which all begin";
        assert_eq!(lines[..2], [prefix, &format!("converted from {name} to f32: 8 arrays")]);
        let found = network_of::<f32>(&fs::read(folder.path().join("model.safetensors")).unwrap());
        let found = found.unwrap();
        let bits = match dtype {
            Dtype::F16 => 13,
            Dtype::BF16 => 16,
            _ => 0,
        };
        for (x, &y) in found.parameters().iter().zip(network.parameters()) {
            let cut = f32::from_bits(y.to_bits() >> bits << bits);
            let is_small = dtype == Dtype::F16 && y.abs() < 2_f32.powi(-14);
            assert_eq!(*x, if is_small { 0.0 } else { cut });
        }
        assert_eq!(succeeds(folder.path(), &format!("{line} --quiet")).lines().count(), 1);
    }
}

/// An experiment of a small network with normalisations and named classes.
const SMALL: &str = r#"
epochs = 1
batch_size = 10
shard_size = 10
shuffle = true
learning_rate = 0.1
loss = "softmax_cross_entropy"
init = "he"
precision = "f64"
classes = ["circle", "square"]
[network]
input = [1, 2, 2]
layers = [{ type = "batch_norm2d" }, { type = "flatten" }, { type = "dense", outputs = 2 }]
"#;

fn small() -> Vec<Array> {
    let array = |name: &str, shape: &[usize]| {
        let numbers = (0..shape.iter().product::<usize>()).map(|x| 0.25 + x as f32);
        let bytes = numbers.flat_map(f32::to_le_bytes).collect();
        Array { name: name.to_owned(), dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    };
    let counter = Array {
        name: "0.num_batches_tracked".into(),
        dtype: Dtype::I64,
        shape: Vec::new(),
        bytes: 70_i64.to_le_bytes().to_vec(),
    };
    let mut arrays = vec![counter, array("2.weight", &[2, 4]), array("2.bias", &[2])];
    let normalization = ["weight", "bias", "running_mean", "running_var"];
    arrays.extend(normalization.map(|name| array(&format!("0.{name}"), &[1])));
    arrays
}

#[test]
fn classes_precision_and_counters_are_those_of_the_experiment() {
    let folder = folder_with(&bytes(&small(), &[("classes", r#"["a","b"]"#)]));
    let here = folder.path();
    fs::write(here.join("small.toml"), SMALL).unwrap();
    let said = succeeds(here, "import state.safetensors --config small.toml --out m.safetensors");
    assert!(said.starts_with("converted from f32 to f64: 6 arrays\n"), "{said}");
    let file = fs::read(here.join("m.safetensors")).unwrap();
    let metadata = layers::metadata_of(&file).unwrap();
    assert_eq!((&*metadata["classes"], &*metadata["precision"]), (r#"["circle","square"]"#, "f64"));
    assert_eq!(&*metadata["preset"], "small");
    // Without names in the experiment, those of the file.
    let unnamed = SMALL.replace("classes = [\"circle\", \"square\"]\n", "");
    fs::write(here.join("small.toml"), &unnamed).unwrap();
    succeeds(here, "import state.safetensors --config small.toml --out m.safetensors");
    let file = fs::read(here.join("m.safetensors")).unwrap();
    assert_eq!(&*layers::metadata_of(&file).unwrap()["classes"], r#"["a","b"]"#);
    // An experiment that leaves its input to the data takes that of a file that says it.
    let open =
        SMALL.replace("input = [1, 2, 2]\n", "").replace("outputs = 2", "outputs = \"classes\"");
    fs::write(here.join("open.toml"), open).unwrap();
    succeeds(here, "import m.safetensors --config open.toml --out again.safetensors");
    let error = refusal(here, "state.safetensors --config open.toml --out b.safetensors");
    assert!(error.contains("left to the data, and the weights do not say them either"), "{error}");
}

#[test]
fn what_is_no_weights_of_the_network_is_refused_in_one_line() {
    let network = lenet();
    let whole = arrays(&network, Dtype::F32);
    let changed = |change: &dyn Fn(&mut Vec<Array>)| {
        let mut arrays = whole.clone();
        change(&mut arrays);
        bytes(&arrays, &[])
    };
    let nan = f32::NAN.to_le_bytes();
    let many = |arrays: &mut Vec<Array>| {
        for index in 0..100 {
            arrays.push(Array { name: format!("{index}.extra"), ..arrays[0].clone() });
        }
    };
    for (state, expected) in [
        (
            changed(&|all| drop(all.remove(0))),
            "state.safetensors: weights: 0.weight (8, 1, 5, 5) is missing",
        ),
        (
            changed(&|all| all[1].name = "8.bias".into()),
            "0.bias (8) is missing; 8.bias is not in the network",
        ),
        (
            changed(&|all| all[0].shape = vec![8, 5, 5]),
            "0.weight: expected (8, 1, 5, 5), got (8, 5, 5)",
        ),
        (
            changed(&|all| all[1].dtype = Dtype::I32),
            "0.bias: expected F16, BF16, F32 or F64, got I32",
        ),
        (
            changed(&|all| all[0].bytes[..4].copy_from_slice(&nan)),
            "0.weight: expected finite numbers, found NaN at index 0",
        ),
        (changed(&|all| all.clear()), "0.weight (8, 1, 5, 5) is missing"),
        (changed(&many), "more"),
        (changed(&|all| all.iter_mut().for_each(|one| one.name.insert_str(0, "fc."))), ""),
        (bytes(&whole, &[])[..1000].to_vec(), "expected a safetensors file of"),
        (b"not at all".to_vec(), "expected a safetensors file, found another kind of file"),
        (Vec::new(), "expected a safetensors file"),
        (bytes(&whole, &[("loss", "\"hinge\"")]), "\"loss\" in __metadata__"),
        (
            bytes(&whole, &[("classes", "[\"a\"]")]),
            "expected 10 names, one for each output, found 1",
        ),
    ] {
        let folder = folder_with(&state);
        let words = "state.safetensors --preset lenet --out model.safetensors";
        if expected.is_empty() {
            succeeds(folder.path(), &format!("import {words}"));
            continue;
        }
        let error = refusal(folder.path(), words);
        assert!(error.contains(expected), "expected {expected:?} in {error:?}");
        assert!(error.len() < 1000, "{error}");
    }
}

#[test]
fn wrong_places_and_experiments_are_refused() {
    let network = lenet();
    let folder = folder_with(&bytes(&arrays(&network, Dtype::F32), &[]));
    let here = folder.path();
    let standard = presets::text("lenet")
        .unwrap()
        .replace("[network]", "[data]\nnormalize = \"standard\"\n[network]");
    fs::write(here.join("standard.toml"), standard).unwrap();
    let named = format!("classes = [\"a\", \"b\"]\n{}", presets::text("lenet").unwrap());
    fs::write(here.join("named.toml"), named).unwrap();
    fs::create_dir(here.join("folder")).unwrap();
    for (words, expected) in [
        ("state.safetensors --out m.safetensors", "name the experiment with --config or --preset"),
        ("state.safetensors --preset accurate --out m.safetensors", "state.safetensors: weights: "),
        ("state.safetensors --preset committee --out m.safetensors", "found a committee"),
        ("state.safetensors --preset pictures --out m.safetensors", "left to the data"),
        (
            "state.safetensors --config standard.toml --out m.safetensors",
            "\"normalization\" in __metadata__",
        ),
        (
            "state.safetensors --config named.toml --out m.safetensors",
            "expected 10 names, one for each output, found 2",
        ),
        ("state.safetensors --config none.toml --out m.safetensors", "none.toml"),
        ("nothing.safetensors --preset lenet --out m.safetensors", "nothing.safetensors"),
        (
            "state.safetensors --preset lenet --out nowhere/m.safetensors",
            "--out nowhere/m.safetensors: expected a folder",
        ),
        ("state.safetensors --preset lenet --out folder", "--out folder: expected a new file"),
        (
            "state.safetensors --preset lenet --out state.safetensors",
            "expected another file than the one that is imported",
        ),
    ] {
        let error = refusal(here, words);
        assert!(error.contains(expected), "{words}: expected {expected:?} in {error:?}");
    }
    let output = run_line(here, "import state.safetensors --preset lenet");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}
