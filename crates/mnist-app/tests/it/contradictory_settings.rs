//! Settings that contradict one another are refused before the run; what runs is written down.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mnist_app::experiment::Experiment;

use crate::bad_input::refused;
use crate::common::{or_notebook, small_data, summary, text, train_small};

/// An experiment of these layers.
fn experiment(loss: &str, layers: &[&str]) -> String {
    format!(
        "epochs = 1\nbatch_size = 8\nshard_size = 8\nshuffle = false\nlearning_rate = 0.01\n\
         loss = \"{loss}\"\ninit = \"he\"\n[network]\ninput = [1, 28, 28]\nlayers = [\n{}\n]\n",
        layers.iter().map(|layer| format!("{{ {layer} }},")).collect::<Vec<_>>().join("\n")
    )
}

/// The line of the first layer in an [`experiment`].
const FIRST: usize = 11;

const NORMALIZED: [&str; 5] = [
    "type = \"conv2d\", kernels = 4, size = 28, bias = \"none\"",
    "type = \"batch_norm2d\"",
    "type = \"relu\"",
    "type = \"flatten\"",
    "type = \"dense\", outputs = 10",
];

#[test]
fn a_normalisation_over_one_value_a_channel() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let mut inside = NORMALIZED;
    inside[1] = "type = \"residual\", layers = [{ type = \"relu\" }, { type = \"batch_norm2d\" }]";
    // Planes of two numbers: a single image is enough.
    let mut planes = NORMALIZED;
    planes[0] = "type = \"conv2d\", kernels = 4, size = [28, 27], bias = \"none\"";
    for (name, layers) in [("c.toml", NORMALIZED), ("in.toml", inside), ("planes.toml", planes)] {
        fs::write(path.join(name), experiment("softmax_cross_entropy", &layers)).unwrap();
    }
    let line = |name: &str, flags: &str| {
        format!("train --config {name} --data {} --quiet {flags}", small_data().display())
    };
    let place = format!("line {}: network: layer 1 ", FIRST + 1);
    for (flags, parts) in [
        ("--shard-size 1", &["a shard size of 1", "--shard-size 2"][..]),
        ("--batch-size 1", &["a shard size of 1", "--batch-size 2"]),
        (
            "--train-limit 25",
            &["25 images in batches of 8", "choose --batch-size 10 or --train-limit 24"],
        ),
        (
            "--train-limit 34 --batch-size 17 --shard-size 16",
            &["a batch of 17 in shards of 16", "choose --shard-size 17 or --batch-size 18"],
        ),
        ("--train-limit 27 --shard-size 2", &["27 images in batches of 8 and shards of 2"]),
        ("--train-limit 1", &["more images are needed"]),
        ("--batch-size 1 --shard-size 1", &["choose a larger --batch-size and a larger --shard"]),
    ] {
        for (name, layer) in
            [("c.toml", "BatchNorm2d"), ("in.toml", "Residual [Relu; BatchNorm2d]")]
        {
            let parts: Vec<_> = parts.iter().copied().chain([name, layer, &place]).collect();
            refused(path, &line(name, flags), 1, &parts);
        }
        train_small(
            path,
            &format!("--config planes.toml {flags} --out={}", flags.replace(' ', "")),
        );
    }
    for flags in ["--train-limit 26", "--train-limit 34 --batch-size 17 --shard-size 17"] {
        train_small(path, &format!("--config c.toml {flags} --out={}", flags.replace(' ', "")));
    }
    refused(path, "profile --config c.toml --shard-size 1", 1, &["a shard size of 1", &place]);
    let one = format!("inspect --config c.toml --samples 1 --data {}", small_data().display());
    refused(path, &one, 1, &["choose --samples 2", &place]);
}

