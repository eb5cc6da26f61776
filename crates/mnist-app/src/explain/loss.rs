//! The loss of one sample with its numbers, and its gradient.

use layers::{ClassWeights, Loss, softmax};
use serde::Serialize;
use tensor::Element;
use tensor::activation::{Activation, Sigmoid};

use super::calculation::{Calculation, Knob, Named, Step};

/// The loss of the sample.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LossWalk {
    /// In words.
    pub(crate) name: &'static str,
    pub(crate) formulas: Vec<&'static str>,
    /// A row for each output.
    pub(crate) rows: Vec<Row>,
    /// By the library.
    pub(crate) value: f64,
    /// The gradient of the output that should be largest.
    pub(crate) gradient: Step,
}

/// An output and its part of the loss.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) class: String,
    pub(crate) output: f64,
    /// If the loss is one of probabilities.
    pub(crate) probability: Option<f64>,
    pub(crate) target: f64,
    /// What it adds to the loss, in `f64`.
    pub(crate) term: f64,
    /// Of the loss with respect to the output, by the library.
    pub(crate) gradient: f64,
}

impl LossWalk {
    /// `label` is the place of the class that is the target.
    pub(super) fn new<T: Element>(
        loss: &Loss,
        [outputs, targets, gradient]: [&[T]; 3],
        label: usize,
        class: impl Fn(usize) -> String,
    ) -> Self {
        let count = outputs.len() as f64;
        let weights = loss.class_weights().map(ClassWeights::as_slice);
        let weight = |place: usize| weights.map_or(1.0, |weights| weights[place]);
        let mut probabilities: Vec<f64> = outputs.iter().map(|y| y.to_f64()).collect();
        match loss {
            Loss::SoftmaxCrossEntropy(_) => {
                let logits = probabilities.clone();
                softmax(&logits, &mut probabilities);
            }
            Loss::BinaryCrossEntropyWithLogits(_) => Sigmoid.apply(&mut probabilities),
            _ => {}
        }
        // Of a probability that is 0 in `f64`, the logarithm is known from the logits all the same.
        let logits = || outputs.iter().map(|y| y.to_f64());
        let largest = logits().fold(f64::NEG_INFINITY, f64::max);
        let sum = libm::log(logits().map(|y| libm::exp(y - largest)).sum()) + largest;
        // As the library does with probabilities of 0.
        let least = T::EPSILON.to_f64() / 4.0;
        let is_of_numbers = loss.domain() == layers::Domain::Numbers;
        let term = |place: usize| {
            let (p, t) = (probabilities[place], targets[place].to_f64());
            match loss {
                Loss::SoftmaxCrossEntropy(loss) => {
                    let share = (1.0 - loss.label_smoothing) * t + loss.label_smoothing / count;
                    let cost = weight(place) * share;
                    let ln = if p > 0.0 { libm::log(p) } else { outputs[place].to_f64() - sum };
                    if cost == 0.0 { 0.0 } else { -cost * ln }
                }
                Loss::BinaryCrossEntropy(_) | Loss::BinaryCrossEntropyWithLogits(_) => {
                    let is_of_logits = matches!(loss, Loss::BinaryCrossEntropyWithLogits(_));
                    let part = |share: f64, p: f64| match (share, p) {
                        (0.0, _) => 0.0,
                        (_, p) if !is_of_logits => share * libm::log(p.max(least)),
                        (_, 0.0) => -share * outputs[place].to_f64().abs(),
                        _ => share * libm::log(p),
                    };
                    -weight(place) * (part(t, p) + part(1.0 - t, 1.0 - p)) / count
                }
                Loss::Huber(loss) => {
                    let (distance, delta) = ((p - t).abs(), loss.delta);
                    let far = delta * (distance - 0.5 * delta);
                    (if distance > delta { far } else { 0.5 * distance * distance }) / count
                }
                Loss::MeanSquaredError(_) => (p - t) * (p - t) / count,
            }
        };
        let row = |place: usize| Row {
            class: class(place),
            output: outputs[place].to_f64(),
            probability: (!is_of_numbers).then(|| probabilities[place]),
            target: targets[place].to_f64(),
            term: term(place),
            gradient: gradient[place].to_f64(),
        };
        let rows: Vec<_> = (0..outputs.len()).map(row).collect();
        let at = &rows[label];
        let mut numbers = vec![Named::new(format!("y[{label}]"), at.output)];
        if !matches!(loss, Loss::BinaryCrossEntropy(_)) {
            numbers.extend(at.probability.map(|p| Named::new(format!("p[{label}]"), p)));
        }
        numbers.push(Named::new(format!("t[{label}]"), at.target));
        let formula = gradient_formula(loss);
        if weights.is_some() {
            numbers.push(Named::new(format!("w[{label}]"), weight(label)));
        }
        if let Loss::SoftmaxCrossEntropy(loss) = loss {
            let smoothed = |place: usize| {
                let target = targets[place].to_f64();
                (1.0 - loss.label_smoothing) * target + loss.label_smoothing / count
            };
            if loss.label_smoothing > 0.0 {
                numbers.push(Named::new(format!("s[{label}]"), smoothed(label)));
            }
            if weights.is_some() {
                let sum = (0..targets.len()).map(|place| weight(place) * smoothed(place)).sum();
                let (_, sum_of) = formula.split_once(" · ").unwrap_or_default();
                let (name, _) = sum_of.split_once(" − ").unwrap_or_default();
                numbers.push(Named::new(name, sum));
            }
        }
        if formula.contains("/ n") {
            numbers.push(Named::new("n", count));
        }
        let wide = |numbers: &[T]| -> Vec<f64> { numbers.iter().map(|x| x.to_f64()).collect() };
        let mut in_f64 = vec![0.0; outputs.len()];
        loss.gradient(&wide(outputs), &wide(targets), 1.0, &mut in_f64);
        let gradient = Step {
            title: "gradient of the output".into(),
            name: format!("∂E/∂y[{label}]"),
            formula: formula.replace("_i", &format!("[{label}]")),
            calculation: Calculation::Function { numbers, value: Some(in_f64[label]) },
            value: at.gradient,
            knob: Some(Knob::Output { place: label }),
            nudge: None,
        };
        let (name, value) = (loss.name(), loss.value(outputs, targets));
        Self { name, formulas: formulas(loss), rows, value, gradient }
    }
}

