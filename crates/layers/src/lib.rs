//! Learning: layers, losses, optimizers, networks, and weights as the bytes of files.
//!
//! Axis letters: `N` batch, `C` input channels, `D` kernels, `H W` height and width,
//! `KH KW` kernel size, `OH OW` output size; a dense layer has `I` inputs and `O`
//! outputs.
//!
//! A convolutional network learns from images in memory:
//!
//! ```
//! use layers::{
//!     Conv2d, Dense, Epochs, Flatten, Init, Inputs, Loss, MaxPool2d, Network, Optimizer, Relu,
//!     Trainer, TrainerConfig,
//! };
//!
//! // 60 images of 8 × 8 pixels, a byte each: a bright row (class 0) or column (class 1).
//! let (mut pixels, labels) = (vec![0_u8; 60 * 64], Vec::from_iter((0..60).map(|at| at % 2)));
//! for (at, image) in pixels.chunks_exact_mut(64).enumerate() {
//!     let line = at / 2 % 8;
//!     (0..8).for_each(|to| image[if at % 2 == 0 { 8 * line + to } else { 8 * to + line }] = 255);
//! }
//!
//! let data = Inputs::bytes(&pixels).with_classes(&labels, 2)?;
//! let mut network = Network::<f32>::builder([1, 8, 8])
//!     .add(Conv2d::new(4, 3))
//!     .add(Relu)
//!     .add(MaxPool2d::new(2))
//!     .add(Flatten)
//!     .add(Dense::new(2))
//!     .build()?;
//! network.initialize(Init::He, 1);
//! let config = TrainerConfig::new(Loss::softmax_cross_entropy(), Optimizer::adam(), [10, 5]);
//! let mut trainer = Trainer::new(network, config);
//! for epoch in Epochs::new(10, 0.01) {
//!     println!("{}", trainer.epoch(&data, &epoch)?);
//! }
//! let network = trainer.into_network();
//! assert!(network.evaluate(&data, &Loss::softmax_cross_entropy()).accuracy() > 0.9);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A layer is pure mathematics: it knows its shapes, never its numbers. The parameters of all
//! layers lie in one flat vector in the [`Network`], whatever a pass computes lies in a
//! [`Workspace`], and each layer is lent its slices of both. So one network predicts on many
//! threads at once, each with a workspace of its own:
//!
//! ```
//! use layers::{Bias, Conv2d, Dense, Init, Network, Reshape, Sigmoid, Tanh, Workspace, answer};
//!
//! let mut network = Network::<f32>::builder([1, 28, 28])
//!     .add(Conv2d::new(6, 3).bias(Bias::Untied))
//!     .add(Sigmoid)
//!     .add(Reshape::flat())
//!     .add(Dense::new(100))
//!     .add(Tanh)
//!     .add(Dense::new(10))
//!     .add(Sigmoid)
//!     .build()?;
//! network.initialize(Init::StandardNormal, 0);
//! assert_eq!(network.parameters().len(), 410_820);
//!
//! let image = vec![0.0; 28 * 28];
//! let mut workspace = Workspace::new(&network, 1);
//! let outputs = network.predict(&image, &mut workspace);
//! assert_eq!(outputs.len(), 10);
//! println!("class {:?}", answer(outputs));
//! # Ok::<(), layers::BuildError>(())
//! ```
//!
//! A layer of your own is a type that implements [`LayerConfig`] and builds a [`Layer`]:
//! `examples/04-own-layer.rs` checks the gradients of one, trains it, saves it and reads it back.

#![warn(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]

/// The version of the arithmetic: it changes whenever the same experiment on the same data comes to
/// other bits, so that what another version computed can be told from what is false.
pub const ARITHMETIC: u32 = 1;

mod adaptive_threads;
mod answer;
mod backward_start;
mod bounded;
mod builtin;
mod chain;
mod dataset;
mod digest;
mod epoch;
mod epoch_run;
mod evaluation;
mod fit;
mod footprint;
mod fusion;
mod gradient_check;
mod init;
#[cfg(all(debug_assertions, not(test)))]
mod instances;
mod layer;
mod layer_config;
mod layer_run;
mod loss;
mod network;
mod operation;
mod optimizer;
mod outputs;
mod padding;
mod passes;
pub mod random;
mod schedule;
mod shard;
mod size;
mod spec;
mod step;
mod tagged;
mod trainer;
mod trainer_config;
mod trainer_file;
mod update;
mod weights;
mod weights_header;
mod workspace;

pub use answer::{answer, is_right};
pub use backward_start::BackwardStart;
pub use builtin::*;
pub use chain::FusedInto;
pub use dataset::{Dataset, DatasetError, InMemory, Inputs, Subset};
pub use digest::{Sha256, sha256, sha256_of};
pub use epoch::{Epoch, EpochReport, Epochs};
pub use epoch_run::{EpochProgress, EpochRun};
pub use evaluation::{Evaluation, Evaluator};
pub use footprint::Footprint;
pub use gradient_check::{GradientCheck, gradient_check};
pub use init::Init;
#[cfg(all(debug_assertions, not(test)))]
#[doc(hidden)]
pub use instances::instances;
pub use layer::{Context, Draw, InPlace, Layer, Mode, Parameter, Pass, Role};
pub use layer_config::{LayerConfig, Outputs, OwnLayer, OwnLayers};
pub use layer_run::LayerRun;
pub use loss::*;
pub use network::{Network, NetworkBuilder, NetworkLayer};
pub use operation::{Function, Operation};
pub use optimizer::*;
pub use padding::Padding;
pub use schedule::Schedule;
pub use size::Size;
pub use spec::{BuildError, NetworkSpec, NetworkText};
pub use step::{NonFinite, NonFiniteValue, StepReport};
pub use trainer::Trainer;
pub use trainer_config::TrainerConfig;
pub use trainer_file::{load_trainer, load_trainer_and_best, save_trainer, save_trainer_and_best};
pub use update::TrainerState;
pub use weights::{
    load_weights, load_weights_of, metadata_of, network_of, network_of_with, save_weights,
};
pub use weights_header::{WeightsError, WeightsHeader};
pub use workspace::Workspace;
