//! Names decide what a class is.

use std::fs;

use mnist_app::dataset::{Classes, Part, Samples};
use mnist_app::preprocessing::Form;

use crate::bad_input::refused;
use crate::common::{objects, run_line, succeeds, text};
use crate::own_images::{Images, config};

const SHAPE: [usize; 3] = [1, 3, 12];

#[test]
fn the_same_classes_as_folders_and_as_labels_agree() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let names: Vec<_> = (0..12).map(|label| label.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (train, test) = (Images::new(SHAPE, 12, 72), Images::new(SHAPE, 12, 48));
    train.write_idx(&path.join("idx"), "train");
    test.write_idx(&path.join("idx"), "t10k");
    train.write_png(&path.join("png/train"), &names);
    test.write_png(&path.join("png/test"), &names);
    let of_folders = Samples::load(&path.join("png"), Part::Train, &Form::default()).unwrap();
    assert!(of_folders.classes().are_numbers(), "{}", of_folders.classes());

    fs::write(path.join("mine.toml"), config(SHAPE, 12)).unwrap();
    // Labels in the order of bytes, as folders once gave them: names decide.
    let mut sorted = names.clone();
    sorted.sort_unstable();
    let text = format!("classes = {sorted:?}\n{}", config(SHAPE, 12));
    fs::write(path.join("bytes.toml"), text).unwrap();
    for (run, of) in [
        ("idx", "mine.toml --data idx"),
        ("png", "mine.toml --data png"),
        ("bytes", "bytes.toml --data png"),
    ] {
        succeeds(path, &format!("train --config {of} --out run-{run} --epochs 20"));
        for data in ["idx", "png"] {
            let line = format!("evaluate run-{run}/model.safetensors --data {data} --json");
            let found = &objects(&succeeds(path, &line))[0];
            assert_eq!(found["test_correct"], 48, "{run} on {data}: {found}");
        }
    }
}

#[test]
fn names_that_cannot_be_matched_are_both_shown() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let shape = [1, 3, 4];
    let (train, test) = (Images::new(shape, 3, 9), Images::new(shape, 3, 6));
    for (name, names) in [("animals", ["ant", "bee", "cow"]), ("plants", ["ash", "bay", "fir"])] {
        train.write_png(&path.join(name).join("train"), &names);
        test.write_png(&path.join(name).join("test"), &names);
    }
    train.write_idx(&path.join("idx"), "train");
    test.write_idx(&path.join("idx"), "t10k");
    fs::write(path.join("mine.toml"), config(shape, 3)).unwrap();
    succeeds(path, "train --config mine.toml --data animals --out run --epochs 1");
    for line in ["evaluate run", "inspect run", "compare run run"] {
        let parts = &["ant, bee, cow", "found \"0\"", "0, 1, 2", "classes = "];
        refused(path, &format!("{line} --data idx"), 1, parts);
        let parts = &["ant, bee, cow", "found \"ash\"", "ash, bay, fir"];
        refused(path, &format!("{line} --data plants"), 1, parts);
    }
    // Models of different classes are not asked the same.
    succeeds(path, "train --config mine.toml --data plants --out other --epochs 1");
    let parts = &["model other/model.safetensors: ", "ant, bee, cow", "ash, bay, fir"];
    refused(path, "evaluate run other --data animals", 1, parts);
}

#[test]
fn labels_that_are_numbers_get_names_from_the_experiment() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let shape = [1, 3, 4];
    Images::new(shape, 3, 30).write_idx(&path.join("data"), "train");
    Images::new(shape, 3, 12).write_idx(&path.join("data"), "t10k");
    // The same labels on other images.
    Images::new(shape, 3, 15).write_idx(&path.join("more"), "t10k");
    let named = |names: &str| format!("classes = {names}\n{}", config(shape, 3));
    fs::write(path.join("mine.toml"), named("['cow', 'ant', 'bee']")).unwrap();
    let printed = succeeds(path, "train --config mine.toml --data data --out run");
    assert!(printed.contains("right by class: cow: 4 of 4, ant: 4 of 4, bee: 4 of 4"), "{printed}");
    // The model knows them, of the run's folder and of its own data.
    for line in
        ["evaluate run", "evaluate run/model.safetensors --data data", "evaluate run --data more"]
    {
        let printed = succeeds(path, line);
        assert!(printed.contains(" 5 of 5") || printed.contains("100.00 %"), "{line}: {printed}");
        assert!(printed.contains("taken for   cow   ant   bee"), "{line}: {printed}");
    }
    // A file alone does not say what the numbers of other data stand for.
    let parts = &["cow, ant, bee", "found \"0\"", "test the folder of its run"];
    refused(path, "evaluate run/model.safetensors --data more", 1, parts);
    // Folders are matched by their names, in whatever order the experiment has them.
    let images = Images::new(shape, 3, 30);
    images.write_png(&path.join("png/train"), &["cow", "ant", "bee"]);
    images.write_png(&path.join("png/test"), &["cow", "ant", "bee"]);
    let found = &objects(&succeeds(path, "evaluate run/model.safetensors --data png --json"))[0];
    assert_eq!(found["test_correct"], 30, "{found}");

    fs::write(path.join("few.toml"), named("['cow', 'ant']")).unwrap();
    let parts = &["labels from 0 to 1", "cow, ant", "found labels up to 2"];
    refused(path, "train --config few.toml --data data", 1, parts);
    fs::write(path.join("other.toml"), named("['cow', 'ant', 'bat']")).unwrap();
    refused(path, "train --config other.toml --data png", 1, &["cow, ant, bat", "found \"bee\""]);
    fs::write(path.join("moved.toml"), named("['1', '2', '0']")).unwrap();
    let parts = &["no numbers of other labels", "1, 2, 0"];
    refused(path, "train --config moved.toml --data data", 1, parts);
    let output = run_line(path, "train --config other.toml --data data --out other --epochs 1");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let classes = Samples::load(&path.join("data"), Part::Test, &Form::default()).unwrap();
    assert_eq!(classes.classes(), &Classes::Numbered(3));
}
