//! Experiments that leave the input and the number of classes to the data.

use std::fs;
use std::path::Path;

use mnist_app::experiment::Experiment;
use serde_json::Value;

use crate::bad_input::refused;
use crate::common::{objects, run_line, small_data, succeeds, summary, text};
use crate::own_images::Images;

/// A network for images of any size and number.
const LAYERS: [&str; 5] = [
    "type = \"conv2d\", kernels = 4, size = 5",
    "type = \"relu\"",
    "type = \"global_avg_pool2d\"",
    "type = \"flatten\"",
    "type = \"dense\", outputs = \"classes\"",
];

/// The line of the first layer in an [`experiment`].
const FIRST: usize = 10;

fn experiment(keys: &str, layers: &[&str]) -> String {
    let layers: String = layers.iter().map(|layer| format!("    {{ {layer} }},\n")).collect();
    format!(
        "epochs = 1\nbatch_size = 8\nshard_size = 4\nshuffle = false\nlearning_rate = 0.01\n\
         loss = \"softmax_cross_entropy\"\ninit = \"he\"\n[network]\nlayers = [\n{layers}]\n{keys}"
    )
}

/// Images of three classes as class folders, `train` and `test`.
fn class_folders(folder: &Path, shape: [usize; 3], names: &[&str]) {
    for (part, count) in [("train", 24), ("test", 6)] {
        Images::new(shape, names.len(), count).write_png(&folder.join(part), names);
    }
}

const NAMES: [&str; 3] = ["ant", "bee", "cow"];

/// The line of a command whose experiment is `c.toml` and whose data are in `data`.
const TRAIN: &str = "train --config c.toml --data data --quiet --no-report --out run";

#[test]
fn few_images_have_more_epochs_where_steps_are_asked_for() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    class_folders(&path.join("data"), [1, 9, 7], &NAMES);
    let epochs = |line: &str, run: &str| {
        let output = run_line(path, &format!("{line} --no-report --out {run}"));
        let told = text(&output.stderr);
        assert!(output.status.success(), "{told}");
        let config = fs::read_to_string(path.join(run).join("config.toml")).unwrap();
        assert!(!config.contains("min_steps"), "{config}");
        let config: Experiment = toml::from_str(&config).unwrap();
        (config.epochs.get(), told.to_owned())
    };
    // 24 images in batches of 8 are 3 steps an epoch.
    fs::write(
        path.join("c.toml"),
        experiment("", &LAYERS).replace("epochs = 1", "epochs = 1\nmin_steps = 7"),
    )
    .unwrap();
    let (found, told) = epochs("train --config c.toml --data data", "a");
    assert_eq!(found, 3);
    let expected =
        "24 training images are 3 steps an epoch: 3 epochs instead of 1, for min_steps = 7";
    assert!(told.contains(expected), "{told}");
    assert_eq!(epochs("train --config c.toml --data data --epochs 2", "b").0, 2);
    assert_eq!(epochs("train --config c.toml --data data --train-limit 8", "c").0, 7);
    fs::write(
        path.join("c.toml"),
        experiment("", &LAYERS).replace("epochs = 1", "epochs = 4\nmin_steps = 7"),
    )
    .unwrap();
    let (found, told) = epochs("train --config c.toml --data data", "d");
    assert!(found == 4 && !told.contains("steps"), "{found}: {told}");
    for wrong in ["0", "-1", "2.5", "\"many\""] {
        let text = experiment("", &LAYERS)
            .replace("epochs = 1", &format!("epochs = 1\nmin_steps = {wrong}"));
        fs::write(path.join("c.toml"), text).unwrap();
        refused(path, TRAIN, 1, &["line 2: min_steps: expected a whole number", wrong]);
    }
}

