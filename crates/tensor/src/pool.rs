//! Pooling: what a window of a plane is reduced to, window by window.
//!
//! The windows of a plane lie `stride` apart; rows and columns at the bottom and right
//! edge that fill no window are left out, as PyTorch does without `ceil_mode`.

use fearless_simd::{Select, Simd, SimdBase, SimdFloat};

use crate::microkernel::{load, store};
use crate::simd::Kernel;
use crate::{Element, Shape, ShapeError};

/// The geometry of a pooling: which windows the planes of a sample are cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooling {
    channels: usize,
    input: [usize; 2],
    size: [usize; 2],
    stride: [usize; 2],
    output: [usize; 2],
}

impl Pooling {
    /// Windows of `size` rows and columns, `stride` apart, over inputs `(C, H, W)`.
    ///
    /// # Errors
    /// If a size or stride is 0, or the window is larger than the input.
    pub fn new(
        [channels, height, width]: [usize; 3],
        size: [usize; 2],
        stride: [usize; 2],
    ) -> Result<Self, ShapeError> {
        if [channels, height, width].contains(&0) || size.contains(&0) || stride.contains(&0) {
            let found = format!(
                "input {}, window {}, stride {}",
                Shape::from([channels, height, width]),
                Shape::from(size),
                Shape::from(stride)
            );
            return Err(ShapeError::new("pooling", "sizes of at least 1", found));
        }
        if size[0] > height || size[1] > width {
            let expected = format!("a window no larger than the input's ({height}, {width})");
            return Err(ShapeError::new("pooling", expected, Shape::from(size)));
        }
        let output = [(height - size[0]) / stride[0] + 1, (width - size[1]) / stride[1] + 1];
        Ok(Self { channels, input: [height, width], size, stride, output })
    }

    /// `(C, H, W)`.
    pub fn input_shape(&self) -> Shape {
        Shape::from([self.channels, self.input[0], self.input[1]])
    }

    /// `(C, OH, OW)` with `OH = (H − KH) / stride + 1`, rounded down.
    pub fn output_shape(&self) -> Shape {
        Shape::from([self.channels, self.output[0], self.output[1]])
    }

    /// Rows and columns of a window.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Rows and columns from one window to the next.
    pub fn stride(&self) -> [usize; 2] {
        self.stride
    }

    /// The largest number of each window; NaN if there is one.
    ///
    /// # Shapes
    /// `input (N, C, H, W)`, `output (N, C, OH, OW)`.
    ///
    /// # Panics
    /// If the slices do not hold the same number of whole samples.
    #[track_caller]
    pub fn max<T: Element>(&self, input: &[T], output: &mut [T]) {
        self.check(input.len(), output.len());
        T::max_pool(MaxPool { geometry: *self, input, output });
    }

