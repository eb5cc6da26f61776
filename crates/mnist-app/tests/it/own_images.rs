//! Runs on data sets that are not MNIST: IDX files and folders of PNG images.

use std::fs;
use std::path::Path;

use crate::common::{idx, run_line, succeeds, summary, text, write_png};

/// Images of one size, each with its label.
#[derive(Clone)]
pub(crate) struct Images {
    /// Channels, height, width.
    shape: [usize; 3],
    pub(crate) samples: Vec<(Vec<u8>, u8)>,
}

impl Images {
    /// The classes take turns; an image shows its class as a bright column, in colour in
    /// the channel that comes next.
    pub(crate) fn new(shape: [usize; 3], classes: usize, count: usize) -> Self {
        let [channels, height, width] = shape;
        let mut noise = 1_u32;
        let samples = (0..count).map(|index| {
            let label = index % classes;
            let pixels = (0..channels * height * width).map(|at| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (channel, column) = (at / (height * width), at % width);
                let bright = column == label % width && channel == label % channels;
                (noise >> 26) as u8 + if bright { 192 } else { 0 }
            });
            (pixels.collect(), label as u8)
        });
        Self { shape, samples: samples.collect() }
    }

    /// As `PREFIX-images-idx3-ubyte` or, in colour, `-idx4-ubyte`.
    pub(crate) fn write_idx(&self, folder: &Path, prefix: &str) {
        let [channels, height, width] = self.shape.map(|size| size as u32);
        let count = self.samples.len() as u32;
        let (kind, sizes) = match channels {
            1 => ("idx3", vec![count, height, width]),
            _ => ("idx4", vec![count, channels, height, width]),
        };
        let pixels: Vec<u8> = self.samples.iter().flat_map(|(image, _)| image.clone()).collect();
        let labels: Vec<u8> = self.samples.iter().map(|&(_, label)| label).collect();
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(format!("{prefix}-images-{kind}-ubyte")), idx(&sizes, &pixels))
            .unwrap();
        fs::write(folder.join(format!("{prefix}-labels-idx1-ubyte")), idx(&[count], &labels))
            .unwrap();
    }

    /// As `NAME/NUMBER.png`.
    pub(crate) fn write_png(&self, folder: &Path, names: &[&str]) {
        for (index, (image, label)) in self.samples.iter().enumerate() {
            let class = folder.join(names[usize::from(*label)]);
            fs::create_dir_all(&class).unwrap();
            write_png(&class.join(format!("{index:03}.png")), self.shape, image);
        }
    }
}

/// An experiment for images of this shape and so many classes.
pub(crate) fn config(shape: [usize; 3], classes: usize) -> String {
    format!(
        "epochs = 8\nbatch_size = 5\nshard_size = 2\nshuffle = true\nlearning_rate = 0.01\n\
         loss = \"softmax_cross_entropy\"\noptimizer = {{ type = \"adam\" }}\ninit = \"he\"\n\
         [network]\ninput = {shape:?}\nlayers = [\n\
         {{ type = \"conv2d\", kernels = 4, size = 5, padding = \"same\" }},\n\
         {{ type = \"relu\" }},\n{{ type = \"flatten\" }},\n\
         {{ type = \"dense\", outputs = {classes} }},\n]\n"
    )
}

#[track_caller]
fn fails(folder: &Path, line: &str, parts: &[&str]) {
    let output = run_line(folder, line);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{line}: {complaint}");
    assert_eq!(complaint.lines().count(), 1, "{line}: {complaint}");
    for part in parts {
        assert!(complaint.contains(part), "{line}: expected {part:?} in {complaint}");
    }
}

const NAMES: [&str; 3] = ["ant", "bee", "cow"];

#[test]
fn png_folders_and_idx_files_of_the_same_images_train_the_same_weights() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    for shape in [[1, 7, 6], [3, 4, 4]] {
        let (train, test) = (Images::new(shape, 3, 33), Images::new(shape, 3, 12));
        let data = format!("{}", shape[0]);
        train.write_idx(&path.join(&data).join("idx"), "train");
        test.write_idx(&path.join(&data).join("idx"), "t10k");
        train.write_png(&path.join(&data).join("png/train"), &NAMES);
        test.write_png(&path.join(&data).join("png/test"), &NAMES);
        fs::write(path.join("mine.toml"), config(shape, 3)).unwrap();
        let mut digests = Vec::new();
        for kind in ["idx", "png"] {
            let run = format!("run-{data}-{kind}");
            succeeds(
                path,
                &format!("train --config mine.toml --data {data}/{kind} --out {run} --threads 2"),
            );
            let summary = summary(path, &run);
            assert_eq!(summary["test_total"], 12);
            assert_eq!(summary["test_correct"], 12, "{summary}");
            digests.push(summary["weights_sha256"].clone());
        }
        assert_eq!(digests[0], digests[1], "{shape:?}");
    }
}

