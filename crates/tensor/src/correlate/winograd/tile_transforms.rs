//! The linear maps of Winograd's minimal filtering F(4 × 4, 3 × 3), and how tiles are moved into
//! vectors' lanes and back.
//!
//! In one dimension, the 4 outputs of a correlation with 3 weights `g` are `Aᵀ (G g ⊙ Bᵀ d)` for 6
//! inputs `d`, with 6 multiplications instead of 12. The maps evaluate polynomials at 0, ±√½, ±√2
//! and ∞: in a simulation, the customary 0, ±1, ±2, ∞ had four to six times the error, and
//! `½ · 2 = 1`, the product of their squares, saves multiplications. In two dimensions each map is applied to the columns and
//! then to the rows: 36 multiplications for 16 outputs instead of 144.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

use fearless_simd::{Simd, SimdFloat};

use crate::Element;
use crate::math::constant;
use crate::vector::{fused, load, store};

/// Outputs of a tile in each direction.
pub(crate) const OUTPUTS: usize = 4;
/// Inputs of a tile in each direction.
pub(crate) const INPUTS: usize = 6;
/// Numbers that a tile is transformed to.
pub(crate) const POINTS: usize = INPUTS * INPUTS;

/// `even + p · odd` at `p = ±√½`, with the numbers of `inner`, and at `p = ±√2`, with those of
/// `outer`, where `[even, odd]` are the sums of a polynomial's even and odd powers.
#[inline(always)]
fn at_points<S, V>(simd: S, inner: [V; 2], outer: [V; 2]) -> [V; 4]
where
    S: Simd,
    V: SimdFloat<S, Element: Element>,
{
    let c = |value| constant::<S, V>(simd, value);
    [
        fused(simd, inner[1], c(FRAC_1_SQRT_2), inner[0]),
        fused(simd, inner[1], c(-FRAC_1_SQRT_2), inner[0]),
        fused(simd, outer[1], c(SQRT_2), outer[0]),
        fused(simd, outer[1], c(-SQRT_2), outer[0]),
    ]
}

/// `G g`.
#[inline(always)]
pub(crate) fn transform_weights<S, V>(simd: S, [g0, g1, g2]: [V; 3]) -> [V; INPUTS]
where
    S: Simd,
    V: SimdFloat<S, Element: Element>,
{
    let c = |value| constant::<S, V>(simd, value);
    let inner = [fused(simd, g2, c(0.5), g0), g1];
    let outer = [fused(simd, g2, c(2.0), g0), g1];
    let [p1, p2, p3, p4] = at_points(simd, inner, outer);
    let (inner, outer) = (c(-2.0 / 3.0), c(1.0 / 6.0));
    [g0, p1 * inner, p2 * inner, p3 * outer, p4 * outer, g2]
}

/// `Bᵀ d`.
#[inline(always)]
pub(crate) fn transform_inputs<S, V>(simd: S, d: [V; INPUTS]) -> [V; INPUTS]
where
    S: Simd,
    V: SimdFloat<S, Element: Element>,
{
    let c = |value| constant::<S, V>(simd, value);
    let inner = [fused(simd, d[2], c(-2.0), d[4]), fused(simd, d[1], c(-2.0), d[3])];
    let outer = [fused(simd, d[2], c(-0.5), d[4]), fused(simd, d[1], c(-0.5), d[3])];
    let [p1, p2, p3, p4] = at_points(simd, inner, outer);
    let zero = fused(simd, d[2], c(-2.5), d[0] + d[4]);
    let infinity = fused(simd, d[3], c(-2.5), d[1] + d[5]);
    [zero, p1, p2, p3, p4, infinity]
}

/// `Aᵀ m`.
#[inline(always)]
pub(crate) fn transform_outputs<S, V>(simd: S, m: [V; INPUTS]) -> [V; OUTPUTS]
where
    S: Simd,
    V: SimdFloat<S, Element: Element>,
{
    let c = |value| constant::<S, V>(simd, value);
    let (even, odd) = (m[1] + m[2], m[1] - m[2]);
    let (outer_even, outer_odd) = (m[3] + m[4], m[3] - m[4]);
    [
        m[0] + even + outer_even,
        fused(simd, outer_odd, c(SQRT_2), odd * c(FRAC_1_SQRT_2)),
        fused(simd, outer_even, c(2.0), even * c(0.5)),
        fused(simd, outer_odd, c(2.0 * SQRT_2), fused(simd, odd, c(SQRT_2 / 4.0), m[5])),
    ]
}

