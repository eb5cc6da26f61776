//! What an algorithm is given, operands and scratch memory in sections, and how an operation is
//! divided into parts, one for each thread.

use std::ops::Range;

use crate::threads::{self, Divide};

use super::geometry::Geometry;
use super::layout::{Added, MOST_LANES};
use super::plan::Schedule;

/// What is added to the outputs of a correlation.
#[derive(Clone, Copy, Debug)]
pub enum Bias<'a, T> {
    /// Nothing.
    None,
    /// One number for each kernel, added to its output channel: `(D)`.
    PerChannel(&'a [T]),
    /// One number for each output: `(D, OH, OW)`.
    Untied(&'a [T]),
}

impl<'a, T: Copy> Bias<'a, T> {
    /// The bias of `kernels`, whose planes have `plane` outputs.
    #[inline(always)]
    pub(super) fn of(&self, kernels: Range<usize>, plane: usize) -> Self {
        match *self {
            Bias::None => Bias::None,
            Bias::PerChannel(bias) => Bias::PerChannel(&bias[kernels]),
            Bias::Untied(bias) => Bias::Untied(&bias[kernels.start * plane..kernels.end * plane]),
        }
    }

    /// What is added to a row of `len` outputs of `kernel`, which starts at `at`, counted from the
    /// first kernel on.
    #[inline(always)]
    pub(super) fn of_row(&self, kernel: usize, at: usize, len: usize) -> Added<'a, T> {
        match *self {
            Bias::None => Added::Nothing,
            Bias::PerChannel(bias) => Added::Same(bias[kernel]),
            Bias::Untied(bias) => Added::Each(&bias[at..at + len]),
        }
    }
}

/// The kernels of a correlation.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a, T> {
    pub(super) numbers: &'a [T],
    /// Whether they belong to the layer whose adjoint the correlation is: then they are
    /// `(C, D, KH, KW)`, to be rotated by 180°. Otherwise they are `(D, C, KH, KW)`.
    pub(super) adjoint: bool,
}

/// The outputs of a layer, or the gradient of its input, on one thread.
pub struct Task<'a, T> {
    /// The layer, or its [adjoint](Geometry::adjoint) where minimal filtering computes a gradient.
    pub(super) layer: Geometry,
    pub(super) schedule: Schedule,
    pub(super) samples: usize,
    /// Which planes of a sample are computed: all if there are several samples or groups.
    pub(super) planes: Range<usize>,
    /// How many samples, and how many planes of one sample, are not divided further.
    pub(super) together: [usize; 2],
    pub(super) input: &'a [T],
    pub(super) weights: Weights<'a, T>,
    pub(super) bias: Bias<'a, T>,
    pub(super) output: &'a mut [T],
    pub(super) numbers: &'a mut [T],
    pub(super) indices: &'a mut [usize],
}

impl<T: Copy + Send + Sync> Divide for Task<'_, T> {
    /// By samples if there are several, else by planes.
    fn divide(self, left: usize, parts: usize) -> Result<(Self, Self), Self> {
        let Self { layer, schedule, samples, weights, bias, together, .. } = self;
        let by_samples = samples > 1;
        let cut = if by_samples {
            let unit = if samples >= together[0] { together[0] } else { 1 };
            threads::cut(samples, left, parts, unit)
        } else {
            threads::cut(self.planes.len(), left, parts, together[1])
        };
        let Some(cut) = cut else { return Err(self) };
        let (input, counts, planes) = if by_samples {
            let input = self.input.split_at(cut * (self.input.len() / samples));
            (input, [cut, samples - cut], [self.planes.clone(), self.planes])
        } else {
            let Range { start, end } = self.planes;
            ((self.input, self.input), [samples; 2], [start..start + cut, start + cut..end])
        };
        let outputs = if by_samples { samples } else { planes[0].len() + planes[1].len() };
        let output = self.output.split_at_mut(cut * (self.output.len() / outputs));
        let numbers = self.numbers.split_at_mut(self.numbers.len() * left / parts);
        let indices = self.indices.split_at_mut(self.indices.len() * left / parts);
        let [first, second] = planes;
        let part = |samples, planes, input, output, numbers, indices| Self {
            layer,
            schedule,
            samples,
            planes,
            together,
            input,
            weights,
            bias,
            output,
            numbers,
            indices,
        };
        Ok((
            part(counts[0], first, input.0, output.0, numbers.0, indices.0),
            part(counts[1], second, input.1, output.1, numbers.1, indices.1),
        ))
    }
}

