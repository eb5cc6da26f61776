use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;

use layers::random::{Purpose, Stream};
use layers::{Init, Network, NetworkSpec, save_weights};
use prost::Message;
use serde_json::{Value, json};
use tensor::Element;

use super::graph::OPERATORS;
use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use super::{Input, Onnx, check_size};
use crate::export::check::{Expected, Runner};
use crate::export::steps::{steps, trace};
use crate::export::subject::Subject;
use crate::export::{Checked, Contents, Format, Pictures, Prepared, export, tools};
use crate::model::Model;

/// Convolutions of every kind, with blocks and normalisations.
fn convolutions() -> Value {
    json!({ "input": [3, 13, 11], "layers": [
        { "type": "conv2d", "kernels": 8, "size": [3, 2], "padding": [[1, 2], [0, 3]],
          "stride": [1, 2], "bias": "untied" },
        { "type": "silu" },
        { "type": "conv2d", "kernels": 12, "size": 3, "padding": "same", "groups": 4,
          "dilation": [2, 1], "bias": "none" },
        { "type": "batch_norm2d", "epsilon": 1e-3 },
        { "type": "hard_swish" },
        { "type": "conv_transpose2d", "kernels": 6, "size": [3, 4], "stride": [2, 3],
          "padding": [[1, 0], [2, 1]], "output_padding": [1, 2], "groups": 2 },
        { "type": "residual", "layers": [
            { "type": "conv2d", "kernels": 6, "size": 3, "padding": "same", "groups": 6 },
            { "type": "group_norm", "groups": 3 },
            { "type": "gelu" },
            { "type": "residual", "layers": [
                { "type": "dropout", "p": 0.5 },
                { "type": "conv2d", "kernels": 6, "size": 1 },
                { "type": "batch_norm2d" },
            ] },
        ] },
        { "type": "conv_transpose2d", "kernels": 3, "size": 2, "dilation": [3, 2],
          "padding": [1, 1], "bias": "untied" },
        { "type": "layer_norm" },
        { "type": "elu", "alpha": 0.7 },
        { "type": "conv2d", "kernels": 5, "size": [4, 3], "stride": 3, "padding": [2, 1] },
        { "type": "conv_transpose2d", "kernels": 4, "size": 2, "stride": 2, "bias": "none" },
        { "type": "leaky_relu", "slope": 0.2 },
        { "type": "global_avg_pool2d" },
        { "type": "group_norm", "groups": 2 },
        { "type": "dense", "outputs": 7 },
    ] })
}

/// Poolings of every kind, one after another.
fn poolings() -> Value {
    json!({ "input": [1, 33, 30], "layers": [
        { "type": "conv2d", "kernels": 3, "size": 3 },
        { "type": "max_pool2d", "size": [3, 2], "stride": [2, 1], "padding": [[1, 0], [0, 1]],
          "ceil_mode": true },
        { "type": "softplus" },
        { "type": "avg_pool2d", "size": 3, "stride": [1, 2], "padding": [[0, 1], [1, 0]],
          "ceil_mode": true },
        { "type": "avg_pool2d", "size": [2, 3], "stride": 1, "padding": 1,
          "count_include_pad": false },
        { "type": "tanh" },
        { "type": "residual", "layers": [
            { "type": "max_pool2d", "size": 3, "stride": 1, "padding": "same" },
            { "type": "avg_pool2d", "size": 2, "stride": 1, "padding": "same" },
            { "type": "flatten" },
            { "type": "layer_norm", "epsilon": 0.1 },
            { "type": "reshape", "shape": [3, 16, 14] },
        ] },
        { "type": "avg_pool2d", "size": [3, 4], "stride": [2, 3], "padding": [1, 2],
          "ceil_mode": true, "count_include_pad": false },
        { "type": "avg_pool2d", "size": 2, "stride": [3, 1], "padding": "same" },
        { "type": "max_pool2d", "size": 2, "stride": [2, 3], "ceil_mode": true },
        { "type": "avg_pool2d", "size": 2 },
        { "type": "flatten" },
        { "type": "dense", "outputs": 6 },
    ] })
}