#[test]
fn what_is_left_out_is_as_if_it_had_been_written() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    class_folders(&path.join("data"), [3, 9, 7], &NAMES);
    fs::write(path.join("c.toml"), experiment("", &LAYERS)).unwrap();
    let written = experiment("[data]\nsize = [9, 7]\ncolour = \"rgb\"\n", &LAYERS)
        .replace("[network]", "[network]\ninput = [3, 9, 7]")
        .replace("\"classes\"", "3");
    fs::write(path.join("written.toml"), &written).unwrap();
    succeeds(path, TRAIN);
    succeeds(path, &TRAIN.replace("c.toml", "written.toml").replace("run", "written"));
    let [open, given] = ["run", "written"].map(|run| summary(path, run)["weights_sha256"].clone());
    assert_eq!(open, given);
    // The run says what it was, and is one of these numbers from then on.
    let config = fs::read_to_string(path.join("run/config.toml")).unwrap();
    let config = Experiment::parse(&config).unwrap();
    assert_eq!(config.networks, Experiment::parse(&written).unwrap().networks);
    assert_eq!(config.form(), Experiment::parse(&written).unwrap().form());
    for line in [
        "train --resume run --epochs 2 --quiet --no-report",
        "verify run --quiet",
        "evaluate run",
        "predict run data/test/ant",
        "report run --quiet",
    ] {
        succeeds(path, line);
    }
    assert_eq!(summary(path, "run")["epoch"], 2);
}

#[test]
fn the_members_of_a_committee_are_filled_in_alike() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    class_folders(&path.join("data"), [1, 8, 8], &NAMES);
    let committee = format!("committee = 2\n{}", experiment("", &LAYERS));
    fs::write(path.join("c.toml"), committee).unwrap();
    succeeds(path, TRAIN);
    succeeds(path, "verify run --quiet");
    succeeds(path, "evaluate run");
}

#[test]
fn commands_without_data_take_the_shape_of_their_own() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("c.toml"), experiment("", &LAYERS)).unwrap();
    // MNIST's, unless the experiment or a flag names others.
    for line in ["profile --config c.toml --repetitions 1", "inspect --config c.toml --samples 4"] {
        let lines = objects(&succeeds(path, &format!("{line} --json")));
        let has = |text: &str| lines.iter().any(|line| line.to_string().contains(text));
        assert!(has("Dense 10 outputs"), "{line}: {lines:?}");
    }
    class_folders(&path.join("data"), [3, 9, 7], &NAMES);
    let inspected = succeeds(path, "inspect --config c.toml --data data --json --samples 4");
    let input: &Value = &objects(&inspected)[1];
    assert!(input.to_string().contains("[3,9,7]"), "{input}");
    let text = succeeds(path, "presets pictures");
    assert!(!text.contains("input") && text.contains("outputs = \"classes\""), "{text}");
}

#[test]
fn data_alone_train_the_preset_pictures() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    class_folders(&path.join("data"), [3, 17, 16], &NAMES);
    succeeds(path, "train --data data --epochs 1 --quiet --no-report --out run");
    let config = fs::read_to_string(path.join("run/config.toml")).unwrap();
    let experiment = Experiment::parse(&config).unwrap();
    assert_eq!(experiment.name, "pictures");
    assert_eq!(experiment.networks.first().input, [3, 17, 16]);
    // A file or a preset that is named is taken.
    let small = small_data().display();
    succeeds(path, &format!("train --preset fast --data {small} --epochs 1 --quiet --no-report"));
    assert!(path.join("runs/fast-1-1").is_dir());
}

#[test]
fn pictures_of_different_sizes_and_colours_come_to_one_form() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    for (number, shape) in
        [[3, 20, 30], [1, 90, 64], [3, 40, 40], [1, 17, 16]].into_iter().enumerate()
    {
        let names = [format!("ant{number}"), format!("bee{number}")];
        Images::new(shape, 2, 24)
            .write_png(&path.join("new"), &names.each_ref().map(|name| &**name));
        for (name, class) in names.iter().zip(["ant", "bee"]) {
            let to = path.join("data").join(class);
            fs::create_dir_all(&to).unwrap();
            for entry in fs::read_dir(path.join("new").join(name)).unwrap() {
                let file = entry.unwrap().path();
                let new = format!("{number}-{}", file.file_name().unwrap().to_str().unwrap());
                fs::rename(&file, to.join(new)).unwrap();
            }
        }
    }
    let output = run_line(path, "train --data data --epochs 1 --no-report --out run");
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    let line =
        "data: images of different sizes from 17×16 to 90×64 pixels are brought to 64×64 colour";
    assert_eq!(told.matches(line).count(), 1, "{told}");
    let config = fs::read_to_string(path.join("run/config.toml")).unwrap();
    let experiment = Experiment::parse(&config).unwrap();
    assert_eq!(experiment.form().size, Some([64, 64]));
    assert_eq!(experiment.networks.first().input, [3, 64, 64]);
    let tested = &objects(&succeeds(path, "evaluate run --json"))[0];
    assert_eq!(tested["test_total"], summary(path, "run")["test_total"]);
    assert_eq!(tested["test_error"], summary(path, "run")["test_error"]);
    succeeds(path, "predict run data/ant/0-000.png data/bee/1-001.png");
    succeeds(path, "verify run --quiet");
}

