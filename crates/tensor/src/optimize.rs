//! What an optimizer does to each parameter, in one pass over flat slices.
//!
//! Multiply-adds are fused, roots and quotients correctly rounded, so that every level
//! gives the same bits.
//!
//! # Panics
//! Every function panics if its slices differ in length.

use fearless_simd::{Select, Simd, SimdBase, SimdFloat, SimdFrom};

use crate::Element;
use crate::simd::Kernel;
use crate::vector::{fused, load, load_part, store};

/// Gradient descent with momentum.
#[derive(Clone, Copy, Debug)]
pub struct Momentum<T> {
    /// The learning rate η.
    pub rate: T,
    /// λ, added to the gradient as `λ w`.
    pub weight_decay: T,
    /// μ.
    pub momentum: T,
    /// Whether the step looks ahead along the new velocity.
    pub nesterov: bool,
}

/// `g ← g + λ w`, `v ← μ v + g`, `w ← w − η v`; with Nesterov's form
/// `w ← w − η (g + μ v)`.
#[track_caller]
pub fn momentum<T: Element>(w: &mut [T], g: &[T], v: &mut [T], step: Momentum<T>) {
    assert!(g.len() == w.len() && v.len() == w.len(), "momentum: lengths");
    T::optimize(Optimize { w, g, rule: Rule::Momentum(step, v) });
}

/// Gradient descent with weight decay: `w ← w − η (g + λ w)`.
#[track_caller]
pub fn descend<T: Element>(w: &mut [T], g: &[T], rate: T, weight_decay: T) {
    assert!(g.len() == w.len(), "descend: lengths");
    T::optimize(Optimize { w, g, rule: Rule::Descent { rate, weight_decay } });
}

/// The coefficients of a step of Adam or `AdamW`.
#[derive(Clone, Copy, Debug)]
pub struct Adam<T> {
    /// η / (1 − β₁ᵗ).
    pub rate: T,
    /// 1 − β₁.
    pub rest1: T,
    /// β₂.
    pub beta2: T,
    /// 1 − β₂.
    pub rest2: T,
    /// 1 / √(1 − β₂ᵗ).
    pub root_scale: T,
    /// ε.
    pub epsilon: T,
    /// λ, added to the gradient as `λ w` (Adam).
    pub weight_decay: T,
    /// What parameters are multiplied with first: 1, or 1 − η λ (`AdamW`).
    pub shrink: T,
}

/// `w ← s w`, `g ← g + λ w`, `m ← m + (1 − β₁)(g − m)`, `v ← β₂ v + (1 − β₂) g²`,
/// `w ← w − η/(1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)`.
#[track_caller]
pub fn adam<T: Element>(w: &mut [T], g: &[T], m: &mut [T], v: &mut [T], step: &Adam<T>) {
    let len = w.len();
    assert!(g.len() == len && m.len() == len && v.len() == len, "adam: lengths");
    T::optimize(Optimize { w, g, rule: Rule::Adam(*step, m, v) });
}

/// The coefficients of a step of `RMSprop`.
#[derive(Clone, Copy, Debug)]
pub struct RmsProp<T> {
    /// η.
    pub rate: T,
    /// α.
    pub alpha: T,
    /// 1 − α.
    pub rest: T,
    /// ε.
    pub epsilon: T,
    /// λ, added to the gradient as `λ w`.
    pub weight_decay: T,
    /// μ.
    pub momentum: T,
}

/// `g ← g + λ w`, `v ← α v + (1 − α) g²`, `m ← μ m + g / (√v + ε)`, `w ← w − η m`; without
/// memory for `m`, which is then empty, as with a momentum of 0.
#[track_caller]
pub fn rms_prop<T: Element>(w: &mut [T], g: &[T], m: &mut [T], v: &mut [T], step: RmsProp<T>) {
    let len = w.len();
    let fits = g.len() == len && v.len() == len && (m.is_empty() || m.len() == len);
    assert!(fits, "rms_prop: lengths");
    let rule =
        if m.is_empty() { Rule::RmsProp(step, v) } else { Rule::RmsPropMomentum(step, m, v) };
    T::optimize(Optimize { w, g, rule });
}

/// The coefficients of a step of Lion.
#[derive(Clone, Copy, Debug)]
pub struct Lion<T> {
    /// η.
    pub rate: T,
    /// 1 − β₁.
    pub rest1: T,
    /// 1 − β₂.
    pub rest2: T,
    /// What parameters are multiplied with first: 1 − η λ.
    pub shrink: T,
}

