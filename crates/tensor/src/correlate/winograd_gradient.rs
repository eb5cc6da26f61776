//! The gradient of kernels of 3 × 3 from tiles of the output gradient: the adjoint of
//! [`super::winograd`].
//!
//! Tiles of 6 × 6 inputs and the 4 × 4 output gradients that depend on them are transformed
//! to 36 points each. At each point, the products of all channels with all kernels are
//! summed over the tiles of all samples as outer products, kernels in the lanes, and the
//! sums transformed to the nine weights at the end: 36 multiply-adds for each tile, channel
//! and kernel where the sum as it is written takes 144.
//!
//! A sum runs through samples, tile rows and tiles in order: neither blocks nor threads nor
//! levels change a bit.

use std::ops::Range;

use fearless_simd::{Simd, SimdBase, SimdFloat, SimdFrom};

use crate::element::kernels::per_element;
use crate::simd::{Kernel, Tiles};
use crate::threads::{self, Divide};
use crate::vector::{fused, load, store, views};
use crate::{Element, Scratch};

use super::Correlation;
use super::outer_products::transpose;
use super::tile_transforms::{INPUTS, OUTPUTS, POINTS, output_gradients, weight_gradients};
use super::winograd::{Pass, Tiling};

/// Kernels of a vector.
const LANES: usize = 16;

/// Kernels that are worked on together: two vectors.
const TOGETHER: usize = 2 * LANES;

impl Correlation {
    /// In the measure of [`Correlation::gains_by_tiles`]: the transforms of a tile take as
    /// long as 20 · 36 multiply-adds for each channel and 8 · 36 for each kernel, and what is
    /// done once with the sums of a channel and a kernel as long as 2 · 36 for each of 16
    /// samples. It was fitted to layers with 8 to 128 channels and kernels and planes of
    /// 3 × 3 to 56 × 56.
    pub(super) fn gains_by_tiles_gradient(&self) -> bool {
        let tiles = self.tiles().iter().product::<usize>();
        let (c, d) = (self.channels, lanes_of(self));
        let tiled = POINTS * (tiles * (c * d + 20 * c + 8 * d) + 2 * c * d);
        4 * 9 * self.out_plane() * c * self.kernels >= 5 * tiled
    }

    /// [`Correlation::kernel_gradient`] from tiles.
    pub(super) fn kernel_gradient_by_tiles<T: Element>(
        &self,
        input: &[T],
        output_gradient: &[T],
        kernel_gradient: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let n = input.len() / self.input_shape().len();
        let parts = threads::parts(self.work(n), scratch.threads());
        let tiling = self.gradient_tiling(n);
        let (taps, lanes) = (self.taps(), lanes_of(self));
        let (numbers, _) = scratch.take(self.tiles_gradient_room(n, scratch.threads()));
        let (sums, numbers) = numbers.split_at_mut(sums_of(self));
        let operation = WinogradGradient {
            layer: *self,
            tiling,
            channels: 0..self.channels,
            input,
            output_gradient,
            sums,
            numbers,
        };
        threads::run_divided(operation, parts, WinogradGradient::launch);
        for (c, sums) in sums.chunks_exact(POINTS * lanes).enumerate() {
            for (block, kernels) in kernel_gradient.chunks_mut(LANES * taps).enumerate() {
                for tap in 0..9 {
                    let weights = kernels[9 * c + tap..].iter_mut().step_by(taps);
                    let sums = &sums[tap * lanes + block * LANES..];
                    weights.zip(sums).for_each(|(weight, &sum)| *weight = sum);
                }
            }
        }
    }
}

impl Correlation {
    fn gradient_tiling(&self, n: usize) -> Tiling {
        Tiling::of(self, n, self.channels.max(TOGETHER))
    }

