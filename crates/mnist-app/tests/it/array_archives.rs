//! Archives of arrays as NumPy writes them, and those that are damaged or made to harm.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use mnist_app::arrays::npz::Archive;
use mnist_app::arrays::{Labelled, Labels};
use mnist_app::dataset::Part;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::common::npy;

/// A file that NumPy 2.4 has written.
fn numpy(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/arrays");
    fs::read(folder.join(name)).unwrap()
}

fn read(file: &[u8], part: Option<Part>) -> anyhow::Result<Labelled> {
    let mut archive = Archive::open(Cursor::new(file))?;
    let given = archive.given()?;
    archive.read(part.or(given.first().copied()))
}

fn complaint(file: &[u8]) -> String {
    format!("{:#}", read(file, None).unwrap_err())
}

fn words(part: &Labelled) -> Vec<&str> {
    let labels: &Labels = part.labels.as_ref().unwrap();
    labels.places().iter().map(|&place| &*labels.words()[usize::from(place)]).collect()
}

#[test]
fn files_of_numpy_have_their_parts() {
    let file = numpy("keras.npz");
    let archive = Archive::open(Cursor::new(&file)).unwrap();
    assert_eq!(archive.given().unwrap(), [Part::Train, Part::Test]);
    assert!(archive.left_out().is_empty());
    let keras = read(&file, Some(Part::Train)).unwrap();
    assert_eq!((keras.pictures.shape, keras.pictures.len()), ([1, 4, 4], 6));
    assert_eq!(words(&keras), ["0", "1", "2", "0", "1", "2"]);
    let test = read(&file, Some(Part::Test)).unwrap();
    assert_eq!(test.pictures.planes, keras.pictures.planes[..48]);
    let missing = format!("{:#}", read(&file, Some(Part::Validation)).unwrap_err());
    assert_eq!(missing, "expected an array x_val or x_valid or val_images, found none");

    let file = numpy("medmnist.npz");
    assert_eq!(Archive::open(Cursor::new(&file)).unwrap().given().unwrap(), Part::ALL);
    let [train, validation, test] = Part::ALL.map(|part| read(&file, Some(part)).unwrap());
    assert_eq!((train.pictures.shape, train.pictures.len()), ([3, 4, 4], 6));
    assert_eq!((words(&validation), words(&test)), (vec!["0", "1"], vec!["2", "0"]));
    assert_eq!(validation.pictures.planes, train.pictures.planes[..96]);
    assert!(train.notes.is_empty());

    // In Fortran's order, divided by 255, with names.
    let file = numpy("floats.npz");
    assert!(Archive::open(Cursor::new(&file)).unwrap().given().unwrap().is_empty());
    let floats = read(&file, None).unwrap();
    assert_eq!(floats.pictures.planes, keras.pictures.planes);
    assert_eq!(words(&floats), ["cat", "dog", "ærø", "cat", "dog", "ærø"]);
    assert_eq!(floats.notes.len(), 1, "{:?}", floats.notes);
    assert!(floats.notes[0].contains("multiplied by 255"), "{:?}", floats.notes);
}

fn npz(arrays: &[(&str, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, array) in arrays {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(array).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The file with other bytes at `at` in the header of its first entry, and at `at + 2` in its row of
/// the directory.
fn patched(mut file: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    file[at..at + bytes.len()].copy_from_slice(bytes);
    let row = file.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    file[row + at + 2..][..bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn archives_that_cannot_be_read_or_would_fill_the_memory_are_named() {
    let (stored, deflated) = (CompressionMethod::Stored, CompressionMethod::Deflated);
    let small = || npz(&[("x", npy("(1, 2, 2)", &[1, 2, 3, 4]))], stored);
    let zeros = npz(&[("x", npy("(1, 2, 2)", &vec![0; 50 << 20]))], deflated);
    let claims = npz(&[("x", npy("(99999, 999, 999)", &[1, 2, 3, 4]))], stored);
    let broken_sum = {
        let mut file = small();
        let at = file.windows(4).position(|four| four == [1, 2, 3, 4]).unwrap();
        file[at] = 9;
        file
    };
    let two =
        |names: [&str; 2]| npz(&names.map(|name| (name, npy("(1, 2, 2)", &[1, 2, 3, 4]))), stored);
    let labels = |shape: &str, data: &[u8]| {
        npz(&[("x", npy("(2, 1, 2)", &[1, 2, 3, 4])), ("y", npy(shape, data))], stored)
    };
    let whole = small();
    for (file, expected) in [
        (
            patched(small(), 6, &[1, 0]),
            "x: expected an archive without a password, found an encrypted",
        ),
        (patched(small(), 8, &[12, 0]), "by bzip2; save it by numpy.savez_compressed"),
        (patched(small(), 8, &[93, 0]), "by Zstandard"),
        (patched(small(), 8, &[14, 0]), "by LZMA"),
        // Sizes that the header of the entry declares, and those that its bytes really have.
        (patched(small(), 22, &[0xff, 0xff, 0xff, 0x7f]), "made to fill the memory"),
        (zeros, "as its header says with sizes [1, 2, 2], found one of 52428"),
        (claims, "x: expected an array of 9979"),
        (broken_sum, "x: expected a whole archive, found a damaged one"),
        (whole[..whole.len() - 30].to_vec(), "found a damaged one"),
        (
            two(["x_train", "train_images"]),
            "expected one of the arrays x_train and train_images, found both",
        ),
        (two(["x", "x_test"]), "found both; remove one of them"),
        (two(["x", "X"]), "found both"),
        (labels("(3,)", &[1, 2, 3]), "y: expected 2 labels, as there are pictures, found 3"),
        (labels("(2, 2, 1)", &[1, 2, 3, 4]), "y: expected a label of each picture"),
        (labels("(2, 0)", &[]), "y: expected a label of each picture"),
        (numpy("objects.npz"), "x: expected numbers or texts, found Python objects"),
    ] {
        let found = complaint(&file);
        assert!(found.contains(expected), "expected {expected:?} in {found:?}");
        assert!(!found.contains('\n'), "{found}");
    }
}
