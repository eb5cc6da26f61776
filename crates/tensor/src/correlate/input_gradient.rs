use std::ops::Range;

use fearless_simd::{Simd, SimdBase, SimdFloat};

use crate::element::kernels::per_element;
use crate::microkernel::{Grid, Offset, Product, multiply, multiply_narrow};
use crate::packing::{LARGEST_BLOCK, for_each_block, packed_len};
use crate::simd::{Kernel, Tiles};
use crate::threads::{self, Divide};
use crate::vector::Whole;
use crate::{Element, Scratch};

use super::column_sums::ColumnSums;
use super::filtering::Weights;
use super::outer_products::transpose;
use super::padded::{Padded, SLACK, spread};
use super::phase::Phase;
use super::samples::MOST_LANES;
use super::{Bias, Correlation};

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
        if let Some((adjoint, filtering)) = self.input_filtering::<T>() {
            let (from, weights, to) = (output_gradient, Weights::Adjoint(kernels), input_gradient);
            return adjoint.forward_filtered(filtering, from, weights, Bias::None, to, scratch);
        }
        let parts = threads::parts(self.work(n), scratch.threads());
        let side_by_side = self.gains_by_samples_backward::<T>(n);
        let (numbers, taps) = scratch.take(self.adjoint_room::<T>(side_by_side, parts));
        let operation = InputGradient {
            layer: *self,
            side_by_side,
            channels: 0..self.channels,
            output_gradient,
            kernels,
            input_gradient,
            numbers,
            taps,
        };
        threads::run_divided(operation, parts, InputGradient::launch);
    }

    /// The scratch memory of [`Correlation::input_gradient`] of `n` samples.
    pub(super) fn input_gradient_room<T: Element>(&self, n: usize, threads: usize) -> [usize; 2] {
        if let Some((adjoint, filtering)) = self.input_filtering::<T>() {
            return adjoint.filtering_room::<T>(filtering, n, threads);
        }
        let side_by_side = self.gains_by_samples_backward::<T>(n);
        self.adjoint_room::<T>(side_by_side, threads::parts(self.work(n), threads))
    }

    fn adjoint_room<T>(&self, side_by_side: bool, parts: usize) -> [usize; 2] {
        let numbers = Memory::most::<T>(self, side_by_side);
        threads::rooms(parts, [numbers, self.kernels / self.groups * self.kernel_height])
    }
}

/// Sizes of the parts of the scratch memory.
#[derive(Clone, Copy)]
struct Memory {
    /// How many samples are worked on together: several where rows are so short that the
    /// same row of one sample does not fill a tile.
    samples: usize,
    /// How many rows of the phase are worked on together.
    rows: usize,
    /// Numbers of these rows as a line of partial sums, with a margin before it.
    line: usize,
    /// The packed weights of one group for one phase.
    panel: usize,
    /// Channels of a group that are worked on together.
    channels: usize,
    /// The packed weights of these.
    packed: usize,
    /// One group's output gradients as lines.
    gradients: usize,
    /// One group's partial sums, of all samples and rows worked on together.
    sums: usize,
    /// These rows of one channel of the phase's input gradient.
    plane: usize,
    /// One group's input gradients, of samples side by side.
    inputs: usize,
}

impl Memory {
    /// Bytes of partial sums, which are added up while they are in the first-level cache.
    const SUMS: usize = 16_384;

    #[inline(always)]
    fn of<T>(layer: &Correlation, lanes: usize, side_by_side: bool) -> Self {
        let (kernels, mut channels) = (layer.kernels / layer.groups, layer.channels / layer.groups);
        if side_by_side {
            let phase = Phase::of(layer, MOST_LANES, [0, 0]);
            let sums = phase.kernel_width * phase.pitch * phase.lanes * size_of::<T>();
            channels = channels.min((Self::SUMS / sums + 1).next_multiple_of(LARGEST_BLOCK));
        }
        // The first phase is the largest.
        let phase = Phase::of(layer, lanes, [0, 0]);
        let is_short = layer.out_width <= 64 / size_of::<T>() && phase.along_rows::<T>(layer);
        let is_short = is_short && lanes == 1;
        let samples = if is_short && layer.groups == 1 && layer.step == [1, 1] { 4 } else { 1 };
        let lines = samples * channels * phase.kernel_width;
        let pitch = phase.pitch * lanes;
        let rows = Self::SUMS / (lines * pitch * size_of::<T>());
        let rows = rows.clamp(1, phase.height);
        let line = (phase.pitch - layer.out_width) * lanes + rows * pitch + SLACK;
        let line = line.next_multiple_of(SLACK);
        let panel = packed_len(channels * phase.kernel_width, kernels * phase.kernel_height);
        Self {
            samples,
            rows,
            line,
            panel,
            channels,
            packed: layer.groups * layer.phases().iter().product::<usize>() * panel,
            gradients: kernels * (layer.out_height * pitch + SLACK),
            sums: lines * line,
            plane: if lanes > 1 { 0 } else { rows * pitch },
            inputs: if lanes > 1 { channels * layer.height * layer.width * lanes } else { 0 },
        }
    }