    /// The scratch memory of [`Correlation::kernel_gradient_by_tiles`] of `n` samples.
    pub(super) fn tiles_gradient_room(&self, n: usize, threads: usize) -> [usize; 2] {
        let part = Memory::of(self, self.gradient_tiling(n)).len();
        let parts = threads::parts(self.work(n), threads);
        [parts.saturating_mul(part).saturating_add(sums_of(self)), 0]
    }
}

/// Numbers of the sums at all points.
fn sums_of(layer: &Correlation) -> usize {
    layer.channels * POINTS * lanes_of(layer)
}

/// The kernels, in whole vectors.
fn lanes_of(layer: &Correlation) -> usize {
    layer.kernels.next_multiple_of(LANES)
}

/// Sizes of the parts of the scratch memory.
struct Memory {
    /// One point of a block's tiles of all channels, and of some kernels. Not a power of
    /// two, since cache lines at such distances drive each other out of the cache.
    inputs: usize,
    gradients: usize,
    strips: usize,
    lines: usize,
    /// The output gradients of a tile row.
    transposed: usize,
}

impl Memory {
    #[inline(always)]
    fn of(layer: &Correlation, tiling: Tiling) -> Self {
        let [strips, lines] = tiling.memory();
        Self {
            inputs: layer.channels * tiling.tiles + LANES,
            gradients: TOGETHER * tiling.tiles + LANES,
            strips,
            lines,
            transposed: OUTPUTS * layer.out_width * LANES,
        }
    }

    fn len(&self) -> usize {
        let lines = self.strips + self.lines + self.transposed;
        // A cache line's numbers are one part's.
        (POINTS * (self.inputs + self.gradients) + lines).next_multiple_of(LANES)
    }
}

/// The sums for some channels on one thread.
pub struct WinogradGradient<'a, T> {
    layer: Correlation,
    tiling: Tiling,
    channels: Range<usize>,
    input: &'a [T],
    output_gradient: &'a [T],
    /// `(channels, points, kernels)`, at the end nine weights instead of the points.
    sums: &'a mut [T],
    numbers: &'a mut [T],
}

impl<T: Element> Divide for WinogradGradient<'_, T> {
    /// By channels: their tiles take longer to transform than those of the kernels, which
    /// every part transforms for itself.
    fn divide(self, left: usize, parts: usize) -> Result<(Self, Self), Self> {
        let Self { layer, tiling, input, output_gradient, .. } = self;
        let Range { start, end } = self.channels;
        let Some(cut) = threads::cut(end - start, left, parts, 1) else { return Err(self) };
        let sums = self.sums.split_at_mut(cut * POINTS * lanes_of(&layer));
        let numbers = self.numbers.split_at_mut(self.numbers.len() * left / parts);
        let part = |channels, sums, numbers| WinogradGradient {
            layer,
            tiling,
            channels,
            input,
            output_gradient,
            sums,
            numbers,
        };
        Ok((part(start..start + cut, sums.0, numbers.0), part(start + cut..end, sums.1, numbers.1)))
    }
}

per_element!(f32: WinogradGradient);

impl<T: Element> Kernel for WinogradGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if S::LARGE {
            self.run_with::<S, T::Wide<S>>(simd);
        } else {
            self.run_with::<S, T::Narrow<S>>(simd);
        }
    }
}

