//! Learning: layers, losses, optimizers, networks, and weights in and out of files.
//!
//! Axis letters: `N` batch, `C` input channels, `D` kernels, `H W` height and width,
//! `KH KW` kernel size, `OH OW` output size; a dense layer has `I` inputs and `O`
//! outputs.
//!
//! A layer is pure mathematics: it knows its shapes, never its numbers. The numbers of
//! all layers lie in one flat vector in the [`Network`], what a pass computes lies in a
//! [`Workspace`], and each layer is lent its slices of both.
//!
//! ```
//! use layers::{Bias, Conv2d, Dense, Init, Network, Reshape, Sigmoid, Tanh, Workspace};
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
//! let output = network.predict(&image, &mut workspace);
//! assert_eq!(output.len(), 10);
//! # Ok::<(), layers::BuildError>(())
//! ```

#![warn(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]

mod activation;
mod adaptive_threads;
mod backward_start;
mod batch_norm2d;
mod bounded;
mod chain;
mod class_weights;
mod conv2d;
mod conv_transpose2d;
mod dense;
mod digest;
mod dropout;
mod fit;
mod footprint;
mod fusion;
mod gradient_check;
mod group_norm;
mod init;
mod layer;
mod layer_run;
mod loss;
mod network;
mod optimizer;
mod outputs;
mod padding;
mod passes;
mod pool2d;
pub mod random;
mod reshape;
mod residual;
mod schedule;
mod shard;
mod size;
mod softmax;
mod spec;
mod step;
mod tagged;
mod trainer;
mod trainer_config;
mod update;
mod weights;
mod weights_header;
mod workspace;

pub use activation::{Elu, Gelu, HardSwish, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh};
pub use backward_start::BackwardStart;
pub use batch_norm2d::BatchNorm2d;
pub use class_weights::ClassWeights;
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::{Bias, Conv2d};
pub use dense::Dense;
pub use digest::{sha256, sha256_of};
pub use dropout::Dropout;
pub use footprint::Footprint;
pub use fusion::FusedInto;
pub use gradient_check::{GradientCheck, gradient_check};
pub use group_norm::{GroupNorm, LayerNorm};
pub use init::Init;
pub use layer::{Context, Draw, InPlace, Layer, Mode, Parameter, Pass, Role};
pub use layer_run::LayerRun;
pub use loss::{Domain, Loss, answer, is_right};
pub use network::{Network, NetworkBuilder, NetworkLayer};
pub use optimizer::Optimizer;
pub use outputs::Outputs;
pub use padding::Padding;
pub use pool2d::{AvgPool2d, GlobalAvgPool2d, MaxPool2d};
pub use reshape::{Flatten, Reshape};
pub use residual::Residual;
pub use schedule::Schedule;
pub use size::Size;
pub use softmax::{Softmax, softmax};
pub use spec::{BuildError, LayerSpec, NetworkSpec};
pub use step::{Batch, NonFinite, StepReport};
pub use trainer::Trainer;
pub use trainer_config::TrainerConfig;
pub use update::TrainerState;
pub use weights::{WeightsError, load_weights, metadata_of, network_of, save_weights};
pub use weights_header::WeightsHeader;
pub use workspace::Workspace;
