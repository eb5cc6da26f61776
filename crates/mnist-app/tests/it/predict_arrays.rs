//! `predict` with files of many pictures.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::{
    gzip, idx, mnist, npy, npz, objects, run_line, succeeds, text, train_small, write_png,
};

const COUNT: usize = 5;

/// A table of the first test images, with labels or without.
fn table(has_labels: bool) -> String {
    let mut text: String = if has_labels { "label".into() } else { String::new() };
    let names: Vec<_> = (0..784).map(|at| format!("pixel{at}")).collect();
    text += if has_labels { "," } else { "" };
    text += &names.join(",");
    for index in 0..COUNT {
        let row: Vec<_> = mnist().1.image(index).iter().map(u8::to_string).collect();
        text += "\n";
        if has_labels {
            text += &format!("{},", mnist().1.labels()[index]);
        }
        text += &row.join(",");
    }
    text + "\n"
}

/// A model in `run`, and the first test images in `files`.
fn model_and_files(path: &Path) -> Vec<Value> {
    train_small(path, "--preset fast --epochs 1 --out run");
    let all: Vec<u8> = (0..COUNT).flat_map(|index| mnist().1.image(index).to_vec()).collect();
    let images = idx(&[COUNT as u32, 28, 28], &all);
    let shape = format!("({COUNT}, 28, 28)");
    let labels = npy(&format!("({COUNT},)"), &mnist().1.labels()[..COUNT]);
    let pictures = npy(&shape, &all);
    let other = npy("(1, 28, 28)", &[0; 784]);
    let test =
        [("x_test", pictures.clone()), ("y_test", labels.clone()), ("x_train", other.clone())];
    for (name, bytes) in [
        ("images.idx", images.clone()),
        ("images.idx.gz", gzip(&images)),
        ("test.npz", npz(&test)),
        ("only.npz", npz(&[("a", pictures.clone()), ("b", labels)])),
        ("both.npz", npz(&[("a", pictures), ("c", other)])),
        ("labelled.csv", table(true).into()),
        ("plain.csv", table(false).into()),
        ("plain.csv.gz", gzip(table(false).as_bytes())),
        ("table", table(false).into()),
    ] {
        fs::write(path.join(name), bytes).unwrap();
    }
    fs::create_dir(path.join("test")).unwrap();
    for index in 0..COUNT {
        write_png(&path.join(format!("test/{index}.png")), [1, 28, 28], mnist().1.image(index));
    }
    objects(&succeeds(path, "predict run test --json"))
}

#[test]
fn each_picture_of_a_file_is_answered_as_it_is_alone() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let expected = model_and_files(path);
    for (name, count, note) in [
        ("images.idx", COUNT, ""),
        ("images.idx.gz", COUNT, ""),
        ("test.npz", COUNT, "test.npz: not used: y_test, x_train"),
        ("only.npz", COUNT, "only.npz: not used: b"),
        ("both.npz", COUNT + 1, "both.npz: pictures 5 to 5 are those of c"),
        ("labelled.csv", COUNT, "labelled.csv: its labels are not used"),
        ("plain.csv", COUNT, ""),
        ("plain.csv.gz", COUNT, ""),
        ("table", COUNT, ""),
    ] {
        let output = run_line(path, &format!("predict run {name} --json"));
        let told = text(&output.stderr);
        assert!(output.status.success() && told.contains(note), "{name}: {told}");
        assert_eq!(note.is_empty(), told.is_empty(), "{name}: {told}");
        let answers = objects(&text(&output.stdout));
        assert_eq!(answers.len(), count, "{name}");
        for (index, answer) in answers.iter().enumerate() {
            assert_eq!((&answer["file"], &answer["index"]), (&name.into(), &index.into()));
        }
        for (answer, expected) in answers.iter().zip(&expected) {
            assert_eq!(answer["outputs"], expected["outputs"], "{name}");
        }
    }
    let lines = succeeds(path, "predict run test/0.png plain.csv test/1.png --quiet");
    assert_eq!(lines.lines().count(), COUNT + 2);
    assert!(lines.lines().nth(3).unwrap().starts_with("plain.csv[2]: "), "{lines}");
    assert!(lines.lines().last().unwrap().starts_with("test/1.png: "), "{lines}");
    for name in ["plain.csv", "test.npz", "images.idx"] {
        let mut process = Command::new(env!("CARGO_BIN_EXE_mnist-app"))
            .current_dir(path)
            .args(["predict", "run", "-", "--json"])
            .stdin(Stdio::from(fs::File::open(path.join(name)).unwrap()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = String::new();
        std::io::Read::read_to_string(process.stdout.as_mut().unwrap(), &mut lines).unwrap();
        assert!(process.wait().unwrap().success(), "{name}");
        assert_eq!(objects(&lines)[COUNT - 1]["outputs"], expected[COUNT - 1]["outputs"], "{name}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_the_others_are_answered() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    model_and_files(path);
    let images = fs::read(path.join("images.idx")).unwrap();
    let zipped = fs::read(path.join("images.idx.gz")).unwrap();
    let archive = fs::read(path.join("only.npz")).unwrap();
    let labels = idx(&[COUNT as u32], &[1; COUNT]);
    let float = [&[0, 0, 0xd, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1][..], &[0; 4]].concat();
    let files: [(&str, Vec<u8>, &str); 13] = [
        ("cut.idx", images[..999].to_vec(), "the file is cut short"),
        ("cut.gz", zipped[..zipped.len() / 2].to_vec(), "cut short"),
        (
            "labels.idx",
            labels,
            "0x00000804 (3 or 4 axes of bytes, or of other whole numbers), found",
        ),
        ("float.idx", float, "found floats of 32 bits"),
        ("empty.idx", idx(&[0, 28, 28], &[]), "at least one image"),
        ("four.idx", idx(&[1, 4, 2, 2], &[0; 16]), "with 1 or 3 channels"),
        ("cut.npz", archive[..archive.len() / 2].to_vec(), "found a damaged one"),
        ("labels.npz", npz(&[("y", npy("(2,)", &[1, 2]))]), "expected an array of pictures"),
        ("one.npy", npy("(1, 1, 1)", &[1]), "found a single array (.npy)"),
        ("words.csv", b"name,age\nA,1\nB,2\n".to_vec(), "found 2 columns"),
        ("empty.csv", Vec::new(), "found an empty file"),
        ("short.csv", table(false).replace(",pixel783\n", "\n").into(), "found 783 columns"),
        ("large.csv", table(false).replace(",0\n", ",256\n").into(), "found 256"),
    ];
    for (name, bytes, part) in files {
        fs::write(path.join(name), bytes).unwrap();
        let output = run_line(path, &format!("predict run {name} test/0.png --json"));
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {complaint}");
        assert_eq!(objects(&text(&output.stdout)).len(), 1, "{name}");
        let first = complaint.lines().next().unwrap();
        assert!(first.starts_with(&format!("error: {name}: ")), "{complaint}");
        assert!(first.contains(part), "{part:?} in {complaint}");
        assert_eq!(complaint.lines().count(), 2, "{complaint}");
    }
}
