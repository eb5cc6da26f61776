//! What programs use most, compiled with this crate for both types of numbers.
//!
//! Generic code is compiled again in each crate that uses it, unless a crate that it depends on
//! has compiled it and shares it. Crates with `opt-level` 0, 1, `"s"` or `"z"` share, as this
//! workspace's do in the `dev` profile: networks and trainers are then compiled once, not once for
//! each test and example. A release build shares nothing, so it leaves this out.

use tensor::Element;

use crate::{
    Epochs, Evaluator, InMemory, Init, Network, NetworkSpec, Subset, Trainer, TrainerConfig,
    Workspace, load_weights, network_of, save_weights,
};

/// Nobody calls it: it says what is compiled.
#[doc(hidden)]
pub fn instances() -> [*const (); 2] {
    [of::<f32> as *const (), of::<f64> as *const ()]
}

fn of<T: Element>(
    spec: &NetworkSpec,
    config: &TrainerConfig,
    data: &InMemory<'_, T>,
) -> Result<Network<T>, Box<dyn std::error::Error>> {
    let mut network = spec.build::<T>()?;
    network.initialize(Init::He, 0);
    let part = Subset::new(data, &[]);
    let mut evaluator = Evaluator::new(&network, 1, 1);
    evaluator.evaluate(&network, &config.loss, data);
    network.evaluate(data, &config.loss);
    network.predict(&[], &mut Workspace::new(&network, 1));
    let file = save_weights(&network, &[])?;
    load_weights(&mut network, &file)?;
    let mut trainer = Trainer::new(network, config.clone());
    for epoch in Epochs::new(1, 0.0) {
        trainer.epoch(data, &epoch)?;
    }
    trainer.step(data, 0.0)?;
    trainer.step(&part, 0.0)?;
    trainer.measure_buffers(&mut trainer.averaged_network(), data);
    spec.footprint::<T>()?.training(config, 1);
    trainer.into_network().digest();
    Ok(network_of(&[])?)
}
