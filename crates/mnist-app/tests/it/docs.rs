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

/// The rows of the table of docs/settings.md whose first column has this heading.
fn settings_of(heading: &str) -> Vec<(Vec<String>, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md");
    let page = fs::read_to_string(page).unwrap();
    let start = format!("| {heading} |");
    let rows = page.lines().skip_while(|line| !line.starts_with(&start)).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let names = cells[1].split('`').skip(1).step_by(2).map(str::to_owned);
        (names.collect(), cells[1..].join(" | "))
    })
    .collect()
}

/// The settings `name` in a cell that have a default that can be written, and this.
fn defaults(cells: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (at, _) in cells.match_indices(" [") {
        let (before, after) = cells.split_at(at);
        let default = after[2..].split(']').next().unwrap();
        let name = before.split('`').rev().nth(1).unwrap();
        let is_literal = default.starts_with(|c: char| c.is_ascii_digit() || c == '"')
            || ["true", "false"].contains(&default);
        // `""` is a text, and so are names.
        if is_literal && !name.contains(' ') {
            found.push((name.to_owned(), default.to_owned()));
        }
    }
    found
}

#[test]
fn the_defaults_on_the_page_of_settings_are_those_of_the_program() {
    let whole = |top: &str, layer: &str, [loss, optimizer, schedule]: [&str; 3]| {
        let text = format!(
            "{top}\nepochs = 1\nbatch_size = 4\nshard_size = 2\nshuffle = true\n\
             learning_rate = 0.1\ninit = \"he\"\nloss = {loss}\noptimizer = {optimizer}\n\
             schedule = {schedule}\n[network]\ninput = [4, 8, 8]\nlayers = [{layer}, \"flatten\", \
             {{ type = \"dense\", outputs = 10 }}]\n"
        );
        Experiment::parse(&text)
    };
    let plain = ["\"softmax_cross_entropy\"", "\"sgd\"", "\"constant\""];
    let parse = |top: &str, layer: &str, others: [&str; 3]| {
        whole(top, layer, others).unwrap_or_else(|error| panic!("{top} {layer} {others:?}{error}"))
    };
    let expected = parse("", "\"relu\"", plain);
    let mut checked = 0;
    for (names, cells) in settings_of("key") {
        // Those that stand in each experiment here.
        let foreign = |name: &str| expected_keys().contains(&name);
        for name in names.iter().filter(|name| !foreign(name)) {
            let refused = whole(&format!("{name} = {{ nonsense = 1 }}"), "\"relu\"", plain);
            let message = refused.unwrap_err().to_string();
            assert!(!message.contains("no such key; an experiment"), "{name}: {message}");
        }
        // The default stands beside the type, and is that of the keys of the row.
        let default = defaults(&cells).into_iter().next().map(|(_, default)| default);
        for (name, default) in names.iter().filter(|name| !foreign(name)).zip(default) {
            let found = parse(&format!("{name} = {default}"), "\"relu\"", plain);
            assert_eq!(found, expected, "{name} = {default}");
            checked += 1;
        }
    }
    let required = |name: &str| match name {
        "conv2d" | "conv_transpose2d" => ", kernels = 4, size = 3",
        "max_pool2d" | "avg_pool2d" => ", size = 2",
        "group_norm" => ", groups = 2",
        "dense" => ", outputs = 4",
        "dropout" => ", p = 0.5",
        "reshape" => ", shape = [256]",
        "step" => ", at = [0.5]",
        _ => "",
    };
    let headings = ["layer", "loss", "optimizer", "schedule"];
    for (place, heading) in headings.iter().enumerate() {
        for (names, cells) in settings_of(heading) {
            for name in names.iter().filter(|name| *name != "residual") {
                let parse = |setting: &str| {
                    let table = format!("{{ type = \"{name}\"{}{setting} }}", required(name));
                    let mut others = plain;
                    match place.checked_sub(1) {
                        Some(place) => others[place] = &table,
                        None => return parse("", &table, others),
                    }
                    parse("", "\"relu\"", others)
                };
                let settings = cells.split_once(" | ").unwrap().1;
                for (setting, default) in defaults(settings) {
                    let [found, expected] = [parse(&format!(", {setting} = {default}")), parse("")];
                    // A layer keeps whether a setting was written; what is built has the same shapes.
                    let table = |experiment: &Experiment| {
                        let network = experiment.networks.first().build::<f32>().unwrap();
                        let rows = network.table().into_iter();
                        rows.map(|(_, shape, parameters)| (shape, parameters)).collect::<Vec<_>>()
                    };
                    let is_same = found == expected || table(&found) == table(&expected);
                    assert!(is_same, "{name}: {setting} = {default}: {found:?}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 40, "{checked} defaults");
}

/// The keys that every experiment of the test has.
fn expected_keys() -> [&'static str; 10] {
    [
        "epochs",
        "batch_size",
        "shard_size",
        "shuffle",
        "learning_rate",
        "init",
        "loss",
        "optimizer",
        "schedule",
        "network",
    ]
}
