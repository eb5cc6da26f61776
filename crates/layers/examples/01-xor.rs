//! XOR: the smallest problem that one layer cannot solve.
//!
//! The output is 1 where exactly one of two inputs is 1. No straight line in the plane separates
//! the two 1s from the two 0s, so a single dense layer, which draws such a line, must fail; two
//! layers with a nonlinear function (tanh) between them succeed.
//!
//!     cargo run -p layers --example 01-xor

use layers::{
    Dense, Epochs, Init, Inputs, Loss, Network, Optimizer, Tanh, Trainer, TrainerConfig, Workspace,
};

/// The four rows of the truth table.
const INPUTS: [[f64; 2]; 4] = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
const TARGETS: [f64; 4] = [0.0, 1.0, 1.0, 0.0];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // h = tanh(W₁ x + b₁) with three hidden units, y = tanh(W₂ h + b₂).
    let mut network =
        Network::builder([2]).add(Dense::new(3)).add(Tanh).add(Dense::new(1)).add(Tanh).build()?;
    network.initialize(Init::Xavier, 1);

    let mut trainer = Trainer::new(
        network,
        TrainerConfig::new(Loss::mean_squared_error(), Optimizer::sgd(), [4, 4]),
    );

    let truth_table = Inputs::numbers(INPUTS.as_flattened()).with_targets(&TARGETS, 1)?;
    println!("epoch  error");
    let mut error = f64::INFINITY;
    for epoch in Epochs::new(10_000, 0.2) {
        // All four rows are one step: forward, the loss E = mean (y − t)², backward for ∂E/∂W of
        // every layer, and W ← W − 0.2 · ∂E/∂W. The report describes the network before the step.
        error = trainer.epoch(&truth_table, &epoch)?.loss;
        if epoch.number() % 200 == 1 || error < 0.001 {
            println!("{:>5}  {error:.6}", epoch.number());
        }
        if error < 0.001 {
            break;
        }
    }
    if error >= 0.001 {
        return Err(format!("no solution found: the error is still {error}").into());
    }

    let network = trainer.into_network();
    let mut workspace = Workspace::new(&network, 4);
    let outputs = network.predict(INPUTS.as_flattened(), &mut workspace);
    println!("\n x₁ x₂  target  output  decision");
    for ((x, t), y) in INPUTS.iter().zip(TARGETS).zip(outputs) {
        println!("  {}  {}  {t:>6}  {y:>6.3}  {:>8}", x[0], x[1], u8::from(*y > 0.5));
    }

    // Between the corners: where the network draws the border between the classes.
    println!("\nx₂ from 1 (above) to 0, x₁ from 0 to 1; # where the output is above ½");
    const STEPS: usize = 10;
    let mut single = Workspace::new(&network, 1);
    for row in (0..=STEPS).rev() {
        let mut line = String::new();
        for column in 0..=2 * STEPS {
            let x = [column as f64 / (2 * STEPS) as f64, row as f64 / STEPS as f64];
            line.push(if network.predict(&x, &mut single)[0] > 0.5 { '#' } else { '.' });
        }
        println!("  {line}");
    }
    Ok(())
}
