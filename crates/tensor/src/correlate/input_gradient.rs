use std::ops::Range;

use fearless_simd::{Simd, SimdBase};

use crate::microkernel::{Grid, Product, Store, multiply, pack, packed_len};
use crate::simd::{Kernel, Registers};
use crate::threads::{self, Divide};
use crate::{Element, Scratch};

use super::Correlation;
use super::padded::{Padded, SLACK, spread};

impl Correlation {
    /// `∂E/∂X_c = Σ_d ∂E/∂Y_d *full K_dc` for each sample: a full **convolution**, the
    /// adjoint of the forward pass. (A full cross-correlation, which is sometimes
    /// written here, is wrong for every kernel that rotation by 180° changes.)
    ///
    /// # Shapes
    /// `output_gradient (N, D, OH, OW)`, `kernels (D, C/groups, KH, KW)`,
    /// `input_gradient (N, C, H, W)`, overwritten.
    ///
    /// # Panics
    /// If a slice has not the length that its shape says.
    #[track_caller]
    pub fn input_gradient<T: Element>(
        &self,
        output_gradient: &[T],
        kernels: &[T],
        input_gradient: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let n = self.batch("output gradient", output_gradient.len(), self.output_shape());
        assert_eq!(input_gradient.len(), n * self.input_shape().len(), "input gradient: length");
        assert_eq!(kernels.len(), self.kernels_shape().len(), "kernels: length");
        let parts = threads::parts(n * self.multiply_adds(), scratch.threads());
        let taps = self.kernels / self.groups;
        let (numbers, taps) = scratch.take(parts * Memory::of(self).len(), parts * taps);
        let operation = InputGradient {
            layer: *self,
            channels: 0..self.channels,
            output_gradient,
            kernels,
            input_gradient,
            numbers,
            taps,
        };
        threads::run_divided(operation, parts, T::correlate_input_gradient);
    }
}

/// Sizes of the parts of the scratch memory.
struct Memory {
    /// The packed weights of one group for one place in the kernel.
    panel: usize,
    /// The packed weights.
    packed: usize,
    /// One group's output gradients as lines.
    lines: usize,
    /// One group's input gradients with their padding.
    gradient: usize,
}

impl Memory {
    #[inline(always)]
    fn of(layer: &Correlation) -> Self {
        let padded = Padded::of(layer);
        let (kernels, channels) = (layer.kernels / layer.groups, layer.channels / layer.groups);
        let panel = packed_len(channels, kernels);
        Self {
            panel,
            packed: layer.groups * layer.kernel_height * layer.kernel_width * panel,
            lines: kernels * (padded.line(layer) + SLACK),
            gradient: channels * padded.channel() + 2 * SLACK,
        }
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.packed + self.lines + self.gradient
    }
}

/// The gradient of some channels of the input on one thread.
///
/// For each place `(ky, kx)` in the kernel, `Σ_d G_d · K_dc[ky, kx]` is a broadcast
/// product over the kernels, added to the input gradient `(ky, kx)` further on: as many
/// multiply-adds as the forward pass, where a full correlation of the zero-padded
/// output gradient would multiply by zeros around its border.
pub struct InputGradient<'a, T> {
    layer: Correlation,
    /// All of them if there are several samples or groups.
    channels: Range<usize>,
    output_gradient: &'a [T],
    kernels: &'a [T],
    input_gradient: &'a mut [T],
    numbers: &'a mut [T],
    taps: &'a mut [usize],
}

