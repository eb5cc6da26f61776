//! The parts of a data set: given, or shares by a hash of each picture.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use mnist_app::dataset::{DataSource, Part, Parts, Samples};
use mnist_app::preprocessing::Form;

use crate::common::{run_line, text, write_png};

const SHARES: Form = Form { test: Some(0.2), validation: Some(0.1), ..OPEN };

const OPEN: Form = Form {
    size: None,
    fit: None,
    colour: None,
    background: None,
    invert: None,
    transpose: None,
    style: None,
    normalize: None,
    broken: None,
    test: None,
    validation: None,
};

/// The pixels of a picture with this number.
fn pixels(number: usize) -> [u8; 4] {
    [(number % 251) as u8, (number / 251) as u8, 7, (number % 13) as u8]
}

/// Writes the pictures of these numbers to a class's folder.
fn write(folder: &Path, numbers: impl IntoIterator<Item = usize>) {
    fs::create_dir_all(folder).unwrap();
    for number in numbers {
        write_png(&folder.join(format!("{number:04}.png")), [1, 2, 2], &pixels(number));
    }
}

fn parts(folder: &Path, form: &Form) -> Parts {
    DataSource::At(folder.to_owned()).load_parts(None, form).unwrap()
}

/// The part and label of each picture, by its pixels.
fn places(parts: &Parts) -> HashMap<Vec<u8>, (Part, u8)> {
    let mut places = HashMap::new();
    let all = [
        (Part::Train, Some(&parts.train)),
        (Part::Validation, parts.validation.as_ref()),
        (Part::Test, Some(&parts.test)),
    ];
    for (part, samples) in all {
        let Some(samples) = samples else { continue };
        for index in 0..samples.len() {
            let place = (part, samples.labels()[index]);
            let before = places.insert(samples.image(index).to_vec(), place);
            assert!(before.is_none_or(|before| before == place), "{before:?} and {place:?}");
        }
    }
    places
}

#[track_caller]
fn complaint(folder: &Path, form: &Form) -> String {
    let loaded = DataSource::At(folder.to_owned()).load_parts(None, form);
    format!("{:#}", loaded.err().expect("an error"))
}

#[test]
fn shares_are_about_as_large_as_said_and_pictures_that_are_added_move_no_other() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    write(&root.join("ant"), 0..200);
    write(&root.join("bee"), 200..400);
    let before = places(&parts(root, &SHARES));
    let counts = Part::ALL.map(|part| before.values().filter(|place| place.0 == part).count());
    assert_eq!(counts.iter().sum::<usize>(), 400);
    assert!(counts[1].abs_diff(40) < 15 && counts[2].abs_diff(80) < 20, "{counts:?}");
    assert!((0..400).all(|n| before[&pixels(n)[..]].1 == u8::from(n >= 200)));
    // More pictures, another class before the others, the same ones a second time.
    write(&root.join("aaa"), 400..500);
    write(&root.join("bee"), 500..600);
    fs::copy(root.join("ant/0000.png"), root.join("ant/again.png")).unwrap();
    let after = places(&parts(root, &SHARES));
    for (picture, (part, label)) in before {
        assert_eq!(after[&picture], (part, label + 1));
    }
    // One part alone is the same as among all.
    for part in Part::ALL {
        let alone = Samples::load(root, part, &SHARES).unwrap();
        assert_eq!(
            alone.len(),
            (after.values().filter(|place| place.0 == part).count())
                + usize::from(part == after[&pixels(0)[..]].0),
            "{part:?}"
        );
        let all = parts(root, &SHARES);
        let of_all = match part {
            Part::Train => &all.train,
            Part::Validation => all.validation.as_ref().unwrap(),
            Part::Test => &all.test,
        };
        assert_eq!(alone.digest(), of_all.digest());
    }
}

#[test]
fn what_is_given_is_taken_and_only_the_rest_is_divided() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    write(&root.join("train/ant"), 0..100);
    write(&root.join("train/bee"), 100..200);
    let shares = places(&parts(root, &SHARES));
    write(&root.join("test/ant"), 200..205);
    write(&root.join("test/bee"), 205..210);
    let with_test = parts(root, &SHARES);
    assert_eq!(with_test.test.len(), 10);
    for (picture, (part, _)) in places(&with_test) {
        match shares.get(&picture) {
            // What was for testing is learned from; between the others nothing moves.
            Some((Part::Test, _)) => assert_eq!(part, Part::Train),
            Some((before, _)) => assert_eq!(part, *before),
            None => assert_eq!(part, Part::Test),
        }
    }
    write(&root.join("validation/ant"), 300..303);
    write(&root.join("validation/bee"), 303..306);
    let all_given = parts(root, &SHARES);
    assert_eq!(all_given.train.len(), 200);
    assert_eq!(all_given.validation.unwrap().len(), 6);
    assert_eq!(parts(root, &OPEN).validation.unwrap().len(), 6);
    // What two parts have in common is told by name.
    write(&root.join("test/bee"), [150]);
    write(&root.join("validation/ant"), [7, 200]);
    let parts = parts(root, &OPEN);
    let told = parts.test.notes().join("\n");
    for [count, first, second] in [
        [
            "1 of 11 test images are training images too",
            "test/bee/0150.png = ",
            "train/bee/0150.png",
        ],
        [
            "1 of 8 validation images are training images too",
            "validation/ant/0007.png = ",
            "train/ant",
        ],
        [
            "1 of 11 test images are validation images too",
            "test/ant/0200.png = ",
            "validation/ant/0200.png",
        ],
    ] {
        let line =
            told.lines().find(|line| line.contains(count)).unwrap_or_else(|| panic!("{told}"));
        assert!(line.contains(first) && line.contains(second), "{line}");
    }
}

