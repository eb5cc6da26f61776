//! Activations: functions of one number, and their derivatives.
//!
//! Exponentials are polynomials evaluated with fused multiply-adds, so the bits are the same on
//! every level and every platform. NaN stays NaN.

use std::fmt::Debug;

use fearless_simd::{Select, SimdBase};

use crate::Element;
use crate::map::map;
use crate::math::{self, constant};
use crate::vector::fused;

/// A function `f` of one number, applied to many.
pub trait Activation: Copy + Debug + Send + Sync + 'static {
    /// What the derivative is computed from.
    const DERIVED_FROM: DerivedFrom;

    /// `x ← f(x)`.
    fn apply<T: Element>(self, x: &mut [T]);

    /// `g ← f′ g`, with the derivative computed from `known`, which is what
    /// [`Activation::DERIVED_FROM`] says.
    ///
    /// # Panics
    /// If the slices differ in length.
    fn multiply_derivative<T: Element>(self, g: &mut [T], known: &[T]);
}

/// What a derivative is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DerivedFrom {
    /// The argument `x`.
    Input,
    /// The value `y = f(x)`.
    Output,
}

/// `1 / (1 + exp −x)`, with an error of at most two units in the last place; monotone, and exact in
/// both limits.
#[derive(Clone, Copy, Debug)]
pub struct Sigmoid;

impl Activation for Sigmoid {
    const DERIVED_FROM: DerivedFrom = DerivedFrom::Output;

    fn apply<T: Element>(self, x: &mut [T]) {
        map!(|simd, [x], []| [math::sigmoid(simd, x)]);
    }

    /// `y (1 − y) g`.
    #[track_caller]
    fn multiply_derivative<T: Element>(self, g: &mut [T], y: &[T]) {
        map!(|simd, [g], [y]| {
            let one: T::Wide<S> = constant(simd, 1.0);
            [y * (one - y) * g]
        });
    }
}

/// `tanh x`, with an error of at most two units in the last place; monotone, and exact in both
/// limits.
#[derive(Clone, Copy, Debug)]
pub struct Tanh;

impl Activation for Tanh {
    const DERIVED_FROM: DerivedFrom = DerivedFrom::Output;

    fn apply<T: Element>(self, x: &mut [T]) {
        map!(|simd, [x], []| [math::tanh(simd, x)]);
    }

    /// `(1 − y²) g`.
    #[track_caller]
    fn multiply_derivative<T: Element>(self, g: &mut [T], y: &[T]) {
        map!(|simd, [g], [y]| [fused(simd, -y, y, constant(simd, 1.0)) * g]);
    }
}

/// `max(x, 0)`. Its derivative at 0 is 0.
#[derive(Clone, Copy, Debug)]
pub struct Relu;

impl Activation for Relu {
    const DERIVED_FROM: DerivedFrom = DerivedFrom::Output;

    fn apply<T: Element>(self, x: &mut [T]) {
        map!(|simd, [x], []| {
            let zero: T::Wide<S> = constant(simd, 0.0);
            [x.simd_le(zero).select(zero, x)]
        });
    }

    /// `g` where `y > 0`, else 0.
    #[track_caller]
    fn multiply_derivative<T: Element>(self, g: &mut [T], y: &[T]) {
        map!(|simd, [g], [y]| {
            let zero: T::Wide<S> = constant(simd, 0.0);
            [y.simd_gt(zero).select(g, zero)]
        });
    }
}

/// `x` where `x > 0`, else `slope · x`. Its derivative at 0 is the slope, which must not be
/// negative.
#[derive(Clone, Copy, Debug)]
pub struct LeakyRelu {
    /// The factor of negative numbers.
    pub slope: f64,
}

impl Activation for LeakyRelu {
    const DERIVED_FROM: DerivedFrom = DerivedFrom::Output;

    fn apply<T: Element>(self, x: &mut [T]) {
        let slope = T::from_f64(self.slope);
        map!(|simd, [x], [], slope| [x.simd_gt(T::ZERO).select(x, x * slope)]);
    }

    /// `g` where `y > 0`, else `slope · g`.
    #[track_caller]
    fn multiply_derivative<T: Element>(self, g: &mut [T], y: &[T]) {
        let slope = T::from_f64(self.slope);
        map!(|simd, [g], [y], slope| [y.simd_gt(T::ZERO).select(g, g * slope)]);
    }
}

/// `x Φ(x)`, where Φ is the cumulative distribution function of the standard normal distribution:
/// the exact GELU, not its approximation by tanh. The error of Φ is at most `4 + x²` units in its
/// last place.
#[derive(Clone, Copy, Debug)]
pub struct Gelu;

