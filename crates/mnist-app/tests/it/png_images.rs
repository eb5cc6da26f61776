//! Folders of PNG images: which files are read as what, and which are refused.

use std::fs;
use std::io::BufWriter;
use std::path::Path;

use mnist_app::dataset::{self, Classes, Part, Samples};
use mnist_app::preprocessing::Form;
use png::{BitDepth, ColorType};

use crate::common::write_png;

/// Writes `rows`, packed as the format says; `change` may add to the header.
fn write(
    path: &Path,
    [width, height]: [u32; 2],
    (color, depth): (ColorType, BitDepth),
    rows: &[u8],
    change: impl FnOnce(&mut png::Encoder<'_, BufWriter<fs::File>>),
) {
    let file = BufWriter::new(fs::File::create(path).unwrap());
    let mut encoder = png::Encoder::new(file, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    change(&mut encoder);
    encoder.write_header().unwrap().write_image_data(rows).unwrap();
}

fn class_folder(root: &Path, class: &str) -> std::path::PathBuf {
    let folder = root.join("train").join(class);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[track_caller]
fn refused(root: &Path, parts: &[&str]) {
    let complaint = format!("{:#}", dataset::load(root).unwrap_err());
    for part in parts {
        assert!(complaint.contains(part), "expected {part:?} in {complaint}");
    }
    assert!(!complaint.contains('\n'), "{complaint}");
}

#[test]
fn formats_become_eight_bits_of_grey_or_colour() {
    use {BitDepth::*, ColorType::*};
    const PALETTE: [u8; 6] = [1, 2, 3, 4, 5, 6];
    let grey = |pixels: [u8; 2]| ([1, 1, 2], pixels.to_vec());
    let colour = |planes: [u8; 6]| ([3, 1, 2], planes.to_vec());
    for (name, format, rows, expected) in [
        ("grey", (Grayscale, Eight), &[7_u8, 9][..], grey([7, 9])),
        ("bits", (Grayscale, One), &[0b0100_0000], grey([0, 255])),
        ("nibbles", (Grayscale, Four), &[0x1f], grey([17, 255])),
        ("sixteen", (Grayscale, Sixteen), &[7, 255, 9, 0], grey([7, 9])),
        ("opaque grey", (GrayscaleAlpha, Eight), &[7, 255, 9, 255], grey([7, 9])),
        ("colour", (Rgb, Eight), &[1, 2, 3, 4, 5, 6], colour([1, 4, 2, 5, 3, 6])),
        (
            "deep colour",
            (Rgb, Sixteen),
            &[1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0],
            colour([1, 4, 2, 5, 3, 6]),
        ),
        ("opaque", (Rgba, Eight), &[1, 2, 3, 255, 4, 5, 6, 255], colour([1, 4, 2, 5, 3, 6])),
        ("palette", (Indexed, Two), &[0b0100_0000], colour([4, 1, 5, 2, 6, 3])),
    ] {
        let here = tempfile::tempdir().unwrap();
        let file = class_folder(here.path(), "only").join("image.PNG");
        write(&file, [2, 1], format, rows, |encoder| {
            if format.0 == Indexed {
                encoder.set_palette(&PALETTE[..]);
            }
        });
        let samples = Samples::load(here.path(), Part::Train, &Form::default()).expect(name);
        assert_eq!((samples.shape(), samples.image(0).to_vec()), expected, "{name}");
    }
}

#[test]
fn classes_are_in_the_order_of_their_names_bytes() {
    let here = tempfile::tempdir().unwrap();
    let names = ["10", "9", "B", "a", "é"];
    for (index, name) in names.iter().enumerate().rev() {
        let folder = class_folder(here.path(), name);
        write_png(&folder.join("x.png"), [1, 1, 1], &[index as u8]);
        // What is no image of a class is not looked at.
        fs::write(folder.join("notes.txt"), "text").unwrap();
        fs::write(folder.join(".hidden.png"), "text").unwrap();
    }
    fs::create_dir(here.path().join("train/.cache")).unwrap();
    fs::write(here.path().join("train/x.png"), "text").unwrap();
    let samples = Samples::load(here.path(), Part::Train, &Form::default()).unwrap();
    assert_eq!(samples.classes(), &Classes::Named(names.map(Into::into).to_vec()));
    assert_eq!(samples.labels(), [0, 1, 2, 3, 4]);
    assert!((0..5).all(|index| samples.image(index) == [index as u8]));
}

/// A set of two classes with two grey images of 2×3 pixels each.
fn whole(root: &Path) {
    for part in ["train", "test"] {
        for class in ["cat", "dog"] {
            let folder = root.join(part).join(class);
            fs::create_dir_all(&folder).unwrap();
            for name in ["1.png", "2.png"] {
                write_png(&folder.join(name), [1, 2, 3], &[1, 2, 3, 4, 5, 6]);
            }
        }
    }
}

#[test]
fn files_that_do_not_belong_are_named() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    whole(root);
    assert_eq!(dataset::load(root).unwrap().0.len(), 4);
    let image = root.join("train/dog/1.png");
    let good = fs::read(&image).unwrap();

    write_png(&image, [1, 3, 2], &[0; 6]);
    refused(root, &["dog/1.png", "2×3 grey", "cat/1.png", "found one of 3×2 grey"]);
    write_png(&image, [3, 2, 3], &[0; 18]);
    refused(root, &["dog/1.png", "2×3 grey", "cat/1.png", "found one of 2×3 colour"]);
    // The first of several, in the order of the samples.
    fs::write(root.join("train/cat/2.png"), "text").unwrap();
    refused(root, &["dog/1.png"]);
    fs::write(root.join("train/cat/2.png"), &good).unwrap();

    let two_by_three = [3, 2];
    let alpha = (ColorType::GrayscaleAlpha, BitDepth::Eight);
    write(&image, two_by_three, alpha, &[[9, 255]; 6].concat(), |_| ());
    assert_eq!(dataset::load(root).unwrap().0.image(1), [9; 6]);
    write(&image, two_by_three, alpha, &[[9, 254]; 6].concat(), |_| ());
    // On white, unless the experiment says another background.
    assert_eq!(dataset::load(root).unwrap().0.image(1), [10; 6]);
    let grey = (ColorType::Grayscale, BitDepth::Eight);
    write(&image, two_by_three, grey, &[0; 6], |encoder| encoder.set_animated(1, 0).unwrap());
    refused(root, &["dog/1.png", "animation"]);

    for end in 0..good.len() {
        fs::write(&image, &good[..end]).unwrap();
        refused(root, &["dog/1.png", "expected a "]);
    }
    for at in [0, 18, 50] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        fs::write(&image, changed).unwrap();
        refused(root, &["dog/1.png"]);
    }
    fs::write(&image, &good).unwrap();
    // A header that promises more than anybody has.
    let first = root.join("train/cat/1.png");
    write_png(&first, [1, 1, 1], &[0]);
    let mut huge = fs::read(&first).unwrap();
    huge[16..24].copy_from_slice(&[0x7f, 255, 255, 255, 0x7f, 255, 255, 255]);
    let mut checksum = flate2::Crc::new();
    checksum.update(&huge[12..29]);
    huge[29..33].copy_from_slice(&checksum.sum().to_be_bytes());
    fs::write(&first, huge).unwrap();
    refused(root, &["cat/1.png"]);
}

#[test]
fn folders_that_are_no_data_set_are_explained() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path();
    whole(root);
    fs::rename(root.join("test"), root.join("validation")).unwrap();
    refused(root, &["images to test on, a folder test beside train", "say test = 0.2 in [data]"]);
    fs::rename(root.join("validation"), root.join("test")).unwrap();

    fs::rename(root.join("test/dog"), root.join("test/wolf")).unwrap();
    refused(root, &["test: ", "cat, dog", "found \"wolf\""]);
    fs::rename(root.join("test/wolf"), root.join("test/dog")).unwrap();

    fs::create_dir(root.join("test/empty")).unwrap();
    refused(root, &["test: ", "found \"empty\""]);
    fs::create_dir(root.join("train/empty")).unwrap();
    refused(root, &["train/empty: ", "at least one picture"]);
    fs::remove_dir(root.join("train/empty")).unwrap();
    fs::remove_dir(root.join("test/empty")).unwrap();

    let test = root.join("test");
    for class in ["cat", "dog"] {
        for name in ["1.png", "2.png"] {
            write_png(&test.join(class).join(name), [1, 2, 2], &[0; 4]);
        }
    }
    refused(root, &["test: ", "2×3 grey", "train", "found 2×2 grey"]);
    fs::remove_dir_all(&test).unwrap();
    fs::create_dir(&test).unwrap();
    refused(root, &["test: ", "a folder of pictures for each class"]);
    // Class folders without a split.
    refused(&root.join("train"), &["images to test on", "say test = 0.2 in [data]"]);

    let many = root.join("many");
    for class in 0..257 {
        let folder = class_folder(&many, &class.to_string());
        write_png(&folder.join("1.png"), [1, 1, 1], &[0]);
    }
    let complaint =
        format!("{:#}", Samples::load(&many, Part::Train, &Form::default()).unwrap_err());
    assert!(complaint.contains("at most 256 class folders, found 257"), "{complaint}");
}
