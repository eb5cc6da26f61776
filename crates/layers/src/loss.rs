use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tensor::activation::{Activation, Sigmoid};
use tensor::{Element, reduce};

use crate::builtin::softmax::{below, largest, softmax};
use crate::class_weights::{self, ClassWeights};
use crate::tagged::{bounded, fraction, name_or_table};

/// How far predictions are from their targets.
///
/// The loss of a batch is the mean over its samples.
///
/// As text a name, `"binary_cross_entropy"`, or a table where there is more to say,
/// `{ type = "softmax_cross_entropy", label_smoothing = 0.1 }`.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// `mean (y − t)²` over the outputs.
    MeanSquaredError,
    /// `−mean w (t ln p + (1 − t) ln(1 − p))` over the outputs, for predictions between 0 and 1.
    ///
    /// The class weights `w` are 1 if there are none: PyTorch's `weight` of one sample. A class
    /// that an image may have beside others is an output of its own, so a weight is that of an
    /// output, whether the sample has the class or not.
    ///
    /// Finite for all of them: a logarithm's argument is at least half the distance
    /// from 1 to the next number below it, so that a prediction which has rounded to 0
    /// or 1 counts as one that almost has.
    BinaryCrossEntropy {
        /// `w`, one number for each output.
        class_weights: Option<ClassWeights>,
    },
    /// The same for logits: `p = 1 / (1 + exp −x)`, exact however large they are; of infinite
    /// ones what the limit is, so that a logit of −∞ with the target 0 costs nothing.
    BinaryCrossEntropyWithLogits {
        /// `w`, one number for each output.
        class_weights: Option<ClassWeights>,
    },
    /// Huber's (1964): the mean over the outputs of `½ d²` where the difference `d = y − t` is
    /// at most δ, else of `δ (|d| − ½ δ)`, whose gradient grows no further.
    Huber {
        /// δ, above 0; 1 by default.
        delta: f64,
    },
    /// `−Σ w_i s_i ln p_i` over the classes, where `p = softmax x` and the targets `t`,
    /// one-hot or probabilities, are smoothed: `s = (1 − α) t + α / classes`.
    ///
    /// The class weights `w` are 1 if there are none. They say how much a sample of a class
    /// counts, and the loss of a batch stays the mean over its samples, whichever classes they
    /// have, so that a shard needs to know nothing of the others. PyTorch divides by the
    /// sum of the weights of the batch's targets instead: its loss, and its gradient, is this
    /// one divided by the mean of these weights. Weights whose mean over the samples is 1 keep
    /// the size of the gradients.
    ///
    /// A class with the logit −∞ costs nothing where `w s` is 0, and else infinitely much. With
    /// several logits of +∞, or nothing but several of −∞, there is no limit: NaN.
    SoftmaxCrossEntropy {
        /// α, from 0 to less than 1.
        label_smoothing: f64,
        /// `w`, one number for each class.
        class_weights: Option<ClassWeights>,
    },
}

/// What a loss compares with the targets, which are one-hot or probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Any numbers, which are to be the targets themselves.
    Numbers,
    /// Numbers between 0 and 1.
    Probabilities,
    /// Numbers whose sigmoids are the probabilities, each by itself.
    BinaryLogits,
    /// Numbers whose softmax is the probabilities.
    Logits,
}

/// What [`Loss`] is read as: the form that serde derives.
#[derive(Deserialize)]
#[serde(remote = "Loss", rename_all = "snake_case", deny_unknown_fields)]
enum Table {
    MeanSquaredError,
    BinaryCrossEntropy {
        #[serde(default, deserialize_with = "class_weights::some")]
        class_weights: Option<ClassWeights>,
    },
    BinaryCrossEntropyWithLogits {
        #[serde(default, deserialize_with = "class_weights::some")]
        class_weights: Option<ClassWeights>,
    },
    Huber {
        #[serde(default = "delta", deserialize_with = "positive")]
        delta: f64,
    },
    SoftmaxCrossEntropy {
        #[serde(default, deserialize_with = "fraction")]
        label_smoothing: f64,
        #[serde(default, deserialize_with = "class_weights::some")]
        class_weights: Option<ClassWeights>,
    },
}

