//! Learning: layers, losses, optimizers, networks, and weights in and out of files.
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
//! A layer is pure mathematics: it knows its shapes, never its numbers. The numbers of
//! all layers lie in one flat vector in the [`Network`], what a pass computes lies in a
//! [`Workspace`], and each layer is lent its slices of both. So a network predicts on many threads
//! at once, each with a workspace of its own:
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

#![warn(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]

mod activation;
mod answer;
mod batch_norm2d;
mod bounded;
mod chain;
mod conv2d;
mod conv_transpose2d;
mod dataset;
mod dense;
mod digest;
mod dropout;
mod epoch;
mod evaluation;
mod footprint;
mod gradient_check;
mod group_norm;
mod init;
mod layer;
mod loss;
mod network;
mod optimizer;
mod outputs;
mod pace;
mod padding;
mod pool2d;
pub mod random;
mod reshape;
mod residual;
mod schedule;
mod shard;
mod size;
mod softmax;
mod spec;
mod tagged;
mod trainer;
mod update;
mod weights;
mod weights_header;
mod workspace;

pub use activation::{Elu, Gelu, HardSwish, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh};
pub use answer::{answer, is_right};
pub use batch_norm2d::BatchNorm2d;
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::{Bias, Conv2d};
pub use dataset::{Dataset, DatasetError, InMemory, Inputs, Subset};
pub use dense::Dense;
pub use digest::{sha256, sha256_of};
pub use dropout::Dropout;
pub use epoch::{Epoch, EpochReport, Epochs};
pub use evaluation::{Evaluation, Evaluator};
pub use footprint::Footprint;
pub use gradient_check::{GradientCheck, gradient_check};
pub use group_norm::{GroupNorm, LayerNorm};
pub use init::Init;
pub use layer::{Context, Draw, InPlace, Layer, Mode, Parameter, Pass, Role, Running, Work};
pub use loss::*;
pub use network::{Network, NetworkBuilder};
pub use optimizer::*;
pub use outputs::Outputs;
pub use padding::Padding;
pub use pool2d::{AvgPool2d, GlobalAvgPool2d, MaxPool2d};
pub use reshape::{Flatten, Reshape};
pub use residual::Residual;
pub use schedule::Schedule;
pub use size::Size;
pub use softmax::{Softmax, softmax};
pub use spec::{BuildError, LayerSpec, NetworkSpec};
pub use trainer::{NonFinite, StepReport, Trainer, TrainerConfig};
pub use update::TrainerState;
pub use weights::{WeightsError, load_weights, metadata_of, network_of, save_weights};
pub use weights_header::WeightsHeader;
pub use workspace::Workspace;
