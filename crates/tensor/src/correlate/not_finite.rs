//! Elements of the kernels' gradient that are not finite, summed again as the formula says.
//!
//! Lines of rows with gaps between them multiply numbers of the input by zeros that the formula
//! does not have, and tiles mix nine taps: there an infinite number or a NaN would reach taps
//! that never meet it. Where everything is finite, looking at the gradient is all that it costs.

use super::Correlation;
use crate::Element;

impl Correlation {
    /// Sums the elements of `kernel_gradient` again that are not finite.
    pub(super) fn sum_not_finite_again<T: Element>(
        &self,
        input: &[T],
        output_gradient: &[T],
        kernel_gradient: &mut [T],
    ) {
        // Without an early end, so that it is done in vectors.
        if kernel_gradient.iter().fold(true, |all, sum| all & sum.is_finite()) {
            return;
        }
        for (place, sum) in kernel_gradient.iter_mut().enumerate() {
            if !sum.is_finite() {
                *sum = self.kernel_gradient_at(input, output_gradient, place);
            }
        }
    }

    /// `Σ_n Σ_y Σ_x X_c[y+ky, x+kx] · ∂E/∂Y_d[y, x]` of the kernel's element at `place`, over the
    /// positions where the element meets the input.
    fn kernel_gradient_at<T: Element>(&self, input: &[T], gradient: &[T], place: usize) -> T {
        let [kh, kw] = [self.kernel_height, self.kernel_width];
        let group_channels = self.channels / self.groups;
        let (kernel, tap) = (place / self.taps(), place % self.taps());
        let (channel, [ky, kx]) = (tap / (kh * kw), [tap / kw % kh, tap % kw]);
        let offset = [ky * self.dilation[0], kx * self.dilation[1]];
        let channel = kernel / (self.kernels / self.groups) * group_channels + channel;
        let inputs = input.chunks_exact(self.input_shape().len());
        let samples = inputs.zip(gradient.chunks_exact(self.output_shape().len()));
        let mut sum = T::ZERO;
        for (x, g) in samples {
            let x = &x[channel * self.height * self.width..][..self.height * self.width];
            let g = &g[kernel * self.out_plane()..][..self.out_plane()];
            for (at, &g) in g.iter().enumerate() {
                let (oy, ox) = (at / self.out_width, at % self.out_width);
                // One above or to the left of the input is a large number.
                let y = (oy * self.stride[0] + offset[0]).wrapping_sub(self.pad_height[0]);
                let column = (ox * self.stride[1] + offset[1]).wrapping_sub(self.pad_width[0]);
                if y < self.height && column < self.width {
                    sum = x[y * self.width + column].mul_add(g, sum);
                }
            }
        }
        sum
    }
}
