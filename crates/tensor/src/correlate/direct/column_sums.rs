//! The gradient of the input as the sum of what each column of the kernel contributes.

use std::ops::Range;

use fearless_simd::{Simd, SimdBase, SimdFloat, SimdFrom};

use crate::Element;
use crate::correlate::geometry::Geometry;
use crate::correlate::layout::{Padded, Phase};
use crate::vector::{load, store};

/// The sums for some rows of a channel, in one phase of one sample or of samples side by side.
pub(crate) struct ColumnSums<'a, T> {
    pub(crate) layer: &'a Geometry,
    pub(crate) phase: Phase,
    /// Rows of the phase.
    pub(crate) rows: Range<usize>,
    /// For each column `kx` of the kernel a line of rows; each row is preceded by as many zeros as
    /// the kernel reaches to the right.
    pub(crate) sums: &'a [T],
    /// The distance between the lines of neighbouring columns.
    pub(crate) pitch: usize,
}

impl<T: Element> ColumnSums<'_, T> {
    /// `input[p] = Σ_kx sums of kx [p − kx · dilation]` for one sample. `plane` holds rows that do
    /// not lie in the input as they do in the phase. If the phase is the whole input, numbers after
    /// the rows may be overwritten.
    #[inline(always)]
    pub(crate) fn add<S: Simd>(&self, simd: S, plane: &mut [T], input: &mut [T]) {
        let Self { layer, phase, .. } = self;
        if layer.step == [1, 1] && Padded::of(layer).is_input() {
            self.add_lines(simd, &mut input[self.rows.start * phase.pitch..]);
        } else {
            self.add_lines(simd, plane);
            self.copy_to_input(&plane[..self.rows.len() * phase.pitch], input);
        }
    }

    #[inline(always)]
    fn add_lines<S: Simd>(&self, simd: S, to: &mut [T]) {
        let Self { phase, sums, pitch, .. } = *self;
        let lanes = T::Wide::<S>::LEN;
        for at in (0..self.rows.len() * phase.pitch).step_by(lanes) {
            let mut sum = T::Wide::<S>::simd_from(simd, T::ZERO);
            for kx in 0..phase.kernel_width {
                let left = (phase.kernel_width - 1 - kx) * phase.dilation[1];
                sum += load::<S, T::Wide<S>>(simd, sums, kx * pitch + left + at);
            }
            if at + lanes <= to.len() {
                store(sum, to, at);
            } else {
                let rest = to.len() - at;
                to[at..].copy_from_slice(&sum.as_slice()[..rest]);
            }
        }
    }

    /// Copies the part of the rows inside the input to its place there.
    #[inline(always)]
    fn copy_to_input(&self, rows: &[T], input: &mut [T]) {
        let width = self.layer.width;
        for (y, row) in self.rows.clone().zip(rows.chunks_exact(self.phase.pitch)) {
            let Some(y) = self.row_in_input(y) else { continue };
            let input = &mut input[y * width..][..width];
            if self.layer.step[1] == 1 {
                input.copy_from_slice(&row[self.layer.pad_width[0]..][..width]);
                continue;
            }
            for (x, &number) in row.iter().enumerate() {
                if let Some(x) = self.column_in_input(x) {
                    input[x] = number;
                }
            }
        }
    }

    /// [`ColumnSums::add`] for samples side by side, as many as `V` has lanes.
    #[inline(always)]
    pub(crate) fn add_samples<S: Simd, V>(&self, simd: S, input: &mut [T])
    where
        V: SimdFloat<S, Element = T>,
    {
        let Self { layer, phase, sums, pitch, .. } = *self;
        for (row, y) in self.rows.clone().enumerate() {
            let Some(y) = self.row_in_input(y) else { continue };
            for x in 0..phase.pitch {
                let Some(to) = self.column_in_input(x) else { continue };
                let mut sum = V::simd_from(simd, T::ZERO);
                for kx in 0..phase.kernel_width {
                    let left = (phase.kernel_width - 1 - kx) * phase.dilation[1];
                    let position = row * phase.pitch + left + x;
                    sum += load::<S, V>(simd, sums, kx * pitch + position * V::LEN);
                }
                store(sum, input, (y * layer.width + to) * V::LEN);
            }
        }
    }

    /// The row of the input that is row `y` of the phase, unless that is padding.
    #[inline(always)]
    fn row_in_input(&self, y: usize) -> Option<usize> {
        let Self { layer, phase, .. } = self;
        let y =
            (y * layer.step[0] + phase.row * layer.dilation[0]).checked_sub(layer.pad_height[0])?;
        (y < layer.height).then_some(y)
    }

    #[inline(always)]
    fn column_in_input(&self, x: usize) -> Option<usize> {
        let Self { layer, phase, .. } = self;
        let x = (x * layer.step[1] + phase.column * layer.dilation[1])
            .checked_sub(layer.pad_width[0])?;
        (x < layer.width).then_some(x)
    }
}
