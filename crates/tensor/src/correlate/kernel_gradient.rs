use std::ops::Range;

use fearless_simd::{Simd, SimdBase, SimdFrom};

use crate::element::kernels::per_element;
use crate::microkernel::{Views, dots};
use crate::simd::{Kernel, Tiles};
use crate::threads::{self, Divide};
use crate::vector::{Halves, Lanes, Whole};
use crate::{Element, Scratch};

use super::Correlation;
use super::filtering::Filtering;
use super::padded::{Padded, SLACK, spread};

impl Correlation {
    /// `∂E/∂K_dc = X_c ⋆valid ∂E/∂Y_d`, summed over the samples; of none, 0. A number that is not
    /// finite reaches the taps that meet it, and no others.
    ///
    /// # Shapes
    /// `input (N, C, H, W)`, `output_gradient (N, D, OH, OW)`,
    /// `kernel_gradient (D, C/groups, KH, KW)`, overwritten.
    ///
    /// # Panics
    /// If a slice has not the length that its shape says.
    #[track_caller]
    pub fn kernel_gradient<T: Element>(
        &self,
        input: &[T],
        output_gradient: &[T],
        kernel_gradient: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let n = self.batch("input", input.len(), self.input_shape());
        let outputs = n * self.output_shape().len();
        assert_eq!(output_gradient.len(), outputs, "output gradient: length");
        assert_eq!(kernel_gradient.len(), self.kernels_shape().len(), "kernel gradient: length");
        if n == 0 {
            kernel_gradient.fill(T::ZERO);
            return;
        }
        self.sum_kernel_gradient(n, [input, output_gradient], kernel_gradient, scratch);
        self.sum_not_finite_again(input, output_gradient, kernel_gradient);
    }

    /// [`Correlation::kernel_gradient`] of finite numbers.
    fn sum_kernel_gradient<T: Element>(
        &self,
        n: usize,
        [input, output_gradient]: [&[T]; 2],
        kernel_gradient: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        if let Some(filtering) = self.gradient_filtering::<T>() {
            let by = match filtering {
                Filtering::Tiles => Self::kernel_gradient_by_tiles,
                Filtering::Columns => Self::kernel_gradient_by_columns,
            };
            return by(self, input, output_gradient, kernel_gradient, scratch);
        }
        let first = self.kernels_in_vectors::<T>();
        let (gradient, kernel_gradient) = kernel_gradient.split_at_mut(first * self.taps());
        if first > 0 {
            self.add_outer_products(first, input, output_gradient, gradient, scratch);
        }
        if first == self.kernels {
            return;
        }
        let parts = self.parts_of(self.kernels - first, n, scratch.threads());
        let (numbers, taps) = scratch.take(self.dot_products_room(parts, n));
        let operation = KernelGradient {
            layer: *self,
            kernels: first..self.kernels,
            input,
            output_gradient,
            kernel_gradient,
            numbers,
            taps,
        };
        threads::run_divided(operation, parts, KernelGradient::launch);
    }

    /// Into how many parts the gradient of so many of the kernels is cut.
    pub(super) fn parts_of(&self, kernels: usize, n: usize, threads: usize) -> usize {
        threads::parts(self.work(n) / self.kernels * kernels, threads)
    }

    fn dot_products_room(&self, parts: usize, n: usize) -> [usize; 2] {
        threads::rooms(parts, [Memory::of(self, n).len(), self.taps()])
    }

    /// The scratch memory of [`Correlation::kernel_gradient`] of `n` samples.
    pub(super) fn kernel_gradient_room<T: Element>(&self, n: usize, threads: usize) -> [usize; 2] {
        match self.gradient_filtering::<T>() {
            Some(Filtering::Tiles) => self.tiles_gradient_room(n, threads),
            Some(Filtering::Columns) => self.columns_gradient_room(n, threads),
            None => {
                let vectors = self.kernels_in_vectors::<T>();
                let outer = self.outer_products_room::<T>(vectors, n, threads);
                let dots = match self.kernels - vectors {
                    0 => [0; 2],
                    rest => self.dot_products_room(self.parts_of(rest, n, threads), n),
                };
                [outer[0].max(dots[0]), outer[1].max(dots[1])]
            }
        }
    }

