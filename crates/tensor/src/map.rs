//! Element-wise maps.
//!
//! [`exp`], [`tanh`] and [`sigmoid`] are polynomials evaluated with fused multiply-adds,
//! the same bits on every level and every platform, with an error of at most two units
//! in the last place over the whole range; monotone, and exact at the ends.
//!
//! # Panics
//! Every function panics if its slices differ in length.

use fearless_simd::{Select, Simd, SimdBase, SimdFloat};

use crate::Element;
use crate::element::kernels::Kernels;
use crate::normal;
use crate::simd::Kernel;
use crate::vector::{fused, load, load_part, store};

/// `x ← exp x`.
pub fn exp<T: Element>(x: &mut [T]) {
    T::elementwise(Elementwise::One(One::Exp, x));
}

/// `x ← 1 / (1 + exp −x)`.
pub fn sigmoid<T: Element>(x: &mut [T]) {
    T::elementwise(Elementwise::One(One::Sigmoid, x));
}

/// `x ← tanh x`.
pub fn tanh<T: Element>(x: &mut [T]) {
    T::elementwise(Elementwise::One(One::Tanh, x));
}

/// `x ← max(x, 0)`; NaN stays NaN.
pub fn relu<T: Element>(x: &mut [T]) {
    T::elementwise(Elementwise::One(One::Relu, x));
}

/// `x ← x` where `x > 0`, else `slope · x`; NaN stays NaN.
pub fn leaky_relu<T: Element>(x: &mut [T], slope: T) {
    T::elementwise(Elementwise::One(One::LeakyRelu(slope), x));
}

/// `x ← x Φ(x)`, Φ being the distribution of a standard normal variable: the exact GELU,
/// no approximation by tanh. The error of Φ is at most `4 + x²` units in its last place.
pub fn gelu<T: Element>(x: &mut [T]) {
    T::elementwise(Elementwise::One(One::Gelu, x));
}

/// `x ← x / (1 + exp −x)`.
pub fn silu<T: Element>(x: &mut [T]) {
    T::elementwise(Elementwise::One(One::Silu, x));
}

/// `x ← x` where `x > 0`, else `alpha (exp x − 1)`, which keeps its digits near 0; NaN stays NaN.
pub fn elu<T: Element>(x: &mut [T], alpha: T) {
    T::elementwise(Elementwise::One(One::Elu(alpha), x));
}

/// `x ← ln(1 + exp x)`, as `max(x, 0) + ln(1 + exp −|x|)`: nothing overflows, and what is
/// small keeps its digits.
pub fn softplus<T: Element>(x: &mut [T]) {
    T::elementwise(Elementwise::One(One::Softplus, x));
}

/// `x ← x (x + 3) / 6` between −3 and 3, 0 below and `x` above; NaN stays NaN.
pub fn hard_swish<T: Element>(x: &mut [T]) {
    T::elementwise(Elementwise::One(One::HardSwish, x));
}

/// `g ← g` where `y > 0`, else `(y + alpha) g`: `g` times the derivative of the [`elu`] whose
/// output is `y`, for an `alpha` that is not negative.
#[track_caller]
pub fn elu_gradient<T: Element>(g: &mut [T], y: &[T], alpha: T) {
    two(Two::EluGradient(alpha), g, y);
}

/// `g ← g / (1 + exp −x)`: `g` times the derivative of [`softplus`] at `x`.
#[track_caller]
pub fn softplus_gradient<T: Element>(g: &mut [T], x: &[T]) {
    two(Two::SoftplusGradient, g, x);
}

/// `g ← (x / 3 + ½) g` between −3 and 3, 0 from −3 down and `g` from 3 on: `g` times the
/// derivative of [`hard_swish`] at `x`.
#[track_caller]
pub fn hard_swish_gradient<T: Element>(g: &mut [T], x: &[T]) {
    two(Two::HardSwishGradient, g, x);
}