impl Activation for Gelu {
    const DERIVED_FROM: DerivedFrom = DerivedFrom::Input;

    fn apply<T: Element>(self, x: &mut [T]) {
        map!(|simd, [x], []| [x * math::normal(simd, x).0]);
    }

    /// `(Φ(x) + x φ(x)) g`.
    #[track_caller]
    fn multiply_derivative<T: Element>(self, g: &mut [T], x: &[T]) {
        map!(|simd, [g], [x]| {
            let (probability, density) = math::normal(simd, x);
            [fused(simd, x, density, probability) * g]
        });
    }
}

/// `x / (1 + exp −x)`.
#[derive(Clone, Copy, Debug)]
pub struct Silu;

impl Activation for Silu {
    const DERIVED_FROM: DerivedFrom = DerivedFrom::Input;

    fn apply<T: Element>(self, x: &mut [T]) {
        map!(|simd, [x], []| [x * math::sigmoid(simd, x)]);
    }

    /// `s (1 + x (1 − s)) g` with `s = 1 / (1 + exp −x)`.
    #[track_caller]
    fn multiply_derivative<T: Element>(self, g: &mut [T], x: &[T]) {
        map!(|simd, [g], [x]| {
            let s = math::sigmoid(simd, x);
            let one: T::Wide<S> = constant(simd, 1.0);
            [fused(simd, x * s, one - s, s) * g]
        });
    }
}

/// `x` where `x > 0`, else `alpha (exp x − 1)`, accurate near 0 too. Alpha must not be negative.
#[derive(Clone, Copy, Debug)]
pub struct Elu {
    /// The function tends to `−alpha` as `x` goes to −∞.
    pub alpha: f64,
}

impl Activation for Elu {
    const DERIVED_FROM: DerivedFrom = DerivedFrom::Output;

    fn apply<T: Element>(self, x: &mut [T]) {
        let alpha = T::from_f64(self.alpha);
        map!(|simd, [x], [], alpha| {
            let below = math::exp_m1(simd, x) * alpha;
            [x.simd_gt(T::ZERO).select(x, below)]
        });
    }

    /// `g` where `y > 0`, else `(y + alpha) g`.
    #[track_caller]
    fn multiply_derivative<T: Element>(self, g: &mut [T], y: &[T]) {
        let alpha = T::from_f64(self.alpha);
        map!(|simd, [g], [y], alpha| [y.simd_gt(T::ZERO).select(g, (y + alpha) * g)]);
    }
}

/// `ln(1 + exp x)`, computed as `max(x, 0) + ln(1 + exp −|x|)`: nothing overflows, and small
/// results are accurate.
#[derive(Clone, Copy, Debug)]
pub struct Softplus;

impl Activation for Softplus {
    const DERIVED_FROM: DerivedFrom = DerivedFrom::Input;

    fn apply<T: Element>(self, x: &mut [T]) {
        map!(|simd, [x], []| {
            let zero: T::Wide<S> = constant(simd, 0.0);
            let above = x.simd_gt(zero).select(x, zero);
            [above + math::ln_1p(simd, math::exp(simd, -x.abs()))]
        });
    }

    /// `g / (1 + exp −x)`.
    #[track_caller]
    fn multiply_derivative<T: Element>(self, g: &mut [T], x: &[T]) {
        map!(|simd, [g], [x]| [math::sigmoid(simd, x) * g]);
    }
}

/// `x (x + 3) / 6` between −3 and 3, 0 below and `x` above.
#[derive(Clone, Copy, Debug)]
pub struct HardSwish;

impl Activation for HardSwish {
    const DERIVED_FROM: DerivedFrom = DerivedFrom::Input;

    fn apply<T: Element>(self, x: &mut [T]) {
        map!(|simd, [x], []| {
            let [three, six]: [T::Wide<S>; 2] = [constant(simd, 3.0), constant(simd, 6.0)];
            let between = x * (x + three) / six;
            let above = x.simd_ge(three).select(x, between);
            [x.simd_le(-three).select(constant(simd, 0.0), above)]
        });
    }

    /// `(x / 3 + ½) g` between −3 and 3, 0 for `x ≤ −3` and `g` for `x ≥ 3`.
    #[track_caller]
    fn multiply_derivative<T: Element>(self, g: &mut [T], x: &[T]) {
        map!(|simd, [g], [x]| {
            let [three, half]: [T::Wide<S>; 2] = [constant(simd, 3.0), constant(simd, 0.5)];
            let between = (x / three + half) * g;
            let above = x.simd_ge(three).select(g, between);
            [x.simd_le(-three).select(constant(simd, 0.0), above)]
        });
    }
}
