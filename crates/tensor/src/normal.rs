//! The normal distribution, on vectors.

use fearless_simd::{Select, Simd, SimdFloat};

use crate::Element;
use crate::element::kernels::Kernels;
use crate::map::{constant, exp_of, polynomial};
use crate::vector::fused;

/// `Φ(x)`, the probability that a standard normal variable is less than `x`, and its
/// derivative `φ(x) = exp(−x²/2) / √(2π)`.
///
/// For u = |x| the tail is `1 − Φ(u) = exp(−u²/2) P((u − 5)/(u + 5)) / (u + 5)`, the
/// factor `P` being smooth from 0 to ∞: a polynomial interpolated at Chebyshev nodes.
/// The error of `Φ(x)` is at most 4 + x² units in its last place, the x² being what
/// the exponential makes of the rounding of its argument.
#[inline(always)]
pub(crate) fn distribution<S, V>(simd: S, x: V) -> (V, V)
where
    S: Simd,
    V: SimdFloat<S, Element: Element>,
{
    // Beyond that the exponential is 0, and u − 5 need not become infinite.
    let limit = constant::<S, V>(simd, 40.0);
    let u = x.abs();
    let u = u.simd_gt(limit).select(limit, u);
    let exponential = exp_of(simd, u * u * constant::<S, V>(simd, -0.5));
    let five = constant::<S, V>(simd, 5.0);
    let one = constant::<S, V>(simd, 1.0);
    let inverse = one / (u + five);
    let factor = polynomial(simd, (u - five) * inverse, V::Element::MATH.normal_tail);
    let tail = exponential * factor * inverse;
    let is_positive = x.simd_gt(constant::<S, V>(simd, 0.0));
    let probability = is_positive.select(one - tail, tail);
    (probability, exponential * constant::<S, V>(simd, 0.398_942_280_401_432_7))
}

/// `x Φ(x)`.
#[inline(always)]
pub(crate) fn gelu<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, x: V) -> V {
    x * distribution(simd, x).0
}

/// `Φ(x) + x φ(x)`.
#[inline(always)]
pub(crate) fn gelu_derivative<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, x: V) -> V {
    let (probability, density) = distribution(simd, x);
    fused(simd, x, density, probability)
}

/// `P` to 1e-9, lowest power first.
pub(crate) const TAIL_F32: &[f64] = &[
    0.769_193_049_750_063,
    -0.665_382_512_697_461_8,
    0.495_305_621_408_566_4,
    -0.313_532_881_295_696_5,
    0.165_020_213_043_891_22,
    -0.069_120_857_149_371_34,
    0.020_796_308_866_134_37,
    -0.002_985_670_538_031_035_7,
    -0.000_802_239_530_337_196_1,
    0.000_531_738_867_577_209_8,
    -5.173_382_022_309_99e-5,
    -3.867_768_648_573_005e-5,
    9.920_844_802_133_103e-6,
];

/// `P` to 5e-17, lowest power first.
pub(crate) const TAIL_F64: &[f64] = &[
    0.769_193_049_750_063,
    -0.665_382_502_890_057_7,
    0.495_305_615_969_976_8,
    -0.313_533_156_671_213_8,
    0.165_020_366_170_342_82,
    -0.069_118_638_708_814_32,
    0.020_795_066_800_941_616,
    -0.002_993_376_738_223_22,
    -0.000_797_869_409_480_806_3,
    0.000_544_898_830_900_93,
    -5.937_567_328_648_865_5e-5,
    -4.976_177_118_979_218e-5,
    1.668_109_911_586_346_8e-5,
    3.977_912_640_593_242e-6,
    -2.769_337_871_043_854e-6,
    -3.310_698_071_526_862e-7,
    4.340_262_594_829_775e-7,
    3.581_840_051_543_223e-8,
    -6.782_555_313_291_156e-8,
    -5.015_649_939_857_857e-9,
    9.446_827_519_677_366e-9,
    5.037_302_126_379_857e-10,
    -8.166_192_624_428_987e-10,
];
