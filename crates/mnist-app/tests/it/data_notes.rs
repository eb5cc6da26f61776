//! What of a data set cannot be used is told: the classes without test images first, and what
//! cannot be read is never taken for something that is not used.

use std::fs;
use std::path::Path;

use mnist_app::dataset::{self, Part, Samples};
use mnist_app::preprocessing::Form;
use png::{BitDepth, ColorType};

use crate::common::{idx, run_line, text, write_png};
use crate::own_images::{Images, config};

const SHAPE: [usize; 3] = [1, 4, 4];

/// Two classes with two images each, for training and for testing, and an experiment.
fn whole(root: &Path) {
    for part in ["train", "test"] {
        Images::new(SHAPE, 2, 4).write_png(&root.join("data").join(part), &["a", "b"]);
    }
    fs::write(root.join("mine.toml"), config(SHAPE, 2)).unwrap();
}

#[track_caller]
fn complaint(root: &Path) -> String {
    format!("{:#}", dataset::load(root).unwrap_err())
}

/// A name, what makes something under the path of a class, and the reason that is told.
type Case<'a> = (&'a str, &'a dyn Fn(&Path), &'a str);

const TRAIN: &str = "train --config mine.toml --data data --epochs 1 --quiet";

#[test]
fn classes_without_test_images_are_told_first_whatever_the_reason() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    whole(path);
    let class = path.join("data/test/b");
    let none = |_: &Path| ();
    let folder = |path: &Path| fs::create_dir(path).unwrap();
    let file = |path: &Path| fs::write(path, "text").unwrap();
    let hidden = |path: &Path| {
        fs::create_dir_all(path.join(".x")).unwrap();
        fs::write(path.join(".x/1.png"), "text").unwrap();
    };
    let mut cases: Vec<Case<'_>> = vec![
        ("none", &none, "test/b: no such folder"),
        ("empty", &folder, "test/b: an empty folder"),
        ("file", &file, "test/b: a file"),
        ("hidden", &hidden, "test/b: left out 1 hidden picture: "),
    ];
    #[cfg(unix)]
    let link = |path: &Path| std::os::unix::fs::symlink("nowhere", path).unwrap();
    #[cfg(unix)]
    cases.push(("link", &link, "test/b: a dangling link"));
    for (name, make, reason) in cases {
        match fs::symlink_metadata(&class) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&class).unwrap(),
            Ok(_) => fs::remove_file(&class).unwrap(),
            Err(_) => {}
        }
        make(&class);
        for line in [
            format!("{TRAIN} --test-limit 2 --out {name}"),
            format!("{TRAIN} --json --out {name}-json"),
            format!("evaluate {name}"),
            format!("evaluate {name} --json --test-limit 1"),
        ] {
            let output = run_line(path, &line);
            let told = text(&output.stderr);
            assert!(output.status.success(), "{line}: {told}");
            let first = told.lines().next().unwrap_or_default();
            assert!(first.starts_with("class \"b\" has no test images: "), "{line}: {told}");
            assert!(first.contains(reason), "{line}: {told}");
            assert_eq!(told.matches("has no test images").count(), 1, "{line}: {told}");
        }
    }
}

#[test]
fn a_label_without_test_images_is_told_where_there_are_some_to_learn_from() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    for (part, first, labels) in [("train", 0, [0, 2, 3]), ("t10k", 9, [0, 3, 3])] {
        let images = idx(&[3, 1, 1], &[first, first + 1, first + 2]);
        fs::write(root.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        fs::write(root.join(format!("{part}-labels-idx1-ubyte")), idx(&[3], &labels)).unwrap();
    }
    let (train, test) = dataset::load(root).unwrap();
    let [note] = test.notes() else { panic!("{:?}", test.notes()) };
    assert!(note.starts_with("class \"2\" has no test images: "), "{note}");
    assert!(note.ends_with("t10k-labels-idx1-ubyte: no label of this class"), "{note}");
    assert_eq!(train.notes(), [""; 0]);
}

#[test]
fn pictures_that_are_not_read_are_told_where_none_is() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    whole(path);
    let root = &path.join("data");
    for class in ["a", "b"] {
        for entry in fs::read_dir(root.join("test").join(class)).unwrap() {
            let file = entry.unwrap().path();
            fs::rename(&file, file.with_extension("tif")).unwrap();
        }
    }
    let found = complaint(root);
    for part in [
        "test: expected a folder of pictures for each class, found no picture in any of them",
        "test/a: left out 2 files *.tif (PNG, JPEG, GIF, BMP, WebP, PNM are read): the first ",
        "test/b: left out 2 files *.tif",
    ] {
        assert!(found.contains(part), "expected {part:?} in {found}");
    }
}

#[test]
fn hidden_folders_are_counted() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    whole(path);
    let train = path.join("data/train");
    for (folder, file) in
        [(".ipynb_checkpoints", "1.png"), ("a/.x", "y/2.png"), ("b/c", ".3.png"), (".", ".4.jpg")]
    {
        let file = train.join(folder).join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "text").unwrap();
    }
    fs::write(train.join(".ipynb_checkpoints/notes.txt"), "text").unwrap();
    let samples = Samples::load(&path.join("data"), Part::Train, &Form::default()).unwrap();
    let [note] = samples.notes() else { panic!("{:?}", samples.notes()) };
    assert!(note.contains("2 hidden pictures: the first "), "{note}");
    assert!(note.contains("2 files that other programs keep: the first "), "{note}");
    assert!(note.contains("1 file in folders below a class: "), "{note}");
    assert_eq!(samples.len(), 4);
}

