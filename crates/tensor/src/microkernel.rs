//! The two inner loops in which nearly all time is spent.
//!
//! **Broadcast product.** `out[m][p] = Σ_r weight[m][r] · input[tap_r + p]`: a few output rows by a
//! few vectors of neighbouring positions are held in registers while `r` runs over all taps; each
//! step loads the input's vectors once and multiplies them by one broadcast weight for each row.
//! The forward pass of a correlation, the gradient of its input and two of the three matrix
//! products are this loop with different taps.
//!
//! **Dot products.** `out[m][q] = Σ_p a[row_m + p] · input[tap_q + p]`: here the sums over
//! positions are held in registers, as the gradient of the kernels needs them, with one vector of
//! partial sums for each pair. (The remaining matrix product has loops of its own:
//! [`crate::dots`].)
//!
//! Both are safe code over [`fearless_simd`] vectors. What looks unusual keeps it fast: arrays of
//! constant size become registers, and loops over them use indices, since a closure would not be
//! compiled for the vector level.
//! keep it fast: arrays with constant sizes become registers, loops over them are
//! written with indices since a closure would not be compiled for the vector level.

use fearless_simd::{Simd, SimdFrom};

use crate::Element;
use crate::packing::block;
use crate::simd::SimdRegisters;
use crate::vector::{Halves, Lanes, Whole, fused, groups_of_views};

/// The positions of an output plane at which vectors start.
///
/// There are `rows` rows of `len` positions; row `y` starts at `y · input_pitch` in the input and
/// at `y · output_pitch` in the output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) rows: usize,
    pub(crate) len: usize,
    pub(crate) input_pitch: usize,
    pub(crate) output_pitch: usize,
}

impl Grid {
    /// One row of `len` positions.
    pub(crate) fn line(len: usize) -> Self {
        Self { rows: 1, len, input_pitch: 0, output_pitch: 0 }
    }
}

/// Iterates over the vectors of a [`Grid`] row by row.
///
/// The last vector of a row ends with the row and overlaps the one before: its lanes are computed
/// twice and stored twice, with the same values.
#[derive(Clone, Copy)]
struct Walk {
    grid: Grid,
    lanes: usize,
    per_row: usize,
    vector: usize,
    row: usize,
}

impl Walk {
    #[inline(always)]
    fn new(grid: Grid, lanes: usize) -> Self {
        Self { grid, lanes, per_row: grid.len.div_ceil(lanes), vector: 0, row: 0 }
    }

    /// How many vectors the grid has.
    #[inline(always)]
    fn count(&self) -> usize {
        self.per_row * self.grid.rows
    }

    /// The start of the next vector in the input and in the output; after the last vector it stays
    /// the same.
    #[inline(always)]
    fn next(&mut self) -> (usize, usize) {
        let x = (self.vector * self.lanes).min(self.grid.len - self.lanes);
        let input = self.row * self.grid.input_pitch + x;
        let output = self.row * self.grid.output_pitch + x;
        self.vector += 1;
        if self.vector == self.per_row {
            if self.row + 1 < self.grid.rows {
                self.vector = 0;
                self.row += 1;
            } else {
                self.vector = self.per_row - 1;
            }
        }
        (input, output)
    }
}

/// What is added to a sum when it leaves the registers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Offset<'a, T> {
    /// Nothing.
    None,
    /// `offset[m]`.
    Row(&'a [T]),
    /// `offset[m · stride + position]`, `stride` being the output's.
    Plane(&'a [T]),
}

/// The operands of a broadcast product.
pub(crate) struct Product<'a, T> {
    /// The number of output rows.
    pub(crate) rows: usize,
    /// Weights packed by [`pack`](crate::packing::pack).
    pub(crate) packed: &'a [T],
    pub(crate) input: &'a [T],
    /// The offsets of the inputs that the weights of a row are multiplied with, relative to a
    /// position.
    pub(crate) taps: &'a [usize],
    /// Which weights of the packed rows these taps belong to: the index of the first, and the
    /// number of weights in a row.
    pub(crate) packed_taps: [usize; 2],
    pub(crate) grid: Grid,
    /// The distance between neighbouring output rows.
    pub(crate) output_stride: usize,
    /// Whether the sums continue from the output, which holds those of earlier taps; then no two
    /// vectors of the grid may overlap.
    pub(crate) continues: bool,
    pub(crate) offset: Offset<'a, T>,
}

/// Vectors of positions that pass through all blocks of rows before the next ones, so that all
/// blocks but the first read the inputs of a large product from the caches. A multiple of most
/// tiles' widths.
const PANEL: usize = 48;

