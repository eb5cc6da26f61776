//! The step of each optimizer for parameters `w` with gradients `g`, in one pass over flat slices.
//!
//! Multiply-adds are fused, roots and quotients correctly rounded, so every level gives the same
//! bits.
//!
//! # Panics
//! Every step panics if its slices differ in length.

use fearless_simd::{Select, SimdBase, SimdFloat};

use crate::Element;
use crate::map::map;
use crate::math::constant;
use crate::vector::fused;

/// Gradient descent with weight decay.
#[derive(Clone, Copy, Debug)]
pub struct Descent<T> {
    /// The learning rate η.
    pub rate: T,
    /// λ, added to the gradient as `λ w`.
    pub weight_decay: T,
}

impl<T: Element> Descent<T> {
    /// `w ← w − η (g + λ w)`.
    #[track_caller]
    pub fn step(self, w: &mut [T], g: &[T]) {
        let Self { rate, weight_decay } = self;
        map!(|simd, [w], [g], rate, weight_decay| {
            [fused(simd, fused(simd, w, weight_decay, g), -rate, w)]
        });
    }
}

/// Gradient descent with momentum.
#[derive(Clone, Copy, Debug)]
pub struct Momentum<T> {
    /// The learning rate η.
    pub rate: T,
    /// λ, added to the gradient as `λ w`.
    pub weight_decay: T,
    /// μ.
    pub momentum: T,
    /// Whether the step looks ahead along the new velocity (Nesterov).
    pub nesterov: bool,
}

impl<T: Element> Momentum<T> {
    /// `g ← g + λ w`, `v ← μ v + g`, `w ← w − η v`; with Nesterov's form
    /// `w ← w − η (g + μ v)`.
    #[track_caller]
    pub fn step(self, w: &mut [T], g: &[T], v: &mut [T]) {
        let Self { rate, weight_decay, momentum, nesterov } = self;
        if nesterov {
            map!(|simd, [w, v], [g], rate, weight_decay, momentum| {
                let g = fused(simd, w, weight_decay, g);
                let v = fused(simd, v, momentum, g);
                [fused(simd, fused(simd, v, momentum, g), -rate, w), v]
            });
        } else {
            map!(|simd, [w, v], [g], rate, weight_decay, momentum| {
                let v = fused(simd, v, momentum, fused(simd, w, weight_decay, g));
                [fused(simd, v, -rate, w), v]
            });
        }
    }
}

/// A step of Adam or `AdamW`.
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
    /// The factor that parameters are multiplied by first: 1, or 1 − η λ (`AdamW`).
    pub shrink: T,
}

impl<T: Element> Adam<T> {
    /// `w ← s w`, `g ← g + λ w`, `m ← m + (1 − β₁)(g − m)`, `v ← β₂ v + (1 − β₂) g²`,
    /// `w ← w − η/(1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)`.
    #[track_caller]
    pub fn step(self, w: &mut [T], g: &[T], m: &mut [T], v: &mut [T]) {
        let Self { rate, rest1, beta2, rest2, root_scale, epsilon, weight_decay, shrink } = self;
        map!(|simd,
              [w, m, v],
              [g],
              rate,
              rest1,
              beta2,
              rest2,
              root_scale,
              epsilon,
              weight_decay,
              shrink| {
            let w = w * shrink;
            let g = fused(simd, w, weight_decay, g);
            let m = fused(simd, g - m, rest1, m);
            let v = fused(simd, v, beta2, g * g * rest2);
            let root = fused(simd, v.sqrt(), root_scale, epsilon);
            [fused(simd, m / root, -rate, w), m, v]
        });
    }
}

/// A step of `RMSprop`.
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

impl<T: Element> RmsProp<T> {
    /// `g ← g + λ w`, `v ← α v + (1 − α) g²`, `m ← μ m + g / (√v + ε)`, `w ← w − η m`. If `m` is
    /// empty, the momentum is 0.
    #[track_caller]
    pub fn step(self, w: &mut [T], g: &[T], m: &mut [T], v: &mut [T]) {
        let Self { rate, alpha, rest, epsilon, weight_decay, momentum } = self;
        if m.is_empty() {
            map!(|simd, [w, v], [g], rate, alpha, rest, epsilon, weight_decay| {
                let g = fused(simd, w, weight_decay, g);
                let v = fused(simd, v, alpha, g * g * rest);
                [fused(simd, g / (v.sqrt() + epsilon), -rate, w), v]
            });
        } else {
            map!(|simd, [w, m, v], [g], rate, alpha, rest, epsilon, weight_decay, momentum| {
                let g = fused(simd, w, weight_decay, g);
                let v = fused(simd, v, alpha, g * g * rest);
                let m = fused(simd, m, momentum, g / (v.sqrt() + epsilon));
                [fused(simd, m, -rate, w), m, v]
            });
        }
    }
}

/// A step of Lion.
#[derive(Clone, Copy, Debug)]
pub struct Lion<T> {
    /// η.
    pub rate: T,
    /// 1 − β₁.
    pub rest1: T,
    /// 1 − β₂.
    pub rest2: T,
    /// The factor that parameters are multiplied by first: 1 − η λ.
    pub shrink: T,
}

impl<T: Element> Lion<T> {
    /// `w ← s w`, `w ← w − η sign(m + (1 − β₁)(g − m))`, `m ← m + (1 − β₂)(g − m)`; the sign of
    /// 0 is 0.
    #[track_caller]
    pub fn step(self, w: &mut [T], g: &[T], m: &mut [T]) {
        let Self { rate, rest1, rest2, shrink } = self;
        map!(|simd, [w, m], [g], rate, rest1, rest2, shrink| {
            let one: T::Wide<S> = constant(simd, 1.0);
            let direction = fused(simd, g - m, rest1, m);
            let sign = direction.simd_lt(T::ZERO).select(-one, direction);
            let sign = direction.simd_gt(T::ZERO).select(one, sign);
            let m = fused(simd, g - m, rest2, m);
            [fused(simd, sign, -rate, w * shrink), m]
        });
    }
}