/// `g ← g` where `y > 0`, else `slope · g`: `g` times the derivative of the
/// [`leaky_relu`] whose output is `y`, for a slope that is not negative.
#[track_caller]
pub fn leaky_relu_gradient<T: Element>(g: &mut [T], y: &[T], slope: T) {
    two(Two::LeakyReluGradient(slope), g, y);
}

/// `g ← (Φ(x) + x φ(x)) g`: `g` times the derivative of [`gelu`] at `x`.
#[track_caller]
pub fn gelu_gradient<T: Element>(g: &mut [T], x: &[T]) {
    two(Two::GeluGradient, g, x);
}

/// `g ← s (1 + x (1 − s)) g` with `s = 1 / (1 + exp −x)`: `g` times the derivative of
/// [`silu`] at `x`.
#[track_caller]
pub fn silu_gradient<T: Element>(g: &mut [T], x: &[T]) {
    two(Two::SiluGradient, g, x);
}

/// `g ← y (1 − y) g`: `g` times the derivative of the sigmoid whose output is `y`.
#[track_caller]
pub fn sigmoid_gradient<T: Element>(g: &mut [T], y: &[T]) {
    two(Two::SigmoidGradient, g, y);
}

/// `g ← (1 − y²) g`: `g` times the derivative of the tanh whose output is `y`.
#[track_caller]
pub fn tanh_gradient<T: Element>(g: &mut [T], y: &[T]) {
    two(Two::TanhGradient, g, y);
}

/// `g ← g` where `y > 0`, else 0: `g` times the derivative of the [`relu`] whose output
/// is `y`.
#[track_caller]
pub fn relu_gradient<T: Element>(g: &mut [T], y: &[T]) {
    two(Two::ReluGradient, g, y);
}

/// `y ← y + x`.
#[track_caller]
pub fn add<T: Element>(y: &mut [T], x: &[T]) {
    two(Two::Add, y, x);
}

/// `y ← y + a x`, rounded once.
#[track_caller]
pub fn add_scaled<T: Element>(y: &mut [T], a: T, x: &[T]) {
    two(Two::AddScaled(a), y, x);
}

#[track_caller]
fn two<T: Element>(op: Two<T>, y: &mut [T], x: &[T]) {
    assert_eq!(x.len(), y.len(), "map: lengths of the two operands");
    T::elementwise(Elementwise::Two(op, y, x));
}

/// A map and its operands.
pub enum Elementwise<'a, T> {
    /// `x ← f(x)`.
    One(One<T>, &'a mut [T]),
    /// `y ← f(y, x)`.
    Two(Two<T>, &'a mut [T], &'a [T]),
}

/// A map of one operand.
#[derive(Clone, Copy)]
pub enum One<T> {
    /// See [`exp`].
    Exp,
    /// See [`sigmoid`].
    Sigmoid,
    /// See [`tanh`].
    Tanh,
    /// See [`relu`].
    Relu,
    /// See [`leaky_relu`].
    LeakyRelu(T),
    /// See [`gelu`].
    Gelu,
    /// See [`silu`].
    Silu,
    /// See [`elu`].
    Elu(T),
    /// See [`softplus`].
    Softplus,
    /// See [`hard_swish`].
    HardSwish,
}

/// A map of two operands that changes the first.
#[derive(Clone, Copy)]
pub enum Two<T> {
    /// See [`sigmoid_gradient`].
    SigmoidGradient,
    /// See [`tanh_gradient`].
    TanhGradient,
    /// See [`relu_gradient`].
    ReluGradient,
    /// See [`leaky_relu_gradient`].
    LeakyReluGradient(T),
    /// See [`gelu_gradient`].
    GeluGradient,
    /// See [`silu_gradient`].
    SiluGradient,
    /// See [`elu_gradient`].
    EluGradient(T),
    /// See [`softplus_gradient`].
    SoftplusGradient,
    /// See [`hard_swish_gradient`].
    HardSwishGradient,
    /// See [`add`].
    Add,
    /// See [`add_scaled`].
    AddScaled(T),
}

