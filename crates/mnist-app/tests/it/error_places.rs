//! A message names what is wrong, where it is, and what helps.

use std::fs;

use layers::{LayerSpec, NetworkSpec, metadata_of, network_of, save_weights};

use crate::bad_input::refused;
use crate::common::{run_line, small_data, succeeds, text as text_of, train_small};
use crate::data_of_models::changed;
use crate::own_images::Images;

/// An experiment with these lines before the network, and a layer in each of `layers`.
fn experiment(keys: &str, input: &str, layers: &[&str]) -> String {
    let layers: Vec<_> = layers.iter().map(|layer| format!("{{ type = {layer} }},\n")).collect();
    let settings = "epochs = 1\nbatch_size = 8\nshard_size = 8\nshuffle = false\ninit = \"he\"\n";
    let or = |key: &str, line: &str| {
        if keys.contains(key) { String::new() } else { format!("{line}\n") }
    };
    let (rate, loss) = (
        or("learning_rate", "learning_rate = 0.01"),
        or("loss", "loss = \"softmax_cross_entropy\""),
    );
    let settings = if keys.contains("epochs") {
        settings.replace("epochs = 1\n", "")
    } else {
        settings.into()
    };
    format!(
        "{keys}\n{settings}{rate}{loss}[network]\ninput = {input}\nlayers = [\n{}]\n",
        layers.concat()
    )
}

const MNIST: &str = "[1, 28, 28]";
const DENSE: [&str; 2] = ["\"flatten\"", "\"dense\", outputs = 10"];

/// Refuses to train `text`, with these parts and the line on which `culprit` stands.
#[track_caller]
fn refuses(text: &str, culprit: &str, flags: &str, parts: &[&str]) {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("c.toml"), text).unwrap();
    let line = text.lines().position(|line| line.starts_with(culprit)).unwrap() + 1;
    let place = format!("error: --config c.toml, line {line}");
    let data = small_data().display();
    let output =
        run_line(here.path(), &format!("train --config c.toml --data {data} --out run {flags}"));
    // A table of the layers may follow.
    let complaint = text_of(&output.stderr);
    let first = complaint.lines().next().unwrap_or_default();
    assert_eq!(output.status.code(), Some(1), "{text}: {complaint}");
    for part in parts.iter().chain([&&*place]) {
        assert!(first.contains(part), "{text}: expected {part:?} in {complaint}");
    }
    assert!(!here.path().join("run").exists());
}

#[test]
fn numbers_that_the_precision_cannot_hold() {
    let hold = "expected a number that f32 can hold, found";
    let biased = ["\"flatten\"", "\"dense\", outputs = 10, initial_bias = 1e39"];
    let text = experiment("", MNIST, &biased);
    refuses(&text, "{ type = \"dense\"", "", &["layer 1: initial_bias: ", hold, "infinite"]);
    for (key, culprit, parts) in [
        ("learning_rate = 1e300", "learning_rate", &[": learning_rate: ", "1e300"][..]),
        (
            "optimizer = { type = \"adam\", epsilon = 1e-60 }",
            "optimizer",
            &[": optimizer.epsilon: ", "1e-60, which is 0 in it"],
        ),
        ("loss = { type = \"huber\", delta = 1e-50 }", "loss", &[": loss.delta: ", "1e-50"]),
    ] {
        let parts = [parts, &[hold, "precision = \"f64\""]].concat();
        refuses(&experiment(key, MNIST, &DENSE), culprit, "", &parts);
    }
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let data = small_data().display();
    let flag = &["error: --learning-rate: ", hold, "1e300"];
    refused(path, &format!("train --preset notebook --data {data} --learning-rate 1e300"), 1, flag);
    fs::write(path.join("c.toml"), experiment("", MNIST, &DENSE)).unwrap();
    refused(path, &format!("train --config c.toml --data {data} --learning-rate 1e300"), 1, flag);
    // What divides nothing may become 0, and 64 bits hold all of them.
    train_small(path, "--config c.toml --train-limit 8 --learning-rate 1e-60 --out small");
    fs::write(path.join("c.toml"), experiment("", MNIST, &biased)).unwrap();
    train_small(path, "--config c.toml --train-limit 8 --precision f64 --out wide");
}

#[test]
fn a_division_of_nothing_by_nothing_is_no_matter_of_the_learning_rate() {
    let here = tempfile::tempdir().unwrap();
    let adam = "optimizer = { type = \"adam\", epsilon = 0 }";
    fs::write(here.path().join("c.toml"), experiment(adam, MNIST, &DENSE)).unwrap();
    for rate in ["0.01", "0"] {
        let line = format!(
            "train --quiet --json --config c.toml --learning-rate {rate} --out {rate} --data {}",
            small_data().display()
        );
        let complaint = text_of(&run_line(here.path(), &line).stderr);
        assert!(complaint.contains("an epsilon above 0 may help"), "{complaint}");
        assert!(!complaint.contains("no step has changed"), "{complaint}");
        assert!(!complaint.contains("smaller --learning-rate"), "{complaint}");
    }
}