fn formulas(loss: &Loss) -> Vec<&'static str> {
    let mut formulas = match loss {
        Loss::SoftmaxCrossEntropy(loss) if loss.label_smoothing > 0.0 => vec![
            "E = −Σ_i s_i ln p_i, with p_i = exp y_i / Σ_j exp y_j",
            "s_i = (1 − α) t_i + α / n, the smoothed targets",
        ],
        Loss::SoftmaxCrossEntropy(_) => {
            vec!["E = −Σ_i t_i ln p_i, with p_i = exp y_i / Σ_j exp y_j"]
        }
        Loss::BinaryCrossEntropy(_) => {
            vec!["E = −1/n Σ_i (t_i ln y_i + (1 − t_i) ln(1 − y_i)), over n outputs"]
        }
        Loss::BinaryCrossEntropyWithLogits(_) => vec![
            "E = −1/n Σ_i (t_i ln p_i + (1 − t_i) ln(1 − p_i)), over n outputs",
            "p_i = 1 / (1 + exp −y_i)",
        ],
        Loss::MeanSquaredError(_) => vec!["E = 1/n Σ_i (y_i − t_i)², over n outputs"],
        Loss::Huber(_) => vec![
            "E = 1/n Σ_i h(y_i − t_i), over n outputs",
            "h(d) = d²/2 where |d| ≤ δ, else δ (|d| − δ/2)",
        ],
    };
    if loss.class_weights().is_some() {
        formulas.push("each part times the weight w_i of its class");
    }
    formulas
}

fn gradient_formula(loss: &Loss) -> String {
    let weighted = loss.class_weights().is_some();
    if let Loss::SoftmaxCrossEntropy(loss) = loss {
        let target = if loss.label_smoothing > 0.0 { "s" } else { "t" };
        return match weighted {
            true => format!("p_i · Σ_j w_j {target}_j − w_i · {target}_i"),
            false => format!("p_i − {target}_i"),
        };
    }
    let formula = match loss {
        Loss::BinaryCrossEntropy(_) => "((1 − t_i) / (1 − y_i) − t_i / y_i) / n",
        Loss::MeanSquaredError(_) => "2 (y_i − t_i) / n",
        Loss::Huber(_) => "(y_i − t_i) / n, no further from 0 than δ / n",
        _ => "(p_i − t_i) / n",
    };
    if weighted { format!("w_i · {formula}") } else { formula.to_owned() }
}
