//! Names from elsewhere: of files in any bytes, of classes and of what a model's file says.
//! No terminal is told anything by them.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Output;

use layers::{metadata_of, network_of, save_weights};

use crate::bad_input::safetensors;
use crate::common::{names, objects, run_in, small_data, succeeds, text, train_small, write_png};

/// A new line, the start of a colour, a bell, a mark from right to left and its end, a
/// control character of the second kind and a line's end in Unicode.
const NASTY: &str = "a\nb\u{1b}[31mc\u{7}d\u{202e}e\u{2066}f\u{9b}g\u{2028}h";

/// The same as it is printed.
const SHOWN: &str = "a\\nb\\u001b[31mc\\u0007d\\u202ee\\u2066f\\u009bg\\u2028h";

/// What a program printed, in which nothing but new lines may act on a terminal.
#[track_caller]
fn harmless(bytes: &[u8]) -> String {
    let text = text(bytes);
    let acts = |c: char| c.is_control() || "\u{202e}\u{2066}\u{2028}".contains(c);
    let found: Vec<_> = text.chars().filter(|&c| c != '\n' && acts(c)).collect();
    assert!(found.is_empty(), "{found:?} in {text}");
    text
}

#[track_caller]
fn harmless_output(output: &Output, status: i32) -> [String; 2] {
    let [printed, complaint] = [&output.stdout, &output.stderr].map(|bytes| harmless(bytes));
    assert_eq!(output.status.code(), Some(status), "{complaint}");
    [printed, complaint]
}

