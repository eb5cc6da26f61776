//! Dot products of rows with rows: a dense layer's forward pass.
//!
//! **One order for one sample and for many.** Lane `l` of 16 (of 8 for `f64`) adds the products at
//! `l`, `l + 16`, `l + 32`, … one after another, the rows padded with zeros; then the lanes are
//! added by halves, lane `l` and lane `l + 8`, and so on ([`crate::reference::dot`]). Tiles, blocks
//! and registers change which numbers are in the caches, never the order.
//!
//! **One row** is limited by reading `B`: some of its rows are processed side by side, each read
//! once, in whole vectors of lanes.
//!
//! **Many rows** share what is read. A tile is a few rows of `A` by a few of `B`, with their sums
//! in registers. With 16 registers of 256 bits, a tile has half of the lanes of 12 sums instead of
//! all lanes of 4; the other half of the lanes follows over the same numbers. Long rows are divided
//! into blocks that fit the first-level cache. Blocks of `B` are copied, since rows that are not
//! aligned to cache lines, or are a power of two apart, are slow to read repeatedly. Between
//! blocks, the lanes of all sums are kept in memory.

use fearless_simd::{Simd, SimdBase, SimdFloat};

use crate::Element;
use crate::element::kernels::per_element;
use crate::simd::{Kernel, SimdRegisters};
use crate::threads::{self, Divide};
use crate::vector::{fused, load, store, sum_lanes, sums_of_four};

/// `c[n][o] = Σ_i a[n][i] · b[o][i] (+ bias[o])`.
pub struct Dots<'a, T> {
    pub(crate) a: &'a [T],
    pub(crate) b: &'a [T],
    pub(crate) bias: Option<&'a [T]>,
    pub(crate) c: &'a mut [T],
    pub(crate) n: usize,
    pub(crate) i: usize,
    pub(crate) o: usize,
}

impl<T: Element> Divide for Dots<'_, T> {
    /// By rows of `C`; by columns if there is one row, since only then columns are contiguous.
    fn divide(self, left: usize, parts: usize) -> Result<(Self, Self), Self> {
        let Self { n, i, o, .. } = self;
        if n > 1 {
            let Some(cut) = threads::cut(n, left, parts, 1) else { return Err(self) };
            let (a, c) = (self.a.split_at(cut * i), self.c.split_at_mut(cut * o));
            let part = |a, c, n| Dots { a, b: self.b, bias: self.bias, c, n, i, o };
            return Ok((part(a.0, c.0, cut), part(a.1, c.1, n - cut)));
        }
        let Some(cut) = threads::cut(o, left, parts, 4) else { return Err(self) };
        let (b, c) = (self.b.split_at(cut * i), self.c.split_at_mut(cut));
        let bias = self.bias.map(|bias| bias.split_at(cut));
        let part = |b, bias, c, o| Dots { a: self.a, b, bias, c, n, i, o };
        Ok((
            part(b.0, bias.map(|bias| bias.0), c.0, cut),
            part(b.1, bias.map(|bias| bias.1), c.1, o - cut),
        ))
    }
}

per_element!(Dots);

impl<T: Element> Kernel for Dots<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        if S::LARGE {
            self.walk::<S, T::Wide<S>, 6, 4, 4>(simd);
        } else if S::MEDIUM && self.n == 1 {
            self.walk::<S, T::Wide<S>, 4, 1, 1>(simd);
        } else if S::MEDIUM {
            self.walk::<S, T::Narrow<S>, 4, 1, 3>(simd);
        } else {
            self.walk::<S, T::Wide<S>, 1, 1, 1>(simd);
        }
    }
}

/// The most lanes of a sum.
const LANES: usize = 16;

/// The most rows of `B` in a tile.
const MOST_COLUMNS: usize = 6;

/// Rows of `A` that use the same copy of rows of `B`. A multiple of the tiles' rows; this many rows
/// of 4056 numbers about fill a second-level cache.
const ROWS: usize = 36;

/// From this many rows of `A` on, copying those of `B` pays.
const WORTH_A_COPY: usize = 6;