#[test]
fn a_class_left_without_is_told_and_a_part_without_images_refused() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    write(&root.join("ant"), 0..60);
    let all = places(&parts(root, &SHARES));
    let of = |part| (0..60).find(|&number| all[&pixels(number)[..]].0 == part).unwrap();
    // A class of one picture, which is for training, and one whose picture is for testing.
    let [for_training, for_testing] = [of(Part::Train), of(Part::Test)];
    for (class, number) in [("bee", for_training), ("cow", for_testing)] {
        fs::create_dir(root.join(class)).unwrap();
        let file = format!("{number:04}.png");
        fs::rename(root.join("ant").join(&file), root.join(class).join(&file)).unwrap();
    }
    let parts = parts(root, &SHARES);
    let test = parts.test.notes().join("\n");
    assert!(test.contains("class \"bee\" has no test images: none of its images fell"), "{test}");
    let train = parts.train.notes().join("\n");
    assert!(train.contains("class \"cow\" has no training images: none of its"), "{train}");
    assert!(train.contains("60 images divided by a hash of each: "), "{train}");
    let few = root.join("few");
    write(&few.join("ant"), [for_training]);
    let found = complaint(&few, &SHARES);
    assert!(found.contains("expected at least one validation image by test = 0.2 and"), "{found}");
    let lost = root.join("lost");
    write(&lost.join("ant"), [for_testing]);
    let form = Form { test: Some(0.99), ..OPEN };
    let found = complaint(&lost, &form);
    assert!(found.contains("expected at least one training image"), "{found}");
}

#[test]
fn a_class_may_be_called_as_a_part_is() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    for (class, numbers) in [("train", 0..50), ("bus", 50..100), ("test", 100..150)] {
        write(&root.join(class), numbers);
    }
    let parts = parts(root, &SHARES);
    assert_eq!(parts.train.classes().to_string(), "bus, test, train");
    assert!(complaint(root, &OPEN).contains("say test = 0.2 in [data]"));
}

#[test]
fn names_links_and_clutter_are_as_a_person_expects() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    for (class, numbers) in [("猫", 0..60), ("chien à poil", 60..120)] {
        write(&root.join("data").join(class), numbers);
    }
    let data = root.join("data");
    for clutter in [
        ".DS_Store",
        "Thumbs.db",
        "__MACOSX/猫/._0001.png",
        "猫/.DS_Store",
        "猫/._0001.png",
        ".ipynb_checkpoints/x.png",
        "猫/desktop.ini",
    ] {
        let file = data.join(clutter);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "clutter").unwrap();
    }
    #[cfg(unix)]
    {
        write(&root.join("elsewhere"), 200..260);
        std::os::unix::fs::symlink(root.join("elsewhere"), data.join("link")).unwrap();
    }
    let parts = parts(&data, &SHARES);
    let classes = parts.train.classes().to_string();
    assert_eq!(classes, if cfg!(unix) { "chien à poil, link, 猫" } else { "chien à poil, 猫" });
    let told = parts.train.notes().join("\n");
    assert!(told.contains("7 files that other programs keep: the first "), "{told}");
}

#[test]
fn broken_files_are_refused_or_left_out_and_told() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let root = path.join("data");
    write(&root.join("ant"), 0..60);
    write(&root.join("bee"), 60..120);
    let whole = parts(&root, &SHARES);
    let good = fs::read(root.join("ant/0000.png")).unwrap();
    fs::write(root.join("ant/zzz.png"), &good[..good.len() / 2]).unwrap();
    fs::write(root.join("bee/zzz.jpg"), "").unwrap();
    let found = complaint(&root, &SHARES);
    assert!(found.contains("ant/zzz.png: "), "{found}");
    assert!(found.contains("broken = \"skip\" in [data], or --skip-broken"), "{found}");
    let form = Form { broken: serde_json::from_str("\"skip\"").unwrap(), ..SHARES };
    let found = parts(&root, &form);
    assert_eq!(found.train.digest(), whole.train.digest());
    assert_eq!(found.test.digest(), whole.test.digest());
    let told = found.train.notes().join("\n");
    for part in ["left out 2 files that cannot be read", "ant/zzz.png: ", "bee/zzz.jpg: "] {
        assert!(told.contains(part), "expected {part:?} in {told}");
    }
    // A picture of another size is not broken.
    write_png(&root.join("ant/large.png"), [1, 3, 2], &[0; 6]);
    let found = complaint(&root, &form);
    assert!(found.contains("ant/large.png: expected an image of 2×2 grey pixels"), "{found}");
    fs::remove_file(root.join("ant/large.png")).unwrap();
    let config = r#"epochs = 1