/// A link to a name that no file system takes has no metadata, whoever asks.
#[cfg(unix)]
#[test]
fn what_the_system_does_not_tell_of_is_an_error() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    whole(path);
    for place in ["train/a/x.png", "test/b/x.png", "test/b/x", "train/x", "test", "x"] {
        let link = path.join("data").join(place);
        let is_part = place == "test";
        if is_part {
            fs::rename(&link, path.join("aside")).unwrap();
        }
        std::os::unix::fs::symlink("x".repeat(300), &link).unwrap();
        let found = complaint(&path.join("data"));
        assert!(found.contains(&format!("{place}: ")), "{place}: {found}");
        assert!(found.contains("os error"), "{place}: {found}");
        fs::remove_file(&link).unwrap();
        if is_part {
            fs::rename(path.join("aside"), &link).unwrap();
        }
    }
    assert_eq!(dataset::load(&path.join("data")).unwrap().0.notes(), [""; 0]);
}

#[cfg(unix)]
#[test]
fn data_that_are_no_folder_are_called_what_they_are() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    whole(path);
    std::os::unix::fs::symlink("nowhere", path.join("link")).unwrap();
    for (data, found) in [
        ("/dev/zero", "a device"),
        ("mine.toml", "a file of another kind"),
        ("link", "a dangling link"),
    ] {
        let output = run_line(path, &format!("train --config mine.toml --data {data}"));
        let complaint = text(&output.stderr);
        let expected = format!(
            "error: --data {data}: expected a folder of images, an archive of arrays (.npz) or \
                 a table (CSV), found {found}\n"
        );
        assert_eq!(complaint, expected);
    }
}

/// Writes an image of places in a palette of three colours.
fn write_indexed(path: &Path, depth: BitDepth, [width, height]: [u32; 2], rows: &[u8]) {
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), width, height);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(depth);
    encoder.set_palette((1..10).collect::<Vec<u8>>());
    encoder.set_trns(vec![255]);
    encoder.write_header().unwrap().write_image_data(rows).unwrap();
}

#[test]
fn places_beyond_the_palette_are_refused() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    for part in ["train", "test"] {
        fs::create_dir_all(root.join(part).join("a")).unwrap();
        write_png(&root.join(part).join("a/0.png"), [3, 2, 3], &[0; 18]);
    }
    let file = root.join("train/a/1.png");
    for (depth, rows, beyond) in [
        (BitDepth::Eight, &[0_u8, 1, 2, 2, 1, 0][..], &[0_u8, 1, 2, 2, 7, 0][..]),
        (BitDepth::Four, &[0x01, 0x20, 0x21, 0x00], &[0x01, 0x20, 0x27, 0x00]),
        (BitDepth::Two, &[0b0001_1000, 0b1001_0000], &[0b0001_1000, 0b1011_0000]),
    ] {
        write_indexed(&file, depth, [3, 2], rows);
        let samples = Samples::load(root, Part::Train, &Form::default()).unwrap();
        let planes = [1, 4, 7, 7, 4, 1, 2, 5, 8, 8, 5, 2, 3, 6, 9, 9, 6, 3];
        assert_eq!(samples.image(1), planes, "{depth:?}");
        write_indexed(&file, depth, [3, 2], beyond);
        let found = complaint(root);
        let place = if depth == BitDepth::Two { 3 } else { 7 };
        let expected = format!(
            "train/a/1.png: expected places in its palette of 3 colours, from 0 on, found {place}"
        );
        assert!(found.contains(&expected), "{depth:?}: {found}");
    }
}

#[test]
fn damaged_pictures_are_described_without_the_decoders_own_words() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    for part in ["train", "test"] {
        fs::create_dir_all(root.join(part).join("a")).unwrap();
        write_png(&root.join(part).join("a/0.png"), [1, 2, 3], &[0; 6]);
    }
    let file = root.join("train/a/0.png");
    let good = fs::read(&file).unwrap();
    for at in 8..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(&file, bytes).unwrap();
        let Err(error) = dataset::load(root) else { continue };
        let found = format!("{error:#}");
        assert!(!found.contains(['{', '}']) && !found.contains("ChunkType"), "{at}: {found}");
    }
    // Sizes that nobody has are about the pixels, not about what lies beside them.
    let mut huge = good.clone();
    huge[16..24].copy_from_slice(&[0x7f, 255, 255, 255, 0x7f, 255, 255, 255]);
    let mut checksum = flate2::Crc::new();
    checksum.update(&huge[12..29]);
    huge[29..33].copy_from_slice(&checksum.sum().to_be_bytes());
    fs::write(&file, huge).unwrap();
    let found = complaint(root);
    assert!(
        found.contains(
            "at most 268435456 numbers, of each pixel and channel one, found one of 2147483647×"
        ),
        "{found}"
    );
}