/// `A e`, the adjoint of [`transform_outputs`].
#[inline(always)]
pub(crate) fn transform_output_gradients<S, V>(simd: S, e: [V; OUTPUTS]) -> [V; INPUTS]
where
    S: Simd,
    V: SimdFloat<S, Element: Element>,
{
    let c = |value| constant::<S, V>(simd, value);
    let inner = [fused(simd, e[2], c(0.5), e[0]), fused(simd, e[3], c(0.5), e[1])];
    let outer = [fused(simd, e[2], c(2.0), e[0]), fused(simd, e[3], c(2.0), e[1])];
    let [p1, p2, p3, p4] = at_points(simd, inner, outer);
    [e[0], p1, p2, p3, p4, e[3]]
}

/// `Gᵀ m`, the adjoint of [`transform_weights`].
#[inline(always)]
pub(crate) fn transform_weight_gradients<S, V>(simd: S, m: [V; INPUTS]) -> [V; 3]
where
    S: Simd,
    V: SimdFloat<S, Element: Element>,
{
    let c = |value| constant::<S, V>(simd, value);
    let (even, odd) = ((m[1] + m[2]) * c(-2.0 / 3.0), (m[1] - m[2]) * c(-2.0 / 3.0));
    let (outer_even, outer_odd) = ((m[3] + m[4]) * c(1.0 / 6.0), (m[3] - m[4]) * c(1.0 / 6.0));
    [
        m[0] + even + outer_even,
        odd * c(FRAC_1_SQRT_2) + outer_odd * c(SQRT_2),
        even * c(0.5) + outer_even * c(2.0) + m[5],
    ]
}

/// Applies a one-dimensional map to `IN` lines of a tile, and then across them; the first index of
/// the result runs along the lines.
#[inline(always)]
fn along_and_across<V: Copy, const IN: usize, const OUT: usize>(
    line: impl Fn(usize) -> [V; IN],
    map: impl Fn([V; IN]) -> [V; OUT],
) -> [[V; OUT]; OUT] {
    let mut half = [map(line(0)); IN];
    for i in 1..IN {
        half[i] = map(line(i));
    }
    let mut whole = [half[0]; OUT];
    for j in 0..OUT {
        let mut across = [half[0][j]; IN];
        for i in 1..IN {
            across[i] = half[i][j];
        }
        whole[j] = map(across);
    }
    whole
}

/// `G g Gᵀ` of some kernels, one in each lane: the points by rows and columns.
#[inline(always)]
pub(crate) fn weights<S, V>(simd: S, g: [V; 9]) -> [[V; INPUTS]; INPUTS]
where
    S: Simd,
    V: SimdFloat<S, Element: Element>,
{
    along_and_across(
        #[inline(always)]
        |x| [g[x], g[3 + x], g[6 + x]],
        #[inline(always)]
        |column| transform_weights(simd, column),
    )
}

/// `A e Aᵀ` for a tile of some kernels' output gradients, a kernel in each lane.
#[inline(always)]
pub(crate) fn output_gradients<S, V>(simd: S, e: [[V; OUTPUTS]; OUTPUTS]) -> [[V; INPUTS]; INPUTS]
where
    S: Simd,
    V: SimdFloat<S, Element: Element>,
{
    along_and_across(
        #[inline(always)]
        |x| [e[0][x], e[1][x], e[2][x], e[3][x]],
        #[inline(always)]
        |column| transform_output_gradients(simd, column),
    )
}

/// `Gᵀ m G` for some kernels, one in each lane: the weights by columns and rows.
#[inline(always)]
pub(crate) fn weight_gradients<S, V>(simd: S, m: [[V; INPUTS]; INPUTS]) -> [[V; 3]; 3]
where
    S: Simd,
    V: SimdFloat<S, Element: Element>,
{
    along_and_across(
        #[inline(always)]
        |y| m[y],
        #[inline(always)]
        |row| transform_weight_gradients(simd, row),
    )
}

/// Rows of numbers that lie `pitch` apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) pitch: usize,
    pub(crate) count: usize,
}