impl<T: Element> Kernel for Elementwise<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self {
            Elementwise::One(op, x) => match op {
                One::Exp => each(simd, x, Exp),
                One::Sigmoid => each(simd, x, Sigmoid),
                One::Tanh => each(simd, x, Tanh),
                One::Relu => each(simd, x, Relu),
                One::LeakyRelu(slope) => each(simd, x, LeakyRelu(slope)),
                One::Gelu => each(simd, x, Gelu),
                One::Silu => each(simd, x, Silu),
                One::Elu(alpha) => each(simd, x, Elu(alpha)),
                One::Softplus => each(simd, x, Softplus),
                One::HardSwish => each(simd, x, HardSwish),
            },
            Elementwise::Two(op, y, x) => match op {
                Two::SigmoidGradient => change(simd, y, x, SigmoidGradient),
                Two::TanhGradient => change(simd, y, x, TanhGradient),
                Two::ReluGradient => change(simd, y, x, ReluGradient),
                Two::LeakyReluGradient(slope) => change(simd, y, x, LeakyRelu(slope)),
                Two::GeluGradient => change(simd, y, x, GeluGradient),
                Two::SiluGradient => change(simd, y, x, SiluGradient),
                Two::EluGradient(alpha) => change(simd, y, x, Elu(alpha)),
                Two::SoftplusGradient => change(simd, y, x, SoftplusGradient),
                Two::HardSwishGradient => change(simd, y, x, HardSwishGradient),
                Two::Add => change(simd, y, x, Add),
                Two::AddScaled(a) => change(simd, y, x, AddScaled(a)),
            },
        }
    }
}

/// A function of `N` numbers, on vectors.
trait Function<T: Element, const N: usize>: Copy {
    fn apply<S: Simd, V: SimdFloat<S, Element = T>>(self, simd: S, x: [V; N]) -> V;
}

#[inline(always)]
fn each<S: Simd, T: Element, F: Function<T, 1>>(simd: S, x: &mut [T], f: F) {
    let lanes = T::Wide::<S>::LEN;
    let whole = x.len() / lanes * lanes;
    let mut at = 0;
    while at < whole {
        let operand: T::Wide<S> = load(simd, x, at);
        store(f.apply(simd, [operand]), x, at);
        at += lanes;
    }
    let rest = x.len() - whole;
    if rest > 0 {
        let operand: T::Wide<S> = load_part(simd, x, whole, rest);
        x[whole..].copy_from_slice(&f.apply(simd, [operand]).as_slice()[..rest]);
    }
}

#[inline(always)]
fn change<S: Simd, T: Element, F: Function<T, 2>>(simd: S, y: &mut [T], x: &[T], f: F) {
    let lanes = T::Wide::<S>::LEN;
    let whole = y.len() / lanes * lanes;
    let mut at = 0;
    while at < whole {
        let operands: [T::Wide<S>; 2] = [load(simd, y, at), load(simd, x, at)];
        store(f.apply(simd, operands), y, at);
        at += lanes;
    }
    let rest = y.len() - whole;
    if rest > 0 {
        let operands: [T::Wide<S>; 2] =
            [load_part(simd, y, whole, rest), load_part(simd, x, whole, rest)];
        y[whole..].copy_from_slice(&f.apply(simd, operands).as_slice()[..rest]);
    }
}

macro_rules! functions {
    ($($name:ident<$n:literal>($simd:ident, $pattern:pat) $body:expr;)*) => {$(
        #[derive(Clone, Copy)]
        struct $name;
        impl<T: Element> Function<T, $n> for $name {
            #[inline(always)]
            fn apply<S: Simd, V: SimdFloat<S, Element = T>>(self, $simd: S, $pattern: [V; $n]) -> V {
                $body
            }
        }
    )*};
}

