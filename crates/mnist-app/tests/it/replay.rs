//! `replay`: the failure of a run that broke off comes again, the same.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::common::{objects, or_notebook, run_line, small_data, succeeds, text, train_small};
use crate::resume::{PLAIN, places};
use crate::verify::contents;

/// A rate at which the errors grow from step to step, until they overflow in a later epoch.
fn growing(folder: &Path) {
    let text = PLAIN
        .replace("softmax_cross_entropy", "mean_squared_error")
        .replace("epochs = 3", "epochs = 40")
        .replace("learning_rate = 0.01", "learning_rate = 1.0")
        .replace("momentum = 0.9", "momentum = 0.0");
    fs::write(folder.join("growing.toml"), text).unwrap();
}

/// Trains until the run breaks off; what standard error says.
#[track_caller]
fn breaks_off(folder: &Path, line: &str) -> String {
    let (data, line) = (small_data().display(), or_notebook(line));
    let output = run_line(folder, &format!("train --data {data} --json {line}"));
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    told
}

/// An experiment whose second moments overflow, after which no step would change anything.
const OVERFLOWING: &str = r#"
epochs = 3
batch_size = 20
shard_size = 20
shuffle = true
learning_rate = 1e6
loss = "mean_squared_error"
optimizer = { type = "adam" }
init = "he"

[network]
input = [1, 28, 28]
layers = [
    { type = "flatten" },
    { type = "dense", outputs = 20 },
    { type = "relu" },
    { type = "dense", outputs = 10 },
]
"#;

fn replay(folder: &Path, line: &str, level: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
    command.current_dir(folder).env("ASTERISM_SIMD", level).arg("replay");
    command.args(line.split_whitespace()).output().unwrap()
}

fn failure(run: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(run.join("failure.json")).unwrap()).unwrap()
}

#[test]
fn what_the_optimizer_keeps_must_be_finite_too() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("overflowing.toml"), OVERFLOWING).unwrap();
    let flags = "--config overflowing.toml --checkpoint-every 1 --out run";
    let told = breaks_off(path, flags);
    let error = told.lines().last().unwrap();
    let expected = "error: training stopped in epoch 1, by step 10: expected finite numbers, found \
                    NaN or infinity in what the optimizer or the layer keeps of layer ";
    assert!(error.starts_with(expected), "{error}");
    assert!(error.contains("a smaller --learning-rate or a clip_norm may help"), "{error}");
    assert_eq!(failure(&path.join("run"))["value"], "trainer_state");
    assert!(!told.contains("goes on without"), "{told}");
    let printed = succeeds(path, "replay run --quiet --threads 2");
    assert!(printed.contains("fails again in epoch 1, step 10: trainer state"), "{printed}");
}

#[test]
fn a_failure_comes_again_layer_by_layer() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    growing(path);
    for (run, flags) in [("every", "--checkpoint-every 1"), ("few", "")] {
        let told = breaks_off(path, &format!("--config growing.toml {flags} --out {run}"));
        let error = told.lines().last().unwrap().strip_prefix("error: ").unwrap();
        let folder = path.join(run);
        let recorded = failure(&folder);
        let (epoch, step) = (&recorded["epoch"], &recorded["step"]);
        assert!(epoch.as_u64() > Some(1), "{recorded}");
        assert!(error.starts_with(&format!("training stopped in epoch {epoch}, step {step}: ")));
        // The file names the layer that the message does.
        let (layer, summary) = (&recorded["layer"][0], recorded["layer"][1].as_str().unwrap());
        assert!(error.contains(&format!(" of layer {layer} ({summary})")), "{recorded}: {error}");
        let before = contents(&folder);
        for (line, level) in [("--threads 1", "portable"), ("--threads 3", "portable")] {
            let output = replay(path, &format!("{run} {line}"), level);
            let printed = text(&output.stdout);
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
            assert!(printed.starts_with("from the checkpoint "), "{printed}");
            // What the training said, table and all, and the verdict.
            let tables: Vec<_> = told.lines().filter(|line| line.starts_with("  ")).collect();
            assert!(!tables.is_empty() && tables.iter().all(|&row| printed.contains(row)));
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let verdict = format!("{run}: fails again in epoch {epoch}, step {step}: ");
            assert!(words(&printed).contains(&words(error)), "{printed}");
            assert!(words(&printed).contains(&verdict), "{printed}");
            assert!(printed.lines().all(|line| line.chars().count() <= 79), "{printed}");
        }
        assert!(contents(&folder) == before);
        let printed = objects(&succeeds(path, &format!("replay {run} --json")));
        assert_eq!((printed.len(), &printed[0]["again"]), (1, &Value::Bool(true)));
        assert_eq!((&printed[0]["step"], &printed[0]["message"]), (step, &error.into()));
        let printed = succeeds(path, &format!("replay {run} --quiet"));
        assert!(printed.starts_with(&format!("{run}: fails again in ")), "{printed}");
        // What it came to before can be verified.
        let last = epoch.as_u64().unwrap() - 1;
        let printed = succeeds(path, &format!("verify {run}"));
        let expected = format!("all {last} claims agree; the run has not ended\n");
        assert!(printed.ends_with(&expected), "{printed}");
    }
    let every = places(&path.join("every"));
    let recorded = failure(&path.join("every"));
    let newest = every.last().map(|&(epochs, steps)| [epochs + 1, steps + 1]);
    let failed = ["epoch", "step"].map(|key| recorded[key].as_u64().unwrap() as usize);
    assert!(newest <= Some(failed), "{every:?}, {recorded}");
}

#[test]
fn another_failure_or_none_is_told() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    growing(path);
    breaks_off(path, "--config growing.toml --out run");
    let file = path.join("run/failure.json");
    let original = failure(&path.join("run"));
    let mut earlier = original.clone();
    earlier["epoch"] = (original["epoch"].as_u64().unwrap() - 1).into();
    let mut other = original.clone();
    other["value"] = "gradient".into();
    for (changed, expected) in
        [(earlier, "says, found none\n"), (other, "says, found one in epoch ")]
    {
        fs::write(&file, changed.to_string()).unwrap();
        let output = run_line(path, "replay run --quiet");
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        assert!(complaint.starts_with("error: run: expected the failure in epoch "), "{complaint}");
        assert!(complaint.contains(expected), "{complaint}");
    }
    fs::write(path.join("plain.toml"), PLAIN).unwrap();
    train_small(path, "--config plain.toml --out plain");
    let output = run_line(path, "replay plain");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "error: plain: expected a run that broke off, with failure.json in it, found one that has \
         ended\n"
    );
}

#[test]
fn of_a_committee_the_member_that_failed_is_replayed() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    growing(path);
    let text = fs::read_to_string(path.join("growing.toml")).unwrap();
    fs::write(path.join("two.toml"), format!("committee = 2\n{text}")).unwrap();
    breaks_off(path, "--config two.toml --out run");
    let printed = succeeds(path, "replay run --quiet");
    assert!(printed.starts_with("run/member-1: fails again in epoch "), "{printed}");
}