#[test]
fn an_experiment_may_name_its_images() {
    let here = tempfile::tempdir().unwrap();
    let (path, shape) = (here.path(), [1, 6, 5]);
    let images = Images::new(shape, 3, 12);
    images.write_idx(&path.join("mine/images"), "train");
    images.write_idx(&path.join("mine/images"), "t10k");
    // From the file's folder on, wherever the program runs.
    let text = format!("data = \"images\"\n{}", config(shape, 3));
    fs::write(path.join("mine/mine.toml"), text).unwrap();
    succeeds(path, "train --config mine/mine.toml --out one");
    // A run says what it was trained on, and can be trained again from what it says.
    succeeds(path, "train --config one/config.toml --out two");
    fs::rename(path.join("mine/images"), path.join("moved")).unwrap();
    let place = format!("data = {}", path.join("mine/images").display());
    fails(path, "train --config one/config.toml --out three", &[&place, "no such folder"]);
    fails(path, "inspect --config mine/mine.toml", &["no such folder"]);
    succeeds(path, "train --config one/config.toml --data moved --out three");
    let moved = format!("data = {:?}", path.join("moved").display().to_string());
    let written = fs::read_to_string(path.join("three/config.toml")).unwrap();
    assert!(written.contains(&moved), "{written}");
    let digest = |run| summary(path, run)["weights_sha256"].clone();
    assert!([digest("two"), digest("three")].iter().all(|other| *other == digest("one")));
}

#[test]
fn a_model_keeps_the_names_of_its_classes() {
    let here = tempfile::tempdir().unwrap();
    let (path, shape) = (here.path(), [3, 6, 6]);
    Images::new(shape, 3, 30).write_png(&path.join("data/train"), &NAMES);
    Images::new(shape, 3, 9).write_png(&path.join("data/test"), &NAMES);
    fs::write(path.join("mine.toml"), config(shape, 3)).unwrap();
    let printed = succeeds(path, "train --config mine.toml --data data --out run");
    assert!(printed.contains("right by class: ant: 3 of 3, bee: 3 of 3, cow: 3 of 3"), "{printed}");
    // Of one class there is no image any more; the others keep their labels.
    fs::remove_dir_all(path.join("data/train")).unwrap();
    fs::remove_dir_all(path.join("data/test/ant")).unwrap();
    let model = "run/model.safetensors";
    let printed = succeeds(path, &format!("evaluate {model} --data data"));
    assert!(printed.contains("6 of 6 test images right"), "{printed}");
    assert!(printed.starts_with("other data: the test images of data (sha256 "), "{printed}");
    let rows: Vec<Vec<_>> =
        printed.lines().skip(2).map(|line| line.split_whitespace().collect()).collect();
    let head = ["class", "images", "right", "taken", "for", "ant", "bee", "cow"];
    assert_eq!(rows[0], head, "{printed}");
    assert_eq!(rows[2], ["bee", "3", "3", "100.00", "%", "0", "3", "0"], "{printed}");
    fs::rename(path.join("data/test/bee"), path.join("data/test/dog")).unwrap();
    fails(path, &format!("evaluate {model} --data data"), &["ant, bee, cow", "found \"dog\""]);
}

#[test]
fn networks_that_do_not_fit_the_data_are_told_the_numbers() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let images = Images::new([3, 8, 9], 7, 14);
    images.write_png(&path.join("png/train"), &names);
    images.write_png(&path.join("png/test"), &names);
    images.write_idx(&path.join("idx"), "train");
    images.write_idx(&path.join("idx"), "t10k");
    fs::write(path.join("mine.toml"), config([1, 28, 28], 10)).unwrap();
    let input = ["mine.toml", "input = [3, 8, 9]", "8×9 colour pixels", "found (1, 28, 28)"];
    let outputs = ["outputs = 7 in the last dense layer", "found 10"];
    fails(path, "train --config mine.toml --data png", &[&input[..], &outputs].concat());
    // IDX files do not say how many classes there are, only how many at least.
    fails(path, "train --config mine.toml --data idx", &input);
    fs::write(path.join("mine.toml"), config([3, 8, 9], 10)).unwrap();
    fails(path, "train --config mine.toml --data png", &outputs);
    succeeds(path, "train --config mine.toml --data idx --out ten --epochs 1");
    fs::write(path.join("mine.toml"), config([3, 8, 9], 5)).unwrap();
    let outputs = ["outputs = 7 in", "from 0 to 6", "has 5 for sample 5", "found 5"];
    fails(path, "train --config mine.toml --data idx", &outputs);
    assert!(!path.join("runs").exists());
}

