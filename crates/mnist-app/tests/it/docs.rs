//! What the README and the chapters in `docs` say of experiments.

use std::fs;
use std::path::Path;

use mnist_app::experiment::Experiment;
use mnist_app::experiment::build;
use mnist_app::presets;

use crate::common::{succeeds, summary};

fn readme() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    fs::read_to_string(file).unwrap()
}

/// `1353726` as `1,353,726`.
fn with_commas(number: usize) -> String {
    let digits = number.to_string();
    let places = digits.char_indices().map(|(at, digit)| {
        let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
        if comma { format!(",{digit}") } else { digit.to_string() }
    });
    places.collect()
}

#[test]
fn the_readme_has_the_parameters_of_each_preset() {
    let here = tempfile::tempdir().unwrap();
    let (readme, listed) = (readme(), succeeds(here.path(), "presets"));
    for name in presets::names() {
        let count = build::parameters(&presets::experiment(name).unwrap()).unwrap();
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).unwrap();
        assert_eq!(row.split('|').nth(3).unwrap().trim(), with_commas(count), "{row}");
        let line = listed.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        assert!(line.contains(&format!(" {count} parameters ")), "{line}");
        match name {
            "tiny" => assert!(count <= 5_000, "{count}"),
            "fast" => assert!(count <= 45_000, "{count}"),
            _ => {}
        }
    }
}

#[test]
fn presets_end_with_the_weights_that_the_readme_prints() {
    let (here, readme) = (tempfile::tempdir().unwrap(), readme());
    for preset in ["notebook", "lenet"] {
        succeeds(here.path(), &format!("train --preset {preset} --quiet --out {preset}"));
        let digest = summary(here.path(), preset)["weights_sha256"].clone();
        let digest = digest.as_str().unwrap().to_owned();
        let command = format!("cargo xtask train --preset {preset}`");
        let (_, after) = readme.split_once(&command).unwrap();
        let printed = after.lines().find(|line| line.starts_with("    ")).unwrap();
        assert_eq!(printed.trim(), digest, "{preset}");
    }
}

#[test]
fn every_experiment_of_the_chapters_builds_and_bears_its_files_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configs");
    let mut count = 0;
    for entry in folder.read_dir().unwrap() {
        let file = entry.unwrap().path();
        let experiment = Experiment::read(&file).unwrap();
        assert_eq!(Some(experiment.name.as_ref()), file.file_stem(), "{}", file.display());
        assert!(experiment.description.starts_with("Preset "), "{}", file.display());
        for network in experiment.networks.all() {
            network.build::<f32>().unwrap();
        }
        count += 1;
    }
    assert!(count > 0, "{}: no experiments", folder.display());
}

/// The blocks of TOML in a page.
fn toml_blocks(page: &str) -> impl Iterator<Item = &str> {
    page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next())
}

#[test]
fn every_experiment_in_the_text_builds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|page| page.extension().is_some_and(|extension| extension == "md"));
    let mut count = 0;
    for page in pages.chain([root.join("README.md")]) {
        let text = fs::read_to_string(&page).unwrap();
        for block in toml_blocks(&text).filter(|block| block.contains("[network]")) {
            let experiment = Experiment::parse(block);
            let experiment = experiment.unwrap_or_else(|error| panic!("{}{error}", page.display()));
            for network in experiment.networks.all() {
                network.build::<f32>().unwrap();
            }
            count += 1;
        }
    }
    assert!(count >= 2, "{count} experiments");
}

/// The README's program is the one that the documentation of `layers` begins with, which runs as a
/// test.
#[test]
fn the_program_in_the_readme_is_compiled() {
    let readme = readme();
    let program = readme.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../layers/src/lib.rs");
    let library = fs::read_to_string(library).unwrap();
    let compiled: String = library
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned() + "\n")
        .collect();
    assert!(compiled.contains(program), "{program}");
}
