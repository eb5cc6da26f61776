//! Whole runs of the program, and what they leave behind.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;

use mnist_app::experiment::Experiment;
use mnist_app::statistics::wilson_interval;
use serde_json::Value;
use tensor::simd::Level;

use crate::common::{
    assert_close, names, objects, run_in, small_data, succeeds, text, train_small,
};
use crate::disk_and_terminal::run_unread;

const METRICS: [&str; 10] = [
    "epoch",
    "train_error",
    "train_seconds",
    "samples_per_second",
    "test_error",
    "test_correct",
    "test_total",
    "learning_rate",
    "weights_sha256",
    "receipt",
];

#[test]
fn a_run_leaves_its_folder_behind_and_nothing_else() {
    let here = tempfile::tempdir().unwrap();
    let line = "--quiet --epochs 2 --seed 3 --threads 1 --out run";
    let line = format!("train --preset notebook --data {} {line}", small_data().display());
    let printed = succeeds(here.path(), &line);
    assert!(printed.contains("\nreport: run/report.html\n"), "{printed}");
    assert!(printed.contains(" 1/2, error=") && printed.contains(" 2/2, error="), "{printed}");
    assert_eq!(printed.matches("pred: ").count(), 20, "{printed}");
    assert!(printed.contains("mean error of these 20="), "{printed}");
    assert!(printed.contains("of 100 test images right"), "{printed}");
    assert_eq!(names(here.path()), ["run"]);
    let run = here.path().join("run");
    assert_eq!(
        names(&run),
        [
            "checkpoint",
            "config.toml",
            "metrics.jsonl",
            "model.safetensors",
            "report.html",
            "summary.json"
        ]
    );
    let lines = metrics(&run);
    assert_eq!(lines.len(), 2);
    for line in &lines {
        let keys: Vec<_> = line.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys.len(), METRICS.len());
        METRICS.iter().for_each(|key| assert!(keys.iter().any(|k| k == key), "{key}: {line}"));
        assert_eq!(line["test_total"], 100);
    }
    let summary: Value = serde_json::from_str(&read(&run, "summary.json")).unwrap();
    METRICS.iter().for_each(|key| assert_eq!(summary[key], lines[1][key], "{key}"));
    assert_eq!(summary["threads"], 1);
    assert_eq!(summary["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(summary["simd"], Level::best().name());
    assert!(summary["wall_seconds"].as_f64() > lines[1]["train_seconds"].as_f64());
    let correct = lines[1]["test_correct"].as_f64().unwrap();
    assert_eq!(summary["test_accuracy"].as_f64().unwrap(), correct / 100.0);
    let interval = wilson_interval(correct as usize, 100);
    (0..2).for_each(|end| assert_close(&summary["test_accuracy_interval"][end], interval[end]));
    let [low, high] = interval.map(|end| 100.0 * end);
    let shown = format!("({correct}.00 %), 95 % interval {low:.2} to {high:.2} %\n");
    assert!(printed.contains(&shown), "{shown}: {printed}");
    let errors: Vec<_> = summary["test_error_20"].as_array().unwrap().iter().collect();
    let mean = errors.iter().map(|e| e.as_f64().unwrap()).sum::<f64>() / 20.0;
    assert_eq!(errors.len(), 20);
    assert!((summary["test_error_20_mean"].as_f64().unwrap() - mean).abs() < 1e-12);
}

#[test]
fn a_run_can_be_done_again_from_its_own_config() {
    let here = tempfile::tempdir().unwrap();
    train_small(here.path(), "--preset notebook-tuned --epochs 1 --seed 9 --out first");
    train_small(here.path(), "--config first/config.toml --out second");
    let [first, second] = ["first", "second"].map(|run| here.path().join(run));
    assert_eq!(read(&first, "config.toml"), read(&second, "config.toml"));
    assert_eq!(digest(&first), digest(&second));
    let model = |run: &Path| fs::read(run.join("model.safetensors")).unwrap();
    assert!(model(&first) == model(&second), "the models differ");
}

#[test]
fn neither_vector_instructions_nor_threads_change_a_bit_of_any_preset() {
    let here = tempfile::tempdir().unwrap();
    for preset in mnist_app::presets::names() {
        // The portable level emulates each multiply-add, which takes minutes for the large networks,
        // whose tiles tensor's own tests compare on all levels.
        let is_large = ["accurate", "committee"].contains(&preset);
        // One member for each network is enough.
        let mut experiment = mnist_app::presets::experiment(preset).unwrap();
        let networks = experiment.networks.all().len();
        experiment.committee = experiment.committee.and(NonZeroUsize::new(networks));
        let config = here.path().join(format!("{preset}.toml"));
        fs::write(&config, experiment.to_toml().unwrap()).unwrap();
        let levels = Level::available().filter(|&level| !is_large || level != Level::Portable);
        let runs: Vec<_> = levels.map(|level| (level, "1")).chain([(Level::best(), "2")]).collect();
        // Two shards, the last one not full.
        let digests = runs.iter().map(|(level, threads)| {
            let run = here.path().join(format!("{preset}-{level}-{threads}"));
            let output = Command::new(env!("CARGO_BIN_EXE_mnist-app"))
                .args(["train", "--epochs", "2", "--train-limit", "25"])
                .args(["--test-limit", "20", "--threads", threads, "--data"])
                .arg(small_data())
                .arg("--config")
                .arg(&config)
                .arg("--out")
                .arg(&run)
                .env("ASTERISM_SIMD", level.name())
                .output()
                .unwrap();
            assert!(output.status.success(), "{preset}, {level}: {}", text(&output.stderr));
            let summary: Value = serde_json::from_str(&read(&run, "summary.json")).unwrap();
            assert_eq!(summary["simd"], level.name());
            summary["weights_sha256"].clone()
        });
        let digests: Vec<_> = digests.collect();
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{preset}: {digests:?}");
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let here = tempfile::tempdir().unwrap();
    for (name, flags) in [
        ("sharded", "--preset notebook-tuned --epochs 2 --batch-size 32 --shard-size 8"),
        ("single", "--epochs 1 --train-limit 50"),
        ("double", "--epochs 1 --train-limit 50 --precision f64"),
    ] {
        let mut seen = Vec::new();
        for threads in [1, 2, 3] {
            let run = format!("{name}-{threads}");
            train_small(here.path(), &format!("{flags} --threads {threads} --out {run}"));
            let run = here.path().join(run);
            let mut lines = metrics(&run);
            for line in &mut lines {
                let line = line.as_object_mut().unwrap();
                line.remove("train_seconds");
                line.remove("samples_per_second");
            }
            seen.push(lines);
        }
        assert_eq!(seen[0], seen[1], "{name}");
        assert_eq!(seen[0], seen[2], "{name}");
    }
}

#[test]
fn the_shard_size_is_part_of_the_arithmetic_and_the_seed_of_the_start() {
    let here = tempfile::tempdir().unwrap();
    let digest = |run: &str, flags: &str| {
        let flags = format!("--preset notebook-tuned --epochs 1 {flags} --out {run}");
        train_small(here.path(), &flags);
        digest(&here.path().join(run))
    };
    let first = digest("a", "--batch-size 32 --shard-size 8");
    assert_ne!(first, digest("b", "--batch-size 32 --shard-size 4"));
    assert_ne!(first, digest("c", "--batch-size 32 --shard-size 8 --seed 1"));
}

#[test]
fn json_prints_the_lines_of_the_metrics_and_nothing_else() {
    let here = tempfile::tempdir().unwrap();
    let printed = train_small(here.path(), "--json --epochs 2 --train-limit 20 --out run");
    assert_eq!(printed, read(&here.path().join("run"), "metrics.jsonl"));
}

#[test]
fn the_target_ends_a_run_at_the_first_epoch_that_reaches_it() {
    let here = tempfile::tempdir().unwrap();
    let flags = "--preset notebook-tuned --epochs 40 --target-accuracy 0.5 --out run";
    train_small(here.path(), flags);
    let accuracy: Vec<_> = metrics(&here.path().join("run"))
        .iter()
        .map(|line| line["test_correct"].as_f64().unwrap() / 100.0)
        .collect();
    let (last, before) = accuracy.split_last().unwrap();
    assert!(accuracy.len() < 40 && *last >= 0.5, "{accuracy:?}");
    assert!(before.iter().all(|&accuracy| accuracy < 0.5), "{accuracy:?}");
}

#[test]
fn runs_without_a_name_are_numbered() {
    let here = tempfile::tempdir().unwrap();
    let flags = "--epochs 1 --train-limit 1 --seed 5";
    for number in [1, 2] {
        let printed = train_small(here.path(), flags);
        let folder = Path::new("runs").join(format!("notebook-5-{number}"));
        assert!(printed.contains(&format!("run: {}", folder.display())), "{printed}");
        assert!(here.path().join(folder).join("summary.json").is_file());
    }
}

#[test]
fn a_model_is_enough_to_evaluate_it_and_to_go_on_from_it() {
    let here = tempfile::tempdir().unwrap();
    for precision in ["f32", "f64"] {
        let run = format!("run-{precision}");
        let flags = format!("--preset notebook-tuned --epochs 3 --precision {precision}");
        train_small(here.path(), &format!("{flags} --out {run}"));
        let model = format!("{run}/model.safetensors");
        let output = run_in(here.path(), &[&"evaluate", &model, &"--data", &small_data()]);
        let (printed, complaint) = (text(&output.stdout), text(&output.stderr));
        let line = metrics(&here.path().join(&run)).pop().unwrap();
        let (correct, error) = (&line["test_correct"], line["test_error"].as_f64().unwrap());
        let expected = format!("{correct} of 100 test images right ({correct}.00 %), ");
        assert!(printed.starts_with(&expected), "{printed}{complaint}");
        assert!(printed.contains(&format!("mean binary cross-entropy {error:.4}\n")), "{printed}");
        // These 100 are uneven.
        assert!(printed.contains("\nbalanced accuracy "), "{printed}");
        assert_eq!(printed.lines().count(), 13, "{printed}");
        let again = format!("again-{precision}");
        // With a rate of 0 the weights stay what they are.
        let flags = format!("--epochs 1 --precision {precision} --init {model}");
        train_small(here.path(), &format!("{flags} --learning-rate 0 --out {again}"));
        assert_eq!(digest(&here.path().join(again)), digest(&here.path().join(run)));
    }
}

#[test]
fn a_closed_pipe_ends_the_printing_and_not_the_run() {
    let here = tempfile::tempdir().unwrap();
    let data = small_data().display();
    let line = format!(
        "train --preset notebook --quiet --epochs 2 --train-limit 20 --out run --data {data}"
    );
    let output = run_unread(here.path(), &line);
    // Who stopped reading is told by the status alone.
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    assert_eq!(metrics(&here.path().join("run")).len(), 2);
}

#[test]
fn presets_are_listed_and_printed_as_experiments() {
    let here = tempfile::tempdir().unwrap();
    let listed = text(&run_in(here.path(), &[&"presets"]).stdout);
    let names: Vec<_> =
        listed.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names, mnist_app::presets::names().collect::<Vec<_>>());
    for name in names {
        let printed = text(&run_in(here.path(), &[&"presets", &name]).stdout);
        assert_eq!(Experiment::parse(&printed).unwrap().name, name);
    }
}

#[test]
fn help_versions_completions_and_the_manual_are_printed() {
    let here = tempfile::tempdir().unwrap();
    let help = succeeds(here.path(), "--help");
    assert_eq!(succeeds(here.path(), ""), help);
    assert!(succeeds(here.path(), "--version").starts_with("mnist-app "));
    let manual = succeeds(here.path(), "manual");
    for command in help.lines().filter_map(|line| line.strip_prefix("  ")) {
        let Some(name) = command.split_whitespace().next().filter(|_| !command.starts_with(' '))
        else {
            continue;
        };
        if name.chars().all(|letter| letter.is_ascii_lowercase()) && name != "help" {
            assert!(succeeds(here.path(), &format!("{name} --help")).contains("Usage: mnist-app"));
            let title = format!("MNIST-APP {}", name.to_uppercase());
            assert!(manual.contains(&title), "{title}");
        }
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = succeeds(here.path(), &format!("completions {shell}"));
        assert!(script.contains("learning-rate"), "{shell}");
    }
}

fn read(run: &Path, name: &str) -> String {
    fs::read_to_string(run.join(name)).unwrap()
}

fn metrics(run: &Path) -> Vec<Value> {
    let lines = read(run, "metrics.jsonl");
    assert!(lines.ends_with('\n'));
    objects(&lines)
}

/// Of the weights after the last epoch.
fn digest(run: &Path) -> String {
    metrics(run).pop().unwrap()["weights_sha256"].as_str().unwrap().to_owned()
}
