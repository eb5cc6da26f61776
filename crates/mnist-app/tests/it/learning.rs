//! A network that does not learn is told so, and no other.

use std::fs;

use mnist_app::presets;

use crate::common::{run_line, small_data, text};

/// The warnings of a training.
#[track_caller]
fn warnings(folder: &std::path::Path, line: &str) -> Vec<String> {
    let output = run_line(folder, &format!("train {line}"));
    let told = text(&output.stderr);
    assert!(output.status.success(), "{line}: {told}");
    let lines = told.lines().filter(|line| line.starts_with("warning: "));
    lines.map(str::to_owned).collect()
}

#[test]
fn of_the_presets_the_notebook_alone_is_warned_of() {
    let here = tempfile::tempdir().unwrap();
    for name in presets::names().filter(|&name| name != "committee") {
        let line = format!(
            "--preset {name} --epochs 2 --train-limit 64 --test-limit 50 --data {} --out {name}",
            small_data().display()
        );
        let found = warnings(here.path(), &line);
        if name == "notebook" {
            assert_eq!(found.len(), 1, "{found:?}");
            let parts = ["after epoch 1: ", "of layer 4 (Tanh) are saturated", "xavier"];
            parts.iter().for_each(|part| assert!(found[0].contains(part), "{found:?}"));
            assert_eq!(warnings(here.path(), &format!("{line}-quiet --quiet")).len(), 0);
        } else {
            assert_eq!(found, Vec::<String>::new(), "{name}");
        }
    }
}

#[test]
fn each_reason_not_to_learn_has_its_warning() {
    let here = tempfile::tempdir().unwrap();
    let experiment = |keys: &str, layers: &str| {
        format!(
            "{keys}\nepochs = 2\nbatch_size = 2\nshard_size = 2\nshuffle = true\nloss = \
             \"softmax_cross_entropy\"\ninit = \"xavier\"\n[network]\ninput = [1, 28, 28]\n\
             layers = [{{ type = \"flatten\" }}, {layers} {{ type = \"dense\", outputs = 10 }}]"
        )
    };
    let dense = "{ type = \"dense\", outputs = 20 },";
    let deep = format!("{dense} {{ type = \"sigmoid\" }},").repeat(12);
    let dead = "{ type = \"dense\", outputs = 20, initial_bias = -1e3 }, { type = \"relu\" },";
    for (name, text, expected) in [
        (
            "deep",
            experiment("learning_rate = 0.01", &deep),
            "the gradient of layer 1 (Dense 20 outputs) has vanished, to ",
        ),
        (
            "dead",
            experiment("learning_rate = 0.01", dead),
            "20 of 20 units of layer 2 (Relu) are dead",
        ),
        (
            "flat",
            experiment("learning_rate = 0.01", "")
                .replace("softmax_cross_entropy", "mean_squared_error")
                .replace(
                    "{ type = \"dense\", outputs = 10 }",
                    "{ type = \"dense\", outputs = 10, initial_bias = -100 }, { type = \"relu\" }",
                ),
            "all gradients are exactly 0 for 32 images, as the last layer, 2 (Relu), is flat",
        ),
        ("still", experiment("learning_rate = 0.0", dense), "it has learned nothing yet: "),
    ] {
        fs::write(here.path().join(format!("{name}.toml")), text).unwrap();
        let line = format!("--config {name}.toml --train-limit 3000 --out {name}");
        let found = warnings(here.path(), &line);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert!(found[0].contains(expected), "{name}: {found:?}");
    }
}
