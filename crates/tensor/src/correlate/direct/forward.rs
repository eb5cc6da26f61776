//! The outputs as a direct sum.

use fearless_simd::{Simd, SimdBase};

use crate::Element;
use crate::correlate::geometry::Geometry;
use crate::correlate::layout::{MOST_LANES, Padded, add_row};
use crate::correlate::plan::{Schedule, VectorLayout};
use crate::correlate::task::{Bias, Sections, Task};
use crate::element::kernels::per_element;
use crate::microkernel::{Grid, Offset, Product};
use crate::packing::{pack_rows, packed_len};
use crate::simd::{Kernel, SimdRegisters};

use super::batch_in_lanes::{self, BatchInLanes};
use super::multiply_in;

/// The sections of the scratch memory: packed weights, a copy of a group's input, and lines of its
/// outputs.
fn sections(layer: &Geometry, schedule: Schedule) -> Sections<3> {
    let padded = Padded::of(layer);
    let kernels = layer.kernels / layer.groups;
    let mut input = layer.channels / layer.groups * padded.channel();
    let mut line = padded.line(layer) + MOST_LANES;
    if let Schedule::BatchInLanes { lanes, .. } = schedule {
        input = input.max(batch_in_lanes::channels_together(layer) * padded.channel() * lanes);
        line = line.max(layer.out_plane() * lanes);
    }
    Sections([
        layer.groups * packed_len(kernels, layer.taps()),
        input + MOST_LANES,
        kernels * line.next_multiple_of(MOST_LANES),
    ])
}

/// The numbers and indices of scratch memory for one part.
pub(crate) fn room(layer: &Geometry, schedule: Schedule) -> [usize; 2] {
    let in_lanes = matches!(schedule, Schedule::BatchInLanes { .. });
    let places =
        if in_lanes { batch_in_lanes::channels_together(layer) * layer.plane() } else { 0 };
    [sections(layer, schedule).len(), layer.taps() + places]
}

/// The forward pass, computed on one thread.
pub(crate) struct Forward<'a, T>(pub(crate) Task<'a, T>);

per_element!(Forward);

impl<T: Element> Kernel for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Task { layer, schedule, samples: n, planes, weights, .. } = self.0;
        let (taps, plane) = (layer.taps(), layer.out_plane());
        let weights = &weights.numbers[planes.start * taps..planes.end * taps];
        let bias = self.0.bias.of(planes.clone(), plane);
        let layer = Geometry { kernels: planes.len(), ..layer };
        let padded = Padded::of(&layer);
        let (groups, channels) = (layer.groups, layer.channels / layer.groups);
        let kernels = layer.kernels / groups;
        let [packed, copy, line] = sections(&layer, schedule).carve(self.0.numbers);
        let panel = packed.len() / groups;
        for (weights, packed) in
            weights.chunks_exact(kernels * taps).zip(packed.chunks_exact_mut(panel))
        {
            pack_rows(simd, weights, [kernels, taps], packed);
        }
        let (tap_table, places) = self.0.indices.split_at_mut(taps);
        let together = if let Schedule::BatchInLanes { .. } = schedule {
            let lanes = if S::LARGE { T::Wide::<S>::LEN } else { T::Narrow::<S>::LEN };
            n / lanes * lanes
        } else {
            0
        };
        let (input, inputs) = self.0.input.split_at(together * layer.input_shape().len());
        let (output, outputs) = self.0.output.split_at_mut(together * layer.output_shape().len());
        if together > 0 {
            let batch = BatchInLanes { layer: &layer, packed, bias, taps: tap_table, places };
            if S::LARGE {
                batch.correlate::<S, T::Wide<S>>(simd, input, copy, line, output);
            } else {
                batch.correlate::<S, T::Narrow<S>>(simd, input, copy, line, output);
            }
        }

        padded.taps([channels, layer.kernel_height, layer.kernel_width], tap_table);
        let layout = schedule.layout();
        let line_len = padded.line(&layer).next_multiple_of(T::Wide::<S>::LEN);
        let is_line = layout == VectorLayout::Line;
        let grid = if is_line {
            Grid::line(line_len)
        } else {
            Grid {
                rows: layer.out_height,
                len: layer.out_width,
                input_pitch: padded.columns,
                output_pitch: layer.out_width,
            }
        };
        let is_copied = is_line || !padded.is_input();
        if is_copied {
            copy.fill(T::ZERO);
        }
        let inputs = inputs.chunks_exact(channels * layer.plane());
        let outputs = outputs.chunks_exact_mut(kernels * plane);
        for (index, (input, output)) in inputs.zip(outputs).enumerate() {
            let group = index % groups;
            let input = if is_copied {
                padded.copy(simd, input, copy);
                &*copy
            } else {
                input
            };
            let bias = bias.of(group * kernels..(group + 1) * kernels, plane);
            let mut product = Product {
                rows: kernels,
                packed: &packed[group * panel..][..panel],
                input,
                taps: tap_table,
                grid,
                output_stride: plane,
                packed_taps: [0, taps],
                continues: false,
                offset: match bias {
                    Bias::None => Offset::None,
                    Bias::PerChannel(bias) => Offset::Row(bias),
                    Bias::Untied(bias) => Offset::Plane(bias),
                },
            };
            if !is_line {
                multiply_in(simd, layout, &product, output);
                continue;
            }
            product.offset = Offset::None;
            product.output_stride = line_len;
            multiply_in(simd, layout, &product, line);
            // Copies the rows out of the lines.
            let width = layer.out_width;
            for (index, row) in output.chunks_exact_mut(width).enumerate() {
                let (d, y) = (index / layer.out_height, index % layer.out_height);
                let line = &line[d * line_len + y * padded.columns..][..width];
                add_row(simd, line, bias.of_row(d, index * width, width), row);
            }
        }
    }
}
