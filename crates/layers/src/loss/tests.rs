use super::{
    BinaryCrossEntropy, BinaryCrossEntropyWithLogits, ClassWeights, Huber, Loss,
    SoftmaxCrossEntropy,
};
use crate::gradient_check::{differences, distance};

#[test]
fn values_by_hand() {
    let (p, t) = ([0.8, 0.4], [1.0, 0.0]);
    let bce = -(0.8_f64.ln() + 0.6_f64.ln()) / 2.0;
    assert!((Loss::binary_cross_entropy().value(&p, &t) - bce).abs() < 1e-15);
    assert!((Loss::mean_squared_error().value(&p, &t) - 0.1).abs() < 1e-15);
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
    let weighted = |label_smoothing| {
        Loss::from(SoftmaxCrossEntropy { label_smoothing, class_weights: Some(weights.clone()) })
    };
    for loss in [
        Loss::mean_squared_error(),
        Loss::huber(),
        Loss::from(Huber { delta: 0.5 }),
        weighted(0.0),
        weighted(0.2),
        Loss::from(BinaryCrossEntropyWithLogits { class_weights: Some(weights.clone()) }),
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
        let loss = Loss::from(BinaryCrossEntropy { class_weights });
        let mut gradient = [f64::NAN; 4];
        loss.gradient(&p, &t, 0.7, &mut gradient);
        let expected = differences(&p, |p| 0.7 * loss.value(p, &t));
        let error = distance(&gradient, &expected);
        assert!(error < 1e-7, "{loss:?}: {error:e}");
        // The gradient with respect to the logits is the product with the sigmoid's derivative.
        let mut of_logits = [f64::NAN; 4];
        loss.sigmoid_gradient(&p, &t, 0.7, &mut of_logits);
        let product = std::array::from_fn::<_, 4, _>(|i| gradient[i] * p[i] * (1.0 - p[i]));
        assert!(distance(&of_logits, &product) < 1e-14, "{of_logits:?}, {product:?}");
    }
}

#[test]
fn a_class_that_counts_nothing_costs_nothing_even_infinitely_wrong() {
    let class_weights = Some(ClassWeights::new(&[0.0, 2.0]));
    let loss = Loss::from(BinaryCrossEntropyWithLogits { class_weights });
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
    let one_counts =
        Loss::from(SoftmaxCrossEntropy { label_smoothing: 0.0, class_weights: weights });
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
        Loss::mean_squared_error(),
        Loss::binary_cross_entropy(),
        Loss::binary_cross_entropy_with_logits(),
        Loss::softmax_cross_entropy(),
        Loss::from(BinaryCrossEntropy { class_weights: Some(weights.clone()) }),
        Loss::from(BinaryCrossEntropyWithLogits { class_weights: Some(weights.clone()) }),
        Loss::from(SoftmaxCrossEntropy { label_smoothing: 0.1, class_weights: Some(weights) }),
        Loss::from(Huber { delta: 0.25 }),
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

#[test]
fn every_loss_is_written_with_what_it_says() {
    let texts = Loss::ALL.iter().map(|loss| serde_json::to_string(loss).unwrap());
    let expected = [
        r#""mean_squared_error""#,
        r#""binary_cross_entropy""#,
        r#""binary_cross_entropy_with_logits""#,
        r#"{"type":"huber","delta":1.0}"#,
        r#"{"type":"softmax_cross_entropy","label_smoothing":0.0}"#,
    ];
    assert_eq!(texts.collect::<Vec<_>>(), expected);
    for loss in Loss::ALL {
        let key = format!("{:?}", loss.key());
        assert_eq!(serde_json::from_str::<Loss>(&key).unwrap(), *loss);
    }
    let class_weights = Some(ClassWeights::new(&[1.0, 2.0]));
    let weighted = Loss::from(SoftmaxCrossEntropy { label_smoothing: 0.1, class_weights });
    assert_eq!(
        serde_json::to_string(&weighted).unwrap(),
        r#"{"type":"softmax_cross_entropy","label_smoothing":0.1,"class_weights":[1.0,2.0]}"#
    );
}
