//! `show` and the sheet of `evaluate --mistakes`: pictures of data, models and runs.

use std::fs;
use std::io::BufReader;
use std::path::Path;
use std::process::Command;

use mnist_app::dataset::{DataSource, Part};
use mnist_app::model::Model;
use mnist_app::preprocessing::Form;

use crate::common::{names, run_line, small_data, succeeds, text, train_small};
use crate::own_images::{Images, config};

/// Lines that a terminal of 80 columns shows as they are, in plain characters.
#[track_caller]
fn assert_plain(shown: &str) {
    assert!(!shown.contains('\x1b'), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 79), "{shown}");
}

/// A folder of pictures in colour, of three classes, and a run of three epochs on them.
fn run_in_colour(folder: &Path, classes: &[&str; 3]) {
    for (part, count) in [("train", 30), ("test", 12)] {
        Images::new([3, 8, 9], 3, count).write_png(&folder.join("data").join(part), classes);
    }
    fs::write(folder.join("own.toml"), config([3, 8, 9], 3)).unwrap();
    let line = "train --config own.toml --data data --epochs 1 --learning-rate 0.0001 --quiet";
    succeeds(folder, &format!("{line} --out run"));
}

/// The height and width of a PNG file.
fn size_of(file: &Path) -> (u32, u32) {
    let file = BufReader::new(fs::File::open(file).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    reader.finish().unwrap();
    (frame.height, frame.width)
}

#[test]
fn the_digits_in_the_program_have_samples_of_each_class() {
    let here = tempfile::tempdir().unwrap();
    let shown = succeeds(here.path(), "show mnist");
    assert_plain(&shown);
    assert!(shown.starts_with("MNIST (built in): 70000 images of 28×28 grey pixels"), "{shown}");
    for counts in ["5923 + 980", "5949 + 1009"] {
        assert!(shown.contains(counts), "{counts}: {shown}");
    }
    // A folder of that name is meant where there is one.
    fs::create_dir(here.path().join("mnist")).unwrap();
    assert!(!run_line(here.path(), "show mnist").status.success());
}

#[test]
fn a_run_shows_curves_kernels_maps_and_mistakes() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, "--preset fast --epochs 2 --out run");
    let shown = succeeds(path, "show run");
    assert_plain(&shown);
    for part in [
        "run: fast, seed 1, 2 of 2 epochs",
        "error, mean softmax cross-entropy: + training",
        "accuracy in %: o test",
        "layer 0, Conv2d 8 kernels 5×5, 0.weight: −",
        "layer 3, Conv2d 16 kernels 5×5, 3.weight: −",
        "test image 0, which shows 7: answer ",
        "maps of 24×24",
        "of 100 test images: what each shows",
    ] {
        assert!(shown.contains(part), "{part:?}: {shown}");
    }
    let only = succeeds(path, "show run --what mistakes,curves --quiet");
    assert!(only.starts_with("run: fast") && only.contains("mistakes: "), "{only}");
    assert!(!only.contains("kernels"), "{only}");

    // The model alone does not say where its data are.
    let output = run_line(path, "show run/model.safetensors");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("kernels"), "{}", text(&output.stdout));
    let note = text(&output.stderr);
    assert!(note.starts_with("maps and mistakes: left out: ") && note.contains("--data"), "{note}");
    let data = small_data().display();
    let line = format!("show run/model.safetensors --data {data} --sample train:3 --what maps");
    let shown = succeeds(path, &line);
    assert!(shown.contains("training image 3, which shows 1: answer "), "{shown}");
}

#[test]
fn the_first_mistake_is_the_surest() {
    let here = tempfile::tempdir().unwrap();
    train_small(here.path(), "--preset fast --epochs 1 --out run");
    let model = Model::open(&here.path().join("run")).unwrap();
    let data = DataSource::At(small_data().to_owned());
    let samples = model.fit(data.load(Part::Test, &Form::default()).unwrap()).unwrap();
    let evaluation = model.evaluate(&samples).unwrap();
    let mut surest = (0.0, 0);
    for (index, row) in evaluation.outputs.chunks_exact(10).enumerate() {
        let predicted = usize::from(evaluation.predictions[index].unwrap());
        let sum: f64 = row.iter().map(|output| output.exp()).sum();
        let probability = row[predicted].exp() / sum;
        if predicted != usize::from(samples.labels()[index]) && probability > surest.0 {
            surest = (probability, index);
        }
    }
    let shown = succeeds(here.path(), "show run --what mistakes");
    let first = shown.split_whitespace().find(|word| word.starts_with("test:")).unwrap();
    assert_eq!(first, format!("test:{}", surest.1), "{shown}");
    assert!(shown.contains(&format!("{:.2} %", 100.0 * surest.0)), "{surest:?}: {shown}");
}

#[test]
fn pictures_in_colour_of_classes_with_any_names() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    run_in_colour(path, &["Zürich", "кот", "猫"]);
    let shown = succeeds(path, "show data");
    assert!(shown.contains("8×9 colour pixels, 30 for training and 12 for testing"), "{shown}");
    assert!(shown.contains("кот") && shown.contains("10 + 4"), "{shown}");
    let shown = succeeds(path, "show run");
    let words: Vec<_> = shown.split_whitespace().collect();
    let words = words.join(" ");
    assert!(words.contains("4 kernels, in each 3 channels"), "{shown}");
    assert!(words.contains(" of 12 test images") && words.contains("猫 as кот"), "{shown}");

    let output = run_line(path, "evaluate run --mistakes sheet.png --json");
    let note = text(&output.stderr);
    assert!(note.contains("names of 2 of 3 classes") && note.contains("sheet.png: "), "{note}");
    assert_eq!(text(&output.stdout).lines().count(), 1);
    let (height, width) = size_of(&path.join("sheet.png"));
    assert!(height > 100 && width > 100, "{height} {width}");

    // A picture of one's own, of the size and colours that the network takes.
    let first = "data/test/кот/001.png";
    let shown = succeeds(path, &format!("show run --what maps --sample {first}"));
    assert!(shown.contains(&format!("{first}: answer ")), "{shown}");
    // Another is brought to them.
    Images::new([1, 16, 20], 1, 1).write_png(path, &["."]);
    let shown = succeeds(path, "show run --what maps --sample 000.png");
    assert!(shown.contains("000.png: answer "), "{shown}");
}