/// The most numbers of a row in a block. Six rows of `B`, and the rows of `A` in a tile, then fit
/// 32 KiB.
const BLOCK: usize = 768;

/// The distance between neighbouring rows of a copy: not a power of two.
const PITCH: usize = BLOCK + LANES;

/// Memory for rows that have several blocks.
#[repr(align(64))]
struct BlockBuffers<T> {
    copy: [T; MOST_COLUMNS * PITCH],
    waiting: [[T; LANES]; ROWS * MOST_COLUMNS],
}

impl<T: Element> BlockBuffers<T> {
    fn new() -> Self {
        let copy = [T::ZERO; MOST_COLUMNS * PITCH];
        Self { copy, waiting: [[T::ZERO; LANES]; ROWS * MOST_COLUMNS] }
    }
}

/// Some rows of `A`.
struct Rows<'a, T> {
    first: usize,
    /// The numbers of each row after its whole vectors, padded with zeros.
    rests: &'a [[T; LANES]],
}

/// A block of some rows of `B`.
struct Block<'a, T, const M: usize> {
    numbers: [&'a [T]; M],
    /// Whether it is the first block of the sums.
    begins: bool,
    /// If it is the last block of the sums, the numbers after the whole vectors.
    end: Option<End<'a, T, M>>,
}

struct End<'a, T, const M: usize> {
    rests: Option<&'a [[T; LANES]; M]>,
    bias: [T; M],
}

impl<T: Element> Dots<'_, T> {
    /// In tiles of `M`, `M2` or one row of `B` by `Q` rows or one of `A`, with lanes in vectors
    /// `V`.
    #[inline(always)]
    fn walk<S: Simd, V, const M: usize, const M2: usize, const Q: usize>(&mut self, simd: S)
    where
        V: SimdFloat<S, Element = T>,
    {
        let in_blocks = self.whole::<S>() > BLOCK && self.n > 1;
        let mut buffers = in_blocks.then(BlockBuffers::new);
        let mut rests = [[T::ZERO; LANES]; ROWS];
        let mut first = 0;
        while first < self.n {
            let count = ROWS.min(self.n - first);
            self.copy_rests::<S>(self.a, first, &mut rests[..count]);
            let rows = Rows { first, rests: &rests[..count] };
            let mut column = 0;
            while column < self.o {
                let buffers = buffers.as_mut();
                column += match width([M, M2], self.o - column) {
                    m if m == M => self.columns::<S, V, M, Q>(simd, &rows, column, buffers),
                    m if m == M2 => self.columns::<S, V, M2, Q>(simd, &rows, column, buffers),
                    _ => self.columns::<S, V, 1, Q>(simd, &rows, column, buffers),
                };
            }
            first += count;
        }
    }

    /// How many numbers of a row are in whole vectors.
    #[inline(always)]
    fn whole<S: Simd>(&self) -> usize {
        self.i / T::Wide::<S>::LEN * T::Wide::<S>::LEN
    }

    /// Copies the numbers after the whole vectors of rows of `numbers` from `first` on.
    #[inline(always)]
    fn copy_rests<S: Simd>(&self, numbers: &[T], first: usize, rests: &mut [[T; LANES]]) {
        let (whole, i) = (self.whole::<S>(), self.i);
        if whole < i {
            for (row, rest) in rests.iter_mut().enumerate() {
                let row = &numbers[(first + row) * i..][..i];
                rest[..i - whole].copy_from_slice(&row[whole..]);
            }
        }
    }

    /// `M` columns of `C` from `column` on, block by block.
    #[inline(always)]
    fn columns<S: Simd, V, const M: usize, const Q: usize>(
        &mut self,
        simd: S,
        rows: &Rows<'_, T>,
        column: usize,
        mut buffers: Option<&mut BlockBuffers<T>>,
    ) -> usize
    where
        V: SimdFloat<S, Element = T>,
    {
        let (whole, i) = (self.whole::<S>(), self.i);
        let mut rests = [[T::ZERO; LANES]; M];
        self.copy_rests::<S>(self.b, column, &mut rests);
        let mut bias = [T::ZERO; M];
        if let Some(all) = self.bias {
            bias.copy_from_slice(&all[column..column + M]);
        }
        let size = match buffers {
            Some(_) => whole.div_ceil(whole.div_ceil(BLOCK)).next_multiple_of(LANES),
            None => whole,
        };
        let mut start = 0;
        loop {
            let len = size.min(whole - start);
            let mut numbers = [self.b; M];
            for m in 0..M {
                numbers[m] = &self.b[(column + m) * i + start..][..len];
            }
            let mut waiting = &mut [][..];
            if let Some(buffers) = &mut buffers {
                waiting = &mut buffers.waiting;
                if rows.rests.len() >= WORTH_A_COPY {
                    for m in 0..M {
                        buffers.copy[m * PITCH..][..len].copy_from_slice(numbers[m]);
                    }
                    for m in 0..M {
                        numbers[m] = &buffers.copy[m * PITCH..][..len];
                    }
                }
            }
            let is_last = start + len == whole;
            let end = End { rests: (whole < i).then_some(&rests), bias };
            let block = Block { numbers, begins: start == 0, end: is_last.then_some(end) };
            self.rows::<S, V, M, Q>(simd, rows, [column, start], &block, waiting);
            if is_last {
                return M;
            }
            start += len;
        }
    }

    /// All rows with one block of `B`, which starts at this offset of its rows.
    #[inline(always)]
    fn rows<S: Simd, V, const M: usize, const Q: usize>(
        &mut self,
        simd: S,
        rows: &Rows<'_, T>,
        [column, start]: [usize; 2],
        block: &Block<'_, T, M>,
        waiting: &mut [[T; LANES]],
    ) where
        V: SimdFloat<S, Element = T>,
    {
        let Self { a, i, o, .. } = *self;
        let (count, mut row) = (rows.rests.len(), 0);
        while row < count {
            let numbers = &a[(rows.first + row) * i + start..];
            let sums = waiting.get_mut(row * M..).unwrap_or_default();
            let c = &mut self.c[(rows.first + row) * o + column..];
            let a = (numbers, i, &rows.rests[row..]);
            if count - row >= Q {
                tile::<S, T, V, M, Q>(simd, block, a, sums, (c, o));
                row += Q;
            } else {
                tile::<S, T, V, M, 1>(simd, block, a, sums, (c, o));
                row += 1;
            }
        }
    }
}

