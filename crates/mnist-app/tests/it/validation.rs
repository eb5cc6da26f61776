//! Runs with validation images: what they look at, when they end, and what they keep.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use layers::sha256;
use mnist_app::dataset::Samples;
use serde_json::{Value, json};

use crate::checkpoints::copy;
use crate::committee::TWO;
use crate::common::{mnist, objects, succeeds, summary, write_png};
use crate::resume::{EVERYTHING, PLAIN, assert_same, interrupted, places, resume};
use crate::verify::{data_digest, differs, lines, receipt, set_lines};

/// A folder of digits, as `train/CLASS`, `validation/CLASS` and `test/CLASS`.
pub fn pictures() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("validated-digits");
        let _ = fs::remove_dir_all(&folder);
        let (train, test) = mnist();
        let write = |part: &str, samples: &Samples, places: std::ops::Range<usize>| {
            for place in places {
                let class = folder.join(part).join(samples.labels()[place].to_string());
                fs::create_dir_all(&class).unwrap();
                write_png(&class.join(format!("{place}.png")), [1, 28, 28], samples.image(place));
            }
        };
        write("train", train, 0..160);
        write("validation", train, 200..260);
        write("test", test, 0..70);
        folder
    })
}

/// Trains on these digits.
#[track_caller]
pub fn train(folder: &Path, line: &str) -> String {
    let data = pictures().display();
    succeeds(folder, &format!("train --no-report --data {data} --quiet {line}"))
}

/// The plain network with these keys, whose steps are so large that its results go up and down.
pub fn shaky(keys: &str) -> String {
    format!("{keys}\n{}", PLAIN.replace("learning_rate = 0.01", "learning_rate = 0.5"))
}

fn correct(line: &Value, part: &str) -> u64 {
    line[format!("{part}_correct")].as_u64().unwrap()
}

/// The best epoch of these lines, counted from 1, by what the documentation says.
fn best_of(lines: &[Value]) -> usize {
    let key =
        |line: &Value| (correct(line, "validation"), -line["validation_error"].as_f64().unwrap());
    let mut best = 0;
    for (index, line) in lines.iter().enumerate() {
        if key(line) > key(&lines[best]) {
            best = index;
        }
    }
    best + 1
}

#[test]
fn each_line_has_the_validation_images_and_the_last_one_the_test_images() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("plain.toml"), PLAIN).unwrap();
    let printed = train(path, "--config plain.toml --out run");
    let words = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("160 training images, 60 validation images, 70 test"), "{printed}");
    assert_eq!(printed.matches("  validation: ").count(), 3, "{printed}");
    assert!(!printed.contains("  test: "), "{printed}");
    let run = path.join("run");
    let all = lines(&run);
    for (index, line) in all.iter().enumerate() {
        assert_eq!(line["validation_total"], 60);
        assert!(line["validation_error"].is_f64() && correct(line, "validation") <= 60);
        for key in ["test_error", "test_correct", "test_total"] {
            assert_eq!(line.get(key).is_some(), index == 2, "{key}: {line}");
        }
        assert_eq!(line.get("best_epoch"), None);
    }
    let said = summary(path, "run");
    for key in ["validation_error", "validation_correct", "test_error", "test_correct", "receipt"] {
        assert_eq!(said[key], all[2][key], "{key}");
    }
    let accuracy = |part: &str, total: f64| json!(correct(&all[2], part) as f64 / total);
    assert_eq!(said["validation_accuracy"], accuracy("validation", 60.0));
    assert_eq!(said["test_accuracy"], accuracy("test", 70.0));
    assert!(
        printed.contains(&format!("{} of 60 validation images right", said["validation_correct"]))
    );
    assert!(printed.contains(&format!("{} of 70 test images right", said["test_correct"])));

    // The chain is what a stranger computes.
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    let data = data_digest(&run);
    let mut before = "none".to_owned();
    for line in &all {
        before = receipt(&config, &data, line, &before, None);
        assert_eq!(line["receipt"], before.as_str());
    }
    let model = fs::read(run.join("model.safetensors")).unwrap();
    let metadata = layers::metadata_of(&model).unwrap();
    let parts =
        ["data_train", "data_test", "data_validation"].map(|key| format!("{}\n", metadata[key]));
    assert_eq!(metadata["data"], sha256(parts.concat().as_bytes()));

    let printed = succeeds(path, "verify run");
    assert!(printed.ends_with("run: verified: all 5 claims agree\n"), "{printed}");
    assert!(printed.contains("of 60 validation images right, "), "{printed}");
    let said_again = objects(&succeeds(path, "evaluate run --json"));
    assert_eq!(said_again[0]["test_correct"], said["test_correct"]);
    succeeds(path, "compare run run/model.safetensors");
    assert!(succeeds(path, "show run --what curves").contains("o validation "));
    succeeds(path, "report run");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    for part in ["Accuracy on the validation images", "validation error", "of 70 test images right"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("Accuracy on the test images"));
    // One that is made longer stays one chain, and tests its new last epoch.
    succeeds(path, "train --resume run --epochs 5 --quiet --no-report");
    train(path, "--config plain.toml --epochs 5 --out whole");
    let longer = lines(&run);
    assert_eq!(longer[..3], all[..]);
    assert!(longer[3].get("test_error").is_none() && longer[4].get("test_error").is_some());
    let weights = |run: &str| summary(path, run)["weights_sha256"].clone();
    assert_eq!(weights("run"), weights("whole"));
    assert!(succeeds(path, "verify run").ends_with("run: verified: all 7 claims agree\n"));
    let printed = succeeds(path, "report run whole --out both.html");
    assert!(printed.contains("both.html"), "{printed}");
    let page = fs::read_to_string(path.join("both.html")).unwrap();
    assert!(page.contains("Error of the validation images"));
}