#[test]
fn many_classes() {
    let here = tempfile::tempdir().unwrap();
    let (path, shape) = (here.path(), [1, 8, 12]);
    let images = Images::new(shape, 47, 94);
    images.write_idx(&path.join("data"), "train");
    images.write_idx(&path.join("data"), "t10k");
    fs::write(path.join("mine.toml"), config(shape, 47)).unwrap();
    let printed = succeeds(path, "train --config mine.toml --data data --out run --epochs 1");
    // Only 12 columns can be bright: classes are taken for one another.
    assert!(printed.contains("least right of 47 classes: "), "{printed}");
    let printed = succeeds(path, "evaluate run/model.safetensors --data data");
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[1], "times  share of the class  what was taken for what", "{printed}");
    assert!(lines[2].contains(" taken for ") && lines.len() <= 23, "{printed}");
    let wrong = 94 - summary(path, "run")["test_correct"].as_u64().unwrap();
    let counts = lines[2..].iter().map(|line| line.split_whitespace().next().unwrap());
    assert_eq!(counts.map(|count| count.parse::<u64>().unwrap()).sum::<u64>(), wrong, "{printed}");
}

#[test]
fn small_and_odd_sets_train() {
    let here = tempfile::tempdir().unwrap();
    let (path, shape) = (here.path(), [1, 5, 4]);
    fs::write(path.join("mine.toml"), config(shape, 2)).unwrap();
    fs::write(path.join("one-class.toml"), config(shape, 1)).unwrap();
    for (name, classes, count, flags) in [
        ("odd-last-batch", 2, 7, "--config mine.toml --batch-size 3 --shard-size 2"),
        ("one-image", 1, 1, "--config mine.toml"),
        ("one-image-one-output", 1, 1, "--config one-class.toml"),
        ("one-class", 1, 9, "--config mine.toml"),
        ("one-output", 1, 9, "--config one-class.toml"),
        ("more-shards-than-samples", 2, 3, "--config mine.toml --batch-size 64 --shard-size 1"),
        ("shard-above-batch", 2, 5, "--config mine.toml --batch-size 2 --shard-size 50"),
        ("limit-above-count", 2, 4, "--config mine.toml --train-limit 9 --test-limit 9"),
    ] {
        let images = Images::new(shape, classes, count);
        images.write_idx(&path.join(name), "train");
        images.write_idx(&path.join(name), "t10k");
        let mut digests = Vec::new();
        for threads in [1, 2] {
            let run = format!("{name}-{threads}");
            succeeds(
                path,
                &format!(
                    "train {flags} --data {name} --out {run} --threads {threads} \
                     --learning-rate 0.1"
                ),
            );
            let summary = summary(path, &run);
            assert_eq!(summary["test_total"], count, "{name}");
            assert_eq!(summary["test_correct"], count, "{name}");
            assert!(summary["train_error"].is_number(), "{name}");
            digests.push(summary["weights_sha256"].clone());
        }
        assert_eq!(digests[0], digests[1], "{name}");
    }
}

#[test]
fn a_limit_keeps_images_of_all_classes() {
    let here = tempfile::tempdir().unwrap();
    // More images of the first class than of the others.
    for (class, count) in [("ant", 9), ("bee", 2), ("cow", 3)] {
        for index in 0..count {
            let folder = here.path().join("train").join(class);
            fs::create_dir_all(&folder).unwrap();
            write_png(&folder.join(format!("{index}.png")), [1, 1, 2], &[index, 0]);
        }
    }
    let samples = mnist_app::dataset::Samples::load(
        here.path(),
        mnist_app::dataset::Part::Train,
        &Default::default(),
    )
    .unwrap();
    assert_eq!(samples.labels(), [0, 1, 2, 0, 1, 2, 0, 2, 0, 0, 0, 0, 0, 0]);
    let first: Vec<_> = (0..samples.len()).map(|index| samples.image(index)[0]).collect();
    assert_eq!(first, [0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(samples.first(Some(3)).labels(), [0, 1, 2]);
}
