//! The outputs of as many samples as a vector has lanes, one sample in each lane.
//!
//! If rows have only a few positions, vectors of neighbouring positions leave most lanes empty. A
//! vector of the same position in many samples has no empty lane, however small the plane: the
//! samples are transposed to `(C, H, W, lanes)`, an input whose positions are vectors, multiplied
//! in this form, and transposed back. No sum changes its order.

use fearless_simd::{Simd, SimdFloat};

use crate::Element;
use crate::correlate::geometry::Geometry;
use crate::correlate::layout::{Padded, transpose, transpose_to};
use crate::correlate::task::Bias;
use crate::microkernel::{Grid, Offset, Product, multiply};
use crate::vector::{Whole, load, store};

/// How many channels of a group are multiplied before the next ones are: with about 200 weights for
/// each kernel, a position's inputs stay in the first-level cache while it is multiplied.
pub(crate) fn channels_together(layer: &Geometry) -> usize {
    let kernel = layer.kernel_height * layer.kernel_width;
    (200 / kernel).clamp(1, layer.channels / layer.groups)
}

/// The kernels of a correlation, and the offsets of their elements in the input.
pub(crate) struct BatchInLanes<'a, T> {
    pub(crate) layer: &'a Geometry,
    /// Weights packed by [`crate::packing::pack_rows`], group by group.
    pub(crate) packed: &'a [T],
    pub(crate) bias: Bias<'a, T>,
    pub(crate) taps: &'a mut [usize],
    pub(crate) places: &'a mut [usize],
}

impl<T: Element> BatchInLanes<'_, T> {
    /// Correlates with samples in the lanes of `V`.
    #[inline(always)]
    pub(crate) fn correlate<S: Simd, V: SimdFloat<S, Element = T>>(
        self,
        simd: S,
        input: &[T],
        copy: &mut [T],
        products: &mut [T],
        output: &mut [T],
    ) {
        let Self { layer, packed, bias, taps, places } = self;
        let (padded, groups) = (Padded::of(layer), layer.groups);
        let (channels, kernels) = (layer.channels / groups, layer.kernels / groups);
        let (in_plane, plane) = (layer.plane(), layer.out_plane());
        let [in_pitch, pitch] = [layer.channels * in_plane, layer.kernels * plane];
        let kernel = layer.kernel_height * layer.kernel_width;
        let block = channels_together(layer);
        padded.taps([block, layer.kernel_height, layer.kernel_width], taps);
        padded.places(block, places);
        taps.iter_mut().chain(&mut *places).for_each(|place| *place *= V::LEN);
        copy.fill(T::ZERO);
        let inputs = input.chunks_exact(V::LEN * in_pitch);
        for (input, output) in inputs.zip(output.chunks_exact_mut(V::LEN * pitch)) {
            for group in 0..groups {
                let bias = bias.of(group * kernels..(group + 1) * kernels, plane);
                for first in (0..channels).step_by(block) {
                    let block = block.min(channels - first);
                    let from = (&input[(group * channels + first) * in_plane..], in_pitch);
                    transpose_to::<S, V>(
                        simd,
                        from,
                        [V::LEN, block * in_plane],
                        copy,
                        #[inline(always)]
                        |column| places[column],
                    );
                    let product = Product {
                        rows: kernels,
                        packed: &packed[group * packed.len() / groups..],
                        input: copy,
                        taps: &taps[..block * kernel],
                        grid: Grid {
                            rows: layer.out_height,
                            len: layer.out_width * V::LEN,
                            input_pitch: padded.columns * V::LEN,
                            output_pitch: layer.out_width * V::LEN,
                        },
                        output_stride: plane * V::LEN,
                        packed_taps: [first * kernel, channels * kernel],
                        continues: first > 0,
                        offset: match bias {
                            Bias::PerChannel(bias) if first + block == channels => {
                                Offset::Row(bias)
                            }
                            _ => Offset::None,
                        },
                    };
                    multiply::<S, T, Whole<V>>(simd, &product, products);
                }
                if let Bias::Untied(bias) = bias {
                    for (position, &bias) in bias.iter().enumerate() {
                        let at = position * V::LEN;
                        let sum = load::<S, V>(simd, products, at) + V::simd_from(simd, bias);
                        store(sum, products, at);
                    }
                }
                let from = (&*products, V::LEN);
                let to = (&mut output[group * kernels * plane..], pitch);
                transpose::<S, V>(simd, from, [kernels * plane, V::LEN], to);
            }
        }
    }
}
