//! Archives, tables and IDX files of many types as data sets.

use std::fs;
use std::path::Path;

use mnist_app::dataset::{Classes, DataSource, Part, Samples, load};
use mnist_app::preprocessing::Form;

use crate::common::{idx, npy, npz, run_line, small_data, succeeds, text};

/// Two classes of pictures of 4×4 pixels.
const EXPERIMENT: &str = r#"
epochs = 1
batch_size = 2
shard_size = 2
shuffle = true
learning_rate = 0.1
loss = "softmax_cross_entropy"
optimizer = { type = "adam" }
init = "he"

[network]
input = [1, 4, 4]
layers = [{ type = "flatten" }, { type = "dense", outputs = 2 }]
"#;

/// Pixels of `count` pictures from a number on, all different.
fn pixels(from: usize, count: usize) -> Vec<u8> {
    (from * 16..(from + count) * 16).map(|at| (at * 37 % 251) as u8).collect()
}

/// A table of such pictures with labels in turn.
fn table(from: usize, count: usize, labels: &[&str]) -> String {
    let names: Vec<_> = (0..16).map(|at| format!("p{at}")).collect();
    let mut text = format!("label,{}\n", names.join(","));
    for (at, picture) in pixels(from, count).chunks(16).enumerate() {
        let row: Vec<_> = picture.iter().map(u8::to_string).collect();
        text += &format!("{},{}\n", labels[at % labels.len()], row.join(","));
    }
    text
}

fn keras() -> Vec<u8> {
    npz(&[
        ("x_train", npy("(8, 4, 4)", &pixels(0, 8))),
        ("y_train", npy("(8, 1)", &[0, 1, 0, 1, 0, 1, 0, 1])),
        ("x_test", npy("(4, 4, 4, 1)", &pixels(8, 4)).to_vec()),
        ("y_test", npy("(4,)", &[0, 1, 0, 1])),
    ])
}

fn write(path: &Path, files: &[(&str, &[u8])]) {
    for (name, bytes) in files {
        let file = path.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
}

fn summary_of(samples: &Samples) -> (Vec<u8>, Vec<u8>) {
    let pixels = (0..samples.len()).flat_map(|at| samples.image(at).to_vec()).collect();
    (pixels, samples.labels().to_vec())
}

#[test]
fn an_archive_and_tables_are_the_same_data_in_the_same_parts() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let (train, test) = (table(0, 8, &["0", "1"]), table(8, 4, &["0", "1"]));
    write(
        path,
        &[
            ("mine.npz", &keras()),
            ("with-npz/data.npz", &keras()),
            ("csv/train.csv", train.as_bytes()),
            ("csv/test.csv", test.as_bytes()),
            ("kaggle/digits_train.csv", train.as_bytes()),
            ("kaggle/digits_test.csv", test.as_bytes()),
            ("kaggle/sample_submission.csv", b"ImageId,Label\n1,0\n"),
        ],
    );
    let mut notes = Vec::new();
    for name in ["mine.npz", "with-npz", "csv", "kaggle"] {
        let (train, test) = load(&path.join(name)).unwrap();
        assert_eq!(summary_of(&train), (pixels(0, 8), [0, 1].repeat(4)), "{name}");
        assert_eq!(summary_of(&test), (pixels(8, 4), [0, 1].repeat(2)), "{name}");
        assert_eq!(train.classes(), &Classes::Numbered(2));
        notes.extend(train.notes().to_vec());
    }
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("sample_submission.csv"), "{notes:?}");
    // By the program, the same run.
    fs::write(path.join("a.toml"), EXPERIMENT).unwrap();
    let train = |name: &str| {
        let line =
            format!("train --config a.toml --data {name} --out run-{name} --no-report --json");
        let printed = succeeds(path, &line);
        let at = printed.find("weights_sha256").unwrap();
        printed[at..at + 80].to_owned()
    };
    assert_eq!(train("mine.npz"), train("csv"));
    let evaluated = succeeds(path, "evaluate run-mine.npz --quiet");
    assert!(evaluated.contains("of 4"), "{evaluated}");
    succeeds(path, "show mine.npz");
}

