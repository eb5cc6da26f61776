//! What lies among the data and is not used is counted and told.

use std::fs;
use std::path::Path;

use mnist_app::dataset::{self, Part, Samples};
use mnist_app::preprocessing::Form;

use crate::common::{run_line, text};
use crate::own_images::{Images, config};

const SHAPE: [usize; 3] = [1, 4, 4];

/// Two classes with two images each, for training and for testing.
fn whole(root: &Path) {
    for part in ["train", "test"] {
        Images::new(SHAPE, 2, 4).write_png(&root.join(part), &["a", "b"]);
    }
}

fn notes(root: &Path, part: Part) -> Vec<String> {
    Samples::load(root, part, &Form::default()).unwrap().notes().to_vec()
}

#[test]
fn other_formats_and_deeper_folders_are_counted() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    whole(root);
    assert_eq!(notes(root, Part::Train), [""; 0]);
    fs::create_dir_all(root.join("train/a/more/and")).unwrap();
    for index in 0..100 {
        fs::write(root.join(format!("train/a/{index}.tif")), "text").unwrap();
        fs::write(root.join(format!("train/a/more/and/{index}.png")), "text").unwrap();
    }
    fs::write(root.join("train/b/notes"), "text").unwrap();
    fs::write(root.join("train/b/.hidden.png"), "text").unwrap();
    fs::write(root.join("train/b/.DS_Store"), "text").unwrap();
    fs::write(root.join("train/loose.png"), "text").unwrap();
    let found = notes(root, Part::Train);
    let [line] = found.as_slice() else { panic!("{found:?}") };
    for part in [
        "train: left out ",
        "100 files *.tif (PNG, JPEG, GIF, BMP, WebP, PNM are read): the first ",
        "more/and/0.png",
        "100 files in folders below a class: the first ",
        "1 file without an ending (PNG, JPEG, GIF, BMP, WebP, PNM are read): ",
        "1 hidden picture: ",
        "1 file beside the folders of the classes: ",
    ] {
        assert!(line.contains(part), "expected {part:?} in {line}");
    }
    assert_eq!(Samples::load(root, Part::Train, &Form::default()).unwrap().len(), 4);
    assert_eq!(notes(root, Part::Test), [""; 0]);
}

#[test]
fn a_command_tells_what_it_leaves_out_and_first_which_class_is_lost_by_it() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    whole(&path.join("data"));
    fs::write(path.join("mine.toml"), config(SHAPE, 2)).unwrap();
    for part in ["train", "test"] {
        fs::write(path.join("data").join(part).join("b/x.tif"), "text").unwrap();
    }
    let test = path.join("data/test/a");
    for entry in fs::read_dir(&test).unwrap() {
        let file = entry.unwrap().path();
        fs::rename(&file, file.with_extension("tiff")).unwrap();
    }
    fs::create_dir(path.join("data/more")).unwrap();
    let train = "train --config mine.toml --data data --epochs 1";
    for (line, parts) in [
        (format!("{train} --out run"), &["train: left out 1 file *.tif", "data/more"][..]),
        (format!("{train} --json --out json"), &["train: left out 1 file *.tif"]),
        ("evaluate run".into(), &[]),
        ("evaluate run --json".into(), &[]),
    ] {
        let output = run_line(path, &line);
        let told = text(&output.stderr);
        assert!(output.status.success(), "{line}: {told}");
        assert!(told.starts_with("class \"a\" has no test images: "), "{line}: {told}");
        assert!(told.lines().next().unwrap().contains("2 files *.tiff"), "{line}: {told}");
        let both = ["test: left out 1 file *.tif"];
        for part in both.iter().chain(parts) {
            assert_eq!(told.matches(part).count(), 1, "{line}: expected {part:?} in {told}");
        }
        assert!(!text(&output.stdout).contains("left out"), "{line}");
    }
    // A class without any image to learn from says where they are.
    let class = path.join("data/train/a");
    for entry in fs::read_dir(&class).unwrap() {
        let file = entry.unwrap().path();
        fs::rename(&file, file.with_extension("tif")).unwrap();
    }
    let complaint = format!("{:#}", dataset::load(&path.join("data")).unwrap_err());
    assert!(complaint.contains("at least one picture, found none; "), "{complaint}");
    assert!(
        complaint.contains("2 files *.tif (PNG, JPEG, GIF, BMP, WebP, PNM are read)"),
        "{complaint}"
    );
}

#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_and_what_is_no_file_are_counted() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    whole(root);
    std::os::unix::fs::symlink("nowhere", root.join("train/a/link.png")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.join("train/c")).unwrap();
    let pipe = root.join("train/b/pipe.png");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // A link to an image is one.
    std::os::unix::fs::symlink("000.png", root.join("train/a/same.png")).unwrap();
    let found = notes(root, Part::Train);
    let [line] = found.as_slice() else { panic!("{found:?}") };
    assert!(line.contains("2 dangling links: the first "), "{line}");
    assert!(line.contains("1 named like an image but not a regular file: "), "{line}");
    assert_eq!(Samples::load(root, Part::Train, &Form::default()).unwrap().len(), 5);
}

#[test]
fn what_lies_beside_idx_files_and_looks_like_data_is_told() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    let images = Images::new(SHAPE, 2, 4);
    images.write_idx(root, "train");
    images.write_idx(root, "t10k");
    fs::write(root.join("README.md"), "text").unwrap();
    assert_eq!(notes(root, Part::Train), [""; 0]);
    fs::write(root.join("emnist-train-images-idx3-ubyte.gz"), "text").unwrap();
    fs::create_dir(root.join("train")).unwrap();
    let found = notes(root, Part::Train);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains(": left out 2 files or folders beside the data: the first "),
        "{found:?}"
    );
    // A set is told once, not by each part.
    assert_eq!(notes(root, Part::Test), [""; 0]);
}