/// `output[m][p] = Σ_r weight[m][r] · input[taps[r] + p]`, each sum in the taps' order.
///
/// A piece of `L` must not have more lanes than `grid.len`.
#[inline(always)]
pub(crate) fn multiply<S: Simd, T: Element, L: Lanes<S, T>>(
    simd: S,
    product: &Product<'_, T>,
    output: &mut [T],
) {
    let [start, taps] = product.packed_taps;
    let mut walk = Walk::new(product.grid, L::LEN);
    // With an odd number of pieces, the last vector has the same piece twice.
    let mut left = walk.count().div_ceil(L::PIECES);
    while left > 0 {
        let one_block = block(simd, product.rows) >= product.rows;
        let count = if one_block { left } else { left.min(PANEL) };
        left -= count;
        let (mut first, mut at) = (0, 0);
        let panel = walk;
        while first < product.rows {
            let size = block(simd, product.rows - first);
            let weights = &product.packed[at..at + size * taps];
            let weights = &weights[size * start..][..size * product.taps.len()];
            let block = RowBlock { product, weights, first, count };
            walk = if S::LARGE && const { L::PIECES == 2 } {
                // A half costs a load: with fewer of them, fewer are left over.
                match size {
                    1 => block.run::<S, L, 1, 8>(simd, panel, output),
                    2 => block.run::<S, L, 2, 4>(simd, panel, output),
                    4 => block.run::<S, L, 4, 3>(simd, panel, output),
                    6 => block.run::<S, L, 6, 2>(simd, panel, output),
                    _ => block.run::<S, L, 8, 2>(simd, panel, output),
                }
            } else if S::LARGE {
                match size {
                    1 => block.run::<S, L, 1, 8>(simd, panel, output),
                    2 => block.run::<S, L, 2, 8>(simd, panel, output),
                    4 => block.run::<S, L, 4, 5>(simd, panel, output),
                    6 => block.run::<S, L, 6, 4>(simd, panel, output),
                    _ => block.run::<S, L, 8, 2>(simd, panel, output),
                }
            } else if S::MEDIUM {
                match size {
                    1 => block.run::<S, L, 1, 6>(simd, panel, output),
                    2 => block.run::<S, L, 2, 5>(simd, panel, output),
                    _ => block.run::<S, L, 4, 3>(simd, panel, output),
                }
            } else {
                block.run::<S, L, 2, 1>(simd, panel, output)
            };
            first += size;
            at += size * taps;
        }
    }
}

/// [`multiply`] with pieces of 256 bits, two to a vector if there are registers of 512 bits.
#[inline(always)]
pub(crate) fn multiply_narrow<S: Simd, T: Element>(
    simd: S,
    product: &Product<'_, T>,
    output: &mut [T],
) {
    if S::LARGE {
        multiply::<S, T, Halves<T>>(simd, product, output);
    } else {
        multiply::<S, T, Whole<T::Narrow<S>>>(simd, product, output);
    }
}

/// One block of rows of a [`Product`] at some of its positions.
struct RowBlock<'a, T> {
    product: &'a Product<'a, T>,
    weights: &'a [T],
    first: usize,
    count: usize,
}

impl<T: Element> RowBlock<'_, T> {
    /// Computes `M` rows by `P` vectors of positions at a time; returns the walk at its end.
    ///
    /// Compiled as a separate function, which all callers share.
    #[inline(always)]
    fn run<S: Simd, L: Lanes<S, T>, const M: usize, const P: usize>(
        &self,
        simd: S,
        mut walk: Walk,
        output: &mut [T],
    ) -> Walk {
        simd.vectorize(
            #[inline(always)]
            || {
                let Self { product, first, .. } = *self;
                let (weights, _) = self.weights.as_chunks::<M>();
                let mut left = self.count;
                while left >= P {
                    next_tile::<S, T, L, M, P>(simd, product, weights, first, &mut walk, output);
                    left -= P;
                }
                while left > 0 {
                    next_tile::<S, T, L, M, 1>(simd, product, weights, first, &mut walk, output);
                    left -= 1;
                }
                walk
            },
        )
    }
}

