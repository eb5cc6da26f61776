//! What layers, losses, optimizers and augmentation may be told, from the file to the run.

use std::fs;

use mnist_app::experiment::Experiment;

use crate::bad_input::refused;
use crate::common::{small_data, succeeds, summary};

fn experiment(loss: &str, layers: &str) -> String {
    format!(
        "epochs = 1\nbatch_size = 8\nshard_size = 4\nshuffle = true\nlearning_rate = 0.001\n\
         loss = {loss}\noptimizer = {{ type = \"rmsprop\", momentum = 0.5 }}\ninit = \"he\"\n\
         [augmentation]\nshift = 1\nflip = true\n\
         [network]\ninput = [1, 28, 28]\nlayers = [\n{layers}\n]\n"
    )
}

const LAYERS: &str = r#"
    { type = "conv2d", kernels = 6, size = 3, dilation = [2, 1], stride = [2, 3], padding = [[4, 0], [1, 2]] },
    { type = "group_norm", groups = 3 },
    { type = "elu", alpha = 0.5 },
    { type = "max_pool2d", size = 3, stride = 2, padding = 1, ceil_mode = true },
    { type = "conv_transpose2d", kernels = 4, size = 3, stride = 2, padding = 1, output_padding = 1 },
    { type = "hard_swish" },
    { type = "avg_pool2d", size = 3, padding = "same", count_include_pad = false },
    { type = "layer_norm" },
    { type = "softplus" },
    { type = "flatten" },
    { type = "dense", outputs = 10 },
"#;

#[test]
fn a_run_of_all_of_them_has_the_same_bits_on_any_number_of_threads() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let weights = "class_weights = [1, 1, 2, 1, 1, 0.5, 1, 1, 1, 1]";
    let loss = format!("{{ type = \"softmax_cross_entropy\", {weights} }}");
    fs::write(path.join("all.toml"), experiment(&loss, LAYERS)).unwrap();
    let data = small_data().display();
    let train = format!("train --config all.toml --data {data} --quiet");
    for threads in [1, 3] {
        succeeds(path, &format!("{train} --threads {threads} --out {threads}"));
    }
    let [written, meant] =
        ["1/config.toml", "all.toml"].map(|file| Experiment::read(&path.join(file)).unwrap());
    assert_eq!(written.loss, meant.loss);
    assert_eq!(written.optimizer, meant.optimizer);
    let digest = |run| summary(path, run)["weights_sha256"].clone();
    assert_eq!(digest("1"), digest("3"));
    succeeds(path, &format!("evaluate 1 --data {data}"));
}

#[test]
fn class_weights_that_are_not_one_for_each_output() {
    let here = tempfile::tempdir().unwrap();
    for loss in ["softmax_cross_entropy", "binary_cross_entropy_with_logits"] {
        let table = format!("{{ type = \"{loss}\", class_weights = [1, 2, 3] }}");
        let text = experiment(&table, LAYERS);
        let line = text.lines().position(|line| line.contains("class_weights")).unwrap() + 1;
        fs::write(here.path().join("c.toml"), text).unwrap();
        let train = format!("train --config c.toml --data {} --quiet", small_data().display());
        let place = format!("c.toml, line {line}");
        let complaint = format!("expected 10 class_weights for the loss {loss}");
        refused(here.path(), &train, 1, &[&place, &complaint, "found 3"]);
    }
}