#[test]
fn a_committee_shows_a_member_and_the_mistakes_of_its_vote() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let preset = succeeds(path, "presets tiny");
    fs::write(path.join("two.toml"), format!("committee = 2\n{preset}")).unwrap();
    train_small(path, "--config two.toml --epochs 1 --out run");
    let shown = succeeds(path, "show run --member 2");
    assert!(shown.contains(" 2 of 2 members") && shown.contains("kernels, of member 2 of 2"));
    assert!(shown.contains("by the vote of 2"), "{shown}");
    let first = succeeds(path, "show run --what kernels");
    assert_ne!(first, succeeds(path, "show run --what kernels --member 2"));
    let output = run_line(path, "show run --member 3");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));

    let said = succeeds(path, "evaluate run --mistakes vote.png");
    assert!(said.trim_end().ends_with("mistakes, of 100 test images"), "{said}");
    succeeds(path, "evaluate run/member-1 run/member-2 --mistakes both.png --quiet");
    assert_eq!(size_of(&path.join("vote.png")), size_of(&path.join("both.png")));
}

#[test]
fn a_run_that_has_not_ended_has_its_curves() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, "--preset tiny --epochs 2 --out run");
    for file in ["model.safetensors", "summary.json"] {
        fs::remove_file(path.join("run").join(file)).unwrap();
    }
    let metrics = path.join("run/metrics.jsonl");
    let lines = fs::read_to_string(&metrics).unwrap();
    fs::write(&metrics, &lines[..lines.len() - 9]).unwrap();
    let output = run_line(path, "show run");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("run: tiny, seed 1, 1 of 2 epochs"));
    let notes = text(&output.stderr);
    assert!(notes.contains("kernels, maps and mistakes: left out: model run"), "{notes}");
    assert_eq!(run_line(path, "show run --what kernels").status.code(), Some(1));
    fs::remove_file(&metrics).unwrap();
    assert!(succeeds(path, "show run --what curves").contains("0 of 2 epochs"));
}

#[test]
fn what_cannot_be_shown_is_refused_in_a_line() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, "--preset tiny --epochs 1 --out run");
    for (line, status, part) in [
        ("show", 2, "expected DATA or MODEL or RUN, found nothing; DATA|MODEL|RUN: a folder of"),
        ("show nowhere", 1, "nowhere: expected a folder of images, a model.safetensors or"),
        ("show mnist --what kernels", 2, "--what: expected one of samples, found kernels"),
        ("show mnist --what pictures", 2, "samples, curves, kernels, maps, mistakes, found"),
        ("show mnist --sample test:1", 2, "--sample: expected it with maps; mnist is data"),
        ("show run --what samples", 2, "expected one of curves, kernels, maps, mistakes, found"),
        ("show run --what curves --member 1", 2, "--member: expected it with kernels or maps"),
        (
            "show run --sample test:x",
            2,
            "--sample: expected test:N, validation:N or train:N, counted from 0",
        ),
        ("show run --sample test:100", 1, "test:100: expected a test image from 0 to 99"),
        ("show run --sample no.png", 1, "no.png: "),
        ("evaluate run --mistakes a.jpg", 2, "--mistakes: expected a file whose name ends with"),
        ("evaluate run --mistakes no/a.png", 1, "--mistakes no/a.png: expected a folder that is"),
    ] {
        let output = run_line(path, line);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{line}: {error}");
        assert_eq!(error.lines().count(), 1, "{line}: {error}");
        assert!(error.contains(part), "{line}: {error}");
    }
    assert_eq!(names(path), ["run"]);
}

/// What the program prints for `line` in a terminal of 100 columns, if there is the tool `script`.
#[cfg(target_os = "linux")]
fn in_a_terminal(folder: &Path, line: &str, set: &[(&str, &str)]) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_mnist-app");
    let inner = format!("stty cols 100 rows 50; {program} {line}");
    let mut command = Command::new("script");
    command.args(["-qec", &inner, "/dev/null"]).current_dir(folder);
    for name in ["NO_COLOR", "COLORTERM"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm-256color").envs(set.iter().copied());
    let output = command.stdin(std::process::Stdio::null()).output().ok()?;
    output.status.success().then(|| text(&output.stdout))
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_the_colours_that_it_has() {
    let here = tempfile::tempdir().unwrap();
    let show = |set| in_a_terminal(here.path(), "show mnist --quiet", set);
    let Some(full) = show(&[("COLORTERM", "truecolor")]) else { return };
    assert!(full.contains("\x1b[38;2;0;0;0;48;2;0;0;0m▀"), "{full}");
    let palette = show(&[]).unwrap();
    assert!(palette.contains("\x1b[38;5;16;48;5;16m▀"), "{palette}");
    for plain in [&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")][..], &[("TERM", "dumb")]] {
        let plain = show(plain).unwrap();
        assert!(!plain.contains('\x1b') && plain.contains('@'), "{plain}");
    }
    // Five pictures stand side by side.
    let blocks = full.lines().find(|line| line.contains('▀')).unwrap();
    assert_eq!(blocks.matches('▀').count(), 5 * 18, "{blocks}");
}
