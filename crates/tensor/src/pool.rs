//! Pooling: the maximum or the mean of each window of a plane.
//!
//! The windows of a plane are `stride` apart, the first one in the upper left corner of the plane
//! or of its padding. Rows and columns at the bottom and right edge that do not fill a window are
//! left out or, with `ceil_mode`, have a window that reaches beyond them. Paddings, modes and means
//! are as in PyTorch.

use std::ops::Range;

use fearless_simd::{Select, Simd, SimdBase, SimdFloat};

use crate::element::kernels::per_element;
use crate::reduce::RowSums;
use crate::simd::Kernel;
use crate::sums::Rows;
use crate::vector::{load, store, sum_lanes};
use crate::windows::Windows;
use crate::{Element, Shape, ShapeError};

/// The means of windows with up to this many numbers are summed one by one.
const SMALL: usize = 64;

/// The geometry of a pooling: the windows that a sample's planes are divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooling {
    channels: usize,
    input: [usize; 2],
    windows: Windows,
    output: [usize; 2],
}

impl Pooling {
    /// Windows of `size` rows and columns, `stride` apart, over inputs `(C, H, W)`.
    ///
    /// # Errors
    /// As [`Pooling::with_windows`].
    pub fn new(
        input: [usize; 3],
        size: [usize; 2],
        stride: [usize; 2],
    ) -> Result<Self, ShapeError> {
        Self::with_windows(input, Windows::new(size, stride))
    }

    /// These windows over inputs `(C, H, W)`.
    ///
    /// # Errors
    /// If a size or stride is 0, a padding is more than half of the window, the window is
    /// larger than the padded input, or the output has more than [`Shape::MOST_NUMBERS`] numbers.
    pub fn with_windows(
        [channels, height, width]: [usize; 3],
        windows: Windows,
    ) -> Result<Self, ShapeError> {
        let Windows { size, stride, padding, .. } = windows;
        if [channels, height, width].contains(&0) || size.contains(&0) || stride.contains(&0) {
            let found = format!(
                "input {}, window {}, stride {}",
                Shape::from([channels, height, width]),
                Shape::from(size),
                Shape::from(stride)
            );
            return Err(ShapeError::new("pooling", "sizes of at least 1", found));
        }
        if padding.iter().zip(size).any(|(around, size)| around.iter().any(|&pad| pad > size / 2)) {
            let [rows, columns] = size.map(|size| size / 2);
            let expected = format!(
                "at most half of the window, {rows} rows and {columns} columns on each side"
            );
            let [[above, below], [left, right]] = padding;
            let found = format!("{above} above, {below} below, {left} left and {right} right");
            return Err(ShapeError::new("pooling padding", expected, found));
        }
        let input = [height, width];
        let (Some(rows), Some(columns)) = (windows.along(0, height), windows.along(1, width))
        else {
            let padded =
                |axis: usize| padding[axis].iter().fold(input[axis], |a, &b| a.saturating_add(b));
            let (height, width) = (padded(0), padded(1));
            let expected = format!("a window no larger than the input's ({height}, {width})");
            return Err(ShapeError::new("pooling", expected, Shape::from(size)));
        };
        let pooling = Self { channels, input, windows, output: [rows, columns] };
        let output = pooling.output_shape();
        if output.checked_len().is_none() {
            let expected = format!("an output of at most {} numbers", Shape::MOST_NUMBERS);
            return Err(ShapeError::new("pooling", expected, output));
        }
        Ok(pooling)
    }

    /// `(C, H, W)`.
    pub fn input_shape(&self) -> Shape {
        Shape::from([self.channels, self.input[0], self.input[1]])
    }

    /// `(C, OH, OW)`; without padding and `ceil_mode` `OH = (H − KH) / stride + 1`, rounded down.
    pub fn output_shape(&self) -> Shape {
        Shape::from([self.channels, self.output[0], self.output[1]])
    }

    /// The windows that the planes are divided into.
    pub fn windows(&self) -> Windows {
        self.windows
    }

    /// The maximum of each window; NaN if a number is NaN.
    ///
    /// # Shapes
    /// `input (N, C, H, W)`, `output (N, C, OH, OW)`.
    ///
    /// # Panics
    /// If the slices do not hold the same number of whole samples.
    #[track_caller]
    pub fn max<T: Element>(&self, input: &[T], output: &mut [T]) {
        self.check(input.len(), output.len());
        MaxPool { geometry: *self, input, output, rectify: false }.launch();
    }