batch_size = 8
shard_size = 4
shuffle = true
learning_rate = 0.1
loss = "softmax_cross_entropy"
init = "he"

[data]
path = "data"
test = 0.2

[network]
input = [1, 2, 2]
layers = [{ type = "flatten" }, { type = "dense", outputs = 2 }]
"#;
    fs::write(path.join("mine.toml"), config).unwrap();
    let output = run_line(path, "train --config mine.toml --quiet --no-report --out run");
    assert_eq!(output.status.code(), Some(1));
    let line = "train --config mine.toml --quiet --no-report --skip-broken --out run";
    let output = run_line(path, line);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stderr);
    assert!(told.contains("left out 2 files that cannot be read"), "{told}");
    // What was tested is tested again: the model keeps its shares.
    let output = run_line(path, "evaluate run --json");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let total = format!("\"test_total\":{}", whole.test.len());
    assert!(text(&output.stdout).contains(&total), "{}", text(&output.stdout));
    assert!(!text(&output.stdout).contains("other data"), "{}", text(&output.stdout));
}

#[test]
fn keys_of_parts_and_files_are_checked() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let preset = text(&run_line(path, "presets lenet").stdout).to_owned();
    for (keys, expected) in [
        ("test = 0", "test: expected a fraction above 0 and below 1, such as 0.2"),
        ("test = 1", "test: expected a fraction above 0 and below 1"),
        ("test = -0.5", "test: expected a fraction above 0 and below 1"),
        ("test = nan", "test: expected a fraction above 0 and below 1"),
        ("test = \"some\"", "test: expected "),
        ("validation = 20", "validation: expected a fraction above 0 and below 1"),
        ("test = 0.6\nvalidation = 0.4", "expected a share that leaves some to learn from"),
        ("broken = \"ignore\"", "broken: expected one of error, skip, found \"ignore\""),
        ("broken = true", "broken: expected one of error, skip, found true"),
        ("style = \"letter\"", "style: expected one of picture, digit, found \"letter\""),
        ("normalize = \"x\"", "normalize: expected one of unit, standard, found \"x\""),
        ("size = [0, 4]", "size: expected [height, width], each from 1 to 4096 pixels"),
        ("size = 28", "size: expected"),
        ("colour = \"gray\"", "colour: expected one of grey, rgb, found \"gray\""),
        ("fit = \"crop\"", "fit: expected size = [height, width] beside it"),
        ("invert = 1", "invert: expected true, false or \"auto\""),
        ("background = \"#12345\"", "background: expected"),
        ("tets = 0.2", "tets: no such key"),
    ] {
        fs::write(path.join("mine.toml"), format!("{preset}\n[data]\n{keys}\n")).unwrap();
        let output = run_line(path, "train --config mine.toml");
        let found = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{keys}: {found}");
        assert!(found.contains(expected), "{keys}: expected {expected:?} in {found}");
        assert_eq!(found.lines().count(), 1, "{keys}: {found}");
    }
}

#[test]
fn folders_of_parts_have_their_usual_names_too() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    for (part, numbers) in [("Training", 0..20), ("val", 20..30), ("TEST", 30..40)] {
        for (class, half) in [("ant", 0), ("bee", 1)] {
            let own = numbers.clone().filter(|number| number % 2 == half);
            write(&root.join(part).join(class), own);
        }
    }
    let found = parts(root, &SHARES);
    let validation = found.validation.as_ref().unwrap();
    assert_eq!([found.train.len(), validation.len(), found.test.len()], [20, 10, 10]);
    assert!(found.train.notes().is_empty(), "{:?}", found.train.notes());
    write(&root.join("validation/ant"), 50..52);
    let told = complaint(root, &SHARES);
    assert!(told.contains("expected one folder of validation images, found "), "{told}");
}

#[test]
fn an_image_of_two_classes_is_told() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    write(&root.join("ant"), 0..60);
    write(&root.join("bee"), 60..120);
    assert!(!parts(root, &SHARES).test.notes().join("").contains("of another class"));
    write(&root.join("bee"), 0..30);
    let told = parts(root, &SHARES).test.notes().join("\n");
    assert!(told.contains("training images are, pixel by pixel, images of another class too: "));
    assert!(told.contains("(ant) = ") && told.contains("(bee)"), "{told}");
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_lead_nowhere() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    write(&root.join("ant"), 0..60);
    write(&root.join("bee"), 60..120);
    std::os::unix::fs::symlink("loop.png", root.join("ant/loop.png")).unwrap();
    let told = parts(root, &SHARES).train.notes().join("\n");
    assert!(told.contains("left out 1 dangling link: "), "{told}");
}