#[test]
fn what_a_network_contradicts_itself_in() {
    let bias = "\"conv2d\", kernels = 2, size = 3, bias = \"none\", initial_bias = 1.0";
    let text = experiment("", MNIST, &[bias, DENSE[0], DENSE[1]]);
    refuses(&text, "{ type = \"conv2d\"", "", &["no initial_bias, as there is no bias"]);
    let (sigmoid, dropout, relu) = ("\"sigmoid\"", "\"dropout\", p = 0.5", "\"relu\"");
    let dropped = experiment("", MNIST, &[DENSE[0], DENSE[1], sigmoid, dropout]);
    let parts = ["expected logits", "layer 2 (Sigmoid)", "leave that layer out"];
    refuses(&dropped, "{ type = \"sigmoid\"", "", &parts);
    let binary = "loss = \"binary_cross_entropy\"";
    let rectified = experiment(binary, MNIST, &[DENSE[0], DENSE[1], relu]);
    refuses(&rectified, "{ type = \"relu\"", "", &["layer 2 (Relu)"]);

    // The same of a model's file.
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("c.toml"), experiment("", MNIST, &DENSE)).unwrap();
    train_small(path, "--config c.toml --train-limit 8 --out run");
    let bytes = fs::read(path.join("run/model.safetensors")).unwrap();
    let file = changed(&bytes, |metadata| {
        metadata.insert("loss".into(), "\"binary_cross_entropy\"".into());
    });
    fs::write(path.join("binary"), file).unwrap();
    let parts = ["model binary: ", "expected outputs between 0 and 1", "(Dense 10 outputs)"];
    for command in ["evaluate binary", "compare binary binary", "inspect binary"] {
        refused(path, &format!("{command} --data {}", small_data().display()), 1, &parts);
    }
}

const NORMALIZED: [&str; 5] = [
    "\"conv2d\", kernels = 4, size = 28, bias = \"none\"",
    "\"batch_norm2d\"",
    "\"relu\"",
    DENSE[0],
    DENSE[1],
];

#[test]
fn remedies_are_flags_of_the_command_and_help() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("c.toml"), experiment("", MNIST, &NORMALIZED)).unwrap();
    for (flags, remedy) in [
        ("--batch-size 9", "choose --shard-size 9 or --batch-size 10"),
        ("--batch-size 1", "choose --batch-size 2"),
    ] {
        refused(path, &format!("profile --config c.toml {flags}"), 1, &[remedy]);
        let output = run_line(path, &format!("profile --config c.toml {flags}"));
        assert!(!text_of(&output.stderr).contains("--train-limit"));
        let helps = remedy.rsplit("choose ").next().unwrap().rsplit(" or ").next().unwrap();
        succeeds(path, &format!("profile --config c.toml --repetitions 1 {helps}"));
    }
    let inspect = format!("inspect --config c.toml --data {}", small_data().display());
    refused(path, &format!("{inspect} --samples 1"), 1, &["choose --samples 2"]);
    succeeds(path, &format!("{inspect} --samples 2"));
}

#[test]
fn names_that_differ_in_nothing_but_their_letters_are_meant() {
    for (found, meant) in [
        ("Relu", "relu"),
        ("ReLU", "relu"),
        ("GELU", "gelu"),
        ("Conv2D", "conv2d"),
        ("LeakyReLU", "leaky_relu"),
        ("maxpool2d", "max_pool2d"),
    ] {
        let text = experiment("", MNIST, &[&format!("\"{found}\""), DENSE[0], DENSE[1]]);
        let hint = format!("did you mean \"{meant}\"?");
        let all = ["expected one of conv2d, ", "residual, found"];
        refuses(&text, &format!("{{ type = \"{found}\""), "", &[&hint, all[0], all[1]]);
    }
}

