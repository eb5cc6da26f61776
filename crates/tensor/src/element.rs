use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// A floating-point number that all operations are compiled for: `f32` or `f64`.
///
/// `f32` is what is trained with and tuned; `f64` runs the same generic code for
/// gradient checks and for parity with NumPy.
pub trait Element:
    kernels::Kernels
    + Copy
    + Send
    + Sync
    + Debug
    + Display
    + Default
    + PartialEq
    + PartialOrd
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Sum
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The distance from 1 to the next larger number.
    const EPSILON: Self;
    /// The name of the type, `"f32"` or `"f64"`.
    const NAME: &'static str;

    /// The nearest number to `value`.
    fn from_f64(value: f64) -> Self;
    /// The same number as `f64`.
    fn to_f64(self) -> f64;
    /// `self · a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// The natural logarithm, the same bits on every platform.
    fn ln(self) -> Self;
    /// The square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// The magnitude.
    fn abs(self) -> Self;
    /// Whether the number is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// The number's bytes, least significant first, appended to `bytes`.
    fn extend_le_bytes(numbers: &[Self], bytes: &mut Vec<u8>);
}

macro_rules! element {
    ($t:ident, $ln:path) => {
        impl Element for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const EPSILON: Self = $t::EPSILON;
            const NAME: &'static str = stringify!($t);

            fn from_f64(value: f64) -> Self {
                value as Self
            }
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                $t::mul_add(self, a, b)
            }
            fn ln(self) -> Self {
                $ln(self)
            }
            fn sqrt(self) -> Self {
                $t::sqrt(self)
            }
            fn abs(self) -> Self {
                $t::abs(self)
            }
            fn is_finite(self) -> bool {
                $t::is_finite(self)
            }
            fn extend_le_bytes(numbers: &[Self], bytes: &mut Vec<u8>) {
                bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            }
        }
    };
}

element!(f32, libm::logf);
element!(f64, libm::log);

/// What is compiled per element type, here in this crate, whoever calls it.
pub(crate) mod kernels {
    use fearless_simd::{
        Simd, SimdCombine, SimdFloat, SimdFloatElement, SimdSplit, f32x4, f32x8, f32x16, f64x2,
        f64x4, f64x8,
    };

    use crate::correlate::{
        Columns, ColumnsGradient, Forward, InputGradient, KernelGradient, OuterProducts, Winograd,
        WinogradGradient,
    };
    use crate::dots::Dots;
    use crate::image::Pixels;
    use crate::map::{Elementwise, Math};
    use crate::matrix::{RowsProduct, Update};
    use crate::normalize::Normalize;
    use crate::optimize::Optimize;
    use crate::peak::Peak;
    use crate::pool::{MaxPool, MaxPoolGradient};
    use crate::random::DropOut;
    use crate::reduce::{RowSums, TreeSum};
    use crate::simd::{Level, dispatch, dispatch_at};

    /// The element's vectors and one function for each kernel.
    ///
    /// The functions are not generic, so that the kernels are compiled once, with this
    /// crate's optimisation level, and not again in each crate that calls them.
    pub trait Kernels: SimdFloatElement {
        /// A vector of 512 bits.
        type Wide<S: Simd>: SimdFloat<S, Element = Self> + SimdSplit<S, Split = Self::Narrow<S>>;
        /// A vector of 256 bits.
        type Narrow<S: Simd>: SimdFloat<S, Element = Self>
            + SimdCombine<S, Combined = Self::Wide<S>>;
        /// A vector of 128 bits.
        type Slim<S: Simd>: SimdFloat<S, Element = Self>;
        /// The numbers of its exponential.
        const MATH: Math;
        /// Whether minimal filtering is compiled for it.
        const FILTERED: bool;

