use std::fs;

use layers::network_of;

use super::PyTorch;
use crate::export::python::trials::{NETWORKS, all_agree, network, subject, written};
use crate::model::Model;
use crate::preprocessing::Normalization;

/// PyTorch is large, so it may always be missing.
#[test]
fn networks_of_every_layer_answer_the_same_in_pytorch() {
    all_agree(&PyTorch);
}

#[test]
fn the_weights_are_a_model_of_this_program() {
    let folder = tempfile::tempdir().unwrap();
    for text in NETWORKS {
        let network = network::<f64>(text);
        let subject = subject(&network, "mean_squared_error", &Normalization::Unit);
        written(&PyTorch, &subject, folder.path());
        let file = folder.path().join("model.safetensors");
        let again = network_of::<f64>(&fs::read(&file).unwrap()).unwrap();
        assert_eq!((again.digest(), again.spec()), (network.digest(), network.spec()));
        let model = Model::open(&file).unwrap();
        assert_eq!(model.networks()[0].loss(), subject.members()[0].loss());
    }
}

#[test]
fn plain_layers_are_plain_modules() {
    let accurate = crate::presets::experiment("accurate").unwrap();
    let network = accurate.networks.first().build::<f32>().unwrap();
    let subject = subject(&network, "softmax_cross_entropy", &Normalization::Unit);
    let text = super::model::<f32>(&subject).unwrap();
    assert!(!text.contains("#: ") && !text.contains("class "), "{text}");
    for line in [
        "        nn.Conv2d(1, 32, kernel_size=3, bias=False),  # 0: (32, 26, 26)",
        "        nn.BatchNorm2d(32, eps=1e-5, momentum=0.1),  # 1: (32, 26, 26)",
        "        nn.Conv2d(32, 32, kernel_size=5, stride=2, padding=2, bias=False),  # 6: (32, 12, 12)",
        "        nn.Dropout(0.4),  # 9: (32, 12, 12)",
        "        nn.Linear(128, 10),  # 24: (10,)",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}
