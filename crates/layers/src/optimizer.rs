use serde::{Deserialize, Deserializer, Serialize, de};
use tensor::Element;
use tensor::optimize::{Adam, Descent, Lion, Momentum, RmsProp};

use crate::tagged::{fraction, name_or_table, not_negative};

/// How a gradient `g` changes the parameters `w`, with learning rate `η`.
///
/// The arithmetic and the defaults are PyTorch's. As text a name, `"adam"`, or a table,
/// `{ type = "adam", beta1 = 0.95 }`.
///
/// Weight decay applies to all parameters, as in PyTorch; `decay_biases = false` spares
/// whatever is no weight: biases, and the factors of a normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Optimizer {
    /// Gradient descent: `w ← w − η g`; with momentum `v ← μ v + g`, `w ← w − η v`, or in
    /// Nesterov's form `w ← w − η (g + μ v)`.
    Sgd {
        /// μ, 0 by default.
        momentum: f64,
        /// Whether the step looks ahead along the new velocity.
        nesterov: bool,
        /// λ: `g ← g + λ w` comes first. 0 by default.
        weight_decay: f64,
        /// Whether λ is for biases too.
        decay_biases: bool,
    },
    /// Adam (Kingma and Ba, 2015): the mean of the gradients over the root of the mean
    /// of their squares, both moving and corrected for their start at 0.
    Adam {
        /// What the mean keeps each step, 0.9 by default.
        beta1: f64,
        /// What the mean of squares keeps each step, 0.999 by default.
        beta2: f64,
        /// Added to the root, 1e-8 by default.
        epsilon: f64,
        /// λ: `g ← g + λ w` comes first. 0 by default.
        weight_decay: f64,
        /// Whether λ is for biases too.
        decay_biases: bool,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019): `w ← w − η λ w`
    /// comes first, and the gradient knows nothing of it.
    #[serde(rename = "adamw")]
    AdamW {
        /// As Adam's.
        beta1: f64,
        /// As Adam's.
        beta2: f64,
        /// As Adam's.
        epsilon: f64,
        /// λ, 0.01 by default.
        weight_decay: f64,
        /// Whether λ is for biases too.
        decay_biases: bool,
    },
    /// `RMSprop` (Hinton, 2012): the gradient over the root of the moving mean of its squares,
    /// `v ← α v + (1 − α) g²`, `w ← w − η g / (√v + ε)`; with momentum
    /// `m ← μ m + g / (√v + ε)`, `w ← w − η m`.
    #[serde(rename = "rmsprop")]
    RmsProp {
        /// α, what the mean of squares keeps each step, 0.99 by default.
        alpha: f64,
        /// Added to the root, 1e-8 by default.
        epsilon: f64,
        /// μ, 0 by default.
        momentum: f64,
        /// λ: `g ← g + λ w` comes first. 0 by default.
        weight_decay: f64,
        /// Whether λ is for biases too.
        decay_biases: bool,
    },
    /// Lion (Chen et al., 2023): a step of the same length for every parameter, in the direction
    /// of a mean of the gradients, `w ← w − η sign(β₁ m + (1 − β₁) g)`, `m ← β₂ m + (1 − β₂) g`,
    /// with decoupled weight decay, `w ← w − η λ w` first. It takes a learning rate of a third to
    /// a tenth of Adam's.
    Lion {
        /// What the direction has of the mean, 0.9 by default.
        beta1: f64,
        /// What the mean keeps each step, 0.99 by default.
        beta2: f64,
        /// λ, 0 by default.
        weight_decay: f64,
        /// Whether λ is for biases too.
        decay_biases: bool,
    },
}