const fn delta() -> f64 {
    1.0
}

fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    bounded(deserializer, "a finite number above 0", |x| x > 0.0 && x.is_finite())
}

impl Serialize for Loss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let own = match self {
            Self::Huber { delta } => Some(("delta", delta)),
            Self::SoftmaxCrossEntropy { label_smoothing, .. } => {
                Some(("label_smoothing", label_smoothing))
            }
            _ => None,
        };
        if own.is_none() && self.class_weights().is_none() {
            return serializer.serialize_str(self.key());
        }
        let mut table = serializer.serialize_map(None)?;
        table.serialize_entry("type", self.key())?;
        if let Some((key, value)) = own {
            table.serialize_entry(key, value)?;
        }
        if let Some(weights) = self.class_weights() {
            table.serialize_entry("class_weights", weights)?;
        }
        table.end()
    }
}

impl<'de> Deserialize<'de> for Loss {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Whole(#[serde(with = "Table")] Loss);
        name_or_table(deserializer).map(|Whole(loss)| loss)
    }
}

impl Loss {
    /// The loss as an experiment names it, `"binary_cross_entropy"`.
    pub fn key(&self) -> &'static str {
        match self {
            Self::MeanSquaredError => "mean_squared_error",
            Self::BinaryCrossEntropy { .. } => "binary_cross_entropy",
            Self::BinaryCrossEntropyWithLogits { .. } => "binary_cross_entropy_with_logits",
            Self::Huber { .. } => "huber",
            Self::SoftmaxCrossEntropy { .. } => "softmax_cross_entropy",
        }
    }

    /// The loss in words, `"binary cross-entropy"`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MeanSquaredError => "squared error",
            Self::Huber { .. } => "Huber loss",
            Self::BinaryCrossEntropy { .. } | Self::BinaryCrossEntropyWithLogits { .. } => {
                "binary cross-entropy"
            }
            Self::SoftmaxCrossEntropy { .. } => "softmax cross-entropy",
        }
    }

    /// [`Loss::BinaryCrossEntropy`] without class weights.
    pub const fn binary_cross_entropy() -> Self {
        Self::BinaryCrossEntropy { class_weights: None }
    }

    /// [`Loss::BinaryCrossEntropyWithLogits`] without class weights.
    pub const fn binary_cross_entropy_with_logits() -> Self {
        Self::BinaryCrossEntropyWithLogits { class_weights: None }
    }

    /// [`Loss::Huber`] with δ = 1.
    pub const fn huber() -> Self {
        Self::Huber { delta: delta() }
    }

    /// [`Loss::SoftmaxCrossEntropy`] without label smoothing and class weights.
    pub const fn softmax_cross_entropy() -> Self {
        Self::smooth_cross_entropy(0.0)
    }

    /// [`Loss::SoftmaxCrossEntropy`] with this label smoothing and no class weights.
    pub const fn smooth_cross_entropy(label_smoothing: f64) -> Self {
        Self::SoftmaxCrossEntropy { label_smoothing, class_weights: None }
    }

    /// What it is a function of.
    pub fn domain(&self) -> Domain {
        match self {
            Self::MeanSquaredError | Self::Huber { .. } => Domain::Numbers,
            Self::BinaryCrossEntropy { .. } => Domain::Probabilities,
            Self::BinaryCrossEntropyWithLogits { .. } => Domain::BinaryLogits,
            Self::SoftmaxCrossEntropy { .. } => Domain::Logits,
        }
    }

    /// What the classes count, if not all the same.
    pub fn class_weights(&self) -> Option<&ClassWeights> {
        match self {
            Self::MeanSquaredError | Self::Huber { .. } => None,
            Self::BinaryCrossEntropy { class_weights }
            | Self::BinaryCrossEntropyWithLogits { class_weights }
            | Self::SoftmaxCrossEntropy { class_weights, .. } => class_weights.as_ref(),
        }
    }

    /// The loss of the logits whose sigmoid the predictions are: of a binary cross-entropy that
    /// of logits. Where a sigmoid has rounded to 0 or 1, its derivative times that of the loss is
    /// 0 · ∞; as one function they have the gradient that the formula has.
    pub fn of_logits(&self) -> Option<Self> {
        match self {
            Self::BinaryCrossEntropy { class_weights } => {
                Some(Self::BinaryCrossEntropyWithLogits { class_weights: class_weights.clone() })
            }
            _ => None,
        }
    }

    /// The loss of one sample; 0 of one without outputs.
    ///
    /// # Panics
    /// If prediction and target differ in length, or there are not as many class weights.
    #[track_caller]
    pub fn value<T: Element>(&self, prediction: &[T], target: &[T]) -> f64 {
        let weights = Weights::of(self, target.len());
        let pairs = pairs(prediction, target);
        if prediction.is_empty() {
            return 0.0;
        }
        let sum: f64 = match *self {
            Self::MeanSquaredError => {
                pairs.map(|(p, t)| (p.to_f64() - t.to_f64()) * (p.to_f64() - t.to_f64())).sum()
            }
            Self::Huber { delta } => {
                let term = |(p, t): (T, T)| {
                    let distance = (p.to_f64() - t.to_f64()).abs();
                    if distance > delta {
                        delta * (distance - 0.5 * delta)
                    } else {
                        0.5 * distance * distance
                    }
                };
                pairs.map(term).sum()
            }
            Self::BinaryCrossEntropy { .. } => {
                let least = least::<T>().to_f64();
                let ln = |x: f64| libm::log(x.max(least));
                let term = |(class, (p, t)): (usize, (T, T))| {
                    let (p, t) = (p.to_f64(), t.to_f64());
                    if p.is_nan() || t.is_nan() {
                        return f64::NAN;
                    }
                    // 1 − p is exact in the predictions' own precision, and in f64.
                    weights.of_class(class) * (t * ln(p) + (1.0 - t) * ln(1.0 - p))
                };
                -pairs.enumerate().map(term).sum::<f64>()
            }
            Self::BinaryCrossEntropyWithLogits { .. } => {
                let term = |(class, (x, t)): (usize, (T, T))| {
                    let (x, t) = (x.to_f64(), t.to_f64());
                    let share = if x < 0.0 { t } else { 1.0 - t };
                    let cost = weighted(share, x.abs()) + libm::log1p(libm::exp(-x.abs()));
                    weighted(weights.of_class(class), cost)
                };
                pairs.enumerate().map(term).sum()
            }
            Self::SoftmaxCrossEntropy { label_smoothing, .. } => {
                let smooth = Smooth::new(label_smoothing, weights, target.len());
                return softmax_cross_entropy(prediction, target, smooth);
            }
        };
        sum / prediction.len() as f64
    }

    /// Writes the gradient of `scale · value(prediction, target)`.
    ///
    /// # Panics
    /// If the slices differ in length.
    #[track_caller]
    pub fn gradient<T: Element>(
        &self,
        prediction: &[T],
        target: &[T],
        scale: f64,
        gradient: &mut [T],
    ) {
        assert_eq!(gradient.len(), prediction.len(), "loss gradient: length");
        let mean = T::from_f64(scale / prediction.len() as f64);
        let weights = Weights::of(self, target.len());
        match *self {
            Self::MeanSquaredError => {
                for (g, (p, t)) in gradient.iter_mut().zip(pairs(prediction, target)) {
                    *g = (p - t) * (mean + mean);
                }
            }
            Self::Huber { delta } => {
                let delta = T::from_f64(delta);
                for (g, (p, t)) in gradient.iter_mut().zip(pairs(prediction, target)) {
                    let d = p - t;
                    let slope = if d > delta { delta } else { d };
                    *g = if slope < -delta { -delta } else { slope } * mean;
                }
            }
            Self::BinaryCrossEntropy { .. } => {
                for (class, (g, (p, t))) in
                    gradient.iter_mut().zip(pairs(prediction, target)).enumerate()
                {
                    let (a, b) = (larger(T::ONE - p, least()), larger(p, least()));
                    *g = ((T::ONE - t) / a - t / b) * weights.times(class, mean);
                }
            }
            Self::BinaryCrossEntropyWithLogits { .. } => {
                gradient.copy_from_slice(prediction);
                Sigmoid.apply(gradient);
                for (class, (g, (_, t))) in
                    gradient.iter_mut().zip(pairs(prediction, target)).enumerate()
                {
                    *g = (*g - t) * weights.times(class, mean);
                }
            }
            Self::SoftmaxCrossEntropy { label_smoothing, .. } => {
                // d/dx_i −Σ_j s_j ln p_j = p_i Σ_j s_j − s_i, each s_i times its weight.
                let smooth = Smooth::new(label_smoothing, weights, target.len());
                let (total, scale) = (smooth.total(target), T::from_f64(scale));
                softmax(prediction, gradient);
                for (class, (g, (_, t))) in
                    gradient.iter_mut().zip(pairs(prediction, target)).enumerate()
                {
                    *g = (*g * total - smooth.of(class, t)) * scale;
                }
            }
        }
    }

    /// The gradient of [`Loss::of_logits`] where their sigmoid, the prediction, is there already:
    /// `scale · w (p − t) / len`.
    pub(crate) fn sigmoid_gradient<T: Element>(
        &self,
        prediction: &[T],
        target: &[T],
        scale: f64,
        gradient: &mut [T],
    ) {
        let mean = T::from_f64(scale / prediction.len() as f64);
        let weights = Weights::of(self, target.len());
        for (class, (g, (p, t))) in gradient.iter_mut().zip(pairs(prediction, target)).enumerate() {
            *g = (p - t) * weights.times(class, mean);
        }
    }
}