#[test]
fn the_line_is_that_of_the_culprit() {
    for input in ["[1, 6, 0]", "[1, 6, 6, 6]", "[]"] {
        refuses(&experiment("", input, &DENSE), "input", "", &["one to three axes"]);
    }
    let most = i64::MAX;
    let text = experiment(&format!("epochs = {most}"), MNIST, &DENSE);
    refuses(&text, "epochs", "", &[": epochs: ", "steps can be counted"]);
    refuses(&experiment("data = \"\"", MNIST, &DENSE), "data", "", &["data: expected a path"]);

    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("c.toml"), experiment("\ndata = \"nowhere\"", MNIST, &DENSE)).unwrap();
    for command in ["train", "inspect"] {
        let parts = ["error: --config c.toml, line 2: data = ", "nowhere", "no such folder"];
        refused(path, &format!("{command} --config c.toml"), 1, &parts);
    }
    for prefix in ["train", "t10k"] {
        Images::new([1, 2, 4], 3, 6).write_idx(&path.join("three"), prefix);
    }
    let names = "classes = ['ant', 'bee', 'cow', 'dog']";
    let layers = ["\"flatten\"", "\"dense\", outputs = 3"];
    fs::write(path.join("c.toml"), experiment(names, "[1, 2, 4]", &layers)).unwrap();
    let parts = ["the experiment names 4 classes, ant, bee, cow, dog", "found 3"];
    refused(path, "train --config c.toml --data three", 1, &parts);
}

#[test]
fn models_whose_network_nobody_knows_are_described_in_plain_words() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("c.toml"), experiment("", MNIST, &DENSE)).unwrap();
    train_small(path, "--config c.toml --train-limit 8 --out run");
    let bytes = fs::read(path.join("run/model.safetensors")).unwrap();
    let network = metadata_of(&bytes).unwrap()["network"].clone();
    for (old, new, part) in [
        ("\"dense\"", "\"dens\"", "layer 1: expected one that this version knows, got {"),
        ("[1,28,28]", "[1,28,-1]", "input: expected a list of whole numbers, got [1,28,-1]"),
        ("[1,28,28]", "7", "input: expected a list of whole numbers, got 7"),
        ("\"outputs\":10", "\"outputs\":\"ten\"", "layer 1: expected one"),
        ("\"outputs\":10", "\"outputs\":10,\"x\":1", "layer 1: expected one"),
        ("{\"input\"", "{\"x\":1,\"input\"", "expected the keys input and layers alone, got x"),
        (&*network, "[1,2]", "expected an object in JSON, got [1,2]"),
        (&*network, "{", "expected JSON, got a text that is empty or cut short"),
    ] {
        let other = network.replace(old, new);
        assert_ne!(other, network, "{old}");
        let file = changed(&bytes, |metadata| {
            metadata.insert("network".into(), other.into());
        });
        fs::write(path.join("other"), file).unwrap();
        refused(path, "inspect other", 1, &["model other: ", "\"network\"", part]);
    }
}

#[test]
fn a_variance_below_0_is_none_however_small() {
    let spec = NetworkSpec {
        input: vec![2, 2, 2],
        layers: vec![LayerSpec::from(layers::BatchNorm2d::default())],
    };
    let mut wide = spec.build::<f64>().unwrap();
    wide.buffers_mut().fill(-1e-60);
    let bytes = save_weights(&wide, &[]).unwrap();
    let error = network_of::<f32>(&bytes).unwrap_err().to_string();
    assert!(error.contains("running_var: expected no variance below 0, found -1e-60"), "{error}");
}

#[test]
fn what_the_parser_says_of_itself_is_said_in_other_words() {
    let key = "a.".repeat(90) + "b = 1";
    let deep = "{ type = \"residual\", layers = [".repeat(45);
    for (line, parts) in [
        ("name = t", &["line 1", "a text in quotes, found t"][..]),
        ("name = true_north", &["line 1", "a text in quotes, found true_north"]),
        (&key, &["line 1", "at most 80 deep"]),
        (&*format!("x = [{deep}"), &["line 1", "at most 80 deep"]),
    ] {
        let here = tempfile::tempdir().unwrap();
        fs::write(here.path().join("c.toml"), experiment(line, MNIST, &DENSE)).unwrap();
        let output = run_line(here.path(), "train --config c.toml");
        let complaint = text_of(&output.stderr);
        for part in parts {
            assert!(complaint.contains(part), "{line}: expected {part:?} in {complaint}");
        }
        assert!(!complaint.contains("recurs"), "{complaint}");
    }
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("c.toml"), b"epochs = 1\n# \xff\n").unwrap();
    refused(here.path(), "train --config c.toml", 1, &["in UTF-8", "in line 2"]);
    let none = "\"conv2d\", kernels = 0, size = 3";
    let text = experiment("", MNIST, &[none, DENSE[0], DENSE[1]]);
    refuses(&text, "{ type = \"conv2d\"", "", &["expected at least one kernel, got 0"]);
    let wide = "\"max_pool2d\", size = 4, padding = 5";
    let text = experiment("", MNIST, &[wide, DENSE[0], DENSE[1]]);
    refuses(&text, "{ type = \"max_pool2d\"", "", &["got 5 above, 5 below, 5 left and 5 right"]);
}
