//! Numbers: shapes, tensors, two-dimensional cross-correlation, matrix products and element-wise
//! maps, on the CPU, without `unsafe` code.
//!
//! Axis letters in all of the code: `N` batch, `C` input channels, `D` kernels,
//! `H W` height and width, `KH KW` kernel size, `OH OW` output size.
//!
//! The crate works at three levels:
//! - on single planes, what `scipy.signal.correlate2d` and `convolve2d` compute:
//!   [`correlate_valid`], [`correlate_full`], [`convolve_valid`], [`convolve_full`],
//!   [`rotate180`];
//! - on batches, what a convolutional layer needs: [`Correlation`] with its
//!   `forward`, `input_gradient` and `kernel_gradient`, and [`Pooling`];
//! - on rows of numbers: [`matrix`], [`map`], [`activation`], [`reduce`], [`normalize`], [`optimize`],
//!   [`random`] and [`image`](mod@image).
//!
//! Each fast operation has a readable twin in [`mod@reference`], and a property test that compares
//! the two.
//!
//! ```
//! use tensor::{Tensor, correlate_valid};
//!
//! let image = Tensor::from_vec([3, 3], vec![1.0, 6.0, 2.0, 5.0, 3.0, 1.0, 7.0, 0.0, 4.0])?;
//! let kernel = Tensor::from_vec([2, 2], vec![1.0, 2.0, -1.0, 0.0])?;
//! let output = correlate_valid(&image, &kernel)?;
//! assert_eq!(output.as_slice(), [8.0, 7.0, 4.0, 5.0]);
//! # Ok::<(), tensor::ShapeError>(())
//! ```

pub mod activation;
mod buffer;
mod coefficients;
mod correlate;
mod dots;
mod element;
mod error;
pub mod image;
pub mod map;
mod math;
pub mod matrix;
mod microkernel;

pub mod normalize;
pub mod optimize;
mod packing;
pub mod peak;
mod plane;
mod pool;
pub mod random;
pub mod reduce;
pub mod reference;
mod scratch;
mod shape;
pub mod simd;
mod sums;
mod tensor;
pub mod threads;
mod vector;
mod windows;

pub use buffer::Buffer;
pub use correlate::{
    Arithmetic, Bias, Correlation, KernelArithmetic, Method, Plan, Schedule, Sweep, VectorLayout,
};
pub use element::Element;
pub use error::ShapeError;
pub use plane::{convolve_full, convolve_valid, correlate_full, correlate_valid, rotate180};
pub use pool::Pooling;
pub use scratch::Scratch;
pub use shape::Shape;
pub use tensor::Tensor;
pub use windows::Windows;
