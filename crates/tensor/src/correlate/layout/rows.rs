//! Rows that are copied one by one.

use fearless_simd::{Simd, SimdBase, SimdFloat};

use crate::Element;
use crate::vector::{load, store};

/// What is added to the numbers of a row.
#[derive(Clone, Copy)]
pub(crate) enum Added<'a, T> {
    /// Nothing: the row is copied.
    Nothing,
    Same(T),
    Each(&'a [T]),
}

/// `to = from + added`, with the widest vectors that fit a row; rows are too short for a call to
/// `memcpy`.
#[inline(always)]
pub(crate) fn add_row<S: Simd, T: Element>(simd: S, from: &[T], added: Added<'_, T>, to: &mut [T]) {
    if to.len() >= T::Wide::<S>::LEN {
        add_row_with::<S, T::Wide<S>>(simd, from, added, to);
    } else if to.len() >= T::Narrow::<S>::LEN {
        add_row_with::<S, T::Narrow<S>>(simd, from, added, to);
    } else if to.len() >= T::Slim::<S>::LEN {
        add_row_with::<S, T::Slim<S>>(simd, from, added, to);
    } else {
        for (index, (to, &from)) in to.iter_mut().zip(from).enumerate() {
            *to = match added {
                Added::Nothing => from,
                Added::Same(offset) => from + offset,
                Added::Each(offsets) => from + offsets[index],
            };
        }
    }
}

#[inline(always)]
fn add_row_with<S: Simd, V: SimdFloat<S, Element: Element>>(
    simd: S,
    from: &[V::Element],
    added: Added<'_, V::Element>,
    to: &mut [V::Element],
) {
    let last = to.len() - V::LEN;
    let mut x = 0;
    loop {
        let row = load::<S, V>(simd, from, x);
        let row = match added {
            Added::Nothing => row,
            Added::Same(offset) => row + V::simd_from(simd, offset),
            Added::Each(offsets) => row + load::<S, V>(simd, offsets, x),
        };
        store(row, to, x);
        if x == last {
            return;
        }
        x = last.min(x + V::LEN);
    }
}

/// Copies planes of `(rows, width)` into lines of `pitch`, with zeros between the rows and up to
/// `stride`, the distance between the lines of neighbouring planes.
#[inline(always)]
pub(crate) fn spread<T: Element>(
    planes: &[T],
    [rows, width]: [usize; 2],
    [stride, pitch]: [usize; 2],
    lines: &mut [T],
) {
    for (plane, line) in planes.chunks_exact(rows * width).zip(lines.chunks_exact_mut(stride)) {
        for (y, row) in plane.chunks_exact(width).enumerate() {
            let end = if y + 1 < rows { (y + 1) * pitch } else { stride };
            let (copy, gap) = line[y * pitch..end].split_at_mut(width);
            copy.copy_from_slice(row);
            gap.fill(T::ZERO);
        }
    }
}