    /// Numbers for any number of samples side by side, if there are such: fewer may want more
    /// than more, since rows fit into [`Memory::SUMS`] another way.
    fn most<T>(layer: &Correlation, side_by_side: bool) -> usize {
        let lanes = [1, MOST_LANES / 4, MOST_LANES / 2, MOST_LANES];
        let lanes = if side_by_side { &lanes[..] } else { &lanes[..1] };
        let of = |&lanes| Self::of::<T>(layer, lanes, side_by_side).len(layer);
        lanes.iter().map(of).max().unwrap_or(0)
    }

    /// In how many blocks so many channels of a group are worked on.
    #[inline(always)]
    fn blocks(&self, channels: usize) -> usize {
        channels.div_ceil(self.channels)
    }

    #[inline(always)]
    fn len(&self, layer: &Correlation) -> usize {
        let blocks = self.blocks(layer.channels / layer.groups);
        blocks * self.packed + self.gradients + self.sums + self.plane + self.inputs
    }
}

/// The gradient of some channels of the input on one thread.
///
/// For each column `kx` of the kernel and each input row `y`, without dilation, the sums
/// `Σ_ky Σ_d G_d[y − ky, x] · K_dc[ky, kx]` over the kernel rows that reach `y` are a
/// broadcast product; the input gradient is these sums, each moved `kx` to the right,
/// added up. So there are as many multiply-adds as in the forward pass, where a full
/// correlation of the zero-padded output gradient would multiply by its zeros.
pub struct InputGradient<'a, T> {
    layer: Correlation,
    /// Whether as many samples as a vector has lanes are laid side by side.
    side_by_side: bool,
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
        let Self { layer, side_by_side, kernels, .. } = self;
        let n = self.output_gradient.len() / layer.output_shape().len();
        let plane = layer.height * layer.width;
        let cut = match n {
            0 => None,
            1 if layer.groups == 1 => threads::cut(self.channels.len(), left, parts, 1),
            _ if n >= MOST_LANES && side_by_side => threads::cut(n, left, parts, MOST_LANES),
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
            side_by_side,
            channels: channels.0,
            output_gradient: output_gradient.0,
            kernels,
            input_gradient: gradient.0,
            numbers: numbers.0,
            taps: taps.0,
        };
        let second = InputGradient {
            layer,
            side_by_side,
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

per_element!(InputGradient);

impl<T: Element> Kernel for InputGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { layer, side_by_side, channels, kernels, .. } = self;
        let (output_gradient, input_gradient) = (self.output_gradient, self.input_gradient);
        let (numbers, taps) = (self.numbers, self.taps);
        let [down, across] = layer.phases();
        let phases = down * across;
        let memory = Memory::of::<T>(&layer, 1, side_by_side);
        let all = channels.start..channels.start + channels.len() / layer.groups;
        let (packed, numbers) = numbers.split_at_mut(memory.blocks(all.len()) * memory.packed);
        for (index, packed) in packed.chunks_exact_mut(memory.panel).enumerate() {
            let (block, group, phase) =
                (index / phases / layer.groups, index / phases % layer.groups, index % phases);
            let first = all.start + block * memory.channels;
            let channels = first..all.end.min(first + memory.channels);
            let kernels = &kernels[group * (layer.kernels / layer.groups) * layer.taps()..];
            let phase = Phase::of(&layer, 1, [phase / across, phase % across]);
            pack_phase(simd, &layer, phase, kernels, channels, packed);
        }
        let channels = channels.len();
        let lanes = if S::LARGE { T::Wide::<S>::LEN } else { T::Narrow::<S>::LEN };
        let [output_len, input_len] =
            [layer.output_shape().len(), channels * layer.height * layer.width];
        let n = output_gradient.len() / output_len;
        let samples = if side_by_side { n / lanes * lanes } else { 0 };
        let (output, outputs) = output_gradient.split_at(samples * output_len);
        let (input, inputs) = input_gradient.split_at_mut(samples * input_len);
        if samples > 0 {
            let memory = Memory::of::<T>(&layer, lanes, true);
            let work = Work { layer: &layer, lanes, channels: all.len(), packed, memory };
            if S::LARGE {
                work.run_side_by_side::<S, T::Wide<S>>(simd, output, input, numbers, taps);
            } else {
                work.run_side_by_side::<S, T::Narrow<S>>(simd, output, input, numbers, taps);
            }
        }
        Work { layer: &layer, lanes: 1, channels: all.len(), packed, memory }
            .run_samples(simd, outputs, inputs, numbers, taps);
    }
}

