//! Correlation of as many samples as a vector has lanes, one sample in each.
//!
//! Rows of a few positions leave most lanes of a vector of neighbours empty. A vector of the
//! same position of many samples has none, however small the plane is: the samples are
//! transposed to `(C, H, W, lanes)`, which is an input whose positions are vectors, multiplied
//! as such, and transposed back. No sum changes its order.

use fearless_simd::{Simd, SimdFloat};

use crate::Element;
use crate::microkernel::{Grid, Offset, Product, multiply};
use crate::vector::{Whole, load, store};

use super::outer_products::{transpose, transpose_to};
use super::padded::{Padded, row_positions};
use super::phase::Phase;
use super::{Bias, Correlation};

/// Samples that are not worth a question.
const FEWEST: usize = 8;

/// Weights of a kernel that go over all positions before the next ones do: a position is
/// multiplied with them while its input is in the first-level cache.
const WEIGHTS_TOGETHER: usize = 200;

/// The lanes of the widest vector.
pub(super) const MOST_LANES: usize = 16;

impl Correlation {
    /// Whether, with `n` samples, the multiply-adds that rows or lines of neighbours compute in
    /// vain take longer than the transposed copies: a copied number takes as long as 16
    /// multiply-adds.
    pub(super) fn gains_by_samples<T: Element>(&self, n: usize) -> bool {
        if n < FEWEST {
            return false;
        }
        let copied = self.channels * Padded::of(self).channel() + self.output_shape().len();
        let in_vain = self.positions_alone::<T>() - self.out_plane();
        in_vain * self.taps() * self.kernels >= 16 * copied
    }

    /// Positions of an output plane that each weight of the direct sum is multiplied with in a
    /// batch, those in vain included.
    pub(super) fn positions<T: Element>(&self) -> usize {
        let samples = self.gains_by_samples::<T>(FEWEST);
        if samples { self.out_plane() } else { self.positions_alone::<T>() }
    }

    /// [`Correlation::positions`] for the gradient of the input, the correlation that gives it
    /// being `adjoint`. With samples side by side no zeros are multiplied.
    pub(super) fn positions_backward<T: Element>(&self, adjoint: &Self) -> usize {
        let samples = self.gains_by_samples_backward::<T>(FEWEST);
        if samples { self.out_plane() } else { adjoint.positions_alone::<T>() }
    }

    /// [`Correlation::positions`] of one sample, in vectors of 256 bits: those of 512 are not
    /// used where they waste more.
    fn positions_alone<T: Element>(&self) -> usize {
        let narrow = 32 / size_of::<T>();
        let rows = self.out_height.saturating_mul(row_positions(self, narrow));
        rows.min(Padded::of(self).line(self).next_multiple_of(narrow))
    }

    /// [`Correlation::gains_by_samples`] for the gradient of the input.
    pub(super) fn gains_by_samples_backward<T: Element>(&self, n: usize) -> bool {
        if n < FEWEST {
            return false;
        }
        let ([down, across], mut in_vain) = (self.phases(), 0);
        for phase in 0..down * across {
            let phase = Phase::of(self, 1, [phase / across, phase % across]);
            let used = phase.kernel_height * self.out_plane();
            in_vain += phase.kernel_width * (phase.positions::<T>(self) - used);
        }
        let copied = self.input_shape().len() + self.output_shape().len();
        in_vain * self.channels / self.groups * self.kernels >= 16 * copied
    }

    /// Channels of a group that are laid side by side and multiplied before the next ones are.
    pub(super) fn channels_together(&self) -> usize {
        let kernel = self.kernel_height * self.kernel_width;
        (WEIGHTS_TOGETHER / kernel).clamp(1, self.channels / self.groups)
    }

    /// Numbers of these channels in all lanes, padded, and how many of them are the input's.
    pub(super) fn block_of_samples(&self) -> [usize; 2] {
        let channels = self.channels_together();
        let padded = Padded::of(self).channel() * MOST_LANES;
        [channels * padded, channels * self.height * self.width]
    }
}

/// The kernels of a correlation, and where they meet the input.
pub(super) struct Samples<'a, T> {
    pub(super) layer: &'a Correlation,
    /// What [`crate::packing::pack_rows`] wrote, group by group.
    pub(super) packed: &'a [T],
    pub(super) bias: Bias<'a, T>,
    pub(super) taps: &'a mut [usize],
    pub(super) places: &'a mut [usize],
}

impl<T: Element> Samples<'_, T> {
    /// With samples in the lanes of `V`.
    #[inline(always)]
    pub(super) fn correlate<S: Simd, V: SimdFloat<S, Element = T>>(
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
        let (in_plane, plane) = (layer.height * layer.width, layer.out_plane());
        let [in_pitch, pitch] = [layer.channels * in_plane, layer.kernels * plane];
        let kernel = layer.kernel_height * layer.kernel_width;
        let block = layer.channels_together();
        padded.taps([block, layer.kernel_height, layer.kernel_width], taps);
        padded.places(block, places);
        taps.iter_mut().chain(&mut *places).for_each(|place| *place *= V::LEN);
        copy.fill(T::ZERO);
        let inputs = input.chunks_exact(V::LEN * in_pitch);
        for (input, output) in inputs.zip(output.chunks_exact_mut(V::LEN * pitch)) {
            for group in 0..groups {
                let bias = bias.part(group * kernels, kernels, plane);
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
                            Bias::PerKernel(bias) if first + block == channels => Offset::Row(bias),
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
