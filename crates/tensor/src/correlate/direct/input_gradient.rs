//! The gradient of the input as a direct sum.

use fearless_simd::{Simd, SimdBase, SimdFloat};

use crate::Element;
use crate::correlate::geometry::Geometry;
use crate::correlate::layout::{Padded, Phase, transpose};
use crate::correlate::plan::Schedule;
use crate::correlate::task::Task;
use crate::element::kernels::per_element;
use crate::simd::{Kernel, SimdRegisters};

use super::blocks::Blocks;
use super::column_sums::ColumnSums;
use super::phase_sums::{PhaseSums, pack_phase};

/// The numbers and indices of scratch memory for one part.
pub(crate) fn room<T>(layer: &Geometry, schedule: Schedule) -> [usize; 2] {
    let in_lanes = schedule.samples_together() > 1;
    let of = |lanes| Blocks::of::<T>(layer, lanes, in_lanes).sections(layer, lanes).len();
    let packed = Blocks::of::<T>(layer, 1, in_lanes).packed(layer, layer.channels / layer.groups);
    let sections = of(1).max(of(schedule.samples_together()));
    [packed + sections, layer.kernels / layer.groups * layer.kernel_height]
}

/// The gradient of some channels of the input, computed on one thread.
///
/// For each column `kx` of the kernel and each input row `y`, without dilation, the sums
/// `Σ_ky Σ_d G_d[y − ky, x] · K_dc[ky, kx]` over the kernel rows that reach `y` are a broadcast
/// product. The input gradient is the sum of these, each shifted to the right by `kx`. So there are
/// as many multiply-adds as in the forward pass; a full correlation of the zero-padded output
/// gradient would also multiply by the zeros.
pub(crate) struct InputGradient<'a, T>(pub(crate) Task<'a, T>);

per_element!(InputGradient);

impl<T: Element> Kernel for InputGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Task { layer, schedule, samples: n, planes, input, output, numbers, indices, .. } =
            self.0;
        let kernels = self.0.weights.numbers;
        let [down, across] = layer.phases();
        let phases = down * across;
        let in_lanes = schedule.samples_together() > 1;
        let blocks = Blocks::of::<T>(&layer, 1, in_lanes);
        let all = planes.start..planes.start + planes.len() / layer.groups;
        let (packed, numbers) = numbers.split_at_mut(blocks.packed(&layer, all.len()));
        for (index, packed) in packed.chunks_exact_mut(blocks.panel).enumerate() {
            let (block, group, phase) =
                (index / phases / layer.groups, index / phases % layer.groups, index % phases);
            let first = all.start + block * blocks.channels;
            let channels = first..all.end.min(first + blocks.channels);
            let kernels = &kernels[group * (layer.kernels / layer.groups) * layer.taps()..];
            let phase = Phase::of(&layer, 1, [phase / across, phase % across]);
            pack_phase(simd, &layer, phase, kernels, channels, packed);
        }
        let lanes = if S::LARGE { T::Wide::<S>::LEN } else { T::Narrow::<S>::LEN };
        let together = if in_lanes { n / lanes * lanes } else { 0 };
        let (output_gradient, output_gradients) =
            input.split_at(together * layer.output_shape().len());
        let (gradient, gradients) = output.split_at_mut(together * planes.len() * layer.plane());
        let channels = all.len();
        if together > 0 {
            let blocks = Blocks::of::<T>(&layer, lanes, true);
            let [lines, inputs, sums, _] = blocks.sections(&layer, lanes).carve(numbers);
            let packed = PackedLayer { layer: &layer, lanes, channels, packed, blocks };
            let scratch = [lines, inputs, sums];
            if S::LARGE {
                packed.in_lanes::<S, T::Wide<S>>(simd, output_gradient, gradient, scratch, indices);
            } else {
                packed.in_lanes::<S, T::Narrow<S>>(
                    simd,
                    output_gradient,
                    gradient,
                    scratch,
                    indices,
                );
            }
        }
        let [lines, _, sums, rows] = blocks.sections(&layer, 1).carve(numbers);
        let packed = PackedLayer { layer: &layer, lanes: 1, channels, packed, blocks };
        packed.one_by_one(simd, output_gradients, gradients, [lines, sums, rows], indices);
    }
}

/// The weights and offsets, which are the same for all samples.
struct PackedLayer<'a, T> {
    layer: &'a Geometry,
    /// How many samples lie side by side.
    lanes: usize,
    /// How many channels of a group a block has: all, or some of them.
    channels: usize,
    /// Packed weights: group by group, phase by phase, block of channels by block.
    packed: &'a [T],
    blocks: Blocks,
}