    /// The maximum of each window of `max(x, 0)`, with the bits of
    /// [`Relu`](crate::activation::Relu) followed by [`Pooling::max`]: ReLU is monotone, so only
    /// the maximum needs it.
    ///
    /// # Shapes
    /// As [`Pooling::max`].
    ///
    /// # Panics
    /// If the slices do not hold the same number of whole samples.
    #[track_caller]
    pub fn rectified_max<T: Element>(&self, input: &[T], output: &mut [T]) {
        self.check(input.len(), output.len());
        MaxPool { geometry: *self, input, output, rectify: true }.launch();
    }

    /// The gradient of [`Pooling::max`]: each window's goes to the first of its maxima in row-major
    /// order. A window with a NaN passes no gradient.
    ///
    /// # Panics
    /// If the slices do not hold the same number of whole samples.
    #[track_caller]
    pub fn max_gradient<T: Element>(
        &self,
        input: &[T],
        output_gradient: &[T],
        input_gradient: &mut [T],
    ) {
        self.max_gradients([input, output_gradient], input_gradient, false);
    }

    /// The gradient of [`Pooling::rectified_max`], given its input: each window's goes to the first
    /// of its maxima if that is positive.
    ///
    /// # Panics
    /// If the slices do not hold the same number of whole samples.
    #[track_caller]
    pub fn rectified_max_gradient<T: Element>(
        &self,
        input: &[T],
        output_gradient: &[T],
        input_gradient: &mut [T],
    ) {
        self.max_gradients([input, output_gradient], input_gradient, true);
    }

    #[track_caller]
    fn max_gradients<T: Element>(
        &self,
        [input, output_gradient]: [&[T]; 2],
        input_gradient: &mut [T],
        rectify: bool,
    ) {
        self.check(input.len(), output_gradient.len());
        self.check(input_gradient.len(), output_gradient.len());
        MaxPoolGradient { geometry: *self, input, output_gradient, input_gradient, rectify }
            .launch();
    }

    /// The mean of each window. Windows of more than 64 numbers are summed in the order of
    /// [`reference::sum`](crate::reference::sum), so their means are as accurate as its sums.
    ///
    /// # Panics
    /// If the slices do not hold the same number of whole samples.
    #[track_caller]
    pub fn mean<T: Element>(&self, input: &[T], output: &mut [T]) {
        self.check(input.len(), output.len());
        let Windows { size: [height, width], .. } = self.windows;
        if height.saturating_mul(width) > SMALL {
            output.fill(T::ZERO);
            RowSums { x: input, rows: &|index| self.window(index), sums: output }.launch();
            for (index, mean) in output.iter_mut().enumerate() {
                *mean *= self.share::<T>(index % self.count());
            }
            return;
        }
        let planes = input.chunks_exact(self.input[0] * self.input[1]);
        for (plane, output) in planes.zip(output.chunks_exact_mut(self.count())) {
            for (window, output) in output.iter_mut().enumerate() {
                let (rows, width) = self.rows(window);
                let mut sum = T::ZERO;
                for row in rows {
                    for &x in &plane[row..row + width] {
                        sum += x;
                    }
                }
                *output = sum * self.share::<T>(window);
            }
        }
    }

    /// The gradient of [`Pooling::mean`]: each window's is shared equally by its elements.
    ///
    /// # Panics
    /// If the slices do not hold the same number of whole samples.
    #[track_caller]
    pub fn mean_gradient<T: Element>(&self, output_gradient: &[T], input_gradient: &mut [T]) {
        self.check(input_gradient.len(), output_gradient.len());
        let planes = input_gradient.chunks_exact_mut(self.input[0] * self.input[1]);
        for (plane, gradient) in planes.zip(output_gradient.chunks_exact(self.count())) {
            plane.fill(T::ZERO);
            for (window, &g) in gradient.iter().enumerate() {
                let (rows, width) = self.rows(window);
                let share = g * self.share::<T>(window);
                for row in rows {
                    for x in &mut plane[row..row + width] {
                        *x += share;
                    }
                }
            }
        }
    }

    /// Where the window of an output lies in the input; a single row if it is as wide as the plane.
    fn window(&self, output: usize) -> Rows {
        let [height, width] = self.input;
        let (plane, window) = (output / self.count(), output % self.count());
        let [(rows, _), (columns, _)] = self.axes(window);
        let first = (plane * height + rows.start) * width + columns.start;
        if columns.len() == width {
            Rows { first, pitch: 0, count: 1, len: rows.len() * width }
        } else {
            Rows { first, pitch: width, count: rows.len(), len: columns.len() }
        }
    }