/// What is the same for all samples.
struct Work<'a, T> {
    layer: &'a Correlation,
    /// Samples that lie side by side.
    lanes: usize,
    /// Of a group all channels, or a part.
    channels: usize,
    /// Block of channels by block, group by group, phase by phase.
    packed: &'a [T],
    memory: Memory,
}

impl<T: Element> Work<'_, T> {
    /// As many samples at a time as `V` has lanes, transposed to lie side by side, and their
    /// input gradients transposed back, some channels at a time.
    #[inline(always)]
    fn run_side_by_side<S: Simd, V: SimdFloat<S, Element = T>>(
        &self,
        simd: S,
        outputs: &[T],
        inputs: &mut [T],
        numbers: &mut [T],
        taps: &mut [usize],
    ) {
        let Self { layer, channels, memory, .. } = self;
        let (groups, plane) = (layer.groups, layer.height * layer.width);
        let [output_len, input_len] = [layer.output_shape().len() / groups, channels * plane];
        let pitches = [groups * output_len, groups * input_len];
        let (gradients, rest) = numbers.split_at_mut(memory.gradients);
        let (transposed, rest) = rest.split_at_mut(memory.inputs);
        let (sums, spare) = rest.split_at_mut(memory.sums);
        sums.fill(T::ZERO);
        let outputs = outputs.chunks_exact(V::LEN * pitches[0]);
        for (output, input) in outputs.zip(inputs.chunks_exact_mut(V::LEN * pitches[1])) {
            for group in 0..groups {
                let from = (&output[group * output_len..], pitches[0]);
                let to = (&mut *gradients, V::LEN);
                transpose::<S, V>(simd, from, [V::LEN, output_len], to);
                let output = &gradients[..output_len * V::LEN];
                for (block, count) in self.blocks() {
                    let first = group * input_len + block * memory.channels * plane;
                    let transposed = &mut transposed[..count * plane * V::LEN];
                    let to = (&mut *transposed, count * plane * V::LEN);
                    let place = [block, group, count];
                    self.run(simd, place, output, to, (&mut [], sums, spare), taps);
                    let to = (&mut input[first..], pitches[1]);
                    transpose::<S, V>(simd, (transposed, V::LEN), [count * plane, V::LEN], to);
                }
            }
        }
    }

    /// One sample after another, or few together.
    #[inline(always)]
    fn run_samples<S: Simd>(
        &self,
        simd: S,
        outputs: &[T],
        inputs: &mut [T],
        numbers: &mut [T],
        taps: &mut [usize],
    ) {
        let Self { layer, channels, memory, .. } = self;
        let (samples, groups, plane) = (memory.samples, layer.groups, layer.height * layer.width);
        let (lines, rest) = numbers.split_at_mut(memory.gradients);
        let (sums, spare) = rest.split_at_mut(memory.sums);
        sums.fill(T::ZERO);
        let outputs = outputs.chunks(samples * layer.output_shape().len() / groups);
        let inputs = inputs.chunks_mut(samples * channels * plane);
        for (index, (output, input)) in outputs.zip(inputs).enumerate() {
            for (block, count) in self.blocks() {
                let to = (&mut input[block * memory.channels * plane..], channels * plane);
                let place = [block, index % groups, count];
                self.run(simd, place, output, to, (lines, sums, spare), taps);
            }
        }
    }

    /// The blocks of channels that are worked on together, and how many each has.
    #[inline(always)]
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let (channels, size) = (self.channels, self.memory.channels);
        (0..self.memory.blocks(channels))
            .map(move |block| (block, size.min(channels - block * size)))
    }

    /// The gradient of `channels` channels of a block of one group, of a sample or of those
    /// that are worked on together, each of which starts `pitch` after the one before. A
    /// function of its own for the compiler.
    #[inline(always)]
    fn run<S: Simd>(
        &self,
        simd: S,
        [block, group, channels]: [usize; 3],
        output: &[T],
        (input, pitch): (&mut [T], usize),
        (lines, sums, spare): (&mut [T], &mut [T], &mut [T]),
        taps: &mut [usize],
    ) {
        simd.vectorize(
            #[inline(always)]
            || {
                let Self { layer, lanes, memory, .. } = self;
                let [down, across] = layer.phases();
                let phases = down * across;
                let plane = layer.height * layer.width * lanes;
                let is_simple = Padded::of(layer).is_input();
                if !is_simple {
                    for input in input.chunks_mut(pitch) {
                        input[..channels * plane].fill(T::ZERO);
                    }
                }
                for phase in 0..phases {
                    if phases > 1 {
                        sums.fill(T::ZERO);
                    }
                    let panel = (block * layer.groups + group) * phases + phase;
                    let packed = &self.packed[panel * memory.panel..][..memory.panel];
                    let phase = Phase::of(layer, *lanes, [phase / across, phase % across]);
                    let rows = channels * phase.kernel_width;
                    let pass = Pass { layer, phase, rows, packed, memory };
                    let source = pass.source(output, lines, taps);
                    let mut y = 0;
                    while y < phase.height {
                        let end = pass.partial_sums(simd, &source, y, sums);
                        for (sample, input) in input.chunks_mut(pitch).enumerate() {
                            let input = input[..channels * plane].chunks_exact_mut(plane);
                            for (c, input) in input.enumerate() {
                                let first = (c * memory.samples + sample) * memory.line;
                                let columns = ColumnSums {
                                    layer,
                                    phase,
                                    rows: y..end,
                                    sums: &sums[first..],
                                    pitch: channels * memory.samples * memory.line,
                                };
                                if *lanes == 1 {
                                    columns.add(simd, spare, input);
                                } else if S::LARGE {
                                    columns.add_samples::<S, T::Wide<S>>(simd, input);
                                } else {
                                    columns.add_samples::<S, T::Narrow<S>>(simd, input);
                                }
                            }
                        }
                        y = end;
                    }
                }
            },
        );
    }
}