    /// The gradient of [`Pooling::max`]: each window's goes to the first, row by row, of
    /// its largest numbers. A window with a NaN passes none.
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
        self.check(input.len(), output_gradient.len());
        self.check(input_gradient.len(), output_gradient.len());
        T::max_pool_gradient(MaxPoolGradient {
            geometry: *self,
            input,
            output_gradient,
            input_gradient,
        });
    }

    /// The mean of each window.
    ///
    /// # Panics
    /// If the slices do not hold the same number of whole samples.
    #[track_caller]
    pub fn mean<T: Element>(&self, input: &[T], output: &mut [T]) {
        self.check(input.len(), output.len());
        let scale = T::ONE / T::from_f64((self.size[0] * self.size[1]) as f64);
        let planes = input.chunks_exact(self.input[0] * self.input[1]);
        for (plane, output) in planes.zip(output.chunks_exact_mut(self.windows())) {
            for (window, output) in output.iter_mut().enumerate() {
                let mut sum = T::ZERO;
                for row in self.rows(window) {
                    for &x in &plane[row..row + self.size[1]] {
                        sum += x;
                    }
                }
                *output = sum * scale;
            }
        }
    }

    /// The gradient of [`Pooling::mean`]: each window's is shared by all its places.
    ///
    /// # Panics
    /// If the slices do not hold the same number of whole samples.
    #[track_caller]
    pub fn mean_gradient<T: Element>(&self, output_gradient: &[T], input_gradient: &mut [T]) {
        self.check(input_gradient.len(), output_gradient.len());
        let scale = T::ONE / T::from_f64((self.size[0] * self.size[1]) as f64);
        let planes = input_gradient.chunks_exact_mut(self.input[0] * self.input[1]);
        for (plane, gradient) in planes.zip(output_gradient.chunks_exact(self.windows())) {
            plane.fill(T::ZERO);
            for (window, &g) in gradient.iter().enumerate() {
                let share = g * scale;
                for row in self.rows(window) {
                    for x in &mut plane[row..row + self.size[1]] {
                        *x += share;
                    }
                }
            }
        }
    }

    fn windows(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Where in the plane the rows of a window start.
    #[inline(always)]
    fn rows(&self, window: usize) -> impl Iterator<Item = usize> + use<> {
        let [_, width] = self.input;
        let (y, x) = (window / self.output[1], window % self.output[1]);
        let first = y * self.stride[0] * width + x * self.stride[1];
        (first..first + self.size[0] * width).step_by(width)
    }

    fn halves(&self) -> bool {
        self.size == [2, 2] && self.stride == [2, 2]
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
}

impl<T: Element> Kernel for MaxPool<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { geometry, input, output } = self;
        let width = geometry.output[1];
        if geometry.halves() && width >= T::Narrow::<S>::LEN {
            halve::<S, T::Narrow<S>>(simd, &geometry, input, output);
        } else if geometry.halves() && width >= T::Slim::<S>::LEN {
            halve::<S, T::Slim<S>>(simd, &geometry, input, output);
        } else {
            let planes = input.chunks_exact(geometry.input[0] * geometry.input[1]);
            for (plane, output) in planes.zip(output.chunks_exact_mut(geometry.windows())) {
                for (window, output) in output.iter_mut().enumerate() {
                    *output = plane[first_largest(&geometry, plane, window)];
                }
            }
        }
    }
}

/// The place in the plane of a window's first largest number, or of its last NaN.
#[inline(always)]
fn first_largest<T: Element>(geometry: &Pooling, plane: &[T], window: usize) -> usize {
    let mut best = usize::MAX;
    for row in geometry.rows(window) {
        for at in row..row + geometry.size[1] {
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

/// The larger of two numbers, the first of equal ones; NaN if one is.
#[inline(always)]
fn larger<S: Simd, V: SimdFloat<S>>(a: V, b: V) -> V {
    let larger = b.simd_gt(a).select(b, a);
    b.simd_ne(b).select(b, larger)
}

/// Windows of 2×2: a row of vectors of them at a time.
#[inline(always)]
fn halve<S: Simd, V: SimdFloat<S, Element: Element>>(
    simd: S,
    geometry: &Pooling,
    input: &[V::Element],
    output: &mut [V::Element],
) {
    let ([height, width], [rows, columns]) = (geometry.input, geometry.output);
    let planes = input.chunks_exact(height * width);
    for (plane, output) in planes.zip(output.chunks_exact_mut(rows * columns)) {
        for (y, output) in output.chunks_exact_mut(columns).enumerate() {
            let (top, bottom) = plane[2 * y * width..][..2 * width].split_at(width);
            let mut next = 0;
            while next < columns {
                // The last vector ends with the row and overlaps the one before.
                let x = next.min(columns - V::LEN);
                let left: V = larger(load(simd, top, 2 * x), load(simd, bottom, 2 * x));
                let right: V =
                    larger(load(simd, top, 2 * x + V::LEN), load(simd, bottom, 2 * x + V::LEN));
                let (even, odd) = left.deinterleave(right);
                store(larger(even, odd), output, x);
                next += V::LEN;
            }
        }
    }
}

/// See [`Pooling::max_gradient`].
pub struct MaxPoolGradient<'a, T> {
    geometry: Pooling,
    input: &'a [T],
    output_gradient: &'a [T],
    input_gradient: &'a mut [T],
}

impl<T: Element> Kernel for MaxPoolGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let width = self.geometry.output[1];
        if self.geometry.halves() && width >= T::Narrow::<S>::LEN {
            return halve_gradient::<S, T::Narrow<S>>(simd, self);
        }
        if self.geometry.halves() && width >= T::Slim::<S>::LEN {
            return halve_gradient::<S, T::Slim<S>>(simd, self);
        }
        let Self { geometry, input, output_gradient, input_gradient } = self;
        let len = geometry.input[0] * geometry.input[1];
        let planes = input.chunks_exact(len).zip(input_gradient.chunks_exact_mut(len));
        let gradients = output_gradient.chunks_exact(geometry.windows());
        for ((plane, gradient), output_gradient) in planes.zip(gradients) {
            gradient.fill(T::ZERO);
            for (window, &g) in output_gradient.iter().enumerate() {
                let place = first_largest(&geometry, plane, window);
                if !is_nan(plane[place]) {
                    gradient[place] += g;
                }
            }
        }
    }
}