/// What [`Optimizer`] is read as: the form that serde derives.
#[derive(Deserialize)]
#[serde(remote = "Optimizer", rename_all = "snake_case", deny_unknown_fields)]
enum Table {
    Sgd {
        #[serde(default, deserialize_with = "fraction")]
        momentum: f64,
        #[serde(default)]
        nesterov: bool,
        #[serde(default, deserialize_with = "not_negative")]
        weight_decay: f64,
        #[serde(default = "yes")]
        decay_biases: bool,
    },
    Adam {
        #[serde(default = "beta1", deserialize_with = "fraction")]
        beta1: f64,
        #[serde(default = "beta2", deserialize_with = "fraction")]
        beta2: f64,
        #[serde(default = "epsilon", deserialize_with = "not_negative")]
        epsilon: f64,
        #[serde(default, deserialize_with = "not_negative")]
        weight_decay: f64,
        #[serde(default = "yes")]
        decay_biases: bool,
    },
    #[serde(rename = "adamw")]
    AdamW {
        #[serde(default = "beta1", deserialize_with = "fraction")]
        beta1: f64,
        #[serde(default = "beta2", deserialize_with = "fraction")]
        beta2: f64,
        #[serde(default = "epsilon", deserialize_with = "not_negative")]
        epsilon: f64,
        #[serde(default = "adamw_decay", deserialize_with = "not_negative")]
        weight_decay: f64,
        #[serde(default = "yes")]
        decay_biases: bool,
    },
    #[serde(rename = "rmsprop")]
    RmsProp {
        #[serde(default = "alpha", deserialize_with = "fraction")]
        alpha: f64,
        #[serde(default = "epsilon", deserialize_with = "not_negative")]
        epsilon: f64,
        #[serde(default, deserialize_with = "fraction")]
        momentum: f64,
        #[serde(default, deserialize_with = "not_negative")]
        weight_decay: f64,
        #[serde(default = "yes")]
        decay_biases: bool,
    },
    Lion {
        #[serde(default = "beta1", deserialize_with = "fraction")]
        beta1: f64,
        #[serde(default = "lion_beta2", deserialize_with = "fraction")]
        beta2: f64,
        #[serde(default, deserialize_with = "not_negative")]
        weight_decay: f64,
        #[serde(default = "yes")]
        decay_biases: bool,
    },
}

fn alpha() -> f64 {
    0.99
}

fn lion_beta2() -> f64 {
    0.99
}

fn beta1() -> f64 {
    0.9
}

fn beta2() -> f64 {
    0.999
}

fn epsilon() -> f64 {
    1e-8
}

fn adamw_decay() -> f64 {
    0.01
}

fn yes() -> bool {
    true
}

impl<'de> Deserialize<'de> for Optimizer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Whole(#[serde(with = "Table")] Optimizer);
        let Whole(optimizer) = name_or_table(deserializer)?;
        if let Self::Sgd { momentum: 0.0, nesterov: true, .. } = optimizer {
            let expected =
                "nesterov: expected a momentum above 0 beside it, such as 0.9, found none";
            return Err(de::Error::custom(expected));
        }
        Ok(optimizer)
    }
}

impl Default for Optimizer {
    fn default() -> Self {
        Self::sgd()
    }
}

impl Optimizer {
    /// What it adds to the root that it divides by, if it does.
    pub fn epsilon(self) -> Option<f64> {
        match self {
            Self::Adam { epsilon, .. }
            | Self::AdamW { epsilon, .. }
            | Self::RmsProp { epsilon, .. } => Some(epsilon),
            Self::Sgd { .. } | Self::Lion { .. } => None,
        }
    }

    /// Plain gradient descent.
    pub fn sgd() -> Self {
        Self::momentum(0.0)
    }

    /// Gradient descent with this momentum.
    pub fn momentum(momentum: f64) -> Self {
        Self::Sgd { momentum, nesterov: false, weight_decay: 0.0, decay_biases: true }
    }

    /// Gradient descent with this momentum in Nesterov's form.
    ///
    /// # Panics
    /// If the momentum is 0: there is nothing to look ahead along.
    #[track_caller]
    pub fn nesterov(momentum: f64) -> Self {
        assert!(momentum != 0.0, "Optimizer::nesterov: expected a momentum above 0, got 0");
        Self::Sgd { momentum, nesterov: true, weight_decay: 0.0, decay_biases: true }
    }

