//! Names decide in whatever order they stand: of models together, of initial weights, and where
//! they are numbers.

use std::fs;
use std::path::Path;

use crate::bad_input::refused;
use crate::common::{objects, succeeds};
use crate::own_images::{Images, config};

const SHAPE: [usize; 3] = [1, 3, 8];

/// The same images as folders of ant, bee and cat and as labels of cat, bee, ant; and a run of
/// each.
fn animals(path: &Path) {
    let mut images = Images::new(SHAPE, 3, 30);
    for part in ["train", "test"] {
        images.write_png(&path.join("png").join(part), &["ant", "bee", "cat"]);
    }
    images.samples.iter_mut().for_each(|(_, label)| *label = 2 - *label);
    for prefix in ["train", "t10k"] {
        images.write_idx(&path.join("idx"), prefix);
    }
    let text = format!("classes = ['cat', 'bee', 'ant']\n{}", config(SHAPE, 3));
    fs::write(path.join("idx.toml"), text).unwrap();
    fs::write(path.join("png.toml"), config(SHAPE, 3)).unwrap();
    for kind in ["idx", "png"] {
        let line = format!("train --config {kind}.toml --data {kind} --out run-{kind} --epochs 20");
        succeeds(path, &line);
    }
}

#[test]
fn models_that_know_the_same_classes_in_another_order_are_compared_and_vote() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    animals(path);
    for models in ["run-idx run-png", "run-png run-idx"] {
        for data in ["idx", "png"] {
            let line = format!("compare {models} --data {data} --json");
            let found = &objects(&succeeds(path, &line))[0];
            assert_eq!(found["both_right"], 30, "{line}: {found}");
            let line = format!("evaluate {models} --data {data} --json");
            for found in objects(&succeeds(path, &line)) {
                assert_eq!(found["test_correct"], 30, "{line}: {found}");
                assert!(found["test_error"].as_f64().unwrap() < 0.5, "{line}: {found}");
            }
        }
    }
    // The table of the vote has the classes in the order of the first.
    let printed = succeeds(path, "evaluate run-idx run-png --data png");
    assert!(printed.contains("taken for   cat   bee   ant"), "{printed}");

    // Two runs that give the labels of the same data different names.
    let text = format!("classes = ['ant', 'bee', 'cat']\n{}", config(SHAPE, 3));
    fs::write(path.join("other.toml"), text).unwrap();
    succeeds(path, "train --config other.toml --data idx --out other --epochs 1");
    let parts = &["model other/model", "stand for cat, bee, ant", "found that they stand for ant"];
    refused(path, "compare run-idx other", 1, parts);
}

#[test]
fn a_comparison_asks_for_right_and_wrong_alone_and_a_vote_for_the_same_classes() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let mut images = Images::new(SHAPE, 8, 64);
    for prefix in ["train", "t10k"] {
        images.write_idx(&path.join("all"), prefix);
    }
    images.samples.retain(|&(_, label)| label >= 5);
    images.samples.iter_mut().for_each(|(_, label)| *label -= 5);
    for part in ["train", "test"] {
        images.write_png(&path.join("some").join(part), &["5", "6", "7"]);
    }
    for (data, classes) in [("all", 8), ("some", 3)] {
        fs::write(path.join("c.toml"), config(SHAPE, classes)).unwrap();
        succeeds(
            path,
            &format!("train --config c.toml --data {data} --out run-{data} --epochs 30"),
        );
    }
    let found = &objects(&succeeds(path, "compare run-all run-some --data some --json"))[0];
    assert_eq!((&found["both_right"], &found["both_wrong"]), (&24.into(), &0.into()), "{found}");
    let parts = &["run-some/model", "0, 1, 2, 3, 4, 5, 6, 7", "found 5, 6, 7", "each alone"];
    refused(path, "evaluate run-all run-some --data some", 1, parts);
    // Images of a class that one of them does not know.
    refused(path, "compare run-all run-some --data all", 1, &["run-some/model", "5, 6, 7"]);
}

#[test]
fn names_that_are_numbers_of_other_labels_are_refused() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    for prefix in ["train", "t10k"] {
        Images::new(SHAPE, 3, 9).write_idx(&path.join("data"), prefix);
    }
    for names in ["['1', '0', 'cat']", "['x', 'y', '0']", "['2', '1', '0']", "['0', '2', 'z']"] {
        let text = format!("classes = {names}\n{}", config(SHAPE, 3));
        fs::write(path.join("c.toml"), text).unwrap();
        let parts = &["data/train-labels", "no numbers of other labels", "found \""];
        refused(path, "train --config c.toml --data data", 1, parts);
    }
    // A label's own number, and a number that is no label, are names as any.
    for (run, names) in [("own", "['0', 'bee', '2']"), ("far", "['5', '6', '7']")] {
        let text = format!("classes = {names}\n{}", config(SHAPE, 3));
        fs::write(path.join("c.toml"), text).unwrap();
        succeeds(path, &format!("train --config c.toml --data data --out {run} --epochs 1"));
    }
}

#[test]
fn initial_weights_of_other_classes_are_refused() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    animals(path);
    let init = "--init run-idx/model.safetensors --epochs 1";
    let both = ["run-idx/model.safetensors: ", "cat, bee, ant", "found the classes ant, bee, cat"];
    let order = [&both[..], &["classes = [\"…\", …]"]].concat();
    refused(path, &format!("train --config png.toml --data png {init} --out x"), 1, &order);
    let text = format!("initial_weights = 'run-idx/model.safetensors'\n{}", config(SHAPE, 3));
    fs::write(path.join("inspect.toml"), text).unwrap();
    refused(path, "inspect --config inspect.toml --data png", 1, &order);
    // As the message says, and on the data that they are of.
    for (config, data) in [("idx", "png"), ("idx", "idx")] {
        let line = format!("train --config {config}.toml --data {data} {init} --out on-{data}");
        assert!(succeeds(path, &line).contains("right by class: cat: 10 of 10"));
    }
    let text = format!("classes = ['ash', 'bay', 'fir']\n{}", config(SHAPE, 3));
    fs::write(path.join("plants.toml"), text).unwrap();
    let parts = ["cat, bee, ant", "found the classes ash, bay, fir", "of the same classes"];
    refused(path, &format!("train --config plants.toml --data idx {init} --out x"), 1, &parts);
}