#[inline(always)]
fn halve_gradient<S: Simd, V: SimdFloat<S, Element: Element>>(
    simd: S,
    operands: MaxPoolGradient<'_, V::Element>,
) {
    let MaxPoolGradient { geometry, input, output_gradient, input_gradient } = operands;
    let ([height, width], [rows, columns]) = (geometry.input, geometry.output);
    let planes = input.chunks_exact(height * width);
    let gradients = output_gradient.chunks_exact(rows * columns);
    let results = input_gradient.chunks_exact_mut(height * width);
    for ((plane, gradient), result) in planes.zip(gradients).zip(results) {
        result[2 * rows * width..].fill(V::Element::ZERO);
        for (y, gradient) in gradient.chunks_exact(columns).enumerate() {
            let (top, bottom) = plane[2 * y * width..][..2 * width].split_at(width);
            let (above, below) = result[2 * y * width..][..2 * width].split_at_mut(width);
            if 2 * columns < width {
                above[2 * columns..].fill(V::Element::ZERO);
                below[2 * columns..].fill(V::Element::ZERO);
            }
            let mut next = 0;
            while next < columns {
                let x = next.min(columns - V::LEN);
                let (left, right) = (2 * x, 2 * x + V::LEN);
                let (a, b) = pairs::<S, V>(simd, top, left);
                let (c, d) = pairs::<S, V>(simd, bottom, left);
                let y = larger(larger(a, c), larger(b, d));
                let zero = V::simd_from(simd, V::Element::ZERO);
                // What no earlier number of the window has taken.
                let rest: V = load(simd, gradient, x);
                let (to_a, rest) = take(a.simd_eq(y), rest, zero);
                let (to_b, rest) = take(b.simd_eq(y), rest, zero);
                let (to_c, rest) = take(c.simd_eq(y), rest, zero);
                let (to_d, _) = take(d.simd_eq(y), rest, zero);
                let ((a, b), (c, d)) = (to_a.interleave(to_b), to_c.interleave(to_d));
                store(a, above, left);
                store(b, above, right);
                store(c, below, left);
                store(d, below, right);
                next += V::LEN;
            }
        }
    }
}

/// The first and the second of each pair of numbers from `at` on.
#[inline(always)]
fn pairs<S: Simd, V: SimdFloat<S>>(simd: S, numbers: &[V::Element], at: usize) -> (V, V) {
    let (left, right): (V, V) = (load(simd, numbers, at), load(simd, numbers, at + V::LEN));
    left.deinterleave(right)
}

/// What is taken of the rest, and what is left of it.
#[inline(always)]
fn take<S: Simd, V: SimdFloat<S>>(mask: V::Mask, rest: V, zero: V) -> (V, V) {
    (mask.select(rest, zero), mask.select(zero, rest))
}