#[test]
fn a_file_without_parts_is_divided_by_shares_and_words_are_classes() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let names = table(0, 60, &["tulip", "daisy"]);
    let whole =
        npz(&[("x", npy("(60, 4, 4)", &pixels(0, 60))), ("y", npy("(60,)", &[0, 1].repeat(30)))]);
    write(path, &[("flowers.csv", names.as_bytes()), ("whole.npz", &whole)]);
    let form = Form { test: Some(0.3), ..Form::default() };
    for (name, classes) in [
        ("flowers.csv", Classes::Named(vec!["daisy".into(), "tulip".into()])),
        ("whole.npz", Classes::Numbered(2)),
    ] {
        let source = DataSource::of(Some(&path.join(name)), None).unwrap();
        let parts = source.load_parts(None, &form).unwrap();
        assert_eq!(parts.train.len() + parts.test.len(), 60, "{name}");
        assert!((5..40).contains(&parts.test.len()), "{name}");
        assert_eq!(parts.train.classes(), &classes);
        let all = source.load(Part::Test, &Form::default()).unwrap();
        assert_eq!(all.len(), 60);
        let words = all.labels().iter().take(2).map(|&label| all.classes().name(label.into()));
        let expected = if name == "whole.npz" { ["0", "1"] } else { ["tulip", "daisy"] };
        assert_eq!(words.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_table_to_be_answered_is_not_a_part() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let names: Vec<_> = (0..16).map(|at| format!("p{at}")).collect();
    let unlabelled = format!("{}\n{}\n", names.join(","), ["7"; 16].join(","));
    write(
        path,
        &[
            ("csv/train.csv", table(0, 60, &["0", "1"]).as_bytes()),
            ("csv/test.csv", unlabelled.as_bytes()),
            (
                "npz/a.npz",
                &npz(&[
                    ("x_train", npy("(60, 4, 4)", &pixels(0, 60))),
                    ("y_train", npy("(60,)", &[0, 1].repeat(30))),
                    ("x_test", npy("(1, 4, 4)", &pixels(0, 1))),
                ]),
            ),
        ],
    );
    let form = Form { test: Some(0.3), ..Form::default() };
    for (name, note) in [("csv", "mnist-app predict answers it"), ("npz", "x_test is not used")] {
        let source = DataSource::of(Some(&path.join(name)), None).unwrap();
        let parts = source.load_parts(None, &form).unwrap();
        assert_eq!(parts.train.len() + parts.test.len(), 60, "{name}");
        let notes = parts.train.notes();
        assert!(notes.iter().any(|line| line.contains(note)), "{notes:?}");
    }
}

#[test]
fn columns_of_two_tables_are_matched_by_their_numbers() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let (train, test) = (table(0, 8, &["0", "1"]), table(8, 4, &["0", "1"]));
    let turned = |text: &str| {
        let lines = text.lines().map(|line| {
            let (label, pixels) = line.split_once(',').unwrap();
            let pixels: Vec<_> = pixels.rsplit(',').collect();
            format!("{},{label}\n", pixels.join(","))
        });
        lines.collect::<String>()
    };
    let renamed = |text: &str, names: &str| {
        let names: Vec<_> = names.chars().map(String::from).collect();
        let (_, rows) = text.split_once('\n').unwrap();
        format!("label,{}\n{rows}", names.join(","))
    };
    let (ordered, swapped) = ("abcdefghijklmnop", "bacdefghijklmnop");
    let rows = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    // Its last column is the same in each row, so that the first is the label.
    let plain: String = rows(&test)
        .lines()
        .map(|line| format!("{},9\n", line.rsplit_once(',').unwrap().0))
        .collect();
    for (name, train, test, expected) in [
        ("turned", turned(&train), test.clone(), None),
        ("both", turned(&train), turned(&test), None),
        ("named", renamed(&train, ordered), renamed(&test, ordered), None),
        ("in-one", renamed(&train, ordered), test.clone(), None),
        (
            "nameless",
            train.clone(),
            rows(&test),
            Some("expected a first or a last column that is not like a pixel"),
        ),
        (
            "swapped",
            renamed(&train, ordered),
            renamed(&test, swapped),
            Some("column 2 is \"b\" in test.csv, \"a\" in train.csv"),
        ),
        ("unknown", turned(&train), plain, Some("the other has no such names")),
    ] {
        write(
            path,
            &[
                (&format!("{name}/train.csv"), train.as_bytes()),
                (&format!("{name}/test.csv"), test.as_bytes()),
            ],
        );
        match (load(&path.join(name)), expected) {
            (Ok((train, test)), None) => {
                assert_eq!(summary_of(&train).0, pixels(0, 8), "{name}");
                assert_eq!(summary_of(&test).0, pixels(8, 4), "{name}");
            }
            (Err(error), Some(expected)) => {
                let found = format!("{error:#}");
                assert!(found.contains(expected) && !found.contains('\n'), "{name}: {found}");
            }
            (found, _) => panic!("{name}: {:?}", found.err()),
        }
    }
}