#[test]
fn a_target_is_one_of_the_validation_images() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("plain.toml"), PLAIN).unwrap();
    train(path, "--config plain.toml --epochs 8 --out whole");
    let whole = lines(&path.join("whole"));
    let accuracies: Vec<_> =
        whole.iter().map(|line| correct(line, "validation") as f64 / 60.0).collect();
    let target = accuracies[..7].iter().copied().fold(0.0, f64::max);
    let first = accuracies.iter().position(|&accuracy| accuracy >= target).unwrap() + 1;
    assert!(first < 8, "{accuracies:?}");
    let flags = format!("--config plain.toml --epochs 8 --target-accuracy {target}");
    train(path, &format!("{flags} --out run"));
    let all = lines(&path.join("run"));
    assert_eq!(all.len(), first);
    let last = &all[first - 1];
    assert_eq!(last["weights_sha256"], whole[first - 1]["weights_sha256"]);
    assert!(last.get("test_correct").is_some());
    assert!(succeeds(path, "verify run").ends_with(" claims agree\n"));
    let printed = succeeds(path, "train --resume run");
    assert!(printed.starts_with(&format!("run: has ended; {first} epochs: ")), "{printed}");
    // With a target out of reach it goes on, and the line that was the last is verified as it is.
    succeeds(path, "train --resume run --target-accuracy 1 --quiet --no-report");
    let longer = lines(&path.join("run"));
    assert_eq!((longer.len(), &longer[..first]), (8, &all[..]));
    assert!(succeeds(path, "verify run").ends_with(" claims agree\n"));
}

#[test]
fn patience_ends_a_run_so_many_epochs_after_the_best() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    for patience in [1, 3] {
        let run = format!("run{patience}");
        fs::write(path.join("c.toml"), shaky(&format!("patience = {patience}"))).unwrap();
        let printed = train(path, &format!("--config c.toml --epochs 60 --out {run}"));
        let all = lines(&path.join(&run));
        assert!(all.len() < 60, "{}", all.len());
        assert_eq!(best_of(&all) + patience, all.len());
        for count in 1..all.len() {
            assert!(best_of(&all[..count]) + patience > count);
        }
        assert!(all[all.len() - 1].get("test_correct").is_some());
        assert!(printed.contains(" without a better validation accuracy."), "{printed}");
        assert!(succeeds(path, &format!("verify {run}")).ends_with(" claims agree\n"));
        let said = succeeds(path, &format!("train --resume {run} --epochs 70"));
        assert!(said.contains(&format!(": has ended; {} epochs: ", all.len())), "{said}");
    }
}