/// The gradient of some kernels, or of some of their taps, computed on one thread.
pub struct KernelTask<'a, T> {
    pub(super) layer: Geometry,
    pub(super) samples: usize,
    pub(super) kernels: Range<usize>,
    /// The taps of each kernel.
    pub(super) taps: Range<usize>,
    /// How many kernels, and how many of their taps, are not divided further.
    pub(super) together: [usize; 2],
    pub(super) input: &'a [T],
    pub(super) output_gradient: &'a [T],
    /// The gradient, or the sums from which it is made: equally many numbers for each kernel, and
    /// for each tap once only taps are left to divide.
    pub(super) sums: &'a mut [T],
    /// Where each tap of a kernel falls in the input, if the algorithm needs that.
    pub(super) offsets: &'a [usize],
    pub(super) numbers: &'a mut [T],
}

impl<'a, T> KernelTask<'a, T> {
    /// All taps of some kernels.
    pub(super) fn new(
        layer: &Geometry,
        kernels: Range<usize>,
        together: [usize; 2],
        [input, output_gradient]: [&'a [T]; 2],
        sums: &'a mut [T],
        (numbers, offsets): (&'a mut [T], &'a [usize]),
    ) -> Self {
        let (layer, taps) = (*layer, 0..layer.taps());
        let samples = input.len() / layer.input_shape().len();
        Self {
            layer,
            samples,
            kernels,
            taps,
            together,
            input,
            output_gradient,
            sums,
            offsets,
            numbers,
        }
    }
}

impl<T: Copy + Send + Sync> Divide for KernelTask<'_, T> {
    /// By kernels while there are several units of them, then by taps.
    fn divide(self, left: usize, parts: usize) -> Result<(Self, Self), Self> {
        let Self { layer, samples, together, input, output_gradient, offsets, .. } = self;
        let by_kernels = self.kernels.len() > together[0];
        let (Range { start, end }, unit) = match by_kernels {
            true => (self.kernels.clone(), together[0]),
            false => (self.taps.clone(), together[1]),
        };
        let Some(cut) = threads::cut(end - start, left, parts, unit) else { return Err(self) };
        let halves = [start..start + cut, start + cut..end];
        let [first, second] = match by_kernels {
            true => halves.map(|kernels| (kernels, self.taps.clone())),
            false => halves.map(|taps| (self.kernels.clone(), taps)),
        };
        let sums = self.sums.split_at_mut(cut * (self.sums.len() / (end - start)));
        let numbers = self.numbers.split_at_mut(self.numbers.len() * left / parts);
        let part = |(kernels, taps), sums, numbers| Self {
            layer,
            samples,
            kernels,
            taps,
            together,
            input,
            output_gradient,
            sums,
            offsets,
            numbers,
        };
        Ok((part(first, sums.0, numbers.0), part(second, sums.1, numbers.1)))
    }
}

/// The lengths of the sections that a part's scratch memory is divided into.
#[derive(Clone, Copy)]
pub(super) struct Sections<const N: usize>(pub(super) [usize; N]);

impl<const N: usize> Sections<N> {
    /// The total length, each section in whole cache lines, so that parts share none.
    pub(super) fn len(&self) -> usize {
        self.0.iter().sum::<usize>().next_multiple_of(MOST_LANES)
    }

    /// The sections, with any contents.
    #[inline(always)]
    pub(super) fn carve<'a, T>(&self, mut numbers: &'a mut [T]) -> [&'a mut [T]; N] {
        self.0.map(|len| numbers.split_off_mut(..len).unwrap_or_default())
    }
}
