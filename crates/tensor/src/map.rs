//! Element-wise maps, and the way to write one.
//!
//! # Panics
//! Every function panics if its slices differ in length.

use crate::Element;
use crate::math;
use crate::vector::fused;

/// Runs a loop over slices on the active level. `map!(|simd, [y], [x], a| [y + a * x])` changes
/// `y`, reads `x`, and has the number `a` in all lanes; there may be any number of each.
///
/// The names stand for slices and numbers of an element `T`, and in the result for vectors.
///
/// # Panics
/// If the slices differ in length.
macro_rules! map {
    (|$simd:ident, [$first:ident $(, $changed:ident)*], [$($read:ident),*] $(, $number:ident)*|
        $result:expr) => {{
        struct Map<'a, T> {
            $first: &'a mut [T],
            $($changed: &'a mut [T],)*
            $($read: &'a [T],)*
            $($number: T,)*
        }
        $crate::element::kernels::per_element!(Map);

        impl<T: $crate::Element> $crate::simd::Kernel for Map<'_, T> {
            type Output = ();

            #[inline(always)]
            fn run<S: fearless_simd::Simd>(self, $simd: S) {
                $(let $number: T::Wide<S> = fearless_simd::SimdFrom::simd_from($simd, self.$number);)*
                $crate::vector::for_each_vector(
                    $simd,
                    [self.$first $(, self.$changed)*],
                    [$(self.$read),*],
                    #[inline(always)]
                    |[$first $(, $changed)*], [$($read),*]| $result,
                );
            }
        }

        let (len, others): (usize, &[usize]) =
            ($first.len(), &[$($changed.len(),)* $($read.len(),)*]);
        assert!(others.iter().all(|&other| other == len), "map: {len} numbers with {others:?}");
        Map { $first, $($changed,)* $($read,)* $($number,)* }.launch();
    }};
}
pub(crate) use map;

/// `x ← exp x`, with an error of at most two units in the last place; monotone, and exact in both
/// limits.
pub fn exp<T: Element>(x: &mut [T]) {
    map!(|simd, [x], []| [math::exp(simd, x)]);
}

/// `y ← y + x`.
#[track_caller]
pub fn add<T: Element>(y: &mut [T], x: &[T]) {
    map!(|simd, [y], [x]| [y + x]);
}

/// `y ← y + a x`, rounded once.
#[track_caller]
pub fn add_scaled<T: Element>(y: &mut [T], a: T, x: &[T]) {
    map!(|simd, [y], [x], a| [fused(simd, x, a, y)]);
}

/// `y ← y + a (x − y)`, product and sum rounded once: moves the average `y` towards `x`.
#[track_caller]
pub fn lerp<T: Element>(y: &mut [T], a: T, x: &[T]) {
    map!(|simd, [y], [x], a| [fused(simd, x - y, a, y)]);
}