    /// How many windows a plane has.
    fn count(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// The rows or columns of the plane in the `index`-th window along an axis, and how many of
    /// them and of the padding's count in a mean.
    #[inline(always)]
    fn along(&self, axis: usize, index: usize) -> (Range<usize>, usize) {
        let Windows { size, stride, padding, count_padding, .. } = self.windows;
        let [before, after] = padding[axis];
        let start = index * stride[axis];
        let end = start.saturating_add(size[axis]);
        let inside = start.saturating_sub(before)..(end - before).min(self.input[axis]);
        let padded = end.min(before + self.input[axis] + after) - start;
        let counted = if count_padding { padded } else { inside.len() };
        (inside, counted)
    }

    /// [`Pooling::along`] for both axes.
    #[inline(always)]
    fn axes(&self, window: usize) -> [(Range<usize>, usize); 2] {
        [self.along(0, window / self.output[1]), self.along(1, window % self.output[1])]
    }

    /// The starts of the rows of a window in the plane, and their length.
    #[inline(always)]
    fn rows(&self, window: usize) -> (impl Iterator<Item = usize> + use<>, usize) {
        let [_, width] = self.input;
        let [(rows, _), (columns, _)] = self.axes(window);
        (rows.map(move |row| row * width + columns.start), columns.len())
    }

    /// The weight of each number of a window in its mean.
    #[inline(always)]
    fn share<T: Element>(&self, window: usize) -> T {
        let [(_, rows), (_, columns)] = self.axes(window);
        T::ONE / T::from_f64(rows as f64 * columns as f64)
    }

    /// Whether windows are 2×2, adjacent and full.
    fn halves(&self) -> bool {
        let Windows { size, stride, padding, .. } = self.windows;
        let full = |axis: usize| 2 * self.output[axis] <= self.input[axis];
        size == [2, 2] && stride == [2, 2] && padding == [[0; 2]; 2] && full(0) && full(1)
    }

    #[track_caller]
    fn check(&self, input: usize, output: usize) {
        let (inputs, outputs) = (self.input_shape(), self.output_shape());
        assert!(
            input.is_multiple_of(inputs.len()) && input / inputs.len() * outputs.len() == output,
            "pooling: expected whole samples {inputs} and {outputs}, got {input} and {output} \
             numbers"
        );
    }
}

/// See [`Pooling::max`].
pub struct MaxPool<'a, T> {
    geometry: Pooling,
    input: &'a [T],
    output: &'a mut [T],
    /// Whether numbers below 0 count as 0.
    rectify: bool,
}

per_element!(MaxPool);

impl<T: Element> Kernel for MaxPool<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if Walk::fits(&self.geometry, T::Narrow::<S>::LEN) {
            halve::<S, T::Narrow<S>>(simd, self);
        } else if Walk::fits(&self.geometry, T::Slim::<S>::LEN) {
            halve::<S, T::Slim<S>>(simd, self);
        } else {
            pool_planes(&self.geometry, self.input, self.output, self.rectify);
        }
    }
}

/// All planes, window by window.
#[inline(always)]
fn pool_planes<T: Element>(geometry: &Pooling, input: &[T], output: &mut [T], rectify: bool) {
    let planes = input.chunks_exact(geometry.input[0] * geometry.input[1]);
    for (plane, output) in planes.zip(output.chunks_exact_mut(geometry.count())) {
        for (window, output) in output.iter_mut().enumerate() {
            let largest = plane[first_largest(geometry, plane, window)];
            *output = if rectify && largest <= T::ZERO { T::ZERO } else { largest };
        }
    }
}

/// The index in the plane of a window's first maximum, or of its last NaN.
#[inline(always)]
fn first_largest<T: Element>(geometry: &Pooling, plane: &[T], window: usize) -> usize {
    let mut best = usize::MAX;
    let (rows, width) = geometry.rows(window);
    for row in rows {
        for at in row..row + width {
            if best == usize::MAX || plane[at] > plane[best] || is_nan(plane[at]) {
                best = at;
            }
        }
    }
    best
}

#[inline(always)]
#[allow(clippy::eq_op)]
fn is_nan<T: Element>(x: T) -> bool {
    x != x
}

