//! Models are tested on the data that they were made for.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use layers::metadata_of;
use mnist_app::dataset::{self, Digests, Part, Samples};
use mnist_app::preprocessing::Form;

use crate::bad_input::refused;
use crate::common::{mnist, run_line, small_data, succeeds, text};
use crate::own_images::{Images, config};

const SHAPE: [usize; 3] = [1, 4, 5];

/// Runs `a` and `b` of two data sets that differ in their images, in their folders `one` and
/// `two`.
fn two_sets(path: &Path) {
    for (name, count) in [("one", 12), ("two", 15)] {
        let folder = path.join(name);
        Images::new(SHAPE, 3, count).write_idx(&folder, "train");
        Images::new(SHAPE, 3, count + 1).write_idx(&folder, "t10k");
    }
    fs::write(path.join("mine.toml"), config(SHAPE, 3)).unwrap();
    for (run, data) in [("a", "one"), ("b", "two")] {
        succeeds(path, &format!("train --config mine.toml --data {data} --out {run} --epochs 1"));
    }
}

#[test]
fn a_run_is_tested_on_its_own_data_wherever_it_is_tested() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    two_sets(path);
    let elsewhere = path.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for (run, total) in [("a", 13), ("b", 16)] {
        let printed = succeeds(&elsewhere, &format!("evaluate ../{run}"));
        let first = printed.lines().next().unwrap();
        assert!(first.contains(&format!(" of {total} test images right")), "{printed}");
    }
    let printed = succeeds(&elsewhere, "compare ../a ../a");
    assert!(printed.contains("these 13 images"), "{printed}");
    let printed = succeeds(&elsewhere, "inspect ../b --samples 99");
    assert!(printed.starts_with("mine") && printed.contains("15 training images"), "{printed}");
}

#[test]
fn other_data_are_named_in_the_first_line() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    two_sets(path);
    for line in ["evaluate a", "compare a b", "evaluate a b", "inspect a"] {
        let kind = if line.starts_with("inspect") { "training" } else { "test" };
        let first = format!("other data: the {kind} images of two (sha256 ");
        let printed = succeeds(path, &format!("{line} --data two"));
        assert!(printed.starts_with(&first), "{line}: {printed}");
        let named = printed.lines().next().unwrap();
        assert!(named.contains("not those of a/model.safetensors (sha256 "), "{named}");
        assert!(!named.contains("b/model"), "{named}");
        let output = run_line(path, &format!("{line} --data two --json"));
        assert!(text(&output.stderr).starts_with(&first), "{line}: {}", text(&output.stderr));
        let json = text(&output.stdout);
        assert!(json.lines().all(|line| line.starts_with('{')), "{json}");
    }
    // The same data under another name are no others.
    fs::rename(path.join("one"), path.join("moved")).unwrap();
    let printed = succeeds(path, "evaluate a/model.safetensors --data moved");
    assert!(printed.contains(" of 13 test") && !printed.contains("other data"), "{printed}");
    // What stands where the data were is not what they were.
    fs::rename(path.join("two"), path.join("one")).unwrap();
    let printed = succeeds(path, "evaluate a");
    assert!(printed.starts_with("other data: the test images of "), "{printed}");
}

#[test]
fn what_is_not_known_is_asked_for() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    two_sets(path);
    let remedy = "--data DIR";
    let parts = &["model b/model.safetensors: ", "data of a/model", "sha256 ", remedy];
    refused(path, "compare a b", 1, parts);
    refused(path, "evaluate a b", 1, parts);
    for line in ["evaluate", "inspect"] {
        let line = format!("{line} a/model.safetensors");
        refused(path, &line, 1, &["model a/model.safetensors: ", "MNIST", "sha256 ", remedy]);
    }
    // A file that does not say.
    let bytes = fs::read(path.join("a/model.safetensors")).unwrap();
    fs::write(path.join("old"), without(&bytes, &["data", "data_train", "data_test"])).unwrap();
    refused(path, "evaluate old", 1, &["model old: ", "without a digest", remedy]);
    let printed = succeeds(path, "evaluate old --data one");
    let first = printed.lines().next().unwrap();
    assert!(
        first.contains("perhaps not those of old") && first.starts_with("other data"),
        "{first}"
    );
    // A part of the digests is none.
    fs::write(path.join("part"), without(&bytes, &["data_test"])).unwrap();
    refused(path, "evaluate part --data one", 1, &["model part: ", "data_test"]);

    fs::rename(path.join("one"), path.join("moved")).unwrap();
    refused(path, "evaluate a", 1, &["model a/model", "data = ", "no such folder", remedy]);
}