    /// Adam with the defaults.
    pub fn adam() -> Self {
        Self::Adam {
            beta1: beta1(),
            beta2: beta2(),
            epsilon: epsilon(),
            weight_decay: 0.0,
            decay_biases: true,
        }
    }

    /// `AdamW` with the defaults.
    pub fn adamw() -> Self {
        Self::AdamW {
            beta1: beta1(),
            beta2: beta2(),
            epsilon: epsilon(),
            weight_decay: adamw_decay(),
            decay_biases: true,
        }
    }

    /// `RMSprop` with the defaults.
    pub fn rmsprop() -> Self {
        Self::RmsProp {
            alpha: alpha(),
            epsilon: epsilon(),
            momentum: 0.0,
            weight_decay: 0.0,
            decay_biases: true,
        }
    }

    /// Lion with the defaults.
    pub fn lion() -> Self {
        let (beta1, beta2) = (beta1(), lion_beta2());
        Self::Lion { beta1, beta2, weight_decay: 0.0, decay_biases: true }
    }

    /// The same with another weight decay, for biases too or not.
    pub fn with_weight_decay(mut self, decay: f64, biases: bool) -> Self {
        let (Self::Sgd { weight_decay, decay_biases, .. }
        | Self::Adam { weight_decay, decay_biases, .. }
        | Self::AdamW { weight_decay, decay_biases, .. }
        | Self::RmsProp { weight_decay, decay_biases, .. }
        | Self::Lion { weight_decay, decay_biases, .. }) = &mut self;
        (*weight_decay, *decay_biases) = (decay, biases);
        self
    }

    /// Whether a step is `w ← w − η g` and nothing else, so that a layer may take it.
    pub(crate) fn is_plain_descent(self) -> bool {
        matches!(self, Self::Sgd { momentum: 0.0, weight_decay: 0.0, .. })
    }

    /// Whether a momentum is remembered for each parameter, and whether a mean of squares is.
    pub(crate) fn moments(self) -> [bool; 2] {
        match self {
            Self::Sgd { momentum, .. } => [momentum != 0.0, false],
            Self::Adam { .. } | Self::AdamW { .. } => [true, true],
            Self::RmsProp { momentum, .. } => [momentum != 0.0, true],
            Self::Lion { .. } => [true, false],
        }
    }

    /// Whether weight decay is not the same for all parameters.
    pub(crate) fn spares_biases(self) -> bool {
        let (Self::Sgd { decay_biases, .. }
        | Self::Adam { decay_biases, .. }
        | Self::AdamW { decay_biases, .. }
        | Self::RmsProp { decay_biases, .. }
        | Self::Lion { decay_biases, .. }) = self;
        !decay_biases
    }

    /// The coefficients of step `step`, counted from 1; without weight decay where it is
    /// not wanted.
    pub(crate) fn update<T: Element>(self, rate: f64, step: u64, decays: bool) -> Update<T> {
        let of = T::from_f64;
        let decay = |weight_decay: f64| if decays { weight_decay } else { 0.0 };
        match self {
            Self::Sgd { momentum: 0.0, weight_decay, .. } => {
                Update::Descent(Descent { rate: of(rate), weight_decay: of(decay(weight_decay)) })
            }
            Self::Sgd { momentum, nesterov, weight_decay, .. } => Update::Momentum(Momentum {
                rate: of(rate),
                weight_decay: of(decay(weight_decay)),
                momentum: of(momentum),
                nesterov,
            }),
            Self::Adam { beta1, beta2, epsilon, weight_decay, .. } => {
                let adam = adam_step([beta1, beta2], epsilon, rate, step);
                Update::Adam(Adam { weight_decay: of(decay(weight_decay)), ..adam })
            }
            Self::AdamW { beta1, beta2, epsilon, weight_decay, .. } => {
                let adam = adam_step([beta1, beta2], epsilon, rate, step);
                Update::Adam(Adam { shrink: of(1.0 - rate * decay(weight_decay)), ..adam })
            }
            Self::RmsProp { alpha, epsilon, momentum, weight_decay, .. } => {
                Update::RmsProp(RmsProp {
                    rate: of(rate),
                    alpha: of(alpha),
                    rest: of(1.0 - alpha),
                    epsilon: of(epsilon),
                    weight_decay: of(decay(weight_decay)),
                    momentum: of(momentum),
                })
            }
            Self::Lion { beta1, beta2, weight_decay, .. } => Update::Lion(Lion {
                rate: of(rate),
                rest1: of(1.0 - beta1),
                rest2: of(1.0 - beta2),
                shrink: of(1.0 - rate * decay(weight_decay)),
            }),
        }
    }
}