impl<T: Element> PackedLayer<'_, T> {
    /// As many samples at a time as `V` has lanes, transposed to lie side by side; their input
    /// gradients are transposed back some channels at a time.
    #[inline(always)]
    fn in_lanes<S: Simd, V: SimdFloat<S, Element = T>>(
        &self,
        simd: S,
        outputs: &[T],
        inputs: &mut [T],
        [gradients, transposed, sums]: [&mut [T]; 3],
        taps: &mut [usize],
    ) {
        let Self { layer, channels, blocks, .. } = self;
        let (groups, plane) = (layer.groups, layer.plane());
        let [output_len, input_len] = [layer.output_shape().len() / groups, channels * plane];
        let pitches = [groups * output_len, groups * input_len];
        sums.fill(T::ZERO);
        let outputs = outputs.chunks_exact(V::LEN * pitches[0]);
        for (output, input) in outputs.zip(inputs.chunks_exact_mut(V::LEN * pitches[1])) {
            for group in 0..groups {
                let from = (&output[group * output_len..], pitches[0]);
                let to = (&mut *gradients, V::LEN);
                transpose::<S, V>(simd, from, [V::LEN, output_len], to);
                let output = &gradients[..output_len * V::LEN];
                for (index, count) in self.each_block() {
                    let first = group * input_len + index * blocks.channels * plane;
                    let transposed = &mut transposed[..count * plane * V::LEN];
                    let to = (&mut *transposed, count * plane * V::LEN);
                    let block = [index, group, count];
                    self.run(simd, block, output, to, [&mut [], sums, &mut []], taps);
                    let to = (&mut input[first..], pitches[1]);
                    transpose::<S, V>(simd, (transposed, V::LEN), [count * plane, V::LEN], to);
                }
            }
        }
    }

    /// One sample after another, or a few together.
    #[inline(always)]
    fn one_by_one<S: Simd>(
        &self,
        simd: S,
        outputs: &[T],
        inputs: &mut [T],
        [lines, sums, rows]: [&mut [T]; 3],
        taps: &mut [usize],
    ) {
        let Self { layer, channels, blocks, .. } = self;
        let (samples, groups, plane) = (blocks.samples, layer.groups, layer.plane());
        sums.fill(T::ZERO);
        let outputs = outputs.chunks(samples * layer.output_shape().len() / groups);
        let inputs = inputs.chunks_mut(samples * channels * plane);
        for (group, (output, input)) in outputs.zip(inputs).enumerate() {
            for (index, count) in self.each_block() {
                let to = (&mut input[index * blocks.channels * plane..], channels * plane);
                let block = [index, group % groups, count];
                self.run(simd, block, output, to, [lines, sums, rows], taps);
            }
        }
    }

    /// The blocks of channels: the first channel of each, and how many it has.
    #[inline(always)]
    fn each_block(&self) -> impl Iterator<Item = (usize, usize)> {
        let (channels, size) = (self.channels, self.blocks.channels);
        (0..self.blocks.count(channels))
            .map(move |block| (block, size.min(channels - block * size)))
    }

    /// The gradient of `channels` channels of a block of one group, for a sample or for those that
    /// are computed together, `pitch` apart. Compiled as a separate function.
    #[inline(always)]
    fn run<S: Simd>(
        &self,
        simd: S,
        [block, group, channels]: [usize; 3],
        output: &[T],
        (input, pitch): (&mut [T], usize),
        [lines, sums, spare]: [&mut [T]; 3],
        taps: &mut [usize],
    ) {
        simd.vectorize(
            #[inline(always)]
            || {
                let Self { layer, lanes, blocks, .. } = self;
                let [down, across] = layer.phases();
                let phases = down * across;
                let plane = layer.plane() * lanes;
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
                    let packed = &self.packed[panel * blocks.panel..][..blocks.panel];
                    let phase = Phase::of(layer, *lanes, [phase / across, phase % across]);
                    let rows = channels * phase.kernel_width;
                    let phase_sums = PhaseSums { layer, phase, rows, packed, blocks };
                    let source = phase_sums.source(simd, output, lines, taps);
                    let mut y = 0;
                    while y < phase.height {
                        let end = phase_sums.write(simd, &source, y, sums);
                        for (sample, input) in input.chunks_mut(pitch).enumerate() {
                            let input = input[..channels * plane].chunks_exact_mut(plane);
                            for (c, input) in input.enumerate() {
                                let first = (c * blocks.samples + sample) * blocks.line;
                                let columns = ColumnSums {
                                    layer,
                                    phase,
                                    rows: y..end,
                                    sums: &sums[first..],
                                    pitch: channels * blocks.samples * blocks.line,
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