/// A model's file without some keys of its metadata.
pub(crate) fn without(bytes: &[u8], keys: &[&str]) -> Vec<u8> {
    changed(bytes, |metadata| keys.iter().for_each(|key| drop(metadata.remove(*key))))
}

/// A model's file with other metadata.
pub(crate) fn changed(
    bytes: &[u8],
    change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>),
) -> Vec<u8> {
    let len = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + len]).unwrap();
    change(header["__metadata__"].as_object_mut().unwrap());
    let header = header.to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend(&bytes[8 + len..]);
    file
}

#[test]
fn a_file_of_a_model_of_mnist_is_tested_on_mnist() {
    let (train, test) = mnist();
    assert!(Digests::new(train, None, test).are_mnist());
    let small = dataset::load(small_data()).unwrap();
    assert!(!Digests::new(&small.0, None, &small.1).are_mnist());
    let here = tempfile::tempdir().unwrap();
    let line = "train --preset notebook-tuned --epochs 1 --train-limit 20 --out run";
    succeeds(here.path(), line);
    let printed = succeeds(here.path(), "evaluate run/model.safetensors --test-limit 50");
    assert!(printed.contains(" of 50 test images right"), "{printed}");
    assert!(!printed.contains("other data"), "{printed}");
}

#[test]
fn a_digest_is_that_of_decoded_pixels_and_labels() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let images = Images::new(SHAPE, 3, 6);
    images.write_idx(&path.join("raw"), "train");
    let names = ["0", "1", "2"];
    images.write_png(&path.join("png/train"), &names);
    fs::create_dir(path.join("zipped")).unwrap();
    for entry in fs::read_dir(path.join("raw")).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{}.gz", entry.file_name().into_string().unwrap());
        let file = fs::File::create(path.join("zipped").join(name)).unwrap();
        let mut encoder = GzEncoder::new(file, Compression::fast());
        encoder.write_all(&fs::read(entry.path()).unwrap()).unwrap();
        encoder.finish().unwrap();
    }
    // By the definition.
    let mut bytes = b"1 4 5 6\n".to_vec();
    images.samples.iter().for_each(|(image, _)| bytes.extend(image));
    images.samples.iter().for_each(|(_, label)| bytes.extend(format!("{label}\n").bytes()));
    let expected = layers::sha256(&bytes);
    for kind in ["raw", "zipped", "png"] {
        let samples = Samples::load(&path.join(kind), Part::Train, &Form::default()).unwrap();
        assert_eq!(samples.digest(), expected, "{kind}");
        // A limit leaves some out; the data are the same.
        assert_eq!(samples.first(Some(2)).digest(), expected, "{kind}");
    }
    let other = Images::new(SHAPE, 2, 6);
    other.write_idx(&path.join("other"), "train");
    assert_ne!(
        Samples::load(&path.join("other"), Part::Train, &Form::default()).unwrap().digest(),
        expected
    );
}

#[test]
fn the_file_of_a_model_says_which_data() {
    let here = tempfile::tempdir().unwrap();
    two_sets(here.path());
    let metadata =
        metadata_of(&fs::read(here.path().join("a/model.safetensors")).unwrap()).unwrap();
    let (train, test) = dataset::load(&here.path().join("one")).unwrap();
    assert_eq!(
        (&*metadata["data_train"], &*metadata["data_test"]),
        (train.digest(), test.digest())
    );
    let both = format!("{}\n{}\n", train.digest(), test.digest());
    assert_eq!(metadata["data"], layers::sha256(both.as_bytes()));
    let place = here.path().display().to_string();
    assert!(metadata.values().all(|value| !value.contains(&place)), "{metadata:?}");
}
