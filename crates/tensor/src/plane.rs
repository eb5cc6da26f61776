use crate::correlate::{Bias, Correlation};
use crate::{Element, Scratch, ShapeError, Tensor};

/// Valid cross-correlation of two planes: `(X ⋆ K)[y,x] = Σ_ky Σ_kx X[y+ky, x+kx] · K[ky,kx]`.
///
/// # Shapes
/// `x (H, W)`, `k (KH, KW)` → `(H−KH+1, W−KW+1)`.
///
/// # Errors
/// If an operand is not a plane or is empty, or if the kernel is larger than the input. (SciPy's
/// `correlate2d` with `mode="valid"` swaps the operands if the kernel is larger in both directions;
/// that is another operation, and left to the caller.)
pub fn correlate_valid<T: Element>(x: &Tensor<T>, k: &Tensor<T>) -> Result<Tensor<T>, ShapeError> {
    valid("correlate_valid", x, k)
}

/// Full cross-correlation of two planes: the same sum wherever the kernel overlaps the input, with
/// `X` zero outside its borders.
///
/// # Shapes
/// `x (H, W)`, `k (KH, KW)` → `(H+KH−1, W+KW−1)`.
///
/// # Errors
/// If an operand is not a plane or is empty.
pub fn correlate_full<T: Element>(x: &Tensor<T>, k: &Tensor<T>) -> Result<Tensor<T>, ShapeError> {
    full("correlate_full", x, k)
}

/// Valid convolution of two planes: `X * K = X ⋆ rotate180(K)`.
///
/// # Shapes
/// `x (H, W)`, `k (KH, KW)` → `(H−KH+1, W−KW+1)`.
///
/// # Errors
/// As [`correlate_valid`].
pub fn convolve_valid<T: Element>(x: &Tensor<T>, k: &Tensor<T>) -> Result<Tensor<T>, ShapeError> {
    valid("convolve_valid", x, &rotated(k))
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
    full("convolve_full", x, &rotated(k))
}

/// The plane rotated by 180°: `R[y,x] = K[KH−1−y, KW−1−x]`. This is not a transpose: the shape
/// stays the same.
///
/// # Errors
/// If `k` is not a plane or is empty.
pub fn rotate180<T: Element>(k: &Tensor<T>) -> Result<Tensor<T>, ShapeError> {
    k.plane("rotate180", "a kernel")?;
    Ok(rotated(k))
}

fn rotated<T: Element>(k: &Tensor<T>) -> Tensor<T> {
    let mut rotated = k.clone();
    rotated.as_mut_slice().reverse();
    rotated
}

fn valid<T: Element>(
    operation: &'static str,
    x: &Tensor<T>,
    k: &Tensor<T>,
) -> Result<Tensor<T>, ShapeError> {
    let [h, w] = x.plane(operation, "an input")?;
    let [kh, kw] = k.plane(operation, "a kernel")?;
    if kh > h || kw > w {
        let expected = format!("a kernel no larger than the input's {}", x.shape());
        return Err(ShapeError::new(operation, expected, k.shape()));
    }
    Ok(correlate(&Correlation::new([1, h, w], 1, [kh, kw])?, x, k))
}

fn full<T: Element>(
    operation: &'static str,
    x: &Tensor<T>,
    k: &Tensor<T>,
) -> Result<Tensor<T>, ShapeError> {
    let size = x.plane(operation, "an input")?;
    let kernel = k.plane(operation, "a kernel")?;
    Ok(correlate(&Correlation::new_full(size, kernel)?, x, k))
}

fn correlate<T: Element>(layer: &Correlation, x: &Tensor<T>, k: &Tensor<T>) -> Tensor<T> {
    let [_, height, width] = layer.output_shape().axes().unwrap_or([0; 3]);
    let mut output = Tensor::zeros([height, width]);
    let mut scratch = Scratch::parallel();
    layer.forward(x.as_slice(), k.as_slice(), Bias::None, output.as_mut_slice(), &mut scratch);
    output
}
