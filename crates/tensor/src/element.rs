use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// A floating-point number that all operations are compiled for: `f32` or `f64`.
///
/// `f32` is for training and is optimised; `f64` runs the same generic code for gradient checks and
/// for parity with NumPy.
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

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as Self
            }
            #[inline(always)]
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
            #[inline(always)]
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

/// What is compiled once for each element, in this crate, whoever calls it.
pub(crate) mod kernels {
    use fearless_simd::{
        Simd, SimdCombine, SimdFloat, SimdFloatElement, SimdSplit, f32x4, f32x8, f32x16, f64x2,
        f64x4, f64x8,
    };

    use crate::Element;
    use crate::coefficients::{self, Coefficients};
    use crate::simd::Level;

    /// An element's vectors, and access to its kernels.
    pub trait Kernels: SimdFloatElement {
        /// A vector of 512 bits.
        type Wide<S: Simd>: SimdFloat<S, Element = Self> + SimdSplit<S, Split = Self::Narrow<S>>;
        /// A vector of 256 bits.
        type Narrow<S: Simd>: SimdFloat<S, Element = Self>
            + SimdCombine<S, Combined = Self::Wide<S>>;
        /// A vector of 128 bits.
        type Slim<S: Simd>: SimdFloat<S, Element = Self>;
        /// The coefficients of its exponential and related functions.
        const COEFFICIENTS: &Coefficients;
        /// Whether minimal filtering is compiled for it.
        const FILTERED: bool;

        /// A constant, rounded to the element.
        fn from_constant(value: f64) -> Self;

        /// Runs the kernel that is compiled for this element.
        fn run<K: PerElement>(level: Level, operands: K::Operands<'_, Self>)
        where
            Self: Element;
    }

    /// A kernel with one function for each element: see [`per_element`].
    pub trait PerElement {
        /// What it works on.
        type Operands<'a, T: Element>;

        /// Runs it on `f32`.
        fn single(level: Level, operands: Self::Operands<'_, f32>);
        /// Runs it on `f64`.
        fn double(level: Level, operands: Self::Operands<'_, f64>);
    }

    /// Compiles a [`Kernel`](crate::simd::Kernel) `Name<'_, T>` for both elements, or as
    /// `f32: Name` for one; `Name::launch` runs it.
    ///
    /// The functions are not generic, so they are compiled once, with this crate's optimisation
    /// level, and not again in each crate that calls them.
    macro_rules! per_element {
        ($kernel:ident) => {
            $crate::element::kernels::per_element!(on a level: $kernel);
            $crate::element::kernels::per_element!(launch: $kernel);
        };
        (f32: $kernel:ident) => {
            $crate::element::kernels::per_element!(
                compile: $kernel,
                |_level, _operands| unreachable!("not compiled for f64")
            );
            $crate::element::kernels::per_element!(launch: $kernel);
        };
        (on a level: $kernel:ident) => {
            $crate::element::kernels::per_element!(
                compile: $kernel,
                |level, operands| $crate::simd::dispatch_at(level, operands)
            );
        };
        (launch: $kernel:ident) => {
            impl<T: $crate::Element> $kernel<'_, T> {
                /// Runs it on the active level.
                pub(crate) fn launch(self) {
                    T::run::<$kernel<'static, f32>>($crate::simd::level(), self);
                }
            }
        };
        (compile: $kernel:ident, |$level:ident, $operands:ident| $double:expr) => {
            impl $crate::element::kernels::PerElement for $kernel<'static, f32> {
                type Operands<'a, T: $crate::Element> = $kernel<'a, T>;

                fn single(level: $crate::simd::Level, operands: $kernel<'_, f32>) {
                    $crate::simd::dispatch_at(level, operands);
                }

                fn double($level: $crate::simd::Level, $operands: $kernel<'_, f64>) {
                    $double
                }
            }
        };
    }
    pub(crate) use per_element;

    macro_rules! kernels {
        ($t:ty, [$wide:ident, $narrow:ident, $slim:ident], $coefficients:path, $filtered:expr, $function:ident) => {
            impl Kernels for $t {
                type Wide<S: Simd> = $wide<S>;
                type Narrow<S: Simd> = $narrow<S>;
                type Slim<S: Simd> = $slim<S>;
                const COEFFICIENTS: &Coefficients = &$coefficients;
                const FILTERED: bool = $filtered;

                #[inline(always)]
                fn from_constant(value: f64) -> Self {
                    value as Self
                }

                fn run<K: PerElement>(level: Level, operands: K::Operands<'_, Self>) {
                    K::$function(level, operands);
                }
            }
        };
    }

    kernels!(f32, [f32x16, f32x8, f32x4], coefficients::F32, true, single);
    // `f64` is for gradient checks, and is summed directly.
    kernels!(f64, [f64x8, f64x4, f64x2], coefficients::F64, false, double);
}