/// The class that a prediction stands for: the first of its largest numbers. None where one is
/// NaN, or the largest infinite: the network has overflowed, and nobody knows which it would be.
pub fn answer<T: Element>(prediction: &[T]) -> Option<usize> {
    reduce::argmax(prediction).filter(|&place| prediction[place].is_finite())
}

/// Whether a prediction stands for the class where the target has its largest number.
pub fn is_right<T: Element>(prediction: &[T], target: &[T]) -> bool {
    answer(prediction).is_some_and(|place| reduce::argmax(target) == Some(place))
}

/// In `f64`: `Σ s_i (ln Σ exp(x − m) + (m − x_i))`, `m` being the largest logit.
#[track_caller]
fn softmax_cross_entropy<T: Element>(logits: &[T], target: &[T], smooth: Smooth<'_, f64>) -> f64 {
    let pairs = pairs(logits, target).enumerate();
    let Some(largest) = largest(logits).map(T::to_f64) else { return f64::NAN };
    let sum: f64 = logits.iter().map(|x| libm::exp(below(x.to_f64(), largest))).sum();
    let log_sum = libm::log(sum);
    let cost = |x: T| log_sum - below(x.to_f64(), largest);
    pairs.map(|(i, (x, t))| weighted(smooth.of(i, t.to_f64()), cost(x))).sum()
}

