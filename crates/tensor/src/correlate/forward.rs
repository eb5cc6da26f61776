use std::marker::PhantomData;

use fearless_simd::{Simd, SimdBase};

use crate::element::kernels::per_element;
use crate::microkernel::{Grid, Offset, Product, multiply, multiply_narrow};
use crate::packing::{pack_rows, packed_len};
use crate::simd::{Kernel, Level, Tiles, dispatch_at};
use crate::threads::{self, Divide};
use crate::vector::Whole;
use crate::{Element, Scratch};

use super::Correlation;
use super::filtering::Weights;
use super::padded::{Padded, SLACK, row_positions};
use super::samples::{MOST_LANES, Samples};

/// What is added to the outputs of a correlation.
#[derive(Clone, Copy, Debug)]
pub enum Bias<'a, T> {
    /// Nothing.
    None,
    /// One number for each kernel: `(D)`.
    PerKernel(&'a [T]),
    /// One number for each output: `(D, OH, OW)`.
    Untied(&'a [T]),
}

impl<T> Bias<'_, T> {
    /// The part for `count` kernels from `first` on, with planes of `plane` outputs.
    #[inline(always)]
    pub(super) fn part(&self, first: usize, count: usize, plane: usize) -> Self {
        match *self {
            Bias::None => Bias::None,
            Bias::PerKernel(bias) => Bias::PerKernel(&bias[first..first + count]),
            Bias::Untied(bias) => Bias::Untied(&bias[first * plane..(first + count) * plane]),
        }
    }
}

impl Correlation {
    /// `Y_d = B_d + Σ_c X_c ⋆valid K_dc` for each sample.
    ///
    /// # Shapes
    /// `input (N, C, H, W)`, `kernels (D, C/groups, KH, KW)`, `output (N, D, OH, OW)`;
    /// `N` is what the slices hold.
    ///
    /// # Panics
    /// If a slice has not the length that its shape says.
    #[track_caller]
    pub fn forward<T: Element>(
        &self,
        input: &[T],
        kernels: &[T],
        bias: Bias<'_, T>,
        output: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let n = self.batch("input", input.len(), self.input_shape());
        assert_eq!(output.len(), n * self.output_shape().len(), "output: length");
        assert_eq!(kernels.len(), self.kernels_shape().len(), "kernels: length");
        match bias {
            Bias::None => {}
            Bias::PerKernel(bias) => assert_eq!(bias.len(), self.kernels, "bias: length"),
            Bias::Untied(bias) => {
                assert_eq!(bias.len(), self.output_shape().len(), "bias: length");
            }
        }
        if let Some(filtering) = self.filtering::<T>() {
            let weights = Weights::Forward(kernels);
            return self.forward_filtered(filtering, input, weights, bias, output, scratch);
        }
        let parts = threads::parts(self.work(n), scratch.threads());
        let side_by_side = self.gains_by_samples::<T>(n);
        let (numbers, taps) = scratch.take(self.direct_room(side_by_side, parts));
        let layer = *self;
        let forward = Forward { layer, side_by_side, input, kernels, bias, output, numbers, taps };
        threads::run_divided(forward, parts, Forward::launch);
    }

    /// The scratch memory of [`Correlation::forward`] of `n` samples.
    pub(super) fn forward_room<T: Element>(&self, n: usize, threads: usize) -> [usize; 2] {
        if let Some(filtering) = self.filtering::<T>() {
            return self.filtering_room::<T>(filtering, n, threads);
        }
        let parts = threads::parts(self.work(n), threads);
        self.direct_room(self.gains_by_samples::<T>(n), parts)
    }

    /// That of the sum as it is written, in so many parts.
    fn direct_room(&self, side_by_side: bool, parts: usize) -> [usize; 2] {
        let memory = Memory::of(self, side_by_side);
        threads::rooms(parts, [memory.len(), memory.taps])
    }

    /// How [`Correlation::forward`] of `samples` is computed at `level`: `"tiles of 4 × 4"` or
    /// `"columns of 4"` by Winograd's minimal filtering, in two directions or in one; else as
    /// the sum is written, a vector being the same position of as many samples as it has
    /// lanes, `"samples"`, or, of fewer samples, the rows of the output cut into vectors as
    /// `"wide rows"`, `"narrow rows"` (of 512 or 256 bits, row by row) or `"line"` (all rows
    /// as one).
    ///
    /// Filtering is for `f32` where kernels are 3 × 3 with stride 1 and one group, and less
    /// work is done by more than a quarter: tiles from 16 channels and 16 kernels on with
    /// planes of 26 × 26, columns with fewer, from two channels and eight kernels on. It
    /// does not depend on the level. The error is at most 24 ε, 3 · 10⁻⁶, of the largest `Σ |x| |k|`,
    /// as a test holds, and a number that is not finite reaches all outputs of the tiles or
    /// columns that see it; `f64`, which is there to check gradients, is
    /// always summed as it is written. [`Correlation::input_gradient_plan`] and
    /// [`Correlation::kernel_gradient_plan`] are those of the gradients.
    pub fn forward_plan<T: Element>(&self, level: Level, samples: usize) -> &'static str {
        if let Some(filtering) = self.filtering::<T>() {
            return filtering.name();
        }
        if self.gains_by_samples::<T>(samples) && samples >= level.lanes::<T>() {
            return "samples";
        }
        match dispatch_at(level, Plan::<T> { layer: *self, element: PhantomData }) {
            Cut::WideRows => "wide rows",
            Cut::NarrowRows => "narrow rows",
            Cut::Line => "line",
        }
    }
}

