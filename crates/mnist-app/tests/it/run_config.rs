//! What a run leaves behind says all that it was: its data, when it stopped, and every number.

use std::fs;

use layers::{Dropout, LayerSpec};
use mnist_app::experiment::Experiment;

use crate::common::{objects, small_data, succeeds, summary, train_small};
use crate::own_images::{Images, config};

#[test]
fn a_folder_of_images_is_written_down_and_mnist_needs_none() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let images = Images::new([1, 3, 4], 3, 12);
    for prefix in ["train", "t10k"] {
        images.write_idx(&path.join("home/data"), prefix);
    }
    fs::write(path.join("home/mine.toml"), config([1, 3, 4], 3)).unwrap();
    fs::write(path.join("home/two.toml"), format!("committee = 2\n{}", config([1, 3, 4], 3)))
        .unwrap();
    let written = |run: &str| {
        Experiment::read(&path.join(run).join("config.toml"))
            .unwrap()
            .data
            .and_then(|data| data.path)
    };
    for (config, run) in [("mine.toml", "one"), ("two.toml", "two")] {
        let line = format!("train --config {config} --data data --out ../{run} --epochs 1");
        succeeds(&path.join("home"), &line);
        let home = fs::canonicalize(path.join("home/data")).unwrap();
        assert_eq!(written(run).map(|data| fs::canonicalize(data).unwrap()), Some(home));
        // From elsewhere.
        let printed = succeeds(path, &format!("evaluate {run} --json"));
        assert_eq!(objects(&printed)[0]["test_total"], 12, "{printed}");
    }
    succeeds(path, "train --epochs 1 --train-limit 5 --test-limit 5 --out mnist");
    assert_eq!(written("mnist"), None);
}

#[test]
fn a_target_is_written_down() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let epochs = |run: &str| {
        fs::read_to_string(path.join(run).join("metrics.jsonl")).unwrap().lines().count()
    };
    let line = "--preset lenet --epochs 3 --train-limit 20 --test-limit 5";
    train_small(path, &format!("{line} --target-accuracy 0 --out first"));
    train_small(path, "--config first/config.toml --out again");
    assert_eq!((epochs("first"), epochs("again")), (1, 1));
    assert_eq!(summary(path, "first")["weights_sha256"], summary(path, "again")["weights_sha256"]);
    // A flag is stronger than the file.
    train_small(path, "--config first/config.toml --target-accuracy 1 --out longer");
    assert_eq!(epochs("longer"), 3);
    // Of a committee the target is that of the vote, not of its members.
    let text = fs::read_to_string(path.join("first/config.toml")).unwrap();
    fs::write(path.join("three.toml"), format!("committee = 3\n{text}")).unwrap();
    train_small(path, "--config three.toml --out three");
    assert_eq!((epochs("three"), epochs("three/member-1")), (1, 3));
    succeeds(path, &format!("evaluate three --data {}", small_data().display()));
}

#[test]
fn every_number_of_a_network_is_read_as_it_was_written() {
    for p in [1.0_f64.next_down(), 0.1, 1e-300_f64.next_up(), f64::MIN_POSITIVE.next_down()] {
        let layer = LayerSpec::from(Dropout::new(p));
        let text = serde_json::to_string(&layer).unwrap();
        assert_eq!(serde_json::from_str::<LayerSpec>(&text).unwrap(), layer, "{text}");
    }
}
