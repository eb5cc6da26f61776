use serde::{Deserialize, Deserializer, Serialize, de};
use tensor::{Element, optimize};

use crate::tagged::{fraction, name_or_table, not_negative};

/// The definition of an optimizer. Its settings are its fields, under their names in text; those
/// that the text omits are as in [`Default`].
trait Rule: Default {
    /// Whether it keeps a momentum for each parameter, and whether it keeps a mean of squares.
    fn moments(&self) -> [bool; 2];

    /// The ε that it adds to the root that it divides by, if it does.
    fn epsilon(&self) -> Option<f64> {
        None
    }

    /// Updates some of the parameters, with their gradients and moments.
    fn apply<T: Element>(&self, step: Step, w: &mut [T], g: &[T], moments: [&mut [T]; 2]);
}

/// A step of an optimizer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// η.
    pub(crate) rate: f64,
    /// The number of the step, counted from 1.
    pub(crate) number: u64,
    /// λ; 0 for parameters without weight decay.
    weight_decay: f64,
}

/// Declares the enum of all optimizers from a list: the constructor of each, its type and, if it
/// differs from the constructor's, its name in text.
macro_rules! optimizers {
    ($($new:ident: $(#[$renamed:meta])? $Optimizer:ident,)*) => {
        /// How a gradient `g` changes the parameters `w`, with learning rate `η`.
        ///
        /// Arithmetic and defaults are PyTorch's. In text, an optimizer is a name, `"adam"`, or a
        /// table, `{ type = "adam", beta1 = 0.95 }`.
        ///
        /// Weight decay applies to all parameters, as in PyTorch, unless `decay_biases = false`
        /// restricts it to weights: then biases and the scales of normalisations have none.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        pub enum Optimizer {
            $(
                #[doc = concat!("See [`", stringify!($Optimizer), "`].")]
                $(#[$renamed])?
                $Optimizer($Optimizer),
            )*
        }

        /// The form that serde derives, from which [`Optimizer`] is read.
        #[derive(Deserialize)]
        #[serde(remote = "Optimizer", rename_all = "snake_case")]
        enum Table {
            $($(#[$renamed])? $Optimizer($Optimizer),)*
        }

        $(
            impl From<$Optimizer> for Optimizer {
                fn from(optimizer: $Optimizer) -> Self {
                    Self::$Optimizer(optimizer)
                }
            }
        )*

        impl Optimizer {
            $(
                #[doc = concat!("[`", stringify!($Optimizer), "`] with its defaults.")]
                pub fn $new() -> Self {
                    $Optimizer::default().into()
                }
            )*

            /// The ε that it adds to the root that it divides by, if it does.
            pub fn epsilon(self) -> Option<f64> {
                match self { $(Self::$Optimizer(optimizer) => optimizer.epsilon(),)* }
            }

            /// Whether it keeps a momentum for each parameter, and whether it keeps a mean of
            /// squares.
            pub(crate) fn moments(self) -> [bool; 2] {
                match self { $(Self::$Optimizer(optimizer) => optimizer.moments(),)* }
            }

            /// Updates some of the parameters, with their gradients and moments.
            pub(crate) fn apply<T: Element>(
                self,
                step: Step,
                w: &mut [T],
                g: &[T],
                moments: [&mut [T]; 2],
            ) {
                match self {
                    $(Self::$Optimizer(optimizer) => optimizer.apply(step, w, g, moments),)*
                }
            }

            /// λ, and whether it applies to biases too.
            fn weight_decay(&mut self) -> (&mut f64, &mut bool) {
                match self {
                    $(Self::$Optimizer(of) => (&mut of.weight_decay, &mut of.decay_biases),)*
                }
            }
        }
    };
}

optimizers! {
    sgd: Sgd,
    adam: Adam,
    adamw: #[serde(rename = "adamw")] AdamW,
    rmsprop: #[serde(rename = "rmsprop")] RmsProp,
    lion: Lion,
}

/// Declares the type of an optimizer from its settings and their defaults. All have a weight decay.
macro_rules! settings {
    (
        $(#[$doc:meta])*
        $Optimizer:ident { $($(#[$of:meta])* $name:ident: $type:ty = $default:expr,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $Optimizer {
            $($(#[$of])* pub $name: $type,)*
            /// Whether weight decay applies to biases too.
            pub decay_biases: bool,
        }

        impl Default for $Optimizer {
            fn default() -> Self {
                Self { $($name: $default,)* decay_biases: true }
            }
        }
    };
}

settings! {
    /// Gradient descent: `w ← w − η g`; with momentum `v ← μ v + g`, `w ← w − η v`, or in
    /// Nesterov's form `w ← w − η (g + μ v)`.
    Sgd {
        /// μ, 0 by default.
        #[serde(deserialize_with = "fraction")]
        momentum: f64 = 0.0,
        /// Whether the step looks ahead along the new velocity (Nesterov).
        nesterov: bool = false,
        /// λ: `g ← g + λ w` first. 0 by default.
        #[serde(deserialize_with = "not_negative")]
        weight_decay: f64 = 0.0,
    }
}

impl Rule for Sgd {
    fn moments(&self) -> [bool; 2] {
        [self.momentum != 0.0, false]
    }

    fn apply<T: Element>(&self, step: Step, w: &mut [T], g: &[T], [m, _]: [&mut [T]; 2]) {
        let (rate, weight_decay) = (T::from_f64(step.rate), T::from_f64(step.weight_decay));
        if self.momentum == 0.0 {
            return optimize::Descent { rate, weight_decay }.step(w, g);
        }
        let Self { nesterov, momentum, .. } = *self;
        let momentum = T::from_f64(momentum);
        optimize::Momentum { rate, weight_decay, momentum, nesterov }.step(w, g, m);
    }
}

settings! {
    /// Adam (Kingma and Ba, 2015): the moving mean of the gradients, divided by the root of the
    /// moving mean of their squares, both corrected for starting at 0.
    Adam {
        /// The decay of the mean, 0.9 by default.
        #[serde(deserialize_with = "fraction")]
        beta1: f64 = 0.9,
        /// The decay of the mean of squares, 0.999 by default.
        #[serde(deserialize_with = "fraction")]
        beta2: f64 = 0.999,
        /// Added to the root, 1e-8 by default.
        #[serde(deserialize_with = "not_negative")]
        epsilon: f64 = 1e-8,
        /// λ: `g ← g + λ w` first. 0 by default.
        #[serde(deserialize_with = "not_negative")]
        weight_decay: f64 = 0.0,
    }
}

impl Rule for Adam {
    fn moments(&self) -> [bool; 2] {
        [true, true]
    }

    fn epsilon(&self) -> Option<f64> {
        Some(self.epsilon)
    }

    fn apply<T: Element>(&self, step: Step, w: &mut [T], g: &[T], [m, v]: [&mut [T]; 2]) {
        let adam = adam_step([self.beta1, self.beta2], self.epsilon, step);
        let weight_decay = T::from_f64(step.weight_decay);
        optimize::Adam { weight_decay, ..adam }.step(w, g, m, v);
    }
}

settings! {
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019): `w ← w − η λ w` first, which
    /// the gradient does not see.
    AdamW {
        /// As in Adam.
        #[serde(deserialize_with = "fraction")]
        beta1: f64 = 0.9,
        /// As in Adam.
        #[serde(deserialize_with = "fraction")]
        beta2: f64 = 0.999,
        /// As in Adam.
        #[serde(deserialize_with = "not_negative")]
        epsilon: f64 = 1e-8,
        /// λ, 0.01 by default.
        #[serde(deserialize_with = "not_negative")]
        weight_decay: f64 = 0.01,
    }
}

impl Rule for AdamW {
    fn moments(&self) -> [bool; 2] {
        [true, true]
    }

    fn epsilon(&self) -> Option<f64> {
        Some(self.epsilon)
    }

    fn apply<T: Element>(&self, step: Step, w: &mut [T], g: &[T], [m, v]: [&mut [T]; 2]) {
        let adam = adam_step([self.beta1, self.beta2], self.epsilon, step);
        let shrink = T::from_f64(1.0 - step.rate * step.weight_decay);
        optimize::Adam { shrink, ..adam }.step(w, g, m, v);
    }
}

/// A step of Adam without weight decay.
fn adam_step<T: Element>([beta1, beta2]: [f64; 2], epsilon: f64, step: Step) -> optimize::Adam<T> {
    // After this many steps both corrections are 1. `powf` differs between platforms; a product
    // does not.
    let power = |base: f64| {
        let (mut power, mut base, mut left) = (1.0, base, step.number);
        while left > 0 {
            if left % 2 == 1 {
                power *= base;
            }
            base *= base;
            left /= 2;
        }
        power
    };
    optimize::Adam {
        rate: T::from_f64(step.rate / (1.0 - power(beta1))),
        rest1: T::from_f64(1.0 - beta1),
        beta2: T::from_f64(beta2),
        rest2: T::from_f64(1.0 - beta2),
        root_scale: T::from_f64(1.0 / (1.0 - power(beta2)).sqrt()),
        epsilon: T::from_f64(epsilon),
        weight_decay: T::ZERO,
        shrink: T::ONE,
    }
}

settings! {
    /// `RMSprop` (Hinton, 2012): the gradient divided by the root of the moving mean of its
    /// squares, `v ← α v + (1 − α) g²`, `w ← w − η g / (√v + ε)`; with momentum
    /// `m ← μ m + g / (√v + ε)`, `w ← w − η m`.
    RmsProp {
        /// α, the decay of the mean of squares, 0.99 by default.
        #[serde(deserialize_with = "fraction")]
        alpha: f64 = 0.99,
        /// Added to the root, 1e-8 by default.
        #[serde(deserialize_with = "not_negative")]
        epsilon: f64 = 1e-8,
        /// μ, 0 by default.
        #[serde(deserialize_with = "fraction")]
        momentum: f64 = 0.0,
        /// λ: `g ← g + λ w` first. 0 by default.
        #[serde(deserialize_with = "not_negative")]
        weight_decay: f64 = 0.0,
    }
}

impl Rule for RmsProp {
    fn moments(&self) -> [bool; 2] {
        [self.momentum != 0.0, true]
    }

    fn epsilon(&self) -> Option<f64> {
        Some(self.epsilon)
    }

    fn apply<T: Element>(&self, step: Step, w: &mut [T], g: &[T], [m, v]: [&mut [T]; 2]) {
        let rms_prop = optimize::RmsProp {
            rate: T::from_f64(step.rate),
            alpha: T::from_f64(self.alpha),
            rest: T::from_f64(1.0 - self.alpha),
            epsilon: T::from_f64(self.epsilon),
            weight_decay: T::from_f64(step.weight_decay),
            momentum: T::from_f64(self.momentum),
        };
        rms_prop.step(w, g, m, v);
    }
}

settings! {
    /// Lion (Chen et al., 2023): a step of the same length for every parameter, along the sign of a
    /// mean of the gradients, `w ← w − η sign(β₁ m + (1 − β₁) g)`, `m ← β₂ m + (1 − β₂) g`, with
    /// decoupled weight decay, `w ← w − η λ w` first. Its learning rate should be a third to a
    /// tenth of Adam's.
    Lion {
        /// The weight of the mean in the direction, 0.9 by default.
        #[serde(deserialize_with = "fraction")]
        beta1: f64 = 0.9,
        /// The decay of the mean, 0.99 by default.
        #[serde(deserialize_with = "fraction")]
        beta2: f64 = 0.99,
        /// λ, 0 by default.
        #[serde(deserialize_with = "not_negative")]
        weight_decay: f64 = 0.0,
    }
}

impl Rule for Lion {
    fn moments(&self) -> [bool; 2] {
        [true, false]
    }

    fn apply<T: Element>(&self, step: Step, w: &mut [T], g: &[T], [m, _]: [&mut [T]; 2]) {
        let lion = optimize::Lion {
            rate: T::from_f64(step.rate),
            rest1: T::from_f64(1.0 - self.beta1),
            rest2: T::from_f64(1.0 - self.beta2),
            shrink: T::from_f64(1.0 - step.rate * step.weight_decay),
        };
        lion.step(w, g, m);
    }
}

impl<'de> Deserialize<'de> for Optimizer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Whole(#[serde(with = "Table")] Optimizer);
        let Whole(optimizer) = name_or_table(deserializer)?;
        if let Self::Sgd(Sgd { momentum: 0.0, nesterov: true, .. }) = optimizer {
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
    /// Gradient descent with this momentum.
    pub fn momentum(momentum: f64) -> Self {
        Sgd { momentum, ..Sgd::default() }.into()
    }

    /// Gradient descent with this momentum in Nesterov's form.
    ///
    /// # Panics
    /// If the momentum is 0: there is no velocity to look ahead along.
    #[track_caller]
    pub fn nesterov(momentum: f64) -> Self {
        assert!(momentum != 0.0, "Optimizer::nesterov: expected a momentum above 0, got 0");
        Sgd { momentum, nesterov: true, ..Sgd::default() }.into()
    }

    /// The same with this weight decay, for biases too or not.
    pub fn with_weight_decay(mut self, decay: f64, biases: bool) -> Self {
        let (weight_decay, decay_biases) = self.weight_decay();
        (*weight_decay, *decay_biases) = (decay, biases);
        self
    }

    /// Whether a step is `w ← w − η g` and nothing else, so that layers may take it themselves.
    pub(crate) fn is_plain_descent(self) -> bool {
        matches!(self, Self::Sgd(Sgd { momentum: 0.0, weight_decay: 0.0, .. }))
    }

    /// Whether some parameters have weight decay and others do not.
    pub(crate) fn spares_biases(mut self) -> bool {
        !*self.weight_decay().1
    }

    /// Step `number`, counted from 1, for parameters with weight decay and for those without.
    pub(crate) fn steps(mut self, rate: f64, number: u64) -> [Step; 2] {
        let weight_decay = *self.weight_decay().0;
        [weight_decay, 0.0].map(|weight_decay| Step { rate, number, weight_decay })
    }
}

#[cfg(test)]
mod tests {
    use super::Optimizer;

    #[test]
    fn every_optimizer_is_written_with_all_its_settings() {
        for (optimizer, text) in [
            (Optimizer::sgd(), r#"{"type":"sgd","momentum":0.0,"nesterov":false,"#),
            (Optimizer::adam(), r#"{"type":"adam","beta1":0.9,"beta2":0.999,"epsilon":1e-8,"#),
            (Optimizer::adamw(), r#"{"type":"adamw","beta1":0.9,"beta2":0.999,"epsilon":1e-8,"#),
            (
                Optimizer::rmsprop(),
                r#"{"type":"rmsprop","alpha":0.99,"epsilon":1e-8,"momentum":0.0,"#,
            ),
            (Optimizer::lion(), r#"{"type":"lion","beta1":0.9,"beta2":0.99,"#),
        ] {
            let optimizer = optimizer.with_weight_decay(0.5, true);
            let expected = format!(r#"{text}"weight_decay":0.5,"decay_biases":true}}"#);
            assert_eq!(serde_json::to_string(&optimizer).unwrap(), expected);
        }
    }

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