    /// How [`Correlation::kernel_gradient`] is computed: `"tiles of 4 × 4"` or `"columns of
    /// 4"` by Winograd's minimal filtering, under the conditions of [`Correlation::forward_plan`]
    /// but with a measure of its own; else as the sum is written, with kernels in the lanes
    /// of vectors as `"outer products"`, with positions in them as `"dot products"`, or
    /// both, where some of the kernels do not fill a vector. It does not depend on the level.
    pub fn kernel_gradient_plan<T: Element>(&self) -> &'static str {
        match self.gradient_filtering::<T>() {
            Some(filtering) => filtering.name(),
            None => match self.kernels_in_vectors::<T>() {
                0 => "dot products",
                kernels if kernels < self.kernels => "outer and dot products",
                _ => "outer products",
            },
        }
    }
}

/// How many samples are summed in registers before their sum joins the gradient, and
/// what they need of the scratch memory. A part of the arithmetic, like the order of a
/// sum: it depends on the layer's sizes alone.
struct Memory {
    samples: usize,
    inputs: usize,
    lines: usize,
}

impl Memory {
    /// Numbers of a chunk that stay in the second-level cache: 512 KiB of `f32`.
    const CHUNK: usize = 131_072;

    #[inline(always)]
    fn of(layer: &Correlation, n: usize) -> Self {
        let padded = Padded::of(layer);
        let input = layer.channels * padded.channel();
        let line = layer.kernels * (padded.line(layer) + SLACK);
        let samples = (Self::CHUNK / (input + line)).clamp(1, n.max(1));
        Self { samples, inputs: samples * input + SLACK, lines: samples * line }
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.inputs + self.lines
    }
}

/// The gradients of some kernels on one thread.
pub struct KernelGradient<'a, T> {
    layer: Correlation,
    kernels: Range<usize>,
    input: &'a [T],
    output_gradient: &'a [T],
    kernel_gradient: &'a mut [T],
    numbers: &'a mut [T],
    taps: &'a mut [usize],
}

impl<T: Element> Divide for KernelGradient<'_, T> {
    fn divide(self, left: usize, parts: usize) -> Result<(Self, Self), Self> {
        let Self { layer, input, output_gradient, .. } = self;
        let unit = match layer.groups {
            1 => 2,
            groups => layer.kernels / groups,
        };
        let Some(cut) = threads::cut(self.kernels.len(), left, parts, unit) else {
            return Err(self);
        };
        let middle = self.kernels.start + cut;
        let gradient = self.kernel_gradient.split_at_mut(cut * layer.taps());
        let numbers = self.numbers.split_at_mut(self.numbers.len() * left / parts);
        let taps = self.taps.split_at_mut(self.taps.len() * left / parts);
        let part = |kernels, kernel_gradient, numbers, taps| KernelGradient {
            layer,
            kernels,
            input,
            output_gradient,
            kernel_gradient,
            numbers,
            taps,
        };
        let first = part(self.kernels.start..middle, gradient.0, numbers.0, taps.0);
        let second = part(middle..self.kernels.end, gradient.1, numbers.1, taps.1);
        Ok((first, second))
    }
}

/// A chunk of samples as the tiles read it.
struct Chunk<'a, T> {
    inputs: &'a [T],
    input_stride: usize,
    gradients: &'a [T],
    gradient_stride: usize,
    /// From one kernel's output gradient to the next.
    plane: usize,
    samples: usize,
    /// Rows of a plane, their length and their pitch in input and gradient.
    rows: usize,
    len: usize,
    pitch: [usize; 2],
}

per_element!(KernelGradient);