#[test]
fn idx_files_of_the_test_part_have_either_prefix() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let images = |from, count| idx(&[count as u32, 4, 4], &pixels(from, count));
    let files = [
        ("train-images-idx3-ubyte", images(0, 4)),
        ("train-labels-idx1-ubyte", idx(&[4], &[0, 1, 0, 1])),
        ("test-images-idx3-ubyte", images(4, 2)),
        ("test-labels-idx1-ubyte", idx(&[2], &[0, 1])),
        ("val-images-idx3-ubyte", images(6, 2)),
    ];
    write(path, &files.each_ref().map(|(name, bytes)| (*name, &**bytes)));
    let form = Form { test: Some(0.3), ..Form::default() };
    let source = DataSource::of(Some(path), None).unwrap();
    let parts = source.load_parts(None, &form).unwrap();
    assert_eq!(summary_of(&parts.train).0, pixels(0, 4));
    assert_eq!(summary_of(&parts.test), (pixels(4, 2), vec![0, 1]));
    let notes = parts.train.notes();
    assert!(notes.len() == 1 && notes[0].contains("val-images-idx3-ubyte"), "{notes:?}");
    write(path, &[("t10k-images-idx3-ubyte", &images(8, 2))]);
    let error = format!("{:#}", source.load(Part::Test, &form).unwrap_err());
    assert!(error.contains("expected one file of this part, found "), "{error}");
    assert!(error.contains("test-images-idx3-ubyte beside it; remove one of them"), "{error}");
}

#[test]
fn equal_images_have_no_shares() {
    let here = tempfile::tempdir().unwrap();
    let row = ["7"; 16].join(",");
    let names: Vec<_> = (0..16).map(|at| format!("p{at}")).collect();
    let text = format!("label,{}\n{}", names.join(","), format!("0,{row}\n1,{row}\n").repeat(4));
    let file = here.path().join("equal.csv");
    fs::write(&file, text).unwrap();
    let form = Form { test: Some(0.3), ..Form::default() };
    let error = DataSource::of(Some(&file), None).unwrap().load_parts(None, &form).err().unwrap();
    let error = format!("{error:#}");
    assert!(error.contains("all 8 images are equal; add others"), "{error}");
    assert!(!error.contains("shares"), "{error}");
}

#[test]
fn idx_files_of_other_types_and_labels_in_columns_are_read() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let small = |name: &str| fs::read(small_data().join(name)).unwrap();
    let images = small("t10k-images.idx3-ubyte");
    // As QMNIST has them: eight columns of 32 bits.
    let labels: Vec<u8> = small("t10k-labels-idx1-ubyte")[8..].to_vec();
    let mut columns = vec![0, 0, 0xc, 2, 0, 0, 0, 100, 0, 0, 0, 8];
    let shorts: Vec<u8> = images[16..].iter().flat_map(|&byte| [0, byte]).collect();
    for &label in &labels {
        columns.extend([0, 0, 0, label].iter().chain(&[0xff; 28]));
    }
    write(
        path,
        &[
            ("t10k-images-idx3-short", &[&[0, 0, 0xb, 3], &images[4..16], &shorts].concat()),
            ("t10k-labels-idx2-int", &columns),
        ],
    );
    let read = Samples::load(path, Part::Test, &Form::default()).unwrap();
    let expected = Samples::load(small_data(), Part::Test, &Form::default()).unwrap();
    assert_eq!(read.digest(), expected.digest());
    assert_eq!(read.notes().len(), 1);
    assert!(read.notes()[0].ends_with("the labels have 8 columns, of which the first is taken"));
}