/// A small network with these layers at the end.
fn ending(input: &[usize], last: &[Value]) -> Value {
    let flatten = json!({ "type": "flatten" });
    let hidden = [json!({ "type": "dense", "outputs": 9 }), json!({ "type": "sigmoid" })];
    let logits = json!({ "type": "dense", "outputs": 4 });
    let layers: Vec<_> = [flatten].into_iter().chain(hidden).chain([logits]).collect();
    let layers = [&layers, last].concat();
    json!({ "input": input, "layers": layers })
}

/// A model with random numbers everywhere.
fn model<T: Element>(network: &Value, metadata: &[(&str, &str)], seed: u64) -> Model {
    let spec: NetworkSpec = serde_json::from_value(network.clone()).unwrap();
    let mut network: Network<T> = spec.build().unwrap();
    network.initialize(Init::He, seed);
    let mut stream = Stream::new(seed, Purpose::Shuffle, 1);
    for number in network.parameters_mut() {
        *number += T::from_f64(0.3 * stream.uniform() - 0.1);
    }
    for number in network.buffers_mut() {
        *number = T::from_f64(0.5 + stream.uniform());
    }
    let metadata: Vec<_> = metadata.iter().map(|&(key, text)| (key, text.to_owned())).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, save_weights(&network, &metadata).unwrap()).unwrap();
    Model::open(&path).unwrap()
}