fn adam_step<T: Element>([beta1, beta2]: [f64; 2], epsilon: f64, rate: f64, step: u64) -> Adam<T> {
    // Beyond that many steps both corrections are 1; and powf is not the same on all
    // platforms, while a product is.
    let power = |base: f64| {
        let (mut power, mut base, mut left) = (1.0, base, step);
        while left > 0 {
            if left % 2 == 1 {
                power *= base;
            }
            base *= base;
            left /= 2;
        }
        power
    };
    Adam {
        rate: T::from_f64(rate / (1.0 - power(beta1))),
        rest1: T::from_f64(1.0 - beta1),
        beta2: T::from_f64(beta2),
        rest2: T::from_f64(1.0 - beta2),
        root_scale: T::from_f64(1.0 / (1.0 - power(beta2)).sqrt()),
        epsilon: T::from_f64(epsilon),
        weight_decay: T::ZERO,
        shrink: T::ONE,
    }
}

/// An optimizer's step with its coefficients.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Update<T> {
    Descent(Descent<T>),
    Momentum(Momentum<T>),
    Adam(Adam<T>),
    RmsProp(RmsProp<T>),
    Lion(Lion<T>),
}

impl<T: Element> Update<T> {
    /// Changes some of the parameters, with their gradients and what is remembered.
    pub(crate) fn apply(&self, w: &mut [T], g: &[T], [m, v]: [&mut [T]; 2]) {
        match self {
            Self::Descent(update) => update.step(w, g),
            Self::Momentum(update) => update.step(w, g, m),
            Self::Adam(update) => update.step(w, g, m, v),
            Self::RmsProp(update) => update.step(w, g, m, v),
            Self::Lion(update) => update.step(w, g, m),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Optimizer;

    #[test]
    fn text_is_a_name_or_a_table_with_what_differs() {
        let read = |text: &str| serde_json::from_str::<Optimizer>(text);
        assert_eq!(read(r#""adam""#).unwrap(), Optimizer::adam());
        assert_eq!(read(r#"{"type":"adamw"}"#).unwrap(), Optimizer::adamw());
        assert_eq!(read(r#""rmsprop""#).unwrap(), Optimizer::rmsprop());
        assert_eq!(read(r#""lion""#).unwrap(), Optimizer::lion());
        let nesterov = r#"{"type":"sgd","momentum":0.9,"nesterov":true}"#;
        assert_eq!(read(nesterov).unwrap(), Optimizer::nesterov(0.9));
        for without in ["", r#","momentum":0"#] {
            let text = format!(r#"{{"type":"sgd","nesterov":true{without}}}"#);
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains("nesterov: expected a momentum above 0"), "{error}");
        }
        for optimizer in [
            Optimizer::sgd(),
            Optimizer::adam().with_weight_decay(0.1, false),
            Optimizer::rmsprop().with_weight_decay(0.1, false),
            Optimizer::lion().with_weight_decay(0.1, true),
        ] {
            let text = serde_json::to_string(&optimizer).unwrap();
            assert_eq!(read(&text).unwrap(), optimizer);
        }
        for (text, wanted) in [
            (r#""adagrad""#, "unknown variant `adagrad`, expected one of `sgd`, `adam`, `adamw`, "),
            (r#"{"type":"rmsprop","alpha":1}"#, "expected a number from 0 to less than 1"),
            (r#"{"type":"adam","beta3":1}"#, "unknown field `beta3`"),
            (r#"{"type":"sgd","momentum":1}"#, "expected a number from 0 to less than 1"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