/// `weight · cost`, nothing if the weight is 0, though the cost be infinite.
fn weighted(weight: f64, cost: f64) -> f64 {
    if weight == 0.0 && cost == f64::INFINITY { 0.0 } else { weight * cost }
}

/// What each class counts.
#[derive(Clone, Copy)]
struct Weights<'a>(Option<&'a [f64]>);

impl<'a> Weights<'a> {
    #[track_caller]
    fn of(loss: &'a Loss, classes: usize) -> Self {
        let weights = loss.class_weights().map(ClassWeights::as_slice);
        let count = weights.map_or(classes, <[f64]>::len);
        assert_eq!(count, classes, "loss: class weights of as many classes as there are");
        Self(weights)
    }

    fn of_class(self, class: usize) -> f64 {
        self.0.map_or(1.0, |weights| weights[class])
    }

    /// `x` times the class's weight.
    fn times<T: Element>(self, class: usize, x: T) -> T {
        self.0.map_or(x, |weights| x * T::from_f64(weights[class]))
    }
}

/// Label smoothing, `(1 − α) t + α / classes`, times the class's weight.
#[derive(Clone, Copy)]
struct Smooth<'a, T> {
    keep: T,
    share: T,
    weights: Weights<'a>,
}

impl<'a, T: Element> Smooth<'a, T> {
    fn new(label_smoothing: f64, weights: Weights<'a>, classes: usize) -> Self {
        let share = T::from_f64(label_smoothing / classes as f64);
        Self { keep: T::from_f64(1.0 - label_smoothing), share, weights }
    }