#[test]
fn losses_and_last_layers_that_do_not_fit() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let (flat, dense) = ("type = \"flatten\"", "type = \"dense\", outputs = 10");
    let (sigmoid, softmax) = ("type = \"sigmoid\"", "type = \"softmax\"");
    let (tanh, dropout) = ("type = \"tanh\"", "type = \"dropout\", p = 0.5");
    let logits = "loss = \"binary_cross_entropy_with_logits\"";
    for (loss, layers, layer, parts) in [
        ("binary_cross_entropy", &[flat, dense][..], 1, &["(Dense 10 outputs)", logits][..]),
        ("binary_cross_entropy", &[flat, dense, tanh], 2, &["(Tanh)", logits]),
        (
            "binary_cross_entropy",
            &[flat, dense, sigmoid, dropout],
            3,
            &["(Dropout 0.5)", "leave that layer"],
        ),
        ("softmax_cross_entropy", &[flat, dense, softmax], 2, &["(Softmax)", "leave that layer"]),
        ("softmax_cross_entropy", &[flat, dense, sigmoid], 2, &["(Sigmoid)", "leave that layer"]),
        (
            "binary_cross_entropy_with_logits",
            &[flat, dense, sigmoid, "type = \"reshape\""],
            2,
            &["(Sigmoid)", "loss = \"binary_cross_entropy\""],
        ),
    ] {
        fs::write(path.join("c.toml"), experiment(loss, layers)).unwrap();
        let place = format!("c.toml, line {}: network: expected ", FIRST + layer);
        let parts: Vec<_> = parts.iter().copied().chain([loss, &*place]).collect();
        let data = small_data().display();
        for line in
            [format!("train --data {data}"), format!("inspect --data {data}"), "profile".into()]
        {
            refused(path, &format!("{line} --config c.toml"), 1, &parts);
        }
    }
    for (index, (loss, layers)) in [
        ("mean_squared_error", &[flat, dense][..]),
        ("mean_squared_error", &[flat, dense, softmax]),
        ("binary_cross_entropy", &[flat, dense, softmax]),
        ("binary_cross_entropy", &[flat, dense, sigmoid, flat]),
        ("binary_cross_entropy_with_logits", &[flat, dense]),
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(path.join("c.toml"), experiment(loss, layers)).unwrap();
        train_small(path, &format!("--config c.toml --train-limit 8 --out run{index}"));
    }
}

/// What a pipe has given once, it does not give again.
#[cfg(unix)]
#[test]
fn an_experiment_from_a_pipe_is_read_once() {
    let here = tempfile::tempdir().unwrap();
    let pipe = here.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let layers = ["type = \"flatten\"", "type = \"dense\", outputs = 10"];
    let mut program = Command::new(env!("CARGO_BIN_EXE_mnist-app"))
        .args(["profile", "--config", "pipe"])
        .current_dir(here.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    fs::write(&pipe, experiment("binary_cross_entropy", &layers)).unwrap();
    let start = Instant::now();
    while program.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(60) {
            program.kill().unwrap();
            panic!("the pipe is read again");
        }
        thread::sleep(Duration::from_millis(10));
    }
    let complaint = text(&program.wait_with_output().unwrap().stderr);
    assert!(
        complaint.starts_with("error: --config pipe, line 12: network: expected outputs"),
        "{complaint}"
    );
}

#[test]
fn settings_of_losses_and_optimizers_that_mean_nothing() {
    let here = tempfile::tempdir().unwrap();
    let layers = ["type = \"flatten\"", "type = \"dense\", outputs = 10"];
    let whole = experiment("softmax_cross_entropy", &layers);
    for (setting, part) in [
        (
            "optimizer = { type = \"sgd\", nesterov = true }",
            "nesterov: expected a momentum above 0",
        ),
        (
            "loss = { type = \"mean_squared_error\", wieght = 3 }",
            "loss: wieght: no such key; mean_squared_error takes none",
        ),
        (
            "loss = { type = \"binary_cross_entropy_with_logits\", label_smoothing = 0.1 }",
            "label_smoothing: no such key; binary_cross_entropy_with_logits takes class_weights",
        ),
    ] {
        let text = match setting.starts_with("loss") {
            true => whole.replace("loss = \"softmax_cross_entropy\"", setting),
            false => format!("{setting}\n{whole}"),
        };
        let line = text.lines().position(|line| line == setting).unwrap() + 1;
        fs::write(here.path().join("c.toml"), text).unwrap();
        let place = format!("--config c.toml, line {line}: ");
        for command in ["train", "inspect", "profile"] {
            refused(here.path(), &format!("{command} --config c.toml"), 1, &[&place, part]);
        }
    }
}

/// What `config.toml` of a run says.
fn config(path: &Path, run: &str) -> Experiment {
    Experiment::read(&path.join(run).join("config.toml")).unwrap()
}