/// Transforms the columns of tiles. `strips` holds six input rows for each row of `across` tiles.
/// `lines` receives twice six lines of `pitch` numbers: the first six hold, tile row after tile
/// row, the `4 · across` columns that tiles start with; the other six hold the same from the fifth
/// column on.
#[inline(always)]
pub(crate) fn columns<S, V>(
    simd: S,
    (strips, rows): (&[V::Element], Rows),
    across: usize,
    (lines, pitch): (&mut [V::Element], usize),
) where
    S: Simd,
    V: SimdFloat<S, Element: Element>,
{
    simd.vectorize(
        #[inline(always)]
        || {
            let width = OUTPUTS * across;
            let zero: V = constant(simd, 0.0);
            for row in 0..rows.count {
                let strip = &strips[row * INPUTS * rows.pitch..][..INPUTS * rows.pitch];
                let mut before = [zero; INPUTS];
                let mut x = 0;
                // The vectors of a row may reach into the next one, which is written later.
                while x < width + V::LEN {
                    let mut d = [zero; INPUTS];
                    if x < width + OUTPUTS {
                        for i in 0..INPUTS {
                            d[i] = load(simd, strip, i * rows.pitch + x);
                        }
                        d = transform_inputs(simd, d);
                    }
                    for i in 0..INPUTS {
                        if x < width {
                            store(d[i], lines, i * pitch + row * width + x);
                        }
                        if x > 0 {
                            let at = (INPUTS + i) * pitch + row * width + x - V::LEN;
                            store(before[i].slide::<OUTPUTS>(d[i]), lines, at);
                        }
                    }
                    before = d;
                    x += V::LEN;
                }
            }
        },
    );
}

/// Transforms the rows of `tiles` tiles, a tile in each lane, and writes point `p` of tile
/// `t` to `points[p · stride + t]`.
#[inline(always)]
pub(crate) fn rows<S, V>(
    simd: S,
    (lines, pitch): (&[V::Element], usize),
    tiles: usize,
    (points, stride): (&mut [V::Element], usize),
) where
    S: Simd,
    V: SimdFloat<S, Element: Element>,
{
    simd.vectorize(
        #[inline(always)]
        || {
            for tile in (0..tiles).step_by(V::LEN) {
                for i in 0..INPUTS {
                    let [d0, d1, d2, d3] = deal::<S, V>(simd, lines, i * pitch + OUTPUTS * tile);
                    let [d4, d5, ..] =
                        deal::<S, V>(simd, lines, (INPUTS + i) * pitch + OUTPUTS * tile);
                    let row = transform_inputs(simd, [d0, d1, d2, d3, d4, d5]);
                    for j in 0..INPUTS {
                        store(row[j], points, (i * INPUTS + j) * stride + tile);
                    }
                }
            }
        },
    );
}

/// Transforms the sums of `tiles` tiles at the points back to outputs, as four lines of `pitch`
/// numbers with the tiles' rows side by side.
#[inline(always)]
pub(crate) fn outputs<S, V>(
    simd: S,
    (points, stride): (&[V::Element], usize),
    tiles: usize,
    (lines, pitch): (&mut [V::Element], usize),
) where
    S: Simd,
    V: SimdFloat<S, Element: Element>,
{
    simd.vectorize(
        #[inline(always)]
        || {
            let zero: V = constant(simd, 0.0);
            for tile in (0..tiles).step_by(V::LEN) {
                let columns = along_and_across(
                    #[inline(always)]
                    |i| {
                        let mut m = [zero; INPUTS];
                        for j in 0..INPUTS {
                            m[j] = load(simd, points, (i * INPUTS + j) * stride + tile);
                        }
                        m
                    },
                    #[inline(always)]
                    |m| transform_outputs(simd, m),
                );
                for y in 0..OUTPUTS {
                    let [c0, c1, c2, c3] = columns;
                    let at = y * pitch + OUTPUTS * tile;
                    collect([c0[y], c1[y], c2[y], c3[y]], lines, at);
                }
            }
        },
    );
}

/// Deinterleaves `4 · LEN` numbers: every fourth from the first, second, third and fourth on.
#[inline(always)]
fn deal<S: Simd, V: SimdFloat<S>>(simd: S, numbers: &[V::Element], at: usize) -> [V; 4] {
    let numbers = &numbers[at..at + 4 * V::LEN];
    let quarter = |index| load::<S, V>(simd, numbers, index * V::LEN);
    let (even_low, odd_low) = quarter(0).deinterleave(quarter(1));
    let (even_high, odd_high) = quarter(2).deinterleave(quarter(3));
    let (d0, d2) = even_low.deinterleave(even_high);
    let (d1, d3) = odd_low.deinterleave(odd_high);
    [d0, d1, d2, d3]
}

/// The inverse of [`deal`].
#[inline(always)]
fn collect<S: Simd, V: SimdFloat<S>>(d: [V; 4], numbers: &mut [V::Element], at: usize) {
    let numbers = &mut numbers[at..at + 4 * V::LEN];
    let (even_low, even_high) = d[0].interleave(d[2]);
    let (odd_low, odd_high) = d[1].interleave(d[3]);
    let (first, second) = even_low.interleave(odd_low);
    let (third, fourth) = even_high.interleave(odd_high);
    store(first, numbers, 0);
    store(second, numbers, V::LEN);
    store(third, numbers, 2 * V::LEN);
    store(fourth, numbers, 3 * V::LEN);
}