#[test]
fn the_best_epoch_is_kept() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("last.toml"), shaky("keep = \"last\"")).unwrap();
    fs::write(path.join("best.toml"), shaky("keep = \"best\"")).unwrap();
    for name in ["last", "best"] {
        train(path, &format!("--config {name}.toml --epochs 9 --out {name}"));
    }
    let [last, best] = ["last", "best"].map(|name| lines(&path.join(name)));
    let epoch = best_of(&best);
    assert!(epoch < 9, "the last one is the best");
    assert_eq!(best_of(&last), epoch);
    for (index, (last, best)) in last.iter().zip(&best).enumerate() {
        assert_eq!(last["validation_error"], best["validation_error"]);
        let is_last = index == 8;
        assert_eq!(last["weights_sha256"] == best["weights_sha256"], !is_last);
        assert_eq!(best.get("best_epoch"), is_last.then(|| json!(epoch)).as_ref());
    }
    let digest = &best[epoch - 1]["weights_sha256"];
    let said = summary(path, "best");
    let model =
        layers::metadata_of(&fs::read(path.join("best/model.safetensors")).unwrap()).unwrap();
    assert_eq!(*digest, model["weights_sha256"].as_str());
    assert_eq!((&best[8]["weights_sha256"], &said["weights_sha256"]), (digest, digest));
    assert_eq!(said["best_epoch"], epoch);
    assert_eq!(said["validation_correct"], best[epoch - 1]["validation_correct"]);
    // It is that of a run that ends there.
    train(path, &format!("--config last.toml --epochs {epoch} --out short"));
    let short = summary(path, "short");
    assert_eq!(short["weights_sha256"], *digest);
    assert_eq!(short["test_error"], said["test_error"]);
    let printed = succeeds(path, "verify best");
    assert!(printed.ends_with("best: verified: all 11 claims agree\n"), "{printed}");
    assert!(succeeds(path, "verify best --epoch 5").contains("epoch 5: agrees"));
    let shown = objects(&succeeds(path, "evaluate best --json"));
    assert_eq!(shown[0]["test_correct"], said["test_correct"]);
    succeeds(path, "report best");
    let page = fs::read_to_string(path.join("best/report.html")).unwrap();
    assert!(page.contains(&format!("<b>epoch {epoch}</b>")));
    assert!(succeeds(path, "show best --what curves").contains(&format!(", of epoch {epoch}: ")));

    // False claims.
    let (run, forged) = (path.join("best"), path.join("forged"));
    let forge = |change: &dyn Fn(&mut Vec<Value>)| {
        copy(&run, &forged);
        let mut all = lines(&run);
        change(&mut all);
        set_lines(&forged, &all);
        differs(path, "verify forged").0
    };
    for (line, key, value) in [
        (1, "validation_correct", json!(60)),
        (1, "validation_error", json!(0.25)),
        (8, "best_epoch", json!(9)),
        (8, "test_correct", json!(70)),
    ] {
        let printed = forge(&|all| all[line][key] = value.clone());
        assert!(
            printed.contains(&format!("epoch {}: differs\n    {key}\n", line + 1)),
            "{printed}"
        );
    }
    let printed = forge(&|all| {
        let last = all[8].as_object_mut().unwrap();
        last.retain(|key, _| !key.starts_with("test_"));
    });
    assert!(printed.contains("receipt of line 9: differs"), "{printed}");
    copy(&run, &forged);
    fs::copy(path.join("last/model.safetensors"), forged.join("model.safetensors")).unwrap();
    let (printed, _) = differs(path, "verify forged");
    assert!(printed.contains("model.safetensors: differs\n    weights_sha256\n"), "{printed}");
    copy(&run, &forged);
    let mut changed = said.clone();
    changed["validation_accuracy"] = json!(0.5);
    fs::write(forged.join("summary.json"), changed.to_string()).unwrap();
    let (printed, _) = differs(path, "verify forged");
    assert!(printed.contains("summary.json: differs\n    validation_accuracy\n"), "{printed}");
}