impl<T: Element> Divide for InputGradient<'_, T> {
    /// By samples if there are several, else by channels.
    fn divide(self, left: usize, parts: usize) -> Result<(Self, Self), Self> {
        let Self { layer, kernels, .. } = self;
        let n = self.output_gradient.len() / layer.output_shape().len();
        let plane = layer.height * layer.width;
        let cut = match n {
            0 => None,
            1 if layer.groups == 1 => threads::cut(self.channels.len(), left, parts, 1),
            _ => threads::cut(n, left, parts, 1),
        };
        let Some(cut) = cut else { return Err(self) };
        let numbers = self.numbers.split_at_mut(self.numbers.len() * left / parts);
        let taps = self.taps.split_at_mut(self.taps.len() * left / parts);
        let gradient;
        let output_gradient;
        let channels;
        if n > 1 {
            gradient = self.input_gradient.split_at_mut(cut * layer.channels * plane);
            output_gradient = self.output_gradient.split_at(cut * layer.output_shape().len());
            channels = (self.channels.clone(), self.channels);
        } else {
            gradient = self.input_gradient.split_at_mut(cut * plane);
            output_gradient = (self.output_gradient, self.output_gradient);
            let middle = self.channels.start + cut;
            channels = (self.channels.start..middle, middle..self.channels.end);
        }
        let first = InputGradient {
            layer,
            channels: channels.0,
            output_gradient: output_gradient.0,
            kernels,
            input_gradient: gradient.0,
            numbers: numbers.0,
            taps: taps.0,
        };
        let second = InputGradient {
            layer,
            channels: channels.1,
            output_gradient: output_gradient.1,
            kernels,
            input_gradient: gradient.1,
            numbers: numbers.1,
            taps: taps.1,
        };
        Ok((first, second))
    }
}

impl<T: Element> Kernel for InputGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { layer, .. } = self;
        let padded = Padded::of(&layer);
        let (groups, kernels) = (layer.groups, layer.kernels / layer.groups);
        let channels = self.channels.len() / groups;
        let (taps, plane) = (layer.taps(), layer.out_plane());
        let places = layer.kernel_height * layer.kernel_width;
        let memory = Memory::of(&layer);
        let (packed, rest) = self.numbers.split_at_mut(memory.packed);
        let (lines, gradient) = rest.split_at_mut(memory.lines);
        let gradient = &mut gradient[..memory.gradient];
        for (index, packed) in packed.chunks_exact_mut(memory.panel).enumerate() {
            let (group, place) = (index / places, index % places);
            let first = group * kernels * taps + self.channels.start * places + place;
            pack(simd, &self.kernels[first..], [channels, places], [kernels, taps], packed);
        }

        let (wide, narrow) = (T::Wide::<S>::LEN, T::Narrow::<S>::LEN);
        let whole_rows = layer.out_width.is_multiple_of(narrow);
        let line = padded.line(&layer).next_multiple_of(wide);
        let (grid, gradient_stride) = if whole_rows {
            let len = layer.out_width;
            let rows = layer.out_height;
            (Grid { rows, len, input_pitch: len, output_pitch: padded.columns }, plane)
        } else {
            (Grid::line(line), line)
        };
        let is_wide = Registers::of(simd) == Registers::Many && grid.len.is_multiple_of(wide);
        let tap_table = &mut self.taps[..kernels];
        for (d, tap) in tap_table.iter_mut().enumerate() {
            *tap = d * gradient_stride;
        }
        // Whole rows never leave the plane; a line's last vector may.
        let in_place = whole_rows && padded.is_input();

        let outputs = self.output_gradient.chunks_exact(kernels * plane);
        let inputs = self.input_gradient.chunks_exact_mut(channels * layer.height * layer.width);
        for (index, (output, input)) in outputs.zip(inputs).enumerate() {
            let group = index % groups;
            let output = if whole_rows {
                output
            } else {
                let shape = [layer.out_height, layer.out_width];
                spread(output, shape, [line, padded.columns], lines);
                &*lines
            };
            let sums = if in_place { &mut *input } else { &mut *gradient };
            sums.fill(T::ZERO);
            for place in 0..places {
                let (ky, kx) = (place / layer.kernel_width, place % layer.kernel_width);
                let product = Product {
                    rows: channels,
                    packed: &packed[(group * places + place) * memory.panel..][..memory.panel],
                    input: output,
                    taps: tap_table,
                    grid,
                    output_stride: padded.channel(),
                    store: Store::Add,
                };
                let sums = &mut sums[padded.tap(0, ky, kx)..];
                if is_wide {
                    multiply::<S, T::Wide<S>>(simd, &product, sums);
                } else {
                    multiply::<S, T::Narrow<S>>(simd, &product, sums);
                }
            }
            if !in_place {
                padded.extract(gradient, input);
            }
        }
    }
}
