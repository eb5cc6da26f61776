//! Planes transposed in registers.

use fearless_simd::{Simd, SimdFloat};

use crate::Element;
use crate::vector::{load, store};

/// `to (columns, rows)` from `from (rows, columns)`, each with its pitch.
///
/// A square of vectors is transposed by interleaving its first half with its second, once for each
/// bit of an index: each time the bits of (row, column) rotate by one.
///
/// Compiled as a separate function, which all callers share.
#[inline(always)]
pub(crate) fn transpose<S: Simd, V: SimdFloat<S, Element: Element>>(
    simd: S,
    (from, pitch): (&[V::Element], usize),
    [rows, columns]: [usize; 2],
    (to, to_pitch): (&mut [V::Element], usize),
) {
    transpose_to::<S, V>(
        simd,
        (from, pitch),
        [rows, columns],
        to,
        #[inline(always)]
        |column| column * to_pitch,
    );
}

/// [`transpose`] where column `i` goes to `place(i)`.
#[inline(always)]
pub(crate) fn transpose_to<S: Simd, V: SimdFloat<S, Element: Element>>(
    simd: S,
    (from, pitch): (&[V::Element], usize),
    [rows, columns]: [usize; 2],
    to: &mut [V::Element],
    place: impl Fn(usize) -> usize,
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let lanes = V::LEN;
            if rows < lanes || columns < lanes {
                for column in 0..columns {
                    for row in 0..rows {
                        to[place(column) + row] = from[row * pitch + column];
                    }
                }
                return;
            }
            // The last squares end with the rows and columns, and overlap those before.
            for row in (0..rows).step_by(lanes) {
                let row = row.min(rows - lanes);
                for column in (0..columns).step_by(lanes) {
                    let column = column.min(columns - lanes);
                    let mut square = [V::simd_from(simd, V::Element::ZERO); 16];
                    for i in 0..lanes {
                        square[i] = load(simd, from, (row + i) * pitch + column);
                    }
                    let mut bit = 1;
                    while bit < lanes {
                        let before = square;
                        for i in 0..lanes / 2 {
                            (square[2 * i], square[2 * i + 1]) =
                                before[i].interleave(before[i + lanes / 2]);
                        }
                        bit *= 2;
                    }
                    for i in 0..lanes {
                        store(square[i], to, place(column + i) + row);
                    }
                }
            }
        },
    );
}