    fn of(self, class: usize, target: T) -> T {
        self.weights.times(class, target.mul_add(self.keep, self.share))
    }

    fn total(self, target: &[T]) -> T {
        target.iter().enumerate().map(|(class, &t)| self.of(class, t)).sum()
    }
}

/// Half the distance from 1 to the next number below: the least `1 − p` short of 0.
fn least<T: Element>() -> T {
    T::EPSILON / T::from_f64(4.0)
}

fn larger<T: Element>(x: T, least: T) -> T {
    if x < least { least } else { x }
}

#[track_caller]
fn pairs<'a, T: Element>(
    prediction: &'a [T],
    target: &'a [T],
) -> impl Iterator<Item = (T, T)> + 'a {
    assert_eq!(prediction.len(), target.len(), "loss: lengths of prediction and target");
    prediction.iter().copied().zip(target.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::{ClassWeights, Loss};
    use crate::gradient_check::{differences, distance};

    #[test]
    fn values_by_hand() {
        let (p, t) = ([0.8, 0.4], [1.0, 0.0]);
        let bce = -(0.8_f64.ln() + 0.6_f64.ln()) / 2.0;
        assert!((Loss::binary_cross_entropy().value(&p, &t) - bce).abs() < 1e-15);
        assert!((Loss::MeanSquaredError.value(&p, &t) - 0.1).abs() < 1e-15);
    }

    #[test]
    fn binary_cross_entropy_is_finite_for_every_prediction() {
        for p in [0.0_f32, 1.0, f32::MIN_POSITIVE, 1e-45, 1.0 - f32::EPSILON / 2.0] {
            for t in [0.0, 1.0, 0.3] {
                let mut gradient = [f32::NAN];
                Loss::binary_cross_entropy().gradient(&[p], &[t], 1.0, &mut gradient);
                let value = Loss::binary_cross_entropy().value(&[p], &[t]);
                assert!(value.is_finite() && gradient[0].is_finite(), "{p} {t}: {value}");
            }
        }
        assert!(Loss::binary_cross_entropy().value(&[f32::NAN], &[1.0]).is_nan());
    }

    #[test]
    fn losses_of_logits_are_those_of_their_probabilities() {
        let (x, t) = ([0.3, -1.7, 2.0], [0.0, 0.25, 0.75]);
        let p = x.map(|x: f64| 1.0 / (1.0 + (-x).exp()));
        let expected = Loss::binary_cross_entropy().value(&p, &t);
        assert!((Loss::binary_cross_entropy_with_logits().value(&x, &t) - expected).abs() < 1e-15);
        let sum: f64 = x.iter().map(|x| x.exp()).sum();
        let expected: f64 = x.iter().zip(t).map(|(x, t)| -t * (x.exp() / sum).ln()).sum();
        assert!((Loss::softmax_cross_entropy().value(&x, &t) - expected).abs() < 1e-15);
    }

    #[test]
    fn gradients_are_those_of_differences() {
        let (x, t) = ([0.3, -1.7, 2.0, 0.1, 0.8], [0.0, 0.25, 0.0, 0.75, 0.1]);
        let weights = ClassWeights::new(&[0.5, 2.0, 0.0, 1.5, 1.0]);
        let weighted = |label_smoothing| Loss::SoftmaxCrossEntropy {
            label_smoothing,
            class_weights: Some(weights.clone()),
        };
        for loss in [
            Loss::MeanSquaredError,
            Loss::huber(),
            Loss::Huber { delta: 0.5 },
            weighted(0.0),
            weighted(0.2),
            Loss::BinaryCrossEntropyWithLogits { class_weights: Some(weights.clone()) },
            Loss::binary_cross_entropy_with_logits(),
            Loss::softmax_cross_entropy(),
            Loss::smooth_cross_entropy(0.1),
        ] {
            let mut gradient = [f64::NAN; 5];
            loss.gradient(&x, &t, 0.7, &mut gradient);
            let expected = differences(&x, |x| 0.7 * loss.value(x, &t));
            let distance = distance(&gradient, &expected);
            assert!(distance < 1e-9, "{loss:?}: {distance:e}");
        }
    }

    #[test]
    fn binary_cross_entropy_of_probabilities_has_the_gradient_of_differences() {
        let (p, t) = ([0.3, 0.7, 0.2, 0.8], [0.0, 0.25, 1.0, 1.0]);
        for class_weights in [None, Some(ClassWeights::new(&[0.5, 2.0, 0.0, 1.5]))] {
            let loss = Loss::BinaryCrossEntropy { class_weights };
            let mut gradient = [f64::NAN; 4];
            loss.gradient(&p, &t, 0.7, &mut gradient);
            let expected = differences(&p, |p| 0.7 * loss.value(p, &t));
            let error = distance(&gradient, &expected);
            assert!(error < 1e-7, "{loss:?}: {error:e}");
            // That of the logits is the product with the sigmoid's derivative.
            let mut of_logits = [f64::NAN; 4];
            loss.sigmoid_gradient(&p, &t, 0.7, &mut of_logits);
            let product = std::array::from_fn::<_, 4, _>(|i| gradient[i] * p[i] * (1.0 - p[i]));
            assert!(distance(&of_logits, &product) < 1e-14, "{of_logits:?}, {product:?}");
        }
    }

    #[test]
    fn a_class_that_counts_nothing_costs_nothing_even_infinitely_wrong() {
        let class_weights = Some(ClassWeights::new(&[0.0, 2.0]));
        let loss = Loss::BinaryCrossEntropyWithLogits { class_weights };
        let (value, gradient) = both(loss, &[f32::NEG_INFINITY, 0.0], &[1.0, 1.0]);
        assert!((value - 2.0_f64.ln()).abs() < 1e-15, "{value}");
        assert_eq!(gradient, [0.0, -0.5]);
    }

    #[test]
    fn losses_of_logits_are_finite_and_exact_for_large_ones() {
        let softmax = Loss::softmax_cross_entropy();
        for x in [1e4_f32, -1e4, 3e38] {
            let mut gradient = [f32::NAN; 2];
            softmax.gradient(&[x, 0.0], &[1.0, 0.0], 1.0, &mut gradient);
            let probability = if x > 0.0 { 1.0 } else { 0.0 };
            assert_eq!(gradient, [probability - 1.0, 1.0 - probability]);
            assert_eq!(softmax.value(&[x, 0.0], &[1.0, 0.0]), f64::from(-x).max(0.0));
            let binary = Loss::binary_cross_entropy_with_logits();
            binary.gradient(&[x], &[0.0], 1.0, &mut gradient[..1]);
            assert_eq!(gradient[0], probability);
            assert_eq!(binary.value(&[x], &[0.0]), f64::from(x).max(0.0));
        }
        assert!(softmax.value(&[f32::NAN, 1.0], &[1.0, 0.0]).is_nan());
    }

    /// Value and gradient with respect to each logit.
    fn both(loss: Loss, x: &[f32], t: &[f32]) -> (f64, Vec<f32>) {
        let mut gradient = vec![f32::NAN; x.len()];
        loss.gradient(x, t, 1.0, &mut gradient);
        (loss.value(x, t), gradient)
    }

    #[test]
    fn an_infinite_logit_has_the_value_and_gradient_of_the_limit() {
        let (all, none) = (f32::INFINITY, f32::NEG_INFINITY);
        let softmax = |x: &[f32], t: &[f32]| both(Loss::softmax_cross_entropy(), x, t);
        assert_eq!(softmax(&[0.0, none], &[1.0, 0.0]), (0.0, vec![0.0, 0.0]));
        assert_eq!(softmax(&[none, 0.0], &[1.0, 0.0]), (f64::INFINITY, vec![-1.0, 1.0]));
        assert_eq!(softmax(&[all, 0.0], &[1.0, 0.0]), (0.0, vec![0.0, 0.0]));
        assert_eq!(softmax(&[all, none], &[0.0, 1.0]), (f64::INFINITY, vec![1.0, -1.0]));
        assert_eq!(softmax(&[none], &[1.0]), (0.0, vec![0.0]));
        let (value, gradient) = softmax(&[2.0, none, 1.0], &[1.0, 0.0, 0.0]);
        let (expected, rest) = softmax(&[2.0, 1.0], &[1.0, 0.0]);
        assert!((value - libm::log1p(libm::exp(-1.0))).abs() < 1e-15);
        assert_eq!((value, gradient), (expected, vec![rest[0], 0.0, rest[1]]));
        let smooth = Loss::smooth_cross_entropy(0.5);
        assert_eq!(both(smooth, &[0.0, none], &[1.0, 0.0]), (f64::INFINITY, vec![0.25, -0.25]));
        let weights = Some(ClassWeights::new(&[0.0, 1.0]));
        let one_counts = Loss::SoftmaxCrossEntropy { label_smoothing: 0.0, class_weights: weights };
        assert_eq!(both(one_counts, &[none, 0.0], &[1.0, 0.0]), (0.0, vec![0.0, 0.0]));
        for x in [[all, all, 0.0], [none; 3], [all, f32::NAN, 0.0], [f32::NAN, none, none]] {
            let (value, gradient) = softmax(&x, &[1.0, 0.0, 0.0]);
            assert!(value.is_nan() && gradient.iter().all(|g| g.is_nan()), "{x:?}");
        }
        let binary = |x, t| both(Loss::binary_cross_entropy_with_logits(), &[x], &[t]);
        for (x, certain) in [(all, 1.0), (none, 0.0)] {
            assert_eq!(binary(x, certain), (0.0, vec![0.0]));
            assert_eq!(binary(x, 1.0 - certain), (f64::INFINITY, vec![2.0 * certain - 1.0]));
            assert_eq!(binary(x, 0.25), (f64::INFINITY, vec![certain - 0.25]));
        }
        let (value, gradient) = binary(f32::NAN, 0.0);
        assert!(value.is_nan() && gradient[0].is_nan());
    }

    #[test]
    fn the_logarithm_of_the_sum_is_not_lost_beside_large_logits() {
        for large in [0.0, 1e15, -1e300] {
            let found = Loss::softmax_cross_entropy().value(&[large; 3], &[0.0, 1.0, 0.0]);
            assert!((found - 3.0_f64.ln()).abs() < 1e-15, "{large}: {found}");
        }
    }

    #[test]
    fn text_is_a_name_or_a_table() {
        let read = |text: &str| serde_json::from_str::<Loss>(text);
        assert_eq!(read(r#""binary_cross_entropy""#).unwrap(), Loss::binary_cross_entropy());
        assert_eq!(read(r#""softmax_cross_entropy""#).unwrap(), Loss::softmax_cross_entropy());
        let text = r#"{"type":"softmax_cross_entropy","label_smoothing":0.1}"#;
        let smooth = Loss::smooth_cross_entropy(0.1);
        assert_eq!(read(text).unwrap(), smooth);
        assert_eq!(serde_json::to_string(&smooth).unwrap(), text);
        assert_eq!(read(r#""huber""#).unwrap(), Loss::huber());
        let weights = ClassWeights::new(&[1.0, 2.5]);
        for loss in [
            Loss::MeanSquaredError,
            Loss::binary_cross_entropy(),
            Loss::binary_cross_entropy_with_logits(),
            Loss::softmax_cross_entropy(),
            Loss::BinaryCrossEntropy { class_weights: Some(weights.clone()) },
            Loss::BinaryCrossEntropyWithLogits { class_weights: Some(weights.clone()) },
            Loss::SoftmaxCrossEntropy { label_smoothing: 0.1, class_weights: Some(weights) },
            Loss::Huber { delta: 0.25 },
        ] {
            assert_eq!(read(&serde_json::to_string(&loss).unwrap()).unwrap(), loss);
        }
        let error = read(&text.replace("0.1", "1.5")).unwrap_err().to_string();
        assert!(error.contains("expected a number from 0 to less than 1"), "{error}");
        for (text, wanted) in [
            (r#"{"type":"huber","delta":0}"#, "expected a finite number above 0"),
            (
                r#"{"type":"softmax_cross_entropy","class_weights":[1,-1]}"#,
                "expected a list of finite numbers of at least 0, not all of them 0",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