/// Packs a phase's weights: rows by `(kx, c)`, taps by `(ky, d)` with `ky` falling.
#[inline(always)]
fn pack_phase<S: Simd, T: Element>(
    simd: S,
    layer: &Correlation,
    phase: Phase,
    weights: &[T],
    channels: Range<usize>,
    packed: &mut [T],
) {
    let [down, across] = phase.step;
    let kernels = layer.kernels / layer.groups;
    let count = channels.len();
    let (rows, taps) = (count * phase.kernel_width, kernels * phase.kernel_height);
    for_each_block(
        simd,
        rows,
        #[inline(always)]
        |first, size| {
            // Where a row's weights start in a kernel; a row that is none has the last one's.
            let mut starts = [0; LARGEST_BLOCK];
            for m in 0..size {
                let row = (first + m).min(rows - 1);
                let (kx, c) = (row / count, channels.start + row % count);
                let (y, x) = (c * layer.kernel_height + phase.row, kx * across + phase.column);
                starts[m] = y * layer.kernel_width + x;
            }
            let panel = &mut packed[first * taps..][..size * taps];
            let step = down * layer.kernel_width;
            let shape = [kernels, layer.taps(), phase.kernel_height, step];
            match size {
                8 => pack_block::<T, 8>(weights, shape, starts, panel),
                6 => pack_block::<T, 6>(weights, shape, starts, panel),
                4 => pack_block::<T, 4>(weights, shape, starts, panel),
                2 => pack_block::<T, 2>(weights, shape, starts, panel),
                _ => pack_block::<T, 1>(weights, shape, starts, panel),
            }
        },
    );
}

