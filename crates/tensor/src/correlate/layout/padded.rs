//! The input in the layout that the kernels move over.

use fearless_simd::Simd;

use crate::Element;
use crate::correlate::geometry::Geometry;

use super::rows::{Added, add_row};

/// The layout of one sample's input with its padding, divided into phases by the stride.
///
/// With stride 1 it is the input surrounded by zeros. With a stride, row `i` and column `j` of
/// phase `(py, px)` hold row `i·SH + py` and column `j·SW + px`, so that neighbouring outputs read
/// neighbouring numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Padded {
    /// Rows and columns of one phase of one channel.
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    stride: [usize; 2],
    dilation: [usize; 2],
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

impl Padded {
    pub(crate) fn of(layer: &Geometry) -> Self {
        let height = layer.height + layer.pad_height[0] + layer.pad_height[1];
        let width = layer.width + layer.pad_width[0] + layer.pad_width[1];
        Self {
            rows: height.div_ceil(layer.step[0]),
            columns: width.div_ceil(layer.step[1]),
            stride: layer.step,
            dilation: layer.dilation,
            top: layer.pad_height[0],
            left: layer.pad_width[0],
            height: layer.height,
            width: layer.width,
        }
    }

    /// The input surrounded by zeros as with stride 1, for kernels that read numbers one by one.
    pub(crate) fn without_phases(layer: &Geometry) -> Self {
        Self::of(&Geometry { step: [1, 1], ..*layer })
    }

    /// Whether the layout is that of the input itself.
    pub(crate) fn is_input(&self) -> bool {
        self.stride == [1, 1] && self.rows == self.height && self.columns == self.width
    }

    /// Numbers of one channel.
    pub(crate) fn channel(&self) -> usize {
        self.stride[0] * self.stride[1] * self.rows * self.columns
    }

    /// Positions from the first output to the last, at the pitch of this layout.
    pub(crate) fn line(&self, layer: &Geometry) -> usize {
        (layer.out_height - 1) * self.columns + layer.out_width
    }

    /// The index of row `y` and column `x` of channel `c` of the padded input.
    #[inline(always)]
    pub(crate) fn place(&self, c: usize, y: usize, x: usize) -> usize {
        let [sh, sw] = self.stride;
        let phase = (c * sh + y % sh) * sw + x % sw;
        (phase * self.rows + y / sh) * self.columns + x / sw
    }

    /// Writes the taps of `channels` channels with kernels of `height × width`: the offsets of the
    /// numbers that the weights are multiplied with for the output at the origin.
    ///
    /// Phase and offset are counted up, not computed by division as in [`Padded::place`]: the
    /// divisions took a tenth of the time of one image.
    pub(crate) fn taps(&self, [channels, height, width]: [usize; 3], taps: &mut [usize]) {
        let [sh, sw] = self.stride;
        let [down, across] = self.dilation;
        // The distances between neighbouring weights: whole rows and columns of a phase, and
        // phases.
        let (rows_on, phases_down) = (down / sh, down % sh);
        let (columns_on, phases_across) = (across / sw, across % sw);
        let phase = self.rows * self.columns;
        let mut rows = taps.chunks_exact_mut(width);
        for c in 0..channels {
            let (mut y, mut py) = (0, 0);
            for row in rows.by_ref().take(height) {
                let mut tap = (c * sh + py) * sw * phase + y * self.columns;
                let mut px = 0;
                for slot in row {
                    *slot = tap;
                    (px, tap) = (px + phases_across, tap + columns_on + phases_across * phase);
                    if px >= sw {
                        (px, tap) = (px - sw, tap + 1 - sw * phase);
                    }
                }
                (py, y) = (py + phases_down, y + rows_on);
                if py >= sh {
                    (py, y) = (py - sh, y + 1);
                }
            }
        }
    }

    /// Copies whole channels of the input into this layout. The padding must be zero already; it
    /// stays zero from one sample to the next.
    #[inline(always)]
    pub(crate) fn copy<S: Simd, T: Element>(&self, simd: S, input: &[T], padded: &mut [T]) {
        let channels = input.len() / (self.height * self.width);
        if self.is_input() {
            padded[..input.len()].copy_from_slice(input);
            return;
        }
        for c in 0..channels {
            for y in 0..self.height {
                let row = &input[(c * self.height + y) * self.width..][..self.width];
                // The numbers of a row that belong to one phase are contiguous there.
                for x in 0..self.stride[1].min(self.width) {
                    let to = &mut padded[self.place(c, y + self.top, x + self.left)..];
                    copy_every(simd, &row[x..], self.stride[1], to);
                }
            }
        }
    }

    /// Writes the index of each number of `channels` channels in this layout.
    pub(crate) fn places(&self, channels: usize, places: &mut [usize]) {
        let (first, rest) = places.split_at_mut(self.height * self.width);
        for (y, row) in first.chunks_exact_mut(self.width).enumerate() {
            for (x, place) in row.iter_mut().enumerate() {
                *place = self.place(0, y + self.top, x + self.left);
            }
        }
        for (c, rest) in rest.chunks_exact_mut(first.len()).take(channels - 1).enumerate() {
            for (place, first) in rest.iter_mut().zip(&*first) {
                *place = first + (c + 1) * self.channel();
            }
        }
    }
}

/// Copies every `step`-th number of `from`, starting with the first.
#[inline(always)]
fn copy_every<S: Simd, T: Element>(simd: S, from: &[T], step: usize, to: &mut [T]) {
    match step {
        1 => add_row(simd, from, Added::Nothing, &mut to[..from.len()]),
        _ => to.iter_mut().zip(from.iter().step_by(step)).for_each(|(to, &from)| *to = from),
    }
}

#[cfg(test)]
mod tests {
    use super::Padded;
    use crate::correlate::geometry::{Geometry, Sweep};

    #[test]
    fn taps_counted_on_are_those_divided_out() {
        for (stride, kernel, dilation) in [
            ([1, 1], [5, 3], [1, 1]),
            ([2, 3], [4, 5], [1, 1]),
            ([3, 1], [2, 7], [1, 1]),
            ([1, 1], [3, 2], [4, 7]),
            ([2, 3], [4, 3], [3, 4]),
            ([3, 4], [3, 3], [5, 2]),
        ] {
            let [dy, dx] = dilation;
            let sweep = Sweep { stride, dilation, ..Sweep::default() };
            let layer = Geometry::new([3, 11, 13], 2, kernel, sweep).unwrap();
            let padded = Padded::of(&layer);
            let mut taps = vec![usize::MAX; 3 * kernel[0] * kernel[1]];
            padded.taps([3, kernel[0], kernel[1]], &mut taps);
            let each = (0..3).flat_map(|c| (0..kernel[0]).map(move |ky| (c, ky)));
            let place = move |c, ky, kx| padded.place(c, ky * dy, kx * dx);
            let each = each.flat_map(|(c, ky)| (0..kernel[1]).map(move |kx| place(c, ky, kx)));
            assert_eq!(taps, each.collect::<Vec<_>>());
        }
    }
}
