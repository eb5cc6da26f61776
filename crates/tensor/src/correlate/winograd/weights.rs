//! The weights of a correlation in the order in which minimal filtering reads them.

use std::ops::Range;

use fearless_simd::Simd;

use crate::Element;
use crate::packing::pack_rows;

use super::super::geometry::Geometry;
use super::super::task::Weights;

impl<T: Element> Weights<'_, T> {
    /// The nine weights of kernel `d` for channel `c` in `layer`.
    #[inline(always)]
    pub(super) fn kernel(&self, layer: &Geometry, d: usize, c: usize) -> [T; 9] {
        let at = if self.adjoint { c * layer.kernels + d } else { d * layer.channels + c };
        let weights = &self.numbers[at * 9..][..9];
        let mut kernel = [T::ZERO; 9];
        for tap in 0..9 {
            kernel[tap] = weights[if self.adjoint { 8 - tap } else { tap }];
        }
        kernel
    }

    /// Writes a block of kernels of `layer` as [`pack_rows`] does: `(channels, 9, block)`.
    #[inline(always)]
    pub(super) fn pack<S: Simd>(
        &self,
        simd: S,
        layer: &Geometry,
        kernels: Range<usize>,
        block: &mut [T],
    ) {
        let Range { start, end } = kernels;
        if !self.adjoint {
            let taps = layer.taps();
            let weights = &self.numbers[start * taps..end * taps];
            return pack_rows(simd, weights, [end - start, taps], block);
        }
        let size = block.len() / layer.channels;
        let channels = self.numbers.chunks_exact(layer.kernels * 9);
        for (block, weights) in block.chunks_exact_mut(size).zip(channels) {
            pack_rows(simd, &weights[start * 9..end * 9], [end - start, 9], block);
            // Rotated by 180°: the taps in reverse order.
            let size = size / 9;
            for tap in 0..4 {
                let (first, last) = block.split_at_mut((8 - tap) * size);
                first[tap * size..][..size].swap_with_slice(&mut last[..size]);
            }
        }
    }
}
