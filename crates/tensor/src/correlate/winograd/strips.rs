//! Strips of four output rows, which minimal filtering down the columns transforms together.

use fearless_simd::{Simd, SimdFloat};

use crate::Element;
use crate::correlate::geometry::Geometry;
use crate::correlate::layout::MOST_LANES;
use crate::vector::{load, store};

use super::tile_transforms::{INPUTS, OUTPUTS, transform_inputs, transform_output_gradients};

/// The most kernels whose outputs are in registers at the same time.
pub(crate) const KERNELS: usize = 4;

/// How many kernels and channels have their products in registers at the same time, for the gradient
/// of the kernels: three channels unless two waste less.
pub(crate) fn tile(layer: &Geometry) -> [usize; 2] {
    let channels = layer.channels;
    if channels.next_multiple_of(3) <= channels.next_multiple_of(2) { [3, 3] } else { [4, 2] }
}

/// How the strips of all samples are divided into chunks, for the gradient of the kernels. It
/// determines the order of summation, so it depends on the layer's sizes alone.
#[derive(Clone, Copy)]
pub(crate) struct Chunks {
    /// Strips of a chunk.
    pub(crate) strips: usize,
    /// The distance between neighbouring strips on a line.
    pub(crate) pitch: usize,
    /// The distance between the lines of neighbouring points.
    pub(crate) line: usize,
}

impl Chunks {
    /// A chunk has this many numbers, 384 KiB of `f32`, which stay in the second-level cache.
    const NUMBERS: usize = 98_304;

    /// The chunks of `n` samples.
    pub(crate) fn of(layer: &Geometry, n: usize) -> Self {
        let pitch = layer.width + layer.pad_width[0] + layer.pad_width[1];
        let all = n.saturating_mul(layer.out_height.div_ceil(OUTPUTS));
        let strips = Self::NUMBERS / (INPUTS * (layer.channels + KERNELS) * pitch);
        let strips = strips.clamp(1, all.max(1));
        Self { strips, pitch, line: (strips * pitch).next_multiple_of(MOST_LANES) + MOST_LANES }
    }
}

/// A plane whose strips of rows are transformed.
pub(crate) struct Plane<'a, T> {
    pub(crate) numbers: &'a [T],
    /// Rows of zeros above it.
    pub(crate) above: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl<T: Element> Plane<'_, T> {
    /// Transforms the `R` rows from `y` on, counted with the zero rows above, to six rows, written
    /// to `to` from `at` on, `line` apart. Missing rows are zero. Six rows are those of an input,
    /// four those of an output gradient. Rows are no shorter than a vector.
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