/// The larger of two numbers, the first if they are equal; NaN if one is.
#[inline(always)]
fn larger<S: Simd, V: SimdFloat<S>>(a: V, b: V) -> V {
    let larger = b.simd_gt(a).select(b, a);
    b.simd_ne(b).select(b, larger)
}

/// Iterates over vectors of neighbouring windows of 2×2, row by row.
///
/// If a row of windows is a whole number of half vectors, a vector may continue in the next row: a
/// width of 12 takes three vectors of 8 for two rows, not four. Otherwise the last vector of a row
/// ends with it and overlaps the one before.
struct Walk {
    lanes: usize,
    goes_on: bool,
    columns: usize,
    /// From the end of a row of windows in the input to the start of the next.
    gap: usize,
    column: usize,
    input: usize,
    output: usize,
}

impl Walk {
    /// Whether vectors of `lanes` windows can cover a plane.
    #[inline(always)]
    fn fits(geometry: &Pooling, lanes: usize) -> bool {
        geometry.halves() && (geometry.output[1] >= lanes || Self::goes_on(geometry, lanes))
    }

    #[inline(always)]
    fn goes_on(geometry: &Pooling, lanes: usize) -> bool {
        geometry.output[1].is_multiple_of(lanes / 2) && geometry.count().is_multiple_of(lanes)
    }

    #[inline(always)]
    fn new(geometry: &Pooling, lanes: usize) -> Self {
        let (goes_on, columns) = (Self::goes_on(geometry, lanes), geometry.output[1]);
        let gap = 2 * (geometry.input[1] - columns);
        Self { lanes, goes_on, columns, gap, column: 0, input: 0, output: 0 }
    }

    /// How many vectors there are.
    #[inline(always)]
    fn count(&self, geometry: &Pooling) -> usize {
        if self.goes_on {
            geometry.count() / self.lanes
        } else {
            geometry.output[0] * self.columns.div_ceil(self.lanes)
        }
    }

    /// The start in the input of the two halves of the next vector's windows, and the start of the
    /// vector in the output.
    #[inline(always)]
    fn next(&mut self) -> ([usize; 2], usize) {
        let output = self.output;
        if self.goes_on {
            self.output += self.lanes;
            return ([self.windows(self.lanes / 2), self.windows(self.lanes / 2)], output);
        }
        let windows = self.lanes.min(self.columns - self.column);
        self.output += windows;
        // The last vector of a row begins with windows that were done before.
        let met = self.lanes - windows;
        let left = self.windows(windows) - 2 * met;
        ([left, left + self.lanes], output - met)
    }

    /// The start of this many windows in the input.
    #[inline(always)]
    fn windows(&mut self, count: usize) -> usize {
        let at = self.input;
        self.column += count;
        self.input += 2 * count;
        if self.column == self.columns {
            self.column = 0;
            self.input += self.gap;
        }
        at
    }
}

/// Windows of 2×2, a vector of them at a time.
///
/// If the result is rectified, the sign of zero does not matter, and NaN need only be excluded: if
/// the sum of all numbers is finite, there is none. If it is not finite, everything is computed
/// again, window by window.
#[inline(always)]
fn halve<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, operands: MaxPool<'_, V::Element>) {
    let MaxPool { geometry, input, output, rectify } = operands;
    let zero = V::simd_from(simd, V::Element::ZERO);
    let width = geometry.input[1];
    let mut sum = zero;
    let planes = input.chunks_exact(geometry.input[0] * width);
    for (plane, output) in planes.zip(output.chunks_exact_mut(geometry.count())) {
        let mut walk = Walk::new(&geometry, V::LEN);
        for _ in 0..walk.count(&geometry) {
            let ([left, right], at) = walk.next();
            let (a, b): (V, V) = (load(simd, plane, left), load(simd, plane, right));
            let (c, d): (V, V) =
                (load(simd, plane, left + width), load(simd, plane, right + width));
            let largest = if rectify {
                sum += (a + b) + (c + d);
                let (even, odd) = a.max(c).deinterleave(b.max(d));
                let largest = even.max(odd);
                largest.simd_gt(zero).select(largest, zero)
            } else {
                let (even, odd) = larger(a, c).deinterleave(larger(b, d));
                larger(even, odd)
            };
            store(largest, output, at);
        }
    }
    if rectify && !sum_lanes(sum).is_finite() {
        pool_planes(&geometry, input, output, rectify);
    }
}

/// See [`Pooling::max_gradient`].
pub struct MaxPoolGradient<'a, T> {
    geometry: Pooling,
    input: &'a [T],
    output_gradient: &'a [T],
    input_gradient: &'a mut [T],
    rectify: bool,
}