impl<T: Element> Kernel for KernelGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { layer, .. } = self;
        let padded = Padded::of(&layer);
        let group_channels = layer.channels / layer.groups;
        let (taps, plane) = (layer.taps(), layer.out_plane());
        let (wide, narrow) = (T::Wide::<S>::LEN, T::Narrow::<S>::LEN);
        let whole_rows = layer.out_width.is_multiple_of(narrow);
        let line = padded.line(&layer).next_multiple_of(wide);
        let tap_table = &mut self.taps[..taps];
        padded.taps([group_channels, layer.kernel_height, layer.kernel_width], tap_table);

        let (input_len, output_len) = (layer.input_shape().len(), layer.output_shape().len());
        let memory = Memory::of(&layer, self.input.len() / input_len);
        let (copies, rest) = self.numbers.split_at_mut(memory.inputs);
        let lines = &mut rest[..memory.lines];
        let padded_len = layer.channels * padded.channel();
        let is_copied = !whole_rows || !padded.is_input();
        if is_copied {
            copies.fill(T::ZERO);
        }
        let samples = memory.samples;
        let inputs = self.input.chunks(samples * input_len);
        let gradients = self.output_gradient.chunks(samples * output_len);
        for (index, (inputs, gradients)) in inputs.zip(gradients).enumerate() {
            let samples = inputs.len() / input_len;
            let mut chunk = Chunk {
                inputs,
                input_stride: input_len,
                gradients,
                gradient_stride: output_len,
                plane,
                samples,
                rows: layer.out_height,
                len: layer.out_width,
                pitch: [padded.columns, layer.out_width],
            };
            if is_copied {
                let samples = inputs.chunks_exact(input_len);
                for (input, copy) in samples.zip(copies.chunks_exact_mut(padded_len)) {
                    padded.copy(simd, input, copy);
                }
                copies[chunk.samples * padded_len..][..SLACK].fill(T::ZERO);
                chunk.inputs = copies;
                chunk.input_stride = padded_len;
            }
            if !whole_rows {
                let shape = [layer.out_height, layer.out_width];
                spread(gradients, shape, [line, padded.columns], lines);
                chunk.gradients = lines;
                chunk.gradient_stride = layer.kernels * line;
                chunk.plane = line;
                (chunk.rows, chunk.len, chunk.pitch) = (1, line, [line; 2]);
            }
            let (first, target) = (index == 0, &mut *self.kernel_gradient);
            let wide = !whole_rows || layer.out_width.is_multiple_of(wide);
            let range = (&layer, self.kernels.clone());
            if wide {
                gradients_of::<S, T, Whole<T::Wide<S>>>(
                    simd, range, &chunk, tap_table, first, target,
                );
            } else if S::LARGE {
                gradients_of::<S, T, Halves<T>>(simd, range, &chunk, tap_table, first, target);
            } else {
                gradients_of::<S, T, Whole<T::Narrow<S>>>(
                    simd, range, &chunk, tap_table, first, target,
                );
            }
        }
    }
}

/// The kernels' gradients from one chunk, in tiles of kernels by taps. With pieces, those
/// of a vector are of as many kernels.
#[inline(always)]
fn gradients_of<S: Simd, T: Element, L: Lanes<S, T>>(
    simd: S,
    (layer, kernels): (&Correlation, Range<usize>),
    chunk: &Chunk<'_, T>,
    taps: &[usize],
    first_chunk: bool,
    target: &mut [T],
) {
    let per_group = layer.kernels / layer.groups;
    let group_channels = layer.channels / layer.groups * Padded::of(layer).channel();
    let mut d = kernels.start;
    while d < kernels.end {
        let group = d / per_group;
        let rest = kernels.end.min((group + 1) * per_group) - d;
        let at = (d, group * group_channels);
        let target = &mut target[(d - kernels.start) * taps.len()..][..rest * taps.len()];
        let of_five = taps.len().is_multiple_of(5);
        let vectors = rest / L::PIECES;
        let kernels = if vectors < 2 {
            match of_five {
                true => block::<S, T, L, 1, 5>(simd, chunk, at, taps, first_chunk, target),
                false => block::<S, T, L, 1, 3>(simd, chunk, at, taps, first_chunk, target),
            }
        } else if S::LARGE && vectors >= 8 && !of_five {
            block::<S, T, L, 8, 3>(simd, chunk, at, taps, first_chunk, target)
        } else if S::LARGE && vectors >= 4 && of_five {
            block::<S, T, L, 4, 5>(simd, chunk, at, taps, first_chunk, target)
        } else if of_five {
            block::<S, T, L, 2, 5>(simd, chunk, at, taps, first_chunk, target)
        } else if (S::LARGE || S::MEDIUM) && vectors >= 4 {
            block::<S, T, L, 4, 3>(simd, chunk, at, taps, first_chunk, target)
        } else {
            block::<S, T, L, 2, 3>(simd, chunk, at, taps, first_chunk, target)
        };
        d += kernels.min(rest);
    }
}