        /// A constant, rounded to the element.
        fn from_constant(value: f64) -> Self;
        fn correlate_forward(kernel: Forward<'_, Self>);
        fn correlate_input_gradient(kernel: InputGradient<'_, Self>);
        fn correlate_kernel_gradient(kernel: KernelGradient<'_, Self>);
        fn correlate_outer_products(kernel: OuterProducts<'_, Self>);
        fn correlate_by_tiles(_: Winograd<'_, Self>) {
            unreachable!("not filtered");
        }
        fn correlate_tiles_gradient(_: WinogradGradient<'_, Self>) {
            unreachable!("not filtered");
        }
        fn correlate_by_columns(_: Columns<'_, Self>) {
            unreachable!("not filtered");
        }
        fn correlate_columns_gradient(_: ColumnsGradient<'_, Self>) {
            unreachable!("not filtered");
        }
        fn elementwise(kernel: Elementwise<'_, Self>);
        fn dots(kernel: Dots<'_, Self>);
        fn rows_product(kernel: RowsProduct<'_, Self>);
        fn update(kernel: Update<'_, Self>);
        fn row_sums(kernel: RowSums<'_, Self>);
        fn tree_sum(kernel: TreeSum<'_, Self>);
        fn max_pool(kernel: MaxPool<'_, Self>);
        fn max_pool_gradient(kernel: MaxPoolGradient<'_, Self>);
        fn optimize(kernel: Optimize<'_, Self>);
        fn normalize(kernel: Normalize<'_, Self>);
        fn drop_out(kernel: DropOut<'_, Self>);
        fn pixels(kernel: Pixels<'_, Self>);
        fn peak(level: Level, kernel: Peak<Self>) -> f64;
    }

    // A module each, so that the compiler works on both at the same time.
    macro_rules! kernels {
        (
            $module:ident, $t:ty, [$wide:ident, $narrow:ident, $slim:ident], $math:expr, $filtered:expr,
            { $($name:ident: $kernel:ident),* }
        ) => {
            mod $module {
                use super::*;

                impl Kernels for $t {
                    type Wide<S: Simd> = $wide<S>;
                    type Narrow<S: Simd> = $narrow<S>;
                    type Slim<S: Simd> = $slim<S>;
                    const MATH: Math = $math;
                    const FILTERED: bool = $filtered;

                    #[inline(always)]
                    fn from_constant(value: f64) -> Self {
                        value as Self
                    }

                    fn correlate_forward(kernel: Forward<'_, Self>) {
                        dispatch(kernel);
                    }
                    fn correlate_input_gradient(kernel: InputGradient<'_, Self>) {
                        dispatch(kernel);
                    }
                    fn correlate_kernel_gradient(kernel: KernelGradient<'_, Self>) {
                        dispatch(kernel);
                    }
                    fn correlate_outer_products(kernel: OuterProducts<'_, Self>) {
                        dispatch(kernel);
                    }
                    $(fn $name(kernel: $kernel<'_, Self>) {
                        dispatch(kernel);
                    })*
                    fn elementwise(kernel: Elementwise<'_, Self>) {
                        dispatch(kernel);
                    }
                    fn dots(kernel: Dots<'_, Self>) {
                        dispatch(kernel);
                    }
                    fn rows_product(kernel: RowsProduct<'_, Self>) {
                        dispatch(kernel);
                    }
                    fn update(kernel: Update<'_, Self>) {
                        dispatch(kernel);
                    }
                    fn row_sums(kernel: RowSums<'_, Self>) {
                        dispatch(kernel);
                    }
                    fn tree_sum(kernel: TreeSum<'_, Self>) {
                        dispatch(kernel);
                    }
                    fn max_pool(kernel: MaxPool<'_, Self>) {
                        dispatch(kernel);
                    }
                    fn max_pool_gradient(kernel: MaxPoolGradient<'_, Self>) {
                        dispatch(kernel);
                    }
                    fn optimize(kernel: Optimize<'_, Self>) {
                        dispatch(kernel);
                    }
                    fn normalize(kernel: Normalize<'_, Self>) {
                        dispatch(kernel);
                    }
                    fn drop_out(kernel: DropOut<'_, Self>) {
                        dispatch(kernel);
                    }
                    fn pixels(kernel: Pixels<'_, Self>) {
                        dispatch(kernel);
                    }
                    fn peak(level: Level, kernel: Peak<Self>) -> f64 {
                        dispatch_at(level, kernel)
                    }
                }
            }
        };
    }

    kernels!(single, f32, [f32x16, f32x8, f32x4], Math::F32, true, {
        correlate_by_tiles: Winograd,
        correlate_tiles_gradient: WinogradGradient,
        correlate_by_columns: Columns,
        correlate_columns_gradient: ColumnsGradient
    });
    // `f64` is there to check gradients, and is summed as it is written.
    kernels!(double, f64, [f64x8, f64x4, f64x2], Math::F64, false, {});
}
