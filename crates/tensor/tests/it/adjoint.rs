//! The adjoint law `⟨x ⋆valid k, g⟩ = ⟨x, g *full k⟩`, by which the gradient of a
//! correlation's input is a full convolution, and no full correlation.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use tensor::{
    Bias, Correlation, Scratch, Tensor, convolve_full, correlate_full, correlate_valid, rotate180,
};

fn inner(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// How far apart two inner products of numbers in (-1, 1) may be that have `terms`
/// multiply-adds each.
fn bound(terms: usize) -> f64 {
    f64::EPSILON * (terms as f64 + 8.0)
}

fn numbers(len: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-1.0..1.0_f64, len)
}

fn plane(h: usize, w: usize) -> impl Strategy<Value = Tensor<f64>> {
    numbers(h * w).prop_map(move |data| Tensor::from_vec([h, w], data).expect("h · w numbers"))
}

/// A kernel, an input and an output gradient of fitting shapes.
fn planes() -> impl Strategy<Value = [Tensor<f64>; 3]> {
    (1..=6usize, 1..=6usize, 1..=9usize, 1..=20usize).prop_flat_map(|(kh, kw, oh, ow)| {
        [plane(kh, kw), plane(oh + kh - 1, ow + kw - 1), plane(oh, ow)]
    })
}

fn layer() -> impl Strategy<Value = (Correlation, usize)> {
    let sizes = (1..=3usize, 1..=9usize, 1..=9usize, 1..=3usize, 1..=4usize, 1..=4usize);
    let rest = (1..=3usize, 1..=3usize, 0..4usize, 0..4usize, 1..=2usize, 1..=3usize);
    (sizes, rest).prop_filter_map("the kernel fits", |(sizes, rest)| {
        let ((c, h, w, d, kh, kw), (sh, sw, rows, columns, groups, n)) = (sizes, rest);
        let padding = [[rows, rows / 2], [columns / 2, columns]];
        let layer = Correlation::padded([c * groups, h, w], d * groups, [kh, kw], padding).ok()?;
        Some((layer.with_groups(groups).ok()?.with_stride([sh, sw]).ok()?, n))
    })
}

/// A layer, its input, kernels and output gradient.
fn batch() -> impl Strategy<Value = (Correlation, [Vec<f64>; 3])> {
    layer().prop_flat_map(|(layer, n)| {
        let lengths = [
            n * layer.input_shape().len(),
            layer.kernels_shape().len(),
            n * layer.output_shape().len(),
        ];
        (Just(layer), lengths.map(numbers))
    })
}

proptest! {
    #![proptest_config(Config { rng_seed: RngSeed::Fixed(1), ..Config::with_cases(256) })]

    #[test]
    fn full_convolution_is_the_adjoint_of_valid_correlation([k, x, g] in planes()) {
        let y = correlate_valid(&x, &k)?;
        let back = convolve_full(&g, &k)?;
        prop_assert_eq!(back.shape(), x.shape());
        let (left, right) =
            (inner(y.as_slice(), g.as_slice()), inner(x.as_slice(), back.as_slice()));
        let terms = g.shape().len() * k.shape().len();
        prop_assert!((left - right).abs() <= bound(terms), "{left} and {right}");
    }

    #[test]
    fn full_correlation_is_the_adjoint_of_valid_convolution([k, x, g] in planes()) {
        let y = correlate_valid(&x, &rotate180(&k)?)?;
        let back = correlate_full(&g, &k)?;
        let (left, right) =
            (inner(y.as_slice(), g.as_slice()), inner(x.as_slice(), back.as_slice()));
        let terms = g.shape().len() * k.shape().len();
        prop_assert!((left - right).abs() <= bound(terms), "{left} and {right}");
    }

    /// `⟨X ⋆ K, G⟩ = ⟨X, ∂X⟩ = ⟨K, ∂K⟩` with batches, channels, stride, padding, groups.
    #[test]
    fn both_gradients_are_adjoint_to_the_forward_pass((layer, [x, k, g]) in batch()) {
        let mut scratch = Scratch::sequential();
        let mut y = vec![f64::NAN; g.len()];
        layer.forward(&x, &k, Bias::None, &mut y, &mut scratch);
        let mut input_gradient = vec![f64::NAN; x.len()];
        layer.input_gradient(&g, &k, &mut input_gradient, &mut scratch);
        let mut kernel_gradient = vec![f64::NAN; k.len()];
        layer.kernel_gradient(&x, &g, &mut kernel_gradient, &mut scratch);

        let energy = inner(&y, &g);
        let bound = bound(layer.multiply_adds() * x.len() / layer.input_shape().len());
        let of_input = inner(&x, &input_gradient);
        prop_assert!((energy - of_input).abs() <= bound, "{energy} and {of_input}");
        let of_kernels = inner(&k, &kernel_gradient);
        prop_assert!((energy - of_kernels).abs() <= bound, "{energy} and {of_kernels}");
    }
}

/// The formula `∂E/∂X = ∂E/∂Y ⋆full K`, which is sometimes seen, gives another number for
/// a kernel that rotation by 180° changes, and the right one only for one that it does not.
#[test]
fn full_correlation_violates_the_law_for_an_asymmetric_kernel() {
    let x = Tensor::from_vec([3, 3], vec![1.0, 6.0, 2.0, 5.0, 3.0, 1.0, 7.0, 0.0, 4.0]).unwrap();
    let g = Tensor::from_vec([2, 2], vec![1.0, -1.0, 2.0, 3.0]).unwrap();
    let products = |kernel: [f64; 4]| {
        let k = Tensor::from_vec([2, 2], kernel.to_vec()).unwrap();
        let y = correlate_valid(&x, &k).unwrap();
        let with = |back: Tensor<f64>| inner(x.as_slice(), back.as_slice());
        (
            inner(y.as_slice(), g.as_slice()),
            with(convolve_full(&g, &k).unwrap()),
            with(correlate_full(&g, &k).unwrap()),
        )
    };
    // The outputs are 8, 7, 4, 5: their product with g is 8 − 7 + 8 + 15.
    assert_eq!(products([1.0, 2.0, -1.0, 0.0]), (24.0, 24.0, 33.0));
    let (law, convolution, correlation) = products([1.0, 2.0, 2.0, 1.0]);
    assert_eq!((law, law), (convolution, correlation));
}