functions! {
    Exp<1>(simd, [x]) exp_of(simd, x);
    Sigmoid<1>(simd, [x]) sigmoid_of(simd, x);
    Tanh<1>(simd, [x]) tanh_of(simd, x);
    Relu<1>(simd, [x]) {
        let zero = V::simd_from(simd, T::ZERO);
        x.simd_le(zero).select(zero, x)
    };
    SigmoidGradient<2>(simd, [g, y]) y * (V::simd_from(simd, T::ONE) - y) * g;
    TanhGradient<2>(simd, [g, y]) {
        let one = V::simd_from(simd, T::ONE);
        fused(simd, -y, y, one) * g
    };
    ReluGradient<2>(simd, [g, y]) {
        let zero = V::simd_from(simd, T::ZERO);
        y.simd_gt(zero).select(g, zero)
    };
    Add<2>(_simd, [y, x]) y + x;
    Gelu<1>(simd, [x]) normal::gelu(simd, x);
    GeluGradient<2>(simd, [g, x]) normal::gelu_derivative(simd, x) * g;
    Silu<1>(simd, [x]) x * sigmoid_of(simd, x);
    SiluGradient<2>(simd, [g, x]) {
        let s = sigmoid_of(simd, x);
        fused(simd, x * s, V::simd_from(simd, T::ONE) - s, s) * g
    };
    Softplus<1>(simd, [x]) {
        let zero = V::simd_from(simd, T::ZERO);
        let above = x.simd_gt(zero).select(x, zero);
        above + log_of_one_and(simd, exp_of(simd, -x.abs()))
    };
    SoftplusGradient<2>(simd, [g, x]) sigmoid_of(simd, x) * g;
    HardSwish<1>(simd, [x]) {
        let three = constant::<S, V>(simd, 3.0);
        let between = x * (x + three) / constant::<S, V>(simd, 6.0);
        let above = x.simd_ge(three).select(x, between);
        x.simd_le(-three).select(V::simd_from(simd, T::ZERO), above)
    };
    HardSwishGradient<2>(simd, [g, x]) {
        let three = constant::<S, V>(simd, 3.0);
        let between = (x / three + constant::<S, V>(simd, 0.5)) * g;
        let above = x.simd_ge(three).select(g, between);
        x.simd_le(-three).select(V::simd_from(simd, T::ZERO), above)
    };
}

#[derive(Clone, Copy)]
struct LeakyRelu<T>(T);

impl<T: Element> Function<T, 1> for LeakyRelu<T> {
    #[inline(always)]
    fn apply<S: Simd, V: SimdFloat<S, Element = T>>(self, simd: S, [x]: [V; 1]) -> V {
        let zero = V::simd_from(simd, T::ZERO);
        x.simd_gt(zero).select(x, x * V::simd_from(simd, self.0))
    }
}

impl<T: Element> Function<T, 2> for LeakyRelu<T> {
    #[inline(always)]
    fn apply<S: Simd, V: SimdFloat<S, Element = T>>(self, simd: S, [g, y]: [V; 2]) -> V {
        let zero = V::simd_from(simd, T::ZERO);
        y.simd_gt(zero).select(g, g * V::simd_from(simd, self.0))
    }
}

#[derive(Clone, Copy)]
struct Elu<T>(T);

impl<T: Element> Function<T, 1> for Elu<T> {
    #[inline(always)]
    fn apply<S: Simd, V: SimdFloat<S, Element = T>>(self, simd: S, [x]: [V; 1]) -> V {
        let zero = V::simd_from(simd, T::ZERO);
        let below = exp_less_one(simd, x) * V::simd_from(simd, self.0);
        x.simd_gt(zero).select(x, below)
    }
}

impl<T: Element> Function<T, 2> for Elu<T> {
    #[inline(always)]
    fn apply<S: Simd, V: SimdFloat<S, Element = T>>(self, simd: S, [g, y]: [V; 2]) -> V {
        let zero = V::simd_from(simd, T::ZERO);
        y.simd_gt(zero).select(g, (y + V::simd_from(simd, self.0)) * g)
    }
}

#[derive(Clone, Copy)]
struct AddScaled<T>(T);

impl<T: Element> Function<T, 2> for AddScaled<T> {
    #[inline(always)]
    fn apply<S: Simd, V: SimdFloat<S, Element = T>>(self, simd: S, [y, x]: [V; 2]) -> V {
        fused(simd, x, V::simd_from(simd, self.0), y)
    }
}