#[test]
fn a_run_that_was_killed_keeps_the_same_best_epoch() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    // With running statistics and an average, which are part of what is kept.
    let everything = EVERYTHING.replace("learning_rate = 0.01", "learning_rate = 0.2");
    fs::write(path.join("all.toml"), format!("keep = \"best\"\n{everything}")).unwrap();
    fs::write(path.join("shaky.toml"), shaky("keep = \"best\"")).unwrap();
    let mut were_best = Vec::new();
    for (name, epochs) in [("all", 6), ("shaky", 9)] {
        let flags = format!("--config {name}.toml --epochs {epochs} --checkpoint-every 1");
        train(path, &format!("{flags} --out {name}"));
        let run = path.join(name);
        let (left, copied) = (path.join("left"), format!("{name}-again"));
        copy(&run, &left);
        let before = places(&left);
        // As if it had been killed before the end of its last epoch.
        fs::remove_file(left.join(format!("checkpoint/{epochs:06}-000000.safetensors"))).unwrap();
        for file in ["model.safetensors", "summary.json"] {
            fs::remove_file(left.join(file)).unwrap();
        }
        assert_eq!((before.len(), places(&left).len()), (2, 1), "{before:?}");
        let _ = fs::remove_dir_all(path.join(&copied));
        fs::rename(&left, path.join(&copied)).unwrap();
        resume(path, &copied, 1, "portable");
        assert_same(path, name, &copied);
        were_best.push(lines(&run)[epochs - 1]["best_epoch"] != json!(epochs));
        assert!(succeeds(path, &format!("verify {copied}")).ends_with(" claims agree\n"));
        // Of one that has ended, the files at the end are made again of the checkpoint.
        for file in ["model.safetensors", "summary.json"] {
            fs::remove_file(path.join(&copied).join(file)).unwrap();
        }
        resume(path, &copied, 2, "portable");
        assert_same(path, name, &copied);
    }
    assert!(were_best.contains(&true), "the best epoch was always the last one");
}

#[cfg(unix)]
#[test]
fn a_share_is_validated_through_a_signal() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let config =
        shaky("keep = \"best\"").replace("[network]", "[data]\nvalidation = 0.3\n\n[network]");
    fs::write(path.join("share.toml"), config).unwrap();
    crate::common::train_small(path, "--config share.toml --epochs 6 --out whole");
    let folder = path.join("run");
    let line = "--config share.toml --epochs 6 --checkpoint-every 1 --out run";
    let output = interrupted(path, line, "-INT", || {
        places(&folder).last().is_some_and(|&(epochs, steps)| epochs >= 3 && steps >= 2)
    });
    assert_eq!(output.status.code(), Some(130));
    resume(path, "run", 2, "portable");
    assert_same(path, "whole", "run");
    let total = |key: &str| summary(path, "run")[key].as_u64().unwrap();
    assert!((20..100).contains(&total("validation_total")), "{}", total("validation_total"));
    assert_eq!(total("test_total"), 100);
}

#[test]
fn members_of_a_committee_look_at_the_validation_images() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("two.toml"), format!("keep = \"best\"\n{TWO}")).unwrap();
    let printed = train(path, "--config two.toml --epochs 4 --out run");
    assert_eq!(printed.matches("of 70 test images right").count(), 2, "{printed}");
    let run = path.join("run");
    for line in lines(&run) {
        assert_eq!((&line["validation_total"], &line["test_total"]), (&json!(60), &json!(70)));
        assert_eq!(line.get("best_epoch"), None);
    }
    let member = lines(&run.join("member-2"));
    assert!(member[0].get("test_total").is_none() && member[3].get("best_epoch").is_some());
    let printed = succeeds(path, "verify run");
    assert!(printed.ends_with(" claims agree\n"), "{printed}");
    let shown = objects(&succeeds(path, "evaluate run --json"));
    let said = summary(path, "run");
    assert_eq!(shown[0]["test_correct"], said["test_correct"]);
    succeeds(path, "report run");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("Accuracy of each member on the validation images"));
    // Its target is that of the vote on them.
    let first = &lines(&run)[0];
    let target = correct(first, "validation") as f64 / 60.0;
    train(path, &format!("--config two.toml --epochs 4 --target-accuracy {target} --out one"));
    assert_eq!(lines(&path.join("one")).len(), 1);
    assert!(succeeds(path, "verify one").ends_with(" claims agree\n"));
    let printed = succeeds(path, "train --resume one");
    assert!(printed.contains("has ended; the vote of 1 members"), "{printed}");
}
