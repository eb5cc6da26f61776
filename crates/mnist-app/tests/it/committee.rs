//! Committees whose members have different networks.

use std::fs;
use std::path::Path;

use mnist_app::experiment::Experiment;
use serde_json::{Value, json};

use crate::common::{objects, small_data, succeeds, train_small};

/// A committee of a convolution, which sees other images, and of a dense layer.
pub const TWO: &str = r#"
epochs = 2
batch_size = 20
shard_size = 8
shuffle = true
learning_rate = 0.01
loss = "softmax_cross_entropy"
init = "he"

[[network]]
input = [1, 28, 28]
layers = [
    { type = "conv2d", kernels = 2, size = 5 },
    { type = "relu" },
    { type = "flatten" },
    { type = "dense", outputs = 10 },
]

[network.augmentation]
shift = 2
rotation = 10

[[network]]
input = [1, 28, 28]
layers = [
    { type = "flatten" },
    { type = "dropout", p = 0.1 },
    { type = "dense", outputs = 10 },
]
"#;

/// The JSON objects that the program prints for `line`.
#[track_caller]
fn said(folder: &Path, line: &str) -> Vec<Value> {
    objects(&succeeds(folder, line))
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).unwrap()
}

#[test]
fn a_member_is_the_run_of_its_own_config() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("three.toml"), format!("seed = 5\ncommittee = 3{TWO}")).unwrap();
    let printed = train_small(path, "--config three.toml --out three");
    let mut experiment = Experiment::read(&path.join("three.toml")).unwrap();
    // As `--data` said.
    experiment.set_data_path(std::path::absolute(small_data()).unwrap());
    for (member, parameters) in [(1, 11_582), (2, 7850), (3, 11_582)] {
        let own = format!("three/member-{member}");
        let config = Experiment::read(&path.join(&own).join("config.toml")).unwrap();
        assert_eq!(config, experiment.member(member));
        assert_eq!(config.augmentation.is_some(), member != 2);
        assert_eq!(config.networks.all(), [experiment.networks.of_member(member).clone()]);
        assert_eq!((config.seed, config.committee), (4 + member as u64, None));
        train_small(path, &format!("--config {own}/config.toml --out alone-{member}"));
        for file in ["config.toml", "model.safetensors"] {
            let alone = read(&path.join(format!("alone-{member}")), file);
            assert!(read(&path.join(&own), file) == alone, "{own}/{file}");
        }
        let header = format!("\n{parameters} parameters, f32, ");
        assert_eq!(printed.matches(&header).count(), [2, 1][(member + 1) % 2], "{printed}");
    }
    // As its own config says, the committee is the same again.
    train_small(path, "--config three/config.toml --out again");
    for file in ["config.toml", "member-2/model.safetensors", "member-3/model.safetensors"] {
        assert!(read(&path.join("three"), file) == read(&path.join("again"), file), "{file}");
    }
}

#[test]
fn different_networks_vote_and_are_compared() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("two.toml"), TWO).unwrap();
    let printed = train_small(path, "--config two.toml --out two");
    assert!(printed.contains("vote of 2: ") && !printed.contains("vote of 3"), "{printed}");
    let data = small_data().display();
    let members = format!("two/member-1 two/member-2 --json --data {data}");
    let [one, two, vote] = &said(path, &format!("evaluate {members}"))[..] else { panic!() };
    assert_ne!(one["test_error"], two["test_error"]);
    let committee = said(path, &format!("evaluate two --json --data {data}"));
    let summary: Value = serde_json::from_slice(&read(path, "two/summary.json")).unwrap();
    for key in ["test_correct", "test_total", "test_accuracy", "test_error"] {
        assert_eq!(committee[0][key], vote[key], "{key}");
        assert_eq!(summary[key], vote[key], "{key}");
    }
    let found = said(path, &format!("compare two two/member-2 --json --data {data}"));
    assert_eq!(found[0]["a"]["test_correct"], vote["test_correct"]);
    assert_eq!(found[0]["b"]["test_correct"], two["test_correct"]);
    let inspect = |model: &str| said(path, &format!("inspect {model} --json --data {data}"));
    let (both, one, two) = (inspect("two"), inspect("two/member-1"), inspect("two/member-2"));
    assert_eq!(both.len(), one.len() + two.len());
    assert_eq!([&both[0]["networks"], &both[one.len()]["network"]], [2, 2]);
    assert_eq!((&both[1..one.len()], &both[one.len() + 1..]), (&one[1..], &two[1..]));
}

#[test]
fn each_network_is_inspected_and_profiled() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    fs::write(path.join("two.toml"), TWO).unwrap();
    let experiment = Experiment::parse(TWO).unwrap();
    fs::write(path.join("second.toml"), experiment.member(2).to_toml().unwrap()).unwrap();

    let inspect = format!("inspect --json --samples 9 --data {}", small_data().display());
    let both = said(path, &format!("{inspect} --config two.toml"));
    let mut second = said(path, &format!("{inspect} --config second.toml"));
    assert_eq!(both.len(), (2 + 4) + (2 + 3));
    assert_eq!([&both[0]["network"], &both[0]["networks"]], [1, 2]);
    assert_eq!((&both[0]["seed"], &second[0]["networks"]), (&json!(0), &json!(1)));
    for key in ["network", "networks", "name", "origin"] {
        second[0][key] = both[6][key].clone();
    }
    assert_eq!((&both[6]["network"], &both[6]["seed"]), (&json!(2), &json!(1)));
    assert_eq!(both[6..], second);

    let profile = said(path, "profile --json --config two.toml --repetitions 1");
    let settings = profile.iter().filter(|line| line["kind"] == "setting");
    assert_eq!(settings.map(|line| line["network"].clone()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(profile.iter().filter(|line| line["kind"] == "step").count(), 2);
    let table = succeeds(path, "profile --config two.toml --repetitions 1");
    assert!(
        table.starts_with("two, network 1 of 2: ") && table.contains("\n\ntwo, network 2 of 2: ")
    );
}