/// The next `P` vectors of the walk, computed and stored.
#[inline(always)]
fn next_tile<S: Simd, T: Element, L: Lanes<S, T>, const M: usize, const P: usize>(
    simd: S,
    product: &Product<'_, T>,
    weights: &[[T; M]],
    first: usize,
    walk: &mut Walk,
    output: &mut [T],
) {
    let mut inputs = [[0; 2]; P];
    let mut outputs = [[0; 2]; P];
    for p in 0..P {
        let (input, output) = walk.next();
        (inputs[p], outputs[p]) = ([input; 2], [output; 2]);
        if L::PIECES == 2 {
            (inputs[p][1], outputs[p][1]) = walk.next();
        }
    }
    let used = M.min(product.rows - first);
    // If the rows have the same length, one bounds check serves all of them.
    let mut len = 0;
    for p in 0..P {
        len = len.max(outputs[p][0].max(outputs[p][1]) + L::LEN);
    }
    let mut sums = [[L::Vector::simd_from(simd, T::ZERO); P]; M];
    if product.continues {
        for m in 0..M {
            if m < used {
                let row = &output[(first + m) * product.output_stride..][..len];
                for p in 0..P {
                    let [low, high] = outputs[p];
                    sums[m][p] = L::load(simd, [&row[low..], &row[high..]], 0);
                }
            }
        }
    }
    let mut sums = tile::<S, T, L, M, P>(simd, product.input, inputs, product.taps, weights, sums);
    match product.offset {
        Offset::None => {}
        Offset::Row(offset) => {
            for m in 0..M {
                if m < used {
                    let offset = L::Vector::simd_from(simd, offset[first + m]);
                    for p in 0..P {
                        sums[m][p] += offset;
                    }
                }
            }
        }
        Offset::Plane(offset) => {
            for m in 0..M {
                if m < used {
                    let offset = &offset[(first + m) * product.output_stride..][..len];
                    for p in 0..P {
                        let [low, high] = outputs[p];
                        sums[m][p] += L::load(simd, [&offset[low..], &offset[high..]], 0);
                    }
                }
            }
        }
    }
    for m in 0..M {
        if m < used {
            let row = &mut output[(first + m) * product.output_stride..][..len];
            for p in 0..P {
                L::store(sums[m][p], row, outputs[p]);
            }
        }
    }
}

#[inline(always)]
fn tile<S: Simd, T: Element, L: Lanes<S, T>, const M: usize, const P: usize>(
    simd: S,
    input: &[T],
    starts: [[usize; 2]; P],
    taps: &[usize],
    weights: &[[T; M]],
    mut sums: [[L::Vector; P]; M],
) -> [[L::Vector; P]; M] {
    let zero = L::Vector::simd_from(simd, T::ZERO);
    let views = groups_of_views(input, starts);
    for (&tap, weights) in taps.iter().zip(weights) {
        let mut x = [zero; P];
        for p in 0..P {
            x[p] = L::load(simd, views[p], tap);
        }
        for m in 0..M {
            let weight = L::Vector::simd_from(simd, weights[m]);
            for p in 0..P {
                sums[m][p] = fused(simd, x[p], weight, sums[m][p]);
            }
        }
    }
    sums
}

/// The rows of one operand of [`dots`]: row `i` of view `v` starts at `starts[v] + i · pitch`, in
/// pieces as in [`Lanes`].
#[derive(Clone, Copy)]
pub(crate) struct Views<'a, T, const N: usize> {
    pub(crate) numbers: &'a [T],
    pub(crate) starts: [[usize; 2]; N],
    pub(crate) pitch: usize,
}

/// `sums[m][q]` plus the dot products, lane by lane, of the pieces of view `m` of `a` and view `q`
/// of `b`, both of `rows` rows of `len` numbers.
///
/// Lane `i` adds the positions `i`, `i + LEN`, `i + 2·LEN`, … of each row, row by row; last, again
/// row by row, the numbers after the whole vectors. A pitch is at least `len`.
#[inline(always)]
pub(crate) fn dots<S: Simd, T: Element, L: Lanes<S, T>, const M: usize, const Q: usize>(
    simd: S,
    mut sums: [[L::Vector; Q]; M],
    a: Views<'_, T, M>,
    b: Views<'_, T, Q>,
    [rows, len]: [usize; 2],
) -> [[L::Vector; Q]; M] {
    let zero = L::Vector::simd_from(simd, T::ZERO);
    let a_views = groups_of_views(a.numbers, a.starts);
    let b_views = groups_of_views(b.numbers, b.starts);
    let whole = len / L::LEN * L::LEN;
    // One loop over the whole vectors of all rows: a row may be as short as one vector.
    let (mut a_at, mut b_at, mut left) = (0, 0, whole);
    for _ in 0..rows * (whole / L::LEN) {
        let mut x = [zero; Q];
        for q in 0..Q {
            x[q] = L::load(simd, b_views[q], b_at);
        }
        for m in 0..M {
            let factor = L::load(simd, a_views[m], a_at);
            for q in 0..Q {
                sums[m][q] = fused(simd, x[q], factor, sums[m][q]);
            }
        }
        a_at += L::LEN;
        b_at += L::LEN;
        left -= L::LEN;
        if left == 0 {
            a_at += a.pitch - whole;
            b_at += b.pitch - whole;
            left = whole;
        }
    }
    if whole < len {
        for row in 0..rows {
            let (a_at, b_at) = (row * a.pitch + whole, row * b.pitch + whole);
            let mut x = [zero; Q];
            for q in 0..Q {
                x[q] = L::load_partial(simd, b_views[q], b_at, len - whole);
            }
            for m in 0..M {
                let factor = L::load_partial(simd, a_views[m], a_at, len - whole);
                for q in 0..Q {
                    sums[m][q] = fused(simd, x[q], factor, sums[m][q]);
                }
            }
        }
    }
    sums
}
