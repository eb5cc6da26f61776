use crate::correlate::{Bias, Correlation};
use crate::{Element, Scratch, ShapeError, Tensor};

/// Valid cross-correlation of two planes: `(X ⋆ K)[y,x] = Σ_ky Σ_kx X[y+ky, x+kx] · K[ky,kx]`.
///
/// # Shapes
/// `x (H, W)`, `k (KH, KW)` → `(H−KH+1, W−KW+1)`.
///
/// # Errors
/// If an operand is not a plane, or the kernel is larger than the input.
pub fn correlate_valid<T: Element>(x: &Tensor<T>, k: &Tensor<T>) -> Result<Tensor<T>, ShapeError> {
    let [h, w] = x.plane("correlate_valid, input")?;
    let kernel = k.plane("correlate_valid, kernel")?;
    let layer = Correlation::new([1, h, w], 1, kernel)?;
    Ok(correlate(&layer, x, k))
}

/// Full cross-correlation of two planes: the same sum with `X` zero outside its borders,
/// wherever the kernel touches the input.
///
/// # Shapes
/// `x (H, W)`, `k (KH, KW)` → `(H+KH−1, W+KW−1)`.
///
/// # Errors
/// If an operand is not a plane.
pub fn correlate_full<T: Element>(x: &Tensor<T>, k: &Tensor<T>) -> Result<Tensor<T>, ShapeError> {
    let [h, w] = x.plane("correlate_full, input")?;
    let [kh, kw] = k.plane("correlate_full, kernel")?;
    let layer = Correlation::new_full([h, w], [kh, kw])?;
    Ok(correlate(&layer, x, k))
}

/// Valid convolution of two planes: `X * K = X ⋆ rotate180(K)`.
///
/// # Shapes
/// `x (H, W)`, `k (KH, KW)` → `(H−KH+1, W−KW+1)`.
///
/// # Errors
/// As [`correlate_valid`].
pub fn convolve_valid<T: Element>(x: &Tensor<T>, k: &Tensor<T>) -> Result<Tensor<T>, ShapeError> {
    correlate_valid(x, &rotate180(k)?)
}

/// Full convolution of two planes: `X * K = X ⋆ rotate180(K)`.
///
/// This, and not [`correlate_full`], is the adjoint of [`correlate_valid`]:
/// `⟨x ⋆valid k, g⟩ = ⟨x, g *full k⟩`, and so the gradient of a correlation's input.
///
/// # Shapes
/// `x (H, W)`, `k (KH, KW)` → `(H+KH−1, W+KW−1)`.
///
/// # Errors
/// As [`correlate_full`].
pub fn convolve_full<T: Element>(x: &Tensor<T>, k: &Tensor<T>) -> Result<Tensor<T>, ShapeError> {
    correlate_full(x, &rotate180(k)?)
}

/// The plane turned by 180°: `R[y,x] = K[KH−1−y, KW−1−x]`. No transpose: the shape stays.
///
/// # Errors
/// If `k` is not a plane.
pub fn rotate180<T: Element>(k: &Tensor<T>) -> Result<Tensor<T>, ShapeError> {
    k.plane("rotate180")?;
    Tensor::from_vec(k.shape(), k.as_slice().iter().rev().copied().collect())
}

fn correlate<T: Element>(layer: &Correlation, x: &Tensor<T>, k: &Tensor<T>) -> Tensor<T> {
    let [_, height, width] = layer.output_shape().axes().unwrap_or([0; 3]);
    let mut output = Tensor::zeros([height, width]);
    let mut scratch = Scratch::parallel();
    layer.forward(x.as_slice(), k.as_slice(), Bias::None, output.as_mut_slice(), &mut scratch);
    output
}