/// `w ← s w`, `w ← w − η sign(m + (1 − β₁)(g − m))`, `m ← m + (1 − β₂)(g − m)`; the sign of
/// 0 is 0.
#[track_caller]
pub fn lion<T: Element>(w: &mut [T], g: &[T], m: &mut [T], step: Lion<T>) {
    assert!(g.len() == w.len() && m.len() == w.len(), "lion: lengths");
    T::optimize(Optimize { w, g, rule: Rule::Lion(step, m) });
}

/// `a ← a + r (w − a)`: the moving average `a` takes in `w`.
#[track_caller]
pub fn average<T: Element>(a: &mut [T], w: &[T], rest: T) {
    assert!(a.len() == w.len(), "average: lengths");
    T::optimize(Optimize { w: a, g: w, rule: Rule::Average(rest) });
}

/// An optimizer's pass and its operands.
pub struct Optimize<'a, T> {
    w: &'a mut [T],
    g: &'a [T],
    rule: Rule<'a, T>,
}

enum Rule<'a, T> {
    Descent { rate: T, weight_decay: T },
    Momentum(Momentum<T>, &'a mut [T]),
    Adam(Adam<T>, &'a mut [T], &'a mut [T]),
    RmsProp(RmsProp<T>, &'a mut [T]),
    RmsPropMomentum(RmsProp<T>, &'a mut [T], &'a mut [T]),
    Lion(Lion<T>, &'a mut [T]),
    Average(T),
}

impl<T: Element> Kernel for Optimize<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { w, g, rule } = self;
        match rule {
            Rule::Descent { rate, weight_decay } => {
                each(simd, Descent { rate, weight_decay }, w, g, []);
            }
            Rule::Momentum(step, v) => each(simd, step, w, g, [v]),
            Rule::Adam(step, m, v) => each(simd, step, w, g, [m, v]),
            Rule::RmsProp(step, v) => each(simd, step, w, g, [v]),
            Rule::RmsPropMomentum(step, m, v) => each(simd, step, w, g, [m, v]),
            Rule::Lion(step, m) => each(simd, step, w, g, [m]),
            Rule::Average(rest) => each(simd, Average(rest), w, g, []),
        }
    }
}

/// The step of one parameter with `N` numbers of state, on vectors.
trait Step<T: Element, const N: usize>: Copy {
    fn apply<S: Simd, V: SimdFloat<S, Element = T>>(
        self,
        simd: S,
        w: V,
        g: V,
        state: [V; N],
    ) -> (V, [V; N]);
}

#[inline(always)]
fn each<S: Simd, T: Element, R: Step<T, N>, const N: usize>(
    simd: S,
    step: R,
    w: &mut [T],
    g: &[T],
    state: [&mut [T]; N],
) {
    let lanes = T::Wide::<S>::LEN;
    let whole = w.len() / lanes * lanes;
    let zero = T::Wide::<S>::simd_from(simd, T::ZERO);
    let mut at = 0;
    while at < whole {
        let mut vectors = [zero; N];
        for i in 0..N {
            vectors[i] = load(simd, state[i], at);
        }
        let (new, vectors) =
            step.apply::<S, T::Wide<S>>(simd, load(simd, w, at), load(simd, g, at), vectors);
        store(new, w, at);
        for i in 0..N {
            store(vectors[i], state[i], at);
        }
        at += lanes;
    }
    let rest = w.len() - whole;
    if rest > 0 {
        let mut vectors = [zero; N];
        for i in 0..N {
            vectors[i] = load_part(simd, state[i], whole, rest);
        }
        let (old, g) = (load_part(simd, w, whole, rest), load_part(simd, g, whole, rest));
        let (new, vectors) = step.apply::<S, T::Wide<S>>(simd, old, g, vectors);
        w[whole..].copy_from_slice(&new.as_slice()[..rest]);
        for i in 0..N {
            state[i][whole..].copy_from_slice(&vectors[i].as_slice()[..rest]);
        }
    }
}

#[derive(Clone, Copy)]
struct Descent<T> {
    rate: T,
    weight_decay: T,
}

impl<T: Element> Step<T, 0> for Descent<T> {
    #[inline(always)]
    fn apply<S: Simd, V: SimdFloat<S, Element = T>>(
        self,
        simd: S,
        w: V,
        g: V,
        _: [V; 0],
    ) -> (V, [V; 0]) {
        let g = fused(simd, w, V::simd_from(simd, self.weight_decay), g);
        (fused(simd, g, V::simd_from(simd, -self.rate), w), [])
    }
}