#[test]
fn what_is_written_down_is_what_ran() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let flags = "--preset lenet --epochs 1 --train-limit 20 --batch-size 64 --shard-size 32 \
                 --test-limit 1000 --learning-rate 0.1000000000000000055511151231257827 \
                 --seed 9223372036854775807";
    train_small(path, &format!("{flags} --out long"));
    let written = config(path, "long");
    assert_eq!((written.batch_size.get(), written.shard_size.get()), (20, 20));
    assert_eq!(written.train_limit.map(usize::from), Some(20));
    assert_eq!(written.test_limit.map(usize::from), Some(100));
    assert_eq!((written.seed, written.learning_rate), (i64::MAX as u64, 0.1));
    // It trains the same weights from what is written.
    train_small(path, "--config long/config.toml --out again");
    assert_eq!(config(path, "again"), written);
    let digest = |run| summary(path, run)["weights_sha256"].clone();
    assert_eq!(digest("again"), digest("long"));
    // Without a limit, none is written.
    train_small(path, "--preset lenet --epochs 1 --batch-size 1000 --shard-size 16 --out all");
    let written = config(path, "all");
    assert_eq!((written.batch_size.get(), written.shard_size.get()), (200, 16));
    assert_eq!((written.train_limit, written.test_limit), (None, None));
}

#[test]
fn counts_as_large_as_the_command_line_and_toml_take() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let most = i64::MAX;
    let notebook = mnist_app::presets::text("notebook").unwrap();
    let data = small_data().display();
    // One more than TOML can hold is refused by both.
    let more = most as u64 + 1;
    for (flag, key, old) in [
        ("--epochs", "epochs", "epochs = 15"),
        ("--batch-size", "batch_size", "batch_size = 1"),
        ("--seed", "seed", "seed = 0"),
    ] {
        refused(path, &format!("train {flag} {more}"), 2, &[flag, "expected a whole number"]);
        let text = notebook.replacen(old, &format!("{key} = {more}"), 1);
        assert_ne!(text, notebook);
        fs::write(path.join("c.toml"), text).unwrap();
        let parts = [&*format!(": {key}: expected a whole number"), &more.to_string()];
        refused(path, "train --config c.toml", 1, &parts);
    }
    // As many epochs as can be counted, ended by a target.
    let line = "--train-limit 1 --test-limit 1 --target-accuracy 0 --out target";
    train_small(path, &format!("--epochs {most} {line}"));
    let line = format!("train --preset notebook --data {data} --epochs {most} --train-limit 3");
    refused(path, &line, 1, &["--epochs", "steps"]);
    train_small(path, &format!("--epochs 1 --batch-size {most} --shard-size {most} --out large"));
    assert_eq!(config(path, "large").shard_size.get(), 200);
}

/// Trains with this environment and these words.
fn train_with(path: &Path, threads: Option<&str>, words: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
    command.current_dir(path).env_remove("RAYON_NUM_THREADS");
    if let Some(threads) = threads {
        command.env("RAYON_NUM_THREADS", threads);
    }
    let data = small_data();
    command.args(["train", "--quiet", "--epochs", "1", "--train-limit", "20", "--data"]).arg(data);
    command.args(or_notebook(words).split_whitespace()).output().unwrap()
}

#[test]
fn threads_of_the_environment_meet_the_bound_of_the_flag() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    for found in ["5000", "0", "many", "", "-1"] {
        let output = train_with(path, Some(found), "--out run");
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        let start = "error: RAYON_NUM_THREADS: expected a whole number from 1 to 1024, found ";
        assert_eq!(complaint, format!("{start}{found:?}\n"));
        assert!(!path.join("run").exists());
    }
    for (name, environment, flags, expected) in [
        ("environment", Some("3"), "", 3),
        ("flag", Some("5000"), "--threads 2", 2),
        ("shards", None, "--preset lenet --threads 1000 --batch-size 20 --shard-size 1", 20),
    ] {
        let output = train_with(path, environment, &format!("{flags} --out {name}"));
        assert!(output.status.success(), "{}", text(&output.stderr));
        let processors = thread::available_parallelism().unwrap().get();
        let expected = if name == "shards" { processors.max(expected) } else { expected };
        assert_eq!(summary(path, name)["threads"], expected, "{name}");
    }
    // The images that there are, not the batch that is asked for, say how many shards there are.
    let output = train_with(path, None, "--threads 1000 --out one");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(summary(path, "one")["threads"].as_u64().unwrap() < 1000);
}