impl<T: Element> WinogradGradient<'_, T> {
    /// With tiles of the input in the lanes of `V`.
    #[inline(always)]
    fn run_with<S: Simd, V: SimdFloat<S, Element = T>>(self, simd: S) {
        let Self { layer, tiling, channels, input, output_gradient, sums, numbers } = self;
        let memory = Memory::of(&layer, tiling);
        let (inputs, rest) = numbers.split_at_mut(POINTS * memory.inputs);
        let (gradients, rest) = rest.split_at_mut(POINTS * memory.gradients);
        let (strips, rest) = rest.split_at_mut(memory.strips);
        let (lines, rest) = rest.split_at_mut(memory.lines);
        let transposed = &mut rest[..memory.transposed];
        strips.fill(T::ZERO);
        sums.fill(T::ZERO);
        let n = input.len() / layer.input_shape().len();
        for pass in Pass::each(&layer, tiling, n) {
            for (index, c) in channels.clone().enumerate() {
                let points = (&mut inputs[index * tiling.tiles..], memory.inputs);
                pass.transform_inputs::<S, V, T>(simd, (input, c), strips, lines, points);
            }
            for first in (0..layer.kernels).step_by(TOGETHER) {
                let end = layer.kernels.min(first + TOGETHER);
                for (vector, start) in (first..end).step_by(LANES).enumerate() {
                    let kernels = start..end.min(start + LANES);
                    let points = &mut gradients[vector * tiling.tiles * LANES..];
                    let (from, to) = ((output_gradient, kernels), (points, memory.gradients));
                    transform_gradients(simd, &pass, from, transposed, to);
                }
                let block = Block {
                    channels: channels.len(),
                    tiles: [pass.tiles(), tiling.tiles],
                    kernels: lanes_of(&layer),
                };
                for point in 0..POINTS {
                    let inputs = &inputs[point * memory.inputs..][..memory.inputs];
                    let gradients = &gradients[point * memory.gradients..][..memory.gradients];
                    let sums = &mut sums[point * block.kernels + first..];
                    if end - first > LANES {
                        block.add_products::<S, T, 2>(simd, inputs, gradients, sums);
                    } else {
                        block.add_products::<S, T, 1>(simd, inputs, gradients, sums);
                    }
                }
            }
        }
        transform_sums(simd, lanes_of(&layer), sums);
    }
}

/// Transforms the tiles of the output gradients of up to [`LANES`] kernels: point `p` of
/// tile `t` is the vector at `p · stride + t · LANES`.
#[inline(always)]
fn transform_gradients<S: Simd, T: Element>(
    simd: S,
    pass: &Pass<'_>,
    (gradient, kernels): (&[T], Range<usize>),
    transposed: &mut [T],
    (points, stride): (&mut [T], usize),
) {
    let Pass { layer, tiling, .. } = pass;
    let (width, plane) = (layer.out_width, layer.out_plane());
    for (index, (sample, tile_row)) in pass.places().enumerate() {
        let tile = index * tiling.across;
        let y = tile_row * OUTPUTS;
        let rows = OUTPUTS.min(layer.out_height - y);
        let from = &gradient[(sample * layer.kernels + kernels.start) * plane + y * width..];
        let columns = rows * width;
        if kernels.len() == LANES {
            let to = (&mut *transposed, LANES);
            transpose::<S, T::Wide<S>>(simd, (from, plane), [LANES, columns], to);
        } else {
            transposed.fill(T::ZERO);
            for k in 0..kernels.len() {
                let to = transposed[k..].iter_mut().step_by(LANES);
                let column = &from[k * plane..][..columns];
                to.zip(column).for_each(|(to, &number)| *to = number);
            }
        }
        transform_row(simd, transposed, [rows, width], (&mut points[tile * LANES..], stride));
    }
}

/// One row of tiles, from `rows` rows of vectors. A function of its own for the compiler.
#[inline(always)]
fn transform_row<S: Simd, T: Element>(
    simd: S,
    transposed: &[T],
    [rows, width]: [usize; 2],
    (points, stride): (&mut [T], usize),
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let zero = T::Wide::<S>::simd_from(simd, T::ZERO);
            for (tile, x) in (0..width).step_by(OUTPUTS).enumerate() {
                let mut e = [[zero; OUTPUTS]; OUTPUTS];
                for i in 0..OUTPUTS {
                    for j in 0..OUTPUTS {
                        if i < rows && x + j < width {
                            e[i][j] = load(simd, transposed, (i * width + x + j) * LANES);
                        }
                    }
                }
                let e = output_gradients(simd, e);
                for point in 0..POINTS {
                    let vector = e[point / INPUTS][point % INPUTS];
                    store(vector, points, point * stride + tile * LANES);
                }
            }
        },
    );
}