/// The numbers that the exponential of an element type needs.
pub struct Math {
    /// 1.5 · 2^(mantissa bits): adding it rounds to an integer, left in the low bits.
    round: f64,
    mantissa_bits: u32,
    /// ln 2 in two parts; the first has zeros enough for `k·ln2_high` to be exact.
    ln2_high: f64,
    ln2_low: f64,
    /// Beyond these, exp is 0 or infinite.
    exp_low: f64,
    exp_high: f64,
    /// Beyond this, tanh rounds to ±1.
    tanh_limit: f64,
    /// How many terms of the series, from x²/2! on, reach the last place.
    terms: usize,
    /// The same for [`LOGARITHM`].
    log_terms: usize,
    /// `(tanh x / x − 1) / x²` for |x| up to [`TANH_NEAR`], as a polynomial in x²:
    /// interpolated at Chebyshev nodes, lowest power first.
    tanh_series: &'static [f64],
    /// See [`normal::distribution`].
    pub(crate) normal_tail: &'static [f64],
}

impl Math {
    pub(crate) const F32: Self = Self {
        round: 12_582_912.0,
        mantissa_bits: 23,
        ln2_high: 0.693_145_751_953_125,
        ln2_low: 1.428_606_820_309_417_2e-6,
        exp_low: -104.0,
        exp_high: 89.0,
        tanh_limit: 10.0,
        terms: 6,
        log_terms: 8,
        tanh_series: &[
            -0.333_333_316_952_605_5,
            0.133_330_738_135_011_7,
            -0.053_901_753_164_581_23,
            0.021_263_353_447_151_622,
            -0.006_525_572_168_998_148,
        ],
        normal_tail: normal::TAIL_F32,
    };
    pub(crate) const F64: Self = Self {
        round: 6_755_399_441_055_744.0,
        mantissa_bits: 52,
        ln2_high: 0.693_147_180_369_123_8,
        ln2_low: 1.908_214_929_270_587_7e-10,
        exp_low: -746.0,
        exp_high: 710.0,
        tanh_limit: 20.0,
        terms: 12,
        log_terms: 17,
        tanh_series: &[
            -0.333_333_333_333_333_3,
            0.133_333_333_333_323_9,
            -0.053_968_253_967_059_4,
            0.021_869_488_476_962_56,
            -0.008_863_234_021_529_514,
            0.003_592_105_532_132_769,
            -0.001_455_623_977_419_267_8,
            5.887_537_113_834_804e-4,
            -2.341_055_693_667_279_7e-4,
            8.426_522_203_958_066e-5,
            -2.002_674_008_531_768_5e-5,
        ],
        normal_tail: normal::TAIL_F64,
    };
}

/// Where tanh goes over from its series to the exponential: beyond ½, where that form
/// loses no digits.
const TANH_NEAR: f64 = 0.5625;

/// 2/3, 2/5, … 2/35.
const LOGARITHM: [f64; 17] = {
    let mut all = [2.0 / 3.0; 17];
    let mut n = 1;
    while n < 17 {
        all[n] = 2.0 / (2.0 * n as f64 + 3.0);
        n += 1;
    }
    all
};

/// 1/2!, 1/3!, … 1/13!.
const INVERSE_FACTORIALS: [f64; 12] = {
    let mut all = [0.5; 12];
    let mut n = 1;
    while n < 12 {
        all[n] = all[n - 1] / (n as f64 + 2.0);
        n += 1;
    }
    all
};

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
fn power_of_two<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, shifted: V) -> V {
    let one = V::simd_from(simd, V::Element::ONE).to_bits();
    V::from_bits((shifted.to_bits() << V::Element::MATH.mantissa_bits) + one)
}

