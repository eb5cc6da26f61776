//! The first parameters: mean, variance, limits, biases; the same for the same seed.

use std::ops::Range;

use layers::{Bias, Conv2d, Dense, Init, Network, Reshape};

/// A convolution with fan-in 3·5·3 = 45 and fan-out 7·5·3 = 105, and a dense layer from
/// 560 to 101.
fn network(init: Init, seed: u64) -> Network<f64> {
    let mut network = Network::builder([3, 12, 12])
        .add(Conv2d::new(7, 1).rectangle(5, 3).bias(Bias::PerChannel))
        .add(Reshape::flat())
        .add(Dense::new(101))
        .add(Dense::new(9).initial_bias(-2.2))
        .build()
        .expect("a network");
    network.initialize(init, seed);
    network
}

fn array(network: &Network<f64>, name: &str) -> Vec<f64> {
    let mut named = network.named_parameters().into_iter();
    let found: Option<(_, Range<usize>)> = named.find(|(parameter, _)| parameter.name == name);
    network.parameters()[found.expect("an array of this name").1].to_vec()
}

fn mean_and_variance(x: &[f64]) -> (f64, f64) {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    (mean, x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / x.len() as f64)
}

/// Asserts mean 0 and this variance, within five standard deviations of the estimates
/// of a normal distribution.
#[track_caller]
fn assert_moments(x: &[f64], variance: f64) {
    let (mean, found) = mean_and_variance(x);
    let n = x.len() as f64;
    assert!(mean.abs() <= 5.0 * (variance / n).sqrt(), "mean {mean} of {n} numbers");
    let deviation = (found / variance - 1.0).abs();
    assert!(deviation <= 5.0 * (2.0 / n).sqrt(), "variance {found}, expected {variance}");
}

#[test]
fn standard_normal_draws_everything_biases_too() {
    let network = network(Init::StandardNormal, 1);
    assert_moments(&array(&network, "0.weight"), 1.0);
    assert_moments(&array(&network, "2.weight"), 1.0);
    assert_moments(&array(&network, "2.bias"), 1.0);
    assert!(array(&network, "2.weight").iter().any(|x| x.abs() > 3.5), "tails");
}

#[test]
fn xavier_is_uniform_within_its_limits_and_biases_are_zero() {
    let network = network(Init::Xavier, 2);
    for (name, fans) in [("0.weight", 45 + 105), ("2.weight", 560 + 101)] {
        let limit = (6.0 / f64::from(fans)).sqrt();
        let weights = array(&network, name);
        assert_moments(&weights, limit * limit / 3.0);
        let largest = weights.iter().fold(0.0_f64, |largest, w| largest.max(w.abs()));
        assert!((0.95 * limit..=limit).contains(&largest), "{name}: {largest} of {limit}");
    }
    assert!(array(&network, "0.bias").iter().chain(&array(&network, "2.bias")).all(|&b| b == 0.0));
}

#[test]
fn he_has_the_variance_two_over_fan_in_and_biases_are_zero() {
    let network = network(Init::He, 3);
    assert_moments(&array(&network, "0.weight"), 2.0 / 45.0);
    assert_moments(&array(&network, "2.weight"), 2.0 / 560.0);
    assert!(array(&network, "0.bias").iter().chain(&array(&network, "2.bias")).all(|&b| b == 0.0));
}

#[test]
fn an_initial_bias_overrides_every_initialisation() {
    for init in [Init::StandardNormal, Init::Xavier, Init::He] {
        assert_eq!(array(&network(init, 4), "3.bias"), [-2.2; 9], "{init:?}");
    }
}

#[test]
fn a_seed_always_gives_the_same_parameters_and_another_one_others() {
    let digest = |seed| network(Init::He, seed).digest();
    assert_eq!(digest(5), digest(5));
    assert_ne!(digest(5), digest(6));
    let mut again = network(Init::Xavier, 9);
    again.initialize(Init::He, 5);
    assert_eq!(again.digest(), digest(5));
}
