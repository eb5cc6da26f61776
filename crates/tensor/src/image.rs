//! Images of bytes as numbers from 0 to 1.
//!
//! The arithmetic is that of `f32` for both elements, so both get the same images.
//!
//! # Panics
//! Every function panics if lengths do not match.

use fearless_simd::Simd;

use crate::Element;
use crate::element::kernels::per_element;
use crate::simd::{Kernel, dispatch};

/// `numbers = bytes / 255`, divided in `f32` whatever the element.
#[track_caller]
pub fn u8_to_unit<T: Element>(bytes: &[u8], numbers: &mut [T]) {
    assert_eq!(bytes.len(), numbers.len(), "u8_to_unit: length");
    ToUnit { bytes, numbers }.launch();
}

/// The brightness of `plane (H, W)` at positions `(y, x)` between its pixels, from 0 to 1: bilinear
/// interpolation of the four nearest pixels, 0 outside the plane. The two slices of `grid` hold `y`
/// and `x` of the positions.
/// position, weighted by nearness. Outside the plane it is 0.
#[track_caller]
pub fn grid_sample<T: Element>(
    plane: &[u8],
    size: [usize; 2],
    grid: [&[f32]; 2],
    numbers: &mut [T],
) {
    let fits = plane.len() == size[0] * size[1] && grid.iter().all(|g| g.len() == numbers.len());
    assert!(fits, "grid_sample: {} bytes of {size:?}, {} numbers", plane.len(), numbers.len());
    GridSample { plane, size, grid, numbers }.launch();
}

/// Four neighbouring nodes on a line, and their weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spline {
    /// The first of the nodes.
    pub first: usize,
    /// The weight of each node.
    pub weights: [f32; 4],
}

/// Where some pixels of row `y` of a deformed image lie in the original one: `matrix (y, x, 1)` for
/// the pixel in column `x`, from `first` on. If there are `splines`, one for each pixel, the
/// weighted sum of the `nodes`' displacements is added.
#[track_caller]
pub fn affine_grid(
    matrix: &[[f32; 3]; 2],
    [y, first]: [usize; 2],
    (nodes, splines): (&[[f32; 2]], &[Spline]),
    grid: [&mut [f32]; 2],
) {
    let [ys, xs] = grid.each_ref().map(|grid| grid.len());
    let fits = ys == xs && (splines.is_empty() || splines.len() == ys);
    assert!(fits, "affine_grid: {ys} along y, {xs} along x, {} splines", splines.len());
    dispatch(AffineGrid { matrix, start: [y, first], nodes, splines, grid });
}

struct AffineGrid<'a> {
    matrix: &'a [[f32; 3]; 2],
    start: [usize; 2],
    nodes: &'a [[f32; 2]],
    splines: &'a [Spline],
    grid: [&'a mut [f32]; 2],
}

impl Kernel for AffineGrid<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { matrix, start: [y, first], nodes, splines, grid: [ys, xs] } = self;
        for (positions, [by_y, by_x, start]) in [&mut *ys, &mut *xs].into_iter().zip(matrix) {
            let by_y = by_y * y as f32;
            for (index, position) in positions.iter_mut().enumerate() {
                *position = by_y + by_x * (first + index) as f32 + start;
            }
        }
        for ((y, x), Spline { first, weights: [w0, w1, w2, w3] }) in
            ys.iter_mut().zip(xs).zip(splines)
        {
            let &[n0, n1, n2, n3] = &nodes[*first..first + 4] else { continue };
            *y = *y + w0 * n0[0] + w1 * n1[0] + w2 * n2[0] + w3 * n3[0];
            *x = *x + w0 * n0[1] + w1 * n1[1] + w2 * n2[1] + w3 * n3[1];
        }
    }
}

/// See [`u8_to_unit`].
struct ToUnit<'a, T> {
    bytes: &'a [u8],
    numbers: &'a mut [T],
}

per_element!(ToUnit);

impl<T: Element> Kernel for ToUnit<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (number, &byte) in self.numbers.iter_mut().zip(self.bytes) {
            *number = T::from_f64(f64::from(f32::from(byte) / 255.0));
        }
    }
}

/// See [`grid_sample`].
struct GridSample<'a, T> {
    plane: &'a [u8],
    size: [usize; 2],
    grid: [&'a [f32]; 2],
    numbers: &'a mut [T],
}

/// How many positions are computed together: the compiler turns arrays of this size into vectors.
const TOGETHER: usize = 16;

per_element!(GridSample);

impl<T: Element> Kernel for GridSample<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { plane, size, grid: [ys, xs], numbers } = self;
        let grid = ys.chunks(TOGETHER).zip(xs.chunks(TOGETHER));
        for (numbers, (ys, xs)) in numbers.chunks_mut(TOGETHER).zip(grid) {
            let mut grid = [[0.0; TOGETHER]; 2];
            grid[0][..ys.len()].copy_from_slice(ys);
            grid[1][..xs.len()].copy_from_slice(xs);
            let brightness = between(plane, size, grid);
            for (number, &brightness) in numbers.iter_mut().zip(&brightness) {
                *number = T::from_f64(f64::from(brightness));
            }
        }
    }
}

#[inline(always)]
fn between(
    plane: &[u8],
    [height, width]: [usize; 2],
    [ys, xs]: [[f32; TOGETHER]; 2],
) -> [f32; TOGETHER] {
    let (mut starts, mut shares) = ([[0_i32; TOGETHER]; 2], [[0.0; TOGETHER]; 2]);
    for (axis, (positions, side)) in [(ys, height), (xs, width)].into_iter().enumerate() {
        let side = side as f32;
        for i in 0..TOGETHER {
            // One pixel outside and beyond, everything is 0; so the integer part is never negative.
            let position = if positions[i] > -1.0 { positions[i] } else { -1.0 };
            let position = (if position < side { position } else { side }) + 1.0;
            starts[axis][i] = position as i32;
            shares[axis][i] = position - starts[axis][i] as f32;
        }
    }
    let mut corners = [[0_u8; TOGETHER]; 4];
    for i in 0..TOGETHER {
        // Counted from one pixel outside.
        let [y, x] = [starts[0][i] as usize, starts[1][i] as usize];
        let inside = y >= 1 && y < height && x >= 1 && x < width;
        let pixels = if inside {
            let rows = &plane[(y - 1) * width + (x - 1)..][..width + 2];
            [rows[0], rows[1], rows[width], rows[width + 1]]
        } else {
            let pixel = |y: usize, x: usize| {
                let is_one = y >= 1 && y <= height && x >= 1 && x <= width;
                if is_one { plane[(y - 1) * width + (x - 1)] } else { 0 }
            };
            [pixel(y, x), pixel(y, x + 1), pixel(y + 1, x), pixel(y + 1, x + 1)]
        };
        for corner in 0..4 {
            corners[corner][i] = pixels[corner];
        }
    }
    let mut brightness = [0.0; TOGETHER];
    for i in 0..TOGETHER {
        let [dy, dx] = [shares[0][i], shares[1][i]];
        let corner = |index: usize| f32::from(corners[index][i]);
        let upper = (1.0 - dx) * corner(0) + dx * corner(1);
        let lower = (1.0 - dx) * corner(2) + dx * corner(3);
        brightness[i] = ((1.0 - dy) * upper + dy * lower) / 255.0;
    }
    brightness
}
