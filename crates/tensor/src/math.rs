//! The exponential and functions made from it, on vectors: polynomials evaluated with fused
//! multiply-adds, the same bits on every level and every platform.

use fearless_simd::{Select, Simd, SimdFloat};

use crate::Element;
use crate::coefficients::{INVERSE_FACTORIALS, LOGARITHM, TANH_NEAR};
use crate::element::kernels::Kernels;
use crate::vector::fused;

#[inline(always)]
pub(crate) fn constant<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, value: f64) -> V {
    V::simd_from(simd, V::Element::from_constant(value))
}

/// `Σ c_i x^i`.
#[inline(always)]
pub(crate) fn polynomial<S: Simd, V: SimdFloat<S, Element: Element>>(
    simd: S,
    x: V,
    c: &[f64],
) -> V {
    let mut sum = constant::<S, V>(simd, c[c.len() - 1]);
    let mut term = c.len() - 1;
    while term > 0 {
        term -= 1;
        sum = fused(simd, sum, x, constant::<S, V>(simd, c[term]));
    }
    sum
}

/// 2^k for the integer in the low bits of `shifted`.
#[inline(always)]
pub(crate) fn power_of_two<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, shifted: V) -> V {
    let one = V::simd_from(simd, V::Element::ONE).to_bits();
    V::from_bits((shifted.to_bits() << V::Element::COEFFICIENTS.mantissa_bits) + one)
}

#[inline(always)]
pub(crate) fn exp<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, x: V) -> V {
    let c = V::Element::COEFFICIENTS;
    let (low, high) = (constant::<S, V>(simd, c.exp_low), constant::<S, V>(simd, c.exp_high));
    let x = x.simd_lt(low).select(low, x);
    let x = x.simd_gt(high).select(high, x);
    // x = k ln 2 + r, |r| ≤ ln(2)/2; the rounding error of r is added at the end.
    let round = constant::<S, V>(simd, c.round);
    let k = fused(simd, x, constant::<S, V>(simd, std::f64::consts::LOG2_E), round) - round;
    let high = fused(simd, k, constant::<S, V>(simd, -c.ln2_high), x);
    let r = fused(simd, k, constant::<S, V>(simd, -c.ln2_low), high);
    let lost = fused(simd, k, constant::<S, V>(simd, -c.ln2_low), high - r);
    // exp r = 1 + r + r²/2! + …: only the rounding of the last sum matters.
    let series = polynomial(simd, r, &INVERSE_FACTORIALS[..c.terms]);
    let one = V::simd_from(simd, V::Element::ONE);
    let sum = one + r;
    let rest = fused(simd, r * r, series, (one - sum) + r + lost);
    // 2^k as two factors, since a single exponent does not span the whole range.
    let half = fused(simd, k, constant::<S, V>(simd, 0.5), round);
    let (a, b) = (power_of_two(simd, half), power_of_two(simd, (k - (half - round)) + round));
    (sum + rest) * a * b
}

#[inline(always)]
pub(crate) fn tanh<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, x: V) -> V {
    // A series in x² near 0, elsewhere 1 − 2 / (exp(2|x|) + 1): a quotient of two numbers that both
    // grow would not be monotone.
    let (one, two) = (
        V::simd_from(simd, V::Element::ONE),
        V::simd_from(simd, V::Element::ONE + V::Element::ONE),
    );
    let limit = constant::<S, V>(simd, V::Element::COEFFICIENTS.tanh_limit);
    let magnitude = x.abs();
    let magnitude = magnitude.simd_gt(limit).select(limit, magnitude);
    let far = one - two / (exp(simd, magnitude + magnitude) + one);
    let square = magnitude * magnitude;
    let series = polynomial(simd, square, V::Element::COEFFICIENTS.tanh_series);
    let near = fused(simd, square * magnitude, series, magnitude);
    let is_near = magnitude.simd_lt(constant::<S, V>(simd, TANH_NEAR));
    is_near.select(near, far).copysign(x)
}

/// `exp x − 1` for `x ≤ 0` only: `2t / (1 − t)` with `t = tanh(x / 2)` avoids the cancellation.
#[inline(always)]
pub(crate) fn exp_m1<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, x: V) -> V {
    let t = tanh(simd, x * constant::<S, V>(simd, 0.5));
    (t + t) / (V::simd_from(simd, V::Element::ONE) - t)
}

/// `ln(1 + z)` for `z` from 0 to 1. With `s = z / (2 + z)` it is `2s + ⅔s³ + …`, and `2s` is
/// `z − sz`, in which only the smaller part is rounded.
#[inline(always)]
pub(crate) fn ln_1p<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, z: V) -> V {
    let s = z / (constant::<S, V>(simd, 2.0) + z);
    let square = s * s;
    let series = polynomial(simd, square, &LOGARITHM[..V::Element::COEFFICIENTS.log_terms]);
    fused(simd, -s, fused(simd, -square, series, z), z)
}

#[inline(always)]
pub(crate) fn sigmoid<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, x: V) -> V {
    // z = exp(−|x|) is at most 1: no overflow, and small results are accurate.
    let one = V::simd_from(simd, V::Element::ONE);
    let zero = V::simd_from(simd, V::Element::ZERO);
    let z = exp(simd, -x.abs());
    let numerator = x.simd_lt(zero).select(z, one);
    let sum = one + z;
    let quotient = numerator / sum;
    // The rounding errors of sum and quotient, times an estimate of 1 / (1 + z).
    let lost = fused(simd, -quotient, sum, numerator) - quotient * (z - (sum - one));
    let inverse = x.simd_lt(zero).select(one - quotient, quotient);
    fused(simd, lost, inverse, quotient)
}

/// `Φ(x)`, the probability that a standard normal variable is less than `x`, and its derivative
/// `φ(x) = exp(−x²/2) / √(2π)`.
///
/// For u = |x| the tail is `1 − Φ(u) = exp(−u²/2) P((u − 5)/(u + 5)) / (u + 5)`. The factor `P` is
/// smooth from 0 to ∞: a polynomial interpolated at Chebyshev nodes. The error of `Φ(x)` is at most
/// 4 + x² units in its last place; the x² comes from the rounding of the exponential's argument.
#[inline(always)]
pub(crate) fn normal<S, V>(simd: S, x: V) -> (V, V)
where
    S: Simd,
    V: SimdFloat<S, Element: Element>,
{
    // Beyond this limit the exponential is 0, and u − 5 must not become infinite.
    let limit = constant::<S, V>(simd, 40.0);
    let u = x.abs();
    let u = u.simd_gt(limit).select(limit, u);
    let exponential = exp(simd, u * u * constant::<S, V>(simd, -0.5));
    let five = constant::<S, V>(simd, 5.0);
    let one = constant::<S, V>(simd, 1.0);
    let inverse = one / (u + five);
    let factor = polynomial(simd, (u - five) * inverse, V::Element::COEFFICIENTS.normal_tail);
    let tail = exponential * factor * inverse;
    let is_positive = x.simd_gt(constant::<S, V>(simd, 0.0));
    let probability = is_positive.select(one - tail, tail);
    (probability, exponential * constant::<S, V>(simd, 0.398_942_280_401_432_7))
}
