//! Elements of the kernels' gradient that are not finite, summed again as the formula says.
//!
//! Lines of rows with gaps between them multiply numbers of the input by zeros that the formula
//! does not have, and tiles mix nine taps: there an infinite number or a NaN would reach taps
//! that never meet it. Where everything is finite, looking at the gradient is all that it costs.

use super::geometry::Geometry;
use crate::Element;

/// Sums the elements of `kernel_gradient` again that are not finite.
pub(super) fn sum_again<T: Element>(
    layer: &Geometry,
    operands: [&[T]; 2],
    kernel_gradient: &mut [T],
) {
    // Without an early end, so that it is done in vectors.
    if kernel_gradient.iter().fold(true, |all, sum| all & sum.is_finite()) {
        return;
    }
    for (element, sum) in kernel_gradient.iter_mut().enumerate() {
        if !sum.is_finite() {
            *sum = as_written(layer, operands, element);
        }
    }
}

/// `Σ_n Σ_y Σ_x X_c[y+ky, x+kx] · ∂E/∂Y_d[y, x]` of one element of the kernels, over the positions
/// where it meets the input.
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
            // One above or to the left of the input is a large number.
            let y = (oy * layer.stride[0] + offset[0]).wrapping_sub(layer.pad_height[0]);
            let column = (ox * layer.stride[1] + offset[1]).wrapping_sub(layer.pad_width[0]);
            if y < layer.height && column < layer.width {
                sum = x[y * layer.width + column].mul_add(g, sum);
            }
        }
    }
    sum
}
