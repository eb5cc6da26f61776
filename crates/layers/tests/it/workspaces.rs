//! A workspace serves the network that it was made for and its clones, and no other.

use layers::Workspace;
use layers::{
    Dense, LayerSpec, Loss, Mode, Network, Optimizer, Relu, Tanh, Trainer, TrainerConfig,
};

use crate::samples::{network, random};

fn of(activation: impl Into<LayerSpec>) -> Network<f32> {
    network(&[4], &[Dense::new(4).into(), activation.into(), Dense::new(3).into()])
}

#[test]
fn a_clone_has_numbers_of_its_own_and_may_use_the_workspaces() {
    let first = of(Tanh);
    let mut clone = first.clone();
    clone.parameters_mut().fill(0.0);
    let mut workspace = Workspace::new(&first, 1);
    let output = first.predict(&[1.0; 4], &mut workspace).to_vec();
    assert_eq!(clone.predict(&[1.0; 4], &mut workspace), [0.0; 3]);
    assert_eq!(first.predict(&[1.0; 4], &mut workspace), output);
    assert_ne!(output, [0.0; 3]);
}

#[test]
#[should_panic = "workspace: expected that of this network or of a clone, got another network's"]
fn one_of_another_network_panics() {
    // The same sizes everywhere.
    of(Tanh).predict(&[1.0; 4], &mut Workspace::new(&of(Relu), 1));
}

#[test]
#[should_panic = "workspace: expected that of this network or of a clone, got another network's"]
fn one_that_went_forward_with_another_network_panics() {
    let (first, second) = (of(Tanh), of(Relu));
    let mut workspace = Workspace::new(&first, 1);
    first.forward(&[1.0; 4], &mut workspace, Mode::training());
    let mut gradients = vec![0.0; second.parameters().len()];
    second.backward(&[1.0; 4], 3, &mut workspace, &mut gradients);
}

#[test]
#[should_panic = "workspace: expected that of this network or of a clone, got another network's"]
fn a_trainer_measures_the_state_of_clones_alone() {
    let normalized = || {
        let normalization = layers::BatchNorm2d::new().into();
        network::<f32>(&[1, 2, 2], &[normalization])
    };
    let config = TrainerConfig::new(Loss::mean_squared_error(), Optimizer::sgd(), [2, 2]);
    let trainer = Trainer::new(normalized(), config);
    let samples = random(trainer.network(), 2, 1);
    trainer.measure_buffers(&mut normalized(), &samples);
}
