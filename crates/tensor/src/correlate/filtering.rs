//! What the two ways of minimal filtering share: which correlations are computed by it, and
//! how one is spread over threads.

use std::ops::Range;

use fearless_simd::Simd;

use crate::packing::pack_rows;
use crate::threads;
use crate::{Element, Scratch};

use super::columns::Columns;
use super::winograd::Winograd;
use super::{Bias, Correlation};

/// A way of minimal filtering.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Filtering {
    /// In both directions: [`super::winograd`].
    Tiles,
    /// Down the columns: [`super::columns`].
    Columns,
}

impl Filtering {
    /// What [`Correlation::forward_plan`] says.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tiles => "tiles of 4 × 4",
            Self::Columns => "columns of 4",
        }
    }
}

impl Correlation {
    /// How minimal filtering computes the correlation, if it does: a property of the layer
    /// and the element, as rounding is.
    pub(super) fn filtering<T: Element>(&self) -> Option<Filtering> {
        if !self.may_be_filtered::<T>() {
            return None;
        }
        self.filtering_against::<T>(self.positions::<T>())
    }

    /// How minimal filtering computes the gradient of the input, if it does, and the
    /// correlation that gives it.
    pub(super) fn input_filtering<T: Element>(&self) -> Option<(Self, Filtering)> {
        let adjoint = self.adjoint().filter(Self::may_be_filtered::<T>)?;
        Some((adjoint, adjoint.filtering_against::<T>(self.positions_backward::<T>(&adjoint))?))
    }

    /// How minimal filtering computes a correlation that it can, if it does, where the direct sum
    /// has so many positions.
    fn filtering_against<T: Element>(&self, positions: usize) -> Option<Filtering> {
        if self.gains_by_tiles(positions) {
            Some(Filtering::Tiles)
        } else if self.fits_columns::<T>() && self.gains_by_columns() {
            Some(Filtering::Columns)
        } else {
            None
        }
    }

    /// How minimal filtering computes the gradient of the kernels, if it does: a property of
    /// the layer and the element, as the order of the sum is.
    pub(super) fn gradient_filtering<T: Element>(&self) -> Option<Filtering> {
        if self.may_be_filtered::<T>() && self.gains_by_tiles_gradient() {
            Some(Filtering::Tiles)
        } else if self.fits_columns::<T>() && self.gains_by_columns_gradient::<T>() {
            Some(Filtering::Columns)
        } else {
            None
        }
    }

    /// Whether minimal filtering can compute the correlation, and may: `f64` is there to
    /// check gradients, and is summed as it is written.
    pub(super) fn may_be_filtered<T: Element>(&self) -> bool {
        let shape = [self.kernel_height, self.kernel_width] == [3, 3];
        let is_dense = self.step == [1, 1] && self.dilation == [1, 1];
        T::FILTERED && shape && is_dense && self.groups == 1
    }

    /// The correlation of the output's gradient that gives the input's: as many zeros
    /// around it as let the turned kernels touch it everywhere, less the padding that the
    /// input had. None if the padding was more than that: some outputs saw no input then.
    pub(super) fn adjoint(&self) -> Option<Self> {
        let around = |[before, after]: [usize; 2], size: usize| {
            Some([(size - 1).checked_sub(before)?, (size - 1).checked_sub(after)?])
        };
        Some(Self {
            channels: self.kernels,
            kernels: self.channels,
            height: self.out_height,
            width: self.out_width,
            out_height: self.height,
            out_width: self.width,
            pad_height: around(self.pad_height, self.kernel_height)?,
            pad_width: around(self.pad_width, self.kernel_width)?,
            ..*self
        })
    }

    /// The scratch memory of [`Correlation::forward_filtered`] of `n` samples.
    pub(super) fn filtering_room<T: Element>(
        &self,
        filtering: Filtering,
        n: usize,
        threads: usize,
    ) -> [usize; 2] {
        let room = match filtering {
            Filtering::Tiles => Winograd::<T>::memory(self, n),
            Filtering::Columns => Columns::<T>::memory(self),
        };
        threads::rooms(threads::parts(self.work(n), threads), room)
    }

    /// [`Correlation::forward`] by minimal filtering.
    pub(super) fn forward_filtered<T: Element>(
        &self,
        filtering: Filtering,
        input: &[T],
        weights: Weights<'_, T>,
        bias: Bias<'_, T>,
        output: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let n = input.len() / self.input_shape().len();
        let parts = threads::parts(self.work(n), scratch.threads());
        let (numbers, taps) =
            scratch.take(self.filtering_room::<T>(filtering, n, scratch.threads()));
        let (layer, kernels) = (*self, 0..self.kernels);
        let operands = Operands { layer, kernels, input, weights, bias, output, numbers, taps };
        match filtering {
            Filtering::Tiles => {
                threads::run_divided(Winograd::new(operands), parts, Winograd::launch);
            }
            Filtering::Columns => {
                threads::run_divided(Columns(operands), parts, Columns::launch);
            }
        }
    }
}