/// A block of `M` rows, kernel by kernel, since each is a stretch of memory.
#[inline(always)]
fn pack_block<T: Element, const M: usize>(
    weights: &[T],
    [kernels, taps, height, step]: [usize; 4],
    starts: [usize; LARGEST_BLOCK],
    panel: &mut [T],
) {
    let (columns, _) = panel.as_chunks_mut::<M>();
    for (d, weights) in weights.chunks_exact(taps).take(kernels).enumerate() {
        for j in 0..height {
            let weights = &weights[(height - 1 - j) * step..];
            let column = &mut columns[j * kernels + d];
            for m in 0..M {
                column[m] = weights[starts[m]];
            }
        }
    }
}

/// One phase of one group of some samples.
struct Pass<'a, T> {
    layer: &'a Correlation,
    phase: Phase,
    /// Channels by columns of the kernel.
    rows: usize,
    packed: &'a [T],
    memory: &'a Memory,
}

/// The output gradients as a [`Pass`] reads them.
struct Source<'a, T> {
    gradients: &'a [T],
    /// From one row to the next.
    pitch: usize,
    taps: &'a [usize],
    samples: usize,
    /// See [`Phase::along_rows`].
    along_rows: bool,
}

impl<T: Element> Pass<'_, T> {
    #[inline(always)]
    fn source<'b>(
        &self,
        output: &'b [T],
        lines: &'b mut [T],
        taps: &'b mut [usize],
    ) -> Source<'b, T> {
        let Self { layer, phase, .. } = *self;
        let kernels = layer.kernels / layer.groups;
        let width = layer.out_width * phase.lanes;
        let along_rows = phase.along_rows::<T>(layer);
        let out_plane = layer.out_height * width;
        let (gradients, pitch, stride) = if along_rows {
            (output, width, out_plane)
        } else {
            let stride = layer.out_height * phase.pitch + SLACK;
            spread(output, [layer.out_height, width], [stride, phase.pitch], lines);
            (&*lines, phase.pitch, stride)
        };
        let taps = &mut taps[..kernels * phase.kernel_height];
        for (tap, slot) in taps.iter_mut().enumerate() {
            *slot = tap / kernels * phase.dilation[0] * pitch + tap % kernels * stride;
        }
        let samples = output.len() / (kernels * out_plane);
        Source { gradients, pitch, taps, samples, along_rows }
    }

    /// Writes the partial sums of some rows of the phase, `y` the first; returns the row
    /// after the last.
    #[inline(always)]
    fn partial_sums<S: Simd>(
        &self,
        simd: S,
        source: &Source<'_, T>,
        y: usize,
        sums: &mut [T],
    ) -> usize {
        let Self { layer, phase, memory, .. } = *self;
        let Source { pitch, taps, samples, .. } = *source;
        let (kernels, width) = (layer.kernels / layer.groups, layer.out_width * phase.lanes);
        let line_pitch = phase.pitch * phase.lanes;
        let range = phase.kernel_rows(layer, y);
        let last = phase.height.min(y + memory.rows);
        let mut end = y + 1;
        while samples == 1 && end < last && phase.kernel_rows(layer, end) == range {
            end += 1;
        }
        let (lowest, highest) = range;
        let grid = if samples > 1 {
            // The same row of all samples.
            let input_pitch = kernels * layer.out_plane();
            Grid { rows: samples, len: width, input_pitch, output_pitch: memory.line }
        } else if source.along_rows {
            Grid { rows: end - y, len: width, input_pitch: width, output_pitch: line_pitch }
        } else {
            Grid::line(((end - y) * line_pitch).next_multiple_of(T::Wide::<S>::LEN))
        };
        let first = (phase.kernel_height - highest) * kernels;
        let used = (highest - lowest) * kernels;
        if used == 0 {
            sums.fill(T::ZERO);
            return end;
        }
        let product = Product {
            rows: self.rows,
            packed: self.packed,
            input: &source.gradients[(y - (highest - 1) * phase.dilation[0]) * pitch..],
            taps: &taps[..used],
            packed_taps: [first, taps.len()],
            continues: false,
            grid,
            output_stride: memory.samples * memory.line,
            offset: Offset::None,
        };
        let sums = &mut sums[line_pitch - width..];
        let (wide, narrow) = (T::Wide::<S>::LEN, T::Narrow::<S>::LEN);
        let wide = grid.len >= wide
            && grid.len.next_multiple_of(wide) == grid.len.next_multiple_of(narrow);
        if S::LARGE && wide {
            multiply::<S, T, Whole<T::Wide<S>>>(simd, &product, sums);
        } else {
            multiply_narrow(simd, &product, sums);
        }
        end
    }
}