#[test]
fn the_names_of_files_act_on_no_terminal() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let short: [&dyn AsRef<OsStr>; 9] = [
        &"train",
        &"--preset=notebook",
        &"--epochs",
        &"1",
        &"--train-limit",
        &"5",
        &"--data",
        &small_data(),
        &"--out",
    ];
    let [printed, _] = harmless_output(&run_in(path, &[&short[..], &[&NASTY]].concat()), 0);
    assert!(printed.contains(&format!("\nrun: {SHOWN}\n")), "{printed}");
    let json: &dyn AsRef<OsStr> = &"--json";
    let other = format!("{NASTY}2");
    let words = [&short[..], &[&other, json, &"--quiet"]].concat();
    let [_, complaint] = harmless_output(&run_in(path, &words), 0);
    assert_eq!(complaint, format!("run: {SHOWN}2\n"));

    let data = small_data();
    for (command, places) in [("evaluate", 2), ("compare", 2)] {
        let words: [&dyn AsRef<OsStr>; 5] = [&command, &NASTY, &NASTY, &"--data", &data];
        let [printed, _] = harmless_output(&run_in(path, &words), 0);
        assert_eq!(printed.matches(SHOWN).count(), places, "{printed}");
        // As JSON it can be read again to the last character.
        let [printed, _] = harmless_output(&run_in(path, &[&words[..], &[json]].concat()), 0);
        let line = objects(&printed).remove(0);
        let model = if command == "compare" { &line["a"]["model"] } else { &line["model"] };
        assert_eq!(model.as_str(), Some(&*format!("{NASTY}/model.safetensors")));
    }
    let missing = format!("{NASTY}3");
    for (words, start) in [
        ([&"evaluate" as &dyn AsRef<OsStr>, &missing], format!("error: model {SHOWN}3: ")),
        ([&"inspect", &missing], format!("error: model {SHOWN}3: ")),
    ] {
        let [_, complaint] = harmless_output(&run_in(path, &words), 1);
        assert!(complaint.starts_with(&start), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
    for flag in ["--config", "--data", "--init"] {
        let words: [&dyn AsRef<OsStr>; 3] = [&"train", &flag, &missing];
        let [_, complaint] = harmless_output(&run_in(path, &words), 1);
        assert!(complaint.contains(&format!("{SHOWN}3: ")), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
    // As a word that is none.
    for words in [[&NASTY as &dyn AsRef<OsStr>, &"--help"], [&"train", &NASTY]] {
        let [_, complaint] = harmless_output(&run_in(path, &words), 2);
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
}

#[test]
fn descriptions_and_metadata_act_on_no_terminal() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let preset = mnist_app::presets::text("notebook").unwrap();
    let start = preset.find("description = ").unwrap();
    let end = start + preset[start..].find('\n').unwrap();
    let nasty = serde_json::to_string(NASTY).unwrap().replace('\u{9b}', "\\u009b");
    let nasty = format!("{}description = {nasty}{}", &preset[..start], &preset[end..]);
    fs::write(path.join("nasty.toml"), nasty).unwrap();
    let printed = train_small(path, "--config nasty.toml --epochs 1 --train-limit 5 --out run");
    let printed = harmless(printed.as_bytes());
    assert!(printed.contains(&format!("seed 0: {SHOWN}\n")), "{printed}");

    let model = path.join("run/model.safetensors");
    let bytes = fs::read(&model).unwrap();
    let network = network_of::<f32>(&bytes).unwrap();
    let mut metadata = metadata_of(&bytes).unwrap();
    metadata.remove("network");
    metadata.insert("preset".into(), NASTY.into());
    let metadata: Vec<_> =
        metadata.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    fs::write(&model, save_weights(&network, &metadata).unwrap()).unwrap();
    let data = small_data().display();
    let inspect = format!("inspect {} --samples 5 --data {data}", model.display());
    let printed = harmless(succeeds(path, &inspect).as_bytes());
    assert!(printed.starts_with(&format!("{SHOWN}, trained: ")), "{printed}");
    let printed = harmless(succeeds(path, &format!("{inspect} --json")).as_bytes());
    assert_eq!(objects(&printed)[0]["name"].as_str(), Some(NASTY));
}

#[test]
fn the_names_in_a_file_of_weights_act_on_no_terminal() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let arrays = [(NASTY, ("F32", vec![2]))].into();
    fs::write(path.join("nasty.safetensors"), safetensors(&arrays)).unwrap();
    let data = small_data();
    let words: [&dyn AsRef<OsStr>; 6] =
        [&"train", &"--preset=notebook", &"--init", &"nasty.safetensors", &"--data", &data];
    let [_, complaint] = harmless_output(&run_in(path, &words), 1);
    assert!(complaint.contains(&format!("{SHOWN} is not in the network")), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
}

#[test]
fn the_names_of_classes_act_on_no_terminal() {
    const FLOWER: &str = "rose\u{202e}eson\u{2066}";
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    for (class, grey) in [(FLOWER, 10), ("tulip", 200)] {
        for part in ["train", "test"] {
            let folder = path.join("flowers").join(part).join(class);
            fs::create_dir_all(&folder).unwrap();
            for image in 0..3 {
                let pixels = [grey + image; 16];
                write_png(&folder.join(format!("{image}.png")), [1, 4, 4], &pixels);
            }
        }
    }
    fs::write(path.join("flowers.toml"), FLOWERS).unwrap();
    let train = "train --quiet --config flowers.toml --data flowers --out run";
    let printed = harmless(succeeds(path, train).as_bytes());
    let shown = "rose\\u202eeson\\u2066";
    assert!(printed.contains(&format!(" {shown}: ")), "{printed}");
    // In the table the name is cut as any other.
    let printed = harmless(succeeds(path, "evaluate run --data flowers").as_bytes());
    assert!(printed.contains("rose\\u202ee…"), "{printed}");
}

const FLOWERS: &str = r#"
epochs = 1
batch_size = 2
shard_size = 2
shuffle = false
learning_rate = 0.01
loss = "softmax_cross_entropy"
init = "he"

[network]
input = [1, 4, 4]
layers = [{ type = "flatten" }, { type = "dense", outputs = 2 }]
"#;

/// A name in bytes that are no UTF-8.
#[cfg(target_os = "linux")]
const BYTES: &[u8] = b"run-\xff\xfe";

#[cfg(target_os = "linux")]
fn nameless(prefix: &str) -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec([prefix.as_bytes(), BYTES].concat())
}

#[cfg(target_os = "linux")]
#[test]
fn paths_in_any_bytes_work_where_nothing_must_write_them_down() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let preset = mnist_app::presets::text("notebook").unwrap();
    let (config, run, data) = (nameless("config-"), nameless(""), small_data());
    fs::write(path.join(&config), preset).unwrap();
    let words: [&dyn AsRef<OsStr>; 11] = [
        &"train",
        &"--epochs",
        &"1",
        &"--train-limit",
        &"5",
        &"--config",
        &config,
        &"--data",
        &data,
        &"--out",
        &run,
    ];
    let [printed, _] = harmless_output(&run_in(path, &words), 0);
    assert!(printed.contains("\nrun: run-\\xff\\xfe\n"), "{printed}");
    assert_eq!(names(&path.join(&run)).len(), 6);
    for words in [
        &[&"evaluate" as &dyn AsRef<OsStr>, &run, &"--data", &data][..],
        &[&"compare", &run, &run, &"--data", &data],
        &[&"inspect", &run, &"--data", &data, &"--samples", &"5"],
    ] {
        harmless_output(&run_in(path, words), 0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn paths_that_cannot_be_written_down_are_refused_before_anything_is_made() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, "--epochs 1 --train-limit 5 --out run");
    let (data, init, model) = (nameless("data-"), nameless("init-"), nameless("model-"));
    std::os::unix::fs::symlink(small_data(), path.join(&data)).unwrap();
    for name in [&init, &model] {
        fs::copy(path.join("run/model.safetensors"), path.join(name)).unwrap();
    }
    let folder = nameless("folder-");
    fs::create_dir(path.join(&folder)).unwrap();
    let preset = mnist_app::presets::text("notebook").unwrap();
    let config = Path::new(&folder).join("data.toml");
    fs::write(path.join(&config), format!("data = \"here\"\n{preset}")).unwrap();
    let before = names(path).len();
    let small = small_data();
    for (words, start) in [
        (&[&"train" as &dyn AsRef<OsStr>, &"--data", &data][..], "--data "),
        (&[&"train", &"--data", &small, &"--init", &init], "--init "),
        (&[&"train", &"--config", &config], "--config folder-run-\\xff\\xfe/data.toml: data "),
        (&[&"evaluate", &model, &"--data", &small, &"--json"], "model "),
        (&[&"compare", &model, &model, &"--data", &small, &"--json"], "model "),
    ] {
        let [printed, complaint] = harmless_output(&run_in(path, words), 1);
        assert_eq!(printed, "");
        assert!(complaint.starts_with(&format!("error: {start}")), "{complaint}");
        for part in ["\\xff\\xfe", ": expected a path in UTF-8, ", "found other bytes"] {
            assert!(complaint.contains(part), "{complaint}");
        }
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        assert_eq!(names(path).len(), before);
    }
}