/// How many rows of `B` the next tiles have, of `rest` that are left; single rows are avoided where
/// possible.
#[inline(always)]
fn width([most, fewer]: [usize; 2], rest: usize) -> usize {
    if rest >= most && rest != 2 * fewer {
        most
    } else if rest >= fewer {
        fewer
    } else {
        1
    }
}

/// `Q` rows of `A`, `pitch` apart, with a block of `M` rows of `B`. The sums continue from memory
/// or begin at 0; they go to memory for the next block, or to `c`, whose rows are `stride` apart.
#[inline(always)]
fn tile<S: Simd, T: Element, V: SimdFloat<S, Element = T>, const M: usize, const Q: usize>(
    simd: S,
    block: &Block<'_, T, M>,
    (a, pitch, a_rests): (&[T], usize, &[[T; LANES]]),
    waiting: &mut [[T; LANES]],
    (c, stride): (&mut [T], usize),
) {
    // Compiled as a separate function.
    simd.vectorize(
        #[inline(always)]
        || {
            let zero = V::simd_from(simd, T::ZERO);
            let mut all = [[zero; M]; Q];
            let mut first = 0;
            while first < T::Wide::<S>::LEN {
                let mut sums = [[zero; M]; Q];
                if !block.begins {
                    for q in 0..Q {
                        for m in 0..M {
                            sums[q][m] = load(simd, &waiting[q * M + m], first);
                        }
                    }
                }
                sums = of_whole::<S, T, V, M, Q>(simd, sums, (a, pitch), block.numbers, first);
                let Some(end) = &block.end else {
                    for q in 0..Q {
                        for m in 0..M {
                            store(sums[q][m], &mut waiting[q * M + m], first);
                        }
                    }
                    first += V::LEN;
                    continue;
                };
                if let Some(b_rests) = end.rests {
                    let (mut a, mut b) = ([a; Q], [a; M]);
                    for q in 0..Q {
                        a[q] = &a_rests[q];
                    }
                    for m in 0..M {
                        b[m] = &b_rests[m];
                    }
                    sums = add_products::<S, T, V, M, Q>(simd, sums, a, b, first);
                }
                for q in 0..Q {
                    for m in 0..M {
                        all[q][m] = if first == 0 { sums[q][m] } else { all[q][m] + sums[q][m] };
                    }
                }
                first += V::LEN;
            }
            if let Some(end) = &block.end {
                let sums = sums_of_all::<S, T, V, M, Q>(simd, all);
                for q in 0..Q {
                    let row = &mut c[q * stride..][..M];
                    for m in 0..M {
                        row[m] = sums[q][m] + end.bias[m];
                    }
                }
            }
        },
    );
}

