//! Strips of four output rows, which minimal filtering down the columns transforms together.

use fearless_simd::{Simd, SimdFloat};

use crate::Element;
use crate::correlate::geometry::Geometry;
use crate::correlate::layout::MOST_LANES;
use crate::vector::{load, store};

use super::tile_transforms::{INPUTS, OUTPUTS, transform_inputs, transform_output_gradients};

/// The most kernels whose outputs are in registers together.
pub(crate) const KERNELS: usize = 4;

/// Kernels and channels whose products, for the gradient of the kernels, are in registers together:
/// two channels or three, of which fewer than one in three is computed in vain.
pub(crate) fn tile(layer: &Geometry) -> [usize; 2] {
    let channels = layer.channels;
    if channels.next_multiple_of(3) <= channels.next_multiple_of(2) { [3, 3] } else { [4, 2] }
}

/// How the strips of all samples are cut into chunks, for the gradient of the kernels. It is
/// arithmetic, like the order of a sum: it depends on the layer's sizes alone.
#[derive(Clone, Copy)]
pub(crate) struct Chunks {
    /// Strips of a chunk.
    pub(crate) strips: usize,
    /// From a strip to the next on a line.
    pub(crate) pitch: usize,
    /// From one point's line to the next.
    pub(crate) line: usize,
}

impl Chunks {
    /// Numbers of a chunk: 384 KiB of `f32`, which stay in the second-level cache.
    const NUMBERS: usize = 98_304;

    /// Of `n` samples.
    pub(crate) fn of(layer: &Geometry, n: usize) -> Self {
        let pitch = layer.width + layer.pad_width[0] + layer.pad_width[1];
        let all = n.saturating_mul(layer.out_height.div_ceil(OUTPUTS));
        let strips = Self::NUMBERS / (INPUTS * (layer.channels + KERNELS) * pitch);
        let strips = strips.clamp(1, all.max(1));
        Self { strips, pitch, line: (strips * pitch).next_multiple_of(MOST_LANES) + MOST_LANES }
    }
}

/// A plane of numbers, of which strips of rows are transformed.
pub(crate) struct Plane<'a, T> {
    pub(crate) numbers: &'a [T],
    /// Rows of zeros above it.
    pub(crate) above: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl<T: Element> Plane<'_, T> {
    /// Transforms the `R` rows from `y` on, counted with those above, zeros where there are none, to
    /// six, which are written to `to` from `at` on, `line` apart: rows of an input if they are six, of
    /// an output gradient if they are four. Rows are no shorter than a vector.
    #[inline(always)]
    pub(crate) fn transform<S: Simd, V: SimdFloat<S, Element = T>, const R: usize>(
        &self,
        simd: S,
        y: usize,
        (to, line, at): (&mut [T], usize, usize),
    ) {
        let zero = V::simd_from(simd, T::ZERO);
        let last = self.width - V::LEN;
        let mut x = 0;
        loop {
            let mut d = [zero; R];
            for i in 0..R {
                let row = y + i;
                if row >= self.above && row - self.above < self.height {
                    d[i] = load(simd, self.numbers, (row - self.above) * self.width + x);
                }
            }
            let points = if R == INPUTS {
                transform_inputs(simd, [d[0], d[1], d[2], d[3], d[R - 2], d[R - 1]])
            } else {
                transform_output_gradients(simd, [d[0], d[1], d[2], d[3]])
            };
            for i in 0..INPUTS {
                store(points[i], to, i * line + at + x);
            }
            if x == last {
                return;
            }
            x = last.min(x + V::LEN);
        }
    }
}