/// The kernels of a correlation.
#[derive(Clone, Copy)]
pub(super) enum Weights<'a, T> {
    /// As they are: `(D, C, 3, 3)`.
    Forward(&'a [T]),
    /// Those of the layer whose adjoint the correlation is, to be turned by 180°:
    /// `(C, D, 3, 3)`.
    Adjoint(&'a [T]),
}

impl<T: Element> Weights<'_, T> {
    /// The nine weights of kernel `d` for channel `c` in `layer`.
    #[inline(always)]
    pub(super) fn kernel(&self, layer: &Correlation, d: usize, c: usize) -> [T; 9] {
        let (weights, at, turned) = match self {
            Self::Forward(weights) => (weights, d * layer.channels + c, false),
            Self::Adjoint(weights) => (weights, c * layer.kernels + d, true),
        };
        let weights = &weights[at * 9..][..9];
        let mut kernel = [T::ZERO; 9];
        for tap in 0..9 {
            kernel[tap] = weights[if turned { 8 - tap } else { tap }];
        }
        kernel
    }

    /// Writes a block of kernels of `layer` as [`pack_rows`] does: `(channels, 9, block)`.
    #[inline(always)]
    pub(super) fn pack<S: Simd>(
        &self,
        simd: S,
        layer: &Correlation,
        kernels: Range<usize>,
        block: &mut [T],
    ) {
        match self {
            Self::Forward(weights) => {
                let (taps, count) = (layer.taps(), kernels.len());
                let weights = &weights[kernels.start * taps..kernels.end * taps];
                pack_rows(simd, weights, [count, taps], block);
            }
            Self::Adjoint(weights) => {
                let size = block.len() / layer.channels;
                let channels = weights.chunks_exact(layer.kernels * 9);
                for (block, weights) in block.chunks_exact_mut(size).zip(channels) {
                    let weights = &weights[kernels.start * 9..kernels.end * 9];
                    pack_rows(simd, weights, [kernels.len(), 9], block);
                    // By 180°: the taps in reverse order.
                    let size = size / 9;
                    for tap in 0..4 {
                        let (first, last) = block.split_at_mut((8 - tap) * size);
                        first[tap * size..][..size].swap_with_slice(&mut last[..size]);
                    }
                }
            }
        }
    }
}

/// What a filtered correlation reads, writes and works in, on one thread.
pub(super) struct Operands<'a, T> {
    pub(super) layer: Correlation,
    /// All of them if there are several samples.
    pub(super) kernels: Range<usize>,
    pub(super) input: &'a [T],
    pub(super) weights: Weights<'a, T>,
    pub(super) bias: Bias<'a, T>,
    pub(super) output: &'a mut [T],
    pub(super) numbers: &'a mut [T],
    pub(super) taps: &'a mut [usize],
}

impl<T: Element> Operands<'_, T> {
    /// How many samples there are.
    #[inline(always)]
    pub(super) fn samples(&self) -> usize {
        self.input.len() / self.layer.input_shape().len()
    }

    /// Where [`threads::Divide`] cuts: samples if there are several, else kernels, at
    /// multiples of `unit`.
    pub(super) fn cut(&self, left: usize, parts: usize, unit: usize) -> Option<usize> {
        let n = self.samples();
        let (count, unit) = if n > 1 { (n, 1) } else { (self.kernels.len(), unit) };
        threads::cut(count, left, parts, unit)
    }

    /// The two sides of `cut`, with their shares of the memory.
    pub(super) fn split(self, cut: usize, left: usize, parts: usize) -> (Self, Self) {
        let Self { layer, weights, bias, .. } = self;
        let several = self.samples() > 1;
        let numbers = self.numbers.split_at_mut(self.numbers.len() * left / parts);
        let taps = self.taps.split_at_mut(self.taps.len() * left / parts);
        let (input, kernels, outputs) = if several {
            let input = self.input.split_at(cut * layer.input_shape().len());
            (input, (self.kernels.clone(), self.kernels), cut * layer.output_shape().len())
        } else {
            let middle = self.kernels.start + cut;
            let kernels = (self.kernels.start..middle, middle..self.kernels.end);
            ((self.input, self.input), kernels, cut * layer.out_plane())
        };
        let output = self.output.split_at_mut(outputs);
        let part = |kernels, input, output, numbers, taps| Self {
            layer,
            kernels,
            input,
            weights,
            bias,
            output,
            numbers,
            taps,
        };
        (
            part(kernels.0, input.0, output.0, numbers.0, taps.0),
            part(kernels.1, input.1, output.1, numbers.1, taps.1),
        )
    }
}
