//! Computes elements of the kernels' gradient that are not finite again, by the formula.
//!
//! Lines of rows with gaps multiply inputs by zeros that are not in the formula, and tiles mix nine
//! taps: both would spread an infinite number or a NaN to taps that never meet it. If all elements
//! are finite, the only cost is to check that.

use super::geometry::Geometry;
use crate::Element;

/// Computes the elements of `kernel_gradient` again that are not finite.
pub(super) fn sum_again<T: Element>(
    layer: &Geometry,
    operands: [&[T]; 2],
    kernel_gradient: &mut [T],
) {
    // A loop without early exit compiles to vectors.
    if kernel_gradient.iter().fold(true, |all, sum| all & sum.is_finite()) {
        return;
    }
    for (element, sum) in kernel_gradient.iter_mut().enumerate() {
        if !sum.is_finite() {
            *sum = as_written(layer, operands, element);
        }
    }
}

/// `Σ_n Σ_y Σ_x X_c[y+ky, x+kx] · ∂E/∂Y_d[y, x]` for one element of the kernels, over the positions
/// inside the input.
fn as_written<T: Element>(layer: &Geometry, [input, gradient]: [&[T]; 2], element: usize) -> T {
    let [kh, kw] = [layer.kernel_height, layer.kernel_width];
    let group_channels = layer.channels / layer.groups;
    let (kernel, tap) = (element / layer.taps(), element % layer.taps());
    let (channel, [ky, kx]) = (tap / (kh * kw), [tap / kw % kh, tap % kw]);
    let offset = [ky * layer.dilation[0], kx * layer.dilation[1]];
    let channel = kernel / (layer.kernels / layer.groups) * group_channels + channel;
    let inputs = input.chunks_exact(layer.input_shape().len());
    let samples = inputs.zip(gradient.chunks_exact(layer.output_shape().len()));
    let mut sum = T::ZERO;
    for (x, g) in samples {
        let x = &x[channel * layer.plane()..][..layer.plane()];
        let g = &g[kernel * layer.out_plane()..][..layer.out_plane()];
        for (at, &g) in g.iter().enumerate() {
            let (oy, ox) = (at / layer.out_width, at % layer.out_width);
            // A row above the input, or a column to its left, wraps to a large number.
            let y = (oy * layer.stride[0] + offset[0]).wrapping_sub(layer.pad_height[0]);
            let column = (ox * layer.stride[1] + offset[1]).wrapping_sub(layer.pad_width[0]);
            if y < layer.height && column < layer.width {
                sum = x[y * layer.width + column].mul_add(g, sum);
            }
        }
    }
    sum
}
