//! Whatever experiment somebody writes down: `train`, `inspect` and `profile` end in a result or
//! in an error that says why not. Nothing panics.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use layers::random::{Purpose, Stream};

use crate::common::{idx, run_line, text};

/// What an experiment is drawn from.
struct Draws(Stream);

impl Draws {
    fn one<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.0.below(all.len())]
    }

    /// A size, mostly one that makes sense.
    fn size(&mut self) -> u64 {
        let huge = [0, 1 << 31, (1 << 32) + 1, 1 << 62, (1 << 63) - 1];
        if self.0.below(50) == 0 { self.one(&huge) } else { self.one(&[1, 1, 2, 2, 3, 3, 4, 5, 8]) }
    }

    fn layer(&mut self, depth: usize) -> String {
        let [a, b, c] = [self.size(), self.size(), self.size()];
        let padding = self.one(&["\"valid\"", "\"same\"", "1", "[0, 2]", "[[0, 1], [2, 0]]"]);
        let bias = self.one(&["none", "per_channel", "untied"]);
        let stride = self.one(&[1, 1, 1, 2, 3, 100_000, 1 << 31]);
        let kind = self.one(&[
            "conv2d",
            "conv_transpose2d",
            "max_pool2d",
            "avg_pool2d",
            "dense",
            "dropout",
            "",
            "",
            "residual",
        ]);
        let rest = match kind {
            "conv2d" => format!(
                "kernels = {a}, size = [{b}, {c}], padding = {padding}, stride = {stride}, \
                 dilation = {}, groups = {}, bias = \"{bias}\"",
                self.one(&[1, 1, 2]),
                self.one(&[1, 1, 1, 2])
            ),
            "conv_transpose2d" => {
                format!("kernels = {a}, size = [{b}, {c}], padding = {padding}, stride = {stride}")
            }
            "max_pool2d" | "avg_pool2d" => format!(
                "size = [{b}, {c}], stride = {stride}, padding = {padding}, ceil_mode = {}",
                self.one(&[true, false])
            ),
            "dense" => format!("outputs = {a}"),
            "dropout" => "p = 0.2".into(),
            "residual" if depth < 2 => format!("layers = [{}]", self.layers(2, depth + 1)),
            _ => {
                let plain = self.one(&[
                    "global_avg_pool2d",
                    "batch_norm2d",
                    "sigmoid",
                    "tanh",
                    "relu",
                    "leaky_relu",
                    "gelu",
                    "silu",
                    "elu",
                    "softplus",
                    "hard_swish",
                    "layer_norm",
                    "softmax",
                    "flatten",
                    "reshape",
                ]);
                return format!("{{ type = \"{plain}\" }}");
            }
        };
        format!("{{ type = \"{kind}\", {rest} }}")
    }

    fn layers(&mut self, most: usize, depth: usize) -> String {
        let layers: Vec<_> = (0..=self.0.below(most)).map(|_| self.layer(depth)).collect();
        layers.join(", ")
    }

    fn experiment(&mut self) -> String {
        let mut text = String::from("epochs = 1\nshuffle = true\nlearning_rate = 0.01\n");
        let loss = self.one(&[
            "\"mean_squared_error\"",
            "\"binary_cross_entropy\"",
            "\"binary_cross_entropy_with_logits\"",
            "{ type = \"softmax_cross_entropy\", label_smoothing = 0.1 }",
            "{ type = \"softmax_cross_entropy\", class_weights = [1, 0.5, 2] }",
            "{ type = \"binary_cross_entropy\", class_weights = [0, 0.5, 2] }",
            "\"huber\"",
        ]);
        let optimizer = self.one(&[
            "\"sgd\"",
            "\"adam\"",
            "{ type = \"sgd\", momentum = 0.9 }",
            "{ type = \"rmsprop\", momentum = 0.5 }",
            "\"lion\"",
        ]);
        let [batch, shard] = [self.one(&[1, 2, 5, 12]), self.one(&[1, 2, 3, 40])];
        let (precision, seed) = (self.one(&["f32", "f64"]), self.size());
        let _ = write!(
            text,
            "batch_size = {batch}\nshard_size = {shard}\nloss = {loss}\noptimizer = {optimizer}\n\
             init = \"he\"\nprecision = \"{precision}\"\nseed = {seed}\n\
             [network]\ninput = [1, 7, 6]\nlayers = ["
        );
        // Most end as they must.
        let end = ", { type = \"flatten\" }, { type = \"dense\", outputs = 3 }";
        text + &self.layers(4, 0) + self.one(&[end, end, end, ""]) + "]\n"
    }
}