const F32: (&str, &str) = ("precision", "f32");
const LOGITS: (&str, &str) = ("loss", "\"softmax_cross_entropy\"");
const BINARY: (&str, &str) = ("loss", "\"binary_cross_entropy_with_logits\"");
const SQUARES: (&str, &str) = ("loss", "\"mean_squared_error\"");
const STANDARD: (&str, &str) = ("preprocessing", r#"{"normalize":"standard"}"#);
const GREY: (&str, &str) =
    ("normalization", r#"{"type":"standard","mean":[0.3],"deviation":[0.2]}"#);
const COLOUR: (&str, &str) =
    ("normalization", r#"{"type":"standard","mean":[0.3,0.5,0.6],"deviation":[0.2,0.25,0.3]}"#);

fn subject(network: &Value, metadata: &[(&str, &str)]) -> Subject {
    Subject::new(model::<f32>(network, &[metadata, &[F32]].concat(), 5))
}

fn committee(members: &[(Value, (&str, &str))]) -> Subject {
    let models = members.iter().zip(1..);
    let models = models.map(|((network, loss), seed)| model::<f32>(network, &[*loss, F32], seed));
    Subject::new(Model::committee_of(models.collect()))
}

fn written(subject: &Subject) -> ModelProto {
    let written = Onnx::default().write(subject, &Pictures::default()).unwrap();
    let Contents::File(bytes) = written.contents else { panic!("{written:?}") };
    ModelProto::decode(&*bytes).unwrap()
}

fn graph(model: &ModelProto) -> &GraphProto {
    model.graph.as_ref().unwrap()
}

/// Each node: its operator, its inputs and its output.
fn nodes(model: &ModelProto) -> Vec<String> {
    let nodes = graph(model).node.iter();
    let text = |node: &NodeProto| {
        assert_eq!(node.output, [node.name.clone().unwrap()]);
        format!("{} = {}({})", node.output[0], node.op_type(), node.input.join(", "))
    };
    nodes.map(text).collect()
}

fn metadata<'m>(model: &'m ModelProto, key: &str) -> &'m str {
    let entry = model.metadata_props.iter().find(|entry| entry.key() == key);
    entry.unwrap_or_else(|| panic!("{key}")).value()
}

#[test]
fn a_network_is_nodes_with_the_names_of_its_layers() {
    let network = json!({ "input": [1, 4, 4], "layers": [
        { "type": "residual", "layers": [
            { "type": "dropout", "p": 0.5 },
            { "type": "conv2d", "kernels": 1, "size": 3, "padding": "same", "bias": "untied" },
        ] },
        { "type": "flatten" },
        { "type": "dense", "outputs": 2 },
        { "type": "sigmoid" },
    ] });
    let subject = subject(&network, &[STANDARD, GREY, ("classes", r#"["cat","dog"]"#)]);
    let model = written(&subject);
    let expected = [
        "input/float = Cast(input)",
        "input/unit = Div(input/float, input/255)",
        "input/centred = Sub(input/unit, input/mean)",
        "input/normal = Div(input/centred, input/deviation)",
        "0.1/sums = Conv(input/normal, 0.1.weight)",
        "0.1 = Add(0.1/sums, 0.1.bias)",
        "0 = Add(input/normal, 0.1)",
        "1 = Reshape(0, 1/shape)",
        "logits = Gemm(1, 2.weight, 2.bias)",
        "3 = Sigmoid(logits)",
        "ln/positive = Relu(3)",
        "ln/exact = Log(ln/positive)",
        "ln = Clip(ln/exact)",
        "probabilities = Softmax(ln)",
    ];
    assert_eq!(nodes(&model), expected);
    assert_eq!(metadata(&model, "layers"), r#"["input/normal","0.1","0","1","logits","3"]"#);
    assert_eq!(metadata(&model, "classes"), r#"["cat","dog"]"#);
    let form = r#"{"size":[4,4],"colour":"grey","style":"picture","normalize":"standard"}"#;
    assert_eq!(metadata(&model, "preprocessing"), form);
    assert_eq!(metadata(&model, "normalization"), GREY.1);
    assert_eq!(metadata(&model, "weights_sha256"), subject.members()[0].digest());
    assert_eq!((model.producer_name(), model.ir_version()), ("asterism", 4));
    let values = graph(&model).input.iter().chain(&graph(&model).output);
    let values = values.map(|value| {
        let tensor = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
        let dims = tensor.shape.as_ref().unwrap().dim.iter();
        let dims = dims.map(|dim| dim.dim_param.clone().unwrap_or(dim.dim_value().to_string()));
        (value.name(), tensor.elem_type(), dims.collect::<Vec<_>>().join(" "))
    });
    let expected = [
        ("input", TensorProto::UINT8, "N 1 4 4".to_owned()),
        ("logits", TensorProto::FLOAT, "N 2".to_owned()),
        ("probabilities", TensorProto::FLOAT, "N 2".to_owned()),
    ];
    assert_eq!(values.collect::<Vec<_>>(), expected);
    // The numbers, in the shapes that they are used in.
    let network = subject.members()[0].network_as::<f32>().unwrap();
    for (array, range) in network.named_parameters() {
        let found = graph(&model).initializer.iter().find(|found| found.name() == array.name);
        let found = found.unwrap();
        let numbers = found.raw_data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
        assert_eq!(numbers.collect::<Vec<_>>(), network.parameters()[range]);
        let dims: Vec<_> =
            array.shape.dims().iter().map(|&dim| i64::try_from(dim).unwrap()).collect();
        assert_eq!((found.dims.as_slice(), found.data_type()), (&*dims, TensorProto::FLOAT));
    }
}

#[test]
fn the_version_is_the_lowest_that_has_the_operators() {
    let opset = |network: &Value| {
        let model = written(&subject(network, &[LOGITS]));
        let [opset] = model.opset_import.as_slice() else { panic!("{model:?}") };
        opset.version()
    };
    let relu = json!({ "type": "relu" });
    assert_eq!(opset(&ending(&[1, 2, 2], &[relu])), 7);
    assert_eq!(opset(&poolings()), 7);
    let gelu = json!({ "type": "gelu" });
    assert_eq!(opset(&ending(&[1, 2, 2], &[gelu])), 9);
}

/// A model of every kind.
fn subjects() -> Vec<(&'static str, Subject)> {
    let [sigmoid, softmax, relu] =
        ["sigmoid", "softmax", "relu"].map(|name| json!({ "type": name }));
    let [sigmoids, softmaxes] = [&sigmoid, &softmax].map(std::slice::from_ref);
    let axes = json!({ "type": "reshape", "shape": [2, 2, 1] });
    let alone = json!({ "input": [1, 2, 2], "layers": [{ "type": "flatten" }, softmax] });
    let members = [
        (ending(&[1, 4, 4], &[]), LOGITS),
        (ending(&[16], sigmoids), SQUARES),
        (ending(&[1, 4, 4], &[]), BINARY),
    ];
    vec![
        ("convolutions", subject(&convolutions(), &[LOGITS, STANDARD, COLOUR])),
        ("poolings", subject(&poolings(), &[LOGITS])),
        ("sigmoid", subject(&ending(&[1, 5, 4], sigmoids), &[])),
        ("softmax", subject(&ending(&[3, 4, 4], softmaxes), &[])),
        ("softmax alone", subject(&alone, &[])),
        ("logits of a square", subject(&ending(&[16], &[]), &[LOGITS, STANDARD, GREY])),
        ("logits of a row", subject(&ending(&[27], &[]), &[LOGITS, STANDARD, COLOUR])),
        ("binary logits", subject(&ending(&[1, 5, 4], &[]), &[BINARY])),
        ("numbers", subject(&ending(&[1, 5, 4], &[relu]), &[SQUARES])),
        ("axes", subject(&ending(&[1, 5, 4], &[axes, sigmoid.clone()]), &[])),
        ("committee", committee(&members)),
    ]
}

#[test]
fn of_each_operator_that_is_written_the_version_is_known() {
    let models: Vec<_> = subjects().iter().map(|(_, subject)| written(subject)).collect();
    let nodes = models.iter().flat_map(|model| &graph(model).node);
    let used: BTreeSet<_> = nodes.map(NodeProto::op_type).collect();
    assert_eq!(used, OPERATORS.iter().map(|&(name, _)| name).collect());
}

#[test]
fn a_committee_is_one_graph_with_a_name_for_each_member() {
    let members = [
        (ending(&[1, 2, 2], &[]), LOGITS),
        (ending(&[4], &[json!({ "type": "softmax" })]), SQUARES),
    ];
    let model = written(&committee(&members));
    let nodes = nodes(&model);
    let last = [
        "member-1/ln/softmax = LogSoftmax(member-1/3)",
        "member-2/ln/positive = Relu(member-2/4)",
        "vote = Mean(member-1/ln, member-2/ln)",
        "logits = LogSoftmax(vote)",
        "probabilities = Softmax(vote)",
    ];
    for node in last {
        assert!(nodes.iter().any(|found| found == node), "{node}: {nodes:#?}");
    }
    let arrays = &graph(&model).initializer;
    assert!(arrays.iter().any(|array| array.name() == "member-2/3.bias"));
    assert!(model.metadata_props.iter().all(|entry| entry.key() != "layers"));
}

#[test]
fn wide_weights_are_narrowed_and_said_so() {
    let network = ending(&[1, 2, 2], &[]);
    let wide = Subject::new(model::<f64>(&network, &[LOGITS, ("precision", "f64")], 3));
    let written = Onnx::default().write(&wide, &Pictures::default()).unwrap();
    assert_eq!(written.notes, ["its weights are f64, and f32 in the ONNX file"]);
    let spec: NetworkSpec = serde_json::from_value(network).unwrap();
    let mut network = spec.build::<f64>().unwrap();
    network.parameters_mut()[0] = 1e200;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let bytes = save_weights(&network, &[("precision", "f64".into())]).unwrap();
    fs::write(&path, bytes).unwrap();
    let subject = Subject::new(Model::open(&path).unwrap());
    let refused = Onnx::default().write(&subject, &Pictures::default()).unwrap_err();
    let message = format!("{refused:#}");
    assert!(message.starts_with("--to onnx: ") && message.contains("finite"), "{message}");
}

#[test]
fn more_than_one_message_holds_is_refused() {
    assert!(check_size(0x7fff_ffff).is_ok());
    let message = check_size(0x8000_0000).unwrap_err().to_string();
    assert!(message.contains("found 2147483648") && !message.contains('\n'), "{message}");
}

/// Whether there is a Python with what runs the file; said if not, and a failure in the continuous
/// integration.
fn can_run() -> bool {
    match tools::python(&super::MODULES, &std::env::temp_dir()).unwrap() {
        Ok(_) => true,
        Err(missing) => {
            let is_ci = std::env::var_os("ASTERISM_CI").is_some_and(|mode| mode == "full");
            assert!(!is_ci, "expected {missing}");
            eprintln!("skipped: expected {missing}");
            false
        }
    }
}

#[test]
fn onnx_runtime_answers_as_the_model_does() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, subject) in &subjects() {
        let both = ["convolutions", "committee"].contains(name);
        for input in [Input::U8, Input::F32].into_iter().take(if both { 2 } else { 1 }) {
            let path = folder.path().join("model.onnx");
            // In batches of 64, 1, 7, 64, 1, 7 and 6.
            let noise = subject.noise(150);
            let written = (path.as_path(), &Pictures::default());
            let exported = export(&Onnx { input }, subject, written, Some(&noise));
            let exported = exported.unwrap_or_else(|error| panic!("{name}: {error:#}"));
            let Checked::Agrees(agreement) = exported.checked else { panic!("{exported:?}") };
            eprintln!("{name} {input:?}: {agreement}");
            assert_eq!(agreement.pictures, 150);
            fs::remove_file(&path).unwrap();
        }
    }
}

#[test]
fn onnx_runtime_tells_what_each_layer_puts_out() {
    if !can_run() {
        return;
    }
    for (network, settings) in [(convolutions(), &[STANDARD, COLOUR][..]), (poolings(), &[])] {
        let subject = subject(&network, settings);
        let folder = tempfile::tempdir().unwrap();
        let [path, pictures, answers] =
            ["model.onnx", "pictures", "answers"].map(|name| folder.path().join(name));
        let format = Onnx { input: Input::F32 };
        let written = format.write(&subject, &Pictures::default()).unwrap();
        let Contents::File(bytes) = written.contents else { panic!("{written:?}") };
        fs::write(&path, bytes).unwrap();
        let noise = subject.noise(1);
        fs::write(&pictures, noise.image(0)).unwrap();
        let prepared = format.prepare(&path, folder.path()).unwrap();
        let Prepared::Program(program) = prepared else { panic!("{prepared:?}") };
        let own = [OsString::from("layers"), pictures.into(), answers.clone().into()];
        let arguments = [&program[1..], &own].concat();
        tools::run(&program[0], &arguments, folder.path()).unwrap();
        let bytes = fs::read(&answers).unwrap();
        let mut found = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
        let network = subject.members()[0].network_as::<f32>().unwrap();
        let mut input = vec![0.0; subject.pixels()];
        noise.write_image(0, &mut input);
        for (place, expected) in trace(&steps(&network).unwrap(), &input) {
            let largest = expected.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            for expected in expected {
                let found = found.next().unwrap();
                assert!(
                    (found - expected).abs() <= 1e-5 * largest,
                    "layer {place}: {found} {expected}"
                );
            }
        }
        assert_eq!(found.next(), None);
    }
}

#[test]
fn a_file_with_other_numbers_is_refused_with_the_layer_where_they_part() {
    if !can_run() {
        return;
    }
    let subject = subject(&ending(&[1, 4, 4], &[]), &[LOGITS]);
    let mut model = written(&subject);
    let arrays = &mut model.graph.as_mut().unwrap().initializer;
    let weight = arrays.iter_mut().find(|array| array.name() == "3.weight").unwrap();
    weight.raw_data.as_mut().unwrap().reverse();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    fs::write(&path, model.encode_to_vec()).unwrap();
    let format = Onnx::default();
    let prepared = format.prepare(&path, folder.path()).unwrap();
    let Prepared::Program(program) = prepared else { panic!("{prepared:?}") };
    let noise = subject.noise(3);
    let expected = Expected::new(&subject, format.answers(), &noise).unwrap();
    let runner = Runner { program: &program, workshop: folder.path() };
    let refused = runner.check((&subject, &noise), &expected, format.answers()).unwrap_err();
    let message = refused.to_string();
    assert!(message.contains("the numbers part in layer 3 (Dense 4 outputs)"), "{message}");
    // What is no such file at all.
    fs::write(&path, b"\xff").unwrap();
    let refused = runner.check((&subject, &noise), &expected, format.answers()).unwrap_err();
    let message = refused.to_string();
    assert!(message.contains("Error") && !message.contains('\n'), "{message}");
}
