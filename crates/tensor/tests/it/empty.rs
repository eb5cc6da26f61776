//! No samples, no numbers, sums of nothing: every public operation takes them, and gives nothing
//! or zeros. What has a shape of its own, planes, windows and channels, is never empty.

use tensor::optimize::{Adam, Descent, Lion, Momentum, RmsProp};
use tensor::random::drop_out;
use tensor::{Bias, Correlation, Element, Pooling, Scratch, image, map, matrix, normalize, reduce};

fn nan<T: Element>(len: usize) -> Vec<T> {
    vec![T::from_f64(f64::NAN); len]
}

#[track_caller]
fn assert_zero<T: Element>(numbers: &[T]) {
    assert!(numbers.iter().all(|&x| x == T::ZERO), "{numbers:?}");
}

fn correlations<T: Element>() {
    let scratch = &mut Scratch::sequential();
    for (input, kernels, size) in
        [([1, 28, 28], 6, [3, 3]), ([8, 12, 12], 16, [5, 5]), ([32, 13, 13], 32, [3, 3])]
    {
        let layer = Correlation::new(input, kernels, size).expect("it fits");
        let k = nan::<T>(layer.kernels_shape().len());
        let mut gradient = k.clone();
        layer.forward(&[], &k, Bias::None, &mut [], scratch);
        layer.forward(&[], &k, Bias::PerChannel(&nan(kernels)), &mut [], scratch);
        layer.input_gradient(&[], &k, &mut [], scratch);
        layer.kernel_gradient(&[], &[], &mut gradient, scratch);
        assert_zero(&gradient);
    }
}

fn pools<T: Element>() {
    for (size, stride) in [([2, 2], [2, 2]), ([3, 2], [1, 1]), ([12, 10], [1, 1])] {
        let pool = Pooling::new([3, 12, 10], size, stride).expect("a window");
        pool.max::<T>(&[], &mut []);
        pool.rectified_max::<T>(&[], &mut []);
        pool.max_gradient::<T>(&[], &[], &mut []);
        pool.rectified_max_gradient::<T>(&[], &[], &mut []);
        pool.mean::<T>(&[], &mut []);
        pool.mean_gradient::<T>(&[], &mut []);
    }
}

fn products<T: Element>() {
    let scratch = &mut Scratch::sequential();
    for sizes in [[0, 3, 5], [4, 0, 20], [4, 0, 2], [4, 3, 0], [1, 0, 1], [0, 0, 0]] {
        let [n, r, p] = sizes;
        let (a, b, bias) = (nan::<T>(n * r), nan::<T>(r * p), vec![T::ZERO; p]);
        for bias in [None, Some(&bias[..])] {
            let mut c = nan(n * p);
            matrix::multiply_transposed(&a, &b, bias, &mut c, [n, r, p], scratch);
            assert_zero(&c);
        }
        let mut c = nan(n * p);
        matrix::multiply_matrix(&a, &b, &mut c, [n, r, p], scratch);
        assert_zero(&c);
        let mut c = nan(n * p);
        matrix::multiply_from_transposed(&a, &b, &mut c, [r, n, p], scratch);
        assert_zero(&c);
    }
    for (inputs, outputs) in [(0, 3), (3, 0), (0, 0)] {
        let mut y = nan(outputs);
        matrix::multiply_vector::<T>(&[], &nan(inputs), None, &mut y, scratch);
        assert_zero(&y);
        let mut y = nan(inputs);
        matrix::rank_one_step::<T>(&mut [], &nan(outputs), &nan(inputs), T::ONE, Some(&mut y));
        assert_zero(&y);
    }
}

fn sums<T: Element>() {
    assert_zero(&[reduce::dot::<T>(&[], &[])]);
    assert_eq!(reduce::sum::<T>(&[]), 0.0);
    assert_eq!(reduce::Total::default().value(), 0.0);
    assert_eq!(reduce::argmax::<T>(&[]), None);
    let mut sums = vec![T::ZERO; 3];
    reduce::add_row_sums(&[], 0, &mut sums);
    reduce::add_row_sums::<T>(&[], 5, &mut []);
    assert_zero(&sums);
    let mut sums = nan::<T>(3);
    reduce::sum_planes(&[], 5, &mut sums);
    assert_zero(&sums);
    let mut sums = nan::<T>(3);
    reduce::sum_pairwise(&[], [0, 3], 0, &mut sums);
    assert_zero(&sums);
}

fn maps<T: Element>() {
    map::exp::<T>(&mut []);
    map::add::<T>(&mut [], &[]);
    map::add_scaled(&mut [] as &mut [T], T::ONE, &[]);
    map::lerp(&mut [] as &mut [T], T::ONE, &[]);
    drop_out(&mut [] as &mut [T], [0; 3], [0; 2], 1, T::ONE);
    image::u8_to_unit::<T>(&[], &mut []);
    image::grid_sample::<T>(&[], [0, 0], [&[], &[]], &mut []);
    image::affine_grid(&[[0.0; 3]; 2], [0, 0], (&[], &[]), [&mut [], &mut []]);
}

fn steps<T: Element>() {
    let one = T::ONE;
    let momentum = Momentum { rate: one, weight_decay: one, momentum: one, nesterov: true };
    momentum.step(&mut [], &[], &mut []);
    Descent { rate: one, weight_decay: one }.step(&mut [], &[]);
    let adam = Adam {
        rate: one,
        rest1: one,
        beta2: one,
        rest2: one,
        root_scale: one,
        epsilon: one,
        weight_decay: one,
        shrink: one,
    };
    adam.step(&mut [], &[], &mut [], &mut []);
    let alpha = one;
    let rms_prop =
        RmsProp { rate: one, alpha, rest: one, epsilon: one, weight_decay: one, momentum: one };
    rms_prop.step(&mut [], &[], &mut [], &mut []);
    Lion { rate: one, rest1: one, rest2: one, shrink: one }.step(&mut [], &[], &mut []);
}

fn normalizations<T: Element>() {
    let shape = [2, 5];
    let constant = [T::ONE; 2];
    for rectify in [false, true] {
        let [mut mean, mut variance, mut inverse] = [[T::from_f64(f64::NAN); 2]; 3];
        let measured = [&mut mean[..], &mut variance, &mut inverse];
        let constants = [&constant[..], &constant];
        normalize::forward(&[], shape, T::ONE, constants, rectify, measured, &mut []);
        assert_zero(&mean);
        assert_zero(&variance);
        assert!(inverse == [T::ONE; 2]);
        normalize::scale(&[], shape, [&constant[..]; 3], rectify, &mut []);
        let [mut weights, mut biases] = [[T::from_f64(f64::NAN); 2]; 2];
        let gradients = [&mut weights[..], &mut biases];
        let all = [&constant[..], &constant, &mean, &inverse];
        normalize::backward((&[], &[]), shape, all, rectify, gradients, Some(&mut []));
        assert_zero(&weights);
        assert_zero(&biases);
    }
}

fn all<T: Element>() {
    correlations::<T>();
    pools::<T>();
    products::<T>();
    sums::<T>();
    maps::<T>();
    steps::<T>();
    normalizations::<T>();
}

#[test]
fn every_operation_takes_nothing() {
    all::<f32>();
    all::<f64>();
}