/// All taps of `M` vectors of kernels, `Q` taps at a time; returns how many kernels that
/// are, where there are so many.
///
/// A function of its own for the compiler.
#[inline(always)]
fn block<S: Simd, T: Element, L: Lanes<S, T>, const M: usize, const Q: usize>(
    simd: S,
    chunk: &Chunk<'_, T>,
    start: (usize, usize),
    taps: &[usize],
    first_chunk: bool,
    target: &mut [T],
) -> usize {
    simd.vectorize(
        #[inline(always)]
        || {
            let kernels = (target.len() / taps.len()).min(M * L::PIECES);
            let mut first = 0;
            while first < taps.len() {
                let used = Q.min(taps.len() - first);
                let mut tile_taps = [0; Q];
                for q in 0..Q {
                    tile_taps[q] = taps[first + q.min(used - 1)];
                }
                let sums: [[L::Vector; Q]; M] =
                    tile::<S, T, L, M, Q>(simd, chunk, start, kernels, tile_taps);
                for m in 0..M {
                    for q in 0..Q {
                        let sums = L::sums(sums[m][q]);
                        for piece in 0..L::PIECES {
                            let (kernel, sum) = (m * L::PIECES + piece, sums[piece]);
                            if q < used && kernel < kernels {
                                let gradient = &mut target[kernel * taps.len() + first + q];
                                *gradient = if first_chunk { sum } else { *gradient + sum };
                            }
                        }
                    }
                }
                first += used;
            }
        },
    );
    M * L::PIECES
}

/// The sums over a chunk for `M` vectors of kernels from `kernel` on and `Q` taps. A kernel
/// without a second, after the last of `kernels`, shares its vector with itself.
#[inline(always)]
fn tile<S: Simd, T: Element, L: Lanes<S, T>, const M: usize, const Q: usize>(
    simd: S,
    chunk: &Chunk<'_, T>,
    (kernel, input): (usize, usize),
    kernels: usize,
    taps: [usize; Q],
) -> [[L::Vector; Q]; M] {
    let mut sums = [[L::Vector::simd_from(simd, T::ZERO); Q]; M];
    for sample in 0..chunk.samples {
        let mut a = [[0; 2]; M];
        for m in 0..M {
            for piece in 0..2 {
                let kernel = kernel + (m * L::PIECES + piece % L::PIECES).min(kernels - 1);
                a[m][piece] = sample * chunk.gradient_stride + kernel * chunk.plane;
            }
        }
        let mut b = [[0; 2]; Q];
        for q in 0..Q {
            b[q] = [sample * chunk.input_stride + input + taps[q]; 2];
        }
        let a = Views { numbers: chunk.gradients, starts: a, pitch: chunk.pitch[1] };
        let b = Views { numbers: chunk.inputs, starts: b, pitch: chunk.pitch[0] };
        sums = dots::<S, T, L, M, Q>(simd, sums, a, b, [chunk.rows, chunk.len]);
    }
    sums
}