#[test]
fn what_is_wrong_with_a_file_of_images_is_told_in_one_line() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("a.toml"), EXPERIMENT).unwrap();
    let good = table(0, 8, &["0", "1"]);
    let (bad, ant) = (good.replace("\n1,", "\n1,x"), table(8, 4, &["0", "ant"]));
    let x = |labels: &str, data: &[u8]| {
        npz(&[("x_train", npy("(2, 4, 4)", &pixels(0, 2))), ("y_train", npy(labels, data))])
    };
    let unlabelled = npz(&[
        ("x_train", npy("(2, 4, 4)", &pixels(0, 2))),
        ("x_test", npy("(1, 4, 4)", &pixels(2, 1))),
        ("y_test", npy("(1,)", &[0])),
    ]);
    let miscounted = npz(&[
        ("x_train", npy("(2, 4, 4)", &pixels(0, 2))),
        ("y_train", npy("(3,)", &[0, 1, 0])),
        ("x_test", npy("(1, 4, 4)", &pixels(2, 1))),
        ("y_test", npy("(1,)", &[0])),
    ]);
    let large = npz(&[
        ("x_train", npy("(2, 4, 4)", &pixels(0, 2))),
        ("y_train", npy("(2,)", &[0, 1])),
        ("x_test", npy("(1, 5, 5)", &[7; 25])),
        ("y_test", npy("(1,)", &[0])),
    ]);
    let classes: String =
        (0..257).map(|class| format!("c{class},{}\n", ["1"; 16].join(","))).collect();
    type Case<'a> = (&'a str, &'a [(&'a str, &'a [u8])], &'a str);
    let cases: &[Case<'_>] = &[
        ("text.txt", &[("text.txt", b"no data")], "found a file of another kind"),
        (
            "train-images",
            &[("train-images", &idx(&[1, 2, 2], &[0; 4]))],
            "a single IDX file; name the folder",
        ),
        (
            "one.npy",
            &[("one.npy", &npy("(1, 4, 4)", &[0; 16]))],
            "save it by numpy.savez_compressed",
        ),
        ("u.npz", &[("u.npz", &unlabelled)], "expected a label of each picture"),
        ("c.npz", &[("c.npz", &miscounted)], "y_train: expected 2 labels"),
        ("t.npz", &[("t.npz", &x("(2,)", &[0, 1]))], "expected images to test on, "),
        ("l.npz", &[("l.npz", &large)], "expected images of 4×4 grey pixels"),
        ("half.npz", &[("half.npz", &keras()[..300])], "found a damaged one"),
        ("two", &[("two/a.npz", &keras()), ("two/b.npz", &keras())], "expected one archive"),
        (
            "mix",
            &[("mix/a.npz", &keras()), ("mix/train.csv", good.as_bytes())],
            "found both; name one file",
        ),
        (
            "twice",
            &[("twice/train.csv", good.as_bytes()), ("twice/train.csv.gz", b"")],
            "expected one table of this part",
        ),
        ("e.csv", &[("e.csv", b"")], "e.csv: expected images to test on, "),
        ("g.csv", &[("g.csv", good.as_bytes())], "expected images to test on, "),
        ("test-only", &[("test-only/test.csv", good.as_bytes())], "expected the file train-images"),
        (
            "no",
            &[("no/train.csv", b"p0,p1,p2,p3\n1,2,3,4\n"), ("no/test.csv", good.as_bytes())],
            "expected a label of each picture",
        ),
        (
            "bad",
            &[("bad/train.csv", bad.as_bytes()), ("bad/test.csv", good.as_bytes())],
            "train.csv: line 3: column 2 (\"p0\"): expected a pixel",
        ),
        (
            "many",
            &[("many/train.csv", classes.as_bytes()), ("many/test.csv", good.as_bytes())],
            "line 257: column 1: expected at most 256 classes",
        ),
        (
            "other",
            &[("other/train.csv", good.as_bytes()), ("other/test.csv", ant.as_bytes())],
            "\"ant\"",
        ),
    ];
    for (data, files, expected) in cases {
        write(path, files);
        let output = run_line(path, &format!("train --config a.toml --no-report --data {data}"));
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{data}: {complaint}");
        assert!(complaint.contains(expected), "{expected:?} in {complaint}");
        assert!(complaint.starts_with("error: "), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
}