#[inline(always)]
pub(crate) fn exp_of<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, x: V) -> V {
    let math = &V::Element::MATH;
    let (low, high) = (constant::<S, V>(simd, math.exp_low), constant::<S, V>(simd, math.exp_high));
    let x = x.simd_lt(low).select(low, x);
    let x = x.simd_gt(high).select(high, x);
    // x = k ln 2 + r, |r| ≤ ln(2)/2; what rounding took from r is added at the end.
    let round = constant::<S, V>(simd, math.round);
    let k = fused(simd, x, constant::<S, V>(simd, std::f64::consts::LOG2_E), round) - round;
    let high = fused(simd, k, constant::<S, V>(simd, -math.ln2_high), x);
    let r = fused(simd, k, constant::<S, V>(simd, -math.ln2_low), high);
    let lost = fused(simd, k, constant::<S, V>(simd, -math.ln2_low), high - r);
    // exp r = 1 + r + r²/2! + …: the last sum is the only one whose rounding matters.
    let series = polynomial(simd, r, &INVERSE_FACTORIALS[..math.terms]);
    let one = V::simd_from(simd, V::Element::ONE);
    let sum = one + r;
    let rest = fused(simd, r * r, series, (one - sum) + r + lost);
    // 2^k in two factors: the ends of the range are beyond one exponent.
    let half = fused(simd, k, constant::<S, V>(simd, 0.5), round);
    let (a, b) = (power_of_two(simd, half), power_of_two(simd, (k - (half - round)) + round));
    (sum + rest) * a * b
}

#[inline(always)]
fn tanh_of<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, x: V) -> V {
    // Near 0 a series in x², elsewhere 1 − 2 / (exp(2|x|) + 1): a quotient of two
    // numbers that both grow would not be monotone.
    let (one, two) = (
        V::simd_from(simd, V::Element::ONE),
        V::simd_from(simd, V::Element::ONE + V::Element::ONE),
    );
    let limit = constant::<S, V>(simd, V::Element::MATH.tanh_limit);
    let magnitude = x.abs();
    let magnitude = magnitude.simd_gt(limit).select(limit, magnitude);
    let far = one - two / (exp_of(simd, magnitude + magnitude) + one);
    let square = magnitude * magnitude;
    let series = polynomial(simd, square, V::Element::MATH.tanh_series);
    let near = fused(simd, square * magnitude, series, magnitude);
    let is_near = magnitude.simd_lt(constant::<S, V>(simd, TANH_NEAR));
    is_near.select(near, far).copysign(x)
}

/// `exp x − 1` for `x` up to 0, and what it has to be nowhere else: `2t / (1 − t)` with
/// `t = tanh(x / 2)` subtracts nothing from what is nearly the same.
#[inline(always)]
fn exp_less_one<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, x: V) -> V {
    let t = tanh_of(simd, x * constant::<S, V>(simd, 0.5));
    (t + t) / (V::simd_from(simd, V::Element::ONE) - t)
}

/// `ln(1 + z)` for `z` from 0 to 1: with `s = z / (2 + z)` it is `2s + ⅔s³ + …`, and `2s` is
/// `z − sz`, so that what is rounded is the smaller part.
#[inline(always)]
fn log_of_one_and<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, z: V) -> V {
    let s = z / (constant::<S, V>(simd, 2.0) + z);
    let square = s * s;
    let series = polynomial(simd, square, &LOGARITHM[..V::Element::MATH.log_terms]);
    fused(simd, -s, fused(simd, -square, series, z), z)
}

#[inline(always)]
fn sigmoid_of<S: Simd, V: SimdFloat<S, Element: Element>>(simd: S, x: V) -> V {
    // z = exp(−|x|) is at most 1: no overflow, and a small result keeps its digits.
    let one = V::simd_from(simd, V::Element::ONE);
    let zero = V::simd_from(simd, V::Element::ZERO);
    let z = exp_of(simd, -x.abs());
    let numerator = x.simd_lt(zero).select(z, one);
    let sum = one + z;
    let quotient = numerator / sum;
    // What the roundings of sum and quotient lost, times an estimate of 1 / (1 + z).
    let lost = fused(simd, -quotient, sum, numerator) - quotient * (z - (sum - one));
    let inverse = x.simd_lt(zero).select(one - quotient, quotient);
    fused(simd, lost, inverse, quotient)
}