/// Adds the products of all whole vectors, for the lanes from `first` on.
#[inline(always)]
fn of_whole<S: Simd, T: Element, V: SimdFloat<S, Element = T>, const M: usize, const Q: usize>(
    simd: S,
    mut sums: [[V; M]; Q],
    (a, pitch): (&[T], usize),
    b: [&[T]; M],
    first: usize,
) -> [[V; M]; Q] {
    let (step, whole) = (T::Wide::<S>::LEN, b[0].len());
    if whole == 0 {
        return sums;
    }
    let mut a_views = [a; Q];
    let mut b_views = b;
    for q in 0..Q {
        a_views[q] = &a[q * pitch + first..][..whole - first];
    }
    for m in 0..M {
        b_views[m] = &b[m][first..whole];
    }
    // Two at a time: one bounds check for both, and fewer instructions around them.
    let mut at = 0;
    for _ in 0..whole / step / 2 {
        let (mut a, mut b) = (a_views, b_views);
        for q in 0..Q {
            a[q] = &a_views[q][at..][..step + V::LEN];
        }
        for m in 0..M {
            b[m] = &b_views[m][at..][..step + V::LEN];
        }
        sums = add_products::<S, T, V, M, Q>(simd, sums, a, b, 0);
        sums = add_products::<S, T, V, M, Q>(simd, sums, a, b, step);
        at += 2 * step;
    }
    if whole / step % 2 == 1 {
        sums = add_products::<S, T, V, M, Q>(simd, sums, a_views, b_views, at);
    }
    sums
}

/// `sums[q][m] + a[q] · b[m]`, lane by lane, for the vectors at `at`.
#[inline(always)]
fn add_products<
    S: Simd,
    T: Element,
    V: SimdFloat<S, Element = T>,
    const M: usize,
    const Q: usize,
>(
    simd: S,
    mut sums: [[V; M]; Q],
    a: [&[T]; Q],
    b: [&[T]; M],
    at: usize,
) -> [[V; M]; Q] {
    let mut x = [V::simd_from(simd, T::ZERO); Q];
    for q in 0..Q {
        x[q] = load(simd, a[q], at);
    }
    for m in 0..M {
        let factor = load(simd, b[m], at);
        for q in 0..Q {
            sums[q][m] = fused(simd, x[q], factor, sums[q][m]);
        }
    }
    sums
}

/// The sum of the lanes of each vector.
#[inline(always)]
fn sums_of_all<
    S: Simd,
    T: Element,
    V: SimdFloat<S, Element = T>,
    const M: usize,
    const Q: usize,
>(
    simd: S,
    vectors: [[V; M]; Q],
) -> [[T; M]; Q] {
    let mut sums = [[T::ZERO; M]; Q];
    for group in 0..M * Q / 4 {
        let mut four = [V::simd_from(simd, T::ZERO); 4];
        for n in 0..4 {
            four[n] = vectors[(4 * group + n) / M][(4 * group + n) % M];
        }
        let four = sums_of_four(four);
        for n in 0..4 {
            sums[(4 * group + n) / M][(4 * group + n) % M] = four[n];
        }
    }
    for n in M * Q / 4 * 4..M * Q {
        sums[n / M][n % M] = sum_lanes(vectors[n / M][n % M]);
    }
    sums
}