/// Where the parts of the scratch memory end.
struct Memory {
    packed: usize,
    input: usize,
    line: usize,
    /// Taps, and where the numbers of samples side by side lie.
    taps: usize,
}

impl Memory {
    #[inline(always)]
    fn of(layer: &Correlation, side_by_side: bool) -> Self {
        let padded = Padded::of(layer);
        let kernels = layer.kernels / layer.groups;
        let mut input = layer.channels / layer.groups * padded.channel();
        let mut line = padded.line(layer) + SLACK;
        let mut taps = layer.taps();
        if side_by_side {
            let [numbers, places] = layer.block_of_samples();
            (input, taps) = (input.max(numbers), taps + places);
            line = line.max(layer.out_plane() * MOST_LANES);
        }
        Self {
            packed: layer.groups * packed_len(kernels, layer.taps()),
            input: input + SLACK,
            line: kernels * line.next_multiple_of(SLACK),
            taps,
        }
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.packed + self.input + self.line
    }
}

/// The forward pass on one thread.
pub struct Forward<'a, T> {
    layer: Correlation,
    /// Whether as many samples as a vector has lanes are laid side by side.
    side_by_side: bool,
    input: &'a [T],
    kernels: &'a [T],
    bias: Bias<'a, T>,
    output: &'a mut [T],
    numbers: &'a mut [T],
    taps: &'a mut [usize],
}

impl<T: Element> Divide for Forward<'_, T> {
    /// By samples if there are several, else by kernels.
    fn divide(self, left: usize, parts: usize) -> Result<(Self, Self), Self> {
        let Self { layer, side_by_side, .. } = self;
        let n = self.input.len() / layer.input_shape().len();
        let (samples, kernels) = if n > 1 {
            let unit = if n >= MOST_LANES && side_by_side { MOST_LANES } else { 1 };
            (threads::cut(n, left, parts, unit), None)
        } else if layer.groups == 1 {
            (None, threads::cut(layer.kernels, left, parts, 2))
        } else {
            (None, None)
        };
        if samples.is_none() && kernels.is_none() {
            return Err(self);
        }
        let numbers = self.numbers.split_at_mut(self.numbers.len() * left / parts);
        let taps = self.taps.split_at_mut(self.taps.len() * left / parts);
        let (first, second) = if let Some(samples) = samples {
            let input = self.input.split_at(samples * layer.input_shape().len());
            let output = self.output.split_at_mut(samples * layer.output_shape().len());
            let part = |input, output, numbers, taps| Forward {
                layer,
                side_by_side,
                input,
                kernels: self.kernels,
                bias: self.bias,
                output,
                numbers,
                taps,
            };
            (part(input.0, output.0, numbers.0, taps.0), part(input.1, output.1, numbers.1, taps.1))
        } else {
            let (at, plane) = (kernels.unwrap_or(0), layer.out_plane());
            let weights = self.kernels.split_at(at * layer.taps());
            let output = self.output.split_at_mut(at * plane);
            let part = |first, count, kernels, output, numbers, taps| Forward {
                layer: Correlation { kernels: count, ..layer },
                side_by_side,
                input: self.input,
                kernels,
                bias: self.bias.part(first, count, plane),
                output,
                numbers,
                taps,
            };
            (
                part(0, at, weights.0, output.0, numbers.0, taps.0),
                part(at, layer.kernels - at, weights.1, output.1, numbers.1, taps.1),
            )
        };
        Ok((first, second))
    }
}

/// How the positions of an output plane are cut into vectors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Row by row, with vectors of 512 bits.
    WideRows,
    /// Row by row, with vectors of 256 bits.
    NarrowRows,
    /// All rows as one line with the input's pitch. What lies past the end of an output
    /// row is computed in vain: for a width of 26 two positions in 28, where rows of
    /// whole vectors would compute six in 32.
    Line,
}

impl Cut {
    /// The cut that computes fewest positions; no cut changes a bit of the output.
    #[inline(always)]
    fn choose<S: Simd, T: Element>(layer: &Correlation, pitch: usize) -> Self {
        let (wide, narrow) = (T::Wide::<S>::LEN, T::Narrow::<S>::LEN);
        let rows = |lanes| row_positions(layer, lanes);
        // A line is written twice, which costs as much as some taps.
        let line = pitch + 4 * pitch / layer.taps();
        if S::LARGE && rows(wide) <= rows(narrow).min(line) {
            Self::WideRows
        } else if rows(narrow) <= line {
            Self::NarrowRows
        } else {
            Self::Line
        }
    }
}