per_element!(MaxPoolGradient);

impl<T: Element> Kernel for MaxPoolGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if Walk::fits(&self.geometry, T::Narrow::<S>::LEN) {
            return halve_gradient::<S, T::Narrow<S>>(simd, self);
        }
        if Walk::fits(&self.geometry, T::Slim::<S>::LEN) {
            return halve_gradient::<S, T::Slim<S>>(simd, self);
        }
        plane_gradients(self);
    }
}

/// The gradients of all planes, window by window.
#[inline(always)]
fn plane_gradients<T: Element>(operands: MaxPoolGradient<'_, T>) {
    let MaxPoolGradient { geometry, input, output_gradient, input_gradient, rectify } = operands;
    let len = geometry.input[0] * geometry.input[1];
    let planes = input.chunks_exact(len).zip(input_gradient.chunks_exact_mut(len));
    let gradients = output_gradient.chunks_exact(geometry.count());
    for ((plane, result), gradient) in planes.zip(gradients) {
        result.fill(T::ZERO);
        for (window, &g) in gradient.iter().enumerate() {
            let place = first_largest(&geometry, plane, window);
            let passes = if rectify { plane[place] > T::ZERO } else { !is_nan(plane[place]) };
            if passes {
                result[place] += g;
            }
        }
    }
}

/// Windows of 2×2, a vector of them at a time; NaN is handled as in [`halve`].
#[inline(always)]
fn halve_gradient<S: Simd, V: SimdFloat<S, Element: Element>>(
    simd: S,
    operands: MaxPoolGradient<'_, V::Element>,
) {
    let MaxPoolGradient { geometry, input, output_gradient, rectify, .. } = operands;
    let mut sum = V::simd_from(simd, V::Element::ZERO);
    let zero = V::simd_from(simd, V::Element::ZERO);
    let ([height, width], [rows, columns]) = (geometry.input, geometry.output);
    let planes = input.chunks_exact(height * width);
    let gradients = output_gradient.chunks_exact(rows * columns);
    let results = operands.input_gradient.chunks_exact_mut(height * width);
    for ((plane, gradient), result) in planes.zip(gradients).zip(results) {
        let (windows, rest) = result.split_at_mut(2 * rows * width);
        rest.fill(V::Element::ZERO);
        if 2 * columns < width {
            windows.chunks_exact_mut(width).for_each(|row| row[2 * columns] = V::Element::ZERO);
        }
        let mut walk = Walk::new(&geometry, V::LEN);
        for _ in 0..walk.count(&geometry) {
            let ([left, right], at) = walk.next();
            let (a, b) = pairs::<S, V>(simd, plane, [left, right]);
            let (c, d) = pairs::<S, V>(simd, plane, [left + width, right + width]);
            // The gradient that no earlier number of the window has taken.
            let mut rest: V = load(simd, gradient, at);
            let y = if rectify {
                sum += (a + b) + (c + d);
                let y = a.max(b).max(c.max(d));
                rest = y.simd_gt(zero).select(rest, zero);
                y
            } else {
                larger(larger(a, b), larger(c, d))
            };
            let (to_a, rest) = take(a.simd_eq(y), rest, zero);
            let (to_b, rest) = take(b.simd_eq(y), rest, zero);
            let (to_c, rest) = take(c.simd_eq(y), rest, zero);
            let (to_d, _) = take(d.simd_eq(y), rest, zero);
            let ((a, b), (c, d)) = (to_a.interleave(to_b), to_c.interleave(to_d));
            store(a, windows, left);
            store(b, windows, right);
            store(c, windows, left + width);
            store(d, windows, right + width);
        }
    }
    if rectify && !sum_lanes(sum).is_finite() {
        plane_gradients(operands);
    }
}

/// The first and the second numbers of the pairs in two half vectors of pairs.
#[inline(always)]
fn pairs<S: Simd, V: SimdFloat<S>>(simd: S, numbers: &[V::Element], halves: [usize; 2]) -> (V, V) {
    let (left, right): (V, V) = (load(simd, numbers, halves[0]), load(simd, numbers, halves[1]));
    left.deinterleave(right)
}

/// The part of the rest that is taken, and the part that is left.
#[inline(always)]
fn take<S: Simd, V: SimdFloat<S>>(mask: V::Mask, rest: V, zero: V) -> (V, V) {
    (mask.select(rest, zero), mask.select(zero, rest))
}