#[test]
fn what_cannot_be_filled_in() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    class_folders(&path.join("data"), [1, 9, 9], &NAMES);
    class_folders(&path.join("tiny"), [1, 4, 4], &NAMES);
    class_folders(&path.join("one"), [1, 9, 9], &NAMES[..1]);
    let last = "type = \"dense\", outputs = \"classes\"";
    let with = |layer: &'static str| [&LAYERS[..4], &[layer]].concat();
    for (layers, keys, part) in [
        (
            with("type = \"dense\", outputs = \"clases\""),
            "",
            "line 14: layer 4 (\"dense\"): outputs: expected a whole number from 0 on, or \
             \"classes\" for as many as the data have, found \"clases\"",
        ),
        (
            with("type = \"dense\", outputs = 2.5"),
            "",
            "or \"classes\" for as many as the data have, found 2.5",
        ),
        (with("type = \"dense\", outputs = -1"), "", "or \"classes\" for as many"),
        (with("type = \"dense\", outputs = [3]"), "", "or \"classes\" for as many"),
        (
            vec!["type = \"conv2d\", outputs = \"classes\", size = 3", last],
            "",
            "line 10: layer 0 (\"conv2d\"): outputs: no such key; conv2d takes ",
        ),
        (
            vec!["type = \"conv2d\", kernels = \"classes\", size = 3", last],
            "",
            "line 10: layer 0 (\"conv2d\"): kernels: expected a whole number from 0 on",
        ),
        // Not flattened.
        (vec!["type = \"relu\"", last], "", "line 11: network: layer 1 "),
        (
            LAYERS.to_vec(),
            "[data]\nsize = [4, 9]\n",
            "the input is left to the data, images of 4×9 grey pixels: if they are too small, choose \
             size = [height, width] in [data]",
        ),
    ] {
        fs::write(path.join("c.toml"), experiment(keys, &layers)).unwrap();
        for line in [TRAIN, "inspect --config c.toml --data data"] {
            refused(path, line, 1, &["--config c.toml, line ", part]);
        }
    }
    let text = experiment("", &LAYERS).replace("[network]", "[network]\ninput = []");
    fs::write(path.join("c.toml"), text).unwrap();
    let part = "line 9: input: expected one to three axes, such as [C, H, W], or no key input";
    refused(path, TRAIN, 1, &[part, "found []"]);
    let text = experiment("", &LAYERS);
    fs::write(path.join("c.toml"), &text).unwrap();
    let place = format!("line {}: network: ", FIRST + 4);
    let part = "expected data of at least 2 classes to tell apart, found 1 in ";
    refused(path, &TRAIN.replace("data data", "data one"), 1, &[&place, part]);
    // The first layer needs 5×5, and three poolings 8×8.
    let place = format!("line {FIRST}: network: layer 0 ");
    refused(path, &TRAIN.replace("data data", "data tiny"), 1, &[&place, "4×4 grey pixels"]);
    let parts = ["preset pictures: network: layer ", "images of 4×4 grey pixels", "size = [height"];
    refused(path, "train --data tiny --quiet --out run", 1, &parts);
    // Settings that are wrong whatever the data are refused all the same.
    let sigmoid = [&LAYERS[..], &["type = \"sigmoid\""]].concat();
    fs::write(path.join("c.toml"), experiment("", &sigmoid)).unwrap();
    refused(path, TRAIN, 1, &["line 15: network: expected logits for the loss"]);
    refused(path, "profile --config c.toml", 1, &["expected logits for the loss"]);
    fs::write(path.join("c.toml"), text).unwrap();
    refused(path, "profile --config c.toml --preset fast", 2, &["--preset"]);
}
