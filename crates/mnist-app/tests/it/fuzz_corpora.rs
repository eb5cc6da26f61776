//! What the fuzzer has found to be worth keeping, read through the same door as by `fuzz/`.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use mnist_app::fuzzing::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// What is in a folder, in order.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The names of the files in a folder, without their endings.
fn stems(folder: &Path) -> BTreeSet<String> {
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    entries(folder).into_iter().map(stem).collect()
}

#[test]
fn each_target_has_its_program_its_dictionary_and_its_corpus() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    for folder in ["fuzz_targets", "dictionaries", "corpus"] {
        let mut found = stems(&fuzz().join(folder));
        // Part of two targets.
        found.remove("header");
        assert_eq!(found, targets, "{folder}");
    }
}

#[test]
fn every_input_of_the_corpora_is_read_or_refused() {
    for (name, read) in TARGETS {
        let folder = fuzz().join("corpus").join(name);
        let files = entries(&folder);
        assert!(files.len() > 10, "{}: {} inputs", folder.display(), files.len());
        for file in files {
            let bytes = fs::read(&file).unwrap();
            assert!(catch_unwind(|| read(&bytes)).is_ok(), "{}", file.display());
        }
    }
}