/// Asks for the cut, which depends on the level.
struct Plan<T> {
    layer: Correlation,
    element: PhantomData<T>,
}

impl<T: Element> Kernel for Plan<T> {
    type Output = Cut;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> Cut {
        Cut::choose::<S, T>(&self.layer, Padded::of(&self.layer).columns)
    }
}

per_element!(Forward);

impl<T: Element> Kernel for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { layer, side_by_side, .. } = self;
        let padded = Padded::of(&layer);
        let (groups, channels) = (layer.groups, layer.channels / layer.groups);
        let (kernels, taps, plane) = (layer.kernels / groups, layer.taps(), layer.out_plane());
        let [input_len, output_len] = [layer.input_shape().len(), layer.output_shape().len()];
        let n = self.input.len() / input_len;
        let memory = Memory::of(&layer, side_by_side);
        let (packed, rest) = self.numbers.split_at_mut(memory.packed);
        let (copy, line) = rest.split_at_mut(memory.input);
        let panel = packed.len() / groups;
        for (weights, packed) in
            self.kernels.chunks_exact(kernels * taps).zip(packed.chunks_exact_mut(panel))
        {
            pack_rows(simd, weights, [kernels, taps], packed);
        }
        let (tap_table, places) = self.taps.split_at_mut(taps);
        let lanes = if S::LARGE { T::Wide::<S>::LEN } else { T::Narrow::<S>::LEN };
        let samples = if side_by_side { n / lanes * lanes } else { 0 };
        let (input, inputs) = self.input.split_at(samples * input_len);
        let (output, outputs) = self.output.split_at_mut(samples * output_len);
        if samples > 0 {
            let (layer, bias) = (&layer, self.bias);
            let work = Samples { layer, packed, bias, taps: tap_table, places };
            if S::LARGE {
                work.correlate::<S, T::Wide<S>>(simd, input, copy, line, output);
            } else {
                work.correlate::<S, T::Narrow<S>>(simd, input, copy, line, output);
            }
        }

        padded.taps([channels, layer.kernel_height, layer.kernel_width], tap_table);
        let cut = Cut::choose::<S, T>(&layer, padded.columns);
        let line_len = padded.line(&layer).next_multiple_of(T::Wide::<S>::LEN);
        let grid = if cut == Cut::Line {
            Grid::line(line_len)
        } else {
            Grid {
                rows: layer.out_height,
                len: layer.out_width,
                input_pitch: padded.columns,
                output_pitch: layer.out_width,
            }
        };
        let is_copied = cut == Cut::Line || !padded.is_input();
        if is_copied {
            copy.fill(T::ZERO);
        }
        let inputs = inputs.chunks_exact(channels * layer.height * layer.width);
        let outputs = outputs.chunks_exact_mut(kernels * plane);
        for (index, (input, output)) in inputs.zip(outputs).enumerate() {
            let group = index % groups;
            let input = if is_copied {
                padded.copy(simd, input, copy);
                &*copy
            } else {
                input
            };
            let bias = self.bias.part(group * kernels, kernels, plane);
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
                    Bias::PerKernel(bias) => Offset::Row(bias),
                    Bias::Untied(bias) => Offset::Plane(bias),
                },
            };
            match cut {
                Cut::WideRows if S::LARGE => {
                    multiply::<S, T, Whole<T::Wide<S>>>(simd, &product, output);
                }
                Cut::WideRows | Cut::NarrowRows => multiply_narrow(simd, &product, output),
                Cut::Line => {
                    product.offset = Offset::None;
                    product.output_stride = line_len;
                    if S::LARGE {
                        multiply::<S, T, Whole<T::Wide<S>>>(simd, &product, line);
                    } else {
                        multiply_narrow(simd, &product, line);
                    }
                    compact(&layer, [line_len, padded.columns], line, bias, output);
                }
            }
        }
    }
}

/// Copies the output rows out of lines of `pitch` and adds the bias.
#[inline(always)]
fn compact<T: Element>(
    layer: &Correlation,
    [stride, pitch]: [usize; 2],
    lines: &[T],
    bias: Bias<'_, T>,
    output: &mut [T],
) {
    let width = layer.out_width;
    for (index, row) in output.chunks_exact_mut(width).enumerate() {
        let (d, y) = (index / layer.out_height, index % layer.out_height);
        let line = &lines[d * stride + y * pitch..][..width];
        match bias {
            Bias::None => row.copy_from_slice(line),
            Bias::PerKernel(bias) => {
                for (out, &sum) in row.iter_mut().zip(line) {
                    *out = sum + bias[d];
                }
            }
            Bias::Untied(bias) => {
                let bias = &bias[index * width..][..width];
                for ((out, &sum), &bias) in row.iter_mut().zip(line).zip(bias) {
                    *out = sum + bias;
                }
            }
        }
    }
}