impl<T: Element> Step<T, 1> for Momentum<T> {
    #[inline(always)]
    fn apply<S: Simd, V: SimdFloat<S, Element = T>>(
        self,
        simd: S,
        w: V,
        g: V,
        [v]: [V; 1],
    ) -> (V, [V; 1]) {
        let momentum = V::simd_from(simd, self.momentum);
        let g = fused(simd, w, V::simd_from(simd, self.weight_decay), g);
        let v = fused(simd, v, momentum, g);
        let direction = if self.nesterov { fused(simd, v, momentum, g) } else { v };
        (fused(simd, direction, V::simd_from(simd, -self.rate), w), [v])
    }
}

impl<T: Element> Step<T, 2> for Adam<T> {
    #[inline(always)]
    fn apply<S: Simd, V: SimdFloat<S, Element = T>>(
        self,
        simd: S,
        w: V,
        g: V,
        [m, v]: [V; 2],
    ) -> (V, [V; 2]) {
        let w = w * V::simd_from(simd, self.shrink);
        let g = fused(simd, w, V::simd_from(simd, self.weight_decay), g);
        let m = fused(simd, g - m, V::simd_from(simd, self.rest1), m);
        let square = g * g * V::simd_from(simd, self.rest2);
        let v = fused(simd, v, V::simd_from(simd, self.beta2), square);
        let scale = V::simd_from(simd, self.root_scale);
        let root = fused(simd, v.sqrt(), scale, V::simd_from(simd, self.epsilon));
        (fused(simd, m / root, V::simd_from(simd, -self.rate), w), [m, v])
    }
}

impl<T: Element> RmsProp<T> {
    /// The direction of the step without momentum, and the new mean of squares.
    #[inline(always)]
    fn direction<S: Simd, V: SimdFloat<S, Element = T>>(self, simd: S, w: V, g: V, v: V) -> (V, V) {
        let g = fused(simd, w, V::simd_from(simd, self.weight_decay), g);
        let square = g * g * V::simd_from(simd, self.rest);
        let v = fused(simd, v, V::simd_from(simd, self.alpha), square);
        (g / (v.sqrt() + V::simd_from(simd, self.epsilon)), v)
    }
}

impl<T: Element> Step<T, 1> for RmsProp<T> {
    #[inline(always)]
    fn apply<S: Simd, V: SimdFloat<S, Element = T>>(
        self,
        simd: S,
        w: V,
        g: V,
        [v]: [V; 1],
    ) -> (V, [V; 1]) {
        let (direction, v) = self.direction(simd, w, g, v);
        (fused(simd, direction, V::simd_from(simd, -self.rate), w), [v])
    }
}

impl<T: Element> Step<T, 2> for RmsProp<T> {
    #[inline(always)]
    fn apply<S: Simd, V: SimdFloat<S, Element = T>>(
        self,
        simd: S,
        w: V,
        g: V,
        [m, v]: [V; 2],
    ) -> (V, [V; 2]) {
        let (direction, v) = self.direction(simd, w, g, v);
        let m = fused(simd, m, V::simd_from(simd, self.momentum), direction);
        (fused(simd, m, V::simd_from(simd, -self.rate), w), [m, v])
    }
}

impl<T: Element> Step<T, 1> for Lion<T> {
    #[inline(always)]
    fn apply<S: Simd, V: SimdFloat<S, Element = T>>(
        self,
        simd: S,
        w: V,
        g: V,
        [m]: [V; 1],
    ) -> (V, [V; 1]) {
        let (zero, one) = (V::simd_from(simd, T::ZERO), V::simd_from(simd, T::ONE));
        let direction = fused(simd, g - m, V::simd_from(simd, self.rest1), m);
        let sign = direction.simd_lt(zero).select(-one, direction);
        let sign = direction.simd_gt(zero).select(one, sign);
        let w = w * V::simd_from(simd, self.shrink);
        let m = fused(simd, g - m, V::simd_from(simd, self.rest2), m);
        (fused(simd, sign, V::simd_from(simd, -self.rate), w), [m])
    }
}

#[derive(Clone, Copy)]
struct Average<T>(T);

impl<T: Element> Step<T, 0> for Average<T> {
    #[inline(always)]
    fn apply<S: Simd, V: SimdFloat<S, Element = T>>(
        self,
        simd: S,
        a: V,
        w: V,
        _: [V; 0],
    ) -> (V, [V; 0]) {
        (fused(simd, w - a, V::simd_from(simd, self.0), a), [])
    }
}