/// Images of three classes, for training and for testing.
fn write_data(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for (prefix, count) in [("train", 12_u8), ("t10k", 6)] {
        let pixels: Vec<_> = (0..usize::from(count) * 42).map(|at| (at * 37 % 251) as u8).collect();
        let labels: Vec<_> = (0..count).map(|index| index % 3).collect();
        let images = idx(&[count.into(), 7, 6], &pixels);
        fs::write(folder.join(format!("{prefix}-images-idx3-ubyte")), images).unwrap();
        let labels = idx(&[count.into()], &labels);
        fs::write(folder.join(format!("{prefix}-labels-idx1-ubyte")), labels).unwrap();
    }
}

/// Runs the program; whether it succeeded. If not, it says why, in a line or beside the table of
/// the layers.
fn ends_well(folder: &Path, line: &str, experiment: &str) -> bool {
    let output = run_line(folder, line);
    let complaint = text(&output.stderr);
    match output.status.code() {
        Some(0) => true,
        Some(1 | 2) => {
            let lines = complaint.lines().count();
            let is_told = complaint.contains("does not fit") || lines == 1;
            assert!(complaint.starts_with("error: ") && is_told, "{line}: {complaint}{experiment}");
            false
        }
        _ => panic!("{line}: {:?} {complaint}{experiment}", output.status),
    }
}

#[test]
fn random_experiments_end_in_a_result_or_in_an_error() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    write_data(&path.join("data"));
    let mut draws = Draws(Stream::new(3, Purpose::Shuffle, 0));
    let (mut trained, mut profiled) = (0, 0);
    for index in 0..24 {
        let experiment = draws.experiment();
        let threads = draws.one(&[1, 2, 3]);
        fs::write(path.join("mine.toml"), &experiment).unwrap();
        let profile = format!("profile --config mine.toml --repetitions 1 --threads {threads}");
        profiled += usize::from(ends_well(path, &profile, &experiment));
        let train = format!(
            "train --config mine.toml --data data --quiet --out {index} --threads {threads}"
        );
        if ends_well(path, &train, &experiment) {
            trained += 1;
            let inspect = format!("inspect {index} --data data --samples 4");
            assert!(ends_well(path, &inspect, &experiment), "{experiment}");
        }
    }
    assert!(trained > 3 && profiled > 3, "{trained} trained, {profiled} profiled");
}

#[test]
fn a_network_without_parameters_is_trained_and_profiled() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    write_data(&path.join("data"));
    let experiment = "epochs = 2\nbatch_size = 6\nshard_size = 2\nshuffle = false\n\
        learning_rate = 0.1\nloss = \"mean_squared_error\"\ninit = \"he\"\n\
        [network]\ninput = [1, 7, 6]\nlayers = [{ type = \"avg_pool2d\", size = [7, 2] }, \
        { type = \"flatten\" }]\n";
    fs::write(path.join("mine.toml"), experiment).unwrap();
    for line in [
        "train --config mine.toml --data data --quiet --out run",
        "profile --config mine.toml --repetitions 1",
        "inspect run --data data --samples 4",
    ] {
        assert!(
            ends_well(path, line, experiment),
            "{line}: {}",
            text(&run_line(path, line).stderr)
        );
    }
}