/// `(channels, points, kernels)` to `(channels, weights, kernels)`, in place.
#[inline(always)]
fn transform_sums<S: Simd, T: Element>(simd: S, kernels: usize, sums: &mut [T]) {
    simd.vectorize(
        #[inline(always)]
        || {
            let zero = T::Wide::<S>::simd_from(simd, T::ZERO);
            for sums in sums.chunks_exact_mut(POINTS * kernels) {
                for d in (0..kernels).step_by(T::Wide::<S>::LEN) {
                    let mut m = [[zero; INPUTS]; INPUTS];
                    for point in 0..POINTS {
                        m[point / INPUTS][point % INPUTS] = load(simd, sums, point * kernels + d);
                    }
                    let weights = weight_gradients(simd, m);
                    for tap in 0..9 {
                        store(weights[tap % 3][tap / 3], sums, tap * kernels + d);
                    }
                }
            }
        },
    );
}

/// The transformed tiles of a block, at one point.
#[derive(Clone, Copy)]
struct Block {
    channels: usize,
    /// How many there are, and how many a channel or a vector of kernels has room for.
    tiles: [usize; 2],
    kernels: usize,
}

impl Block {
    /// Adds to `sums` the products of `inputs (channels, tiles)` with
    /// `gradients (KV, tiles, LANES)`.
    #[inline(always)]
    fn add_products<S: Simd, T: Element, const KV: usize>(
        &self,
        simd: S,
        inputs: &[T],
        gradients: &[T],
        sums: &mut [T],
    ) {
        let mut c = 0;
        while c < self.channels {
            let operands = (inputs, gradients);
            c += if !S::LARGE {
                self.add_tile::<S, T, KV, 2>(simd, c, operands, sums)
            } else if const { KV == 2 } || self.channels - c <= 8 {
                self.add_tile::<S, T, KV, 8>(simd, c, operands, sums)
            } else {
                self.add_tile::<S, T, KV, 12>(simd, c, operands, sums)
            };
        }
    }

    /// Adds for `Q` channels from `c` on; returns `Q`. A function of its own for the
    /// compiler.
    #[inline(always)]
    fn add_tile<S: Simd, T: Element, const KV: usize, const Q: usize>(
        &self,
        simd: S,
        c: usize,
        (inputs, gradients): (&[T], &[T]),
        sums: &mut [T],
    ) -> usize {
        simd.vectorize(
            #[inline(always)]
            || {
                let used = Q.min(self.channels - c);
                let (mut starts, mut vectors) = ([0; Q], [0; KV]);
                let mut tile = [[T::Wide::<S>::simd_from(simd, T::ZERO); KV]; Q];
                for v in 0..KV {
                    vectors[v] = v * self.tiles[1] * LANES;
                }
                for q in 0..Q {
                    let channel = c + q.min(used - 1);
                    starts[q] = channel * self.tiles[1];
                    for v in 0..KV {
                        let at = channel * POINTS * self.kernels + v * LANES;
                        tile[q][v] = load(simd, sums, at);
                    }
                }
                let (inputs, gradients) = (views(inputs, starts), views(gradients, vectors));
                for t in 0..self.tiles[0] {
                    let mut g = [tile[0][0]; KV];
                    for v in 0..KV {
                        g[v] = load(simd, gradients[v], t * LANES);
                    }
                    for q in 0..Q {
                        let factor = T::Wide::<S>::simd_from(simd, inputs[q][t]);
                        for v in 0..KV {
                            tile[q][v] = fused(simd, g[v], factor, tile[q][v]);
                        }
                    }
                }
                for q in 0..Q {
                    if q < used {
                        for v in 0..KV {
                            let at = (c + q) * POINTS * self.kernels + v * LANES;
                            store(tile[q][v], sums, at);
                        }
                    }
                }
                Q
            },
        )
    }
}
